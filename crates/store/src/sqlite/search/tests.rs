//! The judge: random resources, random queries, and a naive evaluator that shares no SQL with the
//! planner.

mod figures;
mod naive;
mod shapes;
mod world;

use std::sync::Arc;

use base::{Code, Seq};
use fhir::search::query::{Clause, Include, Query, SortBy, SortKey, Test, Total};
use proptest::prelude::*;

use super::*;
use world::{Dice, SMALL, World};

thread_local! {
    /// The statements that searches of this thread ran.
    pub(super) static RAN: std::cell::RefCell<Vec<Statement>> = const {
        std::cell::RefCell::new(Vec::new())
    };
}

fn agree(w: &mut World, dice: &mut Dice) {
    let query = w.query(dice);
    agree_on(w, dice, query);
}

fn agree_on(w: &mut World, dice: &mut Dice, mut query: Query) {
    let as_of = w.seq;
    let wanted = naive::search(w, &query, as_of);
    let spent = w.spend();

    // The whole answer at once, with includes.
    query.count = 1_000;
    query.total = Total::Accurate;
    let found = match w.page(&spent, &query, None, None) {
        // A hierarchy of which policy hides a part.
        Err(e) if e.code() == Code::ElementHidden => return,
        found => found.unwrap(),
    };
    let rids: Vec<i64> = found.matches.iter().map(|m| m.0).collect();
    assert_eq!(rids, wanted.matches, "{query:?}\n{}", w.show(as_of));
    assert_eq!(found.places, wanted.places, "{query:?}\n{}", w.show(as_of));
    if !found.scores.is_empty() {
        assert_eq!(found.scores, wanted.scores, "{query:?}");
    }
    assert_eq!(found.total, Some(wanted.matches.len() as u64));
    assert_eq!(found.next, None);
    let mut included: Vec<i64> = found.included.rows.iter().map(|m| m.0).collect();
    included.sort_unstable();
    assert_eq!(included, wanted.included, "{query:#?}\n{}", w.show(as_of));
    for (rid, type_id) in found.matches.iter().chain(&found.included.rows) {
        assert_eq!(w.now(as_of)[rid].type_id, *type_id);
    }

    // The total alone.
    query.count = 0;
    let found = w.page(&spent, &query, None, None).unwrap();
    assert_eq!(found.total, Some(wanted.matches.len() as u64));
    assert!(found.matches.is_empty() && found.next.is_none());

    // Page by page while others write.
    query.include.clear();
    query.count = u32::try_from(dice.below(4) + 1).unwrap();
    let mut rids = Vec::new();
    let mut after = None;
    loop {
        let found = w.page(&spent, &query, after, Some(as_of)).unwrap();
        rids.extend(found.matches.iter().map(|m| m.0));
        for (rid, _) in &found.matches {
            let reached = as_of == w.seq || naive::reaches(w, &spent, *rid);
            assert_eq!(found.withdrawn.contains(rid), !reached, "{rid}");
        }
        assert_eq!(found.total, Some(wanted.matches.len() as u64));
        assert_eq!(found.as_of, Seq(as_of));
        after = found.next;
        if after.is_none() {
            break;
        }
        w.change(dice);
    }
    assert_eq!(
        rids,
        wanted.matches,
        "pages of {query:#?}\n{}",
        w.show(as_of)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_planner_finds_what_the_naive_evaluator_finds(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let mut w = World::new();
        for _ in 0..dice.below(60) {
            w.change(&mut dice);
        }
        for _ in 0..40 {
            w.bounds = dice.one(&[SMALL, SMALL, Bounds::MEASURED]);
            agree(&mut w, &mut dice);
        }
    }
}

/// Criteria of policies, by type; none: every row.
const REACHES: &[(&str, &str)] = &[
    ("Observation", ""),
    ("Observation", "code=urn:a|x"),
    ("Observation", "code=x,y&value-string=an"),
    ("Observation", "patient.gender=x,y"),
    ("Observation", "subject:missing=true"),
    (
        "Observation",
        "patient.general-practitioner:Practitioner.name=an",
    ),
    ("Observation", "code:not=x"),
    ("Patient", ""),
    ("Patient", "gender=x"),
    ("Patient", "_has:Observation:patient:code=y"),
    ("Patient", "general-practitioner:missing=false"),
    ("Patient", "name=an,bo"),
    ("Encounter", ""),
    ("Practitioner", ""),
    ("Practitioner", "gender=x,y"),
    ("Observation", "within Patient?gender=x,y"),
    (
        "Observation",
        "within Patient?_has:Encounter:patient:status=x",
    ),
    ("Patient", "within Patient?name=an,bo"),
    ("!Observation", "code=y"),
    ("!Observation", "patient.gender=y"),
    ("!Observation", "within Patient?name=an"),
    ("!Patient", "gender=y"),
    ("!Patient", "_has:Observation:patient:code:not=x"),
    ("!Practitioner", ""),
];

/// There is always something that may be searched.
const ALWAYS: (&str, &str) = ("Encounter", "status:not=x");

/// What a policy comes to is what its grants say one by one: what some grant gives and no refusal is about.
fn one_by_one(w: &mut World) {
    let whole = w.spend();
    let policy = std::mem::take(&mut w.policy);
    let mut each = Vec::new();
    for (on, which) in &policy {
        w.policy = vec![(on.trim_start_matches('!'), *which), ALWAYS];
        each.push((on.starts_with('!'), w.spend()));
    }
    w.policy = policy;
    let encounter = w.type_id(ALWAYS.0);
    for (rid, r) in w.now(w.seq).iter().filter(|(_, r)| r.type_id != encounter) {
        let leads = |spent: &Spent<Search>| spent.allows(r.type_id) && naive::sees(w, spent, *rid);
        let some = |refuses: bool| {
            let mut of_kind = each.iter().filter(|(denies, _)| *denies == refuses);
            of_kind.any(|(_, spent)| leads(spent))
        };
        let given = some(false) && !some(true);
        assert_eq!(
            leads(&whole),
            given,
            "{rid} {:?}\n{}",
            w.policy,
            w.show(w.seq)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_policy_reaches_is_found_and_nothing_else(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let mut w = World::new();
        for _ in 0..dice.below(60) {
            w.change(&mut dice);
        }
        for _ in 0..30 {
            w.policy = (0..=dice.below(6)).map(|_| dice.one(REACHES)).collect();
            w.policy.push(ALWAYS);
            w.bounds = dice.one(&[SMALL, SMALL, Bounds::MEASURED]);
            one_by_one(&mut w);
            agree(&mut w, &mut dice);
        }
    }
}

/// Criteria whose answers are remembered: over one step, over more, and back.
const REMEMBERED: &[(&str, &str)] = &[
    ("Observation", "patient.gender=x,y"),
    ("Observation", "patient.gender=x,y,z&code=x,y"),
    ("Observation", "subject:Patient.name=an,bo,zoe"),
    (
        "Observation",
        "patient.general-practitioner:Practitioner.name=an",
    ),
    ("Observation", "patient._has:Encounter:patient:status=x"),
    ("Observation", "patient.general-practitioner=1,2,3"),
    ("Observation", "subject:missing=true"),
    ("Patient", "_has:Observation:patient:code=y"),
    ("Patient", "_has:Group:member:_id=1,2,3"),
    ("Patient", "gender=x,y,z"),
    ("Patient", "link:Patient.gender=x"),
    ("Practitioner", "gender=x,y"),
    ("Observation", "within Patient?gender=x,y"),
    (
        "Observation",
        "within Patient?_has:Encounter:patient:status=x",
    ),
    ("!Observation", "patient.gender=y"),
    ("!Observation", "within Patient?name=an"),
    ("!Patient", "_has:Observation:patient:code=y"),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_policy_reaches_is_remembered_as_long_as_it_does(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let mut w = World::new();
        w.reaches = Some(Reaches::new(0, dice.one(&[1 << 20, 4 << 10])));
        for _ in 0..dice.below(60) {
            w.change(&mut dice);
        }
        for _ in 0..8 {
            w.policy = (0..=dice.below(4)).map(|_| dice.one(REMEMBERED)).collect();
            w.policy.push(ALWAYS);
            w.bounds = dice.one(&[SMALL, SMALL, Bounds::MEASURED]);
            for _ in 0..5 {
                agree(&mut w, &mut dice);
                is_reached_at_hand(&w);
                for _ in 0..dice.below(3) {
                    w.change(&mut dice);
                    is_reached_at_hand(&w);
                }
                if dice.below(12) == 0 {
                    w.fail();
                }
            }
        }
    }
}

/// What is said to be reached without a look at the index is.
fn is_reached_at_hand(w: &World) {
    let (Some(reaches), spent) = (&w.reaches, w.spend()) else {
        return;
    };
    for (rid, r) in w.now(w.seq) {
        let Some(rule) = spent.sight().rule(r.type_id) else {
            continue;
        };
        let at_hand = reaches.reached_now(rule, r.type_id, || Some(((), *rid)), |()| false);
        assert!(
            at_hand.is_none() || naive::sees(w, &spent, *rid),
            "{rid}\n{}",
            w.show(w.seq)
        );
    }
}

#[test]
fn lists_are_read_in_their_order_with_and_without_another_condition() {
    let mut dice = Dice(5);
    let mut w = World::new();
    w.reaches = Some(Reaches::new(0, 1 << 20));
    w.bounds = Bounds {
        sparse: 1,
        ..Bounds::MEASURED
    };
    for _ in 0..200 {
        w.change(&mut dice);
    }
    let (mut alone, mut joined) = (0, 0);
    for _ in 0..60 {
        w.policy = vec![dice.one(REMEMBERED), ALWAYS];
        for turn in 0..6 {
            let query = match turn % 2 {
                0 => w.query(&mut dice),
                _ => w.by_code(&mut dice),
            };
            RAN.with_borrow_mut(Vec::clear);
            agree_on(&mut w, &mut dice, query);
            RAN.with_borrow(|ran| {
                for text in ran.iter().map(|s| &s.text) {
                    alone += usize::from(text.contains("FROM listed AS d WHERE "));
                    joined += usize::from(text.contains("FROM listed AS d CROSS JOIN ix_"));
                }
            });
        }
    }
    assert!(alone > 10 && joined > 10, "{alone} {joined}");
}

#[test]
fn memory_is_asked_and_is_right_at_hand() {
    let mut dice = Dice(11);
    let mut w = World::new();
    w.reaches = Some(Reaches::new(0, 1 << 20));
    w.bounds = Bounds::MEASURED;
    w.policy = vec![("Observation", "patient:Patient.name=a,b,z,A,é")];
    for _ in 0..300 {
        w.change(&mut dice);
    }
    w.reaches.as_ref().unwrap().committed();
    let spent = w.spend();
    let query = w.everything();
    let found = w.page(&spent, &query, None, None).unwrap();
    assert!(!found.matches.is_empty());
    let ran = |w: &World| {
        RAN.with_borrow_mut(Vec::clear);
        w.page(&spent, &query, None, None).unwrap();
        RAN.with_borrow(|ran| ran.iter().map(|s| s.text.clone()).collect::<Vec<_>>())
    };
    for text in ran(&w) {
        assert!(!text.contains("ix_reference"), "{text}");
    }
    let reaches = w.reaches.as_ref().unwrap();
    for (rid, type_id) in &found.matches {
        if let Some(rule) = spent.sight().rule(*type_id) {
            let get = || Some(((), *rid));
            let reached = reaches.reached_now(rule, *type_id, get, |()| false);
            assert_eq!(reached, Some(()), "{rid}");
        }
    }
    reaches.forget();
    assert!(ran(&w).iter().any(|text| text.contains("ix_reference")));
}

#[test]
fn a_page_as_of_what_is_swept_is_refused() {
    let mut dice = Dice(7);
    let mut w = World::new();
    for _ in 0..40 {
        w.change(&mut dice);
    }
    let spent = w.spend();
    let query = w.everything();
    let old = w.seq;
    for _ in 0..40 {
        w.change(&mut dice);
    }
    let until = Seq(old + 5);
    crate::sqlite::index::sweep(&w.conn, until).unwrap();
    let refused = w.page(&spent, &query, None, Some(old)).unwrap_err();
    assert_eq!(refused.code(), Code::CursorExpired);
    let found = w.page(&spent, &query, None, Some(old + 5)).unwrap();
    let rids: Vec<i64> = found.matches.iter().map(|m| m.0).collect();
    assert_eq!(rids, naive::search(&w, &query, old + 5).matches);
}

#[test]
fn bytes_that_are_no_position_are_refused() {
    let w = World::new();
    let spent = w.spend();
    let mut query = w.everything();
    let good = position::write(
        &Place {
            keys: Vec::new(),
            rid: 7,
        },
        Some(3),
    );
    assert_eq!(
        position::read(&good).unwrap(),
        (
            Place {
                keys: Vec::new(),
                rid: 7
            },
            Some(3)
        )
    );
    for cut in 0..good.0.len() {
        let bad = Position(good.0[..cut].to_vec());
        assert_eq!(
            position::read(&bad).unwrap_err().code(),
            Code::CursorInvalid
        );
    }
    query.sort = vec![SortKey {
        by: SortBy::Id,
        descending: false,
    }];
    let refused = w.page(&spent, &query, Some(good), None).unwrap_err();
    assert_eq!(
        refused.code(),
        Code::CursorInvalid,
        "a position of another order"
    );
}

#[test]
fn includes_past_a_limit_are_refused_by_its_name() {
    let mut dice = Dice(12);
    let mut w = World::new();
    for _ in 0..600 {
        w.change(&mut dice);
    }
    let mut query = w.everything();
    let param = w.param("Observation", "subject");
    let params = vec![(w.type_id("Observation"), param)];
    query.include = vec![Include {
        reverse: false,
        iterate: false,
        params,
        target: None,
        open: false,
    }];
    let spent = w.spend();
    let all = w
        .page(&spent, &query, None, None)
        .unwrap()
        .included
        .rows
        .len() as u64;
    assert!(all > 1, "{all}");
    w.limits.included_entries_max = all;
    assert_eq!(
        w.page(&spent, &query, None, None)
            .unwrap()
            .included
            .rows
            .len() as u64,
        all
    );
    w.limits.included_entries_max = all - 1;
    match w.page(&spent, &query, None, None).unwrap_err() {
        StoreError::Limit {
            limit: "included_entries_max",
            max,
            ..
        } => assert_eq!(max, all - 1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_interrupted_search_is_out_of_time() {
    let mut dice = Dice(3);
    let mut w = World::new();
    for _ in 0..100 {
        w.change(&mut dice);
    }
    let spent = w.spend();
    w.conn.progress_handler(1, Some(|| true)).unwrap();
    let refused = w.page(&spent, &w.everything(), None, None).unwrap_err();
    assert_eq!(refused.code(), Code::LimitTime);
}

#[test]
fn many_values_and_many_clauses_are_one_statement() {
    let mut dice = Dice(5);
    let mut w = World::new();
    for _ in 0..60 {
        w.change(&mut dice);
    }
    let spent = w.spend();
    for kind in 0..12 {
        for not in [false, true] {
            let mut query = w.everything();
            let values: Arc<[_]> = (0..1_000).map(|_| w.value(&mut dice, kind)).collect();
            let clause = w.param_clause(
                kind,
                if not {
                    Test::None(values)
                } else {
                    Test::Any(values)
                },
            );
            query.filter = vec![Clause::Param(clause)];
            let rids: Vec<i64> = w
                .page(&spent, &query, None, None)
                .unwrap()
                .matches
                .iter()
                .map(|m| m.0)
                .collect();
            assert_eq!(
                rids,
                naive::search(&w, &query, w.seq).matches,
                "kind {kind}"
            );
            let one = w.param_clause(kind, Test::None([w.value(&mut dice, kind)].into()));
            query.filter = vec![Clause::Param(one); 200];
            assert!(w.page(&spent, &query, None, None).is_ok());
        }
    }
}
