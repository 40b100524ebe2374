use super::{Need, Terms, Unresolved};
use crate::definitions::{FhirVersion, Model};
use crate::search::query::Match;

const ANIMALS: &str = r#"{"resourceType":"CodeSystem","content":"complete","url":"urn:a","concept":[
    {"code":"animal","concept":[
        {"code":"dog","concept":[{"code":"pug"}]},
        {"code":"cat","property":[{"code":"legs","valueInteger":4},{"code":"tail","valueCode":"long"}]}]},
    {"code":"bat","property":[{"code":"parent","valueCode":"animal"},{"code":"tail","valueCode":"short"}]}]}"#;

fn codes(set: &str, bare: bool) -> Result<Vec<String>, String> {
    let mut terms = Terms::new(Model::of(FhirVersion::R4), 100);
    terms.bring(
        Need::ValueSet("urn:s".to_owned()),
        Some(set.as_bytes().to_vec()),
    );
    terms.bring(
        Need::ValueSet("urn:other".to_owned()),
        Some(br#"{"compose":{"include":[{"system":"urn:a","concept":[{"code":"pug"},{"code":"cat"}]}]}}"#.to_vec()),
    );
    terms.bring(
        Need::CodeSystem("urn:a".to_owned()),
        Some(ANIMALS.as_bytes().to_vec()),
    );
    terms.bring(Need::CodeSystem("urn:gone".to_owned()), None);
    resolved(
        &terms,
        Match::InValueSet {
            set: "urn:s".to_owned(),
            bare,
        },
    )
}

fn resolved(terms: &Terms, value: Match) -> Result<Vec<String>, String> {
    let mut values: std::sync::Arc<[Match]> = [value].into();
    match terms.values(&mut values) {
        Ok(()) => {}
        Err(Unresolved::Refused(issue)) => return Err(issue.diagnostics.to_string()),
        Err(Unresolved::Needs(need)) => return Err(format!("{need:?}")),
    }
    let mut texts: Vec<String> = values
        .iter()
        .map(|v| match v {
            Match::Token(t) => format!(
                "{}|{}",
                t.system.as_deref().unwrap_or("?"),
                t.code.as_deref().unwrap_or("*")
            ),
            other => panic!("{other:?}"),
        })
        .collect();
    texts.sort_unstable();
    Ok(texts)
}

fn include(text: &str) -> String {
    format!(r#"{{"compose":{{"include":[{text}]}}}}"#)
}

#[test]
fn value_sets_are_their_codes() {
    let filter = |property: &str, op: &str, value: &str| {
        include(&format!(
            r#"{{"system":"urn:a","filter":[{{"property":"{property}","op":"{op}","value":"{value}"}}]}}"#
        ))
    };
    let check = |set: &str, want: &[&str]| assert_eq!(codes(set, false).unwrap(), want, "{set}");
    check(
        &include(r#"{"system":"urn:b","concept":[{"code":"x"},{"code":"y"}]},{"system":"urn:c"}"#),
        &["urn:b|x", "urn:b|y", "urn:c|*"],
    );
    check(
        &filter("concept", "is-a", "dog"),
        &["urn:a|dog", "urn:a|pug"],
    );
    check(
        &filter("concept", "descendent-of", "animal"),
        &["urn:a|bat", "urn:a|cat", "urn:a|dog", "urn:a|pug"],
    );
    check(&filter("tail", "=", "long"), &["urn:a|cat"]);
    check(&filter("legs", "exists", "true"), &["urn:a|cat"]);
    check(
        &include(r#"{"valueSet":["urn:other"]}"#),
        &["urn:a|cat", "urn:a|pug"],
    );
    check(
        &include(
            r#"{"system":"urn:a","filter":[{"property":"concept","op":"is-a","value":"dog"}],"valueSet":["urn:other"]}"#,
        ),
        &["urn:a|pug"],
    );
    check(
        r#"{"compose":{"include":[{"system":"urn:a"}],"exclude":[{"valueSet":["urn:other"]}]}}"#,
        &["urn:a|animal", "urn:a|bat", "urn:a|dog"],
    );
    check(
        r#"{"expansion":{"contains":[{"abstract":true,"system":"s","code":"a","contains":[{"system":"s","code":"b"}]}]},"compose":{}}"#,
        &["s|b"],
    );
    assert_eq!(
        codes(
            &include(r#"{"system":"urn:a","concept":[{"code":"x"}]}"#),
            true
        )
        .unwrap(),
        ["|x"]
    );
    assert_eq!(
        codes(&include(r#"{"system":"urn:a"}"#), true)
            .unwrap()
            .len(),
        5
    );
}

#[test]
fn what_is_not_held_is_said_by_name() {
    let mut terms = Terms::new(Model::of(FhirVersion::R4), 100);
    let value = |set: &str| Match::InValueSet {
        set: set.to_owned(),
        bare: false,
    };
    assert!(
        resolved(&terms, value("urn:s"))
            .unwrap_err()
            .contains("ValueSet")
    );
    terms.bring(Need::ValueSet("urn:s".to_owned()), None);
    assert_eq!(
        resolved(&terms, value("urn:s")).unwrap_err(),
        "this server does not hold the value set urn:s"
    );
    let filter =
        r#"{"system":"urn:gone","filter":[{"property":"concept","op":"is-a","value":"x"}]}"#;
    assert_eq!(
        codes(&include(filter), false).unwrap_err(),
        "this server does not hold the code system urn:gone"
    );
    let own = "http://hl7.org/fhir/ValueSet/administrative-gender";
    terms.bring(Need::ValueSet(own.to_owned()), None);
    assert_eq!(resolved(&terms, value(own)).unwrap().len(), 4);
}

#[test]
fn codes_subsume_each_other() {
    let mut terms = Terms::new(Model::of(FhirVersion::R4), 100);
    terms.bring(
        Need::CodeSystem("urn:a".to_owned()),
        Some(ANIMALS.as_bytes().to_vec()),
    );
    let value = |above, code: &str| Match::Subsumed {
        above,
        system: "urn:a".to_owned(),
        code: code.to_owned(),
        bare: false,
    };
    let check = |above, code, want: &[&str]| {
        assert_eq!(resolved(&terms, value(above, code)).unwrap(), want);
    };
    check(false, "dog", &["urn:a|dog", "urn:a|pug"]);
    check(true, "pug", &["urn:a|animal", "urn:a|dog", "urn:a|pug"]);
    check(true, "bat", &["urn:a|animal", "urn:a|bat"]);
}
