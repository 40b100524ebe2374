use base::{Micros, Seq};
use fhir::definitions::{FhirVersion, Model, ParamId, TypeId};
use fhir::search::query::Range;
use fhir::search::rows::{Row, RowValue};
use rusqlite::Connection;

use super::*;

struct World {
    conn: Connection,
    vocabulary: Vocabulary,
    pending: Pending,
}

fn model() -> &'static Model {
    Model::of(FhirVersion::R4)
}

fn type_id(name: &str) -> TypeId {
    model().type_id(name).unwrap()
}

fn param(type_name: &str, code: &str) -> ParamId {
    model().param(type_id(type_name), code).unwrap().id
}

fn world() -> World {
    let conn = Connection::open_in_memory().unwrap();
    make(&conn).unwrap();
    let vocabulary = Vocabulary::open(FhirVersion::R4, &conn).unwrap();
    World {
        conn,
        vocabulary,
        pending: Pending::default(),
    }
}

fn observation(code: &str) -> Vec<Row> {
    let row = |param, value| Row { param, value };
    let of = |code| param("Observation", code);
    let system: Box<str> = "http://loinc.org".into();
    vec![
        row(
            of("code"),
            RowValue::Token {
                system: system.clone(),
                code: code.into(),
            },
        ),
        row(
            of("code"),
            RowValue::String {
                folded: "weight".into(),
                exact: "Weight".into(),
            },
        ),
        row(of("date"), RowValue::Date(Range { low: 10, high: 20 })),
        row(
            of("patient"),
            RowValue::Reference {
                type_id: type_id("Patient"),
                id: base::ResourceId::new("7").unwrap(),
                version: "".into(),
            },
        ),
        row(
            of("value-quantity"),
            RowValue::Quantity {
                value: Range {
                    low: 5.35,
                    high: 5.45,
                },
                system: "http://unitsofmeasure.org".into(),
                code: "mm[Hg]".into(),
                unit: "mmHg".into(),
            },
        ),
        row(
            of("code-value-quantity"),
            RowValue::Composite(vec![
                RowValue::Token {
                    system,
                    code: code.into(),
                },
                RowValue::Quantity {
                    value: Range {
                        low: 5.35,
                        high: 5.45,
                    },
                    system: "http://unitsofmeasure.org".into(),
                    code: "mm[Hg]".into(),
                    unit: "mmHg".into(),
                },
            ]),
        ),
    ]
}

impl World {
    fn put(&mut self, rid: i64, seq: u64, rows: &[Row], fresh: bool) {
        let t = type_id("Observation");
        let Self {
            conn,
            vocabulary,
            pending,
        } = self;
        let updated = Micros(1_000_000 * i64::try_from(seq).unwrap());
        if fresh {
            pending
                .insert(conn, vocabulary, t, rid, Seq(seq), updated, rows)
                .unwrap();
        } else {
            pending
                .replace(conn, vocabulary, t, rid, Seq(seq), updated, rows)
                .unwrap();
        }
    }

    fn commit(&mut self) {
        self.pending.flush(&self.conn).unwrap();
        self.pending.committed(&self.vocabulary);
    }

    fn same(&self, rid: i64, seq: u64, rows: &[Row]) -> bool {
        let updated = Micros(1_000_000 * i64::try_from(seq).unwrap());
        let expected = Some((updated, rows));
        !differs(
            &self.conn,
            &self.vocabulary,
            type_id("Observation"),
            rid,
            expected,
            &|_| false,
        )
        .unwrap()
    }

    fn rows(&self, filter: &str) -> i64 {
        key::Table::ALL
            .iter()
            .map(|t| {
                let text = format!("SELECT count(*) FROM {} WHERE {filter}", t.name());
                self.conn
                    .query_row(&text, [], |r| r.get::<_, i64>(0))
                    .unwrap()
            })
            .sum()
    }
}

#[test]
fn what_is_inserted_is_found_again_by_differs() {
    let mut w = world();
    w.put(1, 1, &observation("718-7"), true);
    w.commit();
    assert!(w.same(1, 1, &observation("718-7")));
    assert!(!w.same(1, 1, &observation("718-8")));
    assert!(!w.same(1, 2, &observation("718-7")), "another lastUpdated");
    assert!(!w.same(2, 1, &observation("718-7")), "another resource");
    assert!(
        differs(
            &w.conn,
            &w.vocabulary,
            type_id("Observation"),
            1,
            None,
            &|_| false
        )
        .unwrap()
    );
    w.conn.execute("DELETE FROM ix_compartment", []).unwrap();
    assert!(
        !w.same(1, 1, &observation("718-7")),
        "a lost compartment row shows"
    );
}

#[test]
fn an_update_closes_only_what_differs_and_the_sweep_drops_it() {
    let mut w = world();
    w.put(1, 1, &observation("718-7"), true);
    w.commit();
    let before = w.rows("until_seq = 0");
    w.put(1, 2, &observation("718-8"), false);
    w.commit();
    assert!(w.same(1, 2, &observation("718-8")));
    assert_eq!(w.rows("until_seq = 0"), before);
    assert_eq!(
        w.rows("until_seq = 2"),
        3,
        "code, code-value-quantity and _lastUpdated"
    );
    assert_eq!(w.rows("from_seq = 2"), 3);

    assert_eq!(sweep(&w.conn, Seq(1)).unwrap(), 0);
    assert_eq!(sweep(&w.conn, Seq(2)).unwrap(), 3);
    assert_eq!(horizon(&w.conn).unwrap(), Seq(2));
    assert!(w.same(1, 2, &observation("718-8")));

    let t = type_id("Observation");
    w.pending
        .close(&w.conn, &w.vocabulary, t, 1, Seq(3))
        .unwrap();
    assert_eq!(w.rows("until_seq = 0"), 0);
    assert!(!differs(&w.conn, &w.vocabulary, t, 1, None, &|_| false).unwrap());
}

#[test]
fn a_resource_is_updated_and_deleted_while_its_rows_still_wait() {
    let mut w = world();
    w.put(1, 1, &observation("a"), true);
    w.put(1, 2, &observation("b"), false);
    w.put(2, 3, &observation("c"), true);
    w.pending
        .close(&w.conn, &w.vocabulary, type_id("Observation"), 2, Seq(4))
        .unwrap();
    w.commit();
    assert!(w.same(1, 2, &observation("b")));
    assert!(
        !differs(
            &w.conn,
            &w.vocabulary,
            type_id("Observation"),
            2,
            None,
            &|_| false
        )
        .unwrap()
    );
}

#[test]
fn undoing_a_savepoint_undoes_its_rows_and_numbers_and_keeps_the_others() {
    let mut w = world();
    w.conn.execute_batch("BEGIN").unwrap();
    w.put(1, 1, &observation("a"), true);
    let mark = w.pending.mark();
    w.conn.execute_batch("SAVEPOINT member").unwrap();
    let mut other = observation("b");
    other.push(Row {
        param: param("Observation", "code"),
        value: RowValue::Token {
            system: "urn:fresh".into(),
            code: "x".into(),
        },
    });
    w.put(2, 2, &other, true);
    w.pending.flush(&w.conn).unwrap();
    w.conn
        .execute_batch("ROLLBACK TO member; RELEASE member")
        .unwrap();
    w.pending.undo(mark);
    w.put(3, 3, &observation("c"), true);
    w.commit();
    w.conn.execute_batch("COMMIT").unwrap();

    assert!(
        w.same(1, 1, &observation("a")),
        "queued before, written inside, written again"
    );
    assert!(w.same(3, 3, &observation("c")));
    assert!(
        !differs(
            &w.conn,
            &w.vocabulary,
            type_id("Observation"),
            2,
            None,
            &|_| false
        )
        .unwrap()
    );
    assert_eq!(w.vocabulary.system(&w.conn, "urn:fresh").unwrap(), None);
    assert!(
        w.vocabulary
            .system(&w.conn, "http://loinc.org")
            .unwrap()
            .is_some()
    );
    let again = Vocabulary::open(FhirVersion::R4, &w.conn).unwrap();
    assert_eq!(
        again.system(&w.conn, "http://loinc.org").unwrap(),
        w.vocabulary.system(&w.conn, "http://loinc.org").unwrap()
    );
}

#[test]
fn many_rows_are_written_whatever_their_number() {
    for n in [1, 5, 6, 7, 24, 25, 31, 100] {
        let mut w = world();
        for rid in 1..=n {
            w.put(rid, 1, &observation("a"), true);
        }
        w.commit();
        for rid in 1..=n {
            assert!(w.same(rid, 1, &observation("a")));
        }
    }
}

/// Every composite of the model has a shape that `ix_composite` can hold.
#[test]
fn every_composite_of_the_model_fits_its_table() {
    use fhir::definitions::ParamKind;
    let mut seen = 0;
    let models = fhir::definitions::FhirVersion::ALL
        .iter()
        .map(|v| fhir::definitions::Model::of(*v));
    for (model, t) in models.flat_map(|m| m.types().map(move |t| (m, t))) {
        for p in model
            .params(t)
            .iter()
            .filter(|p| p.kind == ParamKind::Composite)
        {
            let parts: Vec<RowValue> = p
                .components
                .iter()
                .map(|c| match c.kind {
                    ParamKind::Token => RowValue::Token {
                        system: "s".into(),
                        code: "c".into(),
                    },
                    // Of special ones: the words of narratives.
                    ParamKind::String | ParamKind::Special => RowValue::String {
                        folded: "a".into(),
                        exact: "a".into(),
                    },
                    ParamKind::Date => RowValue::Date(Range { low: 1, high: 2 }),
                    ParamKind::Number => RowValue::Number(Range {
                        low: 1.0,
                        high: 1.0,
                    }),
                    ParamKind::Quantity => RowValue::Quantity {
                        value: Range {
                            low: 1.0,
                            high: 1.0,
                        },
                        system: "".into(),
                        code: "".into(),
                        unit: "".into(),
                    },
                    ParamKind::Reference => RowValue::ReferenceUrl {
                        url: "u".into(),
                        version: "".into(),
                    },
                    ParamKind::Uri => RowValue::Uri("u".into()),
                    other => panic!("{} has a part of kind {other:?}", p.code),
                })
                .collect();
            let value = RowValue::Composite(parts);
            let mut keys = Vec::new();
            let mut emit = |key| keys.push(key);
            key::Key::push(p.id, &value, &mut emit, |_| Ok::<_, ()>(1)).unwrap();
            assert_eq!(keys.len(), 1, "{} {}", model.type_name(t), p.code);
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} composites");
}

#[test]
fn an_index_made_anew_is_empty_and_refuses_older_pages() {
    let mut w = world();
    w.conn
        .execute_batch(
            "CREATE TABLE change (seq INTEGER PRIMARY KEY); INSERT INTO change VALUES (9)",
        )
        .unwrap();
    w.put(1, 9, &observation("718-7"), true);
    w.commit();
    make_anew(&w.conn).unwrap();
    assert_eq!(w.rows("1"), 0);
    assert_eq!(horizon(&w.conn).unwrap(), Seq(9));
    w.put(1, 9, &observation("718-7"), true);
    w.commit();
    assert!(w.same(1, 9, &observation("718-7")));
}
