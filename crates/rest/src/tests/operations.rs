//! Operations: `$everything`, `$meta` and its changes, `$lastn`, alone and in Bundles.

use serde_json::{Value, json};

use super::world::{Answer, World};

fn put(world: &World, who: &str, resource: &Value) {
    let path = format!(
        "PUT {}/{}",
        resource["resourceType"].as_str().unwrap(),
        resource["id"].as_str().unwrap()
    );
    let put = world.fhir(who, &path, resource.to_string());
    assert!(matches!(put.code, 200 | 201), "{put:?}");
}

fn reference(to: &str) -> Value {
    json!({ "reference": to })
}

fn observation(id: &str, subject: &str, code: &str, date: &str) -> Value {
    json!({ "resourceType": "Observation", "id": id, "status": "final",
        "code": { "coding": [{ "system": "http://loinc.org", "code": code }] },
        "subject": reference(subject), "effectiveDateTime": date })
}

fn laboratory(id: &str, subject: &str, code: &str, date: &str) -> Value {
    let mut made = observation(id, subject, code, date);
    made["category"] = json!([{ "coding": [{ "code": "laboratory" }] }]);
    made
}

/// Patient `a` with all that belongs to it, and patient `b`, who is not meant.
fn chart(world: &World, who: &str) {
    for resource in [
        json!({ "resourceType": "Organization", "id": "house", "partOf": reference("Organization/group") }),
        json!({ "resourceType": "Organization", "id": "group" }),
        json!({ "resourceType": "Practitioner", "id": "dr" }),
        json!({ "resourceType": "Location", "id": "ward" }),
        json!({ "resourceType": "Patient", "id": "b" }),
        json!({ "resourceType": "Patient", "id": "a", "generalPractitioner": [reference("Practitioner/dr")],
            "managingOrganization": reference("Organization/house"),
            "link": [{ "other": reference("Patient/b"), "type": "seealso" }] }),
        json!({ "resourceType": "Encounter", "id": "e", "status": "finished", "class": { "code": "AMB" },
            "subject": reference("Patient/a"), "period": { "start": "2020-05-01", "end": "2020-05-02" },
            "location": [{ "location": reference("Location/ward") }] }),
        observation("old", "Patient/a", "1", "2019-01-01"),
        observation("new", "Patient/a", "1", "2021-01-01"),
        json!({ "resourceType": "AllergyIntolerance", "id": "undated", "patient": reference("Patient/a"),
            "code": { "text": "nuts" } }),
        observation("others", "Patient/b", "1", "2020-05-01"),
    ] {
        put(world, who, &resource);
    }
}

fn sorted(answer: &Answer) -> Vec<String> {
    let mut names = answer.entries();
    names.sort();
    names
}

fn modes(answer: &Answer, mode: &str) -> Vec<String> {
    let json = answer.json();
    let entries = json["entry"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<String> = entries
        .iter()
        .filter(|e| e["search"]["mode"] == mode)
        .map(|e| {
            let r = &e["resource"];
            format!(
                "{}/{}",
                r["resourceType"].as_str().unwrap(),
                r["id"].as_str().unwrap()
            )
        })
        .collect();
    names.sort();
    names
}

const OF_A: [&str; 5] = [
    "AllergyIntolerance/undated",
    "Encounter/e",
    "Observation/new",
    "Observation/old",
    "Patient/a",
];

#[test]
fn everything_of_a_patient_and_what_it_refers_to() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    let all = world
        .fhir(&who, "GET Patient/a/$everything", "")
        .status(200);
    let all = all.at("/type", "searchset");
    // Patient b refers to nobody here: it is linked from a, but another patient's record.
    assert_eq!(modes(&all, "match"), OF_A);
    assert_eq!(
        modes(&all, "include"),
        [
            "Location/ward",
            "Organization/group",
            "Organization/house",
            "Practitioner/dr"
        ]
    );
    let found = |line: &str| sorted(&world.fhir(&who, line, "").status(200));
    assert_eq!(
        found("GET Patient/a/$everything?start=2020&end=2020-12"),
        [
            "AllergyIntolerance/undated",
            "Encounter/e",
            "Location/ward",
            "Organization/group",
            "Organization/house",
            "Patient/a",
            "Practitioner/dr"
        ]
    );
    assert_eq!(
        found("GET Patient/a/$everything?_type=Observation&start=2020"),
        ["Observation/new"]
    );
    assert_eq!(
        found("GET Patient/a/$everything?_type=Patient,Practitioner"),
        ["Patient/a", "Practitioner/dr"]
    );
    // What is not shown is not counted.
    let line = "GET Patient/a/$everything?_type=Practitioner";
    let referred = world.fhir(&who, line, "").status(200);
    assert_eq!(sorted(&referred), ["Practitioner/dr"]);
    assert!(referred.json().get("total").is_none());
    let line = "GET Patient/a/$everything?_type=Encounter";
    world.fhir(&who, line, "").status(200).at("/total", 1);
    let posted = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "_type", "valueCode": "Encounter" } ] });
    let posted = world.fhir(&who, "POST Patient/a/$everything", posted.to_string());
    assert_eq!(sorted(&posted.status(200)), ["Encounter/e"]);
    let xml = [
        ("content-type", "application/fhir+xml"),
        ("accept", "application/fhir+json"),
    ];
    let posted = "<Parameters xmlns=\"http://hl7.org/fhir\"><parameter><name value=\"_type\"/>\
                  <valueCode value=\"Encounter\"/></parameter></Parameters>";
    let posted = world.fhir_with(&who, "POST Patient/a/$everything", &xml, posted);
    assert_eq!(sorted(&posted.status(200)), ["Encounter/e"]);
    let summary = world.fhir(
        &who,
        "GET Patient/a/$everything?_type=Encounter&_elements=status",
        "",
    );
    assert!(
        summary.json()["entry"][0]["resource"]
            .get("period")
            .is_none()
    );

    let everybody = found("GET Patient/$everything?_type=Patient,Observation");
    assert_eq!(
        everybody,
        [
            "Observation/new",
            "Observation/old",
            "Observation/others",
            "Patient/a",
            "Patient/b"
        ]
    );
}

#[test]
fn everything_since_a_time() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    world.clock.forward_secs(100);
    put(
        &world,
        &who,
        &observation("late", "Patient/a", "1", "2018-01-01"),
    );
    let late = world.fhir(&who, "GET Observation/late", "");
    let since = late.text("/meta/lastUpdated");
    let line = format!("GET Patient/a/$everything?_since={since}");
    assert_eq!(
        sorted(&world.fhir(&who, &line, "").status(200)),
        ["Observation/late"]
    );
}

#[test]
fn everything_comes_in_pages_of_one_state() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    let mut page = world
        .fhir(&who, "GET Patient/a/$everything?_count=2", "")
        .status(200);
    assert!(
        page.link("self")
            .unwrap()
            .ends_with("Patient/a/$everything?_count=2")
    );
    put(
        &world,
        &who,
        &observation("late", "Patient/a", "1", "2022-01-01"),
    );
    world.fhir(&who, "DELETE Observation/old", "").status(204);
    let mut matches = Vec::new();
    loop {
        let own = modes(&page, "match");
        assert!(own.len() <= 2);
        matches.extend(own);
        let Some(next) = page.link("next") else { break };
        page = world.follow(&who, &next).status(200);
    }
    matches.sort();
    assert_eq!(matches, OF_A);
}

#[test]
fn everything_of_encounters_and_groups() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    let mut vital = observation("vital", "Patient/a", "2", "2020-05-01");
    vital["encounter"] = reference("Encounter/e");
    put(&world, &who, &vital);
    put(
        &world,
        &who,
        &json!({ "resourceType": "Group", "id": "g", "type": "person", "actual": true,
        "member": [{ "entity": reference("Patient/b") }, { "entity": reference("Practitioner/dr") }] }),
    );
    let found = |line: &str| sorted(&world.fhir(&who, line, "").status(200));
    assert_eq!(
        found("GET Encounter/e/$everything"),
        [
            "Encounter/e",
            "Location/ward",
            "Observation/vital",
            "Organization/group",
            "Organization/house",
            "Patient/a",
            "Practitioner/dr"
        ]
    );
    assert_eq!(
        found("GET Group/g/$everything"),
        // Patient a links to b, so the compartment of b holds it.
        [
            "Group/g",
            "Observation/others",
            "Organization/group",
            "Organization/house",
            "Patient/a",
            "Patient/b",
            "Practitioner/dr"
        ]
    );
    put(
        &world,
        &who,
        &json!({ "resourceType": "Group", "id": "none", "type": "person", "actual": true }),
    );
    assert_eq!(found("GET Group/none/$everything"), ["Group/none"]);
}

#[test]
fn everything_shows_only_what_the_caller_may_see() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    let some = world.client(
        "lakeside",
        "system/Patient.rs system/Observation.s system/Practitioner.r",
    );
    let found = world
        .fhir(&some, "GET Patient/a/$everything", "")
        .status(200);
    assert_eq!(
        modes(&found, "match"),
        ["Observation/new", "Observation/old", "Patient/a"]
    );
    assert_eq!(modes(&found, "include"), ["Practitioner/dr"]);
    for (scopes, line) in [
        (
            "system/Patient.rs",
            "GET Patient/a/$everything?_type=Observation",
        ),
        (
            "system/Patient.rs",
            "GET Patient/a/$everything?_type=Practitioner",
        ),
        (
            "system/Patient.s system/Observation.rs",
            "GET Patient/a/$everything",
        ),
        ("system/Observation.rs", "GET Patient/a/$everything"),
        ("system/Practitioner.rs", "GET Patient/$everything"),
    ] {
        let other = world.client("lakeside", scopes);
        world.fhir(&other, line, "").refused(403, "scope-missing");
    }
}

#[test]
fn operations_that_are_not_there() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    for (line, status, code) in [
        ("GET Patient/none/$everything", 404, "not-found"),
        ("GET Practitioner/dr/$everything", 501, "not-supported"),
        ("GET Patient/$lastn", 501, "not-supported"),
        ("GET Nonsense/$meta", 404, "resource-type-unknown"),
        (
            "GET Patient/a/$everything?start=yesterday",
            400,
            "search-value",
        ),
        (
            "GET Patient/a/$everything?_type=Nonsense",
            400,
            "search-value",
        ),
        ("GET Observation/$lastn?max=0", 400, "search-value"),
        (
            "GET Observation/$lastn?patient=a&code=1&_include=Observation:subject",
            501,
            "not-supported",
        ),
        ("GET Patient/none/$meta", 404, "not-found"),
        ("POST Patient/a/$meta-add", 400, "body-empty"),
        ("GET Patient/a/$nonsense", 501, "not-supported"),
        ("POST Patient/a/$nonsense", 501, "not-supported"),
        ("POST Patient/$nonsense", 501, "not-supported"),
        ("POST $nonsense", 501, "not-supported"),
        ("PUT Patient/a/$meta-add", 405, "method-not-allowed"),
    ] {
        world.fhir(&who, line, "").refused(status, code);
    }
    let other = json!({ "resourceType": "Patient" }).to_string();
    let strict = [("prefer", "handling=strict")];
    world
        .fhir_with(&who, "GET Patient/a/$everything?gender=male", &strict, "")
        .refused(400, "search-parameter-unknown");
    world
        .fhir(&who, "POST Patient/a/$everything", other)
        .refused(400, "resource-type-mismatch");
    world.fhir(&who, "DELETE Patient/b", "").status(204);
    world
        .fhir(&who, "GET Patient/b/$everything", "")
        .refused(410, "deleted");
}

#[test]
fn the_newest_of_each_kind() {
    let (world, who) = World::clinic();
    let two = |id: &str, codes: [&str; 2], date: &str| {
        let mut both = laboratory(id, "Patient/a", codes[0], date);
        let coding = json!([{ "system": "http://loinc.org", "code": codes[0] },
            { "system": "urn:local", "code": codes[1] }]);
        both["code"]["coding"] = coding;
        both
    };
    for resource in [
        laboratory("a1", "Patient/a", "1", "2020-01-01"),
        laboratory("a2", "Patient/a", "1", "2020-03-01"),
        laboratory("a3", "Patient/a", "1", "2020-02-01"),
        laboratory("b1", "Patient/a", "2", "2020-01-15"),
        // The local code makes one kind of the codes 3 and 4.
        two("c1", ["3", "x"], "2019-01-01"),
        two("c2", ["4", "x"], "2019-02-01"),
        laboratory("of-b", "Patient/b", "1", "2024-01-01"),
    ] {
        put(&world, &who, &resource);
    }
    let mut said = laboratory("t1", "Patient/a", "9", "2018-01-01");
    said["code"] = json!({ "text": "Mood" });
    put(&world, &who, &said);
    said["id"] = "t2".into();
    said["effectiveDateTime"] = "2018-02-01".into();
    put(&world, &who, &said);
    let found = |query: &str| {
        let line = format!("GET Observation/$lastn?{query}");
        world.fhir(&who, &line, "").status(200).entries()
    };
    let name = |ids: &[&str]| -> Vec<String> {
        ids.iter().map(|id| format!("Observation/{id}")).collect()
    };
    assert_eq!(
        found("patient=Patient/a&category=laboratory"),
        name(&["a2", "b1", "c2", "t2"])
    );
    assert_eq!(
        found("patient=Patient/a&category=laboratory&max=2"),
        name(&["a2", "a3", "b1", "c2", "c1", "t2", "t1"])
    );
    assert_eq!(
        found("subject=Patient/a&code=http://loinc.org|2"),
        name(&["b1"])
    );
    let posted = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "patient", "valueString": "Patient/b" },
        { "name": "category", "valueString": "laboratory" }, { "name": "max", "valuePositiveInt": 3 }] });
    let posted = world.fhir(&who, "POST Observation/$lastn", posted.to_string());
    assert_eq!(
        posted.status(200).at("/total", 1).entries(),
        name(&["of-b"])
    );
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let asked = "patient=Patient/b&category=laboratory";
    let posted = world.fhir_with(&who, "POST Observation/$lastn", &form, asked);
    assert_eq!(posted.status(200).entries(), name(&["of-b"]));
}

#[test]
fn lastn_is_bounded_by_name() {
    let world = World::with(
        |limits| {
            limits.operation_resources_max = 3;
            limits.page_entries_max = 2;
        },
        |_| {},
    );
    world.tenant("lakeside");
    let who = world.client("lakeside", "system/*.cruds");
    for i in 0..5 {
        put(
            &world,
            &who,
            &laboratory(&format!("o{i}"), "Patient/a", "1", "2020-01-01"),
        );
    }
    let refused = world.fhir(&who, "GET Observation/$lastn?patient=Patient/a&code=1", "");
    let refused = refused.refused(400, "limit-query");
    assert!(String::from_utf8_lossy(&refused.body).contains("operation_resources_max"));
}

#[test]
fn lastn_is_told_whose_observations_and_of_what_kind() {
    for fhir in ["4.0.1", "4.3.0", "5.0.0"] {
        let (world, who) = World::clinic_of(fhir);
        put(
            &world,
            &who,
            &laboratory("o", "Patient/a", "1", "2020-01-01"),
        );
        for (query, lacks) in [
            ("", "patient or subject"),
            ("max=3", "patient or subject"),
            ("category=laboratory", "patient or subject"),
            ("patient:missing=true&code=1", "patient or subject"),
            ("patient=Patient/a", "category, code"),
            ("subject=Patient/a&date=2020", "category, code"),
        ] {
            let line = format!("GET Observation/$lastn?{query}");
            let refused = world.fhir(&who, &line, "").refused(400, "search-value");
            let said = refused.text("/issue/0/diagnostics");
            assert!(said.contains(lacks), "{query}: {said}");
        }
        for query in [
            "patient=Patient/a&category=laboratory",
            "subject=Patient/a&code=1",
            "subject:Patient=a&code:text=x&code=1",
            "patient._id=a&category:not=vital-signs",
            "patient=Patient/a&combo-code=1",
            "patient=Patient/a&code-value-quantity=1$gt5",
        ] {
            let line = format!("GET Observation/$lastn?{query}");
            world.fhir(&who, &line, "").status(200);
        }
    }
}

fn meta(given: &Value) -> String {
    json!({ "resourceType": "Parameters", "parameter": [{ "name": "meta", "valueMeta": given }] })
        .to_string()
}

#[test]
fn labels_come_and_go_as_versions() {
    ["4.0.1", "4.3.0", "5.0.0"]
        .into_iter()
        .for_each(labels_come_and_go);
}

fn labels_come_and_go(fhir: &str) {
    let (world, who) = World::clinic_of(fhir);
    put(
        &world,
        &who,
        &json!({ "resourceType": "Patient", "id": "p", "active": true,
        "meta": { "tag": [{ "system": "urn:t", "code": "one", "display": "One" }] } }),
    );
    let before = world.fhir(&who, "GET Patient/p/$meta", "").status(200);
    let value = "/parameter/0/valueMeta";
    let before = before
        .at("/parameter/0/name", "return")
        .at(&format!("{value}/versionId"), "1");
    before.at(&format!("{value}/tag/0/display"), "One");

    let more = json!({ "tag": [{ "system": "urn:t", "code": "one" }, { "system": "urn:t", "code": "two" }],
        "profile": ["http://example.org/p"], "security": [{ "system": "urn:s", "code": "R" }] });
    let added = world
        .fhir(&who, "POST Patient/p/$meta-add", meta(&more))
        .status(200);
    let added = added.at(&format!("{value}/versionId"), "2");
    assert_eq!(
        added.json()["parameter"][0]["valueMeta"]["tag"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    // Nothing new: no version.
    let again = world
        .fhir(&who, "POST Patient/p/$meta-add", meta(&more))
        .status(200);
    again.at(&format!("{value}/versionId"), "2");
    let found = world.fhir(&who, "GET Patient?_tag=urn:t|two&_security=R", "");
    assert_eq!(found.entries(), ["Patient/p"]);

    // Other references to URLs are not profiles.
    put(
        &world,
        &who,
        &json!({ "resourceType": "Observation", "id": "o", "status": "final", "code": { "text": "x" },
        "subject": { "reference": "http://example.org/fhir/Patient/q" } }),
    );
    for (path, tags) in [("$meta", 2), ("Patient/$meta", 2), ("Observation/$meta", 0)] {
        let all = world
            .fhir(&who, &format!("GET {path}"), "")
            .status(200)
            .json();
        let all = &all["parameter"][0]["valueMeta"];
        assert_eq!(
            all["tag"].as_array().map_or(0, Vec::len),
            tags,
            "{path}: {all}"
        );
        assert_eq!(all.get("profile").is_some(), tags > 0);
    }

    let less = json!({ "tag": [{ "system": "urn:t", "code": "two" }], "profile": ["http://example.org/p"] });
    let taken = world
        .fhir(&who, "POST Patient/p/$meta-delete", meta(&less))
        .status(200);
    let taken = taken.at(&format!("{value}/versionId"), "3").json();
    assert!(taken["parameter"][0]["valueMeta"].get("profile").is_none());
    let system = world.fhir(&who, "POST $meta", "").status(200).json();
    assert_eq!(
        system["parameter"][0]["valueMeta"]["tag"],
        json!([{ "system": "urn:t", "code": "one" }])
    );
    let second = world
        .fhir(&who, "GET Patient/p/_history/2/$meta", "")
        .status(200);
    second.at(&format!("{value}/profile/0"), "http://example.org/p");
    world
        .fhir(&who, "GET Patient/p", "")
        .status(200)
        .at("/active", true);
    let told = world
        .fhir(&who, "GET Patient/p/_history", "")
        .status(200)
        .at("/total", 3);
    told.at("/entry/0/request/method", "PATCH");

    let reader = world.client("lakeside", "system/Patient.rs");
    world
        .fhir(&reader, "POST Patient/p/$meta-add", meta(&more))
        .refused(403, "scope-missing");
    for bad in [
        json!({ "resourceType": "Parameters" }),
        json!({ "resourceType": "Parameters",
        "parameter": [{ "name": "meta", "valueString": "x" }] }),
    ] {
        world
            .fhir(&who, "POST Patient/p/$meta-add", bad.to_string())
            .refused(400, "request-invalid");
    }
    world
        .fhir(
            &who,
            "POST Patient/p/$meta-add",
            meta(&json!({ "tag": [{ "shoe": 1 }] })),
        )
        .refused(422, "element-unknown");
}

#[test]
fn operations_are_done_in_bundles() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    let request = |method: &str, url: &str| json!({ "request": { "method": method, "url": url } });
    let mut add = request("POST", "Patient/a/$meta-add");
    add["resource"] =
        serde_json::from_str(&meta(&json!({ "profile": ["http://example.org/p"] }))).unwrap();
    let bundle = |kind: &str, entries: &[Value]| {
        json!({ "resourceType": "Bundle", "type": kind, "entry": entries }).to_string()
    };
    let reads = [
        request("GET", "Patient/a/$everything?_type=Encounter"),
        request("GET", "Observation/$lastn?patient=Patient/a&code=1"),
        request("GET", "Patient/a/Observation?date=gt2020"),
        request("GET", "Patient/b/$meta"),
        request("HEAD", "Patient/b"),
        request("GET", "Patient/a?_elements=link"),
        request("GET", "Patient/a/$nonsense"),
    ];
    for kind in ["batch", "transaction"] {
        let done = world
            .fhir(&who, "POST ", bundle(kind, &reads))
            .status(200)
            .json();
        let entry = |i: usize| &done["entry"][i];
        assert_eq!(
            entry(0)["resource"]["entry"][0]["resource"]["id"],
            "e",
            "{kind}"
        );
        assert_eq!(entry(1)["resource"]["total"], 1);
        assert_eq!(entry(2)["resource"]["entry"][0]["resource"]["id"], "new");
        assert_eq!(entry(3)["resource"]["resourceType"], "Parameters");
        assert_eq!(entry(4)["response"]["status"], "200 OK");
        assert!(entry(4).get("resource").is_none() && entry(4)["response"]["etag"].is_string());
        assert!(entry(5)["resource"].get("managingOrganization").is_none());
        assert_eq!(entry(6)["response"]["status"], "501 Not Implemented");
    }
    let done = world
        .fhir(&who, "POST ", bundle("batch", &[add.clone()]))
        .status(200)
        .json();
    assert_eq!(
        done["entry"][0]["resource"]["parameter"][0]["valueMeta"]["versionId"],
        "2"
    );
    world
        .fhir(&who, "POST ", bundle("transaction", &[add]))
        .refused(400, "bundle-entry");
}

#[test]
fn the_capability_statement_tells_operations() {
    let (world, _) = World::clinic();
    let told = world
        .ask("GET /t/lakeside/fhir/metadata", &[], "")
        .status(200)
        .json();
    let rest = &told["rest"][0];
    let names = |of: &Value| -> Vec<String> {
        let all = of["operation"].as_array().cloned().unwrap_or_default();
        all.iter()
            .map(|o| o["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(names(rest).contains(&"meta".to_owned()));
    for (name, wanted) in [
        ("Patient", "everything"),
        ("Observation", "lastn"),
        ("Account", "meta-add"),
    ] {
        let all = rest["resource"].as_array().unwrap();
        let of = all.iter().find(|r| r["type"] == name).unwrap();
        assert!(
            names(of).contains(&wanted.to_owned()),
            "{name}: {:?}",
            names(of)
        );
    }
    assert!(
        told.to_string()
            .contains("OperationDefinition/Patient-everything")
    );
}
