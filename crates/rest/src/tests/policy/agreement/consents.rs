//! Whom a patient's consent refuses what, asked of one resource at a time.

use std::collections::BTreeMap;

use serde_json::Value;

use super::naive::{Caller, Known, name, reference};

pub(super) const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";

pub(super) struct Asking<'a> {
    pub(super) known: &'a Known,
    pub(super) caller: &'a Caller,
    /// What accesses are for, by role.
    pub(super) purposes: &'a BTreeMap<&'static str, Vec<&'static str>>,
    /// Microseconds.
    pub(super) now: i64,
}

/// Yes, no, or that it cannot be said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    Yes,
    No,
    Perhaps,
}

impl Is {
    fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }

    /// All of them.
    fn all(of: impl Iterator<Item = Self>) -> Self {
        of.fold(Self::Yes, |all, one| match (all, one) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Perhaps,
        })
    }

    /// Any of them.
    fn any(of: impl Iterator<Item = Self>) -> Self {
        of.fold(Self::No, |any, one| match (any, one) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::No, Self::No) => Self::No,
            _ => Self::Perhaps,
        })
    }
}

fn list<'v>(of: &'v Value, name: &str) -> &'v [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

impl Asking<'_> {
    /// Whether a consent refuses an action on a resource of its patient's chart: who may not look at what is
    /// there does not change it.
    pub(super) fn refuses(&self, consent: &Value, action: char, of: &Value) -> bool {
        let looked_at = matches!(action, 'u' | 'd');
        self.refuses_itself(consent, action, of)
            || looked_at && self.refuses_itself(consent, 'r', of)
    }

    /// Whether a consent surely permits an action on a resource of its patient's chart, and to look at what is
    /// changed.
    pub(super) fn permits(&self, consent: &Value, action: char, of: &Value) -> bool {
        // A day without a time has begun if it has somewhere.
        let over = |said: &Value| match said.as_str() {
            None => true,
            Some(day) if day.len() == 10 => {
                day <= super::text::day(self.now + 14 * 3_600_000_000).as_str()
            }
            Some(at) => at <= super::text::instant(self.now).as_str(),
        };
        let verified = over(&consent["dateTime"])
            && list(consent, "verification")
                .iter()
                .all(|v| v["verified"] == true && over(&v["verificationDate"]));
        let root = &consent["provision"];
        let looked_at = matches!(action, 'u' | 'd');
        consent["status"] == "active"
            && verified
            && !root.is_null()
            && self.permits_itself(consent, action, of)
            && (!looked_at || !names_actions(root) || self.permits_itself(consent, 'r', of))
    }

    fn permits_itself(&self, consent: &Value, action: char, of: &Value) -> bool {
        let root = &consent["provision"];
        let denies = denies(consent);
        self.fits(root, denies, action, of) == Is::Yes
            && self.permitted_within(root, (denies, false), action, of)
    }

    /// Whether a provision that fits permits, by itself or by an exception, what it or one around it names the caller
    /// for, and may refuse nothing of it.
    fn permitted_within(
        &self,
        node: &Value,
        (denies, named): (bool, bool),
        action: char,
        of: &Value,
    ) -> bool {
        let actors = list(node, "actor").iter().map(|actor| self.is(actor));
        let named = named || Is::any(actors) == Is::Yes;
        let mut exceptions = list(node, "provision").iter();
        let permitted = named && !denies
            || exceptions.any(|exception| {
                let denies = exception["type"] == "deny";
                self.fits(exception, denies, action, of) == Is::Yes
                    && self.permitted_within(exception, (denies, named), action, of)
            });
        permitted && !self.refused_within(node, denies, action, of)
    }

    fn refuses_itself(&self, consent: &Value, action: char, of: &Value) -> bool {
        if consent["status"] != "active" {
            return false;
        }
        let closed = closed(consent);
        let root = &consent["provision"];
        if root.is_null() {
            return closed == Some(true);
        }
        let denies = denies(consent);
        let fits = self.fits(root, denies, action, of);
        fits != Is::No && self.refused_within(root, denies, action, of)
            || fits != Is::Yes && closed == Some(true)
    }

    /// Whether a provision that fits refuses: of its exceptions a refusal wins, where it may fit; a permit
    /// counts only where it surely does.
    fn refused_within(&self, node: &Value, denies: bool, action: char, of: &Value) -> bool {
        let mut permitted = false;
        for exception in list(node, "provision") {
            let denies = exception["type"] == "deny";
            let fits = self.fits(exception, denies, action, of);
            let inside = self.refused_within(exception, denies, action, of);
            if fits != Is::No && inside {
                return true;
            }
            permitted |= fits == Is::Yes && !inside;
        }
        denies && !permitted
    }

    fn fits(&self, node: &Value, denies: bool, action: char, of: &Value) -> Is {
        let of_type = of["resourceType"].as_str().unwrap();
        let conditions = node
            .as_object()
            .unwrap()
            .keys()
            .map(|kind| match kind.as_str() {
                "type" | "provision" => Is::Yes,
                "period" => self.period(node),
                "actor" => Is::any(list(node, kind).iter().map(|actor| self.is(actor))),
                "class" => {
                    let named = |c: &Value| c["code"] == of_type || c["code"] == "Resource";
                    Is::of(list(node, kind).iter().any(named))
                }
                "action" => {
                    let of_action: &[&str] = match action {
                        'c' => &["collect"],
                        'u' => &["collect", "correct"],
                        'd' => &["correct"],
                        _ => &["access", "use", "disclose"],
                    };
                    let named = |c: &Value| match is_known(&c["coding"][0]) {
                        true => Is::of(of_action.iter().any(|a| c["coding"][0]["code"] == *a)),
                        false => Is::Perhaps,
                    };
                    Is::any(list(node, kind).iter().map(named))
                }
                "purpose" => self.purpose(list(node, kind)),
                "data" => {
                    let named = |d: &Value| reference(d, "reference") == Some(&*name(of));
                    Is::of(list(node, kind).iter().any(named))
                }
                "code" => {
                    let coding = |c: &Value| {
                        c["coding"][0]["system"] == "urn:c"
                            && c["coding"][0]["code"] == of["code"]["coding"][0]["code"]
                    };
                    Is::of(of_type == "Observation" && list(node, kind).iter().any(coding))
                }
                "dataPeriod" => match of_type {
                    "Observation" => {
                        let start = node[kind]["start"].as_str().unwrap();
                        let on = of["effectiveDateTime"].as_str();
                        Is::of(on.is_some_and(|on| on >= start))
                    }
                    // Its end is after that day.
                    "CareTeam" => Is::of(!of["period"].is_null()),
                    // What has no date of its own.
                    "Patient" => Is::Perhaps,
                    _ => Is::No,
                },
                "securityLabel" => Is::any(
                    list(node, kind)
                        .iter()
                        .map(|label| labelled(label, denies, of)),
                ),
                _ => Is::Perhaps,
            });
        Is::all(conditions)
    }

    fn period(&self, node: &Value) -> Is {
        Is::of(is_within(&node["period"], self.now))
    }

    fn purpose(&self, wanted: &[Value]) -> Is {
        let unknown = wanted.iter().any(|w| !is_known(w));
        let wanted = wanted.iter().filter(|w| is_known(w));
        let wanted: Vec<&str> = wanted.map(|w| w["code"].as_str().unwrap()).collect();
        let of = |role: &str| self.purposes.get(role).or_else(|| self.purposes.get("*"));
        let mut own = Vec::new();
        let roles: Vec<&str> = match self.caller.roles.is_empty() {
            true => vec!["*"],
            false => self.caller.roles.iter().map(|(role, _)| *role).collect(),
        };
        for role in roles {
            match of(role) {
                Some(purposes) => own.extend(purposes),
                None => return Is::Perhaps,
            }
        }
        let meant = own.iter().filter(|o| wanted.contains(*o)).count();
        match meant {
            _ if unknown => Is::Perhaps,
            0 => Is::No,
            all if all == own.len() => Is::Yes,
            // Permitted where all are meant, refused where any is.
            _ => Is::Perhaps,
        }
    }

    /// Whether an actor is the caller.
    fn is(&self, actor: &Value) -> Is {
        let role = &actor["role"]["coding"][0];
        let plain = actor["modifierExtension"].is_null();
        if role["code"] != "PRCP" || !is_known(role) || !plain {
            return Is::Perhaps;
        }
        let Some(of) = reference(actor, "reference") else {
            return Is::Perhaps;
        };
        if self.caller.user == Some(of) {
            return Is::Yes;
        }
        match of.split_once('/').unwrap().0 {
            "Organization" => {
                let held: Vec<_> = self.caller.roles.iter().map(|(_, at)| *at).collect();
                if held.contains(&Some(of)) {
                    return Is::Yes;
                }
                let apart = |at: &Option<&str>| {
                    at.is_some_and(|at| self.outside(at, of) && self.outside(of, at))
                };
                match !held.is_empty() && held.iter().all(apart) {
                    true => Is::No,
                    false => Is::Perhaps,
                }
            }
            "Practitioner" | "Patient" => match (self.caller.user, &self.caller.person) {
                (None, Some(_)) => Is::Perhaps,
                _ => Is::No,
            },
            _ => Is::Perhaps,
        }
    }

    /// Whether a facility is not a part of another.
    fn outside(&self, part: &str, whole: &str) -> bool {
        let Some(place) = self.known.get(part).filter(|_| part != whole) else {
            return false;
        };
        let wider = ["partOf", "managingOrganization"].into_iter();
        let mut wider = wider.filter_map(|path| reference(place, path));
        wider.all(|wider| self.outside(wider, whole))
    }
}

/// A code of another system may mean anything.
fn is_known(coding: &Value) -> bool {
    coding["system"] != "urn:own"
}

/// What the policy rule of a consent says.
fn closed(consent: &Value) -> Option<bool> {
    let rule = consent.pointer("/policyRule/coding/0/code");
    match rule.and_then(Value::as_str) {
        Some("OPTOUT") => Some(true),
        Some("OPTIN") => Some(false),
        _ => None,
    }
}

/// Whether the root of a consent refuses.
fn denies(consent: &Value) -> bool {
    let root = &consent["provision"];
    match root["type"].as_str() {
        Some(said) => said == "deny",
        // The opposite of its exceptions.
        None => closed(consent).unwrap_or_else(|| list(root, "provision")[0]["type"] == "permit"),
    }
}

fn names_actions(node: &Value) -> bool {
    !node["action"].is_null() || list(node, "provision").iter().any(names_actions)
}

/// Whether a period of days is now; all times without one.
pub(super) fn is_within(period: &Value, now: i64) -> bool {
    let today = super::text::day(now);
    let day = |which: &str| period[which].as_str();
    day("start").is_none_or(|start| start <= today.as_str())
        && day("end").is_none_or(|end| today.as_str() <= end)
}

/// A label of confidentiality is a mark: what permits does so up to it, what refuses from it on.
fn labelled(label: &Value, denies: bool, of: &Value) -> Is {
    let marks = ["U", "L", "M", "N", "R", "V"];
    let rank = |code: &Value| marks.iter().position(|m| *code == *m);
    let empty = Vec::new();
    let own = of.pointer("/meta/security").and_then(Value::as_array);
    let own = own.unwrap_or(&empty);
    let Some(mark) = rank(&label["code"]) else {
        return Is::of(own.iter().any(|l| l["code"] == label["code"]));
    };
    // The highest label counts. What has none is normal, and so may be what another system calls low.
    let highest = own.iter().filter_map(|l| rank(&l["code"])).max();
    let vouched = own
        .iter()
        .any(|l| l["system"] == CONFIDENTIALITY && rank(&l["code"]).is_some_and(|r| r < 3));
    let is = match highest {
        Some(rank) if rank >= 3 || vouched => rank,
        _ => 3,
    };
    // Marks are never sure: what may be marked so is refused, and not permitted.
    match denies {
        true if is >= mark => Is::Perhaps,
        true => Is::No,
        false if is <= mark => Is::Yes,
        false => Is::Perhaps,
    }
}
