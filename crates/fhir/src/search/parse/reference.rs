//! `search.html#reference`

use base::ResourceId;

use crate::definitions::{Content, Param};
use crate::outcome::Issue;

use super::super::query::{Match, ReferenceMatch};
use super::super::value::reference::Target;
use super::super::value::{VALUE_BYTES_MAX, cut};
use super::named::Named;
use super::text::unescape;
use super::{Context, token};

impl Context<'_> {
    pub(super) fn reference_value(
        &self,
        named: &Named<'_>,
        text: &str,
    ) -> Result<Option<Match>, Issue> {
        match named.modifier {
            Some("identifier") => Ok(Some(Match::ReferenceIdentifier(token::read(named, text)?))),
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
            Target::Url { url, version } => match (ResourceId::new(&text), targets.as_slice()) {
                (Ok(id), [only]) => ReferenceMatch::Local {
                    type_id: *only,
                    id,
                    version: None,
                },
                (Ok(id), _) => ReferenceMatch::AnyType { id, types: targets },
                _ if crate::reference::is_absolute(&text) || self.is_canonical(named) => {
                    let url = cut(url, VALUE_BYTES_MAX).to_owned();
                    ReferenceMatch::Url {
                        url,
                        version: owned(version),
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
        let primitive = |p: &Param| {
            let plan = self.plans.of_type(p.type_id).and_then(|t| t.param(p.id));
            plan.is_some_and(|plan| {
                plan.plan
                    .types()
                    .iter()
                    .any(|t| matches!(t.content(), Content::Primitive(_)))
            })
        };
        named.params.iter().any(|p| primitive(p))
    }
}

fn owned(version: &str) -> Option<String> {
    (!version.is_empty()).then(|| version.to_owned())
}
