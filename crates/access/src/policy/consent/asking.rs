//! Who asks for what, and what provisions refuse them: of each condition, what it surely covers and what it
//! covers at most.

use base::ResourceId;
use fhir::definitions::TypeId;
use fhir::search::query::Clause;

use super::caller::{Meant, acts};
use super::formula::{Bound, Formula};
use super::refused::changes;
use super::{Condition, Node, Reference, Rule};
use crate::action::ActionName;
use crate::policy::compile::Surroundings;
use crate::policy::subject::Subject;

/// Who asks for what.
pub(in crate::policy) struct Asking<'a> {
    pub(in crate::policy) subject: &'a Subject<'a>,
    pub(in crate::policy) surroundings: &'a Surroundings<'a>,
    /// What accesses of the caller are for; unknown without.
    pub(in crate::policy) purposes: Option<Vec<String>>,
}

impl Asking<'_> {
    /// Whether a consent may refuse this caller anything: by what it says of callers alone.
    pub(super) fn concerned(&self, rule: &Rule) -> bool {
        match rule {
            Rule::Unclear => true,
            Rule::Tree { base, root } => *base == Some(true) || self.may_deny(root),
        }
    }

    fn may_deny(&self, node: &Node) -> bool {
        let about = |c: &Condition| match c {
            Condition::Actors(..) | Condition::Purposes(_) | Condition::Period(..) => {
                !matches!(self.condition(c, None).at_most, Formula::Never)
            }
            _ => true,
        };
        node.conditions.iter().all(about)
            && (node.denies || node.exceptions.iter().any(|e| self.may_deny(e)))
    }

    /// What a consent refuses of an action on a type, with what that takes: nobody changes or deletes what they
    /// may not look at.
    pub(super) fn denied_for(&self, rule: &Rule, action: ActionName, type_id: TypeId) -> Formula {
        let denied = self.denied(rule, action, type_id);
        match changes(action) && !matches!(denied, Formula::Always) {
            true => denied.or(self.denied(rule, ActionName::Read, type_id)),
            false => denied,
        }
    }

    /// What a consent refuses of an action on a type. The rule of which the root is an exception stands where
    /// the root does not apply: for others, and out of its period.
    fn denied(&self, rule: &Rule, action: ActionName, type_id: TypeId) -> Formula {
        match rule {
            Rule::Unclear => Formula::Always,
            Rule::Tree { base, root } => {
                let about = Some((action, type_id));
                let applies = self.applies(root, about);
                let inside = applies.at_most.and(self.denied_within(root, about));
                let outside = match base {
                    Some(true) => applies.surely.not(),
                    _ => Formula::Never,
                };
                inside.or(outside)
            }
        }
    }

    /// What a provision refuses where it applies: an exception that refuses wins over one that permits.
    /// Where none refuses, those that surely apply permit; so what is inside of each is written once.
    pub(super) fn denied_within(
        &self,
        node: &Node,
        about: Option<(ActionName, TypeId)>,
    ) -> Formula {
        let mut denied = Formula::Never;
        let mut permitted = Formula::Never;
        for exception in &node.exceptions {
            let applies = self.applies(exception, about);
            let inside = match applies.at_most {
                Formula::Never => continue,
                _ => self.denied_within(exception, about),
            };
            if !matches!(inside, Formula::Always) {
                permitted = permitted.or(applies.surely);
            }
            denied = denied.or(applies.at_most.and(inside));
            if matches!(denied, Formula::Always | Formula::Vast) {
                return denied;
            }
        }
        match node.denies {
            true => denied.or(permitted.not()),
            false => denied,
        }
    }

    pub(super) fn applies(&self, node: &Node, about: Option<(ActionName, TypeId)>) -> Bound {
        let mut all = Bound::sure(Formula::Always);
        for condition in &node.conditions {
            let one = match condition {
                Condition::Labels(labels) => self.labelled(labels, node.denies, about),
                condition => self.condition(condition, about),
            };
            all = Bound {
                surely: all.surely.and(one.surely),
                at_most: all.at_most.and(one.at_most),
            };
        }
        all
    }

    pub(super) fn condition(
        &self,
        condition: &Condition,
        about: Option<(ActionName, TypeId)>,
    ) -> Bound {
        let now = self.surroundings.now.0;
        match condition {
            Condition::Period(from, until) => {
                let begun = from.is_none_or(|from| from <= now);
                Bound::sure(Formula::of(begun && until.is_none_or(|until| now < until)))
            }
            Condition::Actors(actors, others) => {
                let is = |meant: Meant| actors.iter().any(|actor| self.is(actor) == meant);
                let meant = is(Meant::Them);
                let others = *others || is(Meant::Perhaps);
                Bound::with_others(Formula::of(meant), others && !meant)
            }
            Condition::Purposes(purposes) => self.purposes(purposes),
            Condition::Actions(actions) => match about {
                Some((action, _)) => acts(actions, action),
                None => Bound::unclear(),
            },
            Condition::Types(types, others) => match about {
                Some((_, type_id)) => {
                    let name = self.surroundings.model.type_name(type_id);
                    let all = |t: &str| matches!(t, "Resource" | "DomainResource");
                    let named = types.iter().any(|t| **t == *name || all(t));
                    // What is no type here may be a class of this one.
                    let known = |t: &str| all(t) || self.surroundings.model.type_id(t).is_some();
                    let others = *others || types.iter().any(|t| !known(t));
                    Bound::with_others(Formula::of(named), others && !named)
                }
                None => Bound::unclear(),
            },
            Condition::Data(data, others) => match about {
                Some((_, type_id)) => {
                    let name = self.surroundings.model.type_name(type_id);
                    let of_type = data.iter().filter(|r| *r.of == *name && self.is_here(r));
                    let ids: Vec<ResourceId> = of_type.map(|r| r.id.clone()).collect();
                    let others = *others || !data.iter().all(|r| self.is_here(r));
                    let these = match ids.is_empty() {
                        true => Formula::Never,
                        false => Formula::of_clause(Clause::Id(ids.into())),
                    };
                    Bound::with_others(these, others)
                }
                None => Bound::unclear(),
            },
            Condition::Codes(codes) => match about {
                Some((_, type_id)) => self.coded(codes, type_id),
                None => Bound::unclear(),
            },
            Condition::DataPeriod(text) => match about {
                Some((_, type_id)) => self.asked(type_id, text),
                None => Bound::unclear(),
            },
            Condition::Caller => Bound::sure(Formula::Always),
            Condition::Labels(_) | Condition::Unclear => Bound::unclear(),
        }
    }

    /// Whether a reference leads to this tenant.
    pub(super) fn is_here(&self, reference: &Reference) -> bool {
        self.is_own(reference.base.as_deref())
    }

    pub(super) fn is_own(&self, base: Option<&str>) -> bool {
        is_own(self.surroundings, base)
    }
}

/// Whether what stands before a reference is this tenant, as nothing is.
pub(super) fn is_own(surroundings: &Surroundings<'_>, base: Option<&str>) -> bool {
    let own = surroundings.own_bases.iter();
    let mut own = own.map(|base| base.trim_end_matches('/'));
    base.is_none_or(|base| own.any(|own| own == base))
}
