//! XML and lines in and out, layouts, and content codings.

use super::world::{Answer, World, patient_with_id};
use crate::coding::Coding;
use engine::Failure;

const XML: &str = "<Patient xmlns=\"http://hl7.org/fhir\"><id value=\"p\"/><text><status value=\"generated\"/><div xmlns=\"http://www.w3.org/1999/xhtml\">a<br/>é</div></text><active value=\"true\"/><name><family value=\"Rees\"/></name></Patient>";
const OF_XML: (&str, &str) = ("content-type", "application/fhir+xml");
const TO_JSON: (&str, &str) = ("accept", "application/fhir+json");
const TO_XML: (&str, &str) = ("accept", "application/fhir+xml");

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[test]
fn resources_go_in_and_out_as_xml() {
    let (world, who) = World::clinic();
    let made = world
        .fhir_with(&who, "PUT Patient/p", &[OF_XML, TO_XML], XML)
        .status(201)
        .header("content-type", "application/fhir+xml; charset=utf-8")
        .header("etag", "W/\"1\"");
    let body = text(&made);
    assert!(
        body.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Patient xmlns="),
        "{body}"
    );
    assert!(
        body.contains("<meta><versionId value=\"1\"/><lastUpdated value=\""),
        "{body}"
    );
    let rest = XML.split_once("<text>").unwrap().1;
    assert!(body.ends_with(rest), "{body}");
    let read = world.fhir(&who, "GET Patient/p", "").status(200);
    read.at("/name/0/family", "Rees").at(
        "/text/div",
        "<div xmlns=\"http://www.w3.org/1999/xhtml\">a<br/>é</div>",
    );
    for line in [
        "GET Patient/p?_format=xml",
        "GET Patient/p?_format=application/fhir%2Bxml",
    ] {
        let same = world.fhir(&who, line, "").status(200);
        assert_eq!(text(&same), body);
    }
    let head = world
        .fhir_with(&who, "HEAD Patient/p", &[TO_XML], "")
        .status(200);
    head.header("content-length", &body.len().to_string());
    let none = [TO_XML, ("if-none-match", "W/\"1\"")];
    world
        .fhir_with(&who, "GET Patient/p", &none, "")
        .status(304);
}

#[test]
fn bundles_and_statements_are_xml_too() {
    let (world, who) = World::clinic();
    world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "A"))
        .status(201);
    for (line, part) in [
        (
            "GET Patient?family=A",
            "<Bundle xmlns=\"http://hl7.org/fhir\"><type value=\"searchset\"/><total value=\"1\"/>",
        ),
        ("GET Patient/p/_history", "<type value=\"history\"/>"),
        ("GET metadata", "<CapabilityStatement xmlns="),
        ("POST _search", "<type value=\"searchset\"/>"),
    ] {
        let answer = world.fhir_with(&who, line, &[TO_XML], "").status(200);
        assert!(text(&answer).contains(part), "{line}: {}", text(&answer));
    }
    let batch = "<Bundle xmlns=\"http://hl7.org/fhir\"><type value=\"transaction\"/><entry><resource><Patient><active value=\"true\"/></Patient></resource><request><method value=\"POST\"/><url value=\"Patient\"/></request></entry></Bundle>";
    let done = world
        .fhir_with(&who, "POST ", &[OF_XML, TO_XML], batch)
        .status(200);
    assert!(
        text(&done).contains("<status value=\"201 Created\"/>"),
        "{}",
        text(&done)
    );
}

#[test]
fn refusals_are_written_as_asked() {
    let (world, who) = World::clinic();
    let refused = world
        .fhir_with(&who, "GET Patient/none", &[TO_XML], "")
        .status(404);
    let refused = refused.header("content-type", "application/fhir+xml; charset=utf-8");
    assert!(
        text(&refused).contains("<OperationOutcome xmlns="),
        "{}",
        text(&refused)
    );
    let wrong = XML.replace("<active", "<actve");
    world
        .fhir_with(&who, "PUT Patient/p", &[OF_XML, TO_JSON], wrong)
        .refused(422, "element-unknown")
        .at("/issue/0/expression/0", "Patient.actve");
    world
        .fhir_with(
            &who,
            "PUT Patient/p",
            &[OF_XML, TO_JSON],
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a/>",
        )
        .refused(400, "xml-syntax");
    world
        .fhir_with(&who, "PUT Patient/p", &[OF_XML, TO_JSON], "{}")
        .refused(400, "xml-syntax");
    world
        .fhir_with(&who, "PUT Patient/p", &[OF_XML, TO_JSON], " ")
        .refused(400, "body-empty");
    let turtle = ("accept", "text/turtle");
    world
        .fhir_with(&who, "GET Patient/p", &[turtle], "")
        .refused(406, "not-acceptable");
    let turtle = ("content-type", "text/turtle");
    world
        .fhir_with(&who, "PUT Patient/p", &[turtle], "x")
        .refused(415, "media-type");
}

#[test]
fn pretty_is_on_lines() {
    let (world, who) = World::clinic();
    world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "A"))
        .status(201);
    let json = world
        .fhir(&who, "GET Patient/p?_pretty=true", "")
        .status(200);
    assert!(text(&json).starts_with("{\n  \"resourceType\": \"Patient\",\n"));
    json.at("/name/0/family", "A");
    let xml = world
        .fhir(&who, "GET Patient/p?_pretty=true&_format=xml", "")
        .status(200);
    assert!(
        text(&xml).contains("\n  <id value=\"p\"/>\n"),
        "{}",
        text(&xml)
    );
    let plain = world
        .fhir(&who, "GET Patient/p?_pretty=false", "")
        .status(200);
    assert!(text(&plain).starts_with("{\"resourceType\""));
}

#[test]
fn searches_come_in_lines() {
    let (world, who) = World::clinic();
    for id in ["p", "q"] {
        world
            .fhir(&who, &format!("PUT Patient/{id}"), patient_with_id(id, "A"))
            .status(201);
    }
    let found = world
        .fhir(&who, "GET Patient?_format=ndjson&_sort=_id", "")
        .status(200);
    let found = found.header("content-type", "application/fhir+ndjson; charset=utf-8");
    let lines: Vec<String> = text(&found).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].starts_with("{\"resourceType\":\"Patient\",\"id\":\"p\""),
        "{}",
        lines[0]
    );
    let one = world
        .fhir(&who, "GET Patient/p?_format=application/fhir%2Bndjson", "")
        .status(200);
    assert_eq!(text(&one).lines().count(), 1);
}

#[test]
fn answers_are_compressed_when_it_helps() {
    let (world, who) = World::clinic();
    let plain = world.fhir(&who, "GET metadata", "").status(200);
    for (accepted, coding) in [
        ("gzip", Coding::Gzip),
        ("br", Coding::Brotli),
        ("zstd", Coding::Zstd),
    ] {
        let coded = world.fhir_with(&who, "GET metadata", &[("accept-encoding", accepted)], "");
        let coded = coded.status(200).header("content-encoding", accepted);
        assert!(coded.body.len() * 5 < plain.body.len());
        let refuse = || Failure::of(base::Code::LimitExceeded);
        let back = Coding::decode(&[coding], &coded.body, 1 << 30, 1_000, refuse, |_| Ok(()));
        let back = back.unwrap();
        assert_eq!(back.len(), plain.body.len());
    }
    world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "A"))
        .status(201);
    let gzip = [("accept-encoding", "gzip")];
    let small = world
        .fhir_with(&who, "GET Patient/p", &gzip, "")
        .status(200);
    assert!(small.header_text("content-encoding").is_none());
    assert!(
        small
            .header_text("vary")
            .unwrap()
            .contains("accept-encoding")
    );
    let image = [("content-type", "image/png")];
    let noise = "x".repeat(10_000);
    world
        .fhir_with(&who, "PUT Binary/b", &image, noise)
        .status(201);
    let raw = world.fhir_with(&who, "GET Binary/b", &gzip, "").status(200);
    assert!(raw.header_text("content-encoding").is_none());
    assert_eq!(raw.body.len(), 10_000);
}

#[test]
fn bodies_may_be_compressed() {
    let (world, who) = World::clinic();
    let body = patient_with_id("p", "A");
    for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
        let coded = coding.encode(body.as_bytes()).unwrap();
        let headers = [("content-encoding", coding.as_str())];
        let done = world.fhir_with(&who, "PUT Patient/p", &headers, coded);
        assert!(matches!(done.code, 200 | 201), "{coding:?}");
    }
    for (coding, wanted) in [
        ("compress", 415),
        ("gzip, compress", 415),
        ("gzip, gzip, gzip, gzip, gzip", 415),
        ("gzip, br", 400),
        ("identity", 200),
        (" , identity", 200),
    ] {
        let headers = [("content-encoding", coding)];
        let done = world.fhir_with(&who, "PUT Patient/p", &headers, body.clone());
        assert_eq!(done.code, wanted, "{coding}");
        let taken = done.header_text("accept-encoding");
        assert_eq!(taken, (wanted == 415).then_some("zstd, br, gzip"));
    }
    // Several on top of each other come off in turn, however many headers name them.
    let twice = Coding::Gzip.encode(body.as_bytes()).unwrap();
    let twice = Coding::Brotli.encode(&twice).unwrap();
    for headers in [
        vec![("content-encoding", "gzip, br")],
        vec![("content-encoding", "gzip"), ("content-encoding", "BR")],
    ] {
        let done = world.fhir_with(&who, "PUT Patient/p", &headers, twice.clone());
        done.status(200);
    }
    // A body of several members (RFC 1952 section 2.2).
    let (start, end) = body.as_bytes().split_at(20);
    let members = [start, end].map(|part| Coding::Gzip.encode(part).unwrap());
    let headers = [("content-encoding", "gzip")];
    let done = world.fhir_with(&who, "PUT Patient/p", &headers, members.concat());
    done.status(200);
    let coded = Coding::Gzip.encode(body.as_bytes()).unwrap();
    for other in [body.clone().into_bytes(), coded[..coded.len() / 2].to_vec()] {
        let headers = [("content-encoding", "gzip")];
        let refused = world.fhir_with(&who, "PUT Patient/p", &headers, other);
        refused.refused(400, "body-coding");
    }
    let bomb = Coding::Gzip.encode(&vec![b' '; 40 << 20]).unwrap();
    let headers = [("content-encoding", "gzip")];
    let refused = world.fhir_with(&who, "PUT Patient/p", &headers, bomb);
    let refused = refused.refused(413, "limit-exceeded");
    refused.at("/issue/0/details/coding/1/code", "decompression_ratio_max");
}

#[test]
fn who_sends_xml_is_answered_in_xml() {
    let (world, who) = World::clinic();
    let patient =
        r#"<Patient xmlns="http://hl7.org/fhir"><id value="x"/><active value="true"/></Patient>"#;
    let xml = ("content-type", "application/fhir+xml");
    for headers in [vec![xml], vec![xml, ("accept", "*/*")]] {
        let answer = world.fhir_with(&who, "PUT Patient/x", &headers, patient);
        let answer = answer.header("content-type", "application/fhir+xml; charset=utf-8");
        assert!(answer.body.starts_with(b"<?xml"));
        let refused = world
            .fhir_with(&who, "PUT Patient/y", &headers, patient)
            .status(400);
        assert!(refused.body.starts_with(b"<?xml"));
    }
    let json = [xml, ("accept", "application/fhir+json")];
    let answer = world.fhir_with(&who, "PUT Patient/x", &json, patient);
    answer.status(200).at("/active", true);
    // The document of a Binary says nothing of the answer.
    let answer = world.fhir_with(
        &who,
        "PUT Binary/x",
        &[("content-type", "text/xml")],
        "<a/>",
    );
    answer
        .status(201)
        .header("content-type", "application/fhir+json; charset=utf-8");
}

#[test]
fn a_form_may_ask_for_a_layout() {
    let (world, who) = World::clinic();
    world
        .fhir(&who, "PUT Patient/p", patient_with_id("p", "A"))
        .status(201);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let pretty = world.fhir_with(&who, "POST Patient/_search", &form, "_id=p&_pretty=true");
    assert!(
        String::from_utf8_lossy(&pretty.status(200).body).contains("\n  \"type\": \"searchset\"")
    );
    let plain = world.fhir_with(&who, "POST Patient/_search", &form, "_id=p&_pretty=false");
    assert!(!plain.status(200).body.contains(&b'\n'));
    let both = world.fhir_with(
        &who,
        "POST Patient/_search",
        &form,
        "_id=p&_pretty=true&_format=xml",
    );
    assert!(
        String::from_utf8_lossy(&both.status(200).body).contains("\n  <type value=\"searchset\"/>")
    );
}

#[test]
fn capabilities_come_in_parts_and_in_batches() {
    let (world, who) = World::clinic();
    let whole = world.fhir("", "GET metadata", "").status(200);
    assert!(whole.json()["rest"].is_array());
    let summary = world.fhir("", "GET metadata?_summary=true", "").status(200);
    let summary = summary.at("/resourceType", "CapabilityStatement").json();
    assert_eq!(summary["meta"]["tag"][0]["code"], "SUBSETTED");
    let part = world
        .fhir("", "GET metadata?_elements=software", "")
        .status(200)
        .json();
    assert!(part.get("rest").is_none() && part["software"]["name"] == "Insula");
    assert_eq!(part["fhirVersion"], "4.0.1");
    world
        .fhir("", "GET metadata?mode=terminology", "")
        .status(200)
        .at("/resourceType", "TerminologyCapabilities")
        .at("/kind", "instance")
        .at("/codeSearch", "explicit");
    for mode in ["full", "normative", ""] {
        world
            .fhir("", &format!("GET metadata?mode={mode}"), "")
            .status(200)
            .at("/resourceType", "CapabilityStatement");
    }
    world
        .fhir("", "GET metadata?mode=bogus", "")
        .refused(400, "search-value");
    let (r5, _) = World::clinic_of("5.0.0");
    let codes = r5.fhir("", "GET metadata?mode=terminology", "");
    codes
        .status(200)
        .at("/codeSearch", "in-compose-or-expansion");
    let batch = serde_json::json!({"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "GET", "url": "metadata"}},
        {"request": {"method": "GET", "url": "/metadata?_elements=software"}}]});
    let answer = world.fhir(&who, "POST ", batch.to_string()).status(200);
    let answer = answer.at("/entry/0/resource/resourceType", "CapabilityStatement");
    let answer = answer.at("/entry/0/response/status", "200 OK").json();
    assert!(answer["entry"][0]["resource"]["rest"][0]["resource"].is_array());
    assert!(answer["entry"][1]["resource"].get("rest").is_none());
}
