//! Tokens to an expression: the whole grammar of FHIRPath 2.0, by precedence climbing.

use base::limits::fixed::FHIRPATH_BRACKETS_MAX as DEPTH_MAX;

use super::ast::{Expr, Literal, Operator, TypeName};
use super::lex::{Token, tokens};
use super::quantity::calendar;
use super::{EXPRESSION_BYTES_MAX, NODES_MAX, PathError, on_stack};

/// Reads an expression.
pub fn parse(text: &str) -> Result<Expr, PathError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err(PathError::TooLarge);
    }
    let tokens = tokens(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        end: text.len(),
        nodes: 0,
        depth: 0,
    };
    let expr = parser.expression(0)?;
    if parser.peek().is_some() {
        return Err(parser.error("expected an operator or the end"));
    }
    Ok(expr)
}

struct Parser<'t> {
    tokens: &'t [(usize, Token)],
    at: usize,
    end: usize,
    nodes: usize,
    depth: usize,
}

/// What may follow a term, with its precedence.
enum Infix {
    Operator(Operator),
    Is,
    As,
}

impl Infix {
    const fn level(&self) -> u8 {
        match self {
            Self::Operator(o) => o.level(),
            Self::Is | Self::As => Operator::TYPE_LEVEL,
        }
    }
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t Token> {
        self.tokens.get(self.at).map(|(_, t)| t)
    }

    fn error(&self, what: &'static str) -> PathError {
        let at = self.tokens.get(self.at).map_or(self.end, |(at, _)| *at);
        PathError::Syntax { at, what }
    }

    fn take_mark(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Mark(m)) if *m == mark);
        self.at += usize::from(found);
        found
    }

    fn need_mark(&mut self, mark: &str, what: &'static str) -> Result<(), PathError> {
        if self.take_mark(mark) {
            Ok(())
        } else {
            Err(self.error(what))
        }
    }

    /// Every node is counted: long chains nest as deeply as they are long.
    fn node(&mut self, expr: Expr) -> Result<Expr, PathError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            Err(PathError::TooLarge)
        } else {
            Ok(expr)
        }
    }

    fn expression(&mut self, level_min: u8) -> Result<Expr, PathError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(PathError::TooLarge);
        }
        let mut left = on_stack(1, || self.unary())?;
        while let Some(infix) = self.infix() {
            let level = infix.level();
            if level <= level_min {
                break;
            }
            self.at += 1;
            let expr = match infix {
                Infix::Operator(operator) => {
                    let right = on_stack(1, || self.expression(level))?;
                    Expr::Binary(operator, Box::new(left), Box::new(right))
                }
                Infix::Is => Expr::Is(Box::new(left), self.type_name()?),
                Infix::As => Expr::As(Box::new(left), self.type_name()?),
            };
            left = self.node(expr)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn infix(&self) -> Option<Infix> {
        let operator = match self.peek()? {
            Token::Word(word) => match &**word {
                "implies" => Operator::Implies,
                "or" => Operator::Or,
                "xor" => Operator::Xor,
                "and" => Operator::And,
                "in" => Operator::In,
                "contains" => Operator::Contains,
                "div" => Operator::Div,
                "mod" => Operator::Mod,
                "is" => return Some(Infix::Is),
                "as" => return Some(Infix::As),
                _ => return None,
            },
            Token::Mark(mark) => match *mark {
                "=" => Operator::Equal,
                "!=" => Operator::NotEqual,
                "~" => Operator::Equivalent,
                "!~" => Operator::NotEquivalent,
                "<" => Operator::Less,
                "<=" => Operator::LessOrEqual,
                ">" => Operator::Greater,
                ">=" => Operator::GreaterOrEqual,
                "|" => Operator::Union,
                "+" => Operator::Plus,
                "-" => Operator::Minus,
                "&" => Operator::Concatenate,
                "*" => Operator::Times,
                "/" => Operator::Divide,
                _ => return None,
            },
            _ => return None,
        };
        Some(Infix::Operator(operator))
    }

    fn unary(&mut self) -> Result<Expr, PathError> {
        let mut negative = false;
        let mut signed = false;
        loop {
            if self.take_mark("-") {
                negative = !negative;
            } else if !self.take_mark("+") {
                break;
            }
            signed = true;
        }
        let expr = self.postfix()?;
        if signed && negative {
            self.node(Expr::Negate(Box::new(expr)))
        } else {
            Ok(expr)
        }
    }

    fn postfix(&mut self) -> Result<Expr, PathError> {
        let mut expr = self.term()?;
        loop {
            let next = if self.take_mark(".") {
                self.invocation(Some(Box::new(expr)))?
            } else if self.take_mark("[") {
                let index = self.expression(0)?;
                self.need_mark("]", "expected ']'")?;
                Expr::At(Box::new(expr), Box::new(index))
            } else {
                return Ok(expr);
            };
            expr = self.node(next)?;
        }
    }

    fn term(&mut self) -> Result<Expr, PathError> {
        let expr = match self.peek() {
            None => return Err(self.error("the expression ends early")),
            Some(Token::Mark("(")) => {
                self.at += 1;
                let inner = self.expression(0)?;
                self.need_mark(")", "expected ')'")?;
                return Ok(inner);
            }
            Some(Token::Mark("{")) => {
                self.at += 1;
                self.need_mark("}", "expected '}'")?;
                Expr::Literal(Literal::Empty)
            }
            Some(Token::String(text)) => self.literal(Literal::String(text.clone())),
            Some(Token::Date(text)) => self.literal(Literal::Date(text.clone())),
            Some(Token::Time(text)) => self.literal(Literal::Time(text.clone())),
            Some(Token::Number(text)) => self.number_or_quantity(text),
            Some(Token::Long(text)) => self.literal(Literal::Long(text.clone())),
            Some(Token::Variable(name)) => {
                self.at += 1;
                Expr::Variable(name.clone())
            }
            Some(Token::Special(name)) => {
                let expr = match &**name {
                    "this" => Expr::This,
                    "index" => Expr::Index,
                    "total" => Expr::Total,
                    _ => return Err(self.error("only $this, $index and $total exist")),
                };
                self.at += 1;
                expr
            }
            Some(Token::Word(word)) if &**word == "true" => self.literal(Literal::Bool(true)),
            Some(Token::Word(word)) if &**word == "false" => self.literal(Literal::Bool(false)),
            Some(_) => self.invocation(None)?,
        };
        self.node(expr)
    }

    fn literal(&mut self, literal: Literal) -> Expr {
        self.at += 1;
        Expr::Literal(literal)
    }

    fn number_or_quantity(&mut self, number: &str) -> Expr {
        self.at += 1;
        let (unit, quoted) = match self.peek() {
            Some(Token::String(unit)) => (unit.clone(), true),
            Some(Token::Word(word)) if calendar(word).is_some() => (word.clone(), false),
            _ => return Expr::Literal(Literal::Number(number.into())),
        };
        self.at += 1;
        Expr::Literal(Literal::Quantity(number.into(), unit, quoted))
    }

    /// A member or a function, after a dot or at the head.
    fn invocation(&mut self, on: Option<Box<Expr>>) -> Result<Expr, PathError> {
        let name = match self.peek() {
            Some(Token::Word(name) | Token::Quoted(name)) => name.clone(),
            _ => return Err(self.error("expected a name")),
        };
        self.at += 1;
        if !self.take_mark("(") {
            return Ok(match on {
                Some(of) => Expr::Member(of, name),
                None => Expr::Name(name),
            });
        }
        let mut args = Vec::new();
        if !self.take_mark(")") {
            loop {
                let arg = self.expression(0)?;
                args.push(if &*name == "sort" {
                    self.direction(arg)?
                } else {
                    arg
                });
                if self.take_mark(")") {
                    break;
                }
                self.need_mark(",", "expected ',' or ')'")?;
            }
        }
        Ok(Expr::Call(on, name, args))
    }

    /// `asc` or `desc` behind a key of `sort()`; what goes down is written as its negative.
    fn direction(&mut self, key: Expr) -> Result<Expr, PathError> {
        let down = match self.peek() {
            Some(Token::Word(word)) if &**word == "asc" => false,
            Some(Token::Word(word)) if &**word == "desc" => true,
            _ => return Ok(key),
        };
        self.at += 1;
        if down {
            self.node(Expr::Negate(Box::new(key)))
        } else {
            Ok(key)
        }
    }

    fn type_name(&mut self) -> Result<TypeName, PathError> {
        let mut name = self.type_word()?;
        let mut namespace = None;
        // `x as FHIR.Patient`, but `(x as Patient).name` has its dot after a bracket.
        if matches!(&*name, "FHIR" | "System") && self.take_mark(".") {
            namespace = Some(name);
            name = self.type_word()?;
        }
        Ok(TypeName { namespace, name })
    }

    fn type_word(&mut self) -> Result<Box<str>, PathError> {
        match self.peek() {
            Some(Token::Word(name) | Token::Quoted(name)) => {
                self.at += 1;
                Ok(name.clone())
            }
            _ => Err(self.error("expected a type")),
        }
    }
}
