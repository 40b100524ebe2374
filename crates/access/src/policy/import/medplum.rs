//! Medplum AccessPolicy: a list of types with criteria, interactions and fields, and rules about
//! addresses.

use std::collections::BTreeSet;

use fhir::definitions::TypeId;
use fhir::resource::mask::Mask;
use serde_json::Value;

use super::super::document::{Actions, Effect, GrantText, Require, Who};
use super::{Draft, ImportOptions, ImportOutcome, Report, Surroundings, Unmapped, role_name, step};

/// Members of a policy that say nothing about who may do what.
const SILENT: &[&str] = &[
    "resourceType",
    "id",
    "meta",
    "name",
    "text",
    "language",
    "resource",
    "ipAccessRule",
    "compartment",
];
/// Members of an entry.
const OF_ENTRY: &[&str] = &[
    "id",
    "resourceType",
    "criteria",
    "compartment",
    "readonly",
    "interaction",
    "hiddenFields",
    "readonlyFields",
    "writeConstraint",
];
/// Every action, in the words of a grant.
const ALL: [&str; 6] = ["create", "read", "update", "delete", "search", "history"];
const LOOKING: [&str; 3] = ["read", "search", "history"];

pub(super) fn read(
    policy: &Value,
    options: &ImportOptions,
    surroundings: &Surroundings<'_>,
    report: &mut Report,
) -> Result<Vec<Draft>, Unmapped> {
    if policy.get("resourceType").and_then(Value::as_str) != Some("AccessPolicy") {
        return Err(Unmapped::new("", "it is no AccessPolicy"));
    }
    for (name, value) in policy.as_object().into_iter().flatten() {
        let empty = value.as_array().is_some_and(Vec::is_empty);
        if !(SILENT.contains(&name.as_str()) || name == "basedOn" && empty) {
            let text = match name.as_str() {
                "basedOn" => "what it is based on may narrow it, and is not here".to_owned(),
                name => format!("\"{name}\" is not known here"),
            };
            return Err(Unmapped::new(&step("", name), text));
        }
    }
    if policy.get("compartment").is_some() {
        let text = "resources that are made are not tagged with a compartment here";
        report.add(ImportOutcome::LeftOut, "/compartment", text);
    }
    let entries = policy.get("resource").and_then(Value::as_array);
    let entries: Vec<&Value> = entries.into_iter().flatten().collect();
    report.look(entries.len(), "/resource")?;
    let who = given_to(policy, options, report)?;
    let rules = addresses(policy, report)?;
    let masks = Masks::of(&entries, surroundings, report)?;
    let name = policy.get("name").and_then(Value::as_str);
    let name = name.map_or_else(|| report.document.clone(), str::to_owned);
    let mut drafts = Vec::new();
    if !rules.blocked.is_empty() {
        drafts.push(Draft {
            pointer: "/ipAccessRule".to_owned(),
            grant: GrantText {
                effect: Effect::Deny,
                networks: rules.blocked.clone(),
                ..grant(&format!("{name}: not from there"), &who, &ALL, "*")
            },
        });
    }
    let around = Around {
        options,
        name: &name,
        who: &who,
        networks: &rules.allowed,
        masks: &masks,
        surroundings,
    };
    for (at, entry) in entries.iter().enumerate() {
        let pointer = format!("/resource/{at}");
        match around.entry(entry, &pointer, report) {
            Ok(draft) => drafts.push(draft),
            Err(why) => report.add(ImportOutcome::LeftOut, &why.pointer, why.text),
        }
    }
    Ok(drafts)
}

fn grant(name: &str, who: &Who, actions: &[&str], type_name: &str) -> GrantText {
    GrantText {
        name: name.to_owned(),
        effect: Effect::Allow,
        who: who.clone(),
        actions: Actions::Words(actions.iter().map(|a| (*a).to_owned()).collect()),
        types: vec![type_name.to_owned()],
        criteria: None,
        within: None,
        by: None,
        hide: Vec::new(),
        read_only: Vec::new(),
        when: None,
        networks: Vec::new(),
        require: Require::default(),
        break_glass: None,
    }
}

/// A policy there names nobody; memberships name it. Here it is given to a role.
fn given_to(policy: &Value, options: &ImportOptions, report: &mut Report) -> Result<Who, Unmapped> {
    let role = match &options.role {
        Some(role) => role.clone(),
        None => {
            let name = policy.get("name").or_else(|| policy.get("id"));
            let there = name.and_then(Value::as_str).unwrap_or_default();
            let name = role_name(there);
            if name.is_empty() {
                return Err(Unmapped::new(
                    "/name",
                    "the policy has no name, and no role is given",
                ));
            }
            report.role(options, there, &format!("medplum-{name}"), "/name")?
        }
    };
    let text = format!("it is given to whoever holds the role \"{role}\"");
    report.add(ImportOutcome::Assumed, "", text);
    Ok(Who {
        roles: vec![role],
        ..Who::default()
    })
}

/// Rules about addresses, without their order: what is blocked anywhere before everything is decided
/// stays blocked.
#[derive(Default)]
struct Rules {
    /// From these only; from everywhere without any.
    allowed: Vec<String>,
    blocked: Vec<String>,
}

fn addresses(policy: &Value, report: &mut Report) -> Result<Rules, Unmapped> {
    let mut rules = Rules::default();
    let Some(list) = policy.get("ipAccessRule") else {
        return Ok(rules);
    };
    let list = list.as_array();
    let list = list.ok_or_else(|| Unmapped::new("/ipAccessRule", "a list is expected"))?;
    for (at, rule) in list.iter().enumerate() {
        let pointer = format!("/ipAccessRule/{at}");
        let member = |name: &str| rule.get(name).and_then(Value::as_str);
        let unknown = rule.as_object().into_iter().flatten();
        let mut unknown =
            unknown.filter(|(n, _)| !["id", "name", "value", "action"].contains(&n.as_str()));
        if let Some((name, _)) = unknown.next() {
            let text = format!("\"{name}\" is not known here");
            return Err(Unmapped::new(&step(&pointer, name), text));
        }
        let (Some(value), Some(action)) = (member("value"), member("action")) else {
            return Err(Unmapped::new(
                &pointer,
                "a value and an action are expected",
            ));
        };
        match (value, action) {
            ("*", "allow") => {
                rules.allowed.clear();
                return Ok(rules);
            }
            ("*", "block") if rules.allowed.is_empty() => {
                return Err(Unmapped::new(&pointer, "nobody is let in from anywhere"));
            }
            ("*", "block") => return Ok(rules),
            (value, "allow") => match value.parse::<base::Network>() {
                Ok(_) => rules.allowed.push(value.to_owned()),
                Err(e) => report.add(ImportOutcome::LeftOut, &pointer, e.to_string()),
            },
            (value, "block") => match value.parse::<base::Network>() {
                Ok(_) => rules.blocked.push(value.to_owned()),
                Err(e) => return Err(Unmapped::new(&pointer, e.to_string())),
            },
            (_, action) => {
                let text = format!("\"{action}\" is no action of a rule");
                return Err(Unmapped::new(&step(&pointer, "action"), text));
            }
        }
    }
    // Past the last rule everybody is let in.
    rules.allowed.clear();
    Ok(rules)
}

/// Fields of all entries together: there the first entry that a resource meets says what of it is shown,
/// here the one that shows most; so every entry of a type hides what any of them hides.
struct Masks {
    hidden: BTreeSet<String>,
    read_only: BTreeSet<String>,
}

impl Masks {
    fn of(
        entries: &[&Value],
        surroundings: &Surroundings<'_>,
        report: &mut Report,
    ) -> Result<Self, Unmapped> {
        let mut masks = Self {
            hidden: BTreeSet::new(),
            read_only: BTreeSet::new(),
        };
        for (at, entry) in entries.iter().enumerate() {
            let type_name = entry.get("resourceType").and_then(Value::as_str);
            for (member, into) in [
                ("hiddenFields", &mut masks.hidden),
                ("readonlyFields", &mut masks.read_only),
            ] {
                let pointer = format!("/resource/{at}/{member}");
                let Some(fields) = entry.get(member) else {
                    continue;
                };
                let wrong = || Unmapped::new(&pointer, "names of fields are expected");
                for field in fields.as_array().ok_or_else(wrong)? {
                    let field = field.as_str().ok_or_else(wrong)?;
                    let of = type_name.filter(|name| *name != "*");
                    let found = match of {
                        Some(name) => element(name, field, surroundings),
                        // Of every type what holds it, if no type has it where it cannot be kept apart.
                        None => of_every(field, surroundings),
                    };
                    let Some(found) = found else {
                        let text = format!("\"{field}\" is no element that can be kept apart here");
                        return Err(Unmapped::new(&pointer, text));
                    };
                    if found != field {
                        let text = format!("\"{field}\" is kept apart with \"{found}\"");
                        report.add(ImportOutcome::Assumed, &pointer, text);
                    }
                    into.insert(match of {
                        Some(name) => format!("{name}.{found}"),
                        None => found,
                    });
                }
            }
        }
        Ok(masks)
    }

    /// Those that are about a type; about any for `*`.
    fn about(
        all: &BTreeSet<String>,
        type_name: &str,
        surroundings: &Surroundings<'_>,
    ) -> Vec<String> {
        let fits = |field: &&String| {
            let of = field.split_once('.').map(|(of, _)| of);
            let of = of.filter(|of| of.starts_with(|c: char| c.is_ascii_uppercase()));
            match of {
                Some(of) => type_name == "*" || of == type_name,
                // Of a type that has no such element there is nothing to hide.
                None => {
                    let type_id = surroundings.model.type_id(type_name);
                    type_id.is_none_or(|id| {
                        Mask::new(surroundings.model, id, [field.as_str()]).is_ok()
                    })
                }
            }
        };
        all.iter().filter(fits).cloned().collect()
    }
}

/// The element of every type that has it; none where some type has it and cannot keep it apart, or none
/// has it.
fn of_every(field: &str, surroundings: &Surroundings<'_>) -> Option<String> {
    let first = field.split('.').next()?;
    // What every resource has is not kept apart.
    const ALWAYS: [&str; 4] = ["id", "meta", "implicitRules", "language"];
    let model = surroundings.model;
    let has = |of: TypeId| Mask::new(model, of, [first]).is_ok();
    let fits = !ALWAYS.contains(&first) && model.types().any(has);
    fits.then(|| first.to_owned())
}

/// An element that can be kept apart, or the one that holds it.
fn element(type_name: &str, field: &str, surroundings: &Surroundings<'_>) -> Option<String> {
    let type_id: Option<TypeId> = surroundings.model.type_id(type_name);
    // Of a type that is not known here nothing is given either.
    let Some(type_id) = type_id else {
        return Some(field.to_owned());
    };
    let mut path = field;
    loop {
        let choice = format!("{path}[x]");
        for tried in [path, choice.as_str()] {
            if Mask::new(surroundings.model, type_id, [tried]).is_ok() {
                return Some(tried.to_owned());
            }
        }
        path = path.rsplit_once('.')?.0;
    }
}

/// What all entries of a policy share.
struct Around<'a> {
    options: &'a ImportOptions,
    name: &'a str,
    who: &'a Who,
    networks: &'a [String],
    masks: &'a Masks,
    surroundings: &'a Surroundings<'a>,
}

impl Around<'_> {
    fn entry(&self, entry: &Value, pointer: &str, report: &mut Report) -> Result<Draft, Unmapped> {
        for (name, _) in entry.as_object().into_iter().flatten() {
            if !OF_ENTRY.contains(&name.as_str()) {
                let text = format!("\"{name}\" is not known here, and may narrow");
                return Err(Unmapped::new(&step(pointer, name), text));
            }
        }
        let type_name = entry.get("resourceType").and_then(Value::as_str);
        let type_name = type_name.ok_or_else(|| Unmapped::new(pointer, "a type is expected"))?;
        let actions = actions(entry, pointer, report)?;
        let (criteria, within) = self.which(entry, type_name, pointer, report)?;
        Ok(Draft {
            pointer: pointer.to_owned(),
            grant: GrantText {
                criteria,
                within,
                hide: Masks::about(&self.masks.hidden, type_name, self.surroundings),
                read_only: Masks::about(&self.masks.read_only, type_name, self.surroundings),
                networks: self.networks.to_vec(),
                ..grant(
                    &format!("{}: {type_name}", self.name),
                    self.who,
                    &actions,
                    type_name,
                )
            },
        })
    }

    /// Criteria and compartment.
    fn which(
        &self,
        entry: &Value,
        type_name: &str,
        pointer: &str,
        report: &mut Report,
    ) -> Result<(Option<String>, Option<String>), Unmapped> {
        let mut within = None;
        if let Some(compartment) = entry.get("compartment") {
            let place = step(pointer, "compartment");
            let reference = compartment.get("reference").and_then(Value::as_str);
            let reference =
                reference.ok_or_else(|| Unmapped::new(&place, "a reference is expected"))?;
            within = Some(self.compartment(reference, &place, report)?);
        }
        let place = step(pointer, "criteria");
        let Some(criteria) = entry.get("criteria") else {
            return Ok((None, within));
        };
        let text = criteria.as_str().and_then(|c| c.split_once('?'));
        let Some((of, query)) = text else {
            return Err(Unmapped::new(
                &place,
                "a type and its criteria are expected",
            ));
        };
        if of != type_name {
            return Err(Unmapped::new(
                &place,
                format!("the criteria are about {of}"),
            ));
        }
        let mut kept = Vec::new();
        for part in query.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if name == "_compartment" {
                if within.is_some() {
                    return Err(Unmapped::new(&place, "several compartments at once"));
                }
                within = Some(self.compartment(value, &place, report)?);
                continue;
            }
            kept.push(format!("{name}={}", self.filled(value, &place, report)?));
        }
        Ok(((!kept.is_empty()).then(|| kept.join("&")), within))
    }

    /// A compartment: here that of a patient only.
    fn compartment(
        &self,
        reference: &str,
        place: &str,
        report: &mut Report,
    ) -> Result<String, Unmapped> {
        if let Some(id) = reference.strip_prefix("Patient/")
            && base::ResourceId::new(id).is_ok()
        {
            return Ok(format!("Patient?_id={id}"));
        }
        let id = match self.filled(reference, place, report)?.as_str() {
            "%user.patient" | "%user.patient.id" | "%user.fhirUser" | "%user.fhirUser.id" => {
                "%user.patient.id"
            }
            "%patient" | "%patient.id" => "%patient.id",
            _ => {
                let text = "only compartments of patients are known here";
                return Err(Unmapped::new(place, text));
            }
        };
        Ok(format!("Patient?_id={id}"))
    }

    /// A value with the variables that are known here.
    fn filled(&self, text: &str, place: &str, report: &mut Report) -> Result<String, Unmapped> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            out.push_str(before);
            let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            let end = after.find(|c| !word(c)).unwrap_or(after.len());
            let (name, tail) = after.split_at(end);
            let name = name.trim_end_matches('.');
            let said = self.options.names.get(&format!("%{name}"));
            let known = match name {
                "profile" => Some("%user.fhirUser"),
                "profile.id" => Some("%user.fhirUser.id"),
                "patient" => Some("%user.patient"),
                "patient.id" => Some("%user.patient.id"),
                _ => None,
            };
            if let Some(here) = said.map(String::as_str).or(known) {
                report.add(ImportOutcome::Assumed, place, format!("%{name} is {here}"));
                out.push_str(here);
                rest = after.get(name.len()..).unwrap_or(tail);
                continue;
            }
            let code: String = after.chars().take(2).collect();
            let encodes = code.len() == 2 && code.bytes().all(|b| b.is_ascii_hexdigit());
            let looks_like_one = name.len() == 2 || name.starts_with(|c: char| c.is_ascii_digit());
            if !encodes || !looks_like_one {
                let text =
                    format!("what %{name} stands for here is not known: say it with %{name}=…");
                return Err(Unmapped::new(place, text));
            }
            out.push('%');
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// The actions of an entry, in the words of a grant.
fn actions(
    entry: &Value,
    pointer: &str,
    report: &mut Report,
) -> Result<Vec<&'static str>, Unmapped> {
    let mut actions: Vec<&'static str> = ALL.to_vec();
    if let Some(list) = entry.get("interaction") {
        let place = step(pointer, "interaction");
        let wrong = || Unmapped::new(&place, "names of interactions are expected");
        let mut named = BTreeSet::new();
        for name in list.as_array().ok_or_else(wrong)? {
            let name = name.as_str().ok_or_else(wrong)?;
            if let Some(action) = ALL.iter().find(|a| **a == name) {
                named.insert(*action);
            } else if name != "vread" {
                let text = format!("the interaction \"{name}\" has no counterpart here");
                report.add(ImportOutcome::LeftOut, &place, text);
            }
        }
        let says_vread = list.as_array().into_iter().flatten().any(|n| n == "vread");
        match (named.contains("read"), says_vread) {
            (true, false) => {
                let text = "reading an old version is reading here";
                report.add(ImportOutcome::Assumed, &place, text);
            }
            (false, true) => {
                let text = "old versions are not read by whoever does not read";
                report.add(ImportOutcome::LeftOut, &place, text);
            }
            _ => {}
        }
        actions.retain(|a| named.contains(a));
        // There it is of one resource that is known; here also of all of a type.
        if named.contains("history") && !named.contains("search") {
            let text = "history is of all of a type here: it is left out without search";
            report.add(ImportOutcome::LeftOut, &place, text);
            actions.retain(|a| *a != "history");
        }
    }
    match entry.get("readonly") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => actions.retain(|a| LOOKING.contains(a)),
        Some(_) => {
            let text = "true or false is expected";
            return Err(Unmapped::new(&step(pointer, "readonly"), text));
        }
    }
    let constrained = entry.get("writeConstraint");
    if constrained.is_some_and(|c| c.as_array().is_none_or(|a| !a.is_empty())) {
        let before = actions.len();
        actions.retain(|a| LOOKING.contains(a));
        if actions.len() != before {
            let text =
                "writes are not held to expressions here: create, update and delete are left out";
            report.add(
                ImportOutcome::LeftOut,
                &step(pointer, "writeConstraint"),
                text,
            );
        }
    }
    if actions.is_empty() {
        return Err(Unmapped::new(pointer, "nothing is left of it"));
    }
    Ok(actions)
}
