use super::*;

fn ok(text: &str) -> String {
    let doc = parse(text.as_bytes(), 64).unwrap();
    let mut out = String::new();
    write_compact(doc.root(), &mut out);
    out
}

#[test]
fn tokens_survive_and_space_goes() {
    assert_eq!(
        ok(" { \"a\" : [ 1.50 , -0.0e+10 , \"x\\u00e9\\n\" , null ] , \"b\":{ } } "),
        r#"{"a":[1.50,-0.0e+10,"x\u00e9\n",null],"b":{}}"#
    );
    assert_eq!(ok("\u{feff}[]"), "[]");
    assert_eq!(
        ok("[[[]],{\"a\":{\"b\":[true,false]}}]"),
        "[[[]],{\"a\":{\"b\":[true,false]}}]"
    );
}

#[test]
fn values_are_reached() {
    let doc = parse(
        br#"{"a":[1,{"b":"q\"\ud83d\ude00"}],"c":true,"d\u0041":2}"#,
        8,
    )
    .unwrap();
    let root = doc.root();
    assert_eq!(root.get("a").unwrap().items().count(), 2);
    let b = root
        .get("a")
        .unwrap()
        .items()
        .nth(1)
        .unwrap()
        .get("b")
        .unwrap();
    assert_eq!(b.as_str().unwrap(), "q\"\u{1f600}");
    assert_eq!(root.get("c").unwrap().as_bool(), Some(true));
    assert_eq!(root.get("dA").unwrap().as_number(), Some("2"));
    assert_eq!(root.get("c").unwrap().raw(), "true");
    assert_eq!(b.raw(), r#""q\"\ud83d\ude00""#);
}

#[test]
fn bad_text_is_refused() {
    for bad in [
        "",
        " ",
        "{",
        "[1,",
        "{\"a\"",
        "{\"a\":}",
        "{a:1}",
        "[1 2]",
        "01",
        "1.",
        "-",
        "1e",
        "tru",
        "\"\n\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "[1],",
        "{\"a\":1,}",
        "[,1]",
        "\"abc",
        "nulll",
        "+1",
        "{\"a\":1]",
        "[1}",
        "\"\\u12\"",
        "NaN",
    ] {
        assert!(parse(bad.as_bytes(), 64).is_err(), "{bad:?}");
    }
    assert_eq!(
        parse(b"[[[", 2).unwrap_err(),
        ParseError::TooDeep { at: 2, max: 2 }
    );
    assert!(matches!(parse(b"\"\xff\"", 2), Err(ParseError::Utf8(1))));
    assert!(matches!(
        parse(br#"{"a":1,"\u0061":2}"#, 2),
        Err(ParseError::DuplicateKey { .. })
    ));
    let many: String = (0..40).map(|i| format!("\"k{}\":1,", i % 39)).collect();
    assert!(matches!(
        parse(format!("{{{many}\"z\":1}}").as_bytes(), 2),
        Err(ParseError::DuplicateKey { .. })
    ));
}

#[test]
fn nothing_panics_on_cut_text() {
    let text = r#"{"a":[1.5e3,"\ud83d\ude00",{"b":null}],"é":"ü"}"#.as_bytes();
    for end in 0..text.len() {
        assert!(parse(&text[..end], 64).is_err());
    }
}

#[test]
fn pretty_is_the_same_value() {
    let text = r#"{"a":[1.50,{}],"b":{"c":"\u00e9"},"d":[]}"#;
    let doc = parse(text.as_bytes(), 8).unwrap();
    let mut out = String::new();
    write_pretty(doc.root(), &mut out);
    assert_eq!(
        out,
        "{\n  \"a\": [\n    1.50,\n    {}\n  ],\n  \"b\": {\n    \"c\": \"\\u00e9\"\n  },\n  \"d\": []\n}"
    );
    assert_eq!(ok(&out), text);
}
