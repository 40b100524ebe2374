//! The admin API described in OpenAPI 3.1, kept by hand beside the route table; a test compares
//! the two.

use std::sync::LazyLock;

use base::Code;
use engine::Failure;
use serde_json::{Map, Value, json};

mod exact;
mod schemas;

/// One operation: method, path, id, summary, body schema, status and schema of the answer.
type Operation = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
    &'static str,
    Option<&'static str>,
);

const OPERATIONS: &[Operation] = &[
    (
        "get",
        "/admin/v1/openapi.json",
        "openapi",
        "This document",
        None,
        "200",
        None,
    ),
    (
        "get",
        "/admin/v1/tenants",
        "list-tenants",
        "Tenants by name; takes after and limit",
        None,
        "200",
        Some("TenantPage"),
    ),
    (
        "post",
        "/admin/v1/tenants",
        "create-tenant",
        "Make a tenant",
        Some("TenantDraft"),
        "201",
        Some("Tenant"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}",
        "show-tenant",
        "One tenant",
        None,
        "200",
        Some("Tenant"),
    ),
    (
        "patch",
        "/admin/v1/tenants/{name}",
        "change-tenant",
        "Change display name or settings",
        Some("TenantPatch"),
        "200",
        Some("Tenant"),
    ),
    (
        "delete",
        "/admin/v1/tenants/{name}",
        "delete-tenant",
        "Delete a tenant; takes confirm (its name) and grace (seconds)",
        None,
        "202",
        Some("Tenant"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/suspend",
        "suspend-tenant",
        "Suspend a tenant",
        None,
        "200",
        Some("Tenant"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/resume",
        "resume-tenant",
        "Let a suspended or leaving tenant serve again",
        None,
        "200",
        Some("Tenant"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/receipt",
        "receipt",
        "The signed receipt of a deletion",
        None,
        "200",
        Some("Receipt"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/verify",
        "verify-tenant",
        "Check rows, seals, index rows and the audit chain, and signed heads of it that were kept elsewhere",
        Some("VerifyAgainst"),
        "200",
        Some("VerifyReport"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/begin-anew",
        "begin-anew",
        "Where what is administered was altered: revoke all clients, disable all people, put a policy without grants into force",
        Some("Decided"),
        "204",
        None,
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/scrub",
        "scrub-status",
        "How far the background check of all rows is",
        None,
        "200",
        Some("Scrub"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/scrub",
        "begin-scrub",
        "Check all rows in the background; with now at full speed",
        Some("ScrubStart"),
        "202",
        Some("Scrub"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/quarantine",
        "list-quarantine",
        "Rows that are not as they were written; takes all",
        None,
        "200",
        Some("Quarantine"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/break-glass",
        "count-openings",
        "How many openings of patients wait for a review",
        None,
        "200",
        Some("OpeningCounts"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/alerts",
        "count-alerts",
        "How many alerts there are, and how many wait for being told of",
        None,
        "200",
        Some("AlertCounts"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/audit",
        "read-audit",
        "Lines of the audit trail, oldest first; takes after (the number of a record) and limit",
        None,
        "200",
        Some("AuditPage"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/backup",
        "backup-tenant",
        "Write a backup to the folder for backups",
        Some("BackupFile"),
        "201",
        Some("BackupMade"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/restore",
        "restore-tenant",
        "Make the tenant of this name from a backup",
        Some("Restore"),
        "201",
        Some("Restored"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/imports",
        "open-import",
        "Open a timed way in for bulk loading",
        Some("ImportReason"),
        "201",
        Some("ImportOpened"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/imports",
        "list-imports",
        "Ways in for bulk loading, the newest first",
        None,
        "200",
        Some("ImportList"),
    ),
    (
        "delete",
        "/admin/v1/tenants/{name}/imports/{import_id}",
        "revoke-import",
        "Revoke a way in for bulk loading, from its next request on",
        None,
        "204",
        None,
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/imports/{import_id}/renew",
        "renew-import",
        "Give another token of a way in that is still open",
        None,
        "200",
        Some("ImportOpened"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/clients",
        "list-clients",
        "API clients of a tenant",
        None,
        "200",
        Some("ClientList"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/clients",
        "create-client",
        "Make an API client; its secret is shown once",
        Some("ClientDraft"),
        "201",
        Some("ClientMade"),
    ),
    (
        "delete",
        "/admin/v1/tenants/{name}/clients/{client_id}",
        "revoke-client",
        "Revoke an API client, from its next request on",
        None,
        "204",
        None,
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/registrations",
        "list-waiting-clients",
        "Programs that asked to be registered and wait for approval",
        None,
        "200",
        Some("RegistrationList"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/registrations/{client_id}",
        "decide-waiting-client",
        "Approve a program that waits, or refuse it (then the answer is 204 without a body)",
        Some("RegistrationDecision"),
        "201",
        Some("ClientView"),
    ),
    (
        "get",
        "/admin/v1/audit/shipping",
        "audit-shipping",
        "To whom audit trails are shipped, and how far behind they are",
        None,
        "200",
        Some("Shipping"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/audit/head",
        "audit-head",
        "The last signed head of the audit trail's Merkle tree, made now if the tree has grown",
        None,
        "200",
        Some("TrailHead"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/audit/proof",
        "audit-proof",
        "A proof (RFC 6962) that a record is in the trail, or that a tree is the beginning of a later one; takes record or from, and size",
        None,
        "200",
        Some("TrailProof"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/identity-providers",
        "list-identity-providers",
        "Where a tenant's people may sign in instead of here",
        None,
        "200",
        Some("IdentityProviderList"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/identity-providers",
        "set-identity-provider",
        "Set an identity provider: a new one, or in the place of the one of its id; it lets people in for limits.operator_provider_seconds, and goes on where the clinic keeps it",
        Some("IdentityProviderDraft"),
        "201",
        Some("IdentityProvider"),
    ),
    (
        "delete",
        "/admin/v1/tenants/{name}/identity-providers/{provider}",
        "drop-identity-provider",
        "Forget an identity provider; what was given by it ends",
        None,
        "204",
        None,
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/audit/report",
        "access-report",
        "Who was shown what of whom; takes patient, actor, from, to and format (json, csv, html)",
        None,
        "200",
        Some("AccessReport"),
    ),
    (
        "get",
        "/admin/v1/policy-presets",
        "policy-presets",
        "Ready policies",
        None,
        "200",
        Some("PolicyPresets"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/policy",
        "show-policy",
        "The policy in force",
        None,
        "200",
        Some("Policy"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/policy",
        "publish-policy",
        "Put a policy into force: a document, a ready one, or an older version",
        Some("PolicyDraft"),
        "201",
        Some("Policy"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/policy/versions",
        "list-policies",
        "Every policy that was in force, newest first",
        None,
        "200",
        Some("PolicyList"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/policy/versions/{version}",
        "show-policy-version",
        "One of them",
        None,
        "200",
        Some("Policy"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/policy/diff",
        "diff-policy",
        "What is different between two versions; takes from and to",
        None,
        "200",
        Some("PolicyDiff"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/policy/matrix",
        "policy-matrix",
        "Who may do what, by roles and types; format=text for a table",
        None,
        "200",
        Some("PolicyMatrix"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/policy/test",
        "test-policy",
        "Explain a decision",
        Some("PolicyQuestion"),
        "200",
        Some("PolicyAnswer"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/policy/import",
        "import-policy",
        "What policies of Aidbox or Medplum become here: a draft and a report",
        Some("PolicyImport"),
        "200",
        Some("PolicyImported"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/policy/dry-run",
        "dry-run-policy",
        "Try a draft on what was asked lately",
        Some("PolicyTrial"),
        "200",
        Some("PolicyDryRun"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/people",
        "list-administrators",
        "People of a tenant, by login",
        None,
        "200",
        Some("PersonList"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/people",
        "create-administrator",
        "Make the tenant's first administrator; the link to set a password is shown once",
        Some("PersonDraft"),
        "201",
        Some("PersonInvited"),
    ),
    (
        "delete",
        "/admin/v1/tenants/{name}/people/{person}",
        "disable-person",
        "Disable a person, from their next request on",
        None,
        "204",
        None,
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/people/{person}/invitation",
        "invite-administrator",
        "Invite the tenant's administrator anew, whose link was lost or who was disabled",
        None,
        "201",
        Some("PersonInvited"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/vendors",
        "list-vendors",
        "Vendors of a tenant, in order of id",
        None,
        "200",
        Some("VendorList"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/vendors",
        "propose-vendor",
        "Put terms forward; they count once the clinic takes them",
        Some("VendorDraft"),
        "201",
        Some("Vendor"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/vendors/{vendor}",
        "show-vendor",
        "One vendor, and what was done to its grant",
        None,
        "200",
        Some("Vendor"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/vendors/{vendor}/switch",
        "switch-vendor",
        "Move the operator's own switch, from the next request on",
        Some("SwitchDraft"),
        "200",
        Some("Vendor"),
    ),
    (
        "get",
        "/admin/v1/tenants/{name}/vendors/{vendor}/activity",
        "vendor-activity",
        "What a vendor did, against its contract; takes from, to, format (json, csv, html) and by (day, patient)",
        None,
        "200",
        Some("ActivityReport"),
    ),
    (
        "post",
        "/admin/v1/tenants/{name}/signing-keys",
        "rotate-signing-key",
        "Make another key of identity tokens; those before it stay published for a day",
        None,
        "201",
        Some("SigningKeyMade"),
    ),
    (
        "post",
        "/admin/v1/key/rotate",
        "rotate-key",
        "Make a new key-encryption key and wrap every tenant's key with it",
        None,
        "200",
        Some("KeyRotated"),
    ),
];

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| exact::exact(described()));

/// The document.
pub fn openapi() -> Value {
    DOCUMENT.clone()
}

/// Holds the body of an operation against its description.
///
/// # Errors
/// `request-invalid`, with the place.
pub(crate) fn held_against(operation: &str, body: &mut Value) -> Result<(), Failure> {
    let Some(schema) = exact::body_schema(&DOCUMENT, operation) else {
        return Ok(());
    };
    let fits = exact::fits(&DOCUMENT, schema, body, "the body");
    fits.map_err(|why| Failure::new(Code::RequestInvalid, why))
}

fn described() -> Value {
    let mut paths = Map::new();
    for (method, path, id, summary, body, status, answer) in OPERATIONS {
        let mut operation = json!({
            "operationId": id,
            "summary": summary,
            "responses": {
                *status: response(*answer),
                "default": {
                    "description": "Refused or failed",
                    "content": { "application/problem+json": { "schema": reference("Problem") } },
                },
            },
        });
        if *id == "openapi" {
            put(&mut operation, "security", json!([]));
        }
        if let Some(body) = body {
            let content = json!({ "application/json": { "schema": reference(body) } });
            put(
                &mut operation,
                "requestBody",
                json!({ "required": *id != "verify-tenant", "content": content }),
            );
        }
        let parameters = parameters(path, id);
        if !parameters.is_empty() {
            put(&mut operation, "parameters", parameters.into());
        }
        let item = paths.entry(*path).or_insert_with(|| json!({}));
        put(item, method, operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Insula admin API", "version": "1", "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" } },
        "security": [{ "operator": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "operator": { "type": "http", "scheme": "bearer", "description": "The operator token, DIR/operator.token" } },
            "schemas": schemas::all(),
        },
    })
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn response(answer: Option<&str>) -> Value {
    match answer {
        None => json!({ "description": "Done" }),
        Some(schema) => json!({
            "description": "Done",
            "content": { "application/json": { "schema": reference(schema) } },
        }),
    }
}

fn parameters(path: &str, id: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for name in ["name", "client_id", "import_id", "vendor", "provider"] {
        if path.contains(&format!("{{{name}}}")) {
            all.push(json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
        }
    }
    let query: &[(&str, &str, bool)] = match id {
        "list-tenants" => &[("after", "string", false), ("limit", "integer", false)],
        "read-audit" => &[("after", "integer", false), ("limit", "integer", false)],
        "list-quarantine" => &[("all", "boolean", false)],
        "audit-proof" => &[
            ("record", "integer", false),
            ("from", "integer", false),
            ("size", "integer", false),
        ],
        "delete-tenant" => &[("confirm", "string", true), ("grace", "integer", false)],
        _ => &[],
    };
    all.extend(query.iter().map(|(name, kind, required)| {
        json!({ "name": name, "in": "query", "required": required, "schema": { "type": kind } })
    }));
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::routes::ROUTES;

    #[test]
    fn the_document_lists_exactly_the_routes() {
        let described: BTreeSet<(String, String, String)> = OPERATIONS
            .iter()
            .map(|(m, path, id, ..)| (m.to_uppercase(), (*path).to_owned(), (*id).to_owned()))
            .collect();
        let routed: BTreeSet<(String, String, String)> = ROUTES
            .iter()
            .filter(|r| r.full_path().starts_with("/admin/"))
            .map(|r| {
                (
                    r.method.to_string(),
                    r.full_path(),
                    r.interaction.to_owned(),
                )
            })
            .collect();
        assert_eq!(described, routed);
    }

    #[test]
    fn every_schema_that_is_named_exists() {
        let document = openapi();
        let text = document.to_string();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for named in text.split("#/components/schemas/").skip(1) {
            let name: String = named.chars().take_while(|c| *c != '"').collect();
            assert!(schemas.contains_key(&name), "{name}");
        }
    }
}
