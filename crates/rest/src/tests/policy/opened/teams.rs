//! Charts that care teams open.

use super::*;

#[test]
fn care_teams_open_charts_while_they_are_active_to_whoever_is_in_them_now() {
    for (fhir, own_period) in [("4.0.1", "period"), ("5.0.0", "coveragePeriod")] {
        let (world, all) = clinic(fhir);
        for id in ["dr", "other"] {
            put(
                &world,
                &all,
                "Practitioner",
                json!({ "resourceType": "Practitioner", "id": id }),
            );
        }
        let past = json!({ "end": "1990-01-01" });
        let member = |more: Value| {
            let mut member = json!({ "member": { "reference": "Practitioner/dr" } });
            member = with(member, &more);
            json!({ "status": "active", "participant": [member] })
        };
        let none = || member(json!({}));
        for (id, more) in [
            ("open", none()),
            (
                "begun",
                with(none(), &json!({ "period": { "start": "1960" } })),
            ),
            (
                "begun-too",
                member(json!({ own_period: { "start": "1960" } })),
            ),
            (
                "again",
                json!({ "status": "active", "participant": [
                { "member": { "reference": "Practitioner/dr" }, own_period: past },
                { "member": { "reference": "Practitioner/dr" } }] }),
            ),
            ("inactive", with(none(), &json!({ "status": "inactive" }))),
            ("proposed", with(none(), &json!({ "status": "proposed" }))),
            ("suspended", with(none(), &json!({ "status": "suspended" }))),
            (
                "in-error",
                with(none(), &json!({ "status": "entered-in-error" })),
            ),
            ("ended", with(none(), &json!({ "period": past }))),
            (
                "future",
                with(none(), &json!({ "period": { "start": "2990" } })),
            ),
            ("left", member(json!({ own_period: past }))),
            ("joins", member(json!({ own_period: { "start": "2990" } }))),
            (
                "others",
                json!({ "status": "active", "participant": [
                { "member": { "reference": "Practitioner/other" } }] }),
            ),
            (
                "behalf",
                json!({ "status": "active", "participant": [
                { "member": { "reference": "Practitioner/other" }, "onBehalfOf": { "reference": "Organization/o-1" } }] }),
            ),
            (
                "far",
                json!({ "status": "active", "participant": [
                { "member": { "reference": "https://other.test/Practitioner/dr" } }] }),
            ),
        ] {
            chart(&world, &all, id);
            let team = json!({ "resourceType": "CareTeam", "id": id,
                "subject": { "reference": format!("Patient/{id}") } });
            put(&world, &all, "CareTeam", with(team, &more));
        }
        govern(&world, &json!({ "preset": "care-team", "reason": "test" }));
        let admin = administrator(&world, "lakeside");
        let token = |login: &str, roles: &[&str], user: Option<&str>| {
            let mut draft = json!({ "login": login, "name": login, "roles": roles });
            if let Some(user) = user {
                draft["fhir_user"] = json!(user);
            }
            super::super::glass::approved(&person(&admin, &draft).0)
        };
        let dr = token(
            "dr",
            &["clinician@Organization/o-1"],
            Some("Practitioner/dr"),
        );
        let open = ["again", "begun", "begun-too", "open"];
        assert_eq!(ids(&world, &dr, "GET Patient?_count=50"), open, "{fhir}");
        assert_eq!(
            ids(&world, &dr, "GET Observation?_count=50"),
            open,
            "{fhir}"
        );
        world
            .fhir(&dr, "GET Patient/left", "")
            .refused(404, "not-found");
        let nobody = token("nobody", &["clinician@Organization/o-1"], None);
        let code = world.fhir(&nobody, "GET Patient/open", "").code;
        assert!(matches!(code, 403 | 404), "{code}");
        // With the next request, and as time passes.
        let soon = "2026-11-22T02:00:00Z";
        let mut team = json!({ "resourceType": "CareTeam", "id": "left", "status": "active",
            "subject": { "reference": "Patient/left" }, "participant": [
                { "member": { "reference": "Practitioner/dr" }, own_period: { "end": soon } }] });
        put(&world, &all, "CareTeam", team.clone());
        world.fhir(&dr, "GET Patient/left", "").status(200);
        // Whoever cares for patients by their teams writes none, with whatever other role.
        let desk = token(
            "desk",
            &["nurse@Organization/o-1", "front-desk@Organization/o-1"],
            Some("Practitioner/dr"),
        );
        team["participant"][0]
            .as_object_mut()
            .unwrap()
            .remove(own_period);
        let code = world
            .fhir(&desk, "PUT CareTeam/left", team.to_string())
            .code;
        assert!(matches!(code, 403 | 404), "{code}");
        world.clock.forward_secs(2_400);
        assert_eq!(ids(&world, &dr, "GET Patient?_count=50"), open, "{fhir}");
    }
}
