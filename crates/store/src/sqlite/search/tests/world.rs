//! A tenant with random resources: index tables, and the same rows in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use access::{
    ClientId, ClientRecord, Directory, HouseKey, Record, RequestMeta, Scopes, Search, SecretKey,
    Spent, Target, TenantId, decide,
};
use base::{Limits, Micros, RequestId, ResourceId, Secret, Seq, TenantName};
use fhir::definitions::{FhirVersion, Model, ParamId, ParamKind, TypeId};
use fhir::search::query::{
    Circle, Clause, How, Include, Match, ParamClause, Prefix, Query, Range, ReferenceMatch, Shape,
    SortBy, SortKey, Test, TokenMatch, Total, Unit,
};
use fhir::search::rows::{Row, RowValue};
use rusqlite::{Connection, OptionalExtension};

use crate::plan::Bounds;
use crate::sqlite::index::{IdKey, Pending, Vocabulary, make};
use crate::{PageRequest, Position, Result};

/// One step of dates (longer than a third of a day, so that some ranges are long) and of numbers.
pub(super) const DATE_STEP: i64 = 34_560_000_000;
pub(super) const NUMBER_STEP: f64 = 0.375;

/// Bounds that small data meet from both sides.
pub(super) const SMALL: Bounds = Bounds {
    compared: 4,
    gathered: 7,
    sorted: 6,
    inner: 5,
    systems: 2,
    listed: 2,
    arms: 12,
    hierarchy: 1_000,
    positions: 1_000,
};

pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n.max(1)
    }

    pub(super) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        let at = usize::try_from(self.below(of.len() as u64)).unwrap();
        of[at].clone()
    }

    fn often(&mut self) -> bool {
        self.below(3) > 0
    }

    fn rarely(&mut self) -> bool {
        self.below(6) == 0
    }
}

#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) type_id: TypeId,
    pub(super) id: ResourceId,
    pub(super) rows: Vec<Row>,
}

pub(super) struct World {
    pub(super) conn: Connection,
    pub(super) limits: Limits,
    pub(super) seq: u64,
    pub(super) bounds: Bounds,
    pub(super) vocabulary: Vocabulary,
    pending: Pending,
    /// For each change, what there is after it.
    states: Vec<BTreeMap<i64, Resource>>,
    tenant: TenantId,
    /// Types that the caller may read.
    pub(super) scopes: &'static str,
}

pub(super) const TYPES: &[&str] = &[
    "Observation",
    "Patient",
    "Encounter",
    "Practitioner",
    "Group",
];
/// Parameter codes of `Observation` and of `Patient` used for each kind; the index does not care
/// what they mean.
const PARAMS: &[(&str, &str, &str)] = &[
    ("token", "code", "gender"),
    ("string", "value-string", "name"),
    ("date", "date", "birthdate"),
    ("number", "data-absent-reason", "deceased"),
    ("quantity", "value-quantity", "phonetic"),
    ("reference", "patient", "general-practitioner"),
    ("uri", "_source", "_source"),
    ("composite", "code-value-quantity", "address"),
    ("subject", "subject", "link"),
    ("composite", "code-value-concept", "address-city"),
    ("composite", "code-value-date", "address-country"),
    ("composite", "code-value-string", "address-state"),
];
const SYSTEMS: &[&str] = &["", "urn:a", "urn:b", "urn:c"];
const CODES: &[&str] = &["", "x", "y", "z"];
const TEXTS: &[&str] = &["an", "ana", "anna", "bo", "Anna", "AN", "é", "zoë", "a", ""];
const URIS: &[&str] = &[
    "http://e.org/a",
    "http://e.org/a/b",
    "http://e.org/a/b/c",
    "http://e.org/ab",
    "urn:x",
];
const KINDS: &[ParamKind] = &[
    ParamKind::Token,
    ParamKind::String,
    ParamKind::Date,
    ParamKind::Number,
    ParamKind::Quantity,
    ParamKind::Reference,
    ParamKind::Uri,
    ParamKind::Composite,
    ParamKind::Reference,
    ParamKind::Composite,
    ParamKind::Composite,
    ParamKind::Composite,
];

impl World {
    pub(super) fn new() -> Self {
        let conn = Connection::open_in_memory().unwrap();
        make(&conn).unwrap();
        conn.execute_batch(
            "CREATE TABLE resource (rid INTEGER PRIMARY KEY, type INTEGER NOT NULL,
               id ANY NOT NULL, UNIQUE (type, id)) STRICT;
             CREATE TABLE change (seq INTEGER PRIMARY KEY) STRICT;",
        )
        .unwrap();
        let vocabulary = Vocabulary::open(FhirVersion::R4, &conn).unwrap();
        let house = HouseKey::new(Secret::new([1; 32]));
        let directory = Directory::new(&house);
        let name = TenantName::new("lakeside").unwrap();
        let record = Record::seal(&house, name.clone(), [7; 16], FhirVersion::R4, [9; 32]);
        directory.admit(&record).unwrap();
        Self {
            conn,
            limits: Limits::default(),
            seq: 0,
            bounds: SMALL,
            vocabulary,
            pending: Pending::default(),
            states: vec![BTreeMap::new()],
            tenant: directory.resolve(&name).unwrap(),
            scopes: "system/Observation.rs system/Patient.rs system/Encounter.rs \
                     system/Practitioner.r",
        }
    }

    pub(super) fn model(&self) -> &'static Model {
        Model::of(FhirVersion::R4)
    }

    pub(super) fn type_id(&self, name: &str) -> TypeId {
        self.model().type_id(name).unwrap()
    }

    pub(super) fn param(&self, type_name: &str, code: &str) -> ParamId {
        self.model()
            .param(self.type_id(type_name), code)
            .unwrap()
            .id
    }

    pub(super) fn may_search(&self, type_id: TypeId) -> bool {
        let scope = format!("system/{}.rs", self.model().type_name(type_id));
        self.scopes.split(' ').any(|s| s == scope)
    }

    pub(super) fn may_see(&self, type_id: TypeId) -> bool {
        self.scopes
            .contains(&format!("system/{}.r", self.model().type_name(type_id)))
    }

    pub(super) fn spend(&self) -> Spent<Search> {
        let key = SecretKey::new(&Secret::new([3; 32]));
        let client = ClientRecord {
            id: ClientId::new("c").unwrap(),
            name: "c".to_owned(),
            scopes: Arc::new(Scopes::parse(self.scopes, self.model()).unwrap()),
            secret_hash: key.hash("secret"),
            jwks: None,
            epoch: 1,
            revoked: false,
            import: None,
        };
        let principal = client.authenticate(&self.tenant, &key, "secret").unwrap();
        let meta = RequestMeta {
            id: RequestId(1),
            at: Micros(0),
        };
        decide::<Search>(&principal, &self.tenant, meta, Target::Readable)
            .unwrap()
            .spend(&self.tenant)
    }

    pub(super) fn page(
        &self,
        spent: &Spent<Search>,
        query: &Query,
        after: Option<Position>,
        as_of: Option<u64>,
    ) -> Result<super::Found> {
        let request = PageRequest {
            after,
            as_of: as_of.map(Seq),
            ..PageRequest::default()
        };
        let surroundings = super::Surroundings {
            conn: &self.conn,
            vocabulary: &self.vocabulary,
            model: self.model(),
            limits: &self.limits,
            spent,
            bodies: &|_, _| Ok(None),
        };
        surroundings.page(query, &request, self.bounds)
    }

    /// What there is after a change.
    pub(super) fn now(&self, as_of: u64) -> &BTreeMap<i64, Resource> {
        &self.states[usize::try_from(as_of).unwrap()]
    }

    pub(super) fn show(&self, as_of: u64) -> String {
        use std::fmt::Write;
        let mut out = String::new();
        for (rid, r) in self.now(as_of) {
            let _ = writeln!(out, "{rid} {}/{}", self.model().type_name(r.type_id), r.id);
            for row in &r.rows {
                let code = self.model().param_by_id(row.param).map_or("?", |p| p.code);
                let _ = writeln!(out, "    {code} {:?}", row.value);
            }
        }
        out
    }

    /// Creates, updates or deletes one resource.
    pub(super) fn change(&mut self, dice: &mut Dice) {
        let type_name = dice.one(&[
            "Observation",
            "Observation",
            "Observation",
            "Patient",
            "Patient",
            "Encounter",
            "Practitioner",
            "Group",
        ]);
        let type_id = self.type_id(type_name);
        let id = self.id(dice);
        self.seq += 1;
        let seq = self.seq;
        let mut state = self.states.last().unwrap().clone();
        self.conn
            .execute("INSERT INTO change (seq) VALUES (?1)", [seq as i64])
            .unwrap();
        let key = IdKey::of_id(&id);
        let known: Option<i64> = self
            .conn
            .query_row(
                "SELECT rid FROM resource WHERE type = ?1 AND id = ?2",
                rusqlite::params![type_id.0, key],
                |r| r.get(0),
            )
            .optional()
            .unwrap();
        let live = known.is_some_and(|rid| state.contains_key(&rid));
        if live && dice.below(3) == 0 {
            let rid = known.unwrap();
            self.pending
                .close(&self.conn, &self.vocabulary, type_id, rid, Seq(seq))
                .unwrap();
            state.remove(&rid);
        } else {
            let rid = known.unwrap_or_else(|| {
                self.conn
                    .execute(
                        "INSERT INTO resource (type, id) VALUES (?1, ?2)",
                        rusqlite::params![type_id.0, key],
                    )
                    .unwrap();
                self.conn.last_insert_rowid()
            });
            let rows = if live && dice.rarely() {
                state[&rid].rows.clone()
            } else {
                self.rows(dice, type_name)
            };
            let mut plain = rows.clone();
            plain.retain(|r| !self.is_updated(r.param));
            let updated = Micros(DATE_STEP * i64::try_from(dice.below(12)).unwrap());
            let (conn, vocabulary) = (&self.conn, &self.vocabulary);
            if live {
                self.pending
                    .replace(conn, vocabulary, type_id, rid, Seq(seq), updated, &plain)
                    .unwrap();
            } else {
                self.pending
                    .insert(conn, vocabulary, type_id, rid, Seq(seq), updated, &plain)
                    .unwrap();
            }
            let mut rows = plain;
            let range = Range {
                low: updated.0,
                high: updated.0 + 1_000,
            };
            let param = self.param(type_name, "_lastUpdated");
            rows.push(Row {
                param,
                value: RowValue::Date(range),
            });
            state.insert(rid, Resource { type_id, id, rows });
        }
        self.pending.flush(&self.conn).unwrap();
        self.pending.committed(&self.vocabulary);
        self.states.push(state);
    }

    fn is_updated(&self, param: ParamId) -> bool {
        let param = self.model().param_by_id(param);
        param.is_some_and(|p| p.code == "_lastUpdated")
    }

    fn id(&self, dice: &mut Dice) -> ResourceId {
        let n = dice.below(9);
        let text = if n < 4 {
            format!("{n}")
        } else {
            format!("00000000-0000-4000-8000-00000000000{n}")
        };
        ResourceId::new(&text).unwrap()
    }

    fn rows(&self, dice: &mut Dice, type_name: &str) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        let observation = type_name == "Observation";
        for (at, (_, a, b)) in PARAMS.iter().enumerate() {
            if !observation && type_name != "Patient" && at > 1 {
                continue;
            }
            let code = if observation { a } else { b };
            let Some(param) = self.model().param(self.type_id(type_name), code) else {
                continue;
            };
            if at == 0 && dice.rarely() {
                rows.push(Row {
                    param: fhir::search::rows::of_type(param.id),
                    value: RowValue::Token {
                        system: dice.one(SYSTEMS).into(),
                        code: dice.one(&["x|y", "x|x", "y|y"]).into(),
                    },
                });
            }
            for _ in 0..dice.one(&[0, 1, 1, 1, 2]) {
                let value = self.row_value(dice, at);
                let row = Row {
                    param: param.id,
                    value,
                };
                if !rows.contains(&row) {
                    rows.push(row);
                }
            }
        }
        rows
    }

    fn range(dice: &mut Dice) -> (u64, u64) {
        let low = dice.below(12);
        (low, low + dice.one(&[0, 1, 1, 2, 5]))
    }

    fn date(dice: &mut Dice) -> Range<i64> {
        let (low, high) = Self::range(dice);
        let at = |x: u64| i64::try_from(x).unwrap() * DATE_STEP;
        match dice.below(8) {
            0 => Range {
                low: at(low),
                high: i64::MAX,
            },
            1 => Range {
                low: i64::MIN,
                high: at(low),
            },
            _ => Range {
                low: at(low),
                high: at(high.max(low + 1)),
            },
        }
    }

    fn number(dice: &mut Dice) -> Range<f64> {
        let (low, high) = Self::range(dice);
        Range {
            low: low as f64 * NUMBER_STEP - 1.5,
            high: high as f64 * NUMBER_STEP - 1.5,
        }
    }

    fn row_value(&self, dice: &mut Dice, kind: usize) -> RowValue {
        let text = |dice: &mut Dice| -> (Box<str>, Box<str>) {
            let exact = dice.one(TEXTS);
            (
                fhir::search::rows::fold(exact).as_ref().into(),
                exact.into(),
            )
        };
        match kind {
            0 if dice.rarely() => {
                let (folded, exact) = text(dice);
                RowValue::String { folded, exact }
            }
            0 => RowValue::Token {
                system: dice.one(SYSTEMS).into(),
                code: dice.one(CODES).into(),
            },
            1 => {
                let (folded, exact) = text(dice);
                RowValue::String { folded, exact }
            }
            2 => RowValue::Date(Self::date(dice)),
            3 => RowValue::Number(Self::number(dice)),
            4 => Self::quantity(dice),
            5 | 8 if dice.rarely() => RowValue::ReferenceIdentifier {
                system: dice.one(SYSTEMS).into(),
                code: dice.one(CODES).into(),
            },
            5 | 8 if dice.rarely() => RowValue::ReferenceUrl {
                url: dice.one(URIS).into(),
                version: dice.one(&["", "1", "2", "1.2", "1.2.3", "12"]).into(),
            },
            5 | 8 => RowValue::Reference {
                type_id: self.type_id(dice.one(&["Patient", "Patient", "Practitioner", "Group"])),
                id: self.id(dice),
                version: dice.one(&["", "", "", "2"]).into(),
            },
            6 => RowValue::Uri(dice.one(URIS).into()),
            _ => RowValue::Composite(vec![
                RowValue::Token {
                    system: dice.one(SYSTEMS).into(),
                    code: dice.one(CODES).into(),
                },
                match kind {
                    9 => RowValue::Token {
                        system: dice.one(SYSTEMS).into(),
                        code: dice.one(CODES).into(),
                    },
                    10 => RowValue::Date(Self::date(dice)),
                    11 => RowValue::String {
                        folded: dice.one(&["an", "ana", "bo"]).into(),
                        exact: "".into(),
                    },
                    _ => Self::quantity(dice),
                },
            ]),
        }
    }

    fn quantity(dice: &mut Dice) -> RowValue {
        if dice.below(3) == 0 {
            return RowValue::Quantity {
                value: Self::number(dice),
                system: fhir::ucum::SYSTEM.into(),
                code: dice.one(&["By", "bit", "g", "x"]).into(),
                unit: dice.one(&["", "", "x"]).into(),
            };
        }
        RowValue::Quantity {
            value: Self::number(dice),
            system: dice.one(SYSTEMS).into(),
            code: dice.one(CODES).into(),
            unit: dice.one(&["", "", "x", "w"]).into(),
        }
    }

    fn token(dice: &mut Dice) -> TokenMatch {
        let some = |dice: &mut Dice, of: &[&str]| dice.often().then(|| dice.one(of).to_owned());
        let system = some(dice, &["", "urn:a", "urn:b", "urn:never"]);
        let code = if system.is_some() {
            some(dice, CODES)
        } else {
            Some(dice.one(CODES).into())
        };
        TokenMatch { system, code }
    }

    fn prefix(dice: &mut Dice) -> Prefix {
        dice.one(&[
            Prefix::Eq,
            Prefix::Ne,
            Prefix::Gt,
            Prefix::Lt,
            Prefix::Ge,
            Prefix::Le,
            Prefix::Sa,
            Prefix::Eb,
            Prefix::Ap,
        ])
    }

    fn unit(dice: &mut Dice) -> Unit {
        match dice.below(4) {
            3 => Unit::Coded {
                system: fhir::ucum::SYSTEM.to_owned(),
                code: dice.one(&["By", "bit", "g", "x"]).to_owned(),
            },
            0 => Unit::Any,
            1 => Unit::Code(dice.one(&["", "x", "y", "w"]).to_owned()),
            _ => Unit::Coded {
                system: dice.one(&["", "urn:a", "urn:never"]).to_owned(),
                code: dice.one(CODES).to_owned(),
            },
        }
    }

    fn finite(dice: &mut Dice) -> Range<i64> {
        let (low, high) = Self::range(dice);
        let at = |x: u64| i64::try_from(x).unwrap() * DATE_STEP;
        Range {
            low: at(low),
            high: at(high.max(low + 1)),
        }
    }

    fn reference(&self, dice: &mut Dice) -> ReferenceMatch {
        match dice.below(5) {
            0 => ReferenceMatch::Url {
                url: dice.one(URIS).to_owned(),
                version: dice.rarely().then(|| "1".to_owned()),
            },
            1 => ReferenceMatch::AnyType {
                id: self.id(dice),
                types: vec![self.type_id("Patient"), self.type_id("Practitioner")],
            },
            _ => ReferenceMatch::Local {
                type_id: self.type_id(dice.one(&["Patient", "Practitioner"])),
                id: self.id(dice),
                version: dice.rarely().then(|| "2".to_owned()),
            },
        }
    }

    /// A value to look for in parameter `kind` of [`PARAMS`].
    pub(super) fn value(&self, dice: &mut Dice, kind: usize) -> Match {
        match kind {
            0 if dice.rarely() => Match::TokenText("n".to_owned()),
            0 if dice.rarely() => dice.one(&[
                Match::TokenTextPrefix("an".to_owned()),
                Match::TokenTextWords(vec!["a".to_owned(), "n".to_owned()]),
                Match::TokenCode(How::Begins, "x".to_owned()),
                Match::TokenCode(How::Contains, "y".to_owned()),
                Match::TokenCode(How::Ends, "z".to_owned()),
            ]),
            0 if dice.rarely() => {
                let of = TokenMatch {
                    system: Some(dice.one(SYSTEMS).to_owned()),
                    code: Some(dice.one(&["x", "y"]).to_owned()),
                };
                Match::OfType(of, dice.one(&["x", "y"]).to_owned())
            }
            0 if dice.rarely() => Match::Unequal(Box::new(Match::Token(Self::token(dice)))),
            0 => Match::Token(Self::token(dice)),
            1 if dice.rarely() => {
                let is = Match::StringIs(dice.one(&["an", "anna", ""]).to_owned());
                dice.one(&[
                    is.clone(),
                    Match::Unequal(Box::new(is)),
                    Match::StringSuffix("na".to_owned()),
                ])
            }
            1 => match dice.below(3) {
                0 => Match::StringContains(dice.one(&["n", "na", "o"]).to_owned()),
                1 => Match::StringExact(dice.one(TEXTS).to_owned()),
                _ => Match::StringPrefix(dice.one(&["a", "an", "ann", "z", ""]).to_owned()),
            },
            2 => Match::Date(Self::prefix(dice), Self::finite(dice)),
            3 if dice.rarely() => Match::Near(Circle {
                latitude: dice.below(4) as f64,
                longitude: dice.below(4) as f64,
                radius: dice.below(5) as f64 * 70_000.0,
            }),
            3 => Match::Number(Self::prefix(dice), Self::number(dice)),
            4 => Match::Quantity(Self::prefix(dice), Self::number(dice), Self::unit(dice)),
            5 | 8 if dice.rarely() => Match::ReferenceIdentifier(Self::token(dice)),
            5 | 8 if dice.rarely() => Match::Hierarchy {
                above: dice.below(2) == 0,
                type_id: self.type_id("Patient"),
                id: self.id(dice),
                part_of: self.param("Patient", "link"),
            },
            5 | 8 if dice.rarely() => Match::CanonicalVersions {
                above: dice.below(2) == 0,
                url: dice.one(URIS).to_owned(),
                version: dice.one(&["1", "1.2", "1.2.3"]).to_owned(),
            },
            5 | 8 if dice.rarely() => {
                Match::Unequal(Box::new(Match::Reference(self.reference(dice))))
            }
            5 | 8 => Match::Reference(self.reference(dice)),
            6 if dice.rarely() => dice.one(&[
                Match::UriContains("org/a".to_owned()),
                Match::UriBegins("http://e.org/ab".to_owned()),
                Match::Unequal(Box::new(Match::Uri("urn:x".to_owned()))),
            ]),
            6 => match dice.below(3) {
                0 => Match::UriBelow(dice.one(URIS).to_owned()),
                1 => Match::UriAbove(dice.one(URIS).to_owned()),
                _ => Match::Uri(dice.one(URIS).to_owned()),
            },
            _ => Match::Composite(vec![
                Match::Token(Self::token(dice)),
                match kind {
                    9 => Match::Token(Self::token(dice)),
                    10 => Match::Date(Self::prefix(dice), Self::finite(dice)),
                    11 => Match::StringPrefix(dice.one(&["a", "an", "b"]).to_owned()),
                    _ => Match::Quantity(Self::prefix(dice), Self::number(dice), Self::unit(dice)),
                },
            ]),
        }
    }

    /// A clause on parameter `kind` for Observations.
    pub(super) fn param_clause(&self, kind: usize, test: Test) -> ParamClause {
        let param = vec![self.param("Observation", PARAMS[kind].1)];
        ParamClause {
            param,
            kind: KINDS[kind],
            test,
        }
    }

    fn test(&self, dice: &mut Dice, kind: usize) -> Test {
        let many = dice.one(&[1, 1, 1, 2, 4]);
        match dice.below(8) {
            0 => Test::Missing(dice.below(2) == 0),
            1 | 2 => Test::None((0..many).map(|_| self.value(dice, kind)).collect()),
            _ => Test::Any((0..many).map(|_| self.value(dice, kind)).collect()),
        }
    }

    /// A clause for these types, of which only Observation and Patient have many parameters.
    fn clause(&self, dice: &mut Dice, types: &[&str], depth: u32) -> Clause {
        let rich = types
            .iter()
            .all(|t| matches!(*t, "Observation" | "Patient"));
        let code = |kind: usize, t: &str| {
            if t == "Observation" {
                PARAMS[kind].1
            } else {
                PARAMS[kind].2
            }
        };
        let params = |kind: usize| -> Vec<ParamId> {
            types.iter().map(|t| self.param(t, code(kind, t))).collect()
        };
        match dice.below(16) {
            12 | 13 if depth > 0 => {
                let count = dice.below(4);
                let some = (0..count).map(|_| self.clause(dice, types, depth - 1));
                let some = some.collect();
                if dice.below(3) == 0 {
                    Clause::And(some)
                } else {
                    Clause::Or(some)
                }
            }
            14 if depth > 0 => {
                let each = types.iter().map(|t| self.clause(dice, &[t], depth - 1));
                Clause::ByType(each.collect())
            }
            15 if depth > 0 => Clause::Not(Box::new(self.clause(dice, types, depth - 1))),
            0 => Clause::Id((0..2).map(|_| self.id(dice)).collect()),
            1 => Clause::NotId(vec![self.id(dice)]),
            2 => {
                let param = types
                    .iter()
                    .map(|t| self.param(t, "_lastUpdated"))
                    .collect();
                let test = self.test(dice, 2);
                Clause::Param(ParamClause {
                    param,
                    kind: ParamKind::Date,
                    test,
                })
            }
            3 | 4 if depth > 0 && rich => {
                let targets = ["Patient", "Group"]
                    .iter()
                    .map(|t| {
                        (
                            self.type_id(t),
                            Box::new(self.clause(dice, &[t], depth - 1)),
                        )
                    })
                    .collect();
                let param = params(dice.one(&[5, 8]));
                Clause::Chain { param, targets }
            }
            5 | 6 if depth > 0 => {
                let source = dice.one(&["Observation", "Patient", "Group"]);
                let inner = Box::new(self.clause(dice, &[source], depth - 1));
                let param = match source {
                    "Group" => self.param("Group", "member"),
                    s => self.param(s, code(5, s)),
                };
                Clause::Has {
                    source: self.type_id(source),
                    param,
                    inner,
                }
            }
            _ if rich => {
                let kind = usize::try_from(dice.below(PARAMS.len() as u64)).unwrap();
                let test = self.test(dice, kind);
                Clause::Param(ParamClause {
                    param: params(kind),
                    kind: KINDS[kind],
                    test,
                })
            }
            7 => Clause::Never,
            _ => Clause::NotId(vec![self.id(dice)]),
        }
    }

    /// All Observations.
    pub(super) fn everything(&self) -> Query {
        Query {
            types: vec![self.type_id("Observation")],
            filter: Vec::new(),
            content: Vec::new(),
            sort: Vec::new(),
            count: 1_000,
            total: Total::None,
            include: Vec::new(),
            shape: Shape::Whole,
        }
    }

    /// Any query.
    pub(super) fn query(&self, dice: &mut Dice) -> Query {
        let types: &[&str] = match dice.below(6) {
            0 => &["Patient"],
            1 => &["Observation", "Patient"],
            2 => TYPES,
            _ => &["Observation"],
        };
        let clauses = dice.one(&[0, 1, 1, 1, 2, 2, 3]);
        let filter: Vec<Clause> = (0..clauses).map(|_| self.clause(dice, types, 2)).collect();
        let mut query = self.everything();
        query.types = types.iter().map(|t| self.type_id(t)).collect();
        query.filter = self.patient_and_date(dice, types).unwrap_or(filter);
        for _ in 0..dice.one(&[0, 0, 1, 1, 2]) {
            let by = self.sort_by(dice, types);
            query.sort.push(SortKey {
                by,
                descending: dice.below(2) == 0,
            });
        }
        for _ in 0..dice.one(&[0, 0, 1, 2]) {
            query.include.push(self.include(dice));
        }
        query
    }

    /// Sometimes the pair that has an index of its own.
    fn patient_and_date(&self, dice: &mut Dice, types: &[&str]) -> Option<Vec<Clause>> {
        if types != ["Observation"] || !dice.rarely() {
            return None;
        }
        let patient = Match::Reference(ReferenceMatch::Local {
            type_id: self.type_id("Patient"),
            id: self.id(dice),
            version: None,
        });
        let which = dice.one(&[5, 8]);
        let dates = (0..dice.one(&[1, 2]))
            .map(|_| self.value(dice, 2))
            .collect();
        Some(vec![
            Clause::Param(self.param_clause(2, Test::Any(dates))),
            Clause::Param(self.param_clause(which, Test::Any(vec![patient]))),
        ])
    }

    fn sort_by(&self, dice: &mut Dice, types: &[&str]) -> SortBy {
        match dice.below(4) {
            0 => SortBy::Id,
            1 => SortBy::LastUpdated(
                types
                    .iter()
                    .map(|t| self.param(t, "_lastUpdated"))
                    .collect(),
            ),
            _ => {
                let rich = types
                    .iter()
                    .all(|t| matches!(*t, "Observation" | "Patient"));
                if !rich {
                    return SortBy::Id;
                }
                let kind = dice.one(&[0_usize, 1, 2, 3, 4, 5, 6]);
                let params = types
                    .iter()
                    .map(|t| {
                        let code = if *t == "Observation" {
                            PARAMS[kind].1
                        } else {
                            PARAMS[kind].2
                        };
                        self.param(t, code)
                    })
                    .collect();
                SortBy::Param(params, KINDS[kind])
            }
        }
    }

    fn include(&self, dice: &mut Dice) -> Include {
        let on = dice.one(&["Observation", "Patient"]);
        let code = match (on, dice.below(2)) {
            ("Observation", 0) => "patient",
            ("Observation", _) => "subject",
            (_, 0) => "general-practitioner",
            _ => "link",
        };
        let target = dice
            .rarely()
            .then(|| self.type_id(dice.one(&["Patient", "Group"])));
        let params = vec![(self.type_id(on), self.param(on, code))];
        // Rounds are limited, and random references run in circles: iterate forward only.
        let reverse = dice.below(2) == 0;
        Include {
            reverse,
            iterate: dice.below(2) == 0,
            params,
            target,
        }
    }
}
