//! What comparisons, negations, orders and links mean at their edges, in the specification's words.

use serde_json::{Value, json};

use super::super::world::World;
use super::{encoded, finds, person, put, refuses};

/// Finds resources of one type by their ids.
#[track_caller]
pub(super) fn ids(world: &World, who: &str, query: &str, want: &str) {
    let of = query.split('?').next().unwrap();
    let want: Vec<String> = want
        .split_whitespace()
        .map(|id| format!("{of}/{id}"))
        .collect();
    let want: Vec<&str> = want.iter().map(String::as_str).collect();
    finds(world, who, query, &want);
}

/// The entries in their order, those that are included with a plus.
pub(super) fn shown(world: &World, who: &str, query: &str) -> Vec<String> {
    let answer = world.fhir(who, &format!("GET {}", encoded(query)), "");
    let json = answer.status(200).json();
    let entries = json["entry"].as_array().cloned().unwrap_or_default();
    let one = |e: &Value| {
        let mode = if e["search"]["mode"] == "include" {
            "+"
        } else {
            ""
        };
        format!("{mode}{}", e["resource"]["id"].as_str().unwrap())
    };
    entries.iter().map(one).collect()
}

pub(super) fn observation(id: &str, more: &Value) -> Value {
    let mut observation = json!({"resourceType": "Observation", "id": id, "status": "final",
        "code": {"text": "x"}});
    let members = observation.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    observation
}

#[test]
fn ranges_of_time_are_compared_as_ranges() {
    for version in ["4.0.1", "5.0.0"] {
        let (world, who) = World::clinic_of(version);
        let at = |id: &str, more: Value| put(&world, &who, &observation(id, &more));
        at("1", json!({"effectiveDateTime": "2013-01-14"}));
        at("2", json!({"effectiveDateTime": "2013-01-14T10:00:00Z"}));
        at(
            "3",
            json!({"effectivePeriod": {"start": "2013-01-10", "end": "2013-01-20"}}),
        );
        at("4", json!({"effectivePeriod": {"start": "2013-01-14"}}));
        at("5", json!({"effectiveDateTime": "2013-01"}));
        at("6", json!({"effectiveDateTime": "2013"}));
        at(
            "7",
            json!({"effectiveDateTime": "2013-01-15T00:30:00+01:00"}),
        );
        at("8", json!({"effectivePeriod": {"end": "2013-01-12"}}));
        at("9", json!({}));
        for (value, want) in [
            ("2013-01-14", "1 2 7"),
            ("eq2013-01-14", "1 2 7"),
            ("ne2013-01-14", "3 4 5 6 8"),
            ("gt2013-01-14", "3 4 5 6"),
            ("lt2013-01-14", "3 5 6 8"),
            ("ge2013-01-14", "1 2 3 4 5 6 7"),
            ("le2013-01-14", "1 2 3 5 6 7 8"),
            ("sa2013-01-12", "1 2 4 7"),
            ("sa2013-01-14", ""),
            ("eb2013-01-14", "8"),
            ("eb2014", "1 2 3 5 6 7 8"),
            ("2013-01", "1 2 3 5 7"),
            ("2013", "1 2 3 5 6 7"),
            ("2013-01-14T10:00Z", "2"),
            ("2013-01-14T11:00+01:00", "2"),
            ("2013-01-14T10:00:00.000Z", ""),
            ("gt2013-01-14T23:30:00Z", "1 3 4 5 6"),
            ("ge2013-01-14T23:30:00Z", "1 3 4 5 6 7"),
            ("lt2013-01-14T00:00:00Z", "3 5 6 8"),
            ("sa2013-01-13T23:59:59Z", "1 2 4 7"),
            ("2013-01-14,2013", "1 2 3 5 6 7"),
        ] {
            ids(&world, &who, &format!("Observation?date={value}"), want);
        }
        ids(
            &world,
            &who,
            "Observation?date=ge2013-01-14&date=lt2013-01-15T00:00:00Z",
            "1 2 3 4 5 6 7",
        );
        ids(&world, &who, "Observation?date:missing=true", "9");
        ids(
            &world,
            &who,
            "Observation?date:missing=false",
            "1 2 3 4 5 6 7 8",
        );
        for bad in [
            "2013-02-29",
            "2013-13",
            "13",
            "xx2013",
            "2013-01-14T25:00Z",
            "2013-1-1",
            "",
        ]
        .iter()
        .filter(|b| !b.is_empty())
        {
            refuses(
                &world,
                &who,
                &format!("Observation?date={bad}"),
                400,
                "search-value",
            );
        }
    }
}

#[test]
fn numbers_have_the_precision_that_is_written() {
    let (world, who) = World::clinic();
    let risk = |id: &str, probability: &str| {
        let text = format!(
            r#"{{"resourceType":"RiskAssessment","id":"{id}","status":"final","subject":{{"reference":"Patient/p"}},
                "prediction":[{{"outcome":{{"text":"x"}},"probabilityDecimal":{probability}}}]}}"#
        );
        world
            .fhir(&who, &format!("PUT RiskAssessment/{id}"), text)
            .status(201);
    };
    for (id, probability) in [
        ("a", "0.5"),
        ("b", "0.50"),
        ("c", "0.54"),
        ("d", "0.55"),
        ("e", "0.449"),
        ("f", "0"),
        ("g", "5e-1"),
        ("h", "1"),
    ] {
        risk(id, probability);
    }
    for (value, want) in [
        ("0.5", "a b c g"),
        ("0.50", "a b g"),
        (".5", "refused"),
        ("0.5.1", "refused"),
        ("5e-1", "a b c g"),
        ("ne0.5", "d e f h"),
        ("gt0.5", "c d h"),
        ("ge0.5", "a b c d g h"),
        ("lt0.5", "e f"),
        ("le0.5", "a b e f g"),
        ("sa0.5", "c d h"),
        ("eb0.5", "e f"),
        ("ap0.5", "a b c d g"),
        ("0", "e f"),
        ("0.0", "f"),
        ("1,0.0", "a b c d f g h"),
    ] {
        let query = format!("RiskAssessment?probability={value}");
        match want {
            "refused" => refuses(&world, &who, &query, 400, "search-value"),
            want => ids(&world, &who, &query, want),
        }
    }
}

#[test]
fn numbers_far_out_and_samples_are_compared_as_decimals() {
    let (world, who) = World::clinic();
    let measured = |id: &str, value: &str| {
        let text = format!(
            r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"x"}},{value}}}"#
        );
        let put = world.fhir(&who, &format!("PUT Observation/{id}"), text);
        put.status(201);
    };
    let long = "1".to_owned() + &"0".repeat(80);
    for (id, value) in [
        ("a", "1e400"),
        ("b", "-1e400"),
        ("c", "1e-400"),
        ("d", "-1E-99999"),
        ("e", "-0.0"),
        ("f", "0"),
        ("g", "1e99999"),
        ("h", &long),
        ("i", "110"),
        ("j", "90.0"),
    ] {
        measured(id, &format!(r#""valueQuantity":{{"value":{value}}}"#));
    }
    let sampled = |data: &str| {
        format!(
            r#""valueSampledData":{{"origin":{{"value":0}},"period":1,"factor":0.1,"dimensions":1,"data":"{data}"}}"#
        )
    };
    measured("s", &sampled("1 3"));
    for (value, want) in [
        ("gt1000", "a g h"),
        ("1e400", "a g"),
        ("gt1e100", "a g"),
        ("1e80", "h"),
        ("lt-1", "b"),
        ("-1e400", "b"),
        ("-2e400", "b"),
        ("gt0&value-quantity=lt0.05", "c"),
        ("lt0&value-quantity=gt-1", "d"),
        ("1e-400", "c"),
        ("-1e-400", "d"),
        ("0.0", "c d e f"),
        ("-0", "c d e f s"),
        ("le0&value-quantity=ge0", "e f"),
        ("ap100", "i j"),
        ("ap-1e400", "b"),
        ("gt0.3&value-quantity=lt1", ""),
        ("le0.3&value-quantity=ge0.1", "s"),
    ] {
        ids(
            &world,
            &who,
            &format!("Observation?value-quantity={value}&_elements=status"),
            want,
        );
    }
    refuses(
        &world,
        &who,
        "Observation?value-quantity=1e",
        400,
        "search-value",
    );
}

#[test]
fn negation_is_about_the_whole_resource() {
    let (world, who) = World::clinic();
    let id = |values: &[&str]| {
        let all: Vec<Value> = values
            .iter()
            .map(|v| json!({"system": "http://x", "value": v}))
            .collect();
        json!({"identifier": all, "gender": "male"})
    };
    put(&world, &who, &person("a", &id(&["1"])));
    put(&world, &who, &person("b", &id(&["1", "2"])));
    put(&world, &who, &person("c", &id(&["2", "3"])));
    put(&world, &who, &person("d", &json!({"active": false})));
    put(&world, &who, &person("e", &json!({"gender": "female"})));
    for (query, want) in [
        ("identifier:not=1", "c d e"),
        ("identifier:not=http://x|1,http://x|3", "d e"),
        ("identifier:not=1&identifier:not=3", "d e"),
        ("identifier:not=1&identifier=2", "c"),
        ("identifier:not=|1", "a b c d e"),
        ("gender:not=male", "d e"),
        ("gender:not=male,female", "d"),
        (
            "gender:not=http://hl7.org/fhir/administrative-gender|male",
            "d e",
        ),
        ("active:not=true", "a b c d e"),
        ("active:missing=true", "a b c e"),
        ("active=false", "d"),
        ("identifier=http://x|", "a b c"),
        ("identifier=|1", ""),
        ("_id:not=a,b", "c d e"),
        ("gender:missing=true&identifier:missing=true", "d"),
    ] {
        ids(&world, &who, &format!("Patient?{query}"), want);
    }
    refuses(
        &world,
        &who,
        "Patient?gender:missing=maybe",
        400,
        "search-value",
    );
    refuses(
        &world,
        &who,
        "Patient?birthdate:not=2000",
        400,
        "search-modifier",
    );
    refuses(&world, &who, "Patient?active=1", 400, "search-value");
}

#[test]
fn case_counts_in_codes_and_not_in_texts() {
    let (world, who) = World::clinic();
    let mail = |value: &str| json!({"telecom": [{"system": "email", "value": value}], "identifier": [{"value": value}], "gender": "male"});
    put(&world, &who, &person("a", &mail("zoe@example.org")));
    put(&world, &who, &person("b", &mail("Zoe@Example.org")));
    for (query, want) in [
        ("email=zoe@example.org", "a b"),
        ("email=Zoe@Example.org", "a b"),
        ("email=ZOE@EXAMPLE.ORG", "a b"),
        ("telecom=ZOE@example.org", "a b"),
        // What stands in the place of a system is not looked at.
        ("telecom=email|ZOE@example.org", "a b"),
        ("email=email|zoe@example.org", "a b"),
        ("_filter=telecom eq email|zoe@example.org", "a b"),
        ("email:not=ZOE@EXAMPLE.ORG", ""),
        ("identifier=ZOE@EXAMPLE.ORG", ""),
        ("identifier=Zoe@Example.org", "b"),
        ("gender=MALE", ""),
    ] {
        ids(&world, &who, &format!("Patient?{query}"), want);
    }
    let set = |id: &str, version: &str| {
        put(
            &world,
            &who,
            &json!({"resourceType": "ValueSet", "id": id, "status": "draft", "version": version}),
        );
    };
    set("a", "1.0-RC1");
    set("b", "1.0-rc1");
    set("c", "1.0-rc10");
    for (query, want) in [
        ("version=1.0-rc1", "a b"),
        ("version=1.0-Rc1", "a b"),
        ("version=|1.0-RC1", "a b"),
        ("version:not=1.0-RC1", "c"),
        ("version=1.0", ""),
        ("version:missing=true", ""),
    ] {
        ids(&world, &who, &format!("ValueSet?{query}"), want);
    }
}

#[test]
fn separators_can_be_escaped_everywhere() {
    let (world, who) = World::clinic();
    let of = |family: &str, value: &str| json!({"name": [{"family": family}], "identifier": [{"system": "urn:a|b", "value": value}]});
    put(&world, &who, &person("a", &of("One,Two", "x|y")));
    put(&world, &who, &person("b", &of("One", "x")));
    put(&world, &who, &person("c", &of("Two", "x,y$z\\w")));
    put(&world, &who, &person("d", &of("Back\\slash", "y")));
    for (query, want) in [
        ("family=one\\,two", "a"),
        ("family=one,two", "a b c"),
        ("family:exact=One\\,Two", "a"),
        ("family:exact=Back\\\\slash", "d"),
        ("family:contains=\\\\s", "d"),
        ("identifier=x\\|y", "a"),
        ("identifier=urn:a\\|b|x", "b"),
        ("identifier=urn:a\\|b|x\\,y\\$z\\\\w", "c"),
        ("identifier=x\\,y\\$z\\\\w,y", "c d"),
        ("identifier=urn:a|b|x", ""),
    ] {
        ids(&world, &who, &format!("Patient?{query}"), want);
    }
}

#[test]
fn texts_are_folded_and_begin() {
    let (world, who) = World::clinic();
    let of = |family: &str, given: &str| json!({"name": [{"family": family, "given": [given]}]});
    put(&world, &who, &person("a", &of("Müller", "Ana María")));
    put(
        &world,
        &who,
        &person("b", &of("Mu\u{308}ller-Lüdenscheidt", "Bob")),
    );
    put(&world, &who, &person("c", &of("MULLER", "Carl")));
    put(&world, &who, &person("d", &of("von Müller", "Dora")));
    put(&world, &who, &person("e", &of("Straße", "Éva")));
    for (query, want) in [
        ("family=mul", "a b c d"),
        ("family=MÜLLER", "a b c d"),
        ("family:exact=Müller", "a"),
        ("family:exact=müller", ""),
        ("family:contains=ÜLL", "a b c d"),
        ("family=von muller", "d"),
        ("given=maria", ""),
        ("given:contains=maria", "a"),
        ("given=ana  maria", "a"),
        ("given=eva", "e"),
        ("family=strasse", "e"),
        ("name=ana", "a"),
        ("name=mul&name=bob", "b"),
    ] {
        ids(&world, &who, &format!("Patient?{query}"), want);
    }
}

#[test]
fn orders_are_total_and_pages_agree() {
    let (world, who) = World::clinic();
    let of = |born: &str, families: &[&str]| {
        let names: Vec<Value> = families.iter().map(|f| json!({"family": f})).collect();
        let mut more = json!({"name": names});
        if !born.is_empty() {
            more["birthDate"] = json!(born);
        }
        more
    };
    put(&world, &who, &person("a", &of("2000-01-01", &["B", "Z"])));
    put(&world, &who, &person("b", &of("1990", &["C", "A"])));
    put(&world, &who, &person("c", &of("2000-01-01", &["B"])));
    put(&world, &who, &person("d", &of("", &["D"])));
    put(&world, &who, &person("e", &of("1990-05", &["E"])));
    let paged = |query: &str| {
        let mut all = Vec::new();
        let mut answer = world.fhir(&who, &format!("GET Patient?_count=1&{query}"), "");
        loop {
            answer = answer.status(200);
            all.extend(answer.entries());
            match answer.link("next") {
                Some(next) => answer = world.follow(&who, &next),
                None => return all,
            }
        }
    };
    for (sort, want) in [
        // By the least of several values going up, by the greatest going down.
        ("_sort=family,_id", "b a c d e"),
        ("_sort=-family,_id", "a e d b c"),
        ("_sort=birthdate,-_id", "b e c a d"),
        ("_sort=-birthdate,_id", "a c e b d"),
        ("_sort=-_id", "e d c b a"),
        ("_sort=_lastUpdated", "a b c d e"),
        ("_sort=-_lastUpdated", "e d c b a"),
    ] {
        let want: Vec<&str> = want.split(' ').collect();
        assert_eq!(
            shown(&world, &who, &format!("Patient?{sort}")),
            want,
            "{sort}"
        );
        let want: Vec<String> = want.iter().map(|id| format!("Patient/{id}")).collect();
        assert_eq!(paged(sort), want, "{sort}");
    }
    for sort in ["_sort=birthdate", "_sort=-family", "_sort=gender"] {
        let whole: Vec<String> = shown(&world, &who, &format!("Patient?{sort}"))
            .iter()
            .map(|id| format!("Patient/{id}"))
            .collect();
        assert_eq!(paged(sort), whole, "{sort}");
    }
    refuses(&world, &who, "Location?_sort=near", 400, "search-value");
}

#[test]
fn includes_go_on_only_where_they_are_told_to() {
    let (world, who) = World::clinic();
    let house = |id: &str, of: Option<&str>| {
        let mut house = json!({"resourceType": "Organization", "id": id, "name": id});
        if let Some(of) = of {
            house["partOf"] = json!({"reference": format!("Organization/{of}")});
        }
        house
    };
    put(&world, &who, &house("top", None));
    put(&world, &who, &house("mid", Some("top")));
    put(&world, &who, &house("low", Some("mid")));
    put(&world, &who, &house("ring", Some("ring")));
    put(
        &world,
        &who,
        &person(
            "p",
            &json!({"managingOrganization": {"reference": "Organization/low"}}),
        ),
    );
    let group = json!({"resourceType": "Group", "id": "g", "type": "person", "actual": true});
    put(&world, &who, &group);
    let about = |to: &str| json!({"subject": {"reference": to}});
    put(&world, &who, &observation("o", &about("Patient/p")));
    put(&world, &who, &observation("n", &about("Group/g")));
    let sorted = |query: &str| {
        let mut all = shown(&world, &who, query);
        all.sort_unstable();
        all.join(" ")
    };
    for (query, want) in [
        ("Observation?_include=Observation:subject", "+g +p n o"),
        ("Observation?_include=Observation:subject:Patient", "+p n o"),
        ("Observation?_include=Observation:patient", "+p n o"),
        (
            "Observation?_include=Observation:subject&_include=Patient:organization",
            "+g +p n o",
        ),
        (
            "Observation?_id=o&_include=Observation:subject&_include:iterate=Patient:organization",
            "+low +p o",
        ),
        (
            "Observation?_id=o&_include:iterate=Organization:partof&_include:iterate=Patient:organization&_include=Observation:subject",
            "+low +mid +p +top o",
        ),
        (
            "Organization?_id=low&_include:iterate=Organization:partof",
            "+mid +top low",
        ),
        (
            "Organization?_id=low&_include=Organization:partof",
            "+mid low",
        ),
        (
            "Organization?_id=ring&_include:iterate=Organization:partof",
            "ring",
        ),
        (
            "Organization?_id=top&_revinclude:iterate=Organization:partof",
            "+low +mid top",
        ),
        (
            "Organization?_id=low&_revinclude=Patient:organization&_revinclude:iterate=Observation:subject",
            "+o +p low",
        ),
        (
            "Organization?_id=low&_revinclude=Patient:organization&_revinclude=Observation:subject",
            "+p low",
        ),
        (
            "Organization?_include=Organization:partof&_id=low,mid",
            "+top low mid",
        ),
    ] {
        assert_eq!(sorted(query), want, "{query}");
    }
    let total = world.fhir(
        &who,
        "GET Observation?_include=Observation:subject&_total=accurate",
        "",
    );
    total.at("/total", 2);
    refuses(
        &world,
        &who,
        "Observation?_include=Observation:nonsense",
        400,
        "search-value",
    );
    refuses(
        &world,
        &who,
        "Observation?_include=Observation:subject:Device:x",
        400,
        "search-value",
    );
}

#[test]
fn links_are_followed_both_ways() {
    let (world, who) = World::clinic();
    let doctor = json!({"resourceType": "Practitioner", "id": "d", "name": [{"family": "Who"}], "active": true});
    let house =
        json!({"resourceType": "Organization", "id": "h", "name": "Who's", "active": false});
    put(&world, &who, &doctor);
    put(&world, &who, &house);
    let cared = |by: &str| json!({"generalPractitioner": [{"reference": by}]});
    put(&world, &who, &person("a", &cared("Practitioner/d")));
    put(&world, &who, &person("b", &cared("Organization/h")));
    put(&world, &who, &person("c", &json!({})));
    let coded = |of: &str, code: &str, status: &str| {
        json!({"subject": {"reference": format!("Patient/{of}")}, "status": status,
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]}})
    };
    put(&world, &who, &observation("1", &coded("a", "x", "final")));
    put(&world, &who, &observation("2", &coded("a", "y", "amended")));
    put(&world, &who, &observation("3", &coded("b", "x", "amended")));
    let audit = json!({"resourceType": "Provenance", "id": "v", "recorded": "2020-01-01T00:00:00Z",
        "target": [{"reference": "Observation/3"}], "agent": [{"who": {"reference": "Practitioner/d"}}]});
    put(&world, &who, &audit);
    for (query, want) in [
        ("general-practitioner.name=who", "a b"),
        ("general-practitioner:Practitioner.name=who", "a"),
        ("general-practitioner:Organization.name=who", "b"),
        ("general-practitioner.active=true", "a"),
        ("general-practitioner=Practitioner/d", "a"),
        ("general-practitioner=h", "b"),
        ("general-practitioner:Practitioner=h", ""),
        ("general-practitioner:missing=true", "c"),
        ("_has:Observation:patient:code=x", "a b"),
        (
            "_has:Observation:patient:code=x&_has:Observation:patient:code=y",
            "a",
        ),
        // Each is about one observation.
        (
            "_has:Observation:patient:code=x&_has:Observation:patient:status=amended",
            "a b",
        ),
        ("_has:Observation:patient:code=y,z", "a"),
        ("_has:Observation:patient:code:not=x", "a"),
        (
            "_has:Observation:patient:_has:Provenance:target:agent=Practitioner/d",
            "b",
        ),
        (
            "_has:Observation:patient:_has:Provenance:target:agent.name=who",
            "b",
        ),
        ("_has:Observation:patient:date:missing=true", "a b"),
    ] {
        ids(&world, &who, &format!("Patient?{query}"), want);
    }
    for (query, want) in [
        ("subject:Patient.general-practitioner.name=who", "1 2 3"),
        ("subject.general-practitioner:Practitioner.name=who", "1 2"),
        ("patient._has:Observation:patient:code=y", "1 2"),
        ("subject=a", "1 2"),
        ("subject=Patient/a,Patient/b", "1 2 3"),
        ("subject:Patient=b", "3"),
        (
            "subject=http://127.0.0.1:8080/t/lakeside/fhir/Patient/b",
            "3",
        ),
        ("subject=http://elsewhere/Patient/b", ""),
        ("code=http://loinc.org|", "1 2 3"),
        ("code=|x", ""),
        ("status=final,amended&code=x", "1 3"),
    ] {
        ids(&world, &who, &format!("Observation?{query}"), want);
    }
    for (bad, code) in [
        (
            "Patient?general-practitioner:Device.name=x",
            "search-modifier",
        ),
        ("Patient?birthdate.name=x", "search-modifier"),
        ("Patient?_has:Observation:code=x", "search-modifier"),
        ("Patient?_has:Device:location:status=x", "search-value"),
    ] {
        refuses(&world, &who, bad, 400, code);
    }
}
