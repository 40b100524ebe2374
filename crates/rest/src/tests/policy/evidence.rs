//! What policy takes for evidence: nobody opens a chart to themselves by writing it.

use super::*;
use crate::tests::people::{administrator, person};

/// Two doctors of care teams, one of whom also works at the desk that keeps care teams.
fn teams() -> (World, String) {
    let (world, all) = two_facilities();
    let made = world.admin(
        "POST /admin/v1/tenants/lakeside/policy",
        &json!({ "reason": "test", "document": { "grants": [
            { "name": "charts", "who": { "roles": ["doctor"] }, "actions": "cruds", "types": ["*"],
              "within": "Patient?_has:CareTeam:patient:participant=%user.practitioner" },
            { "name": "desk", "who": { "roles": ["desk"] }, "actions": "cruds", "types": ["CareTeam"],
              "within": "Patient?organization=%user.facilities" },
            { "name": "desk patients", "who": { "roles": ["desk"] }, "actions": "rs", "types": ["Patient"],
              "criteria": "organization=%user.facilities", "hide": ["telecom"] },
            { "name": "head", "who": { "roles": ["head"] }, "actions": ["administer"], "types": ["*"] },
        ] } }),
    );
    let made = made.status(201).json();
    let warnings = made["warnings"].to_string();
    assert!(warnings.contains("CareTeam is evidence for"), "{warnings}");
    (world, all)
}

fn team(members: &[&str], patient: &str) -> String {
    let members: Vec<Value> = members
        .iter()
        .map(|id| json!({ "member": { "reference": format!("Practitioner/{id}") } }))
        .collect();
    json!({ "resourceType": "CareTeam", "id": "t", "status": "active",
        "subject": { "reference": format!("Patient/{patient}") }, "participant": members })
    .to_string()
}

#[test]
fn nobody_opens_a_chart_to_themselves_by_writing_that_they_care_for_the_patient() {
    let (world, all) = teams();
    let admin = administrator(&world, "lakeside");
    let token = |login: &str, roles: &[&str]| {
        let draft = json!({ "login": login, "name": login, "roles": roles,
            "fhir_user": "Practitioner/dr-north" });
        super::glass::approved(&person(&admin, &draft).0)
    };
    let both = token("both", &["doctor", "desk@Organization/o-north"]);
    world
        .fhir(&both, "GET Observation/b-north", "")
        .refused(404, "not-found");
    // Made with oneself in it, in one request or over two; by another way than a PUT.
    world
        .fhir(&both, "POST CareTeam", team(&["dr-north"], "p-north"))
        .refused(403, "own-evidence");
    let made = world
        .fhir(&both, "POST CareTeam", team(&["dr-south"], "p-north"))
        .status(201);
    let id = made.text("/id");
    let mut grown: Value =
        serde_json::from_str(&team(&["dr-south", "dr-north"], "p-north")).unwrap();
    grown["id"] = json!(id);
    world
        .fhir(&both, &format!("PUT CareTeam/{id}"), grown.to_string())
        .refused(403, "own-evidence");
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{
        "resource": grown, "request": { "method": "PUT", "url": format!("CareTeam/{id}") } }] });
    world
        .fhir(&both, "POST ", bundle.to_string())
        .refused(403, "own-evidence");
    world
        .fhir(&both, "GET Observation/b-north", "")
        .refused(404, "not-found");
    // For others it may be written, and whoever is in it by another hand works with it.
    world
        .fhir(&all, &format!("PUT CareTeam/{id}"), grown.to_string())
        .status(200);
    world.fhir(&both, "GET Observation/b-north", "").status(200);
    grown["name"] = json!("named");
    world
        .fhir(&both, &format!("PUT CareTeam/{id}"), grown.to_string())
        .status(200);
    // Moved to another patient it would open that one.
    let mut moved = grown.clone();
    moved["subject"]["reference"] = json!("Patient/p-south");
    let refused = world.fhir(&both, &format!("PUT CareTeam/{id}"), moved.to_string());
    assert_eq!(refused.code, 403);
    world
        .fhir(&both, "GET Observation/b-south", "")
        .refused(404, "not-found");
    // Who administers may.
    let head = token("head", &["doctor", "desk@Organization/o-south", "head"]);
    world
        .fhir(&head, "POST CareTeam", team(&["dr-north"], "p-south"))
        .status(201);
}

#[test]
fn taking_evidence_away_that_refuses_opens_nothing_to_whoever_does_it() {
    let (world, all) = two_facilities();
    grants(
        &world,
        &json!([
            { "name": "all", "who": { "roles": ["doctor"] }, "actions": "cruds", "types": ["*"] },
            { "name": "not those", "effect": "deny", "who": { "roles": ["doctor"] }, "actions": "rs",
              "types": ["Patient", "Observation"], "within": "Patient?_has:Flag:patient:_tag=vip" },
        ]),
    );
    let flag = json!({ "resourceType": "Flag", "id": "f", "status": "active",
        "meta": { "tag": [{ "system": "urn:t", "code": "vip" }] }, "code": { "text": "VIP" },
        "subject": { "reference": "Patient/p-south" } });
    world.fhir(&all, "PUT Flag/f", flag.to_string()).status(201);
    let doctor = northern(&world, "doctor");
    world
        .fhir(&doctor, "GET Patient/p-south", "")
        .refused(404, "not-found");
    world
        .fhir(&doctor, "DELETE Flag/f", "")
        .refused(403, "own-evidence");
    let mut off = flag.clone();
    off["meta"]["tag"][0]["code"] = json!("none");
    world
        .fhir(&doctor, "PUT Flag/f", off.to_string())
        .refused(403, "own-evidence");
    world.fhir(&all, "DELETE Flag/f", "").status(204);
    world.fhir(&doctor, "GET Patient/p-south", "").status(200);
}

/// The token of a person who is the Practitioner `dr-north`, under these grants.
fn under(world: &World, roles: &[&str], more: &Value) -> String {
    grants(world, more);
    let admin = administrator(world, "lakeside");
    let draft = json!({ "login": "dora", "name": "Dora", "roles": roles, "fhir_user": "Practitioner/dr-north" });
    super::glass::approved(&person(&admin, &draft).0)
}

#[test]
fn evidence_for_a_part_of_a_chart_is_evidence_too() {
    let (world, all) = two_facilities();
    let dora = under(
        &world,
        &["doctor"],
        &json!([
            { "name": "patients", "who": { "roles": ["doctor"] }, "actions": "rs", "types": ["Patient"] },
            { "name": "teams", "who": { "roles": ["doctor"] }, "actions": "cruds", "types": ["CareTeam", "Encounter"] },
            { "name": "charts", "who": { "roles": ["doctor"] }, "actions": "rs", "types": ["Observation", "Condition"],
              "within": "Patient?_has:CareTeam:patient:participant=%user.practitioner" },
            { "name": "seen", "who": { "roles": ["doctor"] }, "actions": "rs", "types": ["Observation"],
              "criteria": "encounter.participant=%user.practitioner" },
        ]),
    );
    let by = dora.as_str();
    world.fhir(by, "GET Patient/p-south", "").status(200);
    world
        .fhir(by, "POST CareTeam", team(&["dr-north"], "p-south"))
        .refused(403, "own-evidence");
    world
        .fhir(by, "POST CareTeam", team(&["dr-south"], "p-south"))
        .status(201);
    // What refers to the written resource: an encounter that findings are of, and one that nothing is of.
    let encounter = |id: &str, doctor: &str| {
        json!({ "resourceType": "Encounter", "id": id, "status": "finished", "class": { "code": "AMB" },
            "subject": { "reference": "Patient/p-south" },
            "participant": [{ "individual": { "reference": format!("Practitioner/{doctor}") } }] })
        .to_string()
    };
    let refused = world.fhir(
        by,
        "PUT Encounter/e-south",
        encounter("e-south", "dr-north"),
    );
    refused.refused(403, "own-evidence");
    world
        .fhir(
            by,
            "PUT Encounter/e-south",
            encounter("e-south", "dr-south"),
        )
        .status(200);
    world
        .fhir(by, "POST Encounter", encounter("x", "dr-north"))
        .status(201);
    world
        .fhir(by, "GET Observation/b-south", "")
        .refused(404, "not-found");
    // By another hand.
    world
        .fhir(
            &all,
            "PUT Encounter/e-south",
            encounter("e-south", "dr-north"),
        )
        .status(200);
    world.fhir(by, "GET Observation/b-south", "").status(200);
    let mut ended: Value = serde_json::from_str(&encounter("e-south", "dr-north")).unwrap();
    ended["status"] = json!("cancelled");
    world
        .fhir(by, "PUT Encounter/e-south", ended.to_string())
        .status(200);
}

#[test]
fn evidence_names_patients_by_whatever_element() {
    for (source, which, written) in [
        (
            "Task",
            "_has:Task:patient:owner=%user.practitioner",
            json!({ "resourceType": "Task", "status": "requested", "intent": "order",
                "for": { "reference": "Patient/p-south" }, "owner": { "reference": "Practitioner/dr-north" } }),
        ),
        (
            "List",
            "_has:List:item:source=%user.practitioner",
            json!({ "resourceType": "List", "status": "current", "mode": "working",
                "source": { "reference": "Practitioner/dr-north" },
                "entry": [{ "item": { "reference": "Patient/p-south" } }] }),
        ),
    ] {
        let (world, _) = two_facilities();
        let dora = under(
            &world,
            &["doctor"],
            &json!([
                { "name": "work", "who": { "roles": ["doctor"] }, "actions": "cruds", "types": [source] },
                { "name": "charts", "who": { "roles": ["doctor"] }, "actions": "rs", "types": ["Patient", "Observation"],
                  "within": format!("Patient?{which}") },
            ]),
        );
        let line = format!("POST {source}");
        world
            .fhir(&dora, &line, written.to_string())
            .refused(403, "own-evidence");
        let other = written.to_string().replace("dr-north", "dr-south");
        world.fhir(&dora, &line, other).status(201);
        world
            .fhir(&dora, "GET Patient/p-south", "")
            .refused(404, "not-found");
    }
}

#[test]
fn who_moves_a_patient_to_their_own_facility_does_not_open_the_chart() {
    let (world, all) = two_facilities();
    grants(
        &world,
        &json!([
            { "name": "desk", "who": { "roles": ["desk"] }, "actions": "cruds", "types": ["Patient"] },
            { "name": "charts", "who": { "roles": ["doctor"] }, "actions": "rs", "types": ["Observation"],
              "within": "Patient?organization=%user.facilities" },
        ]),
    );
    let both = staff(
        &world,
        &["desk", "doctor@Organization/o-north"],
        "system/*.cruds",
    );
    let mut moved = patient("south");
    moved["managingOrganization"]["reference"] = json!("Organization/o-north");
    world
        .fhir(&both, "PUT Patient/p-south", moved.to_string())
        .refused(403, "own-evidence");
    let mut named = patient("north");
    named["active"] = json!(false);
    world
        .fhir(&both, "PUT Patient/p-north", named.to_string())
        .status(200);
    let mut new = patient("north");
    new.as_object_mut().unwrap().remove("id");
    world
        .fhir(&both, "POST Patient", new.to_string())
        .status(201);
    world
        .fhir(&all, "PUT Patient/p-south", moved.to_string())
        .status(200);
    world.fhir(&both, "GET Observation/b-south", "").status(200);
}

#[test]
fn what_decides_whom_consents_refuse_is_changed_by_who_administers() {
    let (world, _) = two_facilities();
    govern(
        &world,
        &json!({ "reason": "test", "document": { "consents": "enforced", "grants": [
            { "name": "all", "who": { "roles": ["doctor", "head"] }, "actions": "cruds", "types": ["*"] },
            { "name": "head", "who": { "roles": ["head"] }, "actions": ["administer"], "types": ["*"] },
        ] } }),
    );
    let part = |of: Option<&str>| {
        let mut body = json!({ "resourceType": "Organization", "id": "o-north", "name": "north" });
        if let Some(of) = of {
            body["partOf"] = json!({ "reference": format!("Organization/{of}") });
        }
        body.to_string()
    };
    let doctor = northern(&world, "doctor");
    let head = staff(&world, &["head"], "system/*.cruds");
    let line = "PUT Organization/o-north";
    world
        .fhir(&doctor, line, part(Some("o-south")))
        .refused(403, "own-evidence");
    world.fhir(&doctor, line, part(None)).status(200);
    world.fhir(&head, line, part(Some("o-south"))).status(200);
    world
        .fhir(&doctor, line, part(None))
        .refused(403, "own-evidence");
    let made = |id: &str| part(None).replace("o-north", id);
    world
        .fhir(&doctor, "PUT Organization/o-east", made("o-east"))
        .refused(403, "own-evidence");
    world
        .fhir(&doctor, "POST Organization", made("o-x"))
        .status(201);
    // Where consents do not count it is a resource like others.
    grants(
        &world,
        &json!([{ "name": "all", "who": { "roles": ["doctor"] }, "actions": "cruds", "types": ["*"] }]),
    );
    world.fhir(&doctor, line, part(None)).status(200);
}

#[test]
fn search_parameters_that_the_policy_names_are_changed_by_who_administers() {
    let (world, all) = two_facilities();
    let parameter = |expression: &str| {
        json!({ "resourceType": "SearchParameter", "id": "s", "url": "urn:s", "name": "Ward", "status": "active",
            "description": "d", "code": "ward", "base": ["Patient"], "type": "string", "expression": expression })
        .to_string()
    };
    world
        .fhir(
            &all,
            "PUT SearchParameter/s",
            parameter("Patient.name.family"),
        )
        .status(201);
    crate::tests::find::own::built(&world, &all);
    govern(
        &world,
        &json!({ "reason": "test", "document": { "grants": [
            { "name": "keep", "who": { "roles": ["doctor", "head"] }, "actions": "cruds", "types": ["SearchParameter"] },
            { "name": "head", "who": { "roles": ["head"] }, "actions": ["administer"], "types": ["*"] },
            { "name": "ward", "who": { "roles": ["doctor"] }, "actions": "rs", "types": ["Patient"], "criteria": "ward=Ofnorth" },
        ] } }),
    );
    let doctor = northern(&world, "doctor");
    world.fhir(&doctor, "GET Patient/p-north", "").status(200);
    world
        .fhir(&doctor, "GET Patient/p-south", "")
        .refused(404, "not-found");
    let line = "PUT SearchParameter/s";
    world
        .fhir(&doctor, line, parameter("'Ofnorth'"))
        .refused(403, "own-evidence");
    world
        .fhir(&doctor, "DELETE SearchParameter/s", "")
        .refused(403, "own-evidence");
    let other = parameter("Patient.name.given")
        .replace("ward", "first")
        .replace("\"s\"", "\"t\"")
        .replace("urn:s", "urn:t");
    world
        .fhir(&doctor, "PUT SearchParameter/t", other)
        .status(201);
    let head = staff(&world, &["head"], "system/*.cruds");
    world
        .fhir(&head, line, parameter("Patient.name.given"))
        .status(200);
}

#[test]
fn what_is_only_searched_changed_or_deleted_is_not_opened_either() {
    for actions in ["s", "u", "d"] {
        let (world, _) = two_facilities();
        let dora = under(
            &world,
            &["doctor"],
            &json!([
                { "name": "teams", "who": { "roles": ["doctor"] }, "actions": "cruds", "types": ["CareTeam"] },
                { "name": "charts", "who": { "roles": ["doctor"] }, "actions": actions, "types": ["Observation"],
                  "within": "Patient?_has:CareTeam:patient:participant=%user.practitioner" },
            ]),
        );
        world
            .fhir(&dora, "POST CareTeam", team(&["dr-north"], "p-south"))
            .refused(403, "own-evidence");
        world
            .fhir(&dora, "POST CareTeam", team(&["dr-south"], "p-south"))
            .status(201);
    }
}

#[test]
fn who_moves_a_facility_under_their_own_opens_nothing_of_what_is_below_it() {
    let (world, all) = two_facilities();
    let part = |id: &str, of: Option<&str>, name: &str| {
        let mut body = json!({ "resourceType": "Organization", "id": id, "name": name });
        if let Some(of) = of {
            body["partOf"] = json!({ "reference": format!("Organization/{of}") });
        }
        body.to_string()
    };
    // The south is a ward of a house, which is nobody's.
    for (id, of) in [("o-house", None), ("o-south", Some("o-house"))] {
        let line = format!("PUT Organization/{id}");
        let done = world.fhir(&all, &line, part(id, of, id));
        assert!(done.code < 300);
    }
    grants(
        &world,
        &json!([
            { "name": "houses", "who": { "roles": ["keeper"] }, "actions": "cruds", "types": ["Organization"] },
            { "name": "charts", "who": { "roles": ["doctor"] }, "actions": "rs", "types": ["Patient"],
              "criteria": "organization:below=%user.facilities" },
            { "name": "findings", "who": { "roles": ["doctor"] }, "actions": "rs", "types": ["Observation"],
              "within": "Patient?organization:below=%user.facilities" },
        ]),
    );
    let both = staff(
        &world,
        &["keeper", "doctor@Organization/o-north"],
        "system/*.cruds",
    );
    world.fhir(&both, "GET Patient/p-north", "").status(200);
    world.fhir(&both, "GET Patient/p-south", "").status(404);
    let line = "PUT Organization/o-house";
    world
        .fhir(&both, line, part("o-house", Some("o-north"), "house"))
        .refused(403, "own-evidence");
    // Its name may change.
    world
        .fhir(&both, line, part("o-house", None, "House"))
        .status(200);
    world.fhir(&both, "GET Patient/p-south", "").status(404);
    world
        .fhir(&all, line, part("o-house", Some("o-north"), "house"))
        .status(200);
    world.fhir(&both, "GET Patient/p-south", "").status(200);
    world.fhir(&both, "GET Observation/b-south", "").status(200);
    // As long as it is so, it may be written.
    world
        .fhir(&both, line, part("o-house", Some("o-north"), "House"))
        .status(200);
}

#[test]
fn evidence_is_looked_at_by_canonicals_too() {
    let (world, all) = two_facilities();
    let form = |id: &str, publisher: &str| {
        json!({ "resourceType": "Questionnaire", "id": id, "status": "active",
            "url": "http://forms.example/fall", "publisher": publisher })
        .to_string()
    };
    world
        .fhir(&all, "PUT Questionnaire/q", form("q", "theirs"))
        .status(201);
    let response = json!({ "resourceType": "QuestionnaireResponse", "id": "r", "status": "completed",
        "questionnaire": "http://forms.example/fall", "subject": { "reference": "Patient/p-south" } });
    world
        .fhir(&all, "PUT QuestionnaireResponse/r", response.to_string())
        .status(201);
    grants(
        &world,
        &json!([
            { "name": "forms", "who": { "roles": ["author"] }, "actions": "cruds", "types": ["Questionnaire"] },
            { "name": "answers", "who": { "roles": ["author"] }, "actions": "rs", "types": ["QuestionnaireResponse"],
              "criteria": "questionnaire.publisher=mine" },
        ]),
    );
    let author = staff(&world, &["author"], "system/*.cruds");
    world
        .fhir(&author, "PUT Questionnaire/q", form("q", "mine"))
        .refused(403, "own-evidence");
    world
        .fhir(&author, "POST Questionnaire", form("other", "mine"))
        .refused(403, "own-evidence");
    world
        .fhir(&author, "PUT Questionnaire/q", form("q", "others"))
        .status(200);
    world
        .fhir(&author, "GET QuestionnaireResponse/r", "")
        .status(404);
    world
        .fhir(&all, "PUT Questionnaire/q", form("q", "mine"))
        .status(200);
    world
        .fhir(&author, "GET QuestionnaireResponse/r", "")
        .status(200);
}
