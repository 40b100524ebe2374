//! A Consent as it is stored becomes what it refuses, by the version of FHIR that it is of.

use base::ResourceId;
use fhir::definitions::{FhirVersion, Model};
use fhir::search::covered;
use serde_json::Value;

use super::{Condition, Consent, Node, Reference, Rule};

/// Nesting of provisions that is looked at.
const DEPTH_MAX: usize = 20;
/// Scopes of consents that are about something else than who may see what.
const OTHER_SCOPES: [&str; 3] = ["adr", "research", "treatment"];
/// The scope of consents about who may see what.
const PRIVACY: &str = "patient-privacy";
/// Categories of consents that are about something else (R5 has no scope).
const OTHER_CATEGORIES: [&str; 7] = ["acd", "dnr", "hcd", "polst", "research", "rsdid", "rsreid"];
/// The code systems of scopes and categories, by their end.
const SCOPES: &str = "/consentscope";
const CATEGORIES: &str = "/consentcategorycodes";

/// It may mean to refuse something, and nobody can be held to it.
pub(super) struct Unheld;

/// What a Consent refuses and opens, in force or later; none where it never does either.
pub(super) fn consent(model: &'static Model, body: &[u8]) -> Result<Option<Consent>, Unheld> {
    let body: Value = serde_json::from_slice(body).map_err(|_| Unheld)?;
    let five = model.version() == FhirVersion::R5;
    let in_force = match text(&body, "status") {
        Some("active") => true,
        Some("unknown") if five => return Err(Unheld),
        _ => false,
    };
    if !in_force || is_about_other(&body, five) {
        return Ok(None);
    }
    // By its end wherever the patient is said to be: a consent only withholds.
    let subject = body.get(if five { "subject" } else { "patient" });
    match subject.and_then(reference) {
        Some(named) if &*named.of == "Patient" => Ok(about(&body, five, named)),
        _ => Err(Unheld),
    }
}

/// Whose it is.
pub(super) fn patient(model: &'static Model, body: &[u8]) -> Option<ResourceId> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let five = model.version() == FhirVersion::R5;
    let subject = body.get(if five { "subject" } else { "patient" })?;
    let named = reference(subject)?;
    (&*named.of == "Patient").then_some(named.id)
}

/// What one about a patient refuses and opens.
fn about(body: &Value, five: bool, patient: Reference) -> Option<Consent> {
    let rule = match five {
        true => r5(body),
        false => r4(body),
    };
    let rule = rule.filter(|rule| is_plain(body) && (!is_for_emergencies(body) || closes(rule)));
    let rule = rule.unwrap_or(Rule::Unclear);
    let opens =
        may_open(body, five).filter(|_| matches!(&rule, Rule::Tree { root, .. } if permits(root)));
    let mut turns: Vec<i64> = opens.into_iter().filter(|from| *from > i64::MIN).collect();
    if let Rule::Tree { base, root } = &rule {
        if opens.is_none() && *base != Some(true) && !denies_somewhere(root) {
            return None;
        }
        turns_of(root, &mut turns);
    }
    turns.sort_unstable();
    turns.dedup();
    Some(Consent {
        patient: patient.id,
        base: patient.base,
        rule,
        opens,
        turns,
    })
}

pub(super) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

pub(super) fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn codings(concept: &Value) -> impl Iterator<Item = (&str, &str)> {
    list(concept, "coding")
        .iter()
        .filter_map(|c| Some((text(c, "system").unwrap_or_default(), text(c, "code")?)))
}

/// Nothing in it changes the meaning of the rest.
pub(super) fn is_plain(value: &Value) -> bool {
    value.get("modifierExtension").is_none() && value.get("implicitRules").is_none()
}

fn is_about_other(body: &Value, five: bool) -> bool {
    if five {
        let mut categories = list(body, "category").iter().flat_map(codings).peekable();
        return categories.peek().is_some()
            && categories.all(|(system, code)| {
                system.ends_with(CATEGORIES) && OTHER_CATEGORIES.contains(&code)
            });
    }
    let scope = body.get("scope");
    let mut scopes = scope.into_iter().flat_map(codings).peekable();
    let other = |(system, code): (&str, &str)| {
        (system.is_empty() || system.ends_with(SCOPES)) && OTHER_SCOPES.contains(&code)
    };
    !is_for_emergencies(body) && scopes.peek().is_some() && scopes.all(other)
}

/// From when on what it permits may open charts: it is about privacy and nothing else, not for emergencies alone,
/// by no policy that is not known, and nothing says that the patient was not asked again.
fn may_open(body: &Value, five: bool) -> Option<i64> {
    let mut categories = list(body, "category").iter().flat_map(codings);
    // In whatever system: it only withholds.
    let other = |code: &str| {
        OTHER_CATEGORIES
            .iter()
            .any(|c| c.eq_ignore_ascii_case(code))
    };
    if categories.any(|(_, code)| other(code)) || is_for_emergencies(body) {
        return None;
    }
    let is_about = match five {
        true => body.get("policyBasis").is_none(),
        false => is_for_privacy(body),
    };
    is_about.then(|| agreed(body, five)).flatten()
}

/// When it was agreed to and verified; none where it was not, or that cannot be read.
fn agreed(body: &Value, five: bool) -> Option<i64> {
    /// A day begins somewhere so long before it begins in UTC.
    const ELSEWHERE: i64 = 14 * 3_600 * 1_000_000;
    let when = |said: &Value| {
        let text = said.as_str()?;
        let low = covered(text)?.low;
        Some(match text.contains('T') {
            true => low,
            false => low.saturating_sub(ELSEWHERE),
        })
    };
    let mut since = i64::MIN;
    if let Some(said) = body.get(if five { "date" } else { "dateTime" }) {
        since = when(said)?;
    }
    for said in list(body, "verification") {
        if !is_plain(said) || said.get("verified").and_then(Value::as_bool) != Some(true) {
            return None;
        }
        // One date, or in R5 several.
        let dates = match said.get("verificationDate") {
            None => &[],
            Some(Value::Array(dates)) => dates.as_slice(),
            Some(date) => std::slice::from_ref(date),
        };
        for date in dates {
            since = since.max(when(date)?);
        }
    }
    Some(since)
}

/// It is about privacy, by no policy that is not known (R4, R4B).
fn is_for_privacy(body: &Value) -> bool {
    let mut scopes = body.get("scope").into_iter().flat_map(codings).peekable();
    let privacy = |(system, code): (&str, &str)| {
        (system.is_empty() || system.ends_with(SCOPES)) && code == PRIVACY
    };
    let of_emergencies = |(_, code): (&str, &str)| code == "EMRGONLY";
    let mut rules = body.get("policyRule").into_iter().flat_map(codings);
    scopes.peek().is_some()
        && scopes.all(privacy)
        && !policy_rule(body).1
        && !rules.any(of_emergencies)
}

/// It, or an exception, permits.
fn permits(node: &Node) -> bool {
    !node.denies || node.exceptions.iter().any(permits)
}

/// Its category says that only emergencies are let in.
fn is_for_emergencies(body: &Value) -> bool {
    let mut categories = list(body, "category").iter().flat_map(codings);
    categories.any(|(_, code)| code == "emrgonly" || code == "EMRGONLY")
}

/// Whether a rule refuses by itself, whatever it permits then.
const fn closes(rule: &Rule) -> bool {
    match rule {
        Rule::Unclear => true,
        Rule::Tree { base, root } => root.denies || matches!(base, Some(true)),
    }
}

fn denies_somewhere(node: &Node) -> bool {
    node.denies || node.exceptions.iter().any(denies_somewhere)
}

fn turns_of(node: &Node, turns: &mut Vec<i64>) {
    for condition in &node.conditions {
        if let Condition::Period(from, until) = condition {
            turns.extend(from.iter().chain(until));
        }
    }
    node.exceptions.iter().for_each(|e| turns_of(e, turns));
}

/// What a reference names: a type, an id, and what stands before them.
pub(super) fn reference(value: &Value) -> Option<Reference> {
    let text = text(value, "reference")?;
    let text = text.split("/_history/").next()?;
    let (rest, id) = text.rsplit_once('/')?;
    let (base, of) = match rest.rsplit_once('/') {
        Some((base, of)) => (Some(base.trim_end_matches('/')), of),
        None => (None, rest),
    };
    Some(Reference {
        base: base.map(Into::into),
        of: of.into(),
        id: ResourceId::new(id).ok()?,
    })
}

/// R4 and R4B: a policy rule, and one provision with exceptions.
fn r4(body: &Value) -> Option<Rule> {
    let (base, unknown) = policy_rule(body);
    let rule = tree(body, base)?;
    // What is not known may refuse what the rest permits.
    let closes = matches!(&rule, Rule::Tree { root, .. } if root.denies);
    (!unknown || closes).then_some(rule)
}

/// What the policy rule says by itself, and whether it or the policies that are named say something that
/// is not known.
fn policy_rule(body: &Value) -> (Option<bool>, bool) {
    let rule = body.get("policyRule");
    let mut base = None;
    let mut unknown = rule.is_some_and(|rule| codings(rule).next().is_none());
    for (system, code) in rule.into_iter().flat_map(codings) {
        let acts =
            system.is_empty() || system.ends_with("v3-ActCode") || system.ends_with("v3/ActCode");
        match code {
            "OPTIN" | "OPTINR" if acts => base = base.or(Some(false)),
            "OPTOUT" | "OPTOUTE" | "EMRGONLY" if acts => base = Some(true),
            _ => unknown = true,
        }
    }
    let mut policies = list(body, "policy").iter();
    unknown |= policies.any(|p| p.get("uri").is_some() || !is_plain(p));
    (base, unknown)
}

fn tree(body: &Value, base: Option<bool>) -> Option<Rule> {
    let Some(provision) = body.get("provision") else {
        let root = Node {
            denies: base?,
            conditions: Vec::new(),
            exceptions: Vec::new(),
        };
        return Some(Rule::Tree { base, root });
    };
    let denies = match (text(provision, "type"), base) {
        (Some("deny"), _) => true,
        (Some("permit"), _) => false,
        (Some(_), _) => return None,
        // The root need not say it: then it is the base of which the others are exceptions.
        (None, Some(base)) => base,
        (None, None) => {
            let kinds = list(provision, "provision").iter().map(|p| text(p, "type"));
            let mut kinds = kinds.peekable();
            kinds.peek()?;
            match kinds.clone().all(|k| k == Some("permit")) {
                true => true,
                false => kinds.all(|k| k == Some("deny")).then_some(false)?,
            }
        }
    };
    let root = node(provision, denies, Some("type"), 0)?;
    Some(Rule::Tree { base, root })
}

/// R5: a decision, and provisions that are exceptions to it, each to the one that it is in.
fn r5(body: &Value) -> Option<Rule> {
    let denies = match text(body, "decision")? {
        "deny" => true,
        "permit" => false,
        _ => return None,
    };
    let mut exceptions = Vec::new();
    for provision in list(body, "provision") {
        exceptions.push(node(provision, !denies, None, 0)?);
    }
    let root = Node {
        denies,
        conditions: period(body, "period").into_iter().collect(),
        exceptions,
    };
    Some(Rule::Tree { base: None, root })
}

/// A provision. `kind`: the member that says whether it refuses; without one exceptions take turns.
fn node(provision: &Value, denies: bool, kind: Option<&str>, depth: usize) -> Option<Node> {
    if depth >= DEPTH_MAX {
        return None;
    }
    let mut node = Node {
        denies,
        conditions: conditions(provision),
        exceptions: Vec::new(),
    };
    for inner in list(provision, "provision") {
        let denies = match kind.map(|kind| text(inner, kind)) {
            None => !denies,
            Some(Some("deny")) => true,
            Some(Some("permit")) => false,
            Some(_) => return None,
        };
        node.exceptions
            .push(self::node(inner, denies, kind, depth + 1)?);
    }
    Some(node)
}

pub(super) fn period(value: &Value, name: &str) -> Option<Condition> {
    let period = value.get(name)?;
    if !says_only(period, &["start", "end"]) {
        return Some(Condition::Unclear);
    }
    let end = |name: &str| match text(period, name) {
        None => Some(None),
        Some(text) => covered(text).map(Some),
    };
    Some(match (end("start"), end("end")) {
        (Some(start), Some(end)) => Condition::Period(start.map(|r| r.low), end.map(|r| r.high)),
        _ => Condition::Unclear,
    })
}

fn conditions(provision: &Value) -> Vec<Condition> {
    let mut all: Vec<Condition> = period(provision, "period").into_iter().collect();
    if !is_plain(provision) {
        all.push(Condition::Unclear);
    }
    for (name, value) in provision.as_object().into_iter().flatten() {
        let found = match name.as_str() {
            // Read above, or says nothing.
            "type" | "period" | "provision" | "id" | "modifierExtension" | "implicitRules" => {
                continue;
            }
            "actor" => actors(provision),
            "action" => codes_of(provision, "action")
                .map(|codes| Condition::Actions(known_codes(codes, &ACTIONS))),
            "purpose" => coding_list(provision, "purpose")
                .map(|codes| Condition::Purposes(known_codes(codes, &PURPOSES))),
            "class" | "resourceType" => types(provision, name),
            "securityLabel" => coding_list(provision, name).map(Condition::Labels),
            "code" => codes_of(provision, "code").map(Condition::Codes),
            "data" => Some(data(provision)),
            "dataPeriod" => data_period(value),
            // Also extensions: what they say is not known.
            _ => None,
        };
        all.push(found.unwrap_or(Condition::Unclear));
    }
    all
}

type Codes = Vec<(Box<str>, Box<str>)>;

/// Codes of a list of Codings; none where one has no code.
fn coding_list(provision: &Value, name: &str) -> Option<Codes> {
    let all = list(provision, name);
    let code = |c: &Value| {
        let system = text(c, "system").unwrap_or_default();
        Some((system.into(), text(c, "code")?.into()))
    };
    (!all.is_empty()).then_some(())?;
    all.iter().map(code).collect()
}

/// Codes of a list of CodeableConcepts; none where one has no code.
fn codes_of(provision: &Value, name: &str) -> Option<Codes> {
    let all = list(provision, name);
    let mut found = Codes::new();
    for concept in all {
        let before = found.len();
        found.extend(codings(concept).map(|(system, code)| (system.into(), code.into())));
        (found.len() > before).then_some(())?;
    }
    (!found.is_empty()).then_some(found)
}

/// The code systems of actions, of purposes and of the roles of actors, by their end.
const ACTIONS: [&str; 1] = ["/consentaction"];
const PURPOSES: [&str; 4] = [
    "/v3-ActReason",
    "/v3/ActReason",
    "/v3-PurposeOfUse",
    "urn:oid:2.16.840.1.113883.5.8",
];
const ROLES: [&str; 9] = [
    "/v3-ParticipationType",
    "/v3/ParticipationType",
    "/v3-RoleCode",
    "/v3/RoleCode",
    "/v3-RoleClass",
    "/v3/RoleClass",
    "/extra-security-role-type",
    "urn:oid:2.16.840.1.113883.5.90",
    "urn:oid:2.16.840.1.113883.5.111",
];

/// Whether a code is of one of these systems, or says none.
fn is_of(system: &str, systems: &[&str]) -> bool {
    system.is_empty() || systems.iter().any(|known| system.ends_with(known))
}

/// Codes alone; those of other systems are none that is known.
fn known_codes(codes: Codes, systems: &[&str]) -> Vec<Box<str>> {
    let one = |(system, code): (Box<str>, Box<str>)| match is_of(&system, systems) {
        true => code,
        false => format!("{system}|{code}").into(),
    };
    codes.into_iter().map(one).collect()
}

/// It says nothing beside these, and nothing in it changes the meaning of the rest.
fn says_only(value: &Value, members: &[&str]) -> bool {
    let mut names = value.as_object().into_iter().flatten();
    names.all(|(name, _)| name == "id" || members.contains(&name.as_str()))
}

/// Who receives: an author or a custodian of data is not who asks for it.
fn actors(provision: &Value) -> Option<Condition> {
    const RECEIVE: [&str; 6] = ["PRCP", "IRCP", "IRCP-PRCP", "PRF", "CAREGIVER", "DELEGATEE"];
    let mut found = Vec::new();
    let mut others = false;
    for actor in list(provision, "actor") {
        let role = actor.get("role");
        let mut codes = role.into_iter().flat_map(codings).peekable();
        let receives = role.is_none()
            || codes.peek().is_some()
                && codes.all(|(system, code)| is_of(system, &ROLES) && RECEIVE.contains(&code));
        let receives = receives && says_only(actor, &["role", "reference"]);
        let known = actor.get("reference").and_then(reference);
        match known.filter(|_| receives) {
            Some(known) => found.push(known),
            None => others = true,
        }
    }
    Some(Condition::Actors(found, others))
}

fn types(provision: &Value, name: &str) -> Option<Condition> {
    const SYSTEMS: [&str; 3] = [
        "http://hl7.org/fhir/resource-types",
        "http://hl7.org/fhir/fhir-types",
        "",
    ];
    let codes = coding_list(provision, name)?;
    let (named, others): (Codes, Codes) = codes
        .into_iter()
        .partition(|(system, _)| SYSTEMS.contains(&&**system));
    let named = named.into_iter().map(|(_, code)| code).collect();
    Some(Condition::Types(named, !others.is_empty()))
}

fn data(provision: &Value) -> Condition {
    let mut found = Vec::new();
    let mut others = false;
    for data in list(provision, "data") {
        let known = data.get("reference").and_then(reference);
        let plain = says_only(data, &["meaning", "reference"]);
        match known.filter(|_| plain && text(data, "meaning") == Some("instance")) {
            Some(known) => found.push(known),
            None => others = true,
        }
    }
    Condition::Data(found, others)
}

fn data_period(value: &Value) -> Option<Condition> {
    let mut criteria = Vec::new();
    for (member, prefix) in [("start", "ge"), ("end", "le")] {
        if let Some(text) = text(value, member) {
            covered(text)?;
            criteria.push(format!("date={prefix}{}", text.replace('+', "%2B")));
        }
    }
    (!criteria.is_empty()).then(|| Condition::DataPeriod(criteria.join("&").into()))
}
