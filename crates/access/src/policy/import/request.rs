//! What a policy about *requests* allows of resources: its conditions on method, address, operation,
//! parameters and caller, and the grants that allow no more than that.

use std::collections::{BTreeMap, BTreeSet};

use fhir::definitions::Model;

use super::super::document::{Actions, Effect, GrantText, Require, Who};
use super::uri::{ID, Pattern};
use super::{Draft, Effort, encoded};

/// A set of texts, of which any will do; none is no condition.
pub(super) type AnyOf = Option<BTreeSet<String>>;

/// A condition on the address.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Is(BTreeSet<String>),
    Finds(Vec<Pattern>),
}

/// Conditions on a request that all must hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    pub(super) methods: AnyOf,
    pub(super) addresses: Vec<Address>,
    pub(super) operations: AnyOf,
    pub(super) types: AnyOf,
    /// The id that is named, as the criteria that say the same (`_id=…`).
    pub(super) id: Option<String>,
    /// Parameters of searches, as criteria.
    pub(super) params: BTreeMap<String, String>,
    pub(super) people: AnyOf,
    pub(super) clients: AnyOf,
    /// Any of the roles of each set.
    pub(super) roles: Vec<BTreeSet<String>>,
    pub(super) networks: AnyOf,
}

/// Both sets; none is no condition.
pub(super) fn both(one: &AnyOf, other: &AnyOf) -> AnyOf {
    match (one, other) {
        (Some(a), Some(b)) if a.contains("*") => Some(b.clone()),
        (Some(a), Some(b)) if b.contains("*") => Some(a.clone()),
        (Some(a), Some(b)) => Some(a.intersection(b).cloned().collect()),
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    }
}

impl Conditions {
    /// Whether they are about requests by a method.
    pub(super) fn lets_method(&self, method: &str) -> bool {
        allows(&self.methods, method)
    }

    /// These and those; none where they cannot be put together.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        let networks = match (&self.networks, &other.networks) {
            (Some(a), Some(b)) if a != b => return None,
            (a, b) => a.clone().or_else(|| b.clone()),
        };
        let id = match (&self.id, &other.id) {
            (Some(a), Some(b)) if a != b => return None,
            (a, b) => a.clone().or_else(|| b.clone()),
        };
        let mut params = self.params.clone();
        for (name, value) in &other.params {
            match params.insert(name.clone(), value.clone()) {
                Some(before) if before != *value => return None,
                _ => {}
            }
        }
        Some(Self {
            methods: both(&self.methods, &other.methods),
            addresses: [self.addresses.clone(), other.addresses.clone()].concat(),
            operations: both(&self.operations, &other.operations),
            types: both(&self.types, &other.types),
            id,
            params,
            people: both(&self.people, &other.people),
            clients: both(&self.clients, &other.clients),
            roles: [self.roles.clone(), other.roles.clone()].concat(),
            networks,
        })
    }
}

/// A kind of request, and the action that it is here.
struct Kind {
    action: &'static str,
    method: &'static str,
    /// What follows the type in the address.
    tail: &'static str,
    operations: &'static [&'static str],
}

const KINDS: &[Kind] = &[
    Kind {
        action: "read",
        method: "get",
        tail: "/\u{1}",
        operations: &["FhirRead", "Read"],
    },
    Kind {
        action: "search",
        method: "get",
        tail: "",
        operations: &["FhirSearch", "Search"],
    },
    Kind {
        action: "history",
        method: "get",
        tail: "/\u{1}/_history",
        // Of one resource there.
        operations: &[],
    },
    Kind {
        action: "create",
        method: "post",
        tail: "",
        operations: &["FhirCreate", "Create"],
    },
    Kind {
        action: "update",
        method: "put",
        tail: "/\u{1}",
        operations: &["FhirUpdate", "Update"],
    },
    Kind {
        action: "delete",
        method: "delete",
        tail: "/\u{1}",
        operations: &["FhirDelete", "Delete"],
    },
];

fn allows(set: &AnyOf, value: &str) -> bool {
    set.as_ref().is_none_or(|s| s.contains(value))
}

impl Address {
    /// Whether it lets every request of an address through, before which stands `base`; with the ids that
    /// it names, where it names some.
    fn lets(
        &self,
        base: &str,
        (type_name, tail): (&str, &str),
        effort: &Effort,
    ) -> Option<Option<String>> {
        let form = format!("{base}/{type_name}{tail}");
        match self {
            Self::Finds(any) => any.iter().any(|p| p.finds(&form, effort)).then_some(None),
            Self::Is(any) if any.contains(&form) => Some(None),
            Self::Is(any) if tail.contains(ID) => {
                effort.spend(any.len()).then_some(())?;
                let (before, after) = tail.split_once(ID)?;
                let id_of = |address: &String| {
                    let rest = address.strip_prefix(base)?;
                    let rest = rest.strip_prefix('/')?.strip_prefix(type_name)?;
                    let id = rest.strip_prefix(before)?.strip_suffix(after)?;
                    base::ResourceId::new(id).ok().map(|_| id.to_owned())
                };
                let ids: Vec<String> = any.iter().filter_map(id_of).collect();
                (!ids.is_empty()).then(|| Some(ids.join(",")))
            }
            Self::Is(_) => None,
        }
    }
}

/// Whether all of these let every request of an address through: in its FHIR form or in the bare one, but
/// all of them in the same; with the ids that are named, where some are.
fn let_all(addresses: &[Address], at: (&str, &str), effort: &Effort) -> Option<Option<String>> {
    let mut found: Option<Option<String>> = None;
    for base in ["/fhir", ""] {
        let mut ids: Option<String> = None;
        let each = addresses.iter().all(|address| {
            match (effort.spend(1))
                .then(|| address.lets(base, at, effort))
                .flatten()
            {
                Some(None) => true,
                // Two names of one id need not be the same.
                Some(named) => {
                    ids.is_none() && {
                        ids = named;
                        true
                    }
                }
                None => false,
            }
        });
        if !each {
            continue;
        }
        found = Some(match (found, ids) {
            (Some(None), _) | (_, None) => None,
            (Some(Some(some)), Some(more)) => Some(format!("{some},{more}")),
            (None, Some(ids)) => Some(ids),
        });
    }
    found
}

/// What these conditions allow of one kind of request on one type: criteria, or everything.
fn allowed(
    conditions: &Conditions,
    kind: &Kind,
    type_name: &str,
    patched: bool,
    effort: &Effort,
) -> Option<Option<String>> {
    let operation = match &conditions.operations {
        None => true,
        Some(any) => kind.operations.iter().any(|o| any.contains(*o)),
    };
    // Whoever updates here may patch as well.
    let patches = kind.action != "update"
        || patched
        || allows(&conditions.methods, "patch")
            && (conditions.operations.as_ref())
                .is_none_or(|any| any.contains("FhirPatch") || any.contains("Patch"));
    if !operation
        || !patches
        || !allows(&conditions.methods, kind.method)
        || !allows(&conditions.types, type_name)
    {
        return None;
    }
    let mut ids = conditions.id.clone();
    if let Some(named) = let_all(&conditions.addresses, (type_name, kind.tail), effort)? {
        if ids.is_some() {
            return None;
        }
        ids = Some(format!("_id={}", encoded_ids(&named)));
    }
    // Whoever has it here has that of all of a type.
    if kind.action == "history" && ids.is_none() {
        let whole = let_all(&conditions.addresses, (type_name, "/_history"), effort);
        if !matches!(whole, Some(None)) {
            return None;
        }
    }
    let of_one = kind.tail.contains(ID);
    match (ids, of_one) {
        (Some(_), false) => return None,
        (Some(ids), true) if conditions.params.is_empty() => return Some(Some(ids)),
        (None, true) if conditions.params.is_empty() => return Some(None),
        (_, true) => return None,
        (None, false) => {}
    }
    if conditions.params.is_empty() {
        return Some(None);
    }
    // Parameters narrow what a search finds, and nothing else.
    if kind.action != "search" {
        return None;
    }
    let each: Vec<String> = conditions
        .params
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Some(Some(each.join("&")))
}

fn encoded_ids(ids: &str) -> String {
    ids.split(',').map(encoded).collect::<Vec<_>>().join(",")
}

/// Grants that allow no more than requests under these conditions, of a policy of this name. `patched`:
/// what lets PUT is said to let PATCH.
pub(super) fn grants(
    conditions: &Conditions,
    name: &str,
    pointer: &str,
    patched: bool,
    (model, effort): (&'static Model, &Effort),
) -> Vec<Draft> {
    let Some((who, when)) = whom(conditions) else {
        return Vec::new();
    };
    let mut by_reach: BTreeMap<(Option<String>, Vec<&'static str>), Vec<String>> = BTreeMap::new();
    for type_id in model.types() {
        let type_name = model.type_name(type_id);
        let mut ways: BTreeMap<Option<String>, Vec<&'static str>> = BTreeMap::new();
        for kind in KINDS {
            if let Some(criteria) = allowed(conditions, kind, type_name, patched, effort) {
                ways.entry(criteria).or_default().push(kind.action);
            }
        }
        for (criteria, actions) in ways {
            let types = by_reach.entry((criteria, actions)).or_default();
            types.push(type_name.to_owned());
        }
    }
    let all = model.types().count();
    let grant = |((criteria, actions), types): ((Option<String>, Vec<&str>), Vec<String>)| {
        let actions = actions.iter().map(|a| (*a).to_owned()).collect();
        Draft {
            pointer: pointer.to_owned(),
            grant: GrantText {
                name: name.to_owned(),
                effect: Effect::Allow,
                who: who.clone(),
                actions: Actions::Words(actions),
                types: match types.len() == all {
                    true => vec!["*".to_owned()],
                    false => types,
                },
                criteria,
                within: None,
                by: None,
                hide: Vec::new(),
                read_only: Vec::new(),
                when: when.clone(),
                networks: conditions.networks.iter().flatten().cloned().collect(),
                require: Require::default(),
                break_glass: None,
            },
        }
    };
    by_reach.into_iter().map(grant).collect()
}

/// To whom, and what else must be so of the caller; none where nobody is.
fn whom(conditions: &Conditions) -> Option<(Who, Option<String>)> {
    let mut who = Who::default();
    let mut also = Vec::new();
    let quoted = |all: &BTreeSet<String>| {
        let one = |t: &String| format!("'{}'", t.replace('\\', "\\\\").replace('\'', "\\'"));
        all.iter().map(one).collect::<Vec<_>>().join(" | ")
    };
    let Conditions {
        people,
        clients,
        roles,
        ..
    } = conditions;
    for set in [people, clients].into_iter().flatten().chain(roles) {
        if set.is_empty() {
            return None;
        }
    }
    let mut named = false;
    for any in roles {
        if std::mem::replace(&mut named, true) {
            also.push(format!("%roles.exists($this in ({}))", quoted(any)));
        } else {
            who.roles = any.iter().cloned().collect();
        }
    }
    for (set, of, name) in [
        (people, &mut who.people, "person"),
        (clients, &mut who.clients, "client"),
    ] {
        let Some(set) = set else { continue };
        if !std::mem::replace(&mut named, true) {
            *of = set.iter().cloned().collect();
        } else if set.contains("*") {
            also.push(format!("%{name}.exists()"));
        } else {
            also.push(format!("%{name} in ({})", quoted(set)));
        }
    }
    who.anyone = !named;
    Some((who, (!also.is_empty()).then(|| also.join(" and "))))
}
