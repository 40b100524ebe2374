//! `$graphql`: what is selected, from where, and what is refused.

mod schema;
mod suite;

use serde_json::{Value, json};

use super::world::{Answer, World};

fn encoded(text: &str) -> String {
    engine::form::encode(text)
}

fn ask(world: &World, who: &str, path: &str, query: &str) -> Answer {
    let line = format!("GET {path}$graphql?query={}", encoded(query));
    world.fhir(who, &line, "")
}

fn data(world: &World, who: &str, path: &str, query: &str) -> Value {
    let answer = ask(world, who, path, query).status(200);
    answer.json()["data"].clone()
}

fn put(world: &World, who: &str, resource: &Value) {
    let path = format!(
        "PUT {}/{}",
        resource["resourceType"].as_str().unwrap(),
        resource["id"].as_str().unwrap()
    );
    let put = world.fhir(who, &path, resource.to_string());
    assert!(matches!(put.code, 200 | 201), "{put:?}");
}

/// Patient `a` with two observations, and who made them.
fn chart(world: &World, who: &str) {
    for resource in [
        json!({ "resourceType": "Practitioner", "id": "dr", "name": [{ "family": "Who" }] }),
        json!({ "resourceType": "Patient", "id": "a", "birthDate": "2000-01-01", "active": true,
            "name": [{ "use": "official", "family": "A", "given": ["B", "C"] }, { "use": "usual", "family": "D" }],
            "contained": [{ "resourceType": "Practitioner", "id": "gp", "gender": "female" }],
            "generalPractitioner": [{ "reference": "#gp" }, { "reference": "Practitioner/none" }] }),
        json!({ "resourceType": "Observation", "id": "one", "status": "final", "code": { "text": "x" },
            "subject": { "reference": "Patient/a" }, "valueQuantity": { "value": 1.10, "unit": "g" },
            "performer": [{ "reference": "Practitioner/dr" }] }),
        json!({ "resourceType": "Observation", "id": "two", "status": "amended", "code": { "text": "y" },
            "subject": { "reference": "Patient/a" } }),
    ] {
        put(world, who, &resource);
    }
}

#[test]
fn resources_are_selected_across_references() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    let one = "{ status valueQuantity { value } subject { resource { ... on Patient { birthDate } \
               ... on Group { type } } } performer { resource(type: Practitioner) { name { family } } } }";
    assert_eq!(
        data(&world, &who, "Observation/one/", one),
        json!({ "status": "final", "valueQuantity": { "value": 1.10 },
            "subject": { "resource": { "birthDate": "2000-01-01" } },
            "performer": [{ "resource": { "name": [{ "family": "Who" }] } }] })
    );
    let back = "{ id ObservationList(_reference: patient, status: \"final\") { id code { text } } \
                all: ObservationList(_reference: subject, _sort: \"_id\") { id } \
                none: ObservationList(_reference: patient, code: \"z\") { id } }";
    assert_eq!(
        data(&world, &who, "Patient/a/", back),
        json!({ "id": "a", "ObservationList": [{ "id": "one", "code": { "text": "x" } }],
            "all": [{ "id": "one" }, { "id": "two" }], "none": [] })
    );
    let filters = "{ name(use: official) { given(_count: 1) } last: name(_offset: 1) { family } \
                   path: name(fhirpath: \"given.exists()\") { family } __typename resourceType \
                   generalPractitioner { resource(optional: true) { __typename } } }";
    assert_eq!(
        data(&world, &who, "Patient/a/", filters),
        json!({ "name": [{ "given": ["B"] }], "last": [{ "family": "D" }], "path": [{ "family": "A" }],
            "__typename": "Patient", "resourceType": "Patient",
            "generalPractitioner": [{ "resource": { "__typename": "Practitioner" } }, {}] })
    );
}

#[test]
fn what_is_refused_on_the_way_is_in_the_trail() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    let narrow = world.client("lakeside", "system/Observation.rs");
    let query = "{ subject { resource(optional: true) { ... on Patient { birthDate } } } }";
    let refusals = || {
        let trail = world.admin("GET /admin/v1/tenants/lakeside/audit", &Value::Null);
        let trail = trail.status(200).json();
        let records = trail["lines"].as_array().unwrap().clone();
        records.iter().filter(|r| r["outcome"] == "refused").count()
    };
    let before = refusals();
    let found = data(&world, &narrow, "Observation/one/", query);
    assert_eq!(found, json!({ "subject": {} }));
    assert_eq!(refusals(), before + 1);
}

#[test]
fn much_data_is_whole_and_cannot_be_asked_for_many_times() {
    let (world, who) = World::clinic();
    let text = "QUJD".repeat(60_000);
    put(
        &world,
        &who,
        &json!({ "resourceType": "Binary", "id": "b", "contentType": "x/y",
        "data": text }),
    );
    assert_eq!(
        data(&world, &who, "", "{Binary(id:\"b\"){data}}"),
        json!({ "Binary": { "data": text } })
    );
    let many: String = (0..2_000).map(|n| format!("a{n}:data ")).collect();
    let query = json!({ "query": format!("{{Binary(id:\"b\"){{{many}}}}}") });
    let json_body = [("content-type", "application/json")];
    let answer = world.fhir_with(&who, "POST $graphql", &json_body, query.to_string());
    assert!(answer.json().to_string().contains("page_bytes_max"));
    let long = json!({ "query": format!("{{Patient(id:\"a\"){{id}}}}{}", " ".repeat(70_000)) });
    let answer = world.fhir_with(&who, "POST $graphql", &json_body, long.to_string());
    assert!(answer.json().to_string().contains("query_bytes_max"));
}

#[test]
fn the_whole_is_searched() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    let query = "query q($id: ID!, $with: Boolean = false) { p: Patient(id: $id) { ...named \
                 birthDate @include(if: $with) } PatientList(name: \"a\") { ...named } } \
                 fragment named on Patient { name(use: \"official\") { family } }";
    let body = json!({ "query": query, "variables": { "id": "a" }, "operationName": "q" });
    let json_body = [("content-type", "application/json")];
    let answer = world.fhir_with(&who, "POST $graphql", &json_body, body.to_string());
    let answer = answer
        .status(200)
        .header("content-type", "application/json; charset=utf-8");
    let named = json!({ "name": [{ "family": "A" }] });
    assert_eq!(
        answer.json(),
        json!({ "data": { "p": named, "PatientList": [named] } })
    );
    let graphql = [("content-type", "application/graphql")];
    let answer = world.fhir_with(&who, "POST $graphql", &graphql, "{Patient(id:a){id}}");
    assert_eq!(
        answer.status(200).json(),
        json!({ "data": { "Patient": { "id": "a" } } })
    );
    let parameters = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "query", "valueString": "{Patient(id:\"a\"){id}}" }] });
    let answer = world.fhir(&who, "POST $graphql", parameters.to_string());
    assert_eq!(answer.status(200).json()["data"]["Patient"]["id"], "a");
    let batch = json!({ "resourceType": "Bundle", "type": "batch", "entry": [
        { "request": { "method": "GET", "url": "Patient/a/$graphql?query=%7Bid%7D" } }] });
    let done = world.fhir(&who, "POST ", batch.to_string()).status(200);
    done.at("/entry/0/resource/contentType", "application/json");
}

#[test]
fn connections_are_read_page_by_page() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    let page = |arguments: &str| {
        let query = format!(
            "{{ ObservationConnection({arguments}) {{ count offset pagesize next \
             pageInfo {{ hasNextPage }} edges {{ mode resource {{ id }} }} }} }}"
        );
        data(&world, &who, "", &query)["ObservationConnection"].clone()
    };
    let first = page("subject: \"Patient/a\", _count: 1, _sort: \"_id\"");
    let wanted = json!([{ "mode": "match", "resource": { "id": "one" } }]);
    assert_eq!(
        (&first["count"], &first["offset"], &first["edges"]),
        (&json!(2), &json!(0), &wanted)
    );
    assert_eq!(first["pageInfo"]["hasNextPage"], true);
    world.fhir(&who, "DELETE Observation/two", "").status(204);
    let second = page(&format!("cursor: {}", first["next"]));
    assert_eq!(
        (&second["offset"], &second["edges"][0]["resource"]["id"]),
        (&json!(1), &json!("two"))
    );
    assert!(second.get("next").is_none(), "{second}");
    let wrong = "{ PatientConnection(cursor: \"x\") { count } }";
    ask(&world, &who, "", wrong).refused(400, "cursor-invalid");
}

#[test]
fn what_cannot_be_answered_is_said_in_graphqls_form() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    for (path, query, status) in [
        ("Patient/a/", "{ shoe }", 400),
        ("Patient/a/", "{ name { shoe } }", 400),
        ("Patient/a/", "{ name }", 400),
        ("Patient/a/", "{ active { x } }", 400),
        ("Patient/a/", "{ id", 400),
        ("Patient/a/", "", 400),
        ("Patient/a/", "mutation { id }", 400),
        ("Patient/a/", "{ id @shoe }", 400),
        ("Patient/a/", "{ ...none }", 400),
        ("Patient/a/", "{ id @include(if: $x) }", 400),
        (
            "Patient/a/",
            "query q($x: Boolean!) { id @include(if: $x) }",
            400,
        ),
        ("Patient/a/", "{ name(fhirpath: \"(\") { use } }", 400),
        ("Patient/a/", "{ ObservationList { id } }", 400),
        (
            "Patient/a/",
            "{ generalPractitioner { resource { id } } }",
            400,
        ),
        ("Patient/a/", "{ ...f } fragment f on Patient { ...f }", 400),
        ("", "{ Patient(id: \"none\") { id } }", 404),
        ("", "{ PatientList(shoe: 1) { id } }", 400),
        ("", "{ __schema { shoe } }", 400),
        ("", "{ __type { name } }", 400),
        (
            "Patient/a/",
            "{ name { __schema { types { name } } } }",
            400,
        ),
        ("", "{ id }", 400),
    ] {
        let answer = ask(&world, &who, path, query).status(status);
        let error = answer.json()["errors"][0].clone();
        assert!(error["message"].is_string(), "{query}: {error}");
        assert_eq!(
            error["extensions"]["resource"]["resourceType"],
            "OperationOutcome"
        );
    }
    ask(&world, &who, "Patient/none/", "{id}").refused(404, "not-found");
    // Searches say it in FHIR's.
    ask(&world, &who, "", "{ PatientList(birthdate: \"x\") { id } }").refused(400, "search-value");
}

#[test]
fn documents_keep_the_rules_of_graphql() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    let patients = |inner: &str| format!("{{ PatientList(name: \"nobody\") {{ {inner} }} }}");
    for (path, query, said) in [
        // Whatever data there is.
        (
            "",
            patients("x: id x: active"),
            "two different fields are called x",
        ),
        (
            "",
            patients("name(use: usual) { family } name(use: official) { given }"),
            "two different fields are called name",
        ),
        (
            "",
            patients("... on Patient { x: id } ... on Resource { x: resourceType }"),
            "two different fields are called x",
        ),
        (
            "",
            patients("contact { name { x: text } } contact { name { x: family } }"),
            "two different fields are called x",
        ),
        (
            "",
            patients(
                "generalPractitioner { resource { ... on Practitioner { x: active } \
                 ... on PractitionerRole { x: id } } }",
            ),
            "fields of different shapes are called x",
        ),
        (
            "",
            patients(
                "generalPractitioner { resource { ... on Practitioner { name { text } } \
                 ... on Organization { name } } }",
            ),
            "fields of different shapes are called name",
        ),
        (
            "",
            patients(
                "generalPractitioner { resource { ... on Organization { x: active } \
                 ... on Practitioner { x: identifier { use } } } }",
            ),
            "fields of different shapes are called x",
        ),
        // Further down, through fragments, and whether something is many.
        (
            "",
            format!(
                "{} fragment f on Practitioner {{ x: name {{ y: given }} }}",
                patients(
                    "generalPractitioner { resource { ...f \
                     ... on Organization { x: identifier { y: value } } } }"
                )
            ),
            "fields of different shapes are called y",
        ),
        (
            "",
            patients("name(use: usual, use: official) { family }"),
            "the argument use is there twice",
        ),
        (
            "",
            patients("id @include(if: true, if: false)"),
            "the argument if is there twice",
        ),
        (
            "",
            format!("query q($a: Int, $a: Int) {}", patients("id")),
            "the variable $a is there twice",
        ),
        (
            "",
            format!("query q($a: Int) {}", patients("id")),
            "nothing uses the variable $a",
        ),
        (
            "",
            patients("name(use: $a) { family }"),
            "the variable $a is not declared",
        ),
        (
            "",
            format!(
                "query q($b: code) {} fragment f on Patient {{ name(use: [$a, $b]) {{ use }} }}",
                patients("...f")
            ),
            "the variable $a is not declared",
        ),
        ("", patients("id @shoe"), "there is no directive @shoe"),
        (
            "",
            patients("id @skip(if: true) @skip(if: false)"),
            "the directive @skip is there twice",
        ),
        ("", patients("id @skip"), "@skip needs \"if\""),
        ("", patients("id @skip(if: \"a\")"), "\"if\" is a boolean"),
        (
            "",
            patients("id @skip(unless: true)"),
            "@skip has no argument unless",
        ),
        (
            "",
            patients("... on Patient @first { id }"),
            "@first is about fields",
        ),
        (
            "",
            format!("query q @skip(if: true) {}", patients("id")),
            "@skip is about fields",
        ),
        (
            "",
            format!("{} fragment f on Patient {{ id }}", patients("id")),
            "nothing uses the fragment f",
        ),
        (
            "",
            format!(
                "{} fragment f on Patient {{ ...g }} fragment g on Patient {{ ...f }}",
                patients("...f")
            ),
            "leads to itself",
        ),
        (
            "",
            patients("... on Observation { id }"),
            "what is a Patient is never a Observation",
        ),
        (
            "",
            patients("name { ... on Address { city } }"),
            "what is a HumanName is never a Address",
        ),
        ("", patients("... on Shoe { id }"), "there is no type Shoe"),
        (
            "Patient/a/",
            "{ ...f } fragment f on Observation { id }".to_owned(),
            "what is a Patient is never a Observation",
        ),
    ] {
        let answer = ask(&world, &who, path, &query).status(400);
        let error = answer.json()["errors"][0].clone();
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(said), "{query}: {message}");
        assert_eq!(error["extensions"]["code"], "graphql-invalid");
    }
    for query in [
        "x: id x: id name(use: usual, _count: 1) { family } name(_count: 1, use: usual) { given }",
        "generalPractitioner { resource { ... on Practitioner { x: active z: name { use } } \
         ... on PractitionerRole { x: active name: id z: identifier { use } } \
         ... on DomainResource { y: id } } }",
        "... on Resource { id } ... on DomainResource { id ... on Patient { active } }",
    ] {
        ask(&world, &who, "", &patients(query)).status(200);
    }
    let query = format!(
        "query q($a: code, $b: Boolean = false) {} fragment f on Patient \
         {{ name(use: $a) {{ family @skip(if: $b) @first }} }}",
        patients("...f")
    );
    ask(&world, &who, "", &query).status(200);
    let shared = patients("...f contact { ...c }");
    let shared = format!(
        "{shared} fragment f on Patient {{ id contact {{ ...c }} }} \
         fragment c on PatientContact {{ gender }}"
    );
    ask(&world, &who, "", &shared).status(200);
}

#[test]
fn variables_stand_where_their_type_may() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    let asked = |query: &str| {
        let given = json!({ "query": query, "variables": { "i": "a", "c": "female", "n": "a", "t": true,
            "l": ["a"], "o": 0, "s": "use" } });
        let json_body = [("content-type", "application/json")];
        world.fhir_with(&who, "POST $graphql", &json_body, given.to_string())
    };
    for (query, said) in [
        (
            "query($i: Patient) { Patient(id: $i) { id } }",
            "a variable cannot be a Patient",
        ),
        (
            "query($i: [PatientContact!]) { Patient(id: $i) { id } }",
            "a variable cannot be a PatientContact",
        ),
        (
            "query($i: Nothing) { Patient(id: $i) { id } }",
            "there is no type Nothing",
        ),
        (
            "query($i: ID) { Patient(id: $i) { id } }",
            "$i is of ID, and ID! is expected",
        ),
        (
            "query($i: String!) { Patient(id: $i) { id } }",
            "$i is of String!, and ID! is expected",
        ),
        (
            "query($l: [ID!]!) { Patient(id: $l) { id } }",
            "$l is of [ID!]!, and ID! is expected",
        ),
        (
            "query($n: String) { PatientList(name: $n) { id } }",
            "$n is of String, and [String] is expected",
        ),
        (
            "query($o: Int) { PatientList(name: [$o]) { id } }",
            "$o is of Int, and String is expected",
        ),
        (
            "query($n: String) { PatientList(_count: $n) { id } }",
            "$n is of String, and Int is expected",
        ),
        (
            "query($n: String) { Patient(id: \"a\") { name(use: $n) { family } } }",
            "$n is of String, and code is expected",
        ),
        (
            "query($n: Int) { ...f } fragment f on Query { PatientList { ...g } } \
             fragment g on Patient { name(fhirpath: $n) { family } }",
            "$n is of Int, and String is expected",
        ),
        (
            "query($n: String!) { PatientList { ... @include(if: $n) { id } } }",
            "$n is of String!, and Boolean is expected",
        ),
        (
            "query($n: ID!) { __type(name: $n) { name } }",
            "$n is of ID!, and String! is expected",
        ),
        (
            "query($n: String) { PatientList { generalPractitioner { resource(optional: $n) { id } } } }",
            "$n is of String, and Boolean is expected",
        ),
    ] {
        let answer = asked(query).status(400);
        let error = answer.json()["errors"][0].clone();
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(said), "{query}: {message}");
        assert_eq!(error["extensions"]["code"], "graphql-invalid");
    }
    for query in [
        "query($i: ID!) { Patient(id: $i) { id } }",
        "query($i: ID = \"a\") { Patient(id: $i) { id } }",
        "query($l: [String]) { PatientList(name: $l) { id } }",
        "query($l: [String!]!) { PatientList(name: $l) { id } }",
        "query($n: String!) { PatientList(name: [$n]) { id } }",
        "query($c: token) { PatientList(gender: [$c, \"male\"]) { id } }",
        "query($t: Boolean! $o: Int) { PatientList { name(_offset: $o) { family @include(if: $t) } } }",
        "query($t: Boolean = false) { PatientList { id @skip(if: $t) } }",
        "query($t: Boolean) { PatientList { id @include(if: $t) } }",
        "query($s: String!) { PatientList { name @slice(path: $s) { family } } }",
        "query($n: String!) { __type(name: $n) { name } }",
    ] {
        asked(query).status(200);
    }
}

#[test]
fn documents_are_bounded_by_name() {
    let bomb = "{ ...a ...a ...a ...a } fragment a on Patient { ...b ...b ...b ...b ...b ...b } \
                fragment b on Patient { ...c ...c ...c ...c ...c ...c ...c ...c ...c } \
                fragment c on Patient { id }";
    let deep = "{ subject { resource { ... on Patient { ObservationList(_reference: patient) { \
                subject { resource { ... on Patient { ObservationList(_reference: patient) { \
                subject { resource { ... on Patient { id } } } } } } } } } } } }";
    let all = "{ ObservationList(_reference: patient) { id } }";
    for (path, query, limit) in [
        ("Patient/a/", bomb, "graphql_fields_max"),
        ("Observation/two/", deep, "graphql_depth_max"),
        ("Patient/a/", all, "graphql_resources_max"),
    ] {
        let world = World::with(
            |limits| match limit {
                "graphql_fields_max" => limits.graphql_fields_max = 200,
                "graphql_depth_max" => limits.graphql_depth_max = 6,
                _ => limits.graphql_resources_max = 2,
            },
            |_| {},
        );
        world.tenant("lakeside");
        let who = world.client("lakeside", "system/*.cruds");
        chart(&world, &who);
        let answer = ask(&world, &who, path, query).status(400);
        let text = String::from_utf8_lossy(&answer.body);
        assert!(text.contains(limit), "{query}: {text}");
    }
}

#[test]
fn a_document_shows_only_what_its_caller_may_see() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    let reader = world.client("lakeside", "system/Observation.rs");
    let refused = |path: &str, query: &str| {
        ask(&world, &reader, path, query).refused(403, "scope-missing");
    };
    refused("Patient/a/", "{ id }");
    refused("", "{ PatientList { id } }");
    refused("", "{ Patient(id: \"a\") { id } }");
    refused(
        "",
        "{ ObservationList(patient: \"Patient/a\") { subject { resource { id } } } }",
    );
    refused(
        "Observation/one/",
        "{ PatientList(_reference: link) { id } }",
    );
    let optional =
        "{ ObservationList(_sort: \"_id\") { id subject { resource(optional: true) { id } } } }";
    let shown = data(&world, &reader, "", optional);
    assert_eq!(
        shown["ObservationList"][0],
        json!({ "id": "one", "subject": {} })
    );
}
