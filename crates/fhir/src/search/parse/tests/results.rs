//! Query strings as typed queries: results.

use crate::search::query::{Shape, SortBy, Total};

use super::{model, params, read};

#[test]
fn the_self_link_can_be_read_again() {
    let query =
        "name=M%c3%bc%26ller%2C+x,y&identifier=urn:mrn|7%5C|8&_sort=-birthdate&birthdate=ge2020%2B";
    let query = query.trim_end_matches("%2B");
    let first = read("Patient", query, true).unwrap();
    assert_eq!(
        first.self_query,
        "name=M%C3%BC%26ller,%20x,y&identifier=urn:mrn%7C7%5C%7C8&_sort=-birthdate&birthdate=ge2020"
    );
    let again = read("Patient", &first.self_query, true).unwrap();
    assert_eq!(first, again);
}

#[test]
fn results_are_shaped() {
    let q = |query: &str| read("Patient", query, true).unwrap().query;
    assert_eq!((q("").count, q("").total), (50, Total::None));
    assert_eq!(q("_count=7").count, 7);
    assert_eq!(q("_count=99999999999999999999").count, 1_000);
    assert_eq!(q("_total=accurate").total, Total::Accurate);
    assert_eq!(q("_summary=true").shape, Shape::Summary);
    assert_eq!(
        q("_summary=false&_elements=id").shape,
        Shape::Elements(vec!["id".into()])
    );
    let counted = q("_summary=count&_count=5");
    assert_eq!(
        (counted.count, counted.total, counted.shape),
        (0, Total::Accurate, Shape::Whole)
    );
    let elements = vec![
        "name".to_owned(),
        "birthDate".to_owned(),
        "active".to_owned(),
    ];
    assert_eq!(
        q("_elements=name,birthDate&_elements=active").shape,
        Shape::Elements(elements)
    );
    let sort: Vec<_> = q("_sort=family,-birthdate&_sort=-_lastUpdated,_id,_score")
        .sort
        .iter()
        .map(|key| {
            let by = match &key.by {
                SortBy::Id => "_id".to_owned(),
                SortBy::Score => "_score".to_owned(),
                SortBy::LastUpdated(ids) | SortBy::Param(ids, _) => params(ids),
            };
            format!("{}{by}", if key.descending { "-" } else { "" })
        })
        .collect();
    assert_eq!(
        sort,
        [
            "Patient.family",
            "-Patient.birthdate",
            "-Patient._lastUpdated",
            "_id",
            "_score"
        ]
    );
}

#[test]
fn includes() {
    let include = |query: &str| {
        let parsed = read("Observation", query, true).unwrap();
        let one = parsed.query.include.first().unwrap().clone();
        let ids: Vec<_> = one.params.iter().map(|(_, id)| *id).collect();
        (
            one.reverse,
            one.iterate,
            ids,
            one.target.map(|t| model().type_name(t)),
        )
    };
    let (reverse, iterate, ids, target) = include("_include=Observation:subject:Patient");
    assert_eq!(
        (reverse, iterate, params(&ids).as_str(), target),
        (false, false, "Observation.subject", Some("Patient"))
    );
    let (reverse, iterate, ids, target) = include("_revinclude:iterate=Provenance:target");
    assert_eq!(
        (reverse, iterate, params(&ids).as_str(), target),
        (true, true, "Provenance.target", None)
    );
    let (.., all, _) = include("_include=Observation:*");
    assert!(all.len() > 10, "{}", params(&all));
    assert_eq!(include("_include=*").2, all);
    let (.., back, _) = include("_revinclude=Group:*");
    assert_eq!(params(&back), "");
    let (.., back, _) = include("_revinclude=DiagnosticReport:*");
    assert_eq!(
        params(&back),
        "DiagnosticReport.assessed-condition+DiagnosticReport.result"
    );
}

#[test]
fn results_have_limits() {
    let limited = |query: &str| {
        let refused = read("Patient", query, true).unwrap_err();
        refused.0[0].limit
    };
    let keys = |count: usize| vec!["family"; count].join(",");
    assert!(read("Patient", &format!("_sort={}", keys(16)), true).is_ok());
    assert_eq!(
        limited(&format!("_sort={}", keys(17))),
        Some("sort_keys_max")
    );
    let twice = format!("_sort={}&_sort={}", keys(10), keys(10));
    assert_eq!(limited(&twice), Some("sort_keys_max"));
    let elements = ["name"; 6].join(",");
    assert_eq!(
        limited(&format!("_elements={elements}")),
        Some("query_values_max")
    );
}
