//! A tenant with random resources: index tables, and the same rows in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use access::{
    ClientId, ClientRecord, Directory, HouseKey, Record, RequestMeta, RoleAt, Scopes, Search,
    SecretKey, Spent, Target, TenantId, decide,
};
use base::{Limits, Micros, RequestId, ResourceId, Secret, Seq, TenantName};
use fhir::definitions::{FhirVersion, Model, ParamId, ParamKind, TypeId};
use fhir::search::query::{Query, Range};
use fhir::search::rows::{Row, RowValue, contained, content, into_contained};
use rusqlite::{Connection, OptionalExtension};

use crate::plan::Bounds;
use crate::sqlite::index::{IdKey, Pending, Vocabulary, make};
use crate::sqlite::reach::{Reaches, Touch, register};
use crate::{PageRequest, Position, Result};

mod questions;

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
    remembered: 6,
    sparse: 1,
    quarantine: false,
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
    /// Where in another resource it is contained, from 1.
    pub(super) place: u16,
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
    /// What the tenant's policy says of its rows: criteria by type, or `within …`; with `!` before the type it
    /// refuses.
    pub(super) policy: Vec<(&'static str, &'static str)>,
    /// What is remembered of it, where it is.
    pub(super) reaches: Option<Reaches>,
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
/// Texts as they are indexed.
const WORDS: &[&str] = &[
    " an anna \n",
    " anna an \n an \n",
    " bo \n",
    " an an bo \n zoe \n",
];
const SYSTEMS: &[&str] = &["", "urn:a", "urn:b", "urn:c"];
const CODES: &[&str] = &["", "x", "y", "z"];
const TEXTS: &[&str] = &[
    "an", "ana", "anna", "bo", "Anna", "AN", "é", "zoë", "a", "", "An Na", "a-n n",
];
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
        register(&conn).unwrap();
        conn.execute_batch(
            "CREATE TABLE resource (rid INTEGER PRIMARY KEY, type INTEGER NOT NULL,
               id ANY NOT NULL, UNIQUE (type, id)) STRICT;
             CREATE TABLE change (seq INTEGER PRIMARY KEY) STRICT;
             CREATE TABLE version (rid INTEGER, version INTEGER, seq INTEGER) STRICT;",
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
            policy: Vec::new(),
            reaches: None,
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

    fn rights(&self, principal: &access::Principal) -> access::Rights {
        let grants = self.policy.iter().enumerate().map(|(at, (on, criteria))| {
            let which = match (*criteria, criteria.strip_prefix("within ")) {
                ("", _) => String::new(),
                (_, Some(text)) => format!(r#","within":"{text}""#),
                (text, None) => format!(r#","criteria":"{text}""#),
            };
            let (on, effect) = match on.strip_prefix('!') {
                Some(on) => (on, "deny"),
                None => (*on, "allow"),
            };
            format!(
                r#"{{"name":"{at}","effect":"{effect}","who":{{"roles":["r"]}},"actions":"rs","types":["{on}"]{which}}}"#
            )
        });
        let grants: Vec<String> = grants.collect();
        let document = format!(r#"{{"grants":[{}]}}"#, grants.join(","));
        let document = access::Document::parse(&document).unwrap();
        let policy = access::Policy::new(1, document, self.model()).unwrap();
        let surroundings = access::Surroundings {
            model: self.model(),
            limits: &self.limits,
            own_bases: &[],
            customs: fhir::search::Customs::NONE,
            consents: access::Consents::none(),
            now: Micros(0),
        };
        policy.check(&surroundings).unwrap();
        let facts = access::RequestFacts {
            at: Micros(0),
            from: None,
            reason: None,
            stepped_up: false,
        };
        policy.rights(principal, &facts, &surroundings)
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
            program: None,
            roles: (!self.policy.is_empty()).then(|| [RoleAt::parse("r").unwrap()].into()),
            vendor: None,
            certificates: access::CertificateTerms::default(),
            about: access::ClientAbout::default(),
            made: None,
        };
        let principal = client.authenticate(&self.tenant, &key, "secret").unwrap();
        let meta = RequestMeta::new(RequestId(1), Micros(0));
        let rights = self.rights(&principal);
        decide::<Search>(&principal, &rights, &self.tenant, meta, Target::Readable)
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
            own: fhir::search::Customs::NONE,
            limits: &self.limits,
            spent,
            memory: self.reaches.as_ref().map(|r| (r, r.ticket())),
        };
        let newest = crate::sqlite::rows::last_seq(&self.conn)?;
        surroundings.answer(query, (&request, newest), self.bounds)
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
                let mut rows = self.rows(dice, type_name);
                self.more(dice, type_name, &mut rows);
                rows
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
            let place = 0;
            let resource = Resource {
                type_id,
                id,
                rows,
                place,
            };
            state.insert(rid, resource);
        }
        if let Some(reaches) = &self.reaches {
            let rid = self.rid(type_id, &key);
            reaches.committing(&[Touch { seq, type_id, rid }]);
        }
        self.pending.flush(&self.conn).unwrap();
        self.pending.committed(&self.vocabulary);
        // Now and then nobody gets to say that it is committed before the next search.
        if let Some(reaches) = self.reaches.as_ref().filter(|_| dice.often()) {
            reaches.committed();
        }
        self.states.push(state);
    }

    /// A commit of a write that never was.
    pub(super) fn fail(&self) {
        if let Some(reaches) = &self.reaches {
            let (seq, rid) = (self.seq + 1, 1);
            let type_id = self.type_id("Patient");
            reaches.committing(&[Touch { seq, type_id, rid }]);
            reaches.failed();
        }
    }

    fn rid(&self, type_id: TypeId, key: &IdKey) -> i64 {
        let sql = "SELECT rid FROM resource WHERE type = ?1 AND id = ?2";
        let place = rusqlite::params![type_id.0, key];
        self.conn.query_row(sql, place, |r| r.get(0)).unwrap()
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
                if let RowValue::String { folded, exact } = &row.value
                    && at == 1
                {
                    let solid: String = folded.chars().filter(|c| *c != ' ').collect();
                    let later: String = solid.chars().skip(1).collect();
                    for kept in [solid, later] {
                        let part = Row {
                            param: fhir::search::rows::beginnings(param.id),
                            value: RowValue::String {
                                folded: kept.as_str().into(),
                                exact: exact.clone(),
                            },
                        };
                        if !kept.is_empty() && *kept != **folded && !rows.contains(&part) {
                            rows.push(part);
                        }
                    }
                }
                if !rows.contains(&row) {
                    rows.push(row);
                }
            }
        }
        rows
    }

    /// The texts of a resource, the members of a Group, and what is contained.
    fn more(&self, dice: &mut Dice, type_name: &str, rows: &mut Vec<Row>) {
        let type_id = self.type_id(type_name);
        if dice.often() {
            rows.push(Row {
                param: content(type_id),
                value: RowValue::Text(dice.one(WORDS).into()),
            });
        }
        if type_name == "Group" {
            for _ in 0..dice.below(3) {
                let row = Row {
                    param: self.param("Group", "member"),
                    value: self.row_value(dice, 5),
                };
                if !rows.contains(&row) {
                    rows.push(row);
                }
            }
        }
        if type_name != "Observation" || dice.often() {
            return;
        }
        for place in 1..=u16::try_from(dice.below(3)).unwrap() {
            let inner = dice.one(&["Patient", "Patient", "Observation"]);
            let mut own = self.rows(dice, inner);
            let id = RowValue::Token {
                system: "".into(),
                code: dice.one(&["1", "2", "x"]).into(),
            };
            own.push(Row {
                param: self.param(inner, "_id"),
                value: id,
            });
            rows.extend(own.into_iter().map(|row| Row {
                param: contained(row.param),
                value: RowValue::Contained(place, Box::new(row.value)),
            }));
            if dice.often() {
                let at = dice.one(&["patient", "subject"]);
                rows.push(Row {
                    param: into_contained(self.param(type_name, at)),
                    value: RowValue::Reference {
                        type_id: self.type_id(inner),
                        id: ResourceId::new(&place.to_string()).unwrap(),
                        version: "".into(),
                    },
                });
            }
        }
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
}
