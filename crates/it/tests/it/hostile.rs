//! Requests that nobody sends by mistake: each gets a refusal that fits, nothing breaks, nothing
//! is kept, and the next caller notices nothing.

use std::io::ErrorKind;

use testkit::Caller;
use testkit::build::{patient, with_id};
use testkit::http::{Answer, Connection, Request};

use crate::world::tenant;

fn inhabited() -> Caller {
    let caller = tenant().owner();
    caller.put(&with_id(patient("Resident"), "p1")).expect(201);
    caller
}

/// What stood before still stands, and nothing else.
#[track_caller]
fn untouched(caller: &Caller) {
    assert_eq!(caller.found("Patient"), ["p1"]);
    assert_eq!(caller.search("_history?_count=0")["total"], 1);
}

/// The answer to raw bytes; `None` when the connection was closed without one.
fn raw(caller: &Caller, bytes: &[u8], then_finish: bool) -> Option<Answer> {
    let mut connection = caller.connect();
    connection.send(bytes).unwrap();
    if then_finish {
        connection.finish().unwrap();
    }
    match connection.answer(false) {
        Ok(answer) => Some(answer),
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
            ) =>
        {
            None
        }
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn a_refused_request_whose_body_comes_later_takes_nothing_from_the_next_one() {
    let caller = inhabited();
    let body = r#"{"resourceType":"Patient"}"#;
    let head = |method: &str, path: &str, size: usize| {
        let request = Request::new(method, &caller.request(method, path).target)
            .header("Authorization", "Bearer nothing")
            .header("Content-Type", "application/fhir+json")
            .header("Content-Length", &size.to_string());
        String::from_utf8(request.bytes()).unwrap()
    };
    let mut connection = caller.connect();
    for method in ["POST", "PUT", "PATCH"] {
        let path = ["/Patient", "/Patient/p1"][usize::from(method != "POST")];
        let head = head(method, path, body.len());
        connection.send(head.as_bytes()).unwrap();
        // The server has the time to answer before the body is there.
        untouched(&caller);
        connection.send(body.as_bytes()).unwrap();
        let refused = connection.answer(false).unwrap();
        assert_eq!(refused.status, 401, "{method}");
        assert_eq!(refused.header("connection"), None);
    }
    // Of what is too much to be thrown away the answer says that the connection ends.
    let head = head("POST", "/Patient", 1 << 20);
    connection.send(head.as_bytes()).unwrap();
    let refused = connection.answer(false).unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("connection"), Some("close"));
}

#[test]
fn bodies_that_are_not_resources() {
    let caller = inhabited();
    let long = format!(r#"{{"resourceType":"Patient","id":"{}"}}"#, "x".repeat(65));
    let bodies: &[(&[u8], u16, &str)] = &[
        (b"", 400, "body-empty"),
        (b" \n", 400, ""),
        (b"{", 400, "json-syntax"),
        (b"null", 400, ""),
        (b"[]", 400, ""),
        (b"\"Patient\"", 400, ""),
        (b"{}", 400, ""),
        (
            b"<Patient xmlns=\"http://hl7.org/fhir\"/>",
            400,
            "json-syntax",
        ),
        (br#"{"resourceType":"Patient"} {}"#, 400, "json-syntax"),
        (br#"{"resourceType":"Patient",}"#, 400, "json-syntax"),
        (br#"{'resourceType':'Patient'}"#, 400, "json-syntax"),
        (
            br#"{"resourceType":"Patient","active":True}"#,
            400,
            "json-syntax",
        ),
        (
            br#"{"resourceType":"Patient","active":true,"active":false}"#,
            400,
            "json-duplicate-key",
        ),
        (
            br#"{"resourceType":"Patient","resourceType":"Device"}"#,
            400,
            "json-duplicate-key",
        ),
        (
            br#"{"resourceType":"Patient","\u0061ctive":true,"active":true}"#,
            400,
            "json-duplicate-key",
        ),
        (
            b"{\"resourceType\":\"Patient\",\"language\":\"\xff\xfe\"}",
            400,
            "json-syntax",
        ),
        (
            b"{\"resourceType\":\"Patient\",\"language\":\"\xed\xa0\x80\"}",
            400,
            "json-syntax",
        ),
        (
            br#"{"resourceType":"Patient","language":"\ud800"}"#,
            400,
            "json-syntax",
        ),
        (
            b"{\"resourceType\":\"Patient\",\"language\":\"a\x00b\"}",
            400,
            "json-syntax",
        ),
        (
            br#"{"resourceType":"Patient","multipleBirthInteger":1e999}"#,
            422,
            "",
        ),
        (
            br#"{"resourceType":"Patient","multipleBirthInteger":99999999999}"#,
            422,
            "",
        ),
        (
            br#"{"resourceType":"Patient","multipleBirthInteger":NaN}"#,
            400,
            "json-syntax",
        ),
        (
            br#"{"resourceType":"Device"}"#,
            400,
            "resource-type-mismatch",
        ),
        (br#"{"resourceType":"Nonsense"}"#, 400, ""),
        (
            br#"{"resourceType":"Patient","nombre":"x"}"#,
            422,
            "element-unknown",
        ),
        (
            br#"{"resourceType":"Patient","__proto__":{}}"#,
            422,
            "element-unknown",
        ),
        (
            br#"{"resourceType":"Patient","active":"true"}"#,
            422,
            "element-type",
        ),
        (
            br#"{"resourceType":"Patient","gender":"robot"}"#,
            422,
            "element-code",
        ),
        (
            br#"{"resourceType":"Patient","name":[]}"#,
            422,
            "element-empty",
        ),
        (
            br#"{"resourceType":"Patient","birthDate":"2020-02-30"}"#,
            422,
            "element-value",
        ),
        (
            br#"{"resourceType":"Patient","name":{"family":"x"}}"#,
            422,
            "",
        ),
    ];
    for (body, status, code) in bodies {
        let request = caller.request("POST", "/Patient");
        let answer = caller.ask(&request.content("application/fhir+json", *body));
        let shown = String::from_utf8_lossy(body);
        assert_eq!(answer.status, *status, "{shown}: {answer:?}");
        let codes = answer.codes();
        assert!(
            code.is_empty() || codes.contains(&(*code).to_owned()),
            "{shown}: {codes:?}"
        );
    }
    let request = caller.request("PUT", &format!("/Patient/{}", "x".repeat(65)));
    caller
        .ask(&request.content("application/fhir+json", long))
        .expect(400);
    untouched(&caller);
}

#[test]
fn bodies_that_end_early() {
    let caller = inhabited();
    let whole = caller
        .request("POST", "/Patient")
        .fhir(&patient("Truncated"))
        .bytes();
    for cut in [1, 10, whole.len() / 2] {
        let answer = raw(&caller, &whole[..whole.len() - cut], true);
        assert!(
            answer.is_none_or(|answer| answer.status == 400),
            "{cut} bytes short"
        );
    }
    // A chunk that is shorter than it says.
    let head = caller
        .request("POST", "/Patient")
        .header("Content-Type", "application/fhir+json")
        .header("Transfer-Encoding", "chunked");
    for tail in [
        "ff\r\n{\"resourceType\":\"Patient\"}",
        "zz\r\n{}\r\n0\r\n\r\n",
        "5\r\n{}\r\n",
    ] {
        let answer = raw(&caller, &[head.bytes(), tail.into()].concat(), true);
        assert!(answer.is_none_or(|answer| answer.status == 400), "{tail:?}");
    }
    untouched(&caller);
}

#[test]
fn content_types_and_formats() {
    let caller = inhabited();
    let body = patient("Typed").to_string();
    for (kind, status) in [
        ("application/xml", 400),
        ("application/fhir+xml", 400),
        ("text/turtle", 415),
        ("text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/x-www-form-urlencoded", 415),
        ("nonsense", 415),
        ("application/fhir+json; fhirVersion=3.0", 415),
    ] {
        let request = caller
            .request("POST", "/Patient")
            .content(kind, body.clone());
        let answer = caller.ask(&request);
        assert_eq!(answer.status, status, "{kind}: {answer:?}");
    }
    let form = caller
        .request("POST", "/Patient/_search")
        .content("application/json", "{}");
    caller.ask(&form).expect(415);
    for accept in ["text/turtle", "image/png"] {
        let answer = caller.ask(
            &caller
                .request("GET", "/Patient/p1")
                .header("Accept", accept),
        );
        assert_eq!(answer.status, 406, "{accept}: {answer:?}");
    }
    assert_eq!(caller.get("/Patient/p1?_format=turtle").status, 406);
    for accept in [
        "*/*",
        "application/json",
        "text/html, application/fhir+json;q=0.1",
    ] {
        let answer = caller.ask(
            &caller
                .request("GET", "/Patient/p1")
                .header("Accept", accept),
        );
        assert_eq!(answer.status, 200, "{accept}: {answer:?}");
    }
    untouched(&caller);
}

#[test]
fn paths_that_climb() {
    let caller = inhabited();
    let base = caller.base.clone();
    for path in [
        "/Patient/..%2f..%2fcontrol.db",
        "/Patient/../../../control.db",
        "/Patient/%2e%2e/%2e%2e/insula.key",
        "/..%2f..%2finsula.key",
        "/Patient/p1%2f..%2fp1",
        "/Patient%2fp1",
        "/Patient/p1%00",
        "/Patient/p1%20",
        "/Patient/p1//",
        "/Patient//p1",
        "//Patient/p1",
        "/Patient/p1/_history/..%2f1",
        "/Patient/p1/_history/-1",
        "/Patient/p1/_history/0",
        "/Patient/p1/_history/99999999999999999999",
        "/patient/p1",
        "/Patient/%C3%A4",
        "/Patient/%FF",
        "/Patient/p_1",
        "/Patient;x=1/p1",
        "/Patient/p1;x=1",
        "/Patient/p1/extra/parts",
    ] {
        let answer = caller.get(path);
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
        assert!(!answer.text().contains("Resident"), "{path}: {answer:?}");
    }
    // One slash at the end is no part of the name.
    caller.get("/Patient/p1/").expect(200);
    // Unreserved characters may be written either way (RFC 3986, 6.2.2.2).
    caller.get("/Patient/%70%31").expect(200);
    // Bytes that belong in no target are no target.
    for target in [
        "/t/ x/fhir",
        &format!("{base}/Patient?family=\u{e9}"),
        "relative",
        "",
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = raw(&caller, head.as_bytes(), false);
        let refused = |a: Answer| matches!(a.status, 400 | 401 | 404);
        assert!(answer.is_none_or(refused), "{target}");
    }
    untouched(&caller);
}

#[test]
fn heads_that_mean_two_things() {
    let caller = inhabited();
    let authorization = caller.authorization.clone().unwrap();
    let body = patient("Smuggled").to_string();
    let post = format!("POST {}/Patient HTTP/1.1\r\n", caller.base);
    let same = format!(
        "Host: x\r\nAuthorization: {authorization}\r\nContent-Type: application/fhir+json\r\n"
    );
    let length = body.len();
    for (about, head) in [
        (
            "two lengths",
            format!("{post}{same}Content-Length: {length}\r\nContent-Length: 0\r\n\r\n"),
        ),
        (
            "a list of lengths",
            format!("{post}{same}Content-Length: {length}, 0\r\n\r\n"),
        ),
        (
            "a signed length",
            format!("{post}{same}Content-Length: +{length}\r\n\r\n"),
        ),
        (
            "a negative length",
            format!("{post}{same}Content-Length: -1\r\n\r\n"),
        ),
        (
            "a length that is none",
            format!("{post}{same}Content-Length: 0x10\r\n\r\n"),
        ),
        (
            "an unknown coding",
            format!("{post}{same}Transfer-Encoding: chunked, identity\r\n\r\n"),
        ),
        (
            "a space before the colon",
            format!("{post}{same}Content-Length : {length}\r\n\r\n"),
        ),
        (
            "a folded header",
            format!("{post}{same}X-Folded: a\r\n b\r\nContent-Length: {length}\r\n\r\n"),
        ),
        (
            "no version",
            format!("POST {}/Patient\r\n{same}\r\n", caller.base),
        ),
        (
            "a bare CR",
            format!("{post}{same}X: a\rb\r\nContent-Length: {length}\r\n\r\n"),
        ),
        (
            "a NUL",
            format!("{post}{same}X: a\0b\r\nContent-Length: {length}\r\n\r\n"),
        ),
    ] {
        let answer = raw(&caller, format!("{head}{body}").as_bytes(), true);
        assert!(
            answer.as_ref().is_none_or(|a| a.status == 400),
            "{about}: {answer:?}"
        );
    }
    // Length and chunks at once: RFC 9112 lets a server refuse it or go by the chunks alone. In no
    // case may what follows be taken for a request of its own.
    let inner = format!("DELETE {}/Patient/p1 HTTP/1.1\r\n{same}\r\n", caller.base);
    let both = format!(
        "{post}{same}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
        inner.len() + 5
    );
    let mut connection: Connection = caller.connect();
    connection.send(both.as_bytes()).unwrap();
    let answer = connection.answer(false);
    assert!(
        answer.as_ref().map_or(true, |a| a.status == 400),
        "{answer:?}"
    );
    connection.finish().unwrap();
    assert!(
        connection.answer(false).is_err(),
        "what followed was answered"
    );
    untouched(&caller);
}

/// HTTP/1.1 names the host that is asked (RFC 9112, section 3.2).
#[test]
fn requests_without_a_host() {
    let caller = inhabited();
    for (host, status) in [("", 400), ("Host: x\r\n", 200)] {
        let head = format!("GET {}/metadata HTTP/1.1\r\n{host}\r\n", caller.base);
        let answer = raw(&caller, head.as_bytes(), false).unwrap();
        assert_eq!(answer.status, status, "{host}: {answer:?}");
    }
}

#[test]
fn heads_that_are_too_much() {
    let caller = inhabited();
    let head = format!("GET {}/Patient/p1 HTTP/1.1\r\nHost: x\r\n", caller.base);
    for (about, rest) in [
        ("many headers", "X: y\r\n".repeat(2_000)),
        ("a long one", format!("X: {}\r\n", "y".repeat(100_000))),
        ("a long name", format!("{}: y\r\n", "X".repeat(70_000))),
    ] {
        let answer = raw(&caller, format!("{head}{rest}\r\n").as_bytes(), false);
        let refused = |a: &Answer| matches!(a.status, 400 | 431);
        assert!(answer.as_ref().is_none_or(refused), "{about}: {answer:?}");
    }
    let long = format!(
        "GET {}/Patient?family={} HTTP/1.1\r\nHost: x\r\n\r\n",
        caller.base,
        "x".repeat(200_000)
    );
    let answer = raw(&caller, long.as_bytes(), false);
    assert!(
        answer
            .as_ref()
            .is_none_or(|a| matches!(a.status, 400 | 401 | 414 | 431)),
        "{answer:?}"
    );
    untouched(&caller);
}

#[test]
fn methods_that_are_none_or_not_here() {
    let caller = inhabited();
    for (method, path, status) in [
        ("POST", "/Patient/p1", 405),
        ("PUT", "", 405),
        ("TRACE", "/Patient/p1", 405),
        ("CONNECT", "/Patient/p1", 405),
        ("FROB", "/Patient/p1", 405),
        ("get", "/Patient/p1", 405),
    ] {
        let answer = caller.ask(&caller.request(method, path));
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert!(
            answer.header("allow").is_some(),
            "{method} {path}: {answer:?}"
        );
    }
    let tricked = caller
        .request("GET", "/Patient/p1")
        .header("X-HTTP-Method-Override", "DELETE");
    caller.ask(&tricked).expect(200);
    untouched(&caller);
}

#[test]
fn hosts_do_not_choose_the_links() {
    let caller = inhabited();
    for _ in 0..2 {
        caller.create(&patient("Linked"));
    }
    let request = caller
        .request("GET", "/Patient?_count=1")
        .header("Host", "evil.example")
        .header("X-Forwarded-Host", "evil.example")
        .header("Forwarded", "host=evil.example");
    let answer = caller.ask(&request);
    assert!(!answer.text().contains("evil.example"), "{answer:?}");
}

#[test]
fn names_of_tenants_that_are_none() {
    let caller = inhabited();
    for name in [
        "Clinic-0",
        "CLINIC-0",
        "clinic_0",
        "clinic.0",
        "clinic-0.",
        "clinic-0%00",
        "clinic-0%20",
        "cl\u{131}nic",
        "%63linic%2d0%2f",
        "-clinic",
        "a",
        &"a".repeat(64),
        "admin",
        "..",
        "%2e",
    ] {
        let path = format!("GET /t/{name}/fhir/Patient HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = raw(&caller, path.as_bytes(), false);
        assert!(
            answer
                .as_ref()
                .is_none_or(|a| matches!(a.status, 400 | 404)),
            "{name}: {answer:?}"
        );
    }
}

#[test]
fn query_parameters_that_are_none() {
    let caller = inhabited();
    for query in [
        "birthdate=yesterday",
        "birthdate=2020-13",
        "_lastUpdated=gt",
        "_count=x",
        "_count=-5",
        "_sort=nothing",
        "_include=Patient",
        "_include=Nothing:here",
        "_has:Observation:code=x",
        "general-practitioner:Nothing=x",
        "family:nonsense=x",
        "_summary=maybe",
        "_total=perhaps",
        "_cursor=AAAA",
        "gender:missing=perhaps",
        "family=%FF%FE",
    ] {
        let answer = caller.ask(
            &caller
                .request("GET", &format!("/Patient?{query}"))
                .header("Prefer", "handling=strict"),
        );
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        assert!(!answer.codes().is_empty(), "{query}");
    }
    // Unknown parameters are ignored and said so, or refused, as the client prefers.
    let strict = caller
        .request("GET", "/Patient?nonsense=1")
        .header("Prefer", "handling=strict");
    caller.ask(&strict).expect(400);
    let lenient = caller
        .request("GET", "/Patient?nonsense=1")
        .header("Prefer", "handling=lenient");
    let answer = caller.ask(&lenient).expect(200);
    assert!(
        answer.text().contains("nonsense"),
        "the ignored parameter is not told: {answer:?}"
    );
    let own = answer.json();
    let own = own["link"]
        .as_array()
        .unwrap()
        .iter()
        .find(|l| l["relation"] == "self")
        .unwrap();
    assert!(!own["url"].as_str().unwrap().contains("nonsense"), "{own}");
}
