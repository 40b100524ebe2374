//! Query strings as typed queries: refusals.

use super::{read, refused};

#[test]
fn what_is_wrong_is_said() {
    for (query, want) in [
        (
            "nonsense=1",
            "search-parameter-unknown: Patient has no search parameter \"nonsense\"",
        ),
        (
            "name=",
            "search-parameter-unknown: the parameter \"name\" has no value",
        ),
        ("name=a,,b", "search-value: \"name\": a value is empty"),
        (
            "name:exactly=a",
            "search-modifier: \"name\": the modifier \"exactly\" is not supported on a parameter of type string",
        ),
        (
            "birthdate:exact=2000",
            "search-modifier: \"birthdate\": the modifier \"exact\" is not supported on a parameter of type date",
        ),
        (
            "gender:missing=maybe",
            "search-value: \"gender\": :missing is true or false",
        ),
        (
            "active=yes",
            "search-value: \"active\": the value is true or false",
        ),
        (
            "identifier=|",
            "search-value: \"identifier\": a token is code, system|code, |code or system|",
        ),
        (
            "name=%CC%81",
            "search-value: \"name\": the text has no letters to compare",
        ),
        (
            "_id=a_b",
            "search-value: \"_id\": no id: an id has 1 to 64 characters of A-Z, a-z, 0-9, '-' and '.'",
        ),
        (
            "_id:text=a",
            "search-modifier: \"_id\": the modifier \"text\" is not supported on a parameter of type token",
        ),
        (
            "organization=a b",
            "search-value: \"organization\": a reference is Type/id, an id or an absolute URL",
        ),
        (
            "organization=%23a",
            "search-value: \"organization\": contained resources cannot be searched for",
        ),
        (
            "organization:Patient=1",
            "search-modifier: \"organization\" never refers to \"Patient\"",
        ),
        (
            "organization:Nobody=1",
            "search-modifier: \"organization\": the modifier \"Nobody\" is not supported on a parameter of type reference",
        ),
        (
            "organization.nonsense=1",
            "search-parameter-unknown: Organization has no search parameter \"nonsense\"",
        ),
        (
            "general-practitioner.nonsense=1",
            "search-parameter-unknown: no type that \"general-practitioner\" refers to has the search parameter \"nonsense\"",
        ),
        (
            "name.family=1",
            "search-modifier: \"name\" is of type string and cannot be followed; only references can",
        ),
        (
            "_has:Observation:patient=1",
            "search-modifier: _has needs a type, a reference parameter and a parameter: _has:Type:reference:name",
        ),
        (
            "_has:Nobody:patient:code=1",
            "search-value: there is no resource type \"Nobody\"",
        ),
        (
            "_has:Encounter:location:status=1",
            "search-value: _has: \"location\" of Encounter never refers to what is searched",
        ),
        (
            "_filter=name eq",
            "search-value: _filter: a value is missing",
        ),
        (
            "_filter=name is x",
            "search-value: _filter: a comparison is one of eq ne co sw ew gt lt ge le ap sa eb pr po ss sb in ni re",
        ),
        (
            "_filter=(name eq x",
            "search-value: _filter: a parenthesis is not closed",
        ),
        (
            "_filter=name eq x y",
            "search-value: _filter: something follows where the filter ends",
        ),
        (
            "_filter=nonsense eq x",
            "search-value: Patient has no search parameter \"nonsense\"",
        ),
        (
            "_filter=birthdate co 2000",
            "search-value: \"birthdate\": co does not compare a parameter of type date",
        ),
        (
            "_list=$current-shoes",
            "search-value: _list: the lists that are computed are $current-problems, $current-medications, $current-allergies, $current-drug-allergies",
        ),
        (
            "_query=x",
            "not-supported: the parameter \"_query\" is not supported: there are no named queries here; a search is asked by its parameters, or with _filter",
        ),
        (
            "identifier:of-type=x",
            "search-value: \"identifier\": with :of-type the value is system|code|value",
        ),
        (
            "identifier:code-text=x",
            "search-modifier: \"identifier\": the modifier \"code-text\" is not supported on a parameter of type token",
        ),
        (
            "_text=(a",
            "search-value: _text: a parenthesis is not closed",
        ),
        (
            "_text:exact=a",
            "search-modifier: _text takes no modifier \"exact\"",
        ),
        (
            "_sort=nonsense",
            "search-parameter-unknown: Patient has no search parameter \"nonsense\"",
        ),
        ("_count=-1", "search-value: _count: a number, zero or more"),
        (
            "_count=1&_count=2",
            "search-value: _count: given more than once",
        ),
        (
            "_total=some",
            "search-value: _total: one of none, estimate, accurate",
        ),
        (
            "_summary=yes",
            "search-value: _summary: one of true, text, data, count, false",
        ),
        (
            "_summary=true&_elements=name",
            "search-value: _summary and _elements cannot be combined",
        ),
        (
            "_elements=name,",
            "search-value: _elements: names of elements of the resource, with commas between",
        ),
        (
            "_include=Patient",
            "search-value: _include: the form is Type:parameter, Type:parameter:Target or *",
        ),
        (
            "_include=Patient:nonsense",
            "search-value: Patient has no search parameter \"nonsense\"",
        ),
        (
            "_include=Patient:name",
            "search-value: _include: \"name\" is not a reference",
        ),
        (
            "_include=Patient:organization:Group",
            "search-value: _include: \"organization\" never refers to the type named",
        ),
        (
            "_include:always=Patient:link",
            "search-modifier: _include takes no modifier \"always\"",
        ),
        (
            "_revinclude=Patient",
            "search-value: _revinclude: the form is Type:parameter, Type:parameter:Target or *",
        ),
        (
            "a=%",
            "request-invalid: the query string has a % that two hexadecimal digits do not follow",
        ),
        (
            "a=%FF",
            "request-invalid: the query string has percent-encoded bytes that are not UTF-8",
        ),
        (
            "gender=m&birthdate=x&nothing=y",
            "search-value: \"birthdate\": not a date: an optional prefix (eq ne gt lt ge le sa eb ap), then YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss[.f]][Z|+hh:mm] & search-parameter-unknown: Patient has no search parameter \"nothing\"",
        ),
    ] {
        refused("Patient", query, want);
    }
    refused(
        "Location",
        "near=1|x",
        "search-value: \"near\": the form is latitude|longitude|distance|units, in degrees",
    );
    refused(
        "Observation",
        "value-quantity=5|mg",
        "search-value: \"value-quantity\": a quantity is number, number|system|code or number||code",
    );
    refused(
        "Observation",
        "value-quantity=xx5",
        "search-value: \"value-quantity\": not a number: an optional prefix (eq ne gt lt ge le sa eb ap), then digits",
    );
    refused(
        "Observation",
        "code-value-quantity=5",
        "search-value: \"code-value-quantity\": the value has the form code$value-quantity",
    );
    refused(
        "Observation",
        "value-quantity:missing=5",
        "search-value: \"value-quantity\": :missing is true or false",
    );
}

#[test]
fn limits_are_named() {
    let limit = |target: &str, query: &str| {
        let outcome = read(target, query, false).unwrap_err();
        outcome.0.first().and_then(|i| i.limit).unwrap_or("none")
    };
    assert_eq!(
        limit("Patient", &format!("name={}", "x".repeat(70_000))),
        "query_bytes_max"
    );
    assert_eq!(
        limit("Patient", &"name=x&".repeat(10)),
        "query_parameters_max"
    );
    assert_eq!(limit("Patient", "name=a,b,c,d,e,f"), "query_values_max");
    let long = "patient.link:Patient.link:Patient.link:Patient.link:Patient.link:Patient.link:Patient.name=x";
    assert_eq!(limit("Observation", long), "chain_depth_max");
    let nested = format!("{}_id=x", "_has:Patient:link:".repeat(8));
    assert_eq!(limit("Patient", &nested), "chain_depth_max");
    let nowhere = "focus.subject.subject.subject.subject.nonsense=x";
    assert_eq!(limit("Observation", nowhere), "query_clauses_max");
    assert_eq!(
        limit(
            "Observation",
            "focus.subject.subject.subject.subject.identifier=x"
        ),
        "query_clauses_max"
    );
}

#[test]
fn lenient_reading_ignores_what_it_does_not_know() {
    let parsed = read(
        "Patient",
        "nonsense=1&name=x&name=&organization.foo=1&_format=json&_cursor=c",
        false,
    )
    .unwrap();
    let issues: Vec<_> = parsed
        .issues
        .iter()
        .map(|i| i.diagnostics.as_str())
        .collect();
    assert_eq!(
        issues,
        [
            "Patient has no search parameter \"nonsense\"; it was ignored",
            "the parameter \"name\" has no value; it was ignored",
            "Organization has no search parameter \"foo\"; it was ignored",
        ]
    );
    assert_eq!(parsed.self_query, "name=x");
    let control =
        [("_format", "json"), ("_cursor", "c")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    assert_eq!(parsed.control, control);
    assert!(read("Patient", "nonsense=1&birthdate=x", false).is_err());
}
