//! `search.html#reference`

use std::sync::Arc;

use base::ResourceId;

use crate::definitions::{Content, TypeId};
use crate::outcome::Issue;

use super::super::extract::ParamPlan;
use super::super::query::{Clause, Match, ReferenceMatch};
use super::super::rows::MEMBER;
use super::super::value::reference::Target;
use super::super::value::{VALUE_BYTES_MAX, cut};
use super::named::{Known, Named};
use super::text::unescape;
use super::{Context, token};

/// Parameters by which resources of a type say what they are part of.
const PART_OF: [&str; 3] = ["partof", "part-of", "parent"];

impl Context<'_> {
    pub(super) fn reference_value(
        &self,
        named: &Named<'_>,
        text: &str,
    ) -> Result<Option<Match>, Issue> {
        match named.modifier {
            Some("text" | "code-text") => Ok(Some(Match::TokenTextPrefix(token::folded(text)))),
            Some(modifier @ "identifier") if !self.may_identify(named) => {
                Err(named.bad_modifier(modifier))
            }
            Some("identifier") => Ok(Some(Match::ReferenceIdentifier(token::read(named, text)?))),
            Some(modifier @ ("above" | "below")) => {
                self.hierarchy(named, modifier == "above", text)
            }
            Some(modifier) => {
                let type_id = self.target_type(named, modifier)?;
                let text = unescape(text);
                let text = text
                    .strip_prefix(modifier)
                    .and_then(|t| t.strip_prefix('/'))
                    .unwrap_or(&text);
                let id = ResourceId::new(text)
                    .map_err(|_| named.bad_value("with a type as modifier, the value is an id"))?;
                let local = ReferenceMatch::Local {
                    type_id,
                    id,
                    version: None,
                };
                Ok(Some(Match::Reference(local)))
            }
            None => self.reference(named, text),
        }
    }

    /// `:in`: members of a Group or a List, as they are listed there (`search.html#modifierin`).
    pub(super) fn member_of(&self, named: &Named<'_>, value: &str) -> Result<Clause, Issue> {
        let mut each = Vec::new();
        for text in self.values(value)? {
            self.count_clause()?;
            let read = Target::read(text, self.model, self.options.own_bases);
            let bad = || named.bad_value("with :in and :not-in the value is Group/id or List/id");
            let Target::Local { type_id, id, .. } = read else {
                return Err(bad());
            };
            let is_one = matches!(self.model.type_name(type_id), "Group" | "List");
            let members = is_one.then_some(MEMBER);
            each.push(Clause::MemberOf {
                param: named.ids(),
                source: type_id,
                member: members.ok_or_else(bad)?,
                inner: Arc::new(Clause::Id([id].into())),
            });
        }
        Ok(Clause::Or(each))
    }

    /// Whether some of the parameter's values are references, which may have an identifier:
    /// canonicals have none.
    fn may_identify(&self, named: &Named<'_>) -> bool {
        let may = |p: &Known<'_>| p.plan.is_some_and(ParamPlan::may_identify);
        named.params.iter().any(may)
    }

    /// `:above`, `:below`: through the hierarchy of the type that is pointed to, or the versions of
    /// a canonical (`search.html#modifiers`).
    fn hierarchy(
        &self,
        named: &Named<'_>,
        above: bool,
        text: &str,
    ) -> Result<Option<Match>, Issue> {
        let part_of = |type_id: TypeId| {
            let known = PART_OF.iter().filter_map(|c| self.known(type_id, c));
            let mut fitting = known.filter(|p| p.targets.contains(&type_id));
            fitting.next().map(|p| p.id)
        };
        let found = |type_id, id, part_of| {
            Some(Match::Hierarchy {
                above,
                type_id,
                id,
                part_of,
            })
        };
        let none = || named.bad_value("what it refers to is part of nothing of its own type");
        match self.reference(named, text)? {
            Some(Match::Reference(ReferenceMatch::Local { type_id, id, .. })) => {
                let part_of = part_of(type_id).ok_or_else(none)?;
                Ok(found(type_id, id, part_of))
            }
            Some(Match::Reference(ReferenceMatch::AnyType { id, types })) => {
                let with = |t: TypeId| part_of(t).map(|p| (t, p));
                let mut several = types.into_iter().filter_map(with);
                match (several.next(), several.next()) {
                    (Some((type_id, part_of)), None) => Ok(found(type_id, id, part_of)),
                    (None, _) => Err(none()),
                    _ => Err(named.bad_value("name the type: Type/id")),
                }
            }
            Some(Match::Reference(ReferenceMatch::Url {
                url,
                version: Some(version),
            })) => Ok(Some(Match::CanonicalVersions {
                above,
                url,
                version,
            })),
            other => Ok(other),
        }
    }

    /// A reference without modifier; `None` for a type that the parameter never points to.
    pub(super) fn reference(&self, named: &Named<'_>, text: &str) -> Result<Option<Match>, Issue> {
        let text = unescape(text);
        let targets = named.targets();
        let found = match Target::read(&text, self.model, self.options.own_bases) {
            Target::Contained(_) => {
                return Err(named.bad_value("contained resources cannot be searched for"));
            }
            Target::Local { type_id, .. } if !targets.contains(&type_id) => return Ok(None),
            Target::Local {
                type_id,
                id,
                version,
            } => ReferenceMatch::Local {
                type_id,
                id,
                version: owned(version),
            },
            Target::Url(canonical) => match (ResourceId::new(&text), targets.as_slice()) {
                (Ok(id), [only]) => ReferenceMatch::Local {
                    type_id: *only,
                    id,
                    version: None,
                },
                (Ok(id), _) => ReferenceMatch::AnyType { id, types: targets },
                _ if crate::reference::is_absolute(&text) || self.is_canonical(named) => {
                    ReferenceMatch::Url {
                        url: cut(&canonical.part(), VALUE_BYTES_MAX).to_owned(),
                        version: owned(canonical.version),
                    }
                }
                _ => {
                    return Err(named.bad_value("a reference is Type/id, an id or an absolute URL"));
                }
            },
        };
        Ok(Some(Match::Reference(found)))
    }

    /// Whether the parameter's elements are canonicals or URIs, which may be any text.
    fn is_canonical(&self, named: &Named<'_>) -> bool {
        let primitive = |p: &Known<'_>| {
            p.plan.is_some_and(|plan| {
                plan.plan
                    .types()
                    .iter()
                    .any(|t| matches!(t.content(), Content::Primitive(_)))
            })
        };
        named.params.iter().any(primitive)
    }
}

fn owned(version: &str) -> Option<String> {
    (!version.is_empty()).then(|| version.to_owned())
}
