//! What rights are used for: interactions, one operation, or reading in bulk.
//!
//! An operation reads and changes by the rights of whoever asks for it, like the interactions that it is made of.
//! A grant that names an operation gives what it needs while that operation is done and at no other time. What is
//! read in bulk is what grants of `export` give, whatever may be read one by one.

use std::sync::Arc;

use fhir::definitions::TypeId;

use super::document::{Effect, GrantText};
use super::rights::Rights;
use crate::action::ActionName;

/// An operation that a grant can name.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name, with `$`.
    name: &'static str,
    /// What a grant that names it gives while it is done.
    actions: &'static [ActionName],
    /// What it does; by the first of them it is explained.
    does: &'static [ActionName],
}

impl Operation {
    /// Its name, with `$`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it does.
    pub const fn does(&self) -> &'static [ActionName] {
        self.does
    }

    /// Whether this is its name, without `$`.
    fn is_called(&self, name: &str) -> bool {
        self.name.strip_prefix('$') == Some(name)
    }

    fn explained(&self) -> ActionName {
        self.does.first().copied().unwrap_or(ActionName::Read)
    }

    /// Whether a grant that names it lets change something.
    pub(super) fn writes(&self) -> bool {
        self.actions.iter().any(|action| action.writes())
    }
}

const fn operation(
    name: &'static str,
    actions: &'static [ActionName],
    does: &'static [ActionName],
) -> Operation {
    Operation {
        name,
        actions,
        does,
    }
}

const SEEING: &[ActionName] = &[ActionName::Search, ActionName::Read];
const LABELLING: &[ActionName] = &[ActionName::Update, ActionName::Read];

/// Operations that grants can name, in the order of their names.
const OPERATIONS: &[Operation] = &[
    operation("$everything", SEEING, SEEING),
    operation("$fhirpath", &[ActionName::Read], &[ActionName::Read]),
    operation("$graphql", SEEING, SEEING),
    operation("$lastn", &[ActionName::Search], &[ActionName::Search]),
    operation("$meta", SEEING, SEEING),
    // Not reading: who labels what they do not read could label it so that they do.
    operation("$meta-add", &[ActionName::Update], LABELLING),
    operation("$meta-delete", &[ActionName::Update], LABELLING),
];

/// Other operations, which are given by `administer`, by grants of another kind (`breakGlass`, the trail) or by
/// the actions that they are made of. A refusal can name them.
const ADMINISTERING: &[&str] = &[
    "$alert-acknowledge",
    "$alert-rules",
    "$alert-rules-publish",
    "$alerts",
    "$break-glass",
    "$break-glass-end",
    "$break-glass-review",
    "$policy",
    "$policy-dry-run",
    "$policy-import",
    "$policy-publish",
    "$policy-test",
    "$quarantine",
    "$quarantine-decide",
    "$reindex",
    "$reindex-status",
    "$vendor",
    "$vendor-activity",
    "$vendor-propose",
    "$vendor-switch",
    "$vendors",
];

/// The operation of a name, with `$`, if a grant can name it.
pub(super) fn operation_of(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

/// Whether there is an operation of a name, with `$`.
pub(super) fn is_operation(name: &str) -> bool {
    operation_of(name).is_some() || ADMINISTERING.contains(&name)
}

/// What rights are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Interactions, and operations that no grant names.
    Plain,
    /// An operation that a grant names.
    Operation(&'static Operation),
    /// What is of many patients at once.
    Bulk,
}

impl Errand {
    /// The errand of a word: an action, or an operation with `$`; and the action that says what it comes to.
    pub fn of(word: &str) -> Option<(Self, ActionName)> {
        if let Some(operation) = operation_of(word) {
            return Some((Self::Operation(operation), operation.explained()));
        }
        if word == ActionName::Export.as_str() {
            return Some((Self::Bulk, ActionName::Search));
        }
        let found = super::rights::ACTIONS
            .into_iter()
            .find(|action| action.as_str() == word)?;
        Some((Self::Plain, found))
    }

    /// Its word, where an action is done on it.
    pub const fn word(self, action: ActionName) -> &'static str {
        match self {
            Self::Plain => action.as_str(),
            Self::Operation(operation) => operation.name,
            Self::Bulk => ActionName::Export.as_str(),
        }
    }

    /// That of an operation (without `$`) which was asked of a type.
    pub fn of_type_operation(name: &str) -> Option<Self> {
        if name == "everything" {
            return Some(Self::Bulk);
        }
        let mut all = OPERATIONS.iter();
        all.find(|of| of.is_called(name)).map(Self::Operation)
    }

    /// The operation that a refusal would name, with `$`.
    pub(super) const fn operation(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Operation(operation) => Some(operation.name),
            Self::Bulk => Some("$everything"),
        }
    }

    /// Whether the operation is refused by name.
    fn is_refused(self, rights: &Rights) -> bool {
        let name = self.operation().and_then(|name| name.strip_prefix('$'));
        name.is_some_and(|name| rights.refuses(name))
    }

    /// The actions that a grant is about on this errand.
    pub(super) fn actions(self, grant: &GrantText) -> Vec<ActionName> {
        let mut named = grant.actions.named();
        let gives = grant.effect == Effect::Allow;
        let mut also = |actions: &[ActionName]| {
            for action in actions {
                if !named.contains(action) {
                    named.push(*action);
                }
            }
        };
        match self {
            Self::Plain => {}
            // A refusal of an operation refuses it as a whole.
            Self::Operation(operation) => {
                if gives && grant.actions.operations().any(|o| o == operation.name) {
                    also(operation.actions);
                }
            }
            Self::Bulk => {
                let exports = named.contains(&ActionName::Export);
                if gives {
                    let read = [ActionName::Read, ActionName::Search, ActionName::History];
                    named.retain(|action| !read.contains(action));
                }
                if exports {
                    named.extend([ActionName::Read, ActionName::Search]);
                    named.sort_unstable_by_key(|action| action.number());
                    named.dedup();
                }
            }
        }
        named
    }
}

/// What is read in bulk.
#[derive(Debug)]
pub(super) enum Bulk {
    /// What is read otherwise: nothing is said of it.
    Same,
    Nothing,
    /// What grants of it give.
    Own(Arc<Rights>),
}

impl Rights {
    /// What the caller may do while an operation (without `$`) is done.
    pub fn to_operate(self: &Arc<Self>, operation: &str) -> Arc<Self> {
        let mut all = self.operations.iter();
        let own = all.find(|(of, _)| of.is_called(operation));
        own.map_or(self, |(_, own)| own).clone()
    }

    /// What the caller may read of many patients at once; none where that is nothing.
    pub fn in_bulk(self: &Arc<Self>) -> Option<Arc<Self>> {
        match &self.bulk {
            Bulk::Same => Some(self.clone()),
            Bulk::Nothing => None,
            Bulk::Own(own) => Some(own.clone()),
        }
    }

    /// What they are on an errand, to be told; none where nothing may be done on it.
    pub fn on(&self, errand: Errand) -> Option<&Self> {
        if errand.is_refused(self) {
            return None;
        }
        match errand {
            Errand::Plain => Some(self),
            Errand::Operation(operation) => {
                let own = self.operations.iter().find(|(of, _)| *of == operation);
                Some(own.map_or(self, |(_, own)| own))
            }
            Errand::Bulk => match &self.bulk {
                Bulk::Same => Some(self),
                Bulk::Nothing => None,
                Bulk::Own(own) => Some(own),
            },
        }
    }

    /// Whether something may be done with a type on an errand, by the action that says what it comes to and the
    /// others that it takes.
    pub(super) fn does(&self, errand: Errand, action: ActionName, type_id: TypeId) -> bool {
        let others = match errand {
            Errand::Operation(operation) => operation.does(),
            Errand::Plain | Errand::Bulk => &[],
        };
        self.on(errand).is_some_and(|own| {
            let mut all = others.iter().chain([&action]);
            all.all(|action| own.allows(*action, type_id))
        })
    }

    /// Whether there is something that the caller may do on an errand alone.
    pub fn has_errands(&self) -> bool {
        self.errands().next().is_some()
    }

    /// Operations that grants of the caller name and none refuses, each with what they may do while it is done.
    pub fn operations(&self) -> impl Iterator<Item = (&'static Operation, &Self)> {
        let all = self.operations.iter().map(|(of, own)| (*of, &**own));
        all.filter(|(of, _)| !Errand::Operation(of).is_refused(self))
    }

    /// Rights for errands of their own.
    pub(super) fn errands(&self) -> impl Iterator<Item = &Arc<Self>> {
        let bulk = match &self.bulk {
            Bulk::Own(own) => Some(own),
            Bulk::Same | Bulk::Nothing => None,
        };
        self.operations.iter().map(|(_, own)| own).chain(bulk)
    }
}
