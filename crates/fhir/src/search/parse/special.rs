//! Parameters that are no values of an element: `_text`, `_content`, `_list`, `_in`, `_filter`
//! (`search.html#special`).

use base::{Code, ResourceId};

use super::super::query::Clause;
use super::super::rows::{content, narrative};
use super::super::value::reference::Target;
use super::super::words::Words;
use super::text::unescape;
use super::{Context, Reading, shown};
use crate::definitions::{ParamId, TypeId};
use crate::outcome::Issue;

fn bad_value(name: &str, what: &str) -> Issue {
    Issue::error(Code::SearchValue, format!("{name}: {what}"))
}

/// What `_text` and `_content` ask.
fn words(name: &str, value: &str) -> Result<Words, Issue> {
    Words::parse(&unescape(value)).map_err(|what| bad_value(name, &what))
}

impl Context<'_> {
    /// Notes the words of `_text` and `_content`, which count for the score.
    pub(super) fn relevant(
        &self,
        name: &str,
        value: &str,
        reading: &mut Reading,
    ) -> Result<(), Issue> {
        let params: Vec<ParamId> = match name {
            "_text" => self.types.iter().map(|t| narrative(*t)).collect(),
            "_content" => {
                let both = self.types.iter().flat_map(|t| [narrative(*t), content(*t)]);
                both.collect()
            }
            _ => return Ok(()),
        };
        let relevance = words(name, value)?.relevance(&params);
        reading.parsed.query.relevance.extend(relevance);
        Ok(())
    }

    /// The condition of a parameter of this kind; `None` for any other.
    pub(super) fn special(
        &self,
        types: &[TypeId],
        code: &str,
        modifier: Option<&str>,
        value: &str,
        depth: u64,
    ) -> Result<Option<Clause>, Issue> {
        let r5 = super::super::served::is_r5(self.model.version());
        match code {
            "_text" | "_content" | "_list" | "_filter" => {}
            "_in" if r5 => {}
            _ => return Ok(None),
        }
        if let Some(modifier) = modifier {
            let text = format!("{code} takes no modifier {}", shown(modifier));
            return Err(Issue::error(Code::SearchModifier, text));
        }
        match code {
            "_text" => Ok(Some(words(code, value)?.in_narratives(types))),
            "_content" => Ok(Some(words(code, value)?.in_resources(types))),
            "_list" => self.list(value).map(Some),
            "_in" => self.members(value).map(Some),
            _ => self.filter(types, value, depth).map(Some),
        }
    }

    /// `_list=42`: members of the List resource (`search.html#list`).
    fn list(&self, value: &str) -> Result<Clause, Issue> {
        let known = self.model.type_id("List");
        let item = known.and_then(|t| Some((t, self.known(t, "item")?)));
        let Some((source, item)) = item else {
            return Err(bad_value("_list", "this version of FHIR has no List"));
        };
        let mut ids = Vec::new();
        for text in self.values(value)? {
            if text.starts_with('$') {
                let what = "lists that are computed ($current-…) are not supported; the id of a \
                            List resource is";
                return Err(bad_value("_list", what));
            }
            let id = text.strip_prefix("List/").unwrap_or(text);
            let id = ResourceId::new(id)
                .map_err(|_| bad_value("_list", "the value is the id of a List resource"))?;
            ids.push(id);
        }
        Ok(Clause::Has {
            source,
            param: item.id,
            inner: Box::new(Clause::Id(ids)),
        })
    }

    /// `_in=Group/7`: members of a Group, CareTeam or List (R5, `search.html#_in`).
    fn members(&self, value: &str) -> Result<Clause, Issue> {
        const FORM: &str = "the value is Group/id, CareTeam/id or List/id";
        let mut each = Vec::new();
        for text in self.values(value)? {
            self.count_clause()?;
            let read = Target::read(text, self.model, self.options.own_bases);
            let Target::Local { type_id, id, .. } = read else {
                return Err(bad_value("_in", FORM));
            };
            let members = match self.model.type_name(type_id) {
                "Group" => self.known(type_id, "member"),
                "CareTeam" => self.known(type_id, "participant"),
                "List" => self.known(type_id, "item"),
                _ => None,
            };
            each.push(Clause::Has {
                source: type_id,
                param: members.ok_or_else(|| bad_value("_in", FORM))?.id,
                inner: Box::new(Clause::Id(vec![id])),
            });
        }
        Ok(Clause::Or(each))
    }
}
