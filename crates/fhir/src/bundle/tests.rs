use super::*;
use crate::definitions::FhirVersion;
use crate::json;

fn r4() -> &'static Model {
    Model::of(FhirVersion::R4)
}

fn read<T>(text: &str, then: impl FnOnce(Result<Bundle<'_>, Outcome>) -> T) -> T {
    let doc = json::parse(text.as_bytes(), 64).unwrap();
    let context = Context {
        own_bases: &[],
        issues_max: 10,
    };
    then(Bundle::read(r4(), doc.root(), 3, &context))
}

fn bundle(kind: &str, entries: &[&str]) -> String {
    format!(
        r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#,
        entries.join(",")
    )
}

fn check_refused(text: &str, expected: &[(&str, &str)]) {
    read(text, |bundle| {
        let issues = bundle.unwrap_err().0;
        let found: Vec<_> = issues
            .iter()
            .map(|i| (i.code.as_str(), i.expression.as_deref().unwrap_or("")))
            .collect();
        assert_eq!(found, expected, "{text}");
    });
}

const CREATE: &str = r#"{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient"},
    "request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=x"}}"#;
const READ: &str = r#"{"request":{"method":"GET","url":"Patient/1","ifNoneMatch":"W/\"1\""}}"#;
const DELETE: &str = r#"{"request":{"method":"DELETE","url":"Patient/1","ifMatch":"W/\"1\""}}"#;
const UPDATE: &str =
    r#"{"resource":{"resourceType":"Patient","x":1},"request":{"method":"PUT","url":"Patient/1"}}"#;

#[test]
fn entries_are_read_and_ordered() {
    read(&bundle("transaction", &[READ, UPDATE, CREATE]), |bundle| {
        let bundle = bundle.unwrap();
        assert_eq!(bundle.kind, BundleKind::Transaction);
        assert_eq!(bundle.order(), [2, 1, 0]);
        let create = bundle.entries[2].as_ref().unwrap();
        assert_eq!(create.full_url.as_deref(), Some("urn:uuid:1"));
        assert_eq!((create.method, &*create.url), (Method::Post, "Patient"));
        assert_eq!(create.if_none_exist.as_deref(), Some("identifier=x"));
        assert!(create.resource.unwrap().get("resourceType").is_some());
        assert_eq!(
            bundle.entries[0].as_ref().unwrap().if_none_match.as_deref(),
            Some("W/\"1\"")
        );
    });
    read(&bundle("transaction", &[CREATE, DELETE]), |b| {
        assert_eq!(b.unwrap().order(), [1, 0]);
    });
    read(&bundle("batch", &[READ, CREATE, DELETE]), |b| {
        assert_eq!(b.unwrap().order(), [0, 1, 2]);
    });
    read(r#"{"resourceType":"Bundle","type":"batch"}"#, |b| {
        assert!(b.unwrap().entries.is_empty());
    });
}

#[test]
fn malformed_bundles_are_refused() {
    check_refused(r#"{"resourceType":"Patient"}"#, &[("bundle-type", "")]);
    check_refused("[]", &[("bundle-type", "")]);
    check_refused(
        r#"{"resourceType":"Bundle"}"#,
        &[("bundle-type", "Bundle.type")],
    );
    check_refused(&bundle("searchset", &[]), &[("bundle-type", "Bundle.type")]);
    check_refused(
        &bundle("batch", &[READ; 4]),
        &[("limit-exceeded", "Bundle.entry")],
    );
    check_refused(
        r#"{"resourceType":"Bundle","type":"batch","entry":[],"x":1}"#,
        &[
            ("element-empty", "Bundle.entry"),
            ("element-unknown", "Bundle.x"),
        ],
    );
    let get = r#"{"request":{"method":"get","url":"Patient/1","y":1}}"#;
    check_refused(
        &bundle("transaction", &[get]),
        &[
            ("element-code", "Bundle.entry[0].request.method"),
            ("element-unknown", "Bundle.entry[0].request.y"),
        ],
    );
}

#[test]
fn a_malformed_entry_fails_a_transaction_and_itself_in_a_batch() {
    let bare = r#"{"fullUrl":"urn:uuid:2"}"#;
    let without = r#"{"request":{"method":"POST","url":"Patient"}}"#;
    let with =
        r#"{"resource":{"resourceType":"Patient"},"request":{"method":"GET","url":"Patient/1"}}"#;
    let expected = [
        ("bundle-entry", "Bundle.entry[0]"),
        ("bundle-entry", "Bundle.entry[1].resource"),
        ("bundle-entry", "Bundle.entry[2].resource"),
    ];
    check_refused(&bundle("transaction", &[bare, without, with]), &expected);
    read(&bundle("batch", &[bare, READ, with]), |b| {
        let bundle = b.unwrap();
        assert_eq!(bundle.order(), [1]);
        assert!(bundle.entries[0].is_err() && bundle.entries[2].is_err());
    });
    let get = r#"{"request":{"method":"get","url":"Patient/1"}}"#;
    let more = r#"{"request":{"method":"GET","url":"Patient/1","y":1}}"#;
    read(&bundle("batch", &[get, more, READ]), |b| {
        let bundle = b.unwrap();
        assert_eq!(bundle.order(), [2]);
        let code = |i: usize| bundle.entries[i].as_ref().unwrap_err().code().unwrap();
        assert_eq!(
            [code(0), code(1)],
            [Code::BundleEntry, Code::ElementUnknown]
        );
    });
    for again in [CREATE.to_owned(), CREATE.replace("urn:uuid", "URN:Uuid")] {
        check_refused(
            &bundle("transaction", &[CREATE, &again]),
            &[("bundle-duplicate", "Bundle.entry[1].fullUrl")],
        );
    }
}

#[test]
fn links_are_replaced() {
    let text = r##"{ "resourceType" : "DocumentReference", "status":"current",
        "subject":{"reference":"urn:uuid:a","display":"urn:uuid:a"},
        "context":{"related":[{"reference":"urn:uuid:a"},{"reference":"urn:uuid:b"},{"reference":"#c"}]},
        "masterIdentifier":{"system":"urn:uuid:a","value":"urn:uuid:a"},
        "meta":{"profile":["urn:uuid:a"]},
        "_status":{"extension":[{"url":"x","valueReference":{"reference":"urn:uuid:a"}}]},
        "contained":[{"resourceType":"Observation","subject":{"reference":"urn:uuid:a"},"valueQuantity":{"value":1.50}}],
        "content":[{"attachment":{"url":"urn:uuid:a","title":"urn:uuid:a"}}],
        "text":{"status":"empty","div":"<div title='urn:uuid:a'><a href=\"urn:uuid:a\">urn:uuid:a</a><img  src = 'urn:uuid:a' data-href=\"urn:uuid:a\"/></div>"}}"##;
    let expected = r##"{"resourceType":"DocumentReference","status":"current",
        "subject":{"reference":"Patient/7","display":"urn:uuid:a"},
        "context":{"related":[{"reference":"Patient/7"},{"reference":"urn:uuid:b"},{"reference":"#c"}]},
        "masterIdentifier":{"system":"Patient/7","value":"urn:uuid:a"},
        "meta":{"profile":["urn:uuid:a"]},
        "_status":{"extension":[{"url":"x","valueReference":{"reference":"Patient/7"}}]},
        "contained":[{"resourceType":"Observation","subject":{"reference":"Patient/7"},"valueQuantity":{"value":1.50}}],
        "content":[{"attachment":{"url":"Patient/7","title":"urn:uuid:a"}}],
        "text":{"status":"empty","div":"<div title='urn:uuid:a'><a href=\"Patient/7\">urn:uuid:a</a><img  src = 'Patient/7' data-href=\"urn:uuid:a\"/></div>"}}"##;
    let doc = json::parse(text.as_bytes(), 64).unwrap();
    let mut map = |link: &str| (link == "urn:uuid:a").then(|| "Patient/7".to_owned());
    let rewritten = rewrite_references(r4(), doc.root(), &mut map);
    assert_eq!(rewritten, expected.replace("\n        ", ""));
}

#[test]
fn untouched_bytes_stay() {
    let text = r#"{"resourceType":"Patient","name":[{"family":"\u00e9"}],"text":{"div":"<div><a href=\"x\"\/><\/div>"}}"#;
    let doc = json::parse(text.as_bytes(), 64).unwrap();
    assert_eq!(rewrite_references(r4(), doc.root(), &mut |_| None), text);
}

#[test]
fn relative_references_resolve_by_the_entry() {
    let check = |full_url, reference, expected: Option<&str>| {
        assert_eq!(resolved(r4(), full_url, reference).as_deref(), expected);
    };
    check(
        "http://x/fhir/Observation/1",
        "Patient/2",
        Some("http://x/fhir/Patient/2"),
    );
    check("urn:uuid:1", "Patient/2", None);
    check("http://x/fhir/Nothing/1", "Patient/2", None);
    check("http://x/fhir/Observation/1", "urn:uuid:2", None);
    check("http://x/fhir/Observation/1", "#p", None);
}
