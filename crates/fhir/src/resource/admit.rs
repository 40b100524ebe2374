//! The way in: from bytes to [`Valid`].

use base::{Code, ResourceId};

use crate::definitions::{Model, TypeId};
use crate::json::{self, Doc, Kind, Member, Value, write_compact};
use crate::outcome::{Issue, Outcome};
use crate::search;
use crate::validate::{self, Report, validate};

use super::Valid;

/// The text of a resource, parsed and of a known type, not checked further.
#[derive(Clone, Debug)]
pub struct Draft<'s> {
    doc: Doc<'s>,
    type_id: TypeId,
}

impl<'s> Draft<'s> {
    /// Parses a resource; `depth_max` is the limit `json_depth_max`.
    pub fn read(model: &Model, bytes: &'s [u8], depth_max: usize) -> Result<Self, Outcome> {
        let doc = json::parse(bytes, depth_max).map_err(|e| Issue::from(&e))?;
        let type_id = resource_type(model, doc.root())?;
        Ok(Self { doc, type_id })
    }

    /// Its type.
    pub const fn type_id(&self) -> TypeId {
        self.type_id
    }

    /// The resource.
    pub const fn value(&self) -> Value<'_> {
        self.doc.root()
    }
}

/// The type of a parsed resource.
pub fn resource_type(model: &Model, resource: Value<'_>) -> Result<TypeId, Issue> {
    if resource.kind() != Kind::Object {
        return Err(Issue::error(
            Code::ResourceTypeMismatch,
            "a resource is a JSON object",
        ));
    }
    let name = resource.get("resourceType").and_then(Value::as_str);
    let Some(name) = name else {
        let text = "the string \"resourceType\" is missing";
        return Err(Issue::error(Code::ResourceTypeMismatch, text));
    };
    model.type_id(&name).ok_or_else(|| {
        let version = model.version();
        let text = format!("\"resourceType\" names no resource type of FHIR {version}");
        Issue::error(Code::ResourceTypeMismatch, text)
    })
}

/// What the `id` in the body means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyId {
    /// Nothing: the server gives the id (`http.html#create`).
    Ignored,
    /// If there is one, it is the id in the URL.
    Equal,
    /// There is one, and it is the id in the URL (`http.html#update`).
    Required,
}

/// The circumstances of an admission.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// The type that the URL names.
    pub type_id: TypeId,
    /// The id that the resource gets.
    pub id: &'a ResourceId,
    /// What the id in the body means.
    pub body_id: BodyId,
    /// What validation needs.
    pub check: validate::Context<'a>,
}

impl Valid {
    /// Checks a resource and makes it ready to be stored: its body compact, its index rows and
    /// local references. Refuses with everything that is wrong.
    pub fn admit(
        model: &'static Model,
        resource: Value<'_>,
        admission: &Admission<'_>,
    ) -> Result<Self, Outcome> {
        let mut report = examine(model, resource, admission)?;
        if admission.body_id == BodyId::Ignored {
            // Whatever the id in the body is, the server gives its own (`http.html#create`).
            let at = format!("{}.id", model.type_name(admission.type_id));
            let of_id = |issue: &Issue| issue.expression.as_deref() == Some(&at);
            report.issues.retain(|issue| !of_id(issue));
        }
        if !report.issues.is_empty() {
            return Err(Outcome(report.issues));
        }
        Ok(Self::of(model, resource, admission, report))
    }

    /// Makes a resource ready to be stored again that was admitted once, as its seal says: rules that came
    /// since are not asked of it.
    pub fn readmit(
        model: &'static Model,
        resource: Value<'_>,
        admission: &Admission<'_>,
    ) -> Result<Self, Outcome> {
        let report = examine(model, resource, admission)?;
        Ok(Self::of(model, resource, admission, report))
    }

    fn of(
        model: &'static Model,
        resource: Value<'_>,
        admission: &Admission<'_>,
        report: Report,
    ) -> Self {
        let type_id = admission.type_id;
        Self {
            type_id,
            type_name: model.type_name(type_id),
            id: admission.id.clone(),
            body: body(resource),
            rows: search::extract(model, type_id, resource, admission.check.own_bases),
            references: report.references,
            dangling: report.dangling,
        }
    }
}

/// Whether it is what the URL names; everything that is wrong with it, and what it holds.
fn examine(
    model: &'static Model,
    resource: Value<'_>,
    admission: &Admission<'_>,
) -> Result<Report, Outcome> {
    let type_id = resource_type(model, resource)?;
    let type_name = model.type_name(type_id);
    if type_id != admission.type_id {
        let wanted = model.type_name(admission.type_id);
        let text = format!("the resource is a {type_name}, not a {wanted}");
        return Err(Issue::error(Code::ResourceTypeMismatch, text).into());
    }
    check_id(resource, type_name, admission)?;
    Ok(validate(model, resource, &admission.check))
}

fn check_id(
    resource: Value<'_>,
    type_name: &str,
    admission: &Admission<'_>,
) -> Result<(), Outcome> {
    if admission.body_id == BodyId::Ignored {
        return Ok(());
    }
    let text = match resource.get("id").map(Value::as_str) {
        Some(Some(id)) if id == admission.id.as_str() => return Ok(()),
        // Not a string: validation says so.
        Some(None) => return Ok(()),
        None if admission.body_id == BodyId::Equal => return Ok(()),
        Some(Some(_)) => "the id in the body is not the id in the URL",
        None => "the body needs the id that is in the URL",
    };
    Err(Issue::error(Code::ResourceIdMismatch, text)
        .at(format!("{type_name}.id"))
        .into())
}

/// What follows the head: see [`super::write_head`]. Elements that the server sets are left out
/// with what stands beside them.
fn body(resource: Value<'_>) -> String {
    let (start, end) = resource.span();
    let mut out = String::with_capacity(end - start);
    for member in resource.get("meta").into_iter().flat_map(Value::members) {
        let by_server = ["versionId", "lastUpdated", "_versionId", "_lastUpdated"];
        if !by_server.iter().any(|name| member.is(name)) {
            push_member(member, &mut out);
        }
    }
    out.push('}');
    for member in resource.members() {
        if !["resourceType", "id", "meta"]
            .iter()
            .any(|name| member.is(name))
        {
            push_member(member, &mut out);
        }
    }
    out.push('}');
    out
}

fn push_member(member: Member<'_>, out: &mut String) {
    out.push(',');
    json::push_json_string(&member.name(), out);
    out.push(':');
    write_compact(member.value, out);
}
