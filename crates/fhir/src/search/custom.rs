//! Search parameters that a tenant defines itself, by `SearchParameter` resources
//! (`searchparameter.html`).
//!
//! A definition becomes one [`Custom`] for each type it is for; the store gives it its number,
//! keeps it and fills its index. Knows no storage.

use std::borrow::Cow;
use std::cell::Cell;

use base::Code;

use super::extract::{Extractor, ParamPlan, Plans};
use super::rows::{PartKind, Row};
use crate::definitions::{Model, ParamId, ParamKind, TypeId};
use crate::json::Value;
use crate::outcome::Issue;

/// What a `SearchParameter` says, for one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The type it is for.
    pub type_id: TypeId,
    /// Its name in a query.
    pub code: String,
    /// Its canonical URL.
    pub url: String,
    /// Its type.
    pub kind: ParamKind,
    /// FHIRPath over the resource.
    pub expression: String,
    /// What its references may point to.
    pub targets: Vec<TypeId>,
    /// The parts of a composite.
    pub components: Vec<Part>,
}

/// A part of a composite, its definition looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The name of the parameter that defines it.
    pub code: String,
    /// Its type.
    pub kind: ParamKind,
    /// FHIRPath over an instance of the composite.
    pub expression: String,
}

/// A defined parameter, compiled.
#[derive(Debug)]
pub struct Custom {
    /// The number of its rows.
    pub id: ParamId,
    /// What was defined.
    pub definition: Definition,
    /// Its index is complete, so that searches may use it.
    pub serves: bool,
    pub(super) plan: ParamPlan,
}

/// The parameters of one tenant, those that serve and those whose index is being built.
#[derive(Debug, Default)]
pub struct Customs(Vec<Custom>);

impl Customs {
    /// No parameter.
    pub const NONE: &'static Self = &Self(Vec::new());

    /// These parameters. One whose expression does not compile is left out.
    pub fn compile(
        model: &'static Model,
        defined: impl IntoIterator<Item = (ParamId, Definition, bool)>,
    ) -> Self {
        let plans = Plans::of(model);
        let compiled = defined.into_iter().filter_map(|(id, definition, serves)| {
            let plan = plans.custom(id, &definition)?;
            Some(Custom {
                id,
                definition,
                serves,
                plan,
            })
        });
        Self(compiled.collect())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Custom> {
        self.0.iter()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One that serves, by its name.
    pub fn serving(&self, type_id: TypeId, code: &str) -> Option<&Custom> {
        self.named(type_id, code).filter(|c| c.serves)
    }

    /// One by its name, which may not serve yet.
    pub fn named(&self, type_id: TypeId, code: &str) -> Option<&Custom> {
        let is = |c: &&Custom| c.definition.type_id == type_id && c.definition.code == code;
        self.0.iter().find(is)
    }

    /// One by its number.
    pub fn numbered(&self, id: ParamId) -> Option<&Custom> {
        self.0.iter().find(|c| c.id == id)
    }

    /// The index rows of a resource for these parameters (as far as `wanted` says), sorted and
    /// unique like those of [`super::extract()`].
    pub fn extract(
        &self,
        model: &'static Model,
        type_id: TypeId,
        resource: Value<'_>,
        own_bases: &[&str],
        wanted: impl Fn(&Custom) -> bool,
    ) -> Vec<Row> {
        if self.0.is_empty() {
            return Vec::new();
        }
        // One budget for the resource with all that it contains.
        let left = Cell::new(base::limits::fixed::SEARCH_PARAMETER_STEPS_MAX);
        let of_type = |c: &&Custom| c.definition.type_id == type_id && wanted(c);
        let mut plans: Vec<&ParamPlan> = self.0.iter().filter(of_type).map(|c| &c.plan).collect();
        plans.sort_unstable_by_key(|p| p.id);
        let mut rows = match plans.as_slice() {
            [] => Vec::new(),
            plans => {
                Extractor::new(model, type_id, resource, own_bases).map_or_else(Vec::new, |e| {
                    let extractor = e.within(&left);
                    let mut rows = extractor.rows(plans);
                    extractor.beginnings(plans, &mut rows);
                    rows
                })
            }
        };
        let of = (type_id, resource);
        let inside = Extractor::contained_of(model, self, of, own_bases, &wanted, &left);
        if !inside.is_empty() {
            rows.extend(inside);
            rows.sort_unstable_by(Row::total_cmp);
            rows.dedup();
        }
        rows
    }
}

/// What a `SearchParameter` resource defines: nothing unless it is active; nothing for the types
/// that have a standard parameter of that name, which stays as it is. `own`: what else the tenant
/// defines, which parts of composites may name.
///
/// # Errors
/// What keeps it from being served: a type or a base that this version does not have, an
/// expression that is missing, does not compile or yields nothing that its type can hold, parts that
/// are not known or do not go together, a special parameter that is none of a kind that is known.
pub fn define(
    model: &'static Model,
    resource: Value<'_>,
    own: &[&Definition],
) -> Result<Vec<Definition>, Issue> {
    let text = |name: &str| resource.get(name).and_then(Value::as_str);
    if text("status").as_deref() != Some("active") {
        return Ok(Vec::new());
    }
    let (Some(code), Some(kind)) = (text("code"), text("type")) else {
        return Ok(Vec::new());
    };
    let bases = bases(model, resource, &code)?;
    if bases.is_empty() {
        return Ok(Vec::new());
    }
    if !code
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    {
        return Err(wrong(
            "code",
            "the name of a parameter has letters, digits, - and _ only",
        ));
    }
    let Some(kind) = ParamKind::parse(&kind) else {
        return Err(wrong("type", "this version of FHIR has no such type"));
    };
    let expression = match (text("expression"), kind) {
        (Some(expression), _) => expression,
        // The instances of a composite are the resources, unless it says otherwise.
        (None, ParamKind::Composite) => Cow::Borrowed(""),
        (None, _) => return Err(wrong("expression", "an expression is needed")),
    };
    let targets = targets(model, resource);
    let one = |type_id: TypeId| {
        let name = model.type_name(type_id);
        let components = match kind {
            ParamKind::Composite => components(model, resource, type_id, own)?,
            _ => Vec::new(),
        };
        let expression = match &*expression {
            "" => name.to_owned(),
            some => branches(model, name, some),
        };
        let definition = Definition {
            type_id,
            code: code.clone().into_owned(),
            url: text("url").unwrap_or_default().into_owned(),
            kind,
            expression,
            targets: targets.clone(),
            components,
        };
        if definition.expression.is_empty() {
            let what = format!("the expression says nothing about {name}");
            return Err(wrong("expression", &what));
        }
        checked(model, definition)
    };
    bases.into_iter().map(one).collect()
}

fn wrong(element: &str, what: &str) -> Issue {
    let mut issue = Issue::error(Code::SearchParameterInvalid, what.to_owned());
    issue.expression = Some(format!("SearchParameter.{element}"));
    issue
}

/// The types that it is for and that have no standard parameter of that name.
fn bases(model: &'static Model, resource: Value<'_>, code: &str) -> Result<Vec<TypeId>, Issue> {
    let mut bases = Vec::new();
    for base in resource.get("base").into_iter().flat_map(Value::items) {
        let Some(name) = base.as_str() else { continue };
        match (model.type_id(&name), &*name) {
            (Some(type_id), _) => bases.push(type_id),
            // Every type: those that have it as a standard parameter drop out below.
            (None, "Resource" | "DomainResource") => bases.extend(model.types()),
            (None, _) => {
                return Err(wrong("base", "this version of FHIR has no such type"));
            }
        }
    }
    bases.sort_unstable();
    bases.dedup();
    bases.retain(|t| model.param(*t, code).is_none() && !RESERVED.contains(&code));
    Ok(bases)
}

/// The definition, if it compiles and can be indexed; where it does not as it stands, with its
/// choices named as FHIRPath names them.
fn checked(model: &'static Model, mut definition: Definition) -> Result<Definition, Issue> {
    let plans = Plans::of(model);
    let compiles = |d: &Definition| plans.try_custom(ParamId(super::rows::CUSTOM), d);
    let plan = match compiles(&definition) {
        Ok(plan) => plan,
        Err(error) => {
            definition.expression = choices_by_type(model, &definition.expression);
            for part in &mut definition.components {
                let whole = choices_by_type(model, &format!(".{}", part.expression));
                part.expression = whole.strip_prefix('.').unwrap_or(&whole).to_owned();
            }
            compiles(&definition).map_err(|_| {
                let name = model.type_name(definition.type_id);
                let what = format!("the expression does not compile for {name}: {error}");
                wrong("expression", &what)
            })?
        }
    };
    if let Some(asked) = plan.asks_outside() {
        let what = format!(
            "{asked}: an index holds what the resource itself says, not what others, a terminology \
             or the clock say at some time"
        );
        return Err(wrong("expression", &what));
    }
    if !plans.can_hold(&plan) {
        let what = format!(
            "the expression yields nothing that a parameter of type {} can hold",
            definition.kind.as_str()
        );
        return Err(wrong("expression", &what));
    }
    let kinds = plan.component_kinds().into_iter().map(PartKind::of);
    let kinds: Option<Vec<PartKind>> = kinds.collect();
    let fits = definition.kind != ParamKind::Composite
        || kinds.is_some_and(|kinds| {
            super::rows::places(&kinds).is_some() || super::rows::folded(&kinds).is_some()
        });
    if !fits {
        let what = "a composite has at least two parts; of three or more at most two are not tokens, \
                    references or uris, and at most four are";
        return Err(wrong("component", what));
    }
    if definition.kind == ParamKind::Special && !plan.is_known_special() {
        let what = "of special parameters those can be defined that yield positions (latitude and \
                    longitude, searched like near), boundaries (GeoJSON attachments, searched like \
                    contains) or narratives (searched like _text)";
        return Err(wrong("type", what));
    }
    Ok(definition)
}

/// The parts of a composite (`searchparameter-definitions.html#SearchParameter.component`).
fn components(
    model: &'static Model,
    resource: Value<'_>,
    type_id: TypeId,
    own: &[&Definition],
) -> Result<Vec<Part>, Issue> {
    let all = resource.get("component").into_iter().flat_map(Value::items);
    let part = |component: Value<'_>| {
        let text = |name: &str| component.get(name).and_then(Value::as_str);
        let url = text("definition").unwrap_or_default();
        let (code, kind) = known(model, &url, type_id, own).ok_or_else(|| {
            let what = "the definition of a part is no search parameter of this version of FHIR \
                        and none that the tenant has";
            wrong("component.definition", what)
        })?;
        if PartKind::of(kind).is_none() {
            let what = "a part of a composite is no composite and no special parameter";
            return Err(wrong("component.definition", what));
        }
        let expression = text("expression")
            .ok_or_else(|| wrong("component.expression", "a part needs an expression"))?;
        Ok(Part {
            code,
            kind,
            expression: expression.into_owned(),
        })
    };
    all.map(part).collect()
}

/// Name and type of the parameter with this canonical URL: the standard's, or one of the tenant's own;
/// of several types' the one of this type.
fn known(
    model: &'static Model,
    canonical: &str,
    type_id: TypeId,
    own: &[&Definition],
) -> Option<(String, ParamKind)> {
    let url = canonical.split('|').next().unwrap_or("");
    if url.is_empty() {
        return None;
    }
    let types = std::iter::once(type_id).chain(model.types());
    let mut standard = types.flat_map(|t| model.params(t)).filter(|p| p.url == url);
    let own_one = || {
        let fits = |d: &&&Definition| d.url == url;
        let of_type = own.iter().filter(fits).find(|d| d.type_id == type_id);
        of_type.or_else(|| own.iter().find(fits))
    };
    match standard.next() {
        Some(param) => Some((param.code.to_owned(), param.kind)),
        None => own_one().map(|d| (d.code.clone(), d.kind)),
    }
}

/// Names that mean something else.
const RESERVED: &[&str] = &[
    "_contained",
    "_containedType",
    "_content",
    "_count",
    "_cursor",
    "_elements",
    "_filter",
    "_format",
    "_has",
    "_in",
    "_include",
    "_list",
    "_pretty",
    "_query",
    "_revinclude",
    "_score",
    "_sort",
    "_summary",
    "_text",
    "_total",
    "_type",
];

fn targets(model: &Model, resource: Value<'_>) -> Vec<TypeId> {
    let named = resource.get("target").into_iter().flat_map(Value::items);
    let mut found: Vec<TypeId> = named.filter_map(|t| model.type_id(&t.as_str()?)).collect();
    if found.is_empty() {
        found = model.types().collect();
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The branches of a union that speak of a type: those that do not begin with the name of another.
fn branches(model: &Model, name: &str, expression: &str) -> String {
    let mut parts = vec![String::new()];
    let (mut depth, mut quoted) = (0_usize, None);
    let mut escaped = false;
    for c in expression.chars() {
        match (quoted, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(q), c) if c == q => quoted = None,
            (Some(_), _) => {}
            (None, '\'' | '`') => quoted = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, '|') if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            (None, _) => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    let speaks = |part: &&str| {
        let start = part.trim_start_matches('(').trim_start();
        let end = start
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(start.len());
        let head = start.get(..end).unwrap_or("");
        head == name || model.type_id(head).is_none()
    };
    let kept: Vec<&str> = parts
        .iter()
        .map(|p| p.trim())
        .filter(|p| !p.is_empty())
        .filter(speaks)
        .collect();
    kept.join(" | ")
}

/// The expression with choices named as FHIRPath names them: `.valueDateTime`, as it stands in JSON
/// and in some published definitions, is `.value.ofType(dateTime)`.
fn choices_by_type(model: &Model, expression: &str) -> String {
    const VALUE: &str = ".value";
    let mut out = String::with_capacity(expression.len() + 16);
    let mut rest = expression;
    while let Some(at) = rest.find(VALUE) {
        let (before, after) = rest.split_at(at + VALUE.len());
        out.push_str(before);
        let end = after
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(after.len());
        let (name, behind) = after.split_at(end);
        let mut letters = name.chars();
        match letters.next() {
            Some(first) if first.is_ascii_uppercase() => {
                let primitive = format!("{}{}", first.to_ascii_lowercase(), letters.as_str());
                let known = model.structure_named(name).is_some();
                let of = if known { name } else { &primitive };
                out.push_str(&format!(".ofType({of})"));
            }
            _ => out.push_str(name),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{Customs, branches, define};
    use crate::definitions::{FhirVersion, Model, ParamId};
    use crate::json;
    use crate::search::rows::RowValue;

    fn model() -> &'static Model {
        Model::of(FhirVersion::R4)
    }

    fn defined(body: &str) -> Result<Vec<super::Definition>, String> {
        let document = json::parse(body.as_bytes(), 64).unwrap();
        define(model(), document.root(), &[]).map_err(|e| e.diagnostics.to_string())
    }

    fn body(base: &str, code: &str, kind: &str, expression: &str) -> String {
        format!(
            r#"{{"resourceType":"SearchParameter","status":"active","url":"http://e.org/p","code":"{code}","base":["{base}"],"type":"{kind}","expression":"{expression}"}}"#
        )
    }

    #[test]
    fn unions_are_taken_apart_by_type() {
        let of = |e: &str| branches(model(), "Patient", e);
        assert_eq!(of("Patient.name | Person.name"), "Patient.name");
        assert_eq!(of("Person.name"), "");
        assert_eq!(of("(Patient.a | Patient.b).c"), "(Patient.a | Patient.b).c");
        assert_eq!(of("extension('a|b').value"), "extension('a|b').value");
    }

    #[test]
    fn what_is_active_and_new_is_defined() {
        let found = defined(&body(
            "Patient",
            "nick",
            "string",
            "Patient.name.where(use='nickname').given",
        ))
        .unwrap();
        let [one] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(
            (one.code.as_str(), one.type_id),
            ("nick", model().type_id("Patient").unwrap())
        );
        // The standard's own parameters stay as they are.
        assert_eq!(
            defined(&body("Patient", "name", "string", "Patient.contact.name")).unwrap(),
            []
        );
        let draft = body("Patient", "nick", "string", "nonsense(").replace("active", "draft");
        assert_eq!(defined(&draft).unwrap(), []);
    }

    #[test]
    fn choices_may_be_named_as_in_json() {
        let of = |e: &str| super::choices_by_type(model(), e);
        assert_eq!(of("a.valueDateTime"), "a.value.ofType(dateTime)");
        assert_eq!(of("a.valueCoding.code"), "a.value.ofType(Coding).code");
        assert_eq!(of("a.value.code | b.values"), "a.value.code | b.values");
        let asserted = "Condition.extension.where(url = 'urn:x').valueDateTime";
        let found = defined(&body("Condition", "asserted", "date", asserted)).unwrap();
        assert!(found[0].expression.ends_with(".value.ofType(dateTime)"));
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        for bad in [
            body("Patient", "nick", "string", "Patient.name.where("),
            body("Patient", "nick", "string", "Patient.nothing"),
            body("Patient", "nick", "special", "Patient.name"),
            body("Nobody", "nick", "string", "Patient.name"),
            body("Patient", "nick", "string", "Person.name"),
            body("Patient", "a.b", "string", "Patient.name"),
        ] {
            assert!(defined(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn its_rows_are_extracted() {
        let url = "http://e.org/eye";
        let expression = format!("Patient.extension.where(url = '{url}').value");
        let definition = defined(&body("Patient", "eye", "token", &expression))
            .unwrap()
            .remove(0);
        let type_id = definition.type_id;
        let customs = Customs::compile(
            model(),
            [(ParamId(super::super::rows::CUSTOM + 7), definition, true)],
        );
        let text = format!(
            r#"{{"resourceType":"Patient","extension":[{{"url":"{url}","valueCode":"blue"}},{{"url":"x","valueCode":"red"}}]}}"#
        );
        let document = json::parse(text.as_bytes(), 64).unwrap();
        let rows = customs.extract(model(), type_id, document.root(), &[], |_| true);
        let [row] = rows.as_slice() else {
            panic!("{rows:?}")
        };
        assert_eq!(
            row.value,
            RowValue::Token {
                system: "".into(),
                code: "blue".into()
            }
        );
    }

    #[test]
    fn a_resource_has_one_budget_with_all_that_it_contains() {
        // Each name is compared with each.
        let costly = body(
            "Patient",
            "costly",
            "string",
            "Patient.name.where(%resource.name.where(family = 'a').exists().not()).family",
        );
        let definition = defined(&costly).unwrap().remove(0);
        let id = ParamId(super::super::rows::CUSTOM + 7);
        let customs = Customs::compile(model(), [(id, definition, true)]);
        let count = |inside: usize, names: usize| {
            let names = vec![r#"{"family":"b"}"#; names].join(",");
            let one = format!(r#"{{"resourceType":"Patient","id":"p","name":[{names}]}}"#);
            let all = vec![one; inside].join(",");
            let text = format!(r#"{{"resourceType":"Observation","contained":[{all}]}}"#);
            let document = json::parse(text.as_bytes(), 64).unwrap();
            let of = model().type_id("Observation").unwrap();
            let rows = customs.extract(model(), of, document.root(), &[], |_| true);
            let mut places: Vec<u16> = rows
                .iter()
                .filter_map(|row| match row.value {
                    RowValue::Contained(place, _) => Some(place),
                    _ => None,
                })
                .collect();
            places.dedup();
            places.len()
        };
        assert_eq!(count(3, 10), 3);
        assert_eq!(count(1, 400), 1);
        assert!(count(12, 400) < 12);
    }

    #[test]
    fn an_expression_that_never_ends_finds_nothing() {
        let endless = body(
            "Patient",
            "endless",
            "string",
            "Patient.name.repeatAll($this).family",
        );
        let definition = defined(&endless).unwrap().remove(0);
        let type_id = definition.type_id;
        let id = ParamId(super::super::rows::CUSTOM + 7);
        let customs = Customs::compile(model(), [(id, definition, true)]);
        let text = r#"{"resourceType":"Patient","name":[{"family":"a"}]}"#;
        let document = json::parse(text.as_bytes(), 64).unwrap();
        let rows = customs.extract(model(), type_id, document.root(), &[], |_| true);
        assert_eq!(rows, []);
    }
}
