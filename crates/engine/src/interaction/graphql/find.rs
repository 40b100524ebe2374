//! The fields that find resources: `Patient(id:)`, `PatientList(…)` and `PatientConnection(…)` of
//! the whole, and the last two with `_reference` of a resource.

use async_graphql_parser::Pos;
use async_graphql_parser::types::SelectionSet;
use async_graphql_value::ConstValue;
use base::{Code, ResourceId};
use fhir::definitions::TypeId;

use super::collect::Group;
use super::fields::{Fields, Form, Out};
use super::filter::{scalar, whole};
use super::load::{Find, Found, Need};
use super::select::{Pass, Way, put};
use super::{Checked, Fault, Stop, wrong};
use crate::form;

/// What a search field answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The resources.
    List,
    /// A page, with what there is to say about it.
    Connection,
}

/// The arguments of a search field.
struct Arguments {
    find: Find,
    offset: usize,
    count: Option<usize>,
    /// A FHIRPath expression that the resources must meet.
    filter: Option<(String, Pos)>,
}

impl<'p> Pass<'p> {
    /// The type and kind of a search field.
    pub(super) fn search_field(&self, name: &str) -> Option<(TypeId, Kind)> {
        if let Some(of) = name.strip_suffix("List")
            && let Some(type_id) = self.model.type_id(of)
        {
            return Some((type_id, Kind::List));
        }
        let of = name.strip_suffix("Connection")?;
        Some((self.model.type_id(of)?, Kind::Connection))
    }

    /// The fields of the whole.
    pub(super) fn whole(&self, sets: &[&'p SelectionSet], out: &mut Fields) -> Checked<()> {
        for group in self.collect(sets, &|name| name == "Query", 0)? {
            let (name, at) = (group.field.name.node.as_str(), group.at);
            if name == "__typename" {
                put(out, group.key(), Form::Single, Out::text("Query"), at)?;
            } else if let Some(json) = self.introspected("Query", &group)? {
                put(out, group.key(), Form::Single, Out::Json(json), at)?;
            } else if let Some((type_id, kind)) = self.search_field(name) {
                self.searched(type_id, kind, None, &group, Way::START, out)?;
            } else if let Some(type_id) = self.model.type_id(name) {
                self.one(type_id, &group, out)?;
            } else {
                return wrong(format!("there is no field {name}"), at);
            }
        }
        Ok(())
    }

    /// `Patient(id:)`
    fn one(&self, type_id: TypeId, group: &Group<'p>, out: &mut Fields) -> Checked<()> {
        let mut id = None;
        for (name, written) in &group.field.arguments {
            if name.node.as_str() != "id" {
                return wrong(format!("there is no argument {} here", name.node), name.pos);
            }
            let value = self.document.value(&written.node, written.pos)?;
            id = ResourceId::new(&scalar(&value, written.pos)?).ok();
        }
        let Some(id) = id else {
            return wrong("an id is expected", group.at);
        };
        let mut object = Fields::default();
        if !self.stored(type_id, &id, &group.sets, Way::START, &mut object)? {
            return Err(Stop::Fault(Fault {
                code: Code::NotFound,
                text: Code::NotFound.describe().to_owned(),
                at: Some((group.at.line, group.at.column)),
            }));
        }
        put(
            out,
            group.key(),
            Form::Single,
            Out::Object(object),
            group.at,
        )
    }

    /// A list or connection; with `from` of what refers to this resource.
    pub(super) fn searched(
        &self,
        type_id: TypeId,
        kind: Kind,
        from: Option<(TypeId, &ResourceId)>,
        group: &Group<'p>,
        way: Way<'_>,
        out: &mut Fields,
    ) -> Checked<()> {
        let arguments = self.arguments(type_id, kind, from, group)?;
        let Some(found) = self.loaded.searches.get(&arguments.find) else {
            self.need(Need::Search(arguments.find));
            return Ok(());
        };
        let mut bodies: Vec<&'p [u8]> = Vec::new();
        for body in found.resources.iter().skip(arguments.offset) {
            let fits = match &arguments.filter {
                Some((text, at)) => self.resource_holds(body, text, *at)?,
                None => true,
            };
            if fits && bodies.len() < arguments.count.unwrap_or(usize::MAX) {
                bodies.push(body);
            }
        }
        if kind == Kind::Connection {
            let mut object = Fields::default();
            let name = self.model.type_name(type_id);
            self.connection(name, found, (&bodies, &group.sets), &mut object)?;
            return put(
                out,
                group.key(),
                Form::Either,
                Out::Object(object),
                group.at,
            );
        }
        out.list(group.key());
        for body in bodies {
            let mut object = Fields::default();
            self.body(body, &group.sets, way.deeper(), &mut object)?;
            put(out, group.key(), Form::List, Out::Object(object), group.at)?;
        }
        Ok(())
    }

    fn connection(
        &self,
        of: &str,
        found: &Found,
        (bodies, sets): (&[&'p [u8]], &[&'p SelectionSet]),
        out: &mut Fields,
    ) -> Checked<()> {
        let number = |n: u64| Some(Out::Json(n.to_string()));
        let name = format!("{of}Connection");
        for group in self.collect(sets, &|is| is == name, 1)? {
            let value = match group.field.name.node.as_str() {
                "__typename" => Some(Out::text(&name)),
                "count" => found.total.and_then(number),
                "offset" => number(found.offset),
                "pagesize" => number(u64::from(found.count)),
                "next" => found.next.as_deref().map(Out::text),
                // The first page is the search itself, and pages are only read forwards.
                "first" | "previous" | "last" => None,
                "pageInfo" => {
                    let mut object = Fields::default();
                    self.page_info(found, &group.sets, &mut object)?;
                    Some(Out::Object(object))
                }
                "edges" => {
                    out.list(group.key());
                    for body in bodies {
                        let mut edge = Fields::default();
                        self.edge(of, body, &group.sets, &mut edge)?;
                        put(out, group.key(), Form::List, Out::Object(edge), group.at)?;
                    }
                    None
                }
                other => return wrong(format!("a connection has no field {other}"), group.at),
            };
            if let Some(value) = value {
                put(out, group.key(), Form::Either, value, group.at)?;
            }
        }
        Ok(())
    }

    fn page_info(&self, found: &Found, sets: &[&'p SelectionSet], out: &mut Fields) -> Checked<()> {
        for group in self.collect(sets, &|is| is == "PageInfo", 2)? {
            let value = match group.field.name.node.as_str() {
                "__typename" => Some(Out::text("PageInfo")),
                "hasNextPage" => Some(Out::Json(found.next.is_some().to_string())),
                "hasPreviousPage" => Some(Out::Json((found.offset > 0).to_string())),
                "endCursor" => found.next.as_deref().map(Out::text),
                other => return wrong(format!("pageInfo has no field {other}"), group.at),
            };
            if let Some(value) = value {
                put(out, group.key(), Form::Either, value, group.at)?;
            }
        }
        Ok(())
    }

    fn edge(
        &self,
        of: &str,
        body: &'p [u8],
        sets: &[&'p SelectionSet],
        out: &mut Fields,
    ) -> Checked<()> {
        let name = format!("{of}Edge");
        for group in self.collect(sets, &|is| is == name, 2)? {
            let value = match group.field.name.node.as_str() {
                "__typename" => Some(Out::text(&name)),
                "mode" => Some(Out::text("match")),
                // Matches are not scored.
                "score" => None,
                "resource" => {
                    let mut object = Fields::default();
                    self.body(body, &group.sets, Way::START.deeper(), &mut object)?;
                    Some(Out::Object(object))
                }
                other => return wrong(format!("an edge has no field {other}"), group.at),
            };
            if let Some(value) = value {
                put(out, group.key(), Form::Either, value, group.at)?;
            }
        }
        Ok(())
    }

    fn arguments(
        &self,
        type_id: TypeId,
        kind: Kind,
        from: Option<(TypeId, &ResourceId)>,
        group: &Group<'p>,
    ) -> Checked<Arguments> {
        let mut found = Arguments {
            find: Find {
                type_id,
                query: String::new(),
                cursor: None,
                total: kind == Kind::Connection && asks_for_count(group),
            },
            offset: 0,
            count: None,
            filter: None,
        };
        let mut parameters: Vec<(String, String)> = Vec::new();
        let mut refers = false;
        for (name, written) in &group.field.arguments {
            let (name, at) = (name.node.as_str(), written.pos);
            let value = self.document.value(&written.node, at)?;
            match (name, from) {
                (_, _) if value == ConstValue::Null => {}
                ("_reference", Some((of, id))) => {
                    let code = self.parameter(type_id, &scalar(&value, at)?, at)?;
                    let target = format!("{}/{id}", self.model.type_name(of));
                    parameters.push((code, target));
                    refers = true;
                }
                ("fhirpath", _) => found.filter = Some((scalar(&value, at)?, at)),
                ("_offset", _) if kind == Kind::List => found.offset = whole(&value, at)?,
                ("_count", _) => found.count = Some(whole(&value, at)?),
                ("cursor" | "_cursor", _) if kind == Kind::Connection => {
                    found.find.cursor = Some(scalar(&value, at)?);
                }
                _ => {
                    let code = self.parameter(type_id, name, at)?;
                    let all = match &value {
                        ConstValue::List(all) => all.as_slice(),
                        one => std::slice::from_ref(one),
                    };
                    for one in all {
                        parameters.push((code.clone(), scalar(one, at)?));
                    }
                }
            }
        }
        if from.is_some() && !refers && found.find.cursor.is_none() {
            return wrong(
                "_reference is expected: the parameter that refers",
                group.at,
            );
        }
        if found.find.cursor.is_some() {
            // The cursor carries the search.
            return Ok(found);
        }
        if let Some(count) = found.count {
            let count = count.saturating_add(found.offset);
            parameters.push(("_count".to_owned(), count.to_string()));
        }
        let pairs = parameters
            .iter()
            .map(|(name, value)| format!("{}={}", form::encode(name), form::encode(value)));
        found.find.query = pairs.collect::<Vec<_>>().join("&");
        Ok(found)
    }

    /// The search parameter that an argument means: `-` is written `_`.
    fn parameter(&self, type_id: TypeId, name: &str, at: Pos) -> Checked<String> {
        if name.starts_with('_') {
            return Ok(name.to_owned());
        }
        let own = self.own.iter().filter(|c| c.serves);
        let own = own.map(|c| &c.definition).filter(|d| d.type_id == type_id);
        let params = self.model.params(type_id).iter().map(|param| param.code);
        let mut all = params.chain(own.map(|d| d.code.as_str()));
        match all.find(|code| code.replace('-', "_") == name) {
            Some(code) => Ok(code.to_owned()),
            None => wrong(format!("there is no search parameter {name}"), at),
        }
    }
}

fn asks_for_count(group: &Group<'_>) -> bool {
    // A fragment might ask for it, too.
    group.sets.iter().flat_map(|set| &set.items).any(|item| {
        use async_graphql_parser::types::Selection;
        match &item.node {
            Selection::Field(field) => field.node.name.node.as_str() == "count",
            Selection::FragmentSpread(_) | Selection::InlineFragment(_) => true,
        }
    })
}
