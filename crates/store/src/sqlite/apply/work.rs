//! What is to be made: writes with their permits spent, and what must hold. Knows nothing of rows.

use std::sync::Arc;

use access::{
    ActionName, Actor, Create, Delete, Evidence, RequestMeta, Rule, Search, Spent, Update,
};
use base::ResourceId;
use base::limits::fixed::REFUSED_PATIENTS_MAX;
use fhir::definitions::{Model, TypeId};
use fhir::resource::mask::Mask;
use fhir::search::Query;
use fhir::search::query::Clause;
use fhir::search::rows::RowValue;

use super::both;
use crate::{Condition, Expected, Method, Prepared, Settlement};

/// One write of a change, its permit spent.
#[expect(
    clippy::large_enum_variant,
    reason = "most writes are of the large kinds"
)]
pub(crate) enum Op {
    Create {
        spent: Spent<Create>,
        resource: Prepared,
    },
    Put {
        spent: Spent<Update>,
        or_create: Option<Spent<Create>>,
        resource: Prepared,
        condition: Option<Condition>,
        method: Method,
    },
    Delete {
        spent: Spent<Delete>,
        type_id: TypeId,
        id: ResourceId,
        condition: Option<Condition>,
    },
}

/// What must hold, its permit spent.
pub(crate) struct Expect {
    pub(crate) spent: Spent<Search>,
    pub(crate) query: Arc<Query>,
    pub(crate) expected: Expected,
}

/// A change, ready for the writer.
pub(crate) struct Work {
    pub(crate) request: RequestMeta,
    pub(crate) actor: Option<Actor>,
    pub(crate) ops: Vec<Op>,
    pub(crate) expects: Vec<Expect>,
    pub(crate) enforce_references: bool,
    /// What it decides about the resource in quarantine that its one write is about.
    pub(crate) settles: Option<Settlement>,
}

impl Op {
    /// The resource it is about.
    pub(crate) fn target(&self) -> (TypeId, &ResourceId) {
        match self {
            Self::Create { resource, .. } | Self::Put { resource, .. } => {
                (resource.valid.type_id(), resource.valid.id())
            }
            Self::Delete { type_id, id, .. } => (*type_id, id),
        }
    }

    /// Who does it.
    pub(crate) fn actor(&self) -> &Actor {
        match self {
            Self::Create { spent, .. } => spent.actor(),
            Self::Put { spent, .. } => spent.actor(),
            Self::Delete { spent, .. } => spent.actor(),
        }
    }

    /// What it is, for the audit.
    pub(crate) const fn action(&self) -> ActionName {
        match self {
            Self::Create { .. } => ActionName::Create,
            Self::Put { .. } => ActionName::Update,
            Self::Delete { .. } => ActionName::Delete,
        }
    }

    /// Whom what it would write is about.
    pub(super) fn patients(&self, model: &Model) -> Vec<ResourceId> {
        let (Self::Create { resource, .. } | Self::Put { resource, .. }) = self else {
            return Vec::new();
        };
        let Some(patient) = model.type_id("Patient") else {
            return Vec::new();
        };
        let Some(chart) = model.compartment(patient) else {
            return Vec::new();
        };
        let params = chart.params(resource.valid.type_id());
        let rows = resource.valid.rows().iter();
        let whom = rows.filter(|row| params.contains(&row.param));
        let mut whom: Vec<ResourceId> = whom
            .filter_map(|row| match &row.value {
                RowValue::Reference { type_id, id, .. } if *type_id == patient => Some(id.clone()),
                _ => None,
            })
            .collect();
        whom.sort();
        whom.dedup();
        whom.truncate(REFUSED_PATIENTS_MAX);
        whom
    }

    /// Which resources of the type its caller reaches; all without a filter.
    pub(super) fn filter(&self) -> Option<&Clause> {
        let (type_id, _) = self.target();
        let rule = match self {
            Self::Create { spent, .. } => spent.rule(type_id),
            Self::Put { spent, .. } => spent.rule(type_id),
            Self::Delete { spent, .. } => spent.rule(type_id),
        };
        rule.and_then(|rule| rule.filter())
    }

    /// Its rule, if some way of it leads to a patient who was opened.
    pub(crate) fn opening(&self) -> Option<Arc<Rule>> {
        let (type_id, _) = self.target();
        let rule = match self {
            Self::Create { spent, .. } => spent.rule(type_id),
            Self::Put { spent, .. } => spent.rule(type_id),
            Self::Delete { spent, .. } => spent.rule(type_id),
        };
        rule.filter(|rule| rule.opens()).cloned()
    }

    /// What its caller reaches, for which what they write may be evidence; nothing for who administers.
    pub(super) fn evidence(&self) -> Option<&Arc<Evidence>> {
        let (administers, evidence) = match self {
            Self::Create { spent, .. } => (spent.administers(), spent.evidence()),
            Self::Put { spent, .. } => (spent.administers(), spent.evidence()),
            Self::Delete { spent, .. } => (spent.administers(), spent.evidence()),
        };
        evidence.filter(|_| !administers)
    }

    /// Whether whom consents refuse depends on where its caller's facilities belong.
    pub(super) fn is_placed(&self) -> bool {
        match self {
            Self::Create { spent, .. } => spent.placed(),
            Self::Put { spent, .. } => spent.placed(),
            Self::Delete { spent, .. } => spent.placed(),
        }
    }

    /// Whether its caller administers the tenant, or loads it in bulk.
    pub(super) fn is_trusted(&self) -> bool {
        let administers = match self {
            Self::Create { spent, .. } => spent.administers(),
            Self::Put { spent, .. } => spent.administers(),
            Self::Delete { spent, .. } => spent.administers(),
        };
        administers || self.actor().as_str().starts_with("import:")
    }

    /// Whether its caller reads of its type, and by which rule.
    pub(super) fn shown(&self, of: TypeId) -> (bool, Option<&Arc<Rule>>) {
        match self {
            Self::Create { spent, .. } => (spent.reads(), spent.shown(of)),
            Self::Put { spent, .. } => (spent.reads(), spent.shown(of)),
            Self::Delete { spent, .. } => (spent.reads(), spent.shown(of)),
        }
    }

    /// Whether a resource may be made with an id of the caller's choice: only by those who reach all
    /// of its type, since whether the id is taken would tell what there is.
    pub(super) fn may_choose_id(&self) -> bool {
        let (type_id, _) = self.target();
        let Self::Put { or_create, .. } = self else {
            return true;
        };
        let create = or_create.as_ref().and_then(|s| s.rule(type_id));
        self.filter().is_none() && create.is_none_or(|rule| rule.filter().is_none())
    }

    /// What its caller reaches of the type by this action, and what they are shown afterwards.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        let (type_id, _) = self.target();
        let (own, shown) = match self {
            Self::Create { spent, .. } => (spent.rule(type_id), spent.shown(type_id)),
            Self::Put { spent, .. } => (spent.rule(type_id), spent.shown(type_id)),
            Self::Delete { spent, .. } => (spent.rule(type_id), spent.shown(type_id)),
        };
        own.into_iter().chain(shown).map(|rule| &**rule)
    }

    /// Whether some element is hidden from its caller or not theirs to change.
    pub(super) fn guards(&self) -> bool {
        self.rules()
            .any(|rule| rule.hidden().is_some() || rule.read_only().is_some())
    }

    /// What it writes.
    pub(super) fn resource(&self) -> Option<&Prepared> {
        match self {
            Self::Create { resource, .. } | Self::Put { resource, .. } => Some(resource),
            Self::Delete { .. } => None,
        }
    }

    /// Elements that its answer does not show.
    pub(crate) fn hidden(&self) -> Option<Mask> {
        self.rules()
            .fold(None, |all, rule| both(all, rule.hidden()))
    }

    /// Whether its permit is for this resource.
    pub(super) fn is_permitted(&self) -> bool {
        let (type_id, id) = self.target();
        match self {
            Self::Create { spent, .. } => spent.covers(type_id, id),
            Self::Put {
                spent, or_create, ..
            } => {
                spent.covers(type_id, id)
                    && or_create.as_ref().is_none_or(|s| s.covers(type_id, id))
            }
            Self::Delete { spent, .. } => spent.covers(type_id, id),
        }
    }
}
