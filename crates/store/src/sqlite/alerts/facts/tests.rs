//! Days, what is going on at a time, and who is the same human being.

use serde_json::json;

use super::*;

#[test]
fn days() {
    for (text, wanted) in [
        ("1970-01-01", Some(0)),
        ("2026-11-22T01:22:03Z", Some(20_779)),
        ("2000-02-29", Some(11_016)),
        ("2026", Some(20_454)),
        ("2026-13-01", None),
        ("x", None),
    ] {
        assert_eq!(day_of(text), wanted, "{text}");
    }
}

#[test]
fn what_is_going_on() {
    let at = Micros(20_779 * DAY_US + 7);
    let around = |resource: Value| is_around(&resource, at, (30, 14));
    assert!(around(json!({ "status": "active" })));
    assert!(around(json!({ "start": "2026-12-01T10:00:00Z" })));
    assert!(!around(json!({ "start": "2027-02-01T10:00:00Z" })));
    assert!(around(json!({ "period": { "start": "2020-01-01" } })));
    let over = json!({ "period": { "start": "2020-01-01", "end": "2026-01-01" } });
    assert!(!around(over));
    let ended = json!({ "period": { "start": "2020-01-01", "end": "2026-11-01" } });
    assert!(around(ended));
    let done = json!({ "status": "finished", "period": { "start": "2020-01-01" } });
    assert!(!around(done));
    assert!(around(json!({ "authoredOn": "2026-11-20" })));
    assert!(!around(json!({ "authoredOn": "2025-11-20" })));
    assert_eq!(
        relative("https://x/fhir/Practitioner/7/_history/2"),
        "Practitioner/7"
    );
    assert_eq!(relative("Practitioner/7"), "Practitioner/7");
}

#[test]
fn the_same_human_being() {
    let of = |family: &str, given: &str, birth: &str, number: &str| {
        Human::of(
            &json!({ "name": [{ "family": family, "given": [given] }], "birthDate": birth,
            "identifier": [{ "system": "urn:ssn", "value": number }] }),
        )
    };
    let one = of("Smith", "Ann", "1980-01-01", "1");
    assert!(one.is(&of("SMITH", "ann", "1980-01-01", "2")));
    assert!(one.is(&of("Jones", "Bea", "1990-01-01", "1")));
    assert!(!one.is(&of("Smith", "Ann", "1980-01-02", "2")));
    assert!(!Human::default().is(&Human::default()));
}
