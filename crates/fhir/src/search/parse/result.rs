//! Parameters that say what is answered, not what is found: `_sort`, `_count`, `_include` …
//! (`search.html#modifyingresults`), and `_type`.

use base::Code;
use base::limits::fixed::SORT_KEYS_MAX;

use crate::definitions::{Model, Param, ParamKind, TypeId};
use crate::outcome::Issue;

use super::super::query::{Contained, Include, Shape, SortBy, SortKey, Total};
use super::{Context, Reading, Target, shown, too_much};

/// The types that are searched.
pub(super) fn types(
    model: &'static Model,
    target: &Target,
    pairs: &[(String, String)],
) -> Result<Vec<TypeId>, Issue> {
    if let Target::Types(types) = target {
        return Ok(types.clone());
    }
    let mut named = Vec::new();
    let values = pairs
        .iter()
        .filter(|(name, _)| name == "_type")
        .map(|(_, value)| value);
    for name in values.flat_map(|v| v.split(',')).filter(|n| !n.is_empty()) {
        let found = model.type_id(name).ok_or_else(|| {
            let text = format!("_type: there is no resource type {}", shown(name));
            Issue::error(Code::SearchValue, text)
        })?;
        if !named.contains(&found) {
            named.push(found);
        }
    }
    Ok(if named.is_empty() {
        model.types().collect()
    } else {
        named
    })
}

fn bad_value(name: &str, what: &str) -> Issue {
    Issue::error(Code::SearchValue, format!("{name}: {what}"))
}

impl Context<'_> {
    /// Reads a parameter of this kind; `false` if it is none.
    pub(super) fn result_parameter(
        &self,
        name: &str,
        value: &str,
        reading: &mut Reading,
    ) -> Result<bool, Issue> {
        let (code, modifier) = match name.split_once(':') {
            Some((code, modifier)) => (code, Some(modifier)),
            None => (name, None),
        };
        match code {
            "_sort" => self.sort(value, reading)?,
            "_count" => self.count(value, reading)?,
            "_total" => {
                once("_total", reading)?;
                reading.parsed.query.total = match value {
                    "none" => Total::None,
                    "estimate" => Total::Estimate,
                    "accurate" => Total::Accurate,
                    _ => return Err(bad_value("_total", "one of none, estimate, accurate")),
                };
            }
            "_summary" => summary(value, reading)?,
            "_elements" => {
                elements(value, reading)?;
                let all = match &reading.parsed.query.shape {
                    Shape::Elements(all) => all.len(),
                    _ => 0,
                };
                if all as u64 > self.options.limits.query_values_max {
                    let text = "_elements: too many elements";
                    return Err(too_much(text, "query_values_max"));
                }
            }
            "_include" | "_revinclude" => {
                let include = self.include(code, modifier, value)?;
                reading.parsed.query.include.push(include);
                return Ok(true);
            }
            "_type" if *self.target == Target::All || modifier.is_some() => {}
            "_contained" => match value {
                "false" => once("_contained", reading)?,
                "true" | "both" => {
                    once("_contained", reading)?;
                    reading.parsed.query.contained = Some(Contained {
                        both: value == "both",
                        alone: false,
                    });
                }
                _ => return Err(bad_value("_contained", "one of false, true, both")),
            },
            "_containedType" => match value {
                "container" | "contained" => {
                    once("_containedType", reading)?;
                    reading.alone = value == "contained";
                }
                _ => return Err(bad_value("_containedType", "one of container, contained")),
            },
            _ => return Ok(false),
        }
        match modifier {
            None => Ok(true),
            Some(modifier) => {
                let text = format!("{code} takes no modifier {}", shown(modifier));
                Err(Issue::error(Code::SearchModifier, text))
            }
        }
    }

    fn sort(&self, value: &str, reading: &mut Reading) -> Result<(), Issue> {
        for key in value.split(',') {
            let (code, descending) = key.strip_prefix('-').map_or((key, false), |c| (c, true));
            let by = match code {
                "_id" => SortBy::Id,
                "_score" => SortBy::Score,
                "_lastUpdated" => SortBy::LastUpdated(self.named(self.types, code, None)?.ids()),
                _ => {
                    let named = self.named(self.types, code, None)?;
                    if matches!(named.kind, ParamKind::Composite | ParamKind::Special) {
                        let text = format!("{} has no order", shown(code));
                        return Err(bad_value("_sort", &text));
                    }
                    SortBy::Param(named.ids(), named.kind)
                }
            };
            let sort = &mut reading.parsed.query.sort;
            if sort.len() >= SORT_KEYS_MAX {
                return Err(too_much("_sort: too many keys", "sort_keys_max"));
            }
            sort.push(SortKey { by, descending });
        }
        Ok(())
    }

    fn count(&self, value: &str, reading: &mut Reading) -> Result<(), Issue> {
        once("_count", reading)?;
        let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        if !digits {
            return Err(bad_value("_count", "a number, zero or more"));
        }
        // More than any number can hold is more than a page can.
        let count = value
            .parse()
            .unwrap_or(u64::MAX)
            .min(self.options.limits.page_entries_max);
        reading.parsed.query.count = u32::try_from(count).unwrap_or(u32::MAX);
        Ok(())
    }

    /// `Type:parameter[:Target]`, `Type:*`, or `*` for every reference of what is searched.
    fn include(&self, code: &str, modifier: Option<&str>, value: &str) -> Result<Include, Issue> {
        let iterate = match modifier {
            None => false,
            // `:recurse` is what `:iterate` was called before R4.
            Some("iterate" | "recurse") => true,
            Some(other) => {
                let text = format!("{code} takes no modifier {}", shown(other));
                return Err(Issue::error(Code::SearchModifier, text));
            }
        };
        let reverse = code == "_revinclude";
        let mut parts = value.splitn(3, ':');
        let (source, param, target) = (parts.next(), parts.next(), parts.next());
        // Over what is found on the way, any type may come.
        let open = source == Some("*") && param.is_none() && (reverse || iterate);
        let (sources, param) = match (source, param) {
            (Some("*"), None) if open => (self.model.types().collect(), "*"),
            (Some("*"), None) => (self.types.to_vec(), "*"),
            (Some(source), Some(param)) => (vec![self.type_named(source)?], param),
            _ => {
                return Err(bad_value(
                    code,
                    "the form is Type:parameter, Type:parameter:Target or *",
                ));
            }
        };
        let mut target = target.map(|t| self.type_named(t)).transpose()?;
        let mut params = Vec::new();
        for source in sources {
            if param == "*" {
                let references = self.model.params(source).iter();
                // Turned round, only those that can point to what is searched are worth following.
                let is_useful = |p: &&Param| {
                    !reverse || iterate || self.types.iter().any(|t| p.targets.contains(t))
                };
                let references = references
                    .filter(|p| p.kind == ParamKind::Reference)
                    .filter(is_useful);
                params.extend(references.map(|p| (source, p.id)));
                let own = self.options.custom.iter().filter(|c| {
                    let of = &c.definition;
                    let useful =
                        !reverse || iterate || self.types.iter().any(|t| of.targets.contains(t));
                    c.serves && useful && (of.type_id, of.kind) == (source, ParamKind::Reference)
                });
                params.extend(own.map(|c| (source, c.id)));
                continue;
            }
            // An unknown parameter is a bad value of a known one.
            let named = self.named(&[source], param, None).map_err(|issue| Issue {
                code: Code::SearchValue,
                ..issue
            })?;
            if named.kind != ParamKind::Reference {
                let text = format!("{} is not a reference", shown(param));
                return Err(bad_value(code, &text));
            }
            if target.is_some_and(|t| !named.targets().contains(&t)) {
                let text = format!("{} never refers to the type named", shown(param));
                return Err(bad_value(code, &text));
            }
            // Who names a parameter that leads to one type alone names that type.
            if let ([only], false) = (named.targets().as_slice(), reverse) {
                target = Some(*only);
            }
            params.extend(named.ids().into_iter().map(|id| (source, id)));
        }
        Ok(Include {
            reverse,
            iterate,
            params,
            target,
            open,
        })
    }
}

fn once(name: &'static str, reading: &mut Reading) -> Result<(), Issue> {
    if reading.once.contains(&name) {
        return Err(bad_value(name, "given more than once"));
    }
    reading.once.push(name);
    Ok(())
}

fn summary(value: &str, reading: &mut Reading) -> Result<(), Issue> {
    once("_summary", reading)?;
    let query = &mut reading.parsed.query;
    let shape = match value {
        "true" => Shape::Summary,
        "text" => Shape::Text,
        "data" => Shape::Data,
        "false" => return Ok(()),
        "count" => {
            reading.count_only = true;
            return Ok(());
        }
        _ => {
            return Err(bad_value(
                "_summary",
                "one of true, text, data, count, false",
            ));
        }
    };
    // Both together are refused at the end.
    if !matches!(query.shape, Shape::Elements(_)) {
        query.shape = shape;
    }
    reading.summary = true;
    Ok(())
}

fn elements(value: &str, reading: &mut Reading) -> Result<(), Issue> {
    let named: Vec<String> = value.split(',').map(str::to_owned).collect();
    let is_name = |n: &String| !n.is_empty() && n.bytes().all(|b| b.is_ascii_alphanumeric());
    if !named.iter().all(is_name) {
        return Err(bad_value(
            "_elements",
            "names of elements of the resource, with commas between",
        ));
    }
    match &mut reading.parsed.query.shape {
        Shape::Elements(all) => all.extend(named),
        shape => *shape = Shape::Elements(named),
    }
    Ok(())
}
