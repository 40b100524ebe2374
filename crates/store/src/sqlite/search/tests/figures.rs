//! Measures index and search on an encrypted file. Runs when `INSULA_FIGURES` names a number of
//! resources, and prints:
//!
//! ```sh
//! INSULA_FIGURES=300000 cargo test -p store --lib figures -- --nocapture
//! ```
#![expect(
    clippy::disallowed_methods,
    reason = "a measurement has a clock and a folder"
)]

use std::sync::Arc;
use std::time::Instant;

use base::{Micros, ResourceId, Seq};
use fhir::definitions::{ParamId, ParamKind};
use fhir::search::query::{
    Clause, Match, ParamClause, Prefix, Query, Range, ReferenceMatch, SortBy, SortKey, Test,
    TokenMatch, Total,
};
use fhir::search::rows::{Row, RowValue};
use rusqlite::{Connection, params};

use super::RAN;
use super::world::{Dice, World};
use crate::plan::Bounds;
use crate::sqlite::index::{IdKey, Pending, Vocabulary, make};

const DAY: i64 = 86_400_000_000;
const CODES: u64 = 120;

/// CPU time of this thread so far, in µs: the machine may be busy with other things.
fn cpu_us() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns: f64 = text
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0.0);
    ns / 1_000.0
}

struct Maker {
    w: World,
    dice: Dice,
}

impl Maker {
    fn row(&self, on: &str, code: &str, value: RowValue) -> Row {
        Row {
            param: self.w.param(on, code),
            value,
        }
    }

    fn token(system: &str, code: &str) -> RowValue {
        RowValue::Token {
            system: system.into(),
            code: code.into(),
        }
    }

    fn text(text: &str) -> RowValue {
        RowValue::String {
            folded: text.to_lowercase().into(),
            exact: text.into(),
        }
    }

    fn to(&self, type_name: &str, id: &ResourceId) -> RowValue {
        let type_id = self.w.type_id(type_name);
        RowValue::Reference {
            type_id,
            id: id.clone(),
            version: "".into(),
        }
    }

    fn id(&mut self) -> ResourceId {
        let mut bytes = [0_u8; 10];
        bytes.fill_with(|| u8::try_from(self.dice.below(256)).unwrap());
        ResourceId::fresh(self.dice.below(1 << 40), bytes)
    }

    fn patient(&mut self) -> Vec<Row> {
        let syllables = [
            "an", "bo", "ca", "del", "eri", "fo", "gus", "hel", "iv", "jo", "kar",
        ];
        let mut name = |n: u64| -> String { (0..n).map(|_| self.dice.one(&syllables)).collect() };
        let (given, family, city) = (name(2), name(3), name(2));
        let birth = i64::try_from(self.dice.below(30_000)).unwrap() * DAY;
        let number = format!("{:09}", self.dice.below(1_000_000_000));
        let row = |code, value| self.row("Patient", code, value);
        vec![
            row("name", Self::text(&given)),
            row("name", Self::text(&family)),
            row("given", Self::text(&given)),
            row("family", Self::text(&family)),
            row("address", Self::text(&city)),
            row("address-city", Self::text(&city)),
            row(
                "gender",
                Self::token("urn:gender", if birth % 2 == 0 { "male" } else { "female" }),
            ),
            row("identifier", Self::token("urn:ssn", &number)),
            row("identifier", Self::token("urn:mrn", &number)),
            row(
                "birthdate",
                RowValue::Date(Range {
                    low: birth,
                    high: birth + DAY,
                }),
            ),
            row("active", Self::token("urn:boolean", "true")),
        ]
    }

    fn observation(&mut self, patient: &ResourceId, encounter: &ResourceId, at: i64) -> Vec<Row> {
        // Codes are used unevenly: code 0 in a tenth of all, the last ones hardly ever.
        let (a, b) = (self.dice.below(CODES), self.dice.below(CODES));
        let n = a * b / CODES;
        let code = format!("{}-{}", 1_000 + n * 37, n % 10);
        let name = format!("Observable entity number {n} in serum or plasma");
        let value = self.dice.below(2_000) as f64 / 10.0;
        let quantity = RowValue::Quantity {
            value: Range {
                low: value - 0.05,
                high: value + 0.05,
            },
            system: "http://unitsofmeasure.org".into(),
            code: "mmol/L".into(),
            unit: "".into(),
        };
        let loinc = Self::token("http://loinc.org", &code);
        let pair = RowValue::Composite(vec![loinc.clone(), quantity.clone()]);
        let row = |code, value| self.row("Observation", code, value);
        let category = if n.is_multiple_of(3) {
            "vital-signs"
        } else {
            "laboratory"
        };
        vec![
            row(
                "status",
                Self::token("http://hl7.org/fhir/observation-status", "final"),
            ),
            row(
                "category",
                Self::token("http://terminology.hl7.org/category", category),
            ),
            row("code", loinc.clone()),
            row("code", Self::text(&name)),
            row("combo-code", loinc),
            row("combo-code", Self::text(&name)),
            row("subject", self.to("Patient", patient)),
            row("patient", self.to("Patient", patient)),
            row("encounter", self.to("Encounter", encounter)),
            row(
                "date",
                RowValue::Date(Range {
                    low: at,
                    high: at + 1_000,
                }),
            ),
            row("value-quantity", quantity.clone()),
            row("combo-value-quantity", quantity),
            row("code-value-quantity", pair.clone()),
            row("combo-code-value-quantity", pair),
        ]
    }

    fn encounter(&mut self, patient: &ResourceId, at: i64) -> Vec<Row> {
        let row = |code, value| self.row("Encounter", code, value);
        vec![
            row(
                "status",
                Self::token("http://hl7.org/fhir/encounter-status", "finished"),
            ),
            row("class", Self::token("urn:class", "AMB")),
            row("type", Self::token("http://snomed.info/sct", "185349003")),
            row("type", Self::text("Encounter for check up")),
            row("subject", self.to("Patient", patient)),
            row("patient", self.to("Patient", patient)),
            row(
                "date",
                RowValue::Date(Range {
                    low: at,
                    high: at + DAY / 24,
                }),
            ),
        ]
    }
}

fn open(path: &std::path::Path) -> Connection {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(
        "PRAGMA key = \"x'2dd29ca851e7b56e4697b0e1f08507293d761a05ce4d1b628663f411a8086d99'\";
         PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536;
         PRAGMA temp_store = MEMORY;",
    )
    .unwrap();
    conn.set_prepared_statement_cache_capacity(128);
    conn
}

struct Loaded {
    maker: Maker,
    patients: Vec<ResourceId>,
}

fn load(mut maker: Maker, total: u64) -> Loaded {
    let mut patients = Vec::new();
    let (mut rid, mut seq, mut rows_made) = (0, 0, 0_u64);
    let mut pending = Pending::default();
    let (mut index_us, mut step_us, mut step_rows) = (0.0, 0.0, 0_u64);
    let (mut commit_us, began) = (0.0, cpu_us());
    let mut encounter = ResourceId::new("none").unwrap();
    let mut patient = encounter.clone();
    let started = Instant::now();
    while rid < i64::try_from(total).unwrap() {
        maker.w.conn.execute_batch("BEGIN").unwrap();
        for _ in 0..500 {
            rid += 1;
            let at =
                Micros(1_600_000_000_000_000 + i64::from(maker.dice.below(1_000) as u32) * DAY);
            let id = maker.id();
            let (name, rows) = match rid % 60 {
                1 => {
                    patient = id.clone();
                    patients.push(id.clone());
                    ("Patient", maker.patient())
                }
                n if n % 10 == 2 => {
                    encounter = id.clone();
                    ("Encounter", maker.encounter(&patient, at.0))
                }
                _ => ("Observation", maker.observation(&patient, &encounter, at.0)),
            };
            let type_id = maker.w.type_id(name);
            let conn = &maker.w.conn;
            conn.prepare_cached("INSERT INTO resource (rid, type, id) VALUES (?1, ?2, ?3)")
                .unwrap()
                .execute(params![rid, type_id.0, IdKey::of_id(&id)])
                .unwrap();
            seq += 1;
            conn.prepare_cached("INSERT INTO change (seq) VALUES (?1)")
                .unwrap()
                .execute([seq as i64])
                .unwrap();
            rows_made += rows.len() as u64 + 3;
            step_rows += rows.len() as u64 + 3;
            let updated = Micros(1_700_000_000_000_000 + i64::try_from(seq).unwrap() * 10_000);
            pending
                .insert(
                    conn,
                    &maker.w.vocabulary,
                    type_id,
                    rid,
                    Seq(seq),
                    updated,
                    &rows,
                )
                .unwrap();
        }
        let clock = cpu_us();
        pending.flush(&maker.w.conn).unwrap();
        pending.committed(&maker.w.vocabulary);
        let us = cpu_us() - clock;
        (index_us, step_us) = (index_us + us, step_us + us);
        let clock = cpu_us();
        maker.w.conn.execute_batch("COMMIT").unwrap();
        let us = cpu_us() - clock;
        (commit_us, step_us) = (commit_us + us, step_us + us);
        if rid % 50_000 == 0 {
            println!(
                "  {rid:>8} resources: {:.2} µs a row",
                step_us / step_rows as f64
            );
            (step_us, step_rows) = (0.0, 0);
        }
    }
    println!(
        "CPU: index {:.2} µs a row, {:.1} rows a resource; a resource: index {:.0} µs, commit {:.0} µs, \
         all with making it up {:.0} µs; {:.1} s by the clock",
        index_us / rows_made as f64,
        rows_made as f64 / rid as f64,
        index_us / rid as f64,
        commit_us / rid as f64,
        (cpu_us() - began) / rid as f64,
        started.elapsed().as_secs_f64()
    );
    maker.w.seq = seq;
    Loaded { maker, patients }
}

impl Loaded {
    fn clause(&self, on: &str, code: &str, kind: ParamKind, value: Match) -> Clause {
        let param: Vec<ParamId> = vec![self.maker.w.param(on, code)];
        Clause::Param(ParamClause {
            param,
            kind,
            test: Test::Any([value].into()),
        })
    }

    fn code(&self, on: &str, param: &str, system: Option<&str>, code: &str) -> Clause {
        let system = system.map(str::to_owned);
        let value = Match::Token(TokenMatch {
            system,
            code: Some(code.to_owned()),
        });
        self.clause(on, param, ParamKind::Token, value)
    }

    fn patient(&self, at: usize) -> Clause {
        let id = self.patients[at].clone();
        let type_id = self.maker.w.type_id("Patient");
        let value = Match::Reference(ReferenceMatch::Local {
            type_id,
            id,
            version: None,
        });
        self.clause("Observation", "patient", ParamKind::Reference, value)
    }

    fn since(&self, days: i64) -> Clause {
        let low = 1_600_000_000_000_000 + days * DAY;
        let range = Range {
            low,
            high: low + DAY,
        };
        self.clause(
            "Observation",
            "date",
            ParamKind::Date,
            Match::Date(Prefix::Ge, range),
        )
    }

    fn measure(&self, what: &str, make: impl Fn(usize) -> Query) {
        let spent = self.maker.w.spend();
        let (mut first, mut found) = (0.0, 0);
        let mut times: Vec<f64> = Vec::new();
        for at in 0..40 {
            let query = make(at);
            let clock = Instant::now();
            let answer = self.maker.w.page(&spent, &query, None, None).unwrap();
            let us = clock.elapsed().as_secs_f64() * 1e6;
            found += answer.matches.len() as u64 + answer.total.unwrap_or(0);
            if at == 0 {
                first = us;
            }
            times.push(us);
            RAN.with_borrow_mut(Vec::clear);
        }
        times.sort_by(f64::total_cmp);
        println!(
            "{what:<44} first {first:>9.0} µs, median {:>8.0} µs, worst {:>9.0} µs, {found} found",
            times[20], times[39]
        );
    }
}

#[test]
fn figures() {
    let Some(total) = std::env::var("INSULA_FIGURES")
        .ok()
        .and_then(|n| n.parse().ok())
    else {
        println!("INSULA_FIGURES is not set: nothing is measured");
        return;
    };
    let path = std::env::temp_dir().join(format!("insula-figures-{}.db", std::process::id()));
    let conn = open(&path);
    make(&conn).unwrap();
    conn.execute_batch(
        "CREATE TABLE resource (rid INTEGER PRIMARY KEY, type INTEGER NOT NULL,
           id ANY NOT NULL, UNIQUE (type, id)) STRICT;
         CREATE TABLE change (seq INTEGER PRIMARY KEY) STRICT;",
    )
    .unwrap();
    let mut w = World::new();
    w.vocabulary = Vocabulary::open(fhir::definitions::FhirVersion::R4, &conn).unwrap();
    w.conn = conn;
    w.bounds = Bounds::MEASURED;
    let loaded = load(Maker { w, dice: Dice(1) }, total);
    println!(
        "file: {:.0} MB",
        std::fs::metadata(&path).unwrap().len() as f64 / 1e6
    );
    let l = &loaded;
    let w = &l.maker.w;
    let base = |filter: Vec<Clause>| Query {
        filter,
        count: 20,
        ..w.everything()
    };
    let code = |at: usize| {
        let n = (at as u64 * 7) % CODES;
        format!("{}-{}", 1_000 + n * 37, n % 10)
    };
    let loinc = Some("http://loinc.org");
    l.measure("type, newest 20", |_| base(vec![]));
    l.measure("code (system|code)", |at| {
        base(vec![l.code("Observation", "code", loinc, &code(at))])
    });
    l.measure("code without system", |at| {
        base(vec![l.code("Observation", "code", None, &code(at))])
    });
    l.measure("code, most frequent", |_| {
        base(vec![l.code("Observation", "code", loinc, &code(0))])
    });
    l.measure("code + status + category", |at| {
        base(vec![
            l.code("Observation", "status", None, "final"),
            l.code("Observation", "category", None, "vital-signs"),
            l.code("Observation", "code", loinc, &code(at)),
        ])
    });
    l.measure("patient", |at| base(vec![l.patient(at * 7)]));
    l.measure("patient + date", |at| {
        base(vec![l.patient(at * 7), l.since(500)])
    });
    l.measure("patient + code", |at| {
        base(vec![
            l.patient(at * 7),
            l.code("Observation", "code", loinc, &code(at)),
        ])
    });
    l.measure("patient, _sort=-date", |at| {
        let by = SortBy::Param(vec![w.param("Observation", "date")], ParamKind::Date);
        let mut q = base(vec![l.patient(at * 7)]);
        q.sort = vec![SortKey {
            by,
            descending: true,
        }];
        q
    });
    l.measure("date=ge (a tenth)", |_| base(vec![l.since(900)]));
    l.measure("code + date=ge", |at| {
        base(vec![
            l.code("Observation", "code", loinc, &code(at)),
            l.since(900),
        ])
    });
    let patients = |filter: Vec<Clause>| {
        let mut q = base(filter);
        q.types = vec![w.type_id("Patient")];
        q
    };
    let name = |at: usize, text: &str| {
        let more = ["", "an", "bo", "del", "hel"][at % 5];
        let value = Match::StringPrefix(format!("{text}{more}"));
        l.clause("Patient", "family", ParamKind::String, value)
    };
    l.measure("Patient family prefix", |at| {
        patients(vec![name(at, "hel")])
    });
    l.measure("chain patient.family", |at| {
        base(vec![Clause::Chain {
            param: vec![w.param("Observation", "patient")],
            targets: vec![(w.type_id("Patient"), Arc::new(name(at, "heldel")))],
        }])
    });
    l.measure("chain patient.gender", |_| {
        let inner = Arc::new(l.code("Patient", "gender", None, "male"));
        base(vec![Clause::Chain {
            param: vec![w.param("Observation", "patient")],
            targets: vec![(w.type_id("Patient"), inner)],
        }])
    });
    l.measure("_has:Observation:patient:code", |at| {
        patients(vec![Clause::Has {
            source: w.type_id("Observation"),
            param: w.param("Observation", "patient"),
            inner: Arc::new(l.code("Observation", "code", loinc, &code(at))),
        }])
    });
    l.measure("_sort=-_lastUpdated", |_| {
        let by = SortBy::LastUpdated(vec![w.param("Observation", "_lastUpdated")]);
        Query {
            sort: vec![SortKey {
                by,
                descending: true,
            }],
            ..base(vec![])
        }
    });
    l.measure("code, _sort=-date", |at| {
        let by = SortBy::Param(vec![w.param("Observation", "date")], ParamKind::Date);
        let mut q = base(vec![l.code("Observation", "code", loinc, &code(at))]);
        q.sort = vec![SortKey {
            by,
            descending: true,
        }];
        q
    });
    l.measure("Patient _sort=family", |_| {
        let by = SortBy::Param(vec![w.param("Patient", "family")], ParamKind::String);
        let mut q = patients(vec![]);
        q.sort = vec![SortKey {
            by,
            descending: false,
        }];
        q
    });
    l.measure("_sort=status", |_| {
        let by = SortBy::Param(vec![w.param("Observation", "status")], ParamKind::Token);
        Query {
            sort: vec![SortKey {
                by,
                descending: false,
            }],
            ..base(vec![])
        }
    });
    l.measure("code-value-quantity", |at| {
        let token = TokenMatch {
            system: loinc.map(str::to_owned),
            code: Some(code(at)),
        };
        let value = Match::Composite(vec![
            Match::Token(token),
            Match::Quantity(
                Prefix::Gt,
                Range {
                    low: 150.0,
                    high: 150.0,
                },
                fhir::search::query::Unit::Any,
            ),
        ]);
        base(vec![l.clause(
            "Observation",
            "code-value-quantity",
            ParamKind::Composite,
            value,
        )])
    });
    l.measure("code:not", |at| {
        let Clause::Param(mut c) = l.code("Observation", "code", loinc, &code(at)) else {
            return base(vec![]);
        };
        if let Test::Any(values) = c.test {
            c.test = Test::None(values);
        }
        base(vec![Clause::Param(c)])
    });
    l.measure("all types, _lastUpdated newest", |_| {
        let names = super::world::TYPES;
        let by = SortBy::LastUpdated(names.iter().map(|t| w.param(t, "_lastUpdated")).collect());
        let types = names.iter().map(|t| w.type_id(t)).collect();
        Query {
            types,
            sort: vec![SortKey {
                by,
                descending: true,
            }],
            ..base(vec![])
        }
    });
    l.measure("code, _total=accurate", |at| Query {
        total: Total::Accurate,
        ..base(vec![l.code("Observation", "code", loinc, &code(at))])
    });
    let _ = std::fs::remove_file(&path);
}
