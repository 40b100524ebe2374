use std::sync::Arc;

use base::{Limits, Micros};

use super::{Options, Parsed, Target, parse};
use crate::definitions::{FhirVersion, Model, ParamId, TypeId};
use crate::outcome::Outcome;
use crate::search::query::{Clause, Match, Prefix, Range, ReferenceMatch, Test, TokenMatch, Unit};

mod names;
mod refusals;
mod results;
mod values;

fn model() -> &'static Model {
    Model::of(FhirVersion::R4)
}

fn type_id(name: &str) -> TypeId {
    model().type_id(name).unwrap()
}

fn read(target: &str, query: &str, strict: bool) -> Result<Parsed, Outcome> {
    let limits = Limits {
        query_values_max: 5,
        query_parameters_max: 9,
        ..Limits::default()
    };
    let options = Options {
        limits: &limits,
        strict,
        own_bases: &["https://here.example/t/a/fhir"],
        now: Micros::from_civil(2020, 1, 11, 0),
        custom: crate::search::Customs::NONE,
    };
    let target = match target {
        "" => Target::All,
        names => Target::Types(names.split(' ').map(type_id).collect()),
    };
    parse(model(), &target, query, &options)
}

fn params(ids: &[ParamId]) -> String {
    let name = |id: &ParamId| {
        if id.0 >> 25 == 1 {
            return format!(
                "{}._text",
                model().type_name(TypeId((id.0 & 0xffff) as u16))
            );
        }
        let p = model().param_by_id(*id).unwrap();
        format!("{}.{}", model().type_name(p.type_id), p.code)
    };
    ids.iter().map(name).collect::<Vec<_>>().join("+")
}

fn day(us: i64) -> String {
    let text = Micros(us).instant().to_string();
    text.replace(":00.000Z", "")
        .replace("T00:00", "")
        .replace(".000Z", "")
}

fn token(t: &TokenMatch) -> String {
    let code = t.code.as_deref().unwrap_or("*");
    t.system
        .as_ref()
        .map_or(code.to_owned(), |s| format!("{s}|{code}"))
}

fn number(p: Prefix, r: Range<f64>) -> String {
    if r.low == r.high {
        format!("{} {}", p.as_str(), r.low)
    } else {
        format!("{} {}..{}", p.as_str(), r.low, r.high)
    }
}

fn of_match(m: &Match) -> String {
    let at = |v: &Option<String>| v.as_ref().map_or(String::new(), |v| format!("@{v}"));
    match m {
        Match::Token(t) => token(t),
        Match::TokenCaseless { system, code } => format!("{system}|{code} in any case"),
        Match::TokenText(t) => format!("text {t}"),
        Match::StringPrefix(t) => format!("'{t}*'"),
        Match::StringContains(t) => format!("'*{t}*'"),
        Match::StringExact(t) => format!("'{t}'"),
        Match::Date(p, r) => format!("{} {}..{}", p.as_str(), day(r.low), day(r.high)),
        Match::Number(p, r) => number(*p, *r),
        Match::Quantity(p, r, unit) => {
            let unit = match unit {
                Unit::Any => String::new(),
                Unit::Code(code) => format!(" [{code}]"),
                Unit::Coded { system, code } => format!(" [{system}|{code}]"),
            };
            format!("{}{unit}", number(*p, *r))
        }
        Match::Reference(ReferenceMatch::Local {
            type_id,
            id,
            version,
        }) => {
            format!("{}/{id}{}", model().type_name(*type_id), at(version))
        }
        Match::Reference(ReferenceMatch::AnyType { id, types }) => {
            let types: Vec<_> = types.iter().map(|t| model().type_name(*t)).collect();
            format!("({})/{id}", types.join(" "))
        }
        Match::Reference(ReferenceMatch::Url { url, version }) => format!("<{url}>{}", at(version)),
        Match::ReferenceIdentifier(t) => format!("identifier {}", token(t)),
        Match::Uri(u) => format!("<{u}>"),
        Match::UriBelow(u) => format!("below <{u}>"),
        Match::UriAbove(u) => format!("above <{u}>"),
        Match::UriContains(u) => format!("contains <{u}>"),
        Match::UriBegins(u) => format!("<{u}*>"),
        Match::StringBegins(t) => format!("'{t}**'"),
        Match::StringIs(t) => format!("'{t}' folded"),
        Match::StringSuffix(t) => format!("'*{t}'"),
        Match::TokenTextPrefix(t) => format!("text {t}*"),
        Match::Run(run) => format!("run \"{}\"", run.pattern()),
        Match::TokenCode(how, t) => format!("code {how:?} {t}"),
        Match::OfType(of, value) => format!("{} {value}", token(of)),
        Match::InValueSet { set, bare } => format!("in {set}{}", if *bare { " bare" } else { "" }),
        Match::Subsumed {
            above,
            system,
            code,
            ..
        } => {
            format!("{} {system}|{code}", if *above { "above" } else { "below" })
        }
        Match::Unequal(m) => format!("unequal {}", of_match(m)),
        Match::Hierarchy {
            above,
            type_id,
            id,
            part_of,
        } => format!(
            "{} {}/{id} by {}",
            if *above { "above" } else { "below" },
            model().type_name(*type_id),
            params(&[*part_of])
        ),
        Match::CanonicalVersions {
            above,
            url,
            version,
        } => format!(
            "{} <{url}>@{version}",
            if *above { "above" } else { "below" }
        ),
        Match::Near(c) => format!("near {} {} {}m", c.latitude, c.longitude, c.radius),
        Match::Encloses(s) => format!("encloses {} {}", s.latitude, s.longitude),
        Match::Runs(runs) => {
            let runs: Vec<String> = runs.iter().map(|r| format!("{:?}", r.pattern())).collect();
            format!("has {}", runs.join(" "))
        }
        Match::Composite(parts) => parts.iter().map(of_match).collect::<Vec<_>>().join(" $ "),
    }
}

fn of_clause(clause: &Clause) -> String {
    let ids = |ids: &[base::ResourceId]| {
        ids.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match clause {
        Clause::Param(clause) => {
            let all = |m: &[Match]| m.iter().map(of_match).collect::<Vec<_>>().join(", ");
            let test = match &clause.test {
                Test::Missing(b) => format!("missing {b}"),
                Test::Any(m) => all(m),
                Test::None(m) => format!("not {}", all(m)),
            };
            format!("{}: {test}", params(&clause.param))
        }
        Clause::Id(of) => format!("id {}", ids(of)),
        Clause::NotId(of) => format!("not id {}", ids(of)),
        Clause::Chain { param, targets } => {
            let inner = |(t, c): &(TypeId, Arc<Clause>)| {
                format!("{} {}", model().type_name(*t), of_clause(c))
            };
            let inner: Vec<_> = targets.iter().map(inner).collect();
            format!("{} -> {{{}}}", params(param), inner.join("; "))
        }
        Clause::Has {
            source,
            param,
            inner,
        } => {
            format!(
                "{} <- {} {}",
                params(&[*param]),
                model().type_name(*source),
                of_clause(inner)
            )
        }
        Clause::MemberOf {
            param,
            source,
            member,
            inner,
        } => {
            let source = model().type_name(*source);
            format!(
                "{} in {source} {} {}",
                params(param),
                params(&[*member]),
                of_clause(inner)
            )
        }
        Clause::And(parts) => {
            let all: Vec<_> = parts.iter().map(of_clause).collect();
            format!("({})", all.join(" and "))
        }
        Clause::Or(parts) => {
            let all: Vec<_> = parts.iter().map(of_clause).collect();
            format!("({})", all.join(" or "))
        }
        Clause::ByType(parts) => {
            let all: Vec<_> = parts.iter().map(of_clause).collect();
            format!("by type ({})", all.join("; "))
        }
        Clause::Not(part) => format!("not ({})", of_clause(part)),
        Clause::Never => "never".to_owned(),
    }
}

/// The conditions that a query on a type comes to.
fn check(target: &str, query: &str, want: &str) {
    let parsed = read(target, query, true).unwrap_or_else(|e| panic!("{query}: {e:?}"));
    let got: Vec<_> = parsed.query.filter.iter().map(of_clause).collect();
    assert_eq!(got.join(" & "), want, "{query}");
}

/// Why a query is refused.
fn refused(target: &str, query: &str, want: &str) {
    let outcome = read(target, query, true).map(|p| p.query).unwrap_err();
    let got: Vec<_> = outcome
        .0
        .iter()
        .map(|i| format!("{}: {}", i.code.as_str(), i.diagnostics))
        .collect();
    assert_eq!(got.join(" & "), want, "{query}");
}

proptest::proptest! {
    #[test]
    fn nothing_panics(query in "[ -~é&=:.,|$\\\\%+]{0,80}") {
        let _ = read("Patient", &query, false);
        let _ = read("", &query, true);
    }

    #[test]
    fn nothing_panics_near_sense(
        name in "(name|code|subject|_has|_id|_include|_sort|value-quantity|code-value-quantity|date|focus)",
        rest in "(:|\\.|:Patient\\.|:Observation:|:missing|:not)?[a-z_:.]{0,12}",
        value in "(ge|ap|eq)?[0-9T:.|$,\\\\a-zA-Z/#*-]{0,24}",
    ) {
        let _ = read("Observation", &format!("{name}{rest}={value}"), false);
    }

    #[test]
    fn escapes_are_undone(text in "[a-z,|$\\\\]{0,20}") {
        let mut escaped = String::new();
        for c in text.chars() {
            if ",|$\\".contains(c) {
                escaped.push('\\');
            }
            escaped.push(c);
        }
        proptest::prop_assert_eq!(super::text::unescape(&escaped), text.as_str());
        proptest::prop_assert_eq!(super::text::split(&escaped, ','), vec![escaped.as_str()]);
    }

    #[test]
    fn folding_twice_changes_nothing(text in "\\PC{0,24}") {
        let once = crate::search::rows::fold(&text).into_owned();
        proptest::prop_assert_eq!(crate::search::rows::fold(&once), once.as_str());
    }
}
