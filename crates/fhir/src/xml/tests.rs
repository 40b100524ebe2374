use super::*;
use crate::definitions::FhirVersion;
use crate::json;

const BOUNDS: Bounds = Bounds {
    depth_max: 32,
    attributes_max: 8,
    issues_max: 20,
};

fn model() -> &'static Model {
    Model::of(FhirVersion::R4)
}

fn read(xml: &str) -> Result<String, Vec<String>> {
    to_json(model(), xml.as_bytes(), &BOUNDS).map_err(|outcome| {
        let text = |i: &Issue| {
            let place = i.expression.as_deref().unwrap_or("");
            format!("{} {place}", i.code.as_str()).trim().to_owned()
        };
        outcome.0.iter().map(text).collect()
    })
}

fn written(json: &str) -> String {
    let doc = json::parse(json.as_bytes(), 64).unwrap();
    let mut out = String::new();
    write_xml(model(), doc.root(), Layout::Compact, &mut out).unwrap();
    out
}

/// XML becomes this JSON, and this JSON becomes the same XML.
fn both(xml: &str, json: &str) {
    assert_eq!(read(xml).unwrap(), json);
    assert_eq!(written(json), xml);
}

fn patient(content: &str) -> String {
    format!("<Patient xmlns=\"http://hl7.org/fhir\">{content}</Patient>")
}

#[test]
fn elements_and_values() {
    both(
        &patient("<id value=\"7\"/><active value=\"true\"/><multipleBirthInteger value=\"2\"/>"),
        r#"{"resourceType":"Patient","id":"7","active":true,"multipleBirthInteger":2}"#,
    );
    both(
        &patient(
            "<name><family value=\"a&amp;&lt;&quot;&#xA;é\"/><given value=\"b\"/><given value=\"c\"/></name>",
        ),
        r#"{"resourceType":"Patient","name":[{"family":"a&<\"\né","given":["b","c"]}]}"#,
    );
    both(
        "<Observation xmlns=\"http://hl7.org/fhir\"><valueQuantity><value value=\"1.50\"/></valueQuantity></Observation>",
        r#"{"resourceType":"Observation","valueQuantity":{"value":1.50}}"#,
    );
}

#[test]
fn what_stands_beside_values() {
    both(
        &patient(
            "<name><given id=\"g\" value=\"a\"/><given><extension url=\"u\"><valueCode value=\"x\"/></extension></given></name>",
        ),
        concat!(
            r#"{"resourceType":"Patient","name":[{"given":["a",null],"#,
            r#""_given":[{"id":"g"},{"extension":[{"url":"u","valueCode":"x"}]}]}]}"#
        ),
    );
    both(
        &patient(
            "<birthDate><extension url=\"u\"><valueDate value=\"2020\"/></extension></birthDate>",
        ),
        r#"{"resourceType":"Patient","_birthDate":{"extension":[{"url":"u","valueDate":"2020"}]}}"#,
    );
}

#[test]
fn resources_in_resources() {
    both(
        "<Bundle xmlns=\"http://hl7.org/fhir\"><type value=\"batch\"/><entry><resource><Patient><contained><Group><id value=\"g\"/></Group></contained><contained><Basic/></contained></Patient></resource></entry></Bundle>",
        concat!(
            r#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient","#,
            r#""contained":[{"resourceType":"Group","id":"g"},{"resourceType":"Basic"}]}}]}"#
        ),
    );
}

#[test]
fn narratives_stay_as_they_are() {
    let div = "<div xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang='en'><!-- a --><p  class='b'>é &lt;&amp;<br/>\r\n</p ></div>";
    let json = read(&patient(&format!(
        "<text><status value=\"generated\"/>{div}</text>"
    )))
    .unwrap();
    let doc = json::parse(json.as_bytes(), 64).unwrap();
    let text = doc.root().get("text").unwrap();
    assert_eq!(text.get("div").unwrap().as_str().unwrap(), div);
    let xml = written(&json);
    assert!(xml.contains(div), "{xml}");
}

#[test]
fn narratives_bring_their_namespace_along() {
    let div = |xml: &str| {
        let json = read(xml).unwrap();
        let doc = json::parse(json.as_bytes(), 64).unwrap();
        let div = doc.root().get("text").and_then(|t| t.get("div")).unwrap();
        div.as_str().unwrap().into_owned()
    };
    assert_eq!(
        div(
            "<f:Patient xmlns:f=\"http://hl7.org/fhir\" xmlns:h=\"http://www.w3.org/1999/xhtml\"><f:text><h:div><h:p a=\"b\">x</h:p><h:br/><?pi?><![CDATA[<&]]></h:div></f:text></f:Patient>"
        ),
        "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p a=\"b\">x</p><br/>&lt;&amp;</div>",
    );
}

#[test]
fn namespaces_of_narratives_are_declared_once() {
    let div = |inside: &str| {
        let long = "urn:long";
        let xml = format!(
            "<f:Patient xmlns:f=\"http://hl7.org/fhir\" xmlns=\"urn:d\" xmlns:h=\"http://www.w3.org/1999/xhtml\" \
             xmlns:s=\"{long}\"><f:text><h:div>{inside}</h:div></f:text></f:Patient>"
        );
        let json = read(&xml).unwrap();
        let doc = json::parse(json.as_bytes(), 64).unwrap();
        let div = doc.root().get("text").and_then(|t| t.get("div")).unwrap();
        let div = div.as_str().unwrap().into_owned();
        // What was made is itself a narrative that stays as it is.
        let again = read(&patient(&format!("<text>{div}</text>"))).unwrap();
        let mut quoted = String::new();
        json::push_json_string(&div, &mut quoted);
        assert!(again.contains(&quoted), "{again}");
        div.replace("http://www.w3.org/1999/xhtml", "H")
    };
    for (inside, wanted) in [
        (
            "<s:a/><s:b s:c=\"1\"><h:p/></s:b>",
            "<div xmlns=\"H\" xmlns:s=\"urn:long\"><s:a/><s:b s:c=\"1\"><p/></s:b></div>",
        ),
        (
            "<a/><a><b/><h:i/></a>",
            "<div xmlns=\"H\" xmlns:ns0=\"urn:d\"><ns0:a/><ns0:a><ns0:b/><i/></ns0:a></div>",
        ),
        (
            "<s:a/><x xmlns:s=\"urn:o\" xmlns=\"urn:v\"><s:b/><h:i/><y/></x><s:c/>",
            "<div xmlns=\"H\" xmlns:s=\"urn:long\"><s:a/><x xmlns=\"urn:v\"><s:b xmlns:s=\"urn:o\"/>\
             <i xmlns=\"H\"/><y/></x><s:c/></div>",
        ),
        (
            "<a xmlns=\"\"/><h:p s:z=\"1\"/>",
            "<div xmlns=\"H\" xmlns:s=\"urn:long\"><a xmlns=\"\"/><p s:z=\"1\"/></div>",
        ),
    ] {
        assert_eq!(div(inside), wanted, "{inside}");
    }
}

#[test]
fn stored_narratives_become_well_formed() {
    let div = |div: &str| {
        let mut out = String::new();
        narrative::write(div, &mut out);
        out
    };
    for (given, wanted) in [
        ("<div>a&nbsp;b & c</div>", "a\u{a0}b &amp; c"),
        (
            "<div xmlns='http://www.w3.org/1999/xhtml'>&copy;</div>",
            "©",
        ),
        (
            "<div><a href=\"?a=1&b=<\">x</a></div>",
            "<a href=\"?a=1&amp;b=&lt;\">x</a>",
        ),
        ("<div><!-- a -- b -->x</div>", ">x<"),
        ("<div><p>x</div>", "&lt;div&gt;&lt;p&gt;x&lt;/div&gt;"),
    ] {
        let out = div(given);
        assert!(out.contains(wanted), "{given}: {out}");
        let whole = patient(&format!("<text>{out}</text>"));
        assert!(read(&whole).is_ok(), "{whole}");
    }
}

#[test]
fn what_is_no_content_is_dropped() {
    let xml = "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- a --><?b?>\n<f:Patient xmlns:f=\"http://hl7.org/fhir\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"a b\">\n <!-- c --><f:active value='true'><!-- d --></f:active> <?e?>\n</f:Patient>\n<!-- f -->";
    assert_eq!(
        read(xml).unwrap(),
        r#"{"resourceType":"Patient","active":true}"#
    );
}

#[test]
fn elements_out_of_order_are_gathered() {
    let xml = patient(
        "<name><family value=\"a\"/></name><active value=\"true\"/><name><family value=\"b\"/></name>",
    );
    assert_eq!(
        read(&xml).unwrap(),
        r#"{"resourceType":"Patient","name":[{"family":"a"},{"family":"b"}],"active":true}"#
    );
}

#[test]
fn refusals_name_the_place() {
    for (content, wanted) in [
        ("<nme/>", "element-unknown Patient.nme"),
        (
            "<name foo=\"x\"><family value=\"x\"/></name>",
            "element-unknown Patient.name[0].foo",
        ),
        (
            "<name><id value=\"x\"/></name>",
            "element-unknown Patient.name[0].id",
        ),
        (
            "<gender value=\"male\"/><gender value=\"male\"/>",
            "element-cardinality Patient.gender.gender",
        ),
        ("<birthDate/>", "element-empty Patient.birthDate"),
        (
            "<active value=\"true\">x</active>",
            "xml-text Patient.active",
        ),
        ("<name>x</name>", "xml-text Patient.name[0]"),
        ("<contained/>", "element-empty Patient.contained[0]"),
        (
            "<contained><Foo/></contained>",
            "resource-type-mismatch Patient.contained[0].Foo",
        ),
        (
            "<contained><Basic/><Basic/></contained>",
            "element-cardinality Patient.contained[0]",
        ),
        (
            "<active xmlns=\"urn:x\" value=\"true\"/>",
            "xml-namespace Patient.active.active",
        ),
        (
            "<text><div>x</div></text>",
            "xml-namespace Patient.text.div.div",
        ),
    ] {
        let found = read(&patient(content)).unwrap_err();
        let wanted = wanted.split(' ').collect::<Vec<_>>();
        let found: Vec<_> = found[0].split(' ').collect();
        assert_eq!(found[0], wanted[0], "{content}");
        assert!(wanted[1].starts_with(found[1]), "{content}: {found:?}");
    }
    assert_eq!(
        read("<Foo xmlns=\"http://hl7.org/fhir\"/>")
            .unwrap_err()
            .len(),
        1
    );
    assert_eq!(read("<Patient/>").unwrap_err(), ["xml-namespace Patient"]);
}

#[test]
fn hostile_documents_are_refused() {
    let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
    let wide = format!(
        "<a {}/>",
        (0..100).map(|i| format!("a{i}='' ")).collect::<String>()
    );
    let spaces = format!(
        "<a {}/>",
        (0..100)
            .map(|i| format!("xmlns:a{i}='u' "))
            .collect::<String>()
    );
    assert_eq!(read(&deep).unwrap_err(), ["limit-exceeded"]);
    assert_eq!(read(&wide).unwrap_err(), ["limit-exceeded"]);
    assert_eq!(read(&spaces).unwrap_err(), ["limit-exceeded"]);
    for bad in [
        "",
        " ",
        "{}",
        "<a>",
        "<a></b>",
        "</a>",
        "<a/><b/>",
        "<a/>x",
        "x<a/>",
        "<a b='1' b='2'/>",
        "<a xmlns:x='u' xmlns:y='u' x:b='1' y:b='2'/>",
        "<x:a/>",
        "<a x:b=''/>",
        "<a b=1/>",
        "<a b/>",
        "<a b='<'/>",
        "<a b='&foo;'/>",
        "<a b='& '/>",
        "<a b='&#0;'/>",
        "<a b='&#xFFFF;'/>",
        "<a b='\u{1}'/>",
        "<a>\u{ffff}</a>",
        "<1a/>",
        "<a:b:c xmlns:a='u'/>",
        "<a>]]></a>",
        "<a><!-- a -- b --></a>",
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
        "<a>&nbsp;</a>",
        "<?xml version='1.0' encoding='UTF-16'?><a/>",
        " <?xml version='1.0'?><a/>",
        "<a xmlns:xml='u'/>",
        "<a xmlns:b=''/>",
        "<a",
        "<a b='",
        "<![CDATA[x]]>",
        "<a><![CDATA[x</a>",
    ] {
        let found = to_json(model(), bad.as_bytes(), &BOUNDS).unwrap_err();
        assert_eq!(found.code(), Some(Code::XmlSyntax), "{bad}: {found}");
    }
    let found = to_json(model(), b"<a>\xff</a>", &BOUNDS).unwrap_err();
    assert_eq!(found.code(), Some(Code::XmlSyntax));
    let found = to_json(model(), b"<a>\n <b></c></a>", &BOUNDS).unwrap_err();
    assert!(
        found.0[0].diagnostics.contains("line 2, column 5"),
        "{found}"
    );
}

#[test]
fn values_that_are_none_stay_for_the_validator() {
    let xml = patient(
        "<active value=\"yes\"/><multipleBirthInteger value=\"1e\"/><birthDate value=\"\"/>",
    );
    assert_eq!(
        read(&xml).unwrap(),
        r#"{"resourceType":"Patient","active":"yes","multipleBirthInteger":"1e","birthDate":""}"#
    );
}

#[test]
fn pretty_is_the_same_document() {
    let json = r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a\n b</div>"},"name":[{"given":["a"]}]}"#;
    let doc = json::parse(json.as_bytes(), 64).unwrap();
    let mut out = String::new();
    write_xml(model(), doc.root(), Layout::Pretty, &mut out).unwrap();
    assert!(
        out.contains("\n    <given value=\"a\"/>\n  </name>\n</Patient>"),
        "{out}"
    );
    assert_eq!(read(&out).unwrap(), json);
}

proptest::proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(0u8..=255, 0..200)) {
        let _ = to_json(model(), &bytes, &BOUNDS);
    }

    #[test]
    fn nothing_that_looks_like_xml_panics(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "<", ">", "/>", "</", "<Patient", " xmlns='http://hl7.org/fhir'", "<name>", "</name>",
                "<text>", "<div", " xmlns='http://www.w3.org/1999/xhtml'", "<!--", "-->", "<![CDATA[",
                "]]>", "<?", "?>", "&", "&lt;", "&#", ";", "'", "\"", " value='x'", "x", "é", "\n",
                "<contained>", "</contained>", "</Patient>", "</div>", "<p>", "</p>", "<!DOCTYPE",
            ]),
            0..40,
        )
    ) {
        let text: String = parts.concat();
        let _ = to_json(model(), text.as_bytes(), &BOUNDS);
        let mut out = String::new();
        narrative::write(&text, &mut out);
        let whole = patient(&format!("<text>{out}</text>"));
        let loose = Bounds { depth_max: 10_000, ..BOUNDS };
        proptest::prop_assert!(to_json(model(), whole.as_bytes(), &loose).is_ok(), "{}", whole);
    }

    #[test]
    fn any_text_comes_back(text in "\\PC*", other in "[ -~\t\n\réß😀]{0,20}") {
        for text in [text, other] {
            let mut quoted = String::new();
            json::push_json_string(&text, &mut quoted);
            let json = format!("{{\"resourceType\":\"Patient\",\"language\":{quoted}}}");
            let legal = text.chars().all(token::is_legal);
            proptest::prop_assert!(!legal || read(&written(&json)) == Ok(json));
        }
    }
}

#[test]
fn a_long_name_of_a_namespace_is_refused() {
    let narrative = |uri: &str| {
        patient(&format!(
            "<text><status value=\"generated\"/><div xmlns=\"http://www.w3.org/1999/xhtml\" \
             xmlns:x=\"{uri}\"><x:a/><x:a/></div></text>"
        ))
    };
    let read = |text: &str| to_json(model(), text.as_bytes(), &BOUNDS);
    assert!(read(&narrative("urn:x")).is_ok());
    assert!(read(&narrative(&"u".repeat(300))).is_err());
}
