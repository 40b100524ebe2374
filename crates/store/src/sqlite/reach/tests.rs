//! The log, and what is forgotten when.

use fhir::definitions::{FhirVersion, Model};
use fhir::search::query::Clause;
use rusqlite::Connection;

use super::*;

const TYPE: TypeId = TypeId(7);
const OTHER: TypeId = TypeId(8);

fn asked(number: u8) -> Asked {
    let chain = Clause::Chain {
        param: vec![ParamId(3)],
        targets: vec![(OTHER, Arc::new(Clause::Id([].into())))],
    };
    let shape = Shape::of(&chain, TYPE, &|_, _| false).unwrap();
    Asked {
        key: (TYPE, [number; 32]),
        shape: Arc::new(shape),
    }
}

fn view(reaches: &Reaches, asked: &Asked, as_of: u64, newest: u64) -> Option<View> {
    let affected = |rids: &[i64]| Ok::<_, ()>(Some(rids.iter().map(|r| r + 100).collect()));
    let ticket = reaches.ticket();
    reaches
        .view(ticket, asked, (as_of, newest), affected)
        .unwrap()
}

fn touch(seq: u64, type_id: TypeId, rid: i64) -> Touch {
    Touch { seq, type_id, rid }
}

#[test]
fn a_row_is_known_until_it_or_what_it_refers_to_is_written() {
    let reaches = Reaches::new(5, 1 << 20);
    let rule = asked(1);
    let at = |as_of, newest| view(&reaches, &rule, as_of, newest).unwrap();
    let first = at(5, 5);
    for rid in [1, 2, 103] {
        first.learn(rid, rid != 2);
    }
    assert_eq!(first.known(1), Some(true));
    assert_eq!(first.known(2), Some(false));
    assert_eq!(first.known(4), None);
    // A row of its own.
    reaches.committing(&[touch(6, TYPE, 1)]);
    reaches.committed();
    let second = at(6, 6);
    assert_eq!((second.known(1), second.known(103)), (None, Some(true)));
    // As of before, the other rows are as they were.
    assert_eq!((first.known(1), first.known(103)), (None, Some(true)));
    first.learn(1, true);
    assert_eq!(
        second.known(1),
        None,
        "what was then is not taken for what is"
    );
    second.learn(1, false);
    assert_eq!((second.known(1), first.known(1)), (Some(false), None));
    // A row that one of them refers to.
    reaches.committing(&[touch(7, OTHER, 3)]);
    let third = at(7, 7);
    assert_eq!((third.known(103), third.known(2)), (None, Some(false)));
    assert_eq!(second.known(2), None, "nothing is said of what was before");
}

#[test]
fn what_is_committed_under_a_number_that_failed_is_seen() {
    let reaches = Reaches::new(5, 1 << 20);
    let rule = asked(1);
    let before = view(&reaches, &rule, 5, 5).unwrap();
    before.learn(1, true);
    reaches.committing(&[touch(6, TYPE, 2)]);
    reaches.failed();
    before.learn(1, true);
    let after = view(&reaches, &rule, 5, 5).unwrap();
    assert_eq!(after.known(1), None);
    after.learn(1, true);
    reaches.committing(&[touch(6, TYPE, 1)]);
    reaches.committed();
    let now = view(&reaches, &rule, 6, 6).unwrap();
    assert_eq!(now.known(1), None);
}

#[test]
fn a_ticket_from_before_something_else_changed_is_void() {
    let reaches = Reaches::new(5, 1 << 20);
    let rule = asked(1);
    let ticket = reaches.ticket();
    let affected = |_: &[i64]| Ok::<_, ()>(None);
    assert!(
        reaches
            .view(ticket, &rule, (5, 5), affected)
            .unwrap()
            .is_some()
    );
    reaches.forget();
    assert!(
        reaches
            .view(ticket, &rule, (5, 5), affected)
            .unwrap()
            .is_none()
    );
}

#[test]
fn whoever_is_far_behind_begins_anew() {
    let reaches = Reaches::new(0, 1 << 20);
    let rule = asked(1);
    let old = view(&reaches, &rule, 0, 0).unwrap();
    old.learn(1, true);
    let many: Vec<Touch> = (1..=TOUCHES_MAX as u64 + 1)
        .map(|seq| touch(seq, TypeId(9), 1))
        .collect();
    reaches.committing(&many);
    reaches.committed();
    let newest = many.len() as u64;
    let now = view(&reaches, &rule, newest, newest).unwrap();
    assert_eq!(now.known(1), None);
    now.learn(1, true);
    assert_eq!(now.known(1), Some(true));
    assert_eq!(reaches.state.read().log.touches.len(), TOUCHES_MAX);
}

#[test]
fn a_list_holds_every_row_that_may_be_reached() {
    let reaches = Reaches::new(5, 1 << 20);
    let rule = asked(1);
    let first = view(&reaches, &rule, 5, 5).unwrap();
    assert!(matches!(first.listing(), Listing::Unknown));
    first.list(Some(vec![9, 3]));
    let rows = |view: &View| match view.listing() {
        Listing::Few { rows, .. } => rows.to_vec(),
        other => panic!("{other:?}"),
    };
    assert_eq!(rows(&first), [3, 9]);
    assert_eq!((first.known(3), first.known(4)), (Some(true), Some(false)));
    reaches.committing(&[touch(6, TYPE, 4), touch(6, TYPE, 9)]);
    let second = view(&reaches, &rule, 6, 6).unwrap();
    assert_eq!(rows(&second), [3, 4, 9]);
    assert_eq!((second.known(4), second.known(9)), (None, None));
    second.learn(9, false);
    assert_eq!(rows(&second), [3, 4]);
    assert_eq!(rows(&first), [3, 4, 9], "as of before it may be reached");
}

#[test]
fn statements_read_a_list_newest_first_without_sorting_and_need_not_read_all_of_it() {
    let db = Connection::open_in_memory().unwrap();
    register(&db).unwrap();
    let reaches = Reaches::new(5, 1 << 20);
    let view = view(&reaches, &asked(1), 5, 5).unwrap();
    view.list(Some(vec![9, 3, 12, 7]));
    let asking = Asking::begin();
    let number = asking.add(view.clone());
    let rows = |text: &str, older: i64| {
        let mut found = db.prepare(text).unwrap();
        let found = found.query_map((number, older), |row| row.get::<_, i64>(0));
        found.unwrap().collect::<Result<Vec<_>, _>>().unwrap()
    };
    const PAGE: &str = "SELECT d.rid AS rid FROM listed AS d WHERE d.number = ?1 AND d.rid < ?2";
    let newest = format!("{PAGE} ORDER BY rid DESC LIMIT 3");
    assert!(rows(&newest, 99).is_empty(), "nobody asked for the list");
    assert_eq!(asking.listed(number).unwrap().0.to_vec(), [3, 7, 9, 12]);
    assert_eq!(rows(&newest, 99), [12, 9, 7]);
    assert_eq!(rows(&newest, 9), [7, 3]);
    assert_eq!(rows(&newest, 3), [0; 0]);
    assert_eq!(rows(&format!("{PAGE} ORDER BY rid LIMIT 3"), 99), [3, 7, 9]);
    // As with the conditions of a search: what is asked of each row does not change the order.
    let met = "EXISTS (SELECT 1 FROM json_each('[3, 7, 12]') AS j WHERE j.value = d.rid LIMIT 1)";
    let joined = PAGE.replace(" AS d ", " AS d CROSS JOIN json_each('[3, 9, 12]') AS m ");
    for (text, found) in [
        (
            format!("{PAGE} AND {met} ORDER BY rid DESC LIMIT 3"),
            [12, 7, 3],
        ),
        (
            format!("{joined} AND m.value = d.rid ORDER BY rid DESC LIMIT 3"),
            [12, 9, 3],
        ),
    ] {
        assert_eq!(rows(&text, 99), found, "{text}");
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
        let steps = plan.query_map((number, 99), |row| row.get::<_, String>(3));
        for step in steps.unwrap() {
            let step = step.unwrap();
            assert!(!step.contains("ORDER BY"), "{step}: {text}");
        }
    }
    // Of a search it is one list to the end, also where another one learns meanwhile.
    view.learn(12, false);
    assert_eq!(asking.listed(number).unwrap().0.len(), 4);
    assert_eq!(rows(&newest, 99), [12, 9, 7]);
    drop(asking);
    assert!(rows(&newest, 99).is_empty(), "the search is over");
}

#[test]
fn memory_has_a_bound_and_keeps_what_was_used_last() {
    let bytes_max = 64 << 10;
    let reaches = Reaches::new(0, bytes_max);
    for number in 0..200u8 {
        let view = view(&reaches, &asked(number), 0, 0).unwrap();
        for rid in 1..20 {
            view.learn(rid * 4_096, true);
        }
        reaches.make_room();
        assert!(reaches.bytes() <= usize::try_from(bytes_max).unwrap());
    }
    let last = view(&reaches, &asked(199), 0, 0).unwrap();
    assert_eq!(last.known(4_096), Some(true));
    let first = view(&reaches, &asked(0), 0, 0).unwrap();
    assert_eq!(first.known(4_096), None);
}

#[test]
fn a_chart_by_name_is_not_worth_remembering() {
    let model = Model::of(FhirVersion::R4);
    let patient = model.type_id("Patient");
    assert!(!is_worth(&Clause::Id([].into()), patient));
    assert!(is_worth(&Clause::Not(Box::new(Clause::Never)), patient));
}
