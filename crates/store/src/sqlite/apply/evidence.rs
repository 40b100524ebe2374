//! Nobody opens a chart to themselves by writing what policy takes for evidence: that somebody cares for a
//! patient, or was asked by them. Conditions of the caller's rules that look at resources of the written
//! type are asked before the change and after it, of what the written resources name and of what refers to
//! them.
//!
//! The change that makes the evidence shows nothing yet (see [`super`]); this refuses it, so that the next
//! request does not stand on it either. Who administers the tenant may.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use access::Evidence;
use base::limits::fixed::{EVIDENCE_NAMED_MAX, EVIDENCE_ROWS_MAX};
use base::{Code, ResourceId, Seq};
use fhir::definitions::{ParamId, TypeId};
use fhir::json::{self, Kind, Value};
use fhir::reference::Literal;
use fhir::search::query::{Clause, Match, Test};
use rusqlite::params;

use super::{DEPTH_MAX, Making, Op, find, refused};
use crate::sqlite::fault::Doing;
use crate::sqlite::index::{IdKey, NO_TYPE};
use crate::sqlite::{extract, rows, search};
use crate::{Method, Result};

/// Bytes of a text that may be a reference to what is here.
const REFERENCE_BYTES_MAX: usize = 2_048;

type Resource = (TypeId, ResourceId);

/// A condition that a write may turn, on rows of a type; met where `opens` is, it leads on.
#[derive(Clone, Copy)]
struct Turn<'r> {
    on: TypeId,
    clause: &'r Clause,
    opens: bool,
    of: Of<'r>,
}

/// Of which rows it is asked.
#[derive(Clone, Copy)]
enum Of<'r> {
    /// Those that the written resource names, by this parameter where it does so by a canonical.
    Named(ParamId),
    /// Those that refer to it by a parameter, where a condition on the resource itself turns so.
    ReferTo(&'r [ParamId], &'r Clause, bool),
    /// Those that refer by a parameter to it, to what is part of it or to what it is part of, where this other
    /// one says what it is part of.
    Among(&'r [ParamId], ParamId),
    /// Those that refer to what it names.
    ReferToNamed(&'r [ParamId]),
}

/// A write of what some rule looks at, and what it names before and after.
pub(super) struct Watched {
    entry: usize,
    named: HashMap<TypeId, Vec<ResourceId>>,
    /// What the change makes that was not there: nothing of it was to be opened.
    made: Arc<Vec<Resource>>,
}

impl Watched {
    /// Whether it names more than are looked at in one write: some of them are taken to be opened.
    fn names_too_many(&self) -> bool {
        self.named.values().map(Vec::len).sum::<usize>() > EVIDENCE_NAMED_MAX
    }
}

/// Looks for conditions on resources of a type.
struct Looking<'r, 'm> {
    of: TypeId,
    model: &'m fhir::definitions::Model,
    found: Vec<Turn<'r>>,
    known: HashSet<(*const Clause, TypeId, bool)>,
}

impl<'r> Looking<'r, '_> {
    fn looks(&self, clause: &Clause) -> bool {
        clause.looks_at(self.model).contains(&self.of)
    }

    /// A whole condition on rows of a type.
    fn level(&mut self, whole: &'r Clause, on: TypeId, opens: bool) {
        if self.known.insert((std::ptr::from_ref(whole), on, opens)) && self.looks(whole) {
            self.part(whole, whole, (on, opens), opens);
        }
    }

    /// A part of it. `(on, opens)` are of the whole; `leads` is what the part does to it.
    fn part(&mut self, whole: &'r Clause, part: &'r Clause, of: (TypeId, bool), leads: bool) {
        let (on, opens) = of;
        let turn = |of| Turn {
            on,
            clause: whole,
            opens,
            of,
        };
        match part {
            Clause::And(parts) | Clause::Or(parts) | Clause::ByType(parts) => {
                for inner in parts {
                    self.part(whole, inner, of, leads);
                }
            }
            Clause::Not(inner) => self.part(whole, inner, of, !leads),
            Clause::Has {
                source,
                param: by,
                inner,
            } => {
                if *source == self.of {
                    self.found.push(turn(Of::Named(*by)));
                }
                self.level(inner, *source, leads);
            }
            Clause::MemberOf {
                param,
                source,
                inner,
                ..
            } => {
                if *source == self.of {
                    self.found.push(turn(Of::ReferToNamed(param)));
                }
                self.level(inner, *source, leads);
            }
            Clause::Chain { param, targets } => {
                for (target, inner) in targets {
                    if *target == self.of {
                        self.found.push(turn(Of::ReferTo(param, inner, leads)));
                    }
                    self.level(inner, *target, leads);
                }
            }
            Clause::Param(param) => {
                let (Test::Any(values) | Test::None(values)) = &param.test else {
                    return;
                };
                let part_of = values.iter().find_map(|value| match value {
                    Match::Hierarchy {
                        type_id, part_of, ..
                    } if *type_id == self.of => Some(*part_of),
                    _ => None,
                });
                if let Some(part_of) = part_of {
                    self.found.push(turn(Of::Among(&param.param, part_of)));
                }
            }
            Clause::Id(_) | Clause::NotId(_) | Clause::Never => {}
        }
    }
}

impl Making<'_> {
    /// Writes of what the rules of their callers look at, before anything is written.
    pub(super) fn watched(&mut self, ops: &[Op], reached: &[bool]) -> Result<Vec<Watched>> {
        let mut watched = Vec::new();
        let mut made = None;
        for ((entry, op), reached) in ops.iter().enumerate().zip(reached) {
            // What is out of reach is not written: it turns nothing.
            if !*reached {
                continue;
            }
            let of = op.target().0;
            let looks =
                |rules: &&Arc<Evidence>| !rules.looking_at(self.tenant.model, of).is_empty();
            if op.evidence().filter(looks).is_some() {
                let made = match &made {
                    Some(made) => Arc::clone(made),
                    None => made.insert(Arc::new(self.made(ops)?)).clone(),
                };
                let named = self.named(op)?;
                watched.push(Watched { entry, named, made });
            }
        }
        Ok(watched)
    }

    fn made(&self, ops: &[Op]) -> Result<Vec<Resource>> {
        let mut made = Vec::new();
        for op in ops {
            let (type_id, id) = op.target();
            if find(&self.state.db, type_id, id)?.is_none() {
                made.push((type_id, id.clone()));
            }
        }
        Ok(made)
    }

    /// Refuses a change that leads its caller to what nothing like it led to before.
    pub(super) fn must_not_open(&mut self, ops: &[Op], watched: &[Watched]) -> Result<()> {
        for one in watched {
            let entry = &one.entry;
            let Some((op, rules)) = ops.get(*entry).and_then(|op| Some((op, op.evidence()?)))
            else {
                continue;
            };
            let mut turned = HashMap::new();
            for turn in self.turns(rules, op.target().0) {
                let asks_named = !matches!(turn.of, Of::ReferTo(..));
                if (asks_named && one.names_too_many()) || self.opens(op, turn, one, &mut turned)? {
                    let text = "it would open the chart of a patient to whoever writes it";
                    return Err(refused(*entry, Code::OwnEvidence, text));
                }
            }
        }
        Ok(())
    }

    fn turns<'r>(&self, rules: &'r Evidence, of: TypeId) -> Vec<Turn<'r>> {
        let model = self.tenant.model;
        let mut looking = Looking {
            of,
            model,
            found: Vec::new(),
            known: HashSet::new(),
        };
        for type_id in rules.looking_at(model, of) {
            for clause in rules.rules(*type_id).iter().flat_map(|r| r.clauses()) {
                looking.level(clause, *type_id, true);
            }
        }
        looking.found
    }

    /// Whether a condition leads to something now to which it did not lead before.
    fn opens<'r>(
        &mut self,
        op: &Op,
        turn: Turn<'r>,
        Watched { named, made, .. }: &Watched,
        turned: &mut HashMap<(*const Clause, bool), bool>,
    ) -> Result<bool> {
        let mut rows = Vec::new();
        match turn.of {
            Of::Named(param) => {
                let ids = named.get(&turn.on).map_or(&[][..], Vec::as_slice);
                rows = self.rows_of(turn.on, ids)?;
                rows.extend(self.named_by_url(param, op.target(), turn.on)?);
            }
            Of::ReferTo(params, inner, leads) => {
                let known = (std::ptr::from_ref(inner), leads);
                let turns = match turned.get(&known) {
                    Some(turns) => *turns,
                    None => {
                        let (type_id, id) = op.target();
                        let own = self.rows_of(type_id, std::slice::from_ref(id))?;
                        let turns = self.turns_for((inner, leads), type_id, &own)?;
                        turned.insert(known, turns);
                        turns
                    }
                };
                if !turns {
                    return Ok(false);
                }
                rows = self.referring(params, op.target())?;
                rows.extend(self.referring_by_url(params, op.target())?);
            }
            Of::Among(params, part_of) => {
                let (type_id, id) = op.target();
                if !self.moves(type_id, id, part_of)? {
                    return Ok(false);
                }
                let named = named.get(&type_id).map_or(&[][..], Vec::as_slice);
                let Some(family) = self.family((type_id, id), named, part_of)? else {
                    return Ok(true);
                };
                for id in &family {
                    rows.extend(self.referring(params, (type_id, id))?);
                    if rows.len() > EVIDENCE_ROWS_MAX {
                        return Ok(true);
                    }
                }
            }
            Of::ReferToNamed(params) => {
                for (of, ids) in named {
                    for id in ids {
                        rows.extend(self.referring(params, (*of, id))?);
                        if rows.len() > EVIDENCE_ROWS_MAX + made.len() {
                            return Ok(true);
                        }
                    }
                }
            }
        }
        if !matches!(turn.of, Of::Named(_)) && !rows.is_empty() {
            let mut apart = HashSet::new();
            for (type_id, id) in made.iter().filter(|(of, _)| *of == turn.on) {
                apart.extend(find(&self.state.db, *type_id, id)?.map(|c| c.rid));
            }
            rows.retain(|rid| !apart.contains(rid));
        }
        // Too many to be asked one by one: some of them will be.
        if !matches!(turn.of, Of::Named(_)) && rows.len() > EVIDENCE_ROWS_MAX {
            return Ok(true);
        }
        self.turns_for((turn.clause, turn.opens), turn.on, &rows)
    }

    /// Whether a condition turns for some of these rows by the change: so that it is met, or is not.
    fn turns_for(
        &mut self,
        (clause, to): (&Clause, bool),
        on: TypeId,
        rows: &[i64],
    ) -> Result<bool> {
        if rows.is_empty() {
            return Ok(false);
        }
        let state = &mut *self.state;
        state.pending.flush(&state.db).doing("writing index rows")?;
        let met = |rows: &[i64], as_of| {
            search::meeting(self.tenant, &state.db, clause, on, (rows, &[]), as_of)
        };
        // Some at a time: the first that turns is enough.
        for some in rows.chunks(EVIDENCE_ROWS_MAX) {
            let after = met(some, self.seq)?;
            let so: Vec<i64> = (some.iter().copied())
                .filter(|rid| after.contains(rid) == to)
                .collect();
            if so.is_empty() {
                continue;
            }
            let before = met(&so, Seq(self.seq.0 - 1))?;
            if so.iter().any(|rid| before.contains(rid) != to) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn rows_of(&self, type_id: TypeId, ids: &[ResourceId]) -> Result<Vec<i64>> {
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            rows.extend(find(&self.state.db, type_id, id)?.map(|c| c.rid));
        }
        Ok(rows)
    }

    /// Rows that refer to a resource by one of these parameters, one more than are looked at.
    fn referring(
        &mut self,
        params: &[ParamId],
        (type_id, id): (TypeId, &ResourceId),
    ) -> Result<Vec<i64>> {
        const DOING: &str = "looking for what refers to evidence";
        let state = &mut *self.state;
        state.pending.flush(&state.db).doing("writing index rows")?;
        let mut look = state
            .db
            .prepare_cached(
                "SELECT DISTINCT i.rid FROM ix_reference i
                 WHERE i.param = ?1 AND i.type = ?2 AND i.id = ?3 AND i.until_seq = 0 LIMIT ?4",
            )
            .doing(DOING)?;
        let most = i64::try_from(EVIDENCE_ROWS_MAX + 1).unwrap_or(i64::MAX);
        let mut found = Vec::new();
        for param in params {
            let values = params![param.0, type_id.0, IdKey::of_id(id), most];
            let mut rows = look.query(values).doing(DOING)?;
            while let Some(row) = rows.next().doing(DOING)? {
                found.push(row.get(0).doing(DOING)?);
            }
        }
        Ok(found)
    }

    /// Rows that name a resource by its URL, or by one that it had, by one of these parameters; one more than
    /// are looked at.
    fn referring_by_url(
        &mut self,
        params: &[ParamId],
        (type_id, id): (TypeId, &ResourceId),
    ) -> Result<Vec<i64>> {
        let mut found = Vec::new();
        for param in params {
            let Some(url) = search::url_of(self.tenant, *param, type_id) else {
                continue;
            };
            let text = format!(
                "SELECT DISTINCT i.rid FROM resource AS t CROSS JOIN ix_uri AS u INDEXED BY ix_uri_rid
                 CROSS JOIN ix_reference AS i WHERE t.type = ?1 AND t.id = ?2 AND u.rid = t.rid
                 AND u.param = ?3 AND i.param = ?4 AND i.type = {NO_TYPE} AND i.id = u.uri
                 AND i.until_seq = 0 LIMIT ?5"
            );
            found.extend(self.rids(&text, (type_id, id), (url, *param))?);
        }
        Ok(found)
    }

    /// Rows of a type that a resource names by their URLs, or named, by this parameter.
    fn named_by_url(
        &mut self,
        param: ParamId,
        (type_id, id): (TypeId, &ResourceId),
        on: TypeId,
    ) -> Result<Vec<i64>> {
        let Some(url) = search::url_of(self.tenant, param, on) else {
            return Ok(Vec::new());
        };
        let text = format!(
            "SELECT DISTINCT u.rid FROM resource AS t CROSS JOIN ix_reference AS i INDEXED BY ix_reference_rid
             CROSS JOIN ix_uri AS u WHERE t.type = ?1 AND t.id = ?2 AND i.rid = t.rid AND i.param = ?4
             AND i.type = {NO_TYPE} AND u.param = ?3 AND u.uri = i.id AND u.until_seq = 0 LIMIT ?5"
        );
        self.rids(&text, (type_id, id), (url, param))
    }

    fn rids(
        &mut self,
        text: &str,
        (type_id, id): (TypeId, &ResourceId),
        (url, param): (i64, ParamId),
    ) -> Result<Vec<i64>> {
        const DOING: &str = "looking for what is named by a URL";
        let state = &mut *self.state;
        state.pending.flush(&state.db).doing("writing index rows")?;
        let most = i64::try_from(EVIDENCE_ROWS_MAX + 1).unwrap_or(i64::MAX);
        let values = params![type_id.0, IdKey::of_id(id), url, param.0, most];
        let mut look = state.db.prepare_cached(text).doing(DOING)?;
        let found = look.query_map(values, |row| row.get(0)).doing(DOING)?;
        found.collect::<rusqlite::Result<_>>().doing(DOING)
    }

    /// Whether the change says anew what a resource is part of.
    fn moves(&mut self, type_id: TypeId, id: &ResourceId, part_of: ParamId) -> Result<bool> {
        let state = &mut *self.state;
        state.pending.flush(&state.db).doing("writing index rows")?;
        let wholes = |at: &str| {
            format!(
                "SELECT r.type, r.id FROM resource AS t CROSS JOIN ix_reference AS r INDEXED BY ix_reference_rid
                 WHERE t.type = ?1 AND t.id = ?2 AND r.rid = t.rid AND r.param = ?3
                 AND r.from_seq <= {at} AND NOT (r.until_seq BETWEEN 1 AND {at})"
            )
        };
        let (before, after) = (wholes("?4 - 1"), wholes("?4"));
        let text = format!(
            "SELECT EXISTS (SELECT * FROM ({before}) EXCEPT SELECT * FROM ({after}))
             OR EXISTS (SELECT * FROM ({after}) EXCEPT SELECT * FROM ({before}))"
        );
        let seq = i64::try_from(self.seq.0).unwrap_or(i64::MAX);
        let values = params![type_id.0, IdKey::of_id(id), part_of.0, seq];
        state
            .db
            .prepare_cached(&text)
            .and_then(|mut s| s.query_row(values, |row| row.get(0)))
            .doing("looking for what a resource is part of")
    }

    /// A resource, what is part of it, what it names of its own type and what that is part of; none where
    /// they are too many.
    fn family(
        &mut self,
        (type_id, id): (TypeId, &ResourceId),
        named: &[ResourceId],
        part_of: ParamId,
    ) -> Result<Option<HashSet<ResourceId>>> {
        const DOWN: &str = "SELECT t.id FROM ix_reference AS r CROSS JOIN resource AS t WHERE r.param = ?3
             AND r.type = ?1 AND r.id = ?2 AND r.until_seq = 0 AND t.rid = r.rid AND t.type = ?1 LIMIT ?4";
        const UP: &str = "SELECT r.id FROM resource AS t CROSS JOIN ix_reference AS r INDEXED BY ix_reference_rid
             WHERE t.type = ?1 AND t.id = ?2 AND r.rid = t.rid AND r.param = ?3 AND r.type = ?1
             AND r.until_seq = 0 LIMIT ?4";
        const DOING: &str = "looking for what is part of evidence";
        let most = i64::try_from(EVIDENCE_ROWS_MAX + 1).unwrap_or(i64::MAX);
        let mut family: HashSet<ResourceId> = HashSet::new();
        for (text, from) in [(DOWN, std::slice::from_ref(id)), (UP, named)] {
            let mut open = from.to_vec();
            while let Some(one) = open.pop() {
                if !family.insert(one.clone()) {
                    continue;
                }
                if family.len() > EVIDENCE_ROWS_MAX {
                    return Ok(None);
                }
                let values = params![type_id.0, IdKey::of_id(&one), part_of.0, most];
                let mut look = self.state.db.prepare_cached(text).doing(DOING)?;
                let mut found = look.query(values).doing(DOING)?;
                while let Some(row) = found.next().doing(DOING)? {
                    open.extend(row.get_ref(0).ok().and_then(rows::id_of));
                }
            }
        }
        Ok(Some(family))
    }

    /// Refuses writes of what decides whom consents refuse, and of what criteria of the policy mean: where
    /// facilities belong, and the tenant's own search parameters that the policy names. Nobody who does not
    /// administer changes those.
    pub(super) fn must_not_move(&mut self, ops: &[Op], reached: &[bool]) -> Result<()> {
        let policy = self.tenant.policy();
        for ((entry, op), reached) in ops.iter().enumerate().zip(reached) {
            // What is out of reach is not written, and nothing is told of it.
            if !*reached {
                continue;
            }
            let (type_id, id) = op.target();
            let name = self.tenant.model.type_name(type_id);
            let decides = match name {
                "Organization" | "Location" => op.is_placed(),
                "SearchParameter" => !policy.document().grants.is_empty(),
                _ => false,
            };
            if !decides || op.is_trusted() {
                continue;
            }
            let current = rows::current(self.tenant, &self.state.db, type_id, id);
            let current = current.ok().flatten().map(|o| o.stored);
            let current = current.filter(|stored| stored.method != Method::Delete);
            let before = current.map(|stored| stored.body);
            let after = op.resource().map(|resource| self.whole(resource, id));
            let moves = match name {
                "SearchParameter" => [before.as_deref(), after.as_deref()]
                    .into_iter()
                    .flatten()
                    .filter_map(code_of)
                    .any(|code| policy.document().names(&code)),
                // What is not there any more is nobody's place: that refuses more.
                _ if after.is_none() => false,
                // Under an id that nobody chose nothing is known to be in it.
                _ => match &before {
                    None => !matches!(op, Op::Create { .. }),
                    Some(before) => wholes(Some(before)) != wholes(after.as_deref()),
                },
            };
            if moves {
                let text = match name {
                    "SearchParameter" => "the policy in force names this search parameter",
                    _ => "it would change whom patients' consents refuse",
                };
                return Err(refused(entry, Code::OwnEvidence, text));
            }
        }
        Ok(())
    }

    /// The resources that a write names, by type: in what is there, and in what it makes of it.
    fn named(&mut self, op: &Op) -> Result<HashMap<TypeId, Vec<ResourceId>>> {
        let (type_id, id) = op.target();
        let mut found = HashSet::new();
        let current = rows::current(self.tenant, &self.state.db, type_id, id);
        // One in quarantine cannot be read: what was decided about it is what counts.
        if let Ok(Some(current)) = current
            && current.stored.method != Method::Delete
        {
            self.names(&current.stored.body, &mut found);
        }
        if let Some(resource) = op.resource() {
            let body = self.whole(resource, id);
            self.names(&body, &mut found);
        }
        let mut by_type: HashMap<TypeId, Vec<ResourceId>> = HashMap::new();
        for (type_id, id) in found {
            by_type.entry(type_id).or_default().push(id);
        }
        Ok(by_type)
    }

    fn names(&self, body: &[u8], found: &mut HashSet<Resource>) {
        let Ok(document) = json::parse(body, DEPTH_MAX) else {
            return;
        };
        let bases = extract::own_bases(self.tenant, body, document.root());
        let bases: Vec<&str> = bases.iter().map(String::as_str).collect();
        let mut open: Vec<Value<'_>> = vec![document.root()];
        while let Some(value) = open.pop() {
            match value.kind() {
                Kind::Object => open.extend(value.members().map(|member| member.value)),
                Kind::Array => open.extend(value.items()),
                Kind::String => {
                    let text = value.as_str().unwrap_or_default();
                    if text.len() > REFERENCE_BYTES_MAX || !text.contains('/') {
                        continue;
                    }
                    let read = Literal::parse(&text, self.tenant.model, &bases);
                    if let Literal::Local { type_id, id, .. } = read {
                        found.insert((type_id, id));
                    }
                }
                _ => {}
            }
        }
    }
}

/// What an Organization or a Location is part of, as it says it.
fn wholes(body: Option<&[u8]>) -> [Option<serde_json::Value>; 2] {
    let body: Option<serde_json::Value> = body.and_then(|b| serde_json::from_slice(b).ok());
    let of = |name: &str| body.as_ref().and_then(|b| b.get(name)).cloned();
    [of("partOf"), of("managingOrganization")]
}

/// The name by which a search parameter is asked.
fn code_of(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    body.get("code").and_then(|c| c.as_str()).map(str::to_owned)
}
