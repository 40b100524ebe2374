//! Policies of other platforms become a draft in this one's language: Aidbox and Medplum AccessPolicy.
//!
//! What narrows in the document that is read and has no counterpart here is never dropped: the grant
//! that it would narrow is left out, or the whole document is refused. The report says where, and why.
//! Knows nothing of files and of how the draft is put into force.

mod aidbox;
mod medplum;
mod request;
mod uri;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use base::limits::fixed::{
    POLICY_BYTES_MAX, POLICY_GRANTS_MAX, POLICY_IMPORT_BYTES_MAX, POLICY_IMPORT_DEPTH_MAX,
    POLICY_IMPORT_DOCUMENTS_MAX, POLICY_IMPORT_NAME_BYTES_MAX, POLICY_IMPORT_STEPS_MAX,
    POLICY_IMPORT_VALUES_IN_ALL_MAX, POLICY_IMPORT_VALUES_MAX, POLICY_IMPORT_WAYS_MAX,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::compile::{Policy, Surroundings};
use super::document::{Document, Effect, GrantText, PolicyError};
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
    /// Values that were looked at.
    values: usize,
    /// Names of grants, and how many were called so.
    grants: HashMap<String, usize>,
    /// Bytes of grants.
    bytes: usize,
    effort: Effort,
}

/// Comparisons that are left.
struct Effort(Cell<u64>);

impl Default for Effort {
    fn default() -> Self {
        Self(Cell::new(POLICY_IMPORT_STEPS_MAX))
    }
}

impl Effort {
    /// Spends some; whether they were left.
    fn spend(&self, steps: usize) -> bool {
        let left = self.0.get().checked_sub(steps as u64);
        self.0.set(left.unwrap_or(0));
        left.is_some()
    }

    fn is_spent(&self) -> bool {
        self.0.get() == 0
    }

    fn spent(pointer: &str) -> Unmapped {
        let text = format!("more than {POLICY_IMPORT_STEPS_MAX} comparisons in one import");
        Unmapped::new(pointer, text)
    }
}

/// Values and bytes of texts of a document.
fn measured(document: &Value) -> Result<usize, Unmapped> {
    let wrong = |text: String| Err(Unmapped::new("", text));
    let (mut values, mut bytes) = (0, 0);
    let mut open = vec![(document, 0)];
    while let Some((value, depth)) = open.pop() {
        values += 1;
        if values > POLICY_IMPORT_VALUES_MAX {
            return wrong(format!(
                "it has more than {POLICY_IMPORT_VALUES_MAX} values"
            ));
        }
        if depth > POLICY_IMPORT_DEPTH_MAX {
            return wrong(format!(
                "it is nested deeper than {POLICY_IMPORT_DEPTH_MAX}"
            ));
        }
        match value {
            Value::String(text) => bytes += text.len(),
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => {
                for (name, value) in members {
                    let named = depth == 0 && matches!(name.as_str(), "id" | "name");
                    let long = value.as_str().filter(|_| named).map_or(0, str::len);
                    if name.len().max(long) > POLICY_IMPORT_NAME_BYTES_MAX {
                        return wrong(format!(
                            "a name has more than {POLICY_IMPORT_NAME_BYTES_MAX} bytes"
                        ));
                    }
                    bytes += name.len();
                    open.push((value, depth + 1));
                }
            }
            _ => {}
        }
        if bytes > POLICY_IMPORT_BYTES_MAX {
            return wrong(format!("it has more than {POLICY_IMPORT_BYTES_MAX} bytes"));
        }
    }
    Ok(values)
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

    /// Looks how large a document is; an error where it is too large.
    fn measure(&mut self, document: &Value) -> Result<(), Unmapped> {
        self.names.values += measured(document)?;
        match self.names.values > POLICY_IMPORT_VALUES_IN_ALL_MAX {
            true => {
                let text =
                    format!("more than {POLICY_IMPORT_VALUES_IN_ALL_MAX} values in one import");
                Err(Unmapped::new("", text))
            }
            false => Ok(()),
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
        let read = report.measure(policy).and_then(|()| match from {
            ImportFrom::Aidbox => aidbox::read(policy, options, surroundings, &mut report),
            ImportFrom::Medplum => medplum::read(policy, options, surroundings, &mut report),
        });
        let taken =
            read.and_then(|drafts| take(drafts, &mut imported.document, surroundings, &mut report));
        match taken {
            Ok(()) => {}
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
    let short = |text: &&str| text.len() <= POLICY_IMPORT_NAME_BYTES_MAX;
    let member = |name: &str| policy.get(name).and_then(Value::as_str).filter(short);
    let found = member("name").or_else(|| member("id"));
    found.map_or_else(|| format!("policy {}", at + 1), str::to_owned)
}

/// Takes the grants that this tenant understands; the others are left out. All of a document, or none.
fn take(
    drafts: Vec<Draft>,
    document: &mut Document,
    surroundings: &Surroundings<'_>,
    report: &mut Report,
) -> Result<(), Unmapped> {
    let mut made: Vec<Draft> = Vec::new();
    let max = usize::try_from(POLICY_GRANTS_MAX).unwrap_or(usize::MAX);
    let room = max.saturating_sub(document.grants.len());
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
        match problem(&draft, surroundings, report)? {
            None => made.push(draft),
            // What a refusal would narrow is not given without it.
            Some(text) if refuses => return Err(Unmapped::new(&draft.pointer, text)),
            Some(_) => made.extend(by_type(draft, surroundings, report)?),
        }
        if made.len() > room {
            let text = format!("a policy has at most {max} grants");
            return Err(Unmapped::new("", text));
        }
    }
    let bytes = made.iter().map(|draft| bytes(&draft.grant)).sum::<usize>();
    if report.names.bytes + bytes > POLICY_BYTES_MAX {
        let text = format!("a policy has at most {POLICY_BYTES_MAX} bytes");
        return Err(Unmapped::new("", text));
    }
    report.names.bytes += bytes;
    for draft in made {
        let grant = named(draft, report);
        document.grants.push(grant);
    }
    Ok(())
}

/// The same for those of its types that understand it.
fn by_type(
    mut draft: Draft,
    surroundings: &Surroundings<'_>,
    report: &mut Report,
) -> Result<Option<Draft>, Unmapped> {
    let types = std::mem::take(&mut draft.grant.types);
    let mut kept = Vec::new();
    for name in types {
        draft.grant.types = vec![name.clone()];
        match problem(&draft, surroundings, report)? {
            None => kept.push(name),
            Some(text) => {
                let text = format!("{name}: {text}");
                report.add(ImportOutcome::LeftOut, &draft.pointer, text);
            }
        }
    }
    draft.grant.types = kept;
    Ok((!draft.grant.types.is_empty()).then_some(draft))
}

/// Bytes of a grant, about.
fn bytes(grant: &GrantText) -> usize {
    let all = |texts: &[String]| texts.iter().map(|t| t.len() + 4).sum::<usize>();
    let who = &grant.who;
    let lists = [
        &who.roles,
        &who.groups,
        &who.people,
        &who.clients,
        &grant.types,
        &grant.hide,
        &grant.read_only,
        &grant.networks,
    ];
    let texts = [&grant.criteria, &grant.within, &grant.when];
    let texts = texts.into_iter().flatten().map(String::len);
    200 + grant.name.len()
        + lists.iter().map(|list| all(list)).sum::<usize>()
        + texts.sum::<usize>()
}

/// A grant under a name that no other has.
fn named(draft: Draft, report: &mut Report) -> GrantText {
    let mut grant = draft.grant;
    let base = grant.name.clone();
    let called = &mut report.names.grants;
    loop {
        let count = called.entry(base.clone()).or_default();
        *count += 1;
        if *count > 1 {
            grant.name = format!("{base} ({count})");
        }
        // Somebody may have called another one so.
        if grant.name == base || called.get(&grant.name).is_none() {
            break;
        }
    }
    called.entry(grant.name.clone()).or_insert(1);
    let text = format!("grant \"{}\"", grant.name);
    report.add(ImportOutcome::Mapped, &draft.pointer, text);
    grant
}

/// What is wrong with a grant in this tenant.
fn problem(
    draft: &Draft,
    surroundings: &Surroundings<'_>,
    report: &Report,
) -> Result<Option<String>, Unmapped> {
    let grant = &draft.grant;
    let types = match grant.types.iter().any(|t| t == "*") {
        true => surroundings.model.types().count(),
        false => grant.types.len(),
    };
    let asked = 1 + grant.hide.len() + grant.read_only.len();
    let text = grant.criteria.as_ref().map_or(0, String::len);
    if !report
        .names
        .effort
        .spend(bytes(grant) + types * (text + 20 * asked))
    {
        return Err(Effort::spent(&draft.pointer));
    }
    let alone = Document {
        grants: vec![grant.clone()],
        ..Document::default()
    };
    let tried = Document::parse(&alone.to_text())
        .and_then(|document| Policy::new(0, document, surroundings.model))
        .and_then(|policy| policy.check(surroundings));
    let Err(PolicyError(problems)) = tried else {
        return Ok(None);
    };
    let each: Vec<String> = problems
        .iter()
        .map(|p| format!("{}: {}", p.member, p.problem))
        .collect();
    Ok(Some(each.join("; ")))
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
