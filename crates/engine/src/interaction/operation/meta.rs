//! `$meta`, `$meta-add` and `$meta-delete` (`resource-operations.html`).
//!
//! A change of labels is a new version like any other: history tells who changed them and when.
//! A change that changes nothing makes no version.

use std::fmt::Write as _;

use access::{Search, Target, Update};
use base::{Code, ResourceId};
use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::json::{self, Doc, Kind, Value, push_json_string};
use fhir::resource::BodyId;
use store::{Condition, Labels, Method, Read, Stored, Write};

use super::{On, parameters};
use crate::answer::Answer;
use crate::failure::Failure;
use crate::interaction::admit::Identity;
use crate::interaction::condition::WriteConditions;
use crate::interaction::create::ATTEMPTS_MAX;
use crate::interaction::read::id_in_url;
use crate::session::Session;

/// What is done to the labels of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    Add,
    Delete,
}

/// The lists of a Meta that are sets.
const SETS: [&str; 3] = ["profile", "security", "tag"];

impl Session {
    /// The labels in use in the whole or a type, or the Meta of a resource or version.
    ///
    /// # Errors
    /// `not-found`, `deleted`, `limit-query`, `scope-missing`.
    pub(super) async fn meta(&self, on: On<'_>) -> Result<Answer, Failure> {
        let types = match on {
            On::System => self.may_search(self.model().types()).await?,
            On::Type(name) => vec![self.type_id(name)?],
            On::Instance(name, id) => {
                let read = self
                    .read_stored(self.type_id(name)?, &id_in_url(id)?)
                    .await?;
                return of_stored(read);
            }
            On::Version(name, id, version) => {
                let read = self.read_version(self.type_id(name)?, id, version).await?;
                return of_stored(read);
            }
        };
        let permit = self.permit::<Search>(Target::Types(types.clone())).await?;
        let labels = self.store.labels(permit, types).await?;
        Ok(document(&of_labels(&labels)))
    }

    /// Adds labels to a resource or takes them away; answers its Meta.
    ///
    /// # Errors
    /// `body-empty`, `request-invalid`, `not-found`, `deleted`, `write-race`, `scope-missing`, and
    /// those of validation.
    pub(super) async fn change_meta(
        &self,
        (type_name, id): (&str, &str),
        edit: Edit,
        body: &Bytes,
        conditions: &WriteConditions,
    ) -> Result<Answer, Failure> {
        let condition = conditions.to_store()?;
        let (type_id, id) = (self.type_id(type_name)?, id_in_url(id)?);
        // The right is checked before anything is looked up.
        let target = || Target::Instance(type_id, id.clone());
        let _ = self.permit::<Update>(target()).await?;
        let given = self.given_meta(body)?;
        for _ in 0..ATTEMPTS_MAX {
            let read = self.read_stored(type_id, &id).await?;
            let current = found(read)?;
            match condition {
                Some(Condition::Absent) => return Err(Failure::of(Code::PreconditionFailed)),
                Some(one) if one.rules_out(current.version, current.updated) => {
                    return Err(Failure::of(one.refusal()));
                }
                _ => {}
            }
            let Some(changed) = changed(&current.body, edit, &given)? else {
                return of_body(&current.body);
            };
            match self.put_meta(type_id, &id, &current, &changed).await {
                Err(failure) if failure.code() == Code::VersionConflict => {}
                done => return of_body(&done?.body),
            }
        }
        Err(Failure::of(Code::WriteRace))
    }

    async fn put_meta(
        &self,
        type_id: TypeId,
        id: &ResourceId,
        current: &Stored,
        changed: &Bytes,
    ) -> Result<Stored, Failure> {
        let identity = Identity {
            type_id,
            id: id.clone(),
            body_id: BodyId::Required,
        };
        let version = Condition::Version(current.version);
        let kept = self.keep_hidden(type_id, id, changed.clone(), Some(version));
        let valid = self.admit(&kept.await?.body, identity).await?;
        let permit = self
            .permit::<Update>(Target::Instance(type_id, id.clone()))
            .await?;
        let write = Write::Put {
            permit,
            or_create: None,
            resource: self.store.prepare(valid),
            condition: Some(version),
            method: Method::Patch,
        };
        let written = self.commit_one(write, None).await?;
        let stored = written.stored.ok_or(Failure::of(Code::Internal))?;
        Ok(stored.into_inner())
    }

    /// The Meta in the parameter `meta`, as text.
    fn given_meta(&self, body: &Bytes) -> Result<String, Failure> {
        if crate::interaction::admit::is_blank(body) {
            return Err(Failure::of(Code::BodyEmpty));
        }
        let depth_max = usize::try_from(self.limits().json_depth_max).unwrap_or(usize::MAX);
        let doc = parameters::parse(body, depth_max)?;
        let mut given = parameters::named(&doc, "meta").map(|p| p.get("valueMeta"));
        match (given.next(), given.next()) {
            (Some(Some(meta)), None) if meta.kind() == Kind::Object => Ok(meta.raw().to_owned()),
            _ => Err(Failure::new(
                Code::RequestInvalid,
                "one parameter \"meta\" with a valueMeta is expected",
            )),
        }
    }
}

fn found(read: Read) -> Result<Stored, Failure> {
    match read {
        Read::Found(stored) => Ok(stored.into_inner()),
        Read::Deleted(_) => Err(Failure::of(Code::Deleted)),
        Read::Absent => Err(Failure::of(Code::NotFound)),
    }
}

fn of_stored(read: Read) -> Result<Answer, Failure> {
    of_body(&found(read)?.body)
}

fn parsed(body: &[u8]) -> Result<Doc<'_>, Failure> {
    // It was within its limits when it came in.
    json::parse(body, usize::MAX).map_err(|_| Failure::of(Code::Internal))
}

fn of_body(body: &[u8]) -> Result<Answer, Failure> {
    let doc = parsed(body)?;
    let meta = doc.root().get("meta").map_or("{}", Value::raw);
    Ok(document(meta))
}

fn document(meta: &str) -> Answer {
    let text = format!(
        "{{\"resourceType\":\"Parameters\",\"parameter\":[{{\"name\":\"return\",\"valueMeta\":{meta}}}]}}"
    );
    Answer::Document(text.into())
}

fn of_labels(labels: &Labels) -> String {
    let mut out = String::from("{");
    let mut list = |name: &str, items: Vec<String>| {
        if !items.is_empty() {
            let comma = if out.len() > 1 { "," } else { "" };
            let _ = write!(out, "{comma}\"{name}\":[{}]", items.join(","));
        }
    };
    let quoted = |text: &String| {
        let mut out = String::new();
        push_json_string(text, &mut out);
        out
    };
    let coding = |(system, code): &(String, String)| {
        let mut members = Vec::new();
        if !system.is_empty() {
            members.push(format!("\"system\":{}", quoted(system)));
        }
        if !code.is_empty() {
            members.push(format!("\"code\":{}", quoted(code)));
        }
        format!("{{{}}}", members.join(","))
    };
    list("profile", labels.profiles.iter().map(quoted).collect());
    list("security", labels.security.iter().map(coding).collect());
    list("tag", labels.tags.iter().map(coding).collect());
    if out.len() == 1 {
        // An element has content, and the Meta is mandatory.
        out.push_str(
            "\"extension\":[{\"url\":\"http://hl7.org/fhir/StructureDefinition/data-absent-reason\",\
             \"valueCode\":\"not-applicable\"}]",
        );
    }
    out.push('}');
    out
}

/// Whether two items of a set are the same: profiles by their URL, codings by system and code.
fn same(a: Value<'_>, b: Value<'_>) -> bool {
    let part = |v: Value<'_>, name| {
        v.get(name)
            .and_then(Value::as_str)
            .map(std::borrow::Cow::into_owned)
    };
    match (a.kind(), b.kind()) {
        (Kind::Object, Kind::Object) => {
            part(a, "system") == part(b, "system") && part(a, "code") == part(b, "code")
        }
        _ => a.as_str().is_some() && a.as_str() == b.as_str(),
    }
}

/// The resource with its labels changed; `None` if nothing changes.
fn changed(whole: &[u8], edit: Edit, given: &str) -> Result<Option<Bytes>, Failure> {
    let doc = parsed(whole)?;
    let given = json::parse(given.as_bytes(), usize::MAX)
        .map_err(|error| Failure::new(Code::JsonSyntax, error.to_string()))?;
    let given = given.root();
    let root = doc.root();
    let mut changes = false;
    let mut meta = Vec::new();
    let current = root.get("meta");
    for member in current.into_iter().flat_map(Value::members) {
        let name = member.name();
        let of_set = SETS.contains(&name.strip_prefix('_').unwrap_or(&name));
        if !of_set && !matches!(&*name, "versionId" | "lastUpdated") {
            meta.push(format!("\"{name}\":{}", member.value.raw()));
        }
    }
    for set in SETS {
        let own: Vec<Value<'_>> = of_list(current, set).collect();
        let other: Vec<Value<'_>> = of_list(Some(given), set).collect();
        let mut kept: Vec<&str> = Vec::new();
        for item in &own {
            let gone = edit == Edit::Delete && other.iter().any(|o| same(*item, *o));
            changes |= gone;
            if !gone {
                kept.push(item.raw());
            }
        }
        if edit == Edit::Add {
            for (at, item) in other.iter().enumerate() {
                let mut known = own.iter().chain(other.iter().take(at));
                if !known.any(|o| same(*item, *o)) {
                    changes = true;
                    kept.push(item.raw());
                }
            }
        }
        if !kept.is_empty() {
            meta.push(format!("\"{set}\":[{}]", kept.join(",")));
        }
    }
    if !changes {
        return Ok(None);
    }
    let mut out = String::with_capacity(whole.len() + 256);
    for member in root.members().filter(|member| !member.is("meta")) {
        out.push_str(if out.is_empty() { "{" } else { "," });
        push_json_string(&member.name(), &mut out);
        out.push(':');
        out.push_str(member.value.raw());
    }
    if !meta.is_empty() {
        let _ = write!(out, ",\"meta\":{{{}}}", meta.join(","));
    }
    out.push('}');
    Ok(Some(out.into()))
}

fn of_list<'d>(meta: Option<Value<'d>>, name: &str) -> impl Iterator<Item = Value<'d>> {
    meta.and_then(|meta| meta.get(name))
        .into_iter()
        .flat_map(Value::items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sets() {
        let whole = br#"{"resourceType":"Patient","id":"7","meta":{"versionId":"1","lastUpdated":"x","source":"s","tag":[{"system":"a","code":"1","display":"One"}]},"active":true}"#;
        let after = |edit, given: &str| {
            let changed = changed(whole, edit, given).unwrap();
            changed.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        };
        let one = r#"{"tag":[{"system":"a","code":"1"}]}"#;
        assert_eq!(after(Edit::Add, one), None);
        assert_eq!(
            after(Edit::Delete, r#"{"tag":[{"code":"1"}],"profile":["p"]}"#),
            None
        );
        assert_eq!(
            after(Edit::Delete, one).as_deref(),
            Some(r#"{"resourceType":"Patient","id":"7","active":true,"meta":{"source":"s"}}"#)
        );
        let more = r#"{"profile":["p","p"],"tag":[{"system":"a","code":"2"}],"versionId":"9"}"#;
        assert_eq!(
            after(Edit::Add, more).as_deref(),
            Some(
                r#"{"resourceType":"Patient","id":"7","active":true,"meta":{"source":"s","profile":["p"],"tag":[{"system":"a","code":"1","display":"One"},{"system":"a","code":"2"}]}}"#
            )
        );
    }
}
