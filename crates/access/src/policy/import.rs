//! Policies of other platforms become a draft in this one's language: Aidbox and Medplum AccessPolicy.
//!
//! What narrows in the document that is read and has no counterpart here is never dropped: the grant
//! that it would narrow is left out, or the whole document is refused. The report says where, and why.
//! Knows nothing of files and of how the draft is put into force.

mod aidbox;
mod medplum;
mod request;
mod uri;

use std::collections::BTreeMap;

use base::limits::fixed::{POLICY_GRANTS_MAX, POLICY_IMPORT_DOCUMENTS_MAX, POLICY_IMPORT_WAYS_MAX};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::compile::{Policy, Surroundings};
use super::document::{Document, Effect, GrantText};
use crate::person::RoleAt;

/// Whose documents they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportFrom {
    /// Aidbox.
    Aidbox,
    /// Medplum.
    Medplum,
}

/// What only the reader of a policy can know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The role to which a policy is given that names nobody itself; without it, one that is called
    /// after the policy.
    pub role: Option<String>,
    /// What names of the other platform stand for here: `%provider_organization` → `%user.facilities`,
    /// `.user.data.organization_id` → `%user.facilities`, `User/jane` → a person's id, `Client/app` → a
    /// client's, `role/Ward Nurse` → a role's name.
    pub names: BTreeMap<String, String>,
}

/// What became of a part of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportOutcome {
    /// It is in the draft.
    Mapped,
    /// It is in the draft, in a meaning that should be looked at.
    Assumed,
    /// It is not in the draft, and gave nothing or would have given more.
    LeftOut,
    /// Nothing of the document is in the draft.
    Refused,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ImportLine {
    /// Which document: its id, its name or its place.
    pub document: String,
    /// Where in it: a JSON pointer (RFC 6901); empty for the whole.
    pub pointer: String,
    /// What became of it.
    pub outcome: ImportOutcome,
    /// Why, or as what.
    pub text: String,
}

/// A draft, and what became of what it was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The draft.
    pub document: Document,
    /// Line by line.
    pub report: Vec<ImportLine>,
}

/// A report on its way, about one document.
struct Report {
    document: String,
    lines: Vec<ImportLine>,
    known: std::collections::HashSet<ImportLine>,
    names: Names,
}

/// What all documents of an import share.
#[derive(Default)]
struct Names {
    /// Roles here, and what each was called there.
    roles: BTreeMap<String, String>,
    /// Alternatives that were looked at.
    ways: usize,
}

impl Report {
    /// The role here of a name there. Two names there are never one here unless that is said.
    fn role(
        &mut self,
        options: &ImportOptions,
        there: &str,
        here: &str,
        pointer: &str,
    ) -> Result<String, Unmapped> {
        let ask = |why: &str| {
            let text = format!("{why}: say which role it is with role/{there}=…");
            Err(Unmapped::new(pointer, text))
        };
        if let Some(said) = options.names.get(&format!("role/{there}")) {
            if RoleAt::parse(said).is_none_or(|r| r.facility.is_some()) {
                return ask("a role has 1 to 64 of a-z 0-9 - _ .");
            }
            self.names.roles.insert(said.clone(), there.to_owned());
            return Ok(said.clone());
        }
        let own = there.chars().filter(|c| c.is_alphanumeric());
        if here.is_empty() || own.clone().any(|c| !c.is_ascii()) || RoleAt::parse(here).is_none() {
            return ask("no role has such a name here");
        }
        match self.names.roles.get(here) {
            Some(taken) if taken != there => ask(&format!("\"{here}\" is \"{taken}\" already")),
            _ => {
                self.names.roles.insert(here.to_owned(), there.to_owned());
                Ok(here.to_owned())
            }
        }
    }

    /// Counts alternatives; an error where they are too many.
    fn look(&mut self, ways: usize, pointer: &str) -> Result<(), Unmapped> {
        self.names.ways = self.names.ways.saturating_add(ways);
        match self.names.ways > POLICY_IMPORT_WAYS_MAX {
            true => Err(Unmapped::new(
                pointer,
                format!("more than {POLICY_IMPORT_WAYS_MAX} alternatives in one import"),
            )),
            false => Ok(()),
        }
    }

    fn add(&mut self, outcome: ImportOutcome, pointer: &str, text: impl Into<String>) {
        let line = ImportLine {
            document: self.document.clone(),
            pointer: pointer.to_owned(),
            outcome,
            text: text.into(),
        };
        if self.known.insert(line.clone()) {
            self.lines.push(line);
        }
    }
}

/// A grant on its way, and the part of the document that it is of.
struct Draft {
    pointer: String,
    grant: GrantText,
}

/// Why a part of a document has no counterpart, and where it is.
#[derive(Clone, Debug)]
struct Unmapped {
    pointer: String,
    text: String,
}

impl Unmapped {
    fn new(pointer: &str, text: impl Into<String>) -> Self {
        Self {
            pointer: pointer.to_owned(),
            text: text.into(),
        }
    }
}

/// Reads documents of another platform.
pub fn import(
    from: ImportFrom,
    documents: &[Value],
    options: &ImportOptions,
    surroundings: &Surroundings<'_>,
) -> Imported {
    let mut imported = Imported {
        document: Document {
            title: match from {
                ImportFrom::Aidbox => "Imported from Aidbox".to_owned(),
                ImportFrom::Medplum => "Imported from Medplum".to_owned(),
            },
            ..Document::default()
        },
        report: Vec::new(),
    };
    let policies = documents.iter().flat_map(policies_of);
    let mut names = Names::default();
    for (at, policy) in policies.enumerate() {
        let mut report = Report {
            document: name_of(policy, at),
            lines: Vec::new(),
            known: std::collections::HashSet::new(),
            names: std::mem::take(&mut names),
        };
        if at >= POLICY_IMPORT_DOCUMENTS_MAX {
            let text = format!("more than {POLICY_IMPORT_DOCUMENTS_MAX} documents in one import");
            report.add(ImportOutcome::Refused, "", text);
            imported.report.append(&mut report.lines);
            break;
        }
        let read = match from {
            ImportFrom::Aidbox => aidbox::read(policy, options, surroundings, &mut report),
            ImportFrom::Medplum => medplum::read(policy, options, surroundings, &mut report),
        };
        match read {
            Ok(drafts) => take(drafts, &mut imported.document, surroundings, &mut report),
            Err(why) => {
                let text = format!("the whole document is left out: {}", why.text);
                report.add(ImportOutcome::Refused, &why.pointer, text);
            }
        }
        imported.report.append(&mut report.lines);
        names = report.names;
    }
    imported
}

/// A policy, those of a list, those of a Bundle.
fn policies_of(document: &Value) -> Vec<&Value> {
    if let Value::Array(all) = document {
        return all.iter().flat_map(policies_of).collect();
    }
    if document.get("resourceType").and_then(Value::as_str) != Some("Bundle") {
        return vec![document];
    }
    let entries = document.get("entry").and_then(Value::as_array);
    let resources = entries.into_iter().flatten();
    resources.filter_map(|e| e.get("resource")).collect()
}

fn name_of(policy: &Value, at: usize) -> String {
    let member = |name: &str| policy.get(name).and_then(Value::as_str);
    let found = member("name").or_else(|| member("id"));
    found.map_or_else(|| format!("policy {}", at + 1), str::to_owned)
}

/// Takes the grants that this tenant understands; the others are left out.
fn take(
    drafts: Vec<Draft>,
    document: &mut Document,
    surroundings: &Surroundings<'_>,
    report: &mut Report,
) {
    let mut made: Vec<GrantText> = Vec::new();
    for mut draft in drafts {
        let refuses = draft.grant.effect == Effect::Deny;
        // There it is a resource like others.
        let before = draft.grant.types.len();
        draft.grant.types.retain(|t| refuses || t != "AuditEvent");
        if draft.grant.types.len() != before {
            let text = "AuditEvent is the tenant's own trail here: a grant that names it is written by hand";
            report.add(ImportOutcome::LeftOut, &draft.pointer, text);
            if draft.grant.types.is_empty() {
                continue;
            }
        }
        let Some(text) = problem(&draft.grant, surroundings) else {
            made.push(named(draft, document, &made, report));
            continue;
        };
        // What a refusal would narrow is not given without it.
        if refuses {
            let text = format!("the whole document is left out: {text}");
            report.add(ImportOutcome::Refused, &draft.pointer, text);
            return;
        }
        let types = std::mem::take(&mut draft.grant.types);
        let mut kept = Vec::new();
        for name in types {
            draft.grant.types = vec![name.clone()];
            match problem(&draft.grant, surroundings) {
                None => kept.push(name),
                Some(text) => {
                    let text = format!("{name}: {text}");
                    report.add(ImportOutcome::LeftOut, &draft.pointer, text);
                }
            }
        }
        if !kept.is_empty() {
            draft.grant.types = kept;
            made.push(named(draft, document, &made, report));
        }
    }
    let max = usize::try_from(POLICY_GRANTS_MAX).unwrap_or(usize::MAX);
    if document.grants.len() + made.len() > max {
        let text = format!("the whole document is left out: a policy has at most {max} grants");
        report.add(ImportOutcome::Refused, "", text);
        return;
    }
    document.grants.append(&mut made);
}

/// A grant under a name that no other has.
fn named(draft: Draft, document: &Document, made: &[GrantText], report: &mut Report) -> GrantText {
    let mut grant = draft.grant;
    let taken = |name: &str| {
        let mut all = document.grants.iter().chain(made);
        all.any(|g| g.name == name)
    };
    let base = grant.name.clone();
    let mut number = 1;
    while taken(&grant.name) {
        number += 1;
        grant.name = format!("{base} ({number})");
    }
    let text = format!("grant \"{}\"", grant.name);
    report.add(ImportOutcome::Mapped, &draft.pointer, text);
    grant
}

/// What is wrong with a grant in this tenant.
fn problem(grant: &GrantText, surroundings: &Surroundings<'_>) -> Option<String> {
    let alone = Document {
        grants: vec![grant.clone()],
        ..Document::default()
    };
    let tried = Document::parse(&alone.to_text())
        .and_then(|document| Policy::new(0, document, surroundings.model))
        .and_then(|policy| policy.check(surroundings));
    let problems = tried.err()?.0;
    let each: Vec<String> = problems
        .iter()
        .map(|p| format!("{}: {}", p.member, p.problem))
        .collect();
    Some(each.join("; "))
}

/// A member as one step of a JSON pointer.
fn step(pointer: &str, member: &str) -> String {
    format!("{pointer}/{}", member.replace('~', "~0").replace('/', "~1"))
}

/// A name that a role can have.
fn role_name(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        match c {
            'a'..='z' | '0'..='9' | '_' | '.' => out.push(c),
            _ if out.ends_with('-') || out.is_empty() => {}
            _ => out.push('-'),
        }
    }
    out.trim_end_matches('-').to_owned()
}

/// A value of a search, as a query has it.
fn encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'|' | b':') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests;
