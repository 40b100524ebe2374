//! What a policy comes to, read from its text and from resources as JSON, one resource at a time. It shares
//! nothing with what answers requests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value;

use super::text::{By, Grant, LabelsSaid, Needs, Said, Who};
use super::{charts, consents};

/// All resources, by `Type/id`.
pub(super) type Known = BTreeMap<String, Value>;

/// Somebody who asks, as the test made them.
pub(super) struct Caller {
    pub(super) authorization: String,
    /// A role, and the facility where it is held.
    pub(super) roles: Vec<(&'static str, Option<&'static str>)>,
    pub(super) person: Option<String>,
    pub(super) client: String,
    pub(super) groups: &'static [&'static str],
    /// Whether they proved who they are by two factors just now.
    pub(super) strong: bool,
    /// The resource that stands for them.
    pub(super) user: Option<&'static str>,
    pub(super) governed: bool,
    pub(super) scopes: &'static [Scope],
    /// The vendor whose grant bounds them.
    pub(super) vendor: Option<&'static Vendor>,
}

/// A vendor, and what its grant leaves.
pub(super) struct Vendor {
    pub(super) id: &'static str,
    pub(super) scopes: &'static [Scope],
    /// Only what belongs to these; everything if there are none.
    pub(super) facilities: &'static [&'static str],
    pub(super) read_only: bool,
}

/// A type (`*` for all), letters, and which resources.
pub(super) type Scope = (&'static str, &'static str, &'static str, fn(&Value) -> bool);

/// What rights are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    Plain,
    /// What is of many patients at once.
    Bulk,
    Everything,
    LastN,
}

/// What is known of the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) from: IpAddr,
    pub(super) reason: Option<&'static str>,
    /// Microseconds.
    pub(super) now: i64,
}

/// What a criterion may look at beside the resource.
pub(super) struct Asked<'a> {
    pub(super) known: &'a Known,
    pub(super) caller: &'a Caller,
    pub(super) facilities: Vec<&'static str>,
    /// The patient whom the caller opened.
    opened: Option<&'a str>,
}

impl Asked<'_> {
    /// Whether the caller has such a value.
    fn has(&self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing | Needs::Client => true,
            Needs::Facilities => !self.facilities.is_empty(),
            Needs::Practitioner => self.practitioner().is_some(),
            Needs::Patient => self.patient().is_some(),
        }
    }

    pub(super) fn practitioner(&self) -> Option<&'static str> {
        self.caller.user.filter(|u| u.starts_with("Practitioner/"))
    }

    pub(super) fn patient(&self) -> Option<&'static str> {
        self.caller.user.filter(|u| u.starts_with("Patient/"))
    }

    /// Resources of a type.
    pub(super) fn all(&self, of: &str) -> impl Iterator<Item = &Value> {
        self.known.values().filter(move |r| r["resourceType"] == of)
    }

    /// What a reference names.
    pub(super) fn target(&self, from: &Value, path: &str) -> Option<&Value> {
        self.known.get(reference(from, path)?)
    }
}

/// The reference at a JSON pointer without its first `/`.
pub(super) fn reference<'v>(of: &'v Value, path: &str) -> Option<&'v str> {
    of.pointer(&format!("/{path}/reference"))?.as_str()
}

pub(super) fn name(of: &Value) -> String {
    let part = |name: &str| of[name].as_str().unwrap().to_owned();
    format!("{}/{}", part("resourceType"), part("id"))
}

/// Whose chart a resource is in; none for types that are in no chart.
pub(super) fn chart(of: &Value) -> Option<Option<String>> {
    match of["resourceType"].as_str().unwrap() {
        "Patient" => Some(Some(name(of))),
        "Observation" | "Encounter" | "CareTeam" => {
            Some(reference(of, "subject").map(str::to_owned))
        }
        "Consent" => Some(reference(of, "patient").map(str::to_owned)),
        _ => None,
    }
}

/// Whether a type is in charts at all.
fn in_charts(of: &str) -> bool {
    let all = ["Patient", "Observation", "Encounter", "Consent", "CareTeam"];
    all.contains(&of)
}

pub(super) struct Naive<'a> {
    pub(super) known: &'a Known,
    pub(super) policy: &'a Said,
    pub(super) caller: &'a Caller,
    pub(super) facts: Facts,
    pub(super) errand: Errand,
}

/// Elements that are not shown.
pub(super) type Hidden = BTreeSet<&'static str>;

impl<'a> Naive<'a> {
    /// Whether a list names the caller: the roles by which it does, none for another reason.
    fn named(&self, who: &Who) -> Option<Vec<&'static str>> {
        let anyone = who.anyone
            || who.everybody && self.caller.person.is_some()
            || who.every_client
            || who.client.as_ref() == Some(&self.caller.client)
            || who.person.is_some() && who.person == self.caller.person
            || who.groups.iter().any(|g| self.caller.groups.contains(g));
        if anyone {
            return Some(Vec::new());
        }
        let held = |role: &&&'static str| self.caller.roles.iter().any(|(r, _)| r == *role);
        let by: Vec<&'static str> = who.roles.iter().filter(held).copied().collect();
        (!by.is_empty()).then_some(by)
    }

    fn opened(&self) -> Option<&'a str> {
        let opened = self.policy.opened.as_ref();
        let own = opened.filter(|(person, _)| self.caller.person.as_ref() == Some(person));
        own.map(|(_, patient)| patient.as_str())
    }

    fn asked(&self, by: &[&'static str]) -> Asked<'a> {
        let counts = |role: &str| by.is_empty() || by.contains(&role);
        let held = self.caller.roles.iter().filter(|(role, _)| counts(role));
        Asked {
            known: self.known,
            caller: self.caller,
            facilities: held.filter_map(|(_, at)| *at).collect(),
            opened: self.opened(),
        }
    }

    /// Whether a grant holds for the request.
    fn holds(&self, grant: &Grant) -> bool {
        let reasoned = !grant.reason || self.facts.reason.is_some();
        match self.fits(grant) {
            Some(fits) => fits && reasoned,
            None => grant.denies,
        }
    }

    /// Whether the request is one that a grant is about, whatever reason is asked for; none where that cannot
    /// be said.
    fn fits(&self, grant: &Grant) -> Option<bool> {
        let mut unknown = false;
        if grant.network && !matches!(self.facts.from, IpAddr::V4(from) if from.octets()[0] == 10) {
            return Some(false);
        }
        match grant
            .when
            .as_ref()
            .map(|when| (when.says)(self.caller, self.facts))
        {
            Some(Some(false)) => return Some(false),
            Some(None) => unknown = true,
            Some(Some(true)) | None => {}
        }
        (!unknown).then_some(true)
    }

    /// Whether a grant offers the caller to open somebody: for that a reason is given anyway.
    pub(super) fn offers(&self, grant: &Grant) -> bool {
        self.named(&grant.who).is_some() && self.fits(grant) == Some(true)
    }

    /// The same caller on an errand.
    pub(super) fn on(&self, errand: Errand) -> Self {
        Self { errand, ..*self }
    }

    /// Whether a grant is about an action.
    fn names(&self, grant: &Grant, action: char) -> bool {
        let named = |letter: char| grant.actions.contains(letter);
        let reads = matches!(action, 'r' | 's');
        match self.errand {
            Errand::Bulk if reads && grant.denies => named(action) || named('x'),
            Errand::Bulk if reads => named('x'),
            Errand::Everything if reads && !grant.denies => named(action) || named('e'),
            Errand::LastN if action == 's' && !grant.denies => named('s') || named('l'),
            _ => named(action),
        }
    }

    /// Whether an operation is refused by name.
    pub(super) fn refuses(&self, letter: char) -> bool {
        let mut grants = self.policy.grants.iter();
        grants.any(|grant| {
            grant.denies
                && grant.actions.contains(letter)
                && self.named(&grant.who).is_some()
                && self.holds(grant)
        })
    }

    /// Whether something of a kind is exported at all.
    pub(super) fn exports(&self) -> bool {
        let mut grants = self.policy.grants.iter();
        !self.caller.governed
            || grants.any(|grant| {
                !grant.denies && grant.actions.contains('x') && self.named(&grant.who).is_some()
            })
    }

    /// Grants that give an action on a type, or refuse it.
    fn grants(
        &self,
        denies: bool,
        action: char,
        of: &'a str,
    ) -> impl Iterator<Item = (&'a Grant, Asked<'a>)> {
        let grants = self.policy.grants.iter();
        grants.filter_map(move |grant| {
            let fits = grant.denies == denies
                && self.names(grant, action)
                && grant.types.iter().any(|t| matches!(*t, "*") || *t == of)
                && (denies || self.caller.governed);
            let by = fits.then(|| self.named(&grant.who)).flatten()?;
            self.holds(grant).then(|| (grant, self.asked(&by)))
        })
    }

    /// What a grant says of resources of a type: nothing where the caller lacks a value, or the type is
    /// never in a chart.
    fn is_about(grant: &Grant, asked: &Asked<'_>, of: &str) -> bool {
        let criteria = grant.criteria.is_none_or(|c| asked.has(c.needs));
        let within = grant
            .within
            .is_none_or(|w| in_charts(of) && asked.has(w.needs));
        let mut places = asked.facilities.iter();
        let somewhere = places.any(|at| asked.known.contains_key(*at));
        let by = grant.by.is_none_or(|by| match by {
            By::Network => somewhere,
            By::Facility => in_charts(of) && asked.has(Needs::Facilities),
            By::CareTeam => somewhere && in_charts(of) && asked.has(Needs::Practitioner),
            By::Consent => somewhere && in_charts(of),
        });
        criteria && within && by && (!grant.glass || in_charts(of) && asked.opened.is_some())
    }

    /// Whether what opens charts to a grant opens this one for an action.
    fn is_opened(&self, by: By, asked: &Asked<'_>, action: char, to: &Value) -> bool {
        let Some(Some(of)) = chart(to) else {
            return by == By::Network;
        };
        match by {
            By::Network => true,
            By::Facility => charts::of_facilities(asked.known, &asked.facilities, &of, to),
            By::CareTeam => charts::cared_for(asked, &of, self.facts.now),
            By::Consent => self.consents_of(&of).any(|consent| {
                let asking = self.asking_consents();
                asking.is_some_and(|asking| asking.permits(consent, action, to))
            }),
        }
    }

    fn leads(&self, grant: &Grant, asked: &Asked<'_>, action: char, to: &Value) -> bool {
        let by = grant
            .by
            .is_none_or(|by| self.is_opened(by, asked, action, to));
        let criteria = grant.criteria.is_none_or(|c| (c.says)(asked, to));
        // A patient that is written is judged as it is then.
        let within = grant.within.is_none_or(|w| match chart(to) {
            Some(Some(of)) if of == name(to) => (w.says)(asked, to),
            Some(Some(of)) => asked.known.get(&of).is_some_and(|p| (w.says)(asked, p)),
            _ => false,
        });
        let opened = !grant.glass
            || chart(to).is_some_and(|of| of.is_some() && of.as_deref() == asked.opened);
        criteria && within && opened && by
    }

    /// What a scope lets through of a type, if anything.
    fn scoped(&self, action: char, of: &str) -> Vec<&'static Scope> {
        let scopes = self.caller.scopes.iter();
        let fits = |s: &&Scope| (s.0 == "*" || s.0 == of) && s.1.contains(action);
        scopes.filter(fits).collect()
    }

    /// What the vendor's grant leaves of a type: its scopes; none where there is no grant, nothing where it leaves
    /// nothing.
    fn left(&self, action: char, of: &str) -> Option<Vec<&'static Scope>> {
        let vendor = self.caller.vendor?;
        let writes = matches!(action, 'c' | 'u' | 'd');
        let shut = writes && vendor.read_only
            || !vendor.facilities.is_empty() && !charts::may_belong(vendor, writes, of);
        let scopes = vendor.scopes.iter();
        let fits = |s: &&Scope| !shut && (s.0 == "*" || s.0 == of) && s.1.contains(action);
        Some(scopes.filter(fits).collect())
    }

    /// Whether somebody to whom a grant opens charts by resources of a type would write one.
    fn writes_keys(&self, action: char, of: &str) -> bool {
        let grants = self.policy.grants.iter();
        let mut keys = grants.filter(|g| g.by.and_then(By::key) == Some(of));
        matches!(action, 'c' | 'u' | 'd')
            && self.caller.governed
            && keys.any(|g| self.named(&g.who).is_some())
    }

    /// Whether an action on a type is given at all.
    pub(super) fn opens(&self, action: char, of: &'a str) -> bool {
        let given = !self.caller.governed
            || (self.grants(false, action, of)).any(|(g, asked)| Self::is_about(g, &asked, of));
        let refused = self.grants(true, action, of).any(|(g, asked)| {
            !Self::is_about(g, &asked, of) || g.criteria.is_none() && g.within.is_none()
        });
        given
            && !refused
            && !self.scoped(action, of).is_empty()
            && self.left(action, of).is_none_or(|left| !left.is_empty())
            && !self.writes_keys(action, of)
    }

    /// What each way to a resource hides.
    fn ways(&self, action: char, to: &'a Value) -> Vec<Hidden> {
        let of = to["resourceType"].as_str().unwrap();
        if !self.caller.governed {
            return vec![Hidden::new()];
        }
        let grants = self.grants(false, action, of);
        let leading = grants
            .filter(|(g, asked)| Self::is_about(g, asked, of) && self.leads(g, asked, action, to));
        leading.map(|(grant, _)| grant.hidden(of)).collect()
    }

    /// Whether an action reaches a resource.
    pub(super) fn reaches(&self, action: char, to: &'a Value) -> bool {
        let of = to["resourceType"].as_str().unwrap();
        self.opens(action, of)
            && !self.ways(action, to).is_empty()
            && !self
                .grants(true, action, of)
                .any(|(g, asked)| self.leads(g, &asked, action, to))
            && self.scoped(action, of).iter().any(|s| (s.3)(to))
            && self
                .left(action, of)
                .is_none_or(|left| left.iter().any(|s| (s.3)(to)))
            && self
                .caller
                .vendor
                .is_none_or(|v| charts::belongs(self.known, v, to))
            && !self.labelled(to)
            && !self.consented_away(action, to)
    }

    /// What may be hidden of a resource in reach: of two ways the one counts that hides less.
    pub(super) fn masks(&self, action: char, to: &'a Value) -> Vec<Hidden> {
        let ways = self.ways(action, to);
        let more = |way: &Hidden| ways.iter().any(|w| w.len() < way.len() && w.is_subset(way));
        ways.iter().filter(|way| !more(way)).cloned().collect()
    }

    /// What each way to a resource keeps from change.
    pub(super) fn kept(&self, action: char, to: &'a Value) -> Vec<Hidden> {
        let of = to["resourceType"].as_str().unwrap();
        if !self.caller.governed {
            return vec![Hidden::new()];
        }
        let grants = self.grants(false, action, of);
        let leading = grants
            .filter(|(g, asked)| Self::is_about(g, asked, of) && self.leads(g, asked, action, to));
        leading.map(|(grant, _)| grant.kept(of)).collect()
    }

    /// Elements of a type that some way of an action hides, or keeps from change.
    pub(super) fn hides(&self, action: char, of: &'a str) -> Hidden {
        self.some(action, of, |grant| grant.hidden(of))
    }

    pub(super) fn keeps(&self, action: char, of: &'a str) -> Hidden {
        self.some(action, of, |grant| grant.kept(of))
    }

    fn some(&self, action: char, of: &'a str, what: impl Fn(&Grant) -> Hidden) -> Hidden {
        let grants = self.grants(false, action, of);
        let about = grants.filter(|(g, asked)| Self::is_about(g, asked, of));
        about.flat_map(|(grant, _)| what(grant)).collect()
    }

    /// By what a search shows a type: what may be searched, or else what may be read.
    pub(super) fn sight(&self, of: &'a str) -> char {
        if self.opens('s', of) { 's' } else { 'r' }
    }

    /// Whether labels withhold a resource.
    fn labelled(&self, of: &Value) -> bool {
        let Some(said) = &self.policy.labels else {
            return false;
        };
        let empty = Vec::new();
        let labels = of.pointer("/meta/security").and_then(Value::as_array);
        let labels = labels.unwrap_or(&empty);
        let rank = |code: &str| {
            ["U", "L", "M", "N", "R", "V"]
                .iter()
                .position(|m| *m == code)
        };
        let cleared = cleared(said, self.caller);
        let code = |l: &Value| l["code"].as_str().unwrap().to_owned();
        let too_high = labels
            .iter()
            .any(|l| rank(&code(l)).is_some_and(|r| r > cleared));
        let lowered = labels.iter().any(|l| {
            l["system"] == consents::CONFIDENTIALITY && rank(&code(l)).is_some_and(|r| r <= cleared)
        });
        let sensitive = labels.iter().any(|l| {
            let code = code(l);
            let to = said.sensitivity.iter().find(|(kind, _)| *kind == code);
            match to {
                Some((_, role)) => !self.caller.roles.iter().any(|(r, _)| r == role),
                None => matches!(&*code, "HIV" | "PSY" | "SUD"),
            }
        });
        too_high || sensitive || cleared < 3 && !lowered
    }

    fn consented_away(&self, action: char, to: &Value) -> bool {
        let Some(asking) = self.asking_consents() else {
            return false;
        };
        let Some(Some(patient)) = chart(to) else {
            return false;
        };
        if to["resourceType"] == "Consent" || self.caller.user == Some(patient.as_str()) {
            return false;
        }
        let mut theirs = self.consents_of(&patient);
        theirs.any(|consent| asking.refuses(consent, action, to))
    }

    /// What is asked of consents, where they count.
    fn asking_consents(&self) -> Option<consents::Asking<'_>> {
        let purposes = self.policy.consents.as_ref()?;
        Some(consents::Asking {
            known: self.known,
            caller: self.caller,
            purposes,
            now: self.facts.now,
        })
    }

    fn consents_of(&self, patient: &str) -> impl Iterator<Item = &'a Value> {
        let consents = self.known.values();
        let consents = consents.filter(|r| r["resourceType"] == "Consent");
        consents.filter(move |c| reference(c, "patient") == Some(patient))
    }
}

/// How confidential what a caller sees may be.
fn cleared(said: &LabelsSaid, caller: &Caller) -> usize {
    let marks = said.marks.iter();
    let own =
        marks.filter(|(role, _)| *role == "*" || caller.roles.iter().any(|(held, _)| held == role));
    own.map(|(_, rank)| *rank).max().unwrap_or(3)
}
