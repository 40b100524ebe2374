//! An expression as a tree of JSON, in the form that the FHIRPath Lab shows.

use super::super::ast::{Expr, Literal, TypeName};
use crate::json::push_json_string;

/// The tree of an expression.
pub(super) fn of(expr: &Expr) -> String {
    let mut out = String::new();
    node(expr, &mut out);
    out
}

fn node(expr: &Expr, out: &mut String) {
    const THIS: Expr = Expr::This;
    match expr {
        Expr::This => write("AxisExpression", "builtin.this", &[], out),
        Expr::Index => write("VariableRefExpression", "$index", &[], out),
        Expr::Total => write("VariableRefExpression", "$total", &[], out),
        Expr::Variable(name) => write("VariableRefExpression", name, &[], out),
        Expr::Literal(literal) => write("ConstantExpression", &text(literal), &[], out),
        Expr::Name(name) => write("ChildExpression", name, &[&THIS], out),
        Expr::Member(of, name) => write("ChildExpression", name, &[of], out),
        Expr::Call(on, name, args) => {
            let on = on.as_deref().unwrap_or(&THIS);
            let all: Vec<&Expr> = std::iter::once(on).chain(args).collect();
            write("FunctionCallExpression", name, &all, out);
        }
        Expr::At(of, index) => write("IndexerExpression", "[]", &[of, index], out),
        Expr::Negate(of) => write("UnaryExpression", "-", &[of], out),
        Expr::Binary(operator, left, right) => {
            write("BinaryExpression", operator.as_str(), &[left, right], out);
        }
        Expr::Is(of, ty) => typed("is", of, ty, out),
        Expr::As(of, ty) => typed("as", of, ty, out),
    }
}

fn typed(operator: &str, of: &Expr, ty: &TypeName, out: &mut String) {
    let name = match &ty.namespace {
        Some(namespace) => format!("{namespace}.{}", ty.name),
        None => ty.name.to_string(),
    };
    let ty = Expr::Literal(Literal::String(name.into()));
    write("BinaryExpression", operator, &[of, &ty], out);
}

fn text(literal: &Literal) -> String {
    match literal {
        Literal::Empty => "{}".to_owned(),
        Literal::Bool(b) => b.to_string(),
        Literal::String(s) | Literal::Number(s) | Literal::Long(s) => s.to_string(),
        Literal::Date(d) => format!("@{d}"),
        Literal::Time(t) => format!("@T{t}"),
        Literal::Quantity(n, unit, true) => format!("{n} '{unit}'"),
        Literal::Quantity(n, unit, false) => format!("{n} {unit}"),
    }
}

fn write(kind: &str, name: &str, args: &[&Expr], out: &mut String) {
    out.push_str("{\"ExpressionType\":");
    push_json_string(kind, out);
    out.push_str(",\"Name\":");
    push_json_string(name, out);
    if !args.is_empty() {
        out.push_str(",\"Arguments\":[");
        for (at, arg) in args.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            node(arg, out);
        }
        out.push(']');
    }
    out.push('}');
}
