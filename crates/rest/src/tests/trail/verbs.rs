//! What operators change about a tenant is in its trail, each verb under a code of its own.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Trail;
use crate::tests::elsewhere::Elsewhere;
use crate::{Class, ROUTES};

/// Those of which the trail of the tenant is looked at elsewhere: what is damaged begins anew.
const ELSEWHERE: [&str; 1] = ["begin-anew"];

struct Verbs {
    t: Trail,
    done: BTreeSet<&'static str>,
}

impl Verbs {
    /// Does what a route is for, and looks for its code and whether it creates, updates, deletes.
    fn verb(
        &mut self,
        interaction: &'static str,
        (line, body): (&str, Value),
        (code, action): (&str, &str),
    ) -> Value {
        let (method, path) = line.split_once(' ').unwrap();
        let line = format!("{method} /admin/v1/tenants/{path}");
        let query = format!("subtype=urn:insula:trail|{code}&action={action}&_count=100");
        let off = matches!(interaction, "suspend-tenant" | "delete-tenant");
        let known = self.t.events(&query).len();
        let answer = self.t.world.admin(&line, &body);
        assert!(answer.code < 300, "{line}: {}", answer.code);
        if off {
            let resume = "POST /admin/v1/tenants/lakeside/resume";
            self.t.world.admin(resume, &Value::Null).status(200);
        }
        let now = self.t.events(&query);
        assert_eq!(now.len(), known + 1, "{interaction}: {code} {action}");
        let agents = now[0]["agent"].as_array().unwrap();
        assert_eq!(agents[0]["altId"], "operator", "{interaction}");
        self.done.insert(interaction);
        match answer.body.is_empty() {
            true => Value::Null,
            false => answer.json(),
        }
    }
}

#[test]
fn each_verb_of_the_admin_api_is_in_the_trail_of_its_tenant() {
    let (world, _) = Elsewhere::world();
    world.tenant("lakeside");
    let auditor = world.client("lakeside", "system/AuditEvent.rs");
    let t = Trail {
        world,
        all: String::new(),
        auditor,
    };
    let mut v = Verbs {
        t,
        done: BTreeSet::new(),
    };
    let empty = || json!({});
    let of = |path: &str| path.replace("//", "lakeside/");
    let change = |config: Value| ("PATCH lakeside", json!({ "config": config }));
    let asked = ("PATCH lakeside", json!({ "display": "Lake" }));
    v.verb("change-tenant", asked, ("change-tenant", "U"));
    for (config, code) in [
        (json!({ "audit_retention_days": 2190 }), "change-tenant"),
        (json!({ "registration": "anyone" }), "change-tenant"),
        (
            json!({ "legal_hold": true, "references": "enforced" }),
            "set-legal-hold",
        ),
        (json!({ "legal_hold": false }), "lift-legal-hold"),
        (
            json!({ "audit_shipping": { "syslog": "tls://siem.example:6514" }, "audit_retention_days": 0 }),
            "set-audit-destination",
        ),
        (
            json!({ "audit_shipping": { "syslog": "" } }),
            "clear-audit-destination",
        ),
    ] {
        v.verb("change-tenant", change(config), (code, "U"));
    }
    v.verb(
        "suspend-tenant",
        ("POST lakeside/suspend", empty()),
        ("suspend-tenant", "U"),
    );
    v.t.world
        .admin("POST /admin/v1/tenants/lakeside/suspend", &Value::Null)
        .status(200);
    v.t.world
        .admin("POST /admin/v1/tenants/lakeside/resume", &Value::Null)
        .status(200);
    assert_eq!(
        v.t.events("subtype=urn:insula:trail|resume-tenant").len(),
        2
    );
    v.done.insert("resume-tenant");
    let delete = ("DELETE lakeside?confirm=lakeside", Value::Null);
    v.verb("delete-tenant", delete, ("delete-tenant", "D"));
    v.verb(
        "verify-tenant",
        ("POST lakeside/verify", json!({ "heads": [] })),
        ("verify", "E"),
    );
    v.verb(
        "begin-scrub",
        ("POST lakeside/scrub", empty()),
        ("begin-scrub", "E"),
    );
    let made = json!({ "file": "a.backup" });
    v.verb(
        "backup-tenant",
        ("POST lakeside/backup", made.clone()),
        ("backup", "R"),
    );
    v.verb(
        "restore-tenant",
        ("POST copy/restore", made),
        ("restore-a-backup", "E"),
    );
    let why = json!({ "reason": "data of old" });
    let import = v.verb(
        "open-import",
        ("POST lakeside/imports", why),
        ("open-import", "C"),
    );
    let id = import["import_id"].as_str().unwrap();
    let renew = format!("POST lakeside/imports/{id}/renew");
    v.verb("renew-import", (&renew, empty()), ("give-token-to", "E"));
    let revoke = format!("DELETE lakeside/imports/{id}");
    v.verb(
        "revoke-import",
        (&revoke, Value::Null),
        ("revoke-client", "D"),
    );
    let client = json!({ "name": "x", "scopes": ["system/Patient.rs"], "reason": "wanted" });
    let client = v.verb(
        "create-client",
        ("POST lakeside/clients", client),
        ("create-client", "C"),
    );
    let id = client["client_id"].as_str().unwrap();
    let line = format!("DELETE lakeside/clients/{id}");
    v.verb(
        "revoke-client",
        (&line, Value::Null),
        ("revoke-client", "D"),
    );
    let draft = json!({ "preset": "network-wide", "reason": "test" });
    v.verb(
        "publish-policy",
        (&of("POST //policy"), draft.clone()),
        ("publish-policy", "U"),
    );
    let test = json!({ "action": "read", "type": "Patient", "client": id });
    v.verb(
        "test-policy",
        (&of("POST //policy/test"), test),
        ("test-policy", "E"),
    );
    let dry = json!({ "preset": "network-wide" });
    v.verb(
        "dry-run-policy",
        (&of("POST //policy/dry-run"), dry),
        ("dry-run-policy", "E"),
    );
    let foreign = json!({ "from": "aidbox", "documents": [
        { "resourceType": "AccessPolicy", "id": "a", "engine": "allow" }] });
    v.verb(
        "import-policy",
        (&of("POST //policy/import"), foreign),
        ("import-policy", "E"),
    );
    let root = json!({ "login": "root", "name": "Root", "roles": ["tenant-administrator"] });
    let root = v.verb(
        "create-administrator",
        (&of("POST //people"), root),
        ("create-administrator", "C"),
    );
    let id = root["id"].as_str().unwrap();
    let line = format!("POST lakeside/people/{id}/invitation");
    v.verb(
        "invite-administrator",
        (&line, empty()),
        ("invite-person", "C"),
    );
    let line = format!("DELETE lakeside/people/{id}");
    v.verb(
        "disable-person",
        (&line, Value::Null),
        ("disable-person", "D"),
    );
    let terms = json!({ "vendor": "acme", "name": "Acme", "reason": "agreed",
        "scopes": ["system/Observation.rs"],
        "contract": { "data": "Findings", "purposes": ["TREAT"], "from": "2026-01-01",
            "until": "2099-01-01", "contact": "privacy@acme.example", "document": "DPA 17" } });
    v.verb(
        "propose-vendor",
        (&of("POST //vendors"), terms),
        ("propose-vendor", "C"),
    );
    let off = json!({ "hold": "disabled", "reason": "asked them" });
    v.verb(
        "switch-vendor",
        (&of("POST //vendors/acme/switch"), off),
        ("switch-vendor", "U"),
    );
    let provider = json!({ "id": "acme", "name": "Acme", "issuer": "https://id.example",
        "client_id": "insula", "client_secret": "0123456789abcdef" });
    v.verb(
        "set-identity-provider",
        (&of("POST //identity-providers"), provider),
        ("set-identity-provider", "U"),
    );
    v.verb(
        "drop-identity-provider",
        (&of("DELETE //identity-providers/acme"), Value::Null),
        ("drop-identity-provider", "D"),
    );
    v.verb(
        "rotate-signing-key",
        (&of("POST //signing-keys"), empty()),
        ("add-signing-key", "C"),
    );
    let asks = json!({ "client_name": "p", "redirect_uris": ["https://p.example/cb"],
        "token_endpoint_auth_method": "none", "scope": "openid" });
    let headers = [("content-type", "application/json")];
    let asked =
        v.t.world
            .ask("POST /t/lakeside/auth/register", &headers, asks.to_string());
    let id = asked.status(201).json()["client_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let line = format!("POST lakeside/registrations/{id}");
    let refuse = json!({ "decision": "refuse" });
    v.verb(
        "decide-waiting-client",
        (&line, refuse),
        ("refuse-client", "E"),
    );
    // A route that comes is looked at here too.
    for route in ROUTES {
        let changes = route.method != http::Method::GET && route.class() == Class::Operator;
        if changes
            && route.path.contains("/tenants/{name}")
            && !ELSEWHERE.contains(&route.interaction)
        {
            assert!(v.done.contains(route.interaction), "{}", route.interaction);
        }
    }
}
