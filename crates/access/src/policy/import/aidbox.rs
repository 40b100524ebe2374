//! Aidbox AccessPolicy: engines `allow`, `matcho`, `json-schema` (the part that says what a member is)
//! and `complex`. A policy there is about a request; here it becomes grants that allow no more.

use base::limits::fixed::POLICY_BYTES_MAX;
use serde_json::Value;

use super::request::{Address, AnyOf, Conditions, grants};
use super::uri::Pattern;
use super::{
    Draft, Effort, ImportOptions, ImportOutcome, Report, Surroundings, Unmapped, bytes, encoded,
    role_name, step,
};

/// Alternatives that one policy may come to.
const ALTERNATIVES_MAX: usize = 100;
/// Nesting of `complex`.
const DEPTH_MAX: usize = 8;

/// Members that say nothing about who may do what.
const SILENT: &[&str] = &[
    "resourceType",
    "id",
    "meta",
    "description",
    "source",
    "module",
    "engine",
    "type",
    "link",
    "roleName",
    "name",
    "text",
    "language",
];

/// What a member of the request is asked for.
#[derive(Clone, Debug)]
enum Asks {
    AnyOf(Vec<String>),
    Regex(String),
    SameAs(String),
    There,
    /// A list contains something that is asked this.
    Contains(Box<Value>),
    /// Its first member is.
    First,
}

/// One condition: the path in the request, what is asked of it, and where that stands.
struct Asked {
    path: Vec<String>,
    asks: Asks,
    pointer: String,
}

type Alternatives = Vec<Conditions>;

pub(super) fn read(
    policy: &Value,
    options: &ImportOptions,
    surroundings: &Surroundings<'_>,
    report: &mut Report,
) -> Result<Vec<Draft>, Unmapped> {
    if policy.get("resourceType").and_then(Value::as_str) != Some("AccessPolicy") {
        return Err(Unmapped::new("", "it is no AccessPolicy"));
    }
    if let Some(kind) = policy.get("type").and_then(Value::as_str)
        && kind != "rest"
    {
        let text = format!("policies of type {kind} are not about resources here");
        return Err(Unmapped::new("/type", text));
    }
    let mut reading = Reading { options, report };
    let of_engine = reading.engine(policy, "", SILENT, 0)?;
    let of_role = reading.role(policy)?;
    let linked = reading.links(policy)?;
    let ways = linked.len().saturating_mul(of_engine.len());
    reading.report.look(ways, "")?;
    let name = policy.get("id").and_then(Value::as_str);
    let name = name.map_or_else(|| report.document.clone(), str::to_owned);
    let mut drafts: Vec<Draft> = Vec::new();
    let (mut known, mut taken) = (0, 0);
    for (pointer, link) in linked {
        for conditions in &of_engine {
            let whole = conditions.and(&of_role).and_then(|c| c.and(&link));
            let Some(whole) = whole else {
                let text = "conditions that cannot be put together";
                report.add(ImportOutcome::LeftOut, &pointer, text);
                continue;
            };
            let patched = options
                .names
                .get("FhirPatch")
                .is_some_and(|n| n == "update");
            let effort = &report.names.effort;
            let made = grants(
                &whole,
                &name,
                &pointer,
                patched,
                (surroundings.model, effort),
            );
            if report.names.effort.is_spent() {
                return Err(Effort::spent(&pointer));
            }
            let updates = |draft: &Draft| says(draft, "update");
            if !patched && whole.lets_method("put") && !made.iter().any(updates) {
                let text = "PATCH is an update here: updates are left out of what does not let it, but with FhirPatch=update";
                report.add(ImportOutcome::LeftOut, &pointer, text);
            }
            if made.is_empty() {
                let text = "it allows no request on resources that is known here";
                report.add(ImportOutcome::LeftOut, &pointer, text);
            }
            note(&made, report);
            drafts.extend(made);
            let bytes = drafts.iter().skip(known).map(|draft| bytes(&draft.grant));
            taken += bytes.sum::<usize>();
            known = drafts.len();
            if taken > 4 * POLICY_BYTES_MAX {
                let text = format!("a policy has at most {POLICY_BYTES_MAX} bytes");
                return Err(Unmapped::new("", text));
            }
        }
    }
    Ok(drafts)
}

fn says(draft: &Draft, action: &str) -> bool {
    match &draft.grant.actions {
        super::super::document::Actions::Words(words) => words.iter().any(|w| w == action),
        super::super::document::Actions::Letters(_) => false,
    }
}

/// Differences of the two platforms that a reader should know of.
fn note(made: &[Draft], report: &mut Report) {
    for draft in made {
        if says(draft, "read") {
            let text = "reading an old version is reading here";
            report.add(ImportOutcome::Assumed, &draft.pointer, text);
        }
        if says(draft, "update") {
            let text = "PATCH is an update here";
            report.add(ImportOutcome::Assumed, &draft.pointer, text);
        }
        if draft.grant.who.anyone {
            let text = "it is given to whoever is recognised; nobody is let in here without";
            report.add(ImportOutcome::Assumed, &draft.pointer, text);
        }
    }
}

struct Reading<'a> {
    options: &'a ImportOptions,
    report: &'a mut Report,
}

impl Reading<'_> {
    /// What an engine says, as alternatives of conditions.
    fn engine(
        &mut self,
        policy: &Value,
        pointer: &str,
        silent: &[&str],
        depth: usize,
    ) -> Result<Alternatives, Unmapped> {
        let engine = policy.get("engine").and_then(Value::as_str);
        let engine = engine.unwrap_or_default();
        let own: &[&str] = match engine {
            "allow" => &[],
            "matcho" => &["matcho"],
            "json-schema" => &["schema"],
            "complex" => &["and", "or"],
            "sql" => {
                let text = "an SQL query cannot be read here";
                return Err(Unmapped::new(&step(pointer, "sql"), text));
            }
            other => {
                let text = format!("the engine \"{other}\" has no counterpart here");
                return Err(Unmapped::new(&step(pointer, "engine"), text));
            }
        };
        let members = policy.as_object().into_iter().flatten();
        for (name, _) in members {
            if !silent.contains(&name.as_str()) && !own.contains(&name.as_str()) {
                let text = format!("\"{name}\" is not known beside the engine {engine}");
                return Err(Unmapped::new(&step(pointer, name), text));
            }
        }
        match engine {
            "allow" => Ok(vec![Conditions::default()]),
            "complex" => self.complex(policy, pointer, depth),
            "matcho" => {
                let pointer = step(pointer, "matcho");
                let pattern = policy.get("matcho");
                let pattern = pattern.ok_or_else(|| Unmapped::new(&pointer, "it is missing"))?;
                let asked = matcho(pattern, &[], &pointer)?;
                self.conditions(asked)
            }
            _ => {
                let pointer = step(pointer, "schema");
                let schema = policy.get("schema");
                let schema = schema.ok_or_else(|| Unmapped::new(&pointer, "it is missing"))?;
                let mut asked = Vec::new();
                json_schema(schema, &[], &pointer, &mut asked)?;
                self.conditions(asked)
            }
        }
    }

    fn complex(
        &mut self,
        policy: &Value,
        pointer: &str,
        depth: usize,
    ) -> Result<Alternatives, Unmapped> {
        if depth >= DEPTH_MAX {
            return Err(Unmapped::new(pointer, "it is nested too deep"));
        }
        let (all, any) = (policy.get("and"), policy.get("or"));
        let (name, list) = match (all, any) {
            (Some(list), None) => ("and", list),
            (None, Some(list)) => ("or", list),
            _ => {
                return Err(Unmapped::new(
                    pointer,
                    "one of \"and\" and \"or\" is expected",
                ));
            }
        };
        let pointer = step(pointer, name);
        let list = list.as_array().filter(|l| !l.is_empty());
        let list = list.ok_or_else(|| Unmapped::new(&pointer, "a list is expected"))?;
        let mut found: Alternatives = match name {
            "and" => vec![Conditions::default()],
            _ => Vec::new(),
        };
        for (at, part) in list.iter().enumerate() {
            let place = format!("{pointer}/{at}");
            let silent = &["engine", "description", "id"];
            let part = self.engine(part, &place, silent, depth + 1);
            match (name, part) {
                ("and", part) => {
                    let part = part?;
                    let pairs = found
                        .iter()
                        .flat_map(|a| part.iter().map(move |b| a.and(b)));
                    let pairs: Option<Vec<Conditions>> = pairs.collect();
                    let text = "conditions that cannot be put together";
                    found = pairs.ok_or_else(|| Unmapped::new(&place, text))?;
                }
                (_, Ok(part)) => found.extend(part),
                // Without one alternative less is given.
                (_, Err(why)) => self
                    .report
                    .add(ImportOutcome::LeftOut, &why.pointer, why.text),
            }
            if found.len() > ALTERNATIVES_MAX {
                return Err(Unmapped::new(&place, "too many alternatives"));
            }
        }
        Ok(found)
    }

    /// `roleName`: it is about those who hold the role.
    fn role(&mut self, policy: &Value) -> Result<Conditions, Unmapped> {
        let mut conditions = Conditions::default();
        if let Some(name) = policy.get("roleName") {
            let name = name.as_str();
            let name = name.ok_or_else(|| Unmapped::new("/roleName", "a name is expected"))?;
            conditions
                .roles
                .push([self.named(name, "/roleName")?].into());
        } else if let Some(role) = &self.options.role {
            conditions.roles.push([role.clone()].into());
        }
        Ok(conditions)
    }

    fn named(&mut self, role: &str, pointer: &str) -> Result<String, Unmapped> {
        let here = self
            .report
            .role(self.options, role, &role_name(role), pointer)?;
        let text = format!("the role \"{role}\" is \"{here}\" here, wherever it is held");
        self.report.add(ImportOutcome::Assumed, pointer, text);
        Ok(here)
    }

    /// Each link by itself: a policy counts for whoever, and whatever, one of them names.
    fn links(&mut self, policy: &Value) -> Result<Vec<(String, Conditions)>, Unmapped> {
        let Some(links) = policy.get("link") else {
            return Ok(vec![(String::new(), Conditions::default())]);
        };
        let list = links.as_array();
        let list = list.ok_or_else(|| Unmapped::new("/link", "a list is expected"))?;
        if list.is_empty() {
            return Ok(vec![(String::new(), Conditions::default())]);
        }
        let mut found = Vec::new();
        for (at, link) in list.iter().enumerate() {
            let pointer = format!("/link/{at}");
            let member = |name: &str| link.get(name).and_then(Value::as_str);
            let reference = member("reference").and_then(|r| r.split_once('/'));
            let Some((kind, id)) = reference.or_else(|| member("resourceType").zip(member("id")))
            else {
                let text = "a link that names nothing";
                self.report.add(ImportOutcome::LeftOut, &pointer, text);
                continue;
            };
            let mut conditions = Conditions::default();
            if let Err(why) = named_by(id, &pointer) {
                self.report.add(ImportOutcome::LeftOut, &pointer, why.text);
                continue;
            }
            match kind {
                "User" => conditions.people = Some([self.known("User", id, &pointer)?].into()),
                "Client" => conditions.clients = Some([self.known("Client", id, &pointer)?].into()),
                "Operation" => conditions.operations = Some([id.to_owned()].into()),
                other => {
                    let text = format!("links to {other} have no counterpart here");
                    self.report.add(ImportOutcome::LeftOut, &pointer, text);
                    continue;
                }
            }
            found.push((pointer, conditions));
        }
        Ok(found)
    }

    /// The id here of a user or a client there.
    fn known(&mut self, kind: &str, id: &str, pointer: &str) -> Result<String, Unmapped> {
        let name = format!("{kind}/{id}");
        named_by(id, pointer)?;
        Ok(match self.options.names.get(&name) {
            Some(here) => {
                named_by(here, pointer)?;
                here.clone()
            }
            None => {
                let text = format!(
                    "{name} is named by the same id here: give it another name with {name}=…"
                );
                self.report.add(ImportOutcome::Assumed, pointer, text);
                id.to_owned()
            }
        })
    }

    /// What a path of the request stands for, among the variables of criteria.
    fn variable(&mut self, path: &str, pointer: &str) -> Result<String, Unmapped> {
        let dotted = format!(".{}", path.trim_start_matches('.'));
        if let Some(here) = self.options.names.get(&dotted) {
            return Ok(here.clone());
        }
        let known = match dotted.as_str() {
            ".user.id" => "%user.id",
            ".client.id" => "%client.id",
            ".user.fhirUser.id" => "%user.fhirUser.id",
            ".user.fhirUser.reference" => "%user.fhirUser",
            ".user.data.patient_id"
            | ".user.data.patientId"
            | ".user.data.patient"
            | ".user.data.patient.id" => "%user.patient.id",
            ".user.data.practitioner_id"
            | ".user.data.practitionerId"
            | ".user.data.practitioner"
            | ".user.data.practitioner.id" => "%user.practitioner.id",
            _ => {
                let text =
                    format!("what {dotted} stands for here is not known: say it with {dotted}=…");
                return Err(Unmapped::new(pointer, text));
            }
        };
        let text = format!("{dotted} is {known}");
        self.report.add(ImportOutcome::Assumed, pointer, text);
        Ok(known.to_owned())
    }

    /// What is asked, as one conjunction.
    fn conditions(&mut self, asked: Vec<Asked>) -> Result<Alternatives, Unmapped> {
        let mut all = Conditions::default();
        for one in asked {
            let found = self.condition(&one)?;
            let text = "conditions that cannot be put together";
            all = all
                .and(&found)
                .ok_or_else(|| Unmapped::new(&one.pointer, text))?;
        }
        Ok(vec![all])
    }

    fn condition(&mut self, asked: &Asked) -> Result<Conditions, Unmapped> {
        let pointer = asked.pointer.as_str();
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        let mut found = Conditions::default();
        let texts = || -> Result<AnyOf, Unmapped> {
            match &asked.asks {
                Asks::AnyOf(all) if all.iter().any(|t| t == EVERY) => {
                    named_by(EVERY, pointer).map(|()| None)
                }
                Asks::AnyOf(all) => Ok(Some(all.iter().cloned().collect())),
                _ => Err(Unmapped::new(
                    pointer,
                    "only what it must be can be read here",
                )),
            }
        };
        match path.as_slice() {
            // Every request has these.
            ["request-method" | "uri" | "remote-addr"] if matches!(asked.asks, Asks::There) => {}
            ["request-method"] => found.methods = texts()?,
            ["uri"] => found.addresses.push(address(&asked.asks, pointer)?),
            ["operation", "id"] => found.operations = texts()?,
            ["params", "resource/type"] => found.types = texts()?,
            ["params", "resource/id"] => {
                let value = match &asked.asks {
                    Asks::SameAs(path) => self.variable(path, pointer)?,
                    _ => listed(&texts()?),
                };
                found.id = Some(format!("_id={value}"));
            }
            ["params", name] => {
                let value = match &asked.asks {
                    Asks::SameAs(path) => whole(self.variable(path, pointer)?, name),
                    _ => listed(&texts()?),
                };
                found.params.insert(search_name(name, pointer)?, value);
            }
            ["user"] if matches!(asked.asks, Asks::There) => found.people = every(),
            ["client"] if matches!(asked.asks, Asks::There) => found.clients = every(),
            ["user", "id"] if matches!(asked.asks, Asks::There) => found.people = every(),
            ["client", "id"] if matches!(asked.asks, Asks::There) => found.clients = every(),
            ["user", "id"] => found.people = Some(self.ids("User", texts()?, pointer)?),
            ["client", "id"] => found.clients = Some(self.ids("Client", texts()?, pointer)?),
            ["user", "roles" | "role"]
            | ["user", "data", "roles" | "role"]
            | ["session", "role" | "roles"] => {
                found.people = every();
                found.roles.push(self.roles(&asked.asks, pointer)?);
            }
            // There it is compared as text: a network is no address.
            ["remote-addr"] => {
                let all = texts()?;
                let mut each = all.iter().flatten();
                if !each.all(|a| a.parse::<std::net::IpAddr>().is_ok()) {
                    let text = "single addresses only are understood here";
                    return Err(Unmapped::new(pointer, text));
                }
                found.networks = all;
            }
            other => {
                let text = format!("a condition on {} has no counterpart here", other.join("."));
                return Err(Unmapped::new(pointer, text));
            }
        }
        Ok(found)
    }

    fn ids(
        &mut self,
        kind: &str,
        ids: AnyOf,
        pointer: &str,
    ) -> Result<std::collections::BTreeSet<String>, Unmapped> {
        let ids = ids.into_iter().flatten();
        ids.map(|id| self.known(kind, &id, pointer)).collect()
    }

    fn roles(
        &mut self,
        asks: &Asks,
        pointer: &str,
    ) -> Result<std::collections::BTreeSet<String>, Unmapped> {
        let of_value = |value: &Value| {
            let member = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
            let only = value.as_object().is_none_or(|o| o.len() == 1);
            let text = value.as_str().map(str::to_owned);
            let text = text.or_else(|| member("value")).or_else(|| member("name"));
            text.filter(|t| only && is_plain(t))
        };
        let names = match asks {
            Asks::AnyOf(names) => Some(names.clone()),
            Asks::Contains(value) => of_value(value).map(|name| vec![name]),
            // Of several roles it asks for the first; here they have no order.
            _ => None,
        };
        let text = "only the names of roles can be read here";
        let names = names.ok_or_else(|| Unmapped::new(pointer, text))?;
        names.iter().map(|n| self.named(n, pointer)).collect()
    }
}

/// What stands for whoever there is in a grant; elsewhere it is a name like others.
const EVERY: &str = "*";

fn every() -> AnyOf {
    Some([EVERY.to_owned()].into())
}

fn named_by(name: &str, pointer: &str) -> Result<(), Unmapped> {
    match name == EVERY {
        true => Err(Unmapped::new(
            pointer,
            "\"*\" is a name there, and would be everybody here",
        )),
        false => Ok(()),
    }
}

fn listed(texts: &AnyOf) -> String {
    let each = texts.iter().flatten().map(|t| encoded(t));
    each.collect::<Vec<_>>().join(",")
}

/// A parameter that refers is compared with the whole reference: an id alone is any type's.
fn whole(variable: String, name: &str) -> String {
    match variable.strip_suffix(".id") {
        Some(reference)
            if name != "_id" && reference.starts_with("%user.") && reference != "%user" =>
        {
            reference.to_owned()
        }
        _ => variable,
    }
}

fn search_name(name: &str, pointer: &str) -> Result<String, Unmapped> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.');
    let results = matches!(
        name,
        "_include"
            | "_revinclude"
            | "_sort"
            | "_count"
            | "_elements"
            | "_summary"
            | "_page"
            | "_total"
    );
    match name.chars().all(plain) && !results {
        true => Ok(name.to_owned()),
        false => Err(Unmapped::new(
            pointer,
            format!("\"{name}\" is no condition of a search"),
        )),
    }
}

fn address(asks: &Asks, pointer: &str) -> Result<Address, Unmapped> {
    match asks {
        // A character that no address has stands for ids here.
        Asks::AnyOf(all) if all.iter().any(|t| t.contains(char::is_control)) => Err(Unmapped::new(
            pointer,
            "an address has no control characters",
        )),
        Asks::AnyOf(all) => Ok(Address::Is(all.iter().cloned().collect())),
        Asks::Regex(text) => match Pattern::read(text) {
            Some(pattern) => Ok(Address::Finds(vec![pattern])),
            None => Err(Unmapped::new(
                pointer,
                "this regular expression is not understood here",
            )),
        },
        _ => Err(Unmapped::new(
            pointer,
            "this condition on the address is not understood here",
        )),
    }
}

/// A text that is itself: no pattern.
fn is_plain(text: &str) -> bool {
    !text.starts_with(['#', '.']) && !text.ends_with('?')
}

/// A matcho pattern, flattened.
fn matcho(pattern: &Value, path: &[String], pointer: &str) -> Result<Vec<Asked>, Unmapped> {
    let one = |asks: Asks| {
        vec![Asked {
            path: path.to_vec(),
            asks,
            pointer: pointer.to_owned(),
        }]
    };
    match pattern {
        Value::String(text) if text == "present?" || text == "not-blank?" => Ok(one(Asks::There)),
        Value::String(text) if text.ends_with('?') => Err(Unmapped::new(
            pointer,
            format!("\"{text}\" cannot be asked here"),
        )),
        Value::String(text) => Ok(one(match text.strip_prefix('#') {
            Some(regex) => Asks::Regex(regex.to_owned()),
            None if text.starts_with('.') => Asks::SameAs(text.clone()),
            None => Asks::AnyOf(vec![text.clone()]),
        })),
        Value::Number(_) | Value::Bool(_) => Ok(one(Asks::AnyOf(vec![pattern.to_string()]))),
        Value::Array(list) => match list.as_slice() {
            [_] => Ok(one(Asks::First)),
            _ => Err(Unmapped::new(
                pointer,
                "a list of several has an order, which is not known here",
            )),
        },
        Value::Null => Err(Unmapped::new(pointer, "nothing is asked")),
        Value::Object(members) => {
            let special: Vec<&String> = members.keys().filter(|k| k.starts_with('$')).collect();
            if special.is_empty() {
                let mut all = match path.is_empty() {
                    true => Vec::new(),
                    false => one(Asks::There),
                };
                // What is asked of a member says that it is there.
                if !members.is_empty() {
                    all.clear();
                }
                for (name, value) in members {
                    let mut inner = path.to_vec();
                    inner.push(name.clone());
                    all.extend(matcho(value, &inner, &step(pointer, name))?);
                }
                return Ok(all);
            }
            let [name] = special.as_slice() else {
                return Err(Unmapped::new(
                    pointer,
                    "several operators at once are not understood here",
                ));
            };
            if members.len() > 1 {
                return Err(Unmapped::new(
                    pointer,
                    "an operator beside members is not understood here",
                ));
            }
            let pointer = step(pointer, name);
            let value = members.get(name.as_str()).unwrap_or(&Value::Null);
            let asks = match (name.as_str(), value) {
                ("$enum" | "$one-of", Value::Array(all)) => {
                    let text = |v: &Value| v.as_str().map(str::to_owned);
                    let texts: Option<Vec<String>> = all.iter().map(text).collect();
                    let patterns = *name == "$one-of";
                    let plain = |all: &Vec<String>| !patterns || all.iter().all(|t| is_plain(t));
                    texts.filter(plain).map(Asks::AnyOf)
                }
                ("$contains", value) => Some(Asks::Contains(Box::new(value.clone()))),
                ("$present?", Value::Bool(true)) => Some(Asks::There),
                _ => None,
            };
            let text = format!("the operator {name} is not understood here");
            let asks = asks.ok_or_else(|| Unmapped::new(&pointer, text))?;
            Ok(vec![Asked {
                path: path.to_vec(),
                asks,
                pointer,
            }])
        }
    }
}

/// The part of JSON Schema that says what a member is. What is said of a member that may be missing is
/// taken as if it must be there.
fn json_schema(
    schema: &Value,
    path: &[String],
    pointer: &str,
    asked: &mut Vec<Asked>,
) -> Result<(), Unmapped> {
    let members = schema.as_object();
    let members = members.ok_or_else(|| Unmapped::new(pointer, "a schema is expected"))?;
    let mut ask = |asks: Asks, pointer: String| {
        asked.push(Asked {
            path: path.to_vec(),
            asks,
            pointer,
        });
    };
    let mut nested: Vec<Asked> = Vec::new();
    let mut required = Vec::new();
    for (name, value) in members {
        let place = step(pointer, name);
        let wrong = |text: &str| Unmapped::new(&place, text);
        match name.as_str() {
            "$schema" | "$id" | "title" | "description" | "default" | "examples" | "$comment" => {}
            "type" => match value.as_str() {
                Some("object" | "string") => {}
                _ => return Err(wrong("only objects and strings are understood here")),
            },
            "const" | "constant" => match value {
                Value::String(text) => ask(Asks::AnyOf(vec![text.clone()]), place),
                _ => return Err(wrong("only a text is understood here")),
            },
            "enum" => {
                let all = value
                    .as_array()
                    .ok_or_else(|| wrong("a list is expected"))?;
                let texts = all.iter().map(|v| v.as_str().map(str::to_owned));
                let texts: Option<Vec<String>> = texts.collect();
                ask(
                    Asks::AnyOf(texts.ok_or_else(|| wrong("only texts are understood here"))?),
                    place,
                );
            }
            "pattern" => match value {
                Value::String(text) => ask(Asks::Regex(text.clone()), place),
                _ => return Err(wrong("a pattern is a text")),
            },
            "required" => {
                let all = value
                    .as_array()
                    .ok_or_else(|| wrong("a list is expected"))?;
                for name in all {
                    let name = name.as_str().ok_or_else(|| wrong("names are expected"))?;
                    required.push((name.to_owned(), place.clone()));
                }
            }
            "properties" => {
                let all = value
                    .as_object()
                    .ok_or_else(|| wrong("members are expected"))?;
                for (member, inner) in all {
                    let mut path = path.to_vec();
                    path.push(member.clone());
                    let mut found = Vec::new();
                    json_schema(inner, &path, &step(&place, member), &mut found)?;
                    nested.extend(found);
                }
            }
            "allOf" => {
                let all = value
                    .as_array()
                    .ok_or_else(|| wrong("a list is expected"))?;
                for (at, part) in all.iter().enumerate() {
                    let mut found = Vec::new();
                    json_schema(part, path, &format!("{place}/{at}"), &mut found)?;
                    nested.extend(found);
                }
            }
            other => {
                return Err(wrong(&format!(
                    "the keyword \"{other}\" is not understood here"
                )));
            }
        }
    }
    for (name, pointer) in required {
        let mut inner = path.to_vec();
        inner.push(name);
        // Whatever is asked of it says that it is there.
        if !nested.iter().any(|a| a.path.starts_with(&inner)) {
            nested.push(Asked {
                path: inner,
                asks: Asks::There,
                pointer,
            });
        }
    }
    asked.extend(nested);
    Ok(())
}
