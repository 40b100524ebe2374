//! Questions to a terminology that are answered by resources: expansion, validation, lookup,
//! translation (`terminology-service.html`), from what is held.

use std::fmt::Write as _;

use super::{Coded, JSON_DEPTH_MAX, Need, Terms, Unresolved, parts, refused};
use crate::json::{self, Value, push_json_string, write_compact};

/// Parts of Parameters, put together.
struct Parameters(String);

impl Parameters {
    fn new() -> Self {
        Self(String::from(
            "{\"resourceType\":\"Parameters\",\"parameter\":[",
        ))
    }

    fn add(&mut self, part: &str) {
        if self.0.ends_with('}') {
            self.0.push(',');
        }
        self.0.push_str(part);
    }

    fn result(&mut self, result: bool) {
        self.add(&format!(
            "{{\"name\":\"result\",\"valueBoolean\":{result}}}"
        ));
    }

    fn text(&mut self, name: &str, text: &str) {
        self.add(&string(name, text));
    }

    fn finish(mut self) -> String {
        self.0.push_str("]}");
        self.0
    }
}

fn string(name: &str, text: &str) -> String {
    let mut out = format!("{{\"name\":\"{name}\",\"valueString\":");
    push_json_string(text, &mut out);
    out.push('}');
    out
}

impl Terms {
    /// The value set with its expansion; nothing for one that nobody knows here.
    pub(crate) fn expansion(&self, set: &str) -> Result<Option<String>, Unresolved> {
        // Whole systems are listed.
        let Some(members) = self.members(set, true)? else {
            return Ok(None);
        };
        if members.count() > self.codes_max {
            return Err(refused(format!(
                "the value set {set} has too many codes to list"
            )));
        }
        let mut out = String::from("{\"resourceType\":\"ValueSet\",\"url\":");
        push_json_string(set.split('|').next().unwrap_or(set), &mut out);
        let _ = write!(
            out,
            ",\"status\":\"active\",\"expansion\":{{\"total\":{},\"contains\":[",
            members.count()
        );
        let mut comma = "";
        for (system, codes) in &members.0 {
            for code in codes.iter().flatten() {
                out.push_str(comma);
                comma = ",";
                out.push_str("{\"system\":");
                push_json_string(system, &mut out);
                out.push_str(",\"code\":");
                push_json_string(code, &mut out);
                out.push('}');
            }
        }
        out.push_str("]}}");
        Ok(Some(out))
    }

    /// Whether some code is in a value set.
    pub(crate) fn validation(
        &self,
        set: &str,
        codes: &[Coded],
    ) -> Result<Option<String>, Unresolved> {
        Ok(self.member(set, codes)?.map(|found| {
            let mut answer = Parameters::new();
            answer.result(found);
            if !found {
                answer.text("message", "no code of it is in the value set");
            }
            answer.finish()
        }))
    }

    /// Whether some code is one of a code system.
    pub(crate) fn validation_of_system(
        &self,
        system: &str,
        codes: &[Coded],
    ) -> Result<Option<String>, Unresolved> {
        let all = self.code_system(system)?.all();
        let url = system.split('|').next().unwrap_or(system);
        let known = |coded: &Coded| match coded {
            Coded::Coding(of, code) => of == url && all.contains(code),
            Coded::Code(code) | Coded::Text(code) => all.contains(code),
        };
        let mut answer = Parameters::new();
        let found = codes.iter().any(known);
        answer.result(found);
        if !found {
            answer.text("message", "no code of it is in the code system");
        }
        Ok(Some(answer.finish()))
    }

    /// How the first code relates to the second one, as a code of `concept-subsumption-outcome`.
    pub(crate) fn relation(
        &self,
        system: &str,
        left: &[Coded],
        right: &[Coded],
    ) -> Result<Option<String>, Unresolved> {
        let of = |codes: &[Coded]| -> Vec<Coded> {
            let own = |coded: &Coded| match coded {
                Coded::Coding(of, code) if of == system => Some(code.clone()),
                Coded::Coding(..) => None,
                Coded::Code(code) | Coded::Text(code) => Some(code.clone()),
            };
            let own = codes.iter().filter_map(own);
            own.map(|code| Coded::Coding(system.to_owned(), code))
                .collect()
        };
        let (left, right) = (of(left), of(right));
        let all = self.code_system(system)?.all();
        let known = |codes: &[Coded]| {
            codes
                .iter()
                .all(|c| matches!(c, Coded::Coding(_, code) if all.contains(code)))
        };
        if left.is_empty() || right.is_empty() || !known(&left) || !known(&right) {
            return Ok(None);
        }
        let (over, under) = (self.subsumes(&left, &right)?, self.subsumes(&right, &left)?);
        let told = match (over == Some(true), under == Some(true)) {
            (true, true) => "equivalent",
            (true, false) => "subsumes",
            (false, true) => "subsumed-by",
            (false, false) => "not-subsumed",
        };
        Ok(Some(told.to_owned()))
    }

    /// What a code system says about a code; nothing for a code that it does not have.
    pub(crate) fn lookup(&self, system: &str, code: &str) -> Result<Option<String>, Unresolved> {
        // Refuses what is held in part only.
        self.code_system(system)?;
        let Some(bytes) = self.held(Need::CodeSystem(system.to_owned()))? else {
            return Ok(None);
        };
        let unreadable = |_| refused(format!("the code system {system} cannot be read"));
        let document = json::parse(bytes, JSON_DEPTH_MAX).map_err(unreadable)?;
        let root = document.root();
        let text = |of: Value<'_>, name: &str| {
            of.get(name)
                .and_then(Value::as_str)
                .map(std::borrow::Cow::into_owned)
        };
        let Some(concept) = find(root, code) else {
            return Ok(None);
        };
        let mut answer = Parameters::new();
        answer.text(
            "name",
            &text(root, "name").unwrap_or_else(|| system.to_owned()),
        );
        if let Some(version) = text(root, "version") {
            answer.text("version", &version);
        }
        let display = text(concept, "display").unwrap_or_else(|| code.to_owned());
        answer.text("display", &display);
        if let Some(definition) = text(concept, "definition") {
            answer.text("definition", &definition);
        }
        for property in parts(concept, "property") {
            let (mut named, mut valued) = (String::new(), String::new());
            for member in property.members() {
                match &*member.name() {
                    "code" => {
                        named.push_str("{\"name\":\"code\",\"valueCode\":");
                        write_compact(member.value, &mut named);
                        named.push('}');
                    }
                    name if name.starts_with("value") => {
                        let _ = write!(valued, "{{\"name\":\"value\",\"{name}\":");
                        write_compact(member.value, &mut valued);
                        valued.push('}');
                    }
                    _ => {}
                }
            }
            let parts = [named, valued].into_iter().filter(|part| !part.is_empty());
            let part = parts.collect::<Vec<_>>().join(",");
            answer.add(&format!("{{\"name\":\"property\",\"part\":[{part}]}}"));
        }
        Ok(Some(answer.finish()))
    }

    /// What a concept map makes of codes; nothing for a map that is not held.
    pub(crate) fn translation(
        &self,
        map: &str,
        codes: &[Coded],
        version: &str,
    ) -> Result<Option<String>, Unresolved> {
        let Some(bytes) = self.held(Need::ConceptMap(map.to_owned()))? else {
            return Ok(None);
        };
        let unreadable = |_| refused(format!("the concept map {map} cannot be read"));
        let document = json::parse(bytes, JSON_DEPTH_MAX).map_err(unreadable)?;
        // R5 has a relationship where others have an equivalence.
        let how = if version.starts_with('5') {
            "relationship"
        } else {
            "equivalence"
        };
        let (mut matches, mut found) = (Vec::new(), false);
        for group in parts(document.root(), "group") {
            let text = |name: &str| group.get(name).and_then(Value::as_str);
            let source = text("source").unwrap_or_default();
            let source = source.split('|').next().unwrap_or_default().to_owned();
            let target = text("target").unwrap_or_default().into_owned();
            for element in parts(group, "element") {
                let code = element
                    .get("code")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let fits = |coded: &Coded| match coded {
                    Coded::Coding(system, own) => *system == source && **own == *code,
                    Coded::Code(own) | Coded::Text(own) => **own == *code,
                };
                if !codes.iter().any(fits) {
                    continue;
                }
                for to in parts(element, "target") {
                    let (one, holds) = matched(to, &target, how);
                    found |= holds;
                    matches.push(one);
                }
            }
        }
        let mut answer = Parameters::new();
        answer.result(found);
        matches.iter().for_each(|one| answer.add(one));
        Ok(Some(answer.finish()))
    }
}

/// A `match`, and whether it is one that holds.
fn matched(to: Value<'_>, system: &str, how: &str) -> (String, bool) {
    let text = |name: &str| to.get(name).and_then(Value::as_str);
    let relation = text(how).unwrap_or_default();
    let mut coding = String::from("{");
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            let comma = if coding.len() > 1 { "," } else { "" };
            let _ = write!(coding, "{comma}\"{name}\":");
            push_json_string(value, &mut coding);
        }
    };
    let (url, version) = system.split_once('|').unwrap_or((system, ""));
    add("system", url);
    add("version", version);
    add("code", &text("code").unwrap_or_default());
    add("display", &text("display").unwrap_or_default());
    coding.push('}');
    let mut out = String::from("{\"name\":\"match\",\"part\":[");
    if !relation.is_empty() {
        let _ = write!(out, "{{\"name\":\"{how}\",\"valueCode\":");
        push_json_string(&relation, &mut out);
        out.push_str("},");
    }
    let _ = write!(out, "{{\"name\":\"concept\",\"valueCoding\":{coding}}}]}}");
    let holds = !matches!(&*relation, "unmatched" | "disjoint" | "not-related-to");
    (out, holds)
}

/// The concept of a code, however deep.
fn find<'v>(of: Value<'v>, code: &str) -> Option<Value<'v>> {
    let mut next: Vec<Value<'v>> = parts(of, "concept").collect();
    while let Some(concept) = next.pop() {
        let own = concept.get("code").and_then(Value::as_str);
        if own.as_deref() == Some(code) {
            return Some(concept);
        }
        next.extend(parts(concept, "concept"));
    }
    None
}
