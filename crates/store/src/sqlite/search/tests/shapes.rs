//! The statements themselves: what some look like, and that no common one reads a table from end
//! to end or sorts what an index has in order.

use std::sync::Arc;

use fhir::definitions::ParamKind;
use fhir::search::query::{
    Clause, Match, ParamClause, Prefix, Query, Range, ReferenceMatch, SortBy, SortKey, Test,
    TokenMatch, Unit,
};

use super::RAN;
use super::world::{Dice, World};
use crate::plan::Bounds;
use crate::plan::text::Statement;

struct Shapes {
    w: World,
}

impl Shapes {
    fn new() -> Self {
        let mut w = World::new();
        w.bounds = Bounds::MEASURED;
        let mut dice = Dice(1);
        for _ in 0..30 {
            w.change(&mut dice);
        }
        Self { w }
    }

    fn clause(&self, on: &str, code: &str, value: Match) -> Clause {
        let param = vec![self.w.param(on, code)];
        let kind = self.w.model().param_by_id(param[0]).unwrap().kind;
        Clause::Param(ParamClause {
            param,
            kind,
            test: Test::Any([value].into()),
        })
    }

    fn token(&self, on: &str, code: &str, system: Option<&str>, value: &str) -> Clause {
        let system = system.map(str::to_owned);
        let code_value = Some(value.to_owned());
        self.clause(
            on,
            code,
            Match::Token(TokenMatch {
                system,
                code: code_value,
            }),
        )
    }

    fn patient(&self) -> Clause {
        let type_id = self.w.type_id("Patient");
        let id = base::ResourceId::new("1").unwrap();
        let value = ReferenceMatch::Local {
            type_id,
            id,
            version: None,
        };
        self.clause("Observation", "patient", Match::Reference(value))
    }

    fn date(&self, how: Prefix) -> Clause {
        let range = Range {
            low: 0,
            high: 86_400_000_000,
        };
        self.clause("Observation", "date", Match::Date(how, range))
    }

    fn query(&self, filter: Vec<Clause>) -> Query {
        Query {
            filter,
            count: 20,
            ..self.w.everything()
        }
    }

    /// The statements of a search, the last of which gives the page.
    fn statements(&self, query: &Query) -> Vec<Statement> {
        RAN.with_borrow_mut(Vec::clear);
        let spent = self.w.spend();
        self.w.page(&spent, query, None, None).unwrap();
        RAN.take()
    }

    fn explain(&self, statement: &Statement) -> Vec<String> {
        let text = format!("EXPLAIN QUERY PLAN {}", statement.text);
        let mut explain = self.w.conn.prepare(&text).unwrap();
        // Parameters are not bound; the plan does not depend on them.
        let mut rows = explain.raw_query();
        let mut lines = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            lines.push(row.get(3).unwrap());
        }
        lines
    }

    /// No statement scans a table; `in_order`: none sorts either.
    fn check(&self, what: &str, query: &Query, in_order: bool) {
        for statement in self.statements(query) {
            let plan = self.explain(&statement);
            for line in &plan {
                let whole = line.strip_prefix("SCAN ").is_some_and(|rest| {
                    let name = rest.split(' ').next().unwrap_or("");
                    // Lists of values, sets made before, and rows of an inner select.
                    let small = ["v", "i", "m", "j", "json_each"].contains(&name)
                        || rest.contains("CONSTANT ROW")
                        || name.starts_with('c')
                        || name.starts_with('(');
                    !small
                });
                assert!(!whole, "{what}: {line}\n{}\n{plan:#?}", statement.text);
                // Resources with the same value are sorted by `rid`: few at a time.
                let sorts = line.contains("TEMP B-TREE") && !line.contains("LAST TERM");
                assert!(
                    !(in_order && sorts),
                    "{what}: {line}\n{}\n{plan:#?}",
                    statement.text
                );
            }
        }
    }

    fn page(&self, query: &Query) -> String {
        let mut text = self.statements(query).pop().unwrap().text;
        for word in ["FROM", "CROSS JOIN", "WHERE", "AND", "ORDER BY", "LIMIT"] {
            text = text.replace(&format!(" {word} "), &format!("\n{word} "));
        }
        text.replace("BETWEEN 1\nAND", "BETWEEN 1 AND")
    }

    fn sorted(&self, query: Query, by: SortBy, descending: bool) -> Query {
        Query {
            sort: vec![SortKey { by, descending }],
            ..query
        }
    }
}

#[test]
fn common_searches_scan_no_table_and_read_in_order() {
    let s = Shapes::new();
    let code = || s.token("Observation", "code", Some("urn:a"), "x");
    let any_system = || s.token("Observation", "code", None, "x");
    let name = || s.clause("Patient", "name", Match::StringPrefix("an".to_owned()));
    let chain = |inner: Clause| Clause::Chain {
        param: vec![s.w.param("Observation", "patient")],
        targets: vec![(s.w.type_id("Patient"), Arc::new(inner))],
    };
    let has = |inner: Clause| Clause::Has {
        source: s.w.type_id("Observation"),
        param: s.w.param("Observation", "patient"),
        inner: Arc::new(inner),
    };
    let not = |clause: Clause| match clause {
        Clause::Param(mut p) => {
            if let Test::Any(values) = p.test {
                p.test = Test::None(values);
            }
            Clause::Param(p)
        }
        other => other,
    };
    let patients = |filter| Query {
        types: vec![s.w.type_id("Patient")],
        ..s.query(filter)
    };
    let updated = || SortBy::LastUpdated(vec![s.w.param("Observation", "_lastUpdated")]);
    let status = || SortBy::Param(vec![s.w.param("Observation", "code")], ParamKind::Token);

    s.check("type", &s.query(vec![]), true);
    s.check("code", &s.query(vec![code()]), true);
    s.check("code, any system", &s.query(vec![any_system()]), true);
    s.check("patient", &s.query(vec![s.patient()]), true);
    s.check(
        "code and patient",
        &s.query(vec![code(), s.patient()]),
        true,
    );
    s.check("code:not", &s.query(vec![not(code())]), true);
    s.check(
        "_has, not",
        &patients(vec![not(name()), has(not(code()))]),
        true,
    );
    s.check(
        "-_lastUpdated",
        &s.sorted(s.query(vec![]), updated(), true),
        true,
    );
    s.check(
        "_sort=code",
        &s.sorted(s.query(vec![]), status(), false),
        true,
    );

    s.check(
        "patient and date",
        &s.query(vec![s.patient(), s.date(Prefix::Ge)]),
        false,
    );
    for how in [
        Prefix::Eq,
        Prefix::Gt,
        Prefix::Lt,
        Prefix::Le,
        Prefix::Sa,
        Prefix::Eb,
        Prefix::Ap,
    ] {
        s.check("date", &s.query(vec![s.date(how)]), false);
    }
    s.check("name prefix", &patients(vec![name()]), false);
    s.check("chain", &s.query(vec![chain(name())]), false);
    s.check("chain, not", &s.query(vec![chain(not(name()))]), false);
    s.check("_has", &patients(vec![has(code())]), false);
    s.check(
        "code sorted",
        &s.sorted(s.query(vec![code()]), updated(), true),
        false,
    );
    let pair = Match::Composite(vec![
        Match::Token(TokenMatch {
            system: None,
            code: Some("x".to_owned()),
        }),
        Match::Quantity(
            Prefix::Gt,
            Range {
                low: 1.0,
                high: 1.0,
            },
            Unit::Any,
        ),
    ]);
    s.check(
        "composite",
        &s.query(vec![s.clause("Observation", "code-value-quantity", pair)]),
        false,
    );
}

#[test]
fn a_code_is_read_newest_first_from_its_index() {
    let s = Shapes::new();
    let text = s.page(&s.query(vec![s.token("Observation", "code", Some("urn:a"), "x")]));
    insta::assert_snapshot!(text, @r"
    SELECT d.rid AS rid
    FROM ix_token AS d INDEXED BY sqlite_autoindex_ix_token_1
    WHERE d.param = ?2
    AND (d.code = ?3
    AND d.system = ?4)
    AND d.from_seq <= ?1
    AND NOT (d.until_seq BETWEEN 1 AND ?1)
    ORDER BY rid DESC
    LIMIT ?5
    ");
}

#[test]
fn a_second_condition_is_asked_about_each_row() {
    let s = Shapes::new();
    let code = s.token("Observation", "code", Some("urn:a"), "x");
    let text = s.page(&s.query(vec![
        code,
        Clause::NotId(vec![base::ResourceId::new("1").unwrap()]),
    ]));
    insta::assert_snapshot!(text, @r"
    SELECT d.rid AS rid
    FROM ix_token AS d INDEXED BY sqlite_autoindex_ix_token_1
    WHERE d.param = ?2
    AND (d.code = ?3
    AND d.system = ?4)
    AND d.from_seq <= ?1
    AND NOT (d.until_seq BETWEEN 1 AND ?1)
    AND NOT EXISTS (SELECT 1
    FROM resource AS t1
    WHERE t1.rid = d.rid
    AND t1.id IN (?5)
    LIMIT 1)
    ORDER BY rid DESC
    LIMIT ?6
    ");
}

#[test]
fn a_patient_and_a_date_are_one_index() {
    let s = Shapes::new();
    let text = s.page(&s.query(vec![s.patient(), s.date(Prefix::Ge)]));
    insta::assert_snapshot!(text, @r"
    SELECT DISTINCT d.rid AS rid
    FROM ix_compartment AS d INDEXED BY sqlite_autoindex_ix_compartment_1
    WHERE d.patient = ?4
    AND d.type = 96
    AND (d.low >= ?2 OR d.high > ?3)
    AND d.from_seq <= ?1
    AND NOT (d.until_seq BETWEEN 1 AND ?1)
    AND EXISTS (SELECT 1
    FROM ix_reference AS p1 INDEXED BY ix_reference_rid
    WHERE p1.rid = d.rid
    AND p1.param = ?6
    AND (p1.id = ?4
    AND p1.type = ?5)
    AND p1.from_seq <= ?1
    AND NOT (p1.until_seq BETWEEN 1 AND ?1)
    LIMIT 1)
    ORDER BY rid DESC
    LIMIT ?7
    ");
}

#[test]
fn a_chain_starts_from_its_end_when_that_is_rare() {
    let s = Shapes::new();
    let inner = Arc::new(s.clause("Patient", "name", Match::StringPrefix("an".to_owned())));
    let chain = Clause::Chain {
        param: vec![s.w.param("Observation", "patient")],
        targets: vec![(s.w.type_id("Patient"), inner)],
    };
    let text = s.page(&s.query(vec![chain]));
    insta::assert_snapshot!(text, @r"
    WITH c1(rid) AS MATERIALIZED (SELECT DISTINCT d.rid
    FROM ix_string AS d INDEXED BY sqlite_autoindex_ix_string_1
    WHERE d.param = ?2
    AND (d.folded >= ?3
    AND d.folded < ?4)
    AND d.from_seq <= ?1
    AND NOT (d.until_seq BETWEEN 1 AND ?1)) , c2(rid) AS MATERIALIZED (SELECT DISTINCT d.rid
    FROM ix_string AS d INDEXED BY sqlite_autoindex_ix_string_1
    WHERE d.param = ?6
    AND (d.folded >= ?3
    AND d.folded < ?4)
    AND d.from_seq <= ?1
    AND NOT (d.until_seq BETWEEN 1 AND ?1)) SELECT d.rid AS rid
    FROM c1 AS i
    CROSS JOIN resource AS t
    CROSS JOIN ix_reference AS d INDEXED BY sqlite_autoindex_ix_reference_1
    WHERE t.rid = i.rid
    AND d.param = ?5
    AND d.type = 103
    AND d.id = t.id
    AND d.from_seq <= ?1
    AND NOT (d.until_seq BETWEEN 1 AND ?1) UNION SELECT d.rid AS rid
    FROM c2 AS i
    CROSS JOIN ix_reference AS d INDEXED BY ix_reference_rid
    WHERE d.rid = (-i.rid) >> 10
    AND d.param = ?7
    AND d.type = 103
    AND d.id = CAST((-i.rid) & 1023 AS TEXT)
    AND d.from_seq <= ?1
    AND NOT (d.until_seq BETWEEN 1 AND ?1)
    ORDER BY rid DESC
    LIMIT ?8
    ");
}

#[test]
fn searches_of_every_form_scan_no_table() {
    let s = Shapes::new();
    let code = || s.token("Observation", "code", Some("urn:a"), "x");
    s.check(
        "or",
        &s.query(vec![Clause::Or(vec![code(), s.patient()])]),
        false,
    );
    let to = |number: usize, version: Option<String>| {
        Match::Reference(ReferenceMatch::Local {
            type_id: s.w.type_id("Patient"),
            id: base::ResourceId::new(&number.to_string()).unwrap(),
            version,
        })
    };
    let other = Match::Unequal(Box::new(to(1, None)));
    let other = s.clause("Observation", "patient", other);
    s.check("another patient", &s.query(vec![other]), true);
    let version = |number: usize| Some((number % 3 + 1).to_string());
    for many in [2, 40] {
        let each: Vec<Match> = (0..many).map(|n| to(n / 2, version(n))).collect();
        let versions = Clause::Param(ParamClause {
            param: vec![s.w.param("Observation", "patient")],
            kind: ParamKind::Reference,
            test: Test::Any(each.into()),
        });
        s.check("versions", &s.query(vec![versions]), false);
    }
    let both = Clause::And(vec![s.patient(), Clause::Not(Box::new(code()))]);
    s.check("and not", &s.query(vec![both]), true);
    let of = TokenMatch {
        system: Some("urn:a".to_owned()),
        code: Some("x".to_owned()),
    };
    let of_type = s.clause("Observation", "code", Match::OfType(of, "y".to_owned()));
    s.check("of-type", &s.query(vec![of_type]), true);
    let unit = Unit::Coded {
        system: fhir::ucum::SYSTEM.to_owned(),
        code: "By".to_owned(),
    };
    let range = Range {
        low: 0.5,
        high: 1.5,
    };
    let quantity = Match::Quantity(Prefix::Eq, range, unit);
    let quantity = s.clause("Observation", "value-quantity", quantity);
    s.check("quantity in all units", &s.query(vec![quantity]), false);
    let types = |name: &str, filter| Query {
        types: vec![s.w.type_id(name)],
        ..s.query(filter)
    };
    let circle = fhir::search::query::Circle {
        latitude: 1.0,
        longitude: 2.0,
        radius: 1_000.0,
    };
    let near = s.clause("Location", "near", Match::Near(circle));
    s.check("near", &types("Location", vec![near]), false);
    let below = Match::Hierarchy {
        above: false,
        type_id: s.w.type_id("Location"),
        id: base::ResourceId::new("1").unwrap(),
        part_of: s.w.param("Location", "partof"),
    };
    let below = s.clause("Encounter", "location", below);
    s.check("below", &types("Encounter", vec![below]), false);
    let word = Clause::Param(ParamClause {
        param: vec![fhir::search::rows::narrative(s.w.type_id("Observation"))],
        kind: ParamKind::Uri,
        test: Test::Any([Match::Uri("fever".to_owned())].into()),
    });
    s.check("_text", &s.query(vec![word]), true);
    let title = s.clause(
        "Questionnaire",
        "title",
        Match::StringPrefix("an".to_owned()),
    );
    let chain = Clause::Chain {
        param: vec![s.w.param("QuestionnaireResponse", "questionnaire")],
        targets: vec![(s.w.type_id("Questionnaire"), Arc::new(title))],
    };
    s.check(
        "canonical",
        &types("QuestionnaireResponse", vec![chain]),
        false,
    );
}
