//! Introspection: what a program that knows only GraphQL learns of what can be asked.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::super::world::World;
use super::{ask, chart, data};

/// The question that GraphQL's clients ask.
const WHOLE: &str = "query IntrospectionQuery { __schema { queryType { name } mutationType { name } \
    subscriptionType { name } types { ...FullType } directives { name description locations \
    args { ...InputValue } } } } \
    fragment FullType on __Type { kind name description fields(includeDeprecated: true) { name \
    description args { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason } \
    inputFields { ...InputValue } interfaces { ...TypeRef } \
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } \
    possibleTypes { ...TypeRef } } \
    fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue } \
    fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name \
    ofType { kind name } } } } }";

fn innermost(of: &Value) -> &Value {
    match &of["ofType"] {
        Value::Null => of,
        inner => innermost(inner),
    }
}

#[test]
fn a_whole_schema_holds_together() {
    for version in ["4.0.1", "4.3.0", "5.0.0"] {
        let world = World::new();
        let tenant = json!({ "name": "lakeside", "fhir": version });
        world.admin("POST /admin/v1/tenants", &tenant).status(201);
        let who = world.client("lakeside", "system/*.cruds");
        let body = json!({ "query": WHOLE, "operationName": "IntrospectionQuery" });
        let json_body = [("content-type", "application/json")];
        let answer = world.fhir_with(&who, "POST $graphql", &json_body, body.to_string());
        let schema = answer.status(200).json()["data"]["__schema"].clone();
        assert_eq!(schema["queryType"], json!({ "name": "Query" }));
        let types = schema["types"].as_array().unwrap();
        let kinds: HashMap<&str, &str> = types
            .iter()
            .map(|t| (t["name"].as_str().unwrap(), t["kind"].as_str().unwrap()))
            .collect();
        assert_eq!(kinds.len(), types.len(), "each name once");
        let known = |of: &Value| {
            let of = innermost(of);
            assert_eq!(
                kinds.get(of["name"].as_str().unwrap()).copied(),
                of["kind"].as_str(),
                "{of}"
            );
        };
        for of in types {
            let mut names = HashSet::new();
            for field in of["fields"].as_array().into_iter().flatten() {
                let name = field["name"].as_str().unwrap();
                assert!(names.insert(name), "{} has {name} twice", of["name"]);
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
                assert!(name.chars().all(plain), "{name}");
                known(&field["type"]);
                for argument in field["args"].as_array().unwrap() {
                    known(&argument["type"]);
                }
            }
            assert_eq!(
                names.is_empty(),
                !matches!(of["kind"].as_str(), Some("OBJECT" | "INTERFACE"))
            );
            for interface in of["interfaces"].as_array().into_iter().flatten() {
                known(interface);
                let of_interface = types
                    .iter()
                    .find(|t| t["name"] == interface["name"])
                    .unwrap();
                for field in of_interface["fields"].as_array().unwrap() {
                    assert!(names.contains(field["name"].as_str().unwrap()), "{field}");
                }
            }
        }
    }
}

#[test]
fn one_type_tells_its_fields() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    let of = "{ __type(name: \"Patient\") { kind name name fields { name type { kind name ofType { name } } \
              args { name } } interfaces { name } } none: __type(name: \"Shoe\") { name } }";
    let told = data(&world, &who, "", of);
    assert_eq!(told["none"], Value::Null);
    let of = &told["__type"];
    assert_eq!(
        (&of["kind"], &of["name"]),
        (&json!("OBJECT"), &json!("Patient"))
    );
    let field = |name: &str| {
        let fields = of["fields"].as_array().unwrap();
        fields
            .iter()
            .find(|f| f["name"] == name)
            .cloned()
            .unwrap_or_else(|| panic!("{name}"))
    };
    let single = |name: &str| json!({ "kind": "SCALAR", "name": name, "ofType": null });
    assert_eq!(field("birthDate")["type"], single("date"));
    assert_eq!(field("deceasedBoolean")["type"], single("Boolean"));
    let list = json!({ "kind": "LIST", "name": null, "ofType": { "name": "PatientContact" } });
    assert_eq!(field("contact")["type"], list);
    assert!(
        field("name")["args"]
            .as_array()
            .unwrap()
            .contains(&json!({ "name": "use" }))
    );
    assert_eq!(
        field("ObservationList")["args"][0],
        json!({ "name": "_reference" })
    );
    assert!(
        of["interfaces"]
            .as_array()
            .unwrap()
            .contains(&json!({ "name": "Resource" }))
    );
    // Every field that a schema tells of is answered.
    let names = of["fields"].as_array().unwrap().iter().filter_map(|f| {
        let leaf = f["type"]["kind"] == "SCALAR";
        leaf.then(|| f["name"].as_str().unwrap().to_owned())
    });
    let every = names.collect::<Vec<_>>().join(" ");
    assert_eq!(
        data(&world, &who, "Patient/a/", &format!("{{ {every} }}"))["id"],
        "a"
    );
    let here = data(
        &world,
        &who,
        "Patient/a/",
        "{ id __schema { queryType { name } } }",
    );
    assert_eq!(
        here,
        json!({ "id": "a", "__schema": { "queryType": { "name": "Patient" } } })
    );
}

#[test]
fn connections_name_their_types() {
    let (world, who) = World::clinic();
    chart(&world, &who);
    let asked = "{ PatientConnection { __typename pageInfo { __typename } edges { __typename \
                 resource { __typename } ... on PatientEdge { mode } } } }";
    let wanted = json!({ "__typename": "PatientConnection", "pageInfo": { "__typename": "PageInfo" },
        "edges": [{ "__typename": "PatientEdge", "resource": { "__typename": "Patient" }, "mode": "match" }] });
    assert_eq!(data(&world, &who, "", asked)["PatientConnection"], wanted);
}

#[test]
fn a_schema_is_told_within_bounds() {
    let (world, who) = World::clinic();
    let nested = "fields { type { ".repeat(20) + "name" + &" } }".repeat(20);
    let deep = format!("{{ __type(name: \"Patient\") {{ {nested} }} }}");
    let answer = ask(&world, &who, "", &deep).status(400);
    assert!(String::from_utf8_lossy(&answer.body).contains("graphql_depth_max"));
    let wide = "{ __schema { types { possibleTypes { interfaces { possibleTypes { interfaces { \
                possibleTypes { fields { name } } } } } } } } }";
    let answer = ask(&world, &who, "", wide).status(400);
    let text = String::from_utf8_lossy(&answer.body);
    assert!(
        text.contains("graphql_schema_fields_max") || text.contains("page_bytes_max"),
        "{text}"
    );
    // Whoever may do nothing learns nothing.
    let nobody = world.fhir(
        "",
        "GET $graphql?query=%7B__schema%7BqueryType%7Bname%7D%7D%7D",
        "",
    );
    nobody.status(401);
}
