//! The admin API described in OpenAPI 3.1, kept by hand beside the route table; a test compares
//! the two.

use std::sync::LazyLock;

use ::fhir::definitions::FhirVersion;
use base::Code;
use engine::Failure;
use serde_json::{Map, Value, json};

mod exact;

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
        "Set an identity provider: a new one, or in the place of the one of its id",
        Some("IdentityProviderDraft"),
        "201",
        Some("IdentityProvider"),
    ),
    (
        "delete",
        "/admin/v1/tenants/{name}/identity-providers/{provider}",
        "drop-identity-provider",
        "Forget an identity provider; sessions that were begun through it end",
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
            "schemas": all_schemas(),
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

/// What is told of identity providers.
fn provider_schemas() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "IdentityProviderDraft": object(&["id", "name"], &provider(&json!({ "client_secret": text }))),
        "IdentityProvider": object(&["id", "name", "scopes", "has_secret", "redirect_uri", "backchannel_logout_uri"],
            &provider(&json!({ "has_secret": { "type": "boolean" }, "redirect_uri": text, "backchannel_logout_uri": text }))),
        "IdentityProviderList": object(&["identity_providers"], &json!({
            "identity_providers": { "type": "array", "items": reference("IdentityProvider") },
        })),
    })
}

/// What a draft and a view of an identity provider share, with what only one of them has.
fn provider(more: &Value) -> Value {
    let text = json!({ "type": "string" });
    let list = json!({ "type": "array", "items": text });
    let mut all = json!({
        "id": { "type": "string", "pattern": "^[a-z0-9-]{1,32}$" }, "name": text,
        "house": { "type": "boolean", "default": false }, "issuer": text, "client_id": text,
        "scopes": list, "roles_claim": text,
        "roles": { "type": "object", "additionalProperties": list }, "fhir_user_claim": text,
        "just_in_time": { "type": "boolean", "default": false }, "two_factors": list,
    });
    if let (Some(all), Some(more)) = (all.as_object_mut(), more.as_object()) {
        all.extend(more.clone());
    }
    all
}

fn object(required: &[&str], properties: &Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn vendor_schemas() -> Value {
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    let texts = json!({ "type": "array", "items": text });
    let count = json!({ "type": "integer" });
    let scopes = json!({ "type": "array", "items": text, "minItems": 1 });
    let hold = json!({ "enum": ["enabled", "read-only", "disabled"] });
    let vendor = json!({ "type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$" });
    json!({
        "VendorDraft": object(&["vendor", "name", "contract", "scopes", "reason"], &json!({
            "vendor": vendor, "name": text, "contract": reference("Contract"), "scopes": scopes,
            "facilities": texts, "networks": texts, "certificates": texts, "rate": reference("Rate"),
            "reason": { "type": "string", "minLength": 1, "maxLength": 500 },
        })),
        "Contract": object(&["data", "from", "until", "contact", "document"], &json!({
            "data": text, "types": texts, "purposes": texts, "from": text, "until": text, "contact": text, "document": text,
        })),
        "Rate": object(&["per_minute"], &json!({
            "per_minute": { "type": "integer", "minimum": 1, "maximum": u32::MAX },
            "burst": { "type": "integer", "minimum": 1, "maximum": u32::MAX },
        })),
        "SwitchDraft": object(&["hold", "reason"], &json!({
            "hold": hold, "terms": { "type": "integer" }, "reason": { "type": "string", "minLength": 1, "maxLength": 500 },
        })),
        "Terms": object(&["number", "name", "contract", "scopes", "facilities", "networks", "certificates"], &json!({
            "number": { "type": "integer" }, "name": text, "contract": reference("Contract"), "scopes": scopes,
            "facilities": texts, "networks": texts, "certificates": texts, "rate": reference("Rate"),
        })),
        "Vendor": object(&["vendor", "name", "state", "switches", "made"], &json!({
            "vendor": vendor, "name": text,
            "state": { "enum": ["enabled", "read-only", "disabled-by-clinic", "disabled-by-vendor", "disabled-by-operator"] },
            "switches": { "type": "array", "items": object(&["party", "hold", "at"], &json!({
                "party": { "enum": ["clinic", "vendor", "operator"] }, "hold": hold, "by": text, "reason": text, "at": time,
            })) },
            "terms": reference("Terms"), "proposal": reference("Terms"), "made": time,
            "events": { "type": "array", "items": object(&["number", "at", "actor", "party", "what", "state"], &json!({
                "number": { "type": "integer" }, "at": time, "actor": text, "party": text, "what": text, "was": text,
                "state": text, "reason": text,
            })) },
        })),
        "VendorList": object(&["vendors"], &json!({ "vendors": { "type": "array", "items": reference("Vendor") } })),
        "ActivityReport": object(&["vendor", "name", "state", "clients", "reads", "writes", "refused", "outside", "days", "refusals", "patients", "more"], &json!({
            "vendor": vendor, "name": text, "state": text, "terms": reference("Terms"), "clients": texts,
            "reads": count, "writes": count, "refused": count, "more": { "type": "boolean" },
            "outside": object(&["reads", "writes"], &json!({ "reads": count, "writes": count })),
            "days": { "type": "array", "items": object(&["day", "client", "type", "reads", "writes"], &json!({
                "day": text, "client": text, "type": text, "reads": count, "writes": count, "outside": texts,
            })) },
            "refusals": { "type": "array", "items": object(&["day", "code", "count"], &json!({ "day": text, "code": text, "count": count })) },
            "patients": { "type": "array", "items": object(&["patient", "reads", "writes", "first", "last"], &json!({
                "patient": text, "reads": count, "writes": count, "first": time, "last": time,
            })) },
        })),
    })
}

/// Every schema, of all parts together.
fn all_schemas() -> Value {
    let parts = [
        schemas(),
        quarantine_schemas(),
        provider_schemas(),
        vendor_schemas(),
        proofs(),
    ];
    let members = parts.into_iter().filter_map(|part| match part {
        Value::Object(members) => Some(members),
        _ => None,
    });
    Value::Object(members.flatten().collect())
}

/// What the background check tells.
fn quarantine_schemas() -> Value {
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    json!({
        "OpeningCounts": object(&["open", "due", "overdue"], &json!({
            "open": { "type": "integer" }, "due": { "type": "integer" }, "overdue": { "type": "integer" },
        })),
        "ScrubStart": object(&[], &json!({ "now": { "type": "boolean", "default": false } })),
        "Scrub": object(&["running", "rows", "found", "last_rows", "last_found", "quarantined"], &json!({
            "running": { "type": "boolean" }, "begun": time, "rows": { "type": "integer" }, "found": { "type": "integer" },
            "finished": time, "last_rows": { "type": "integer" }, "last_found": { "type": "integer" },
            "quarantined": { "type": "integer" },
        })),
        "Quarantine": object(&["quarantine"], &json!({ "quarantine": { "type": "array", "items":
            object(&["number", "resource", "version", "kind", "current", "found"], &json!({
                "number": { "type": "integer" }, "resource": text, "version": { "type": "integer" },
                "kind": { "enum": ["seal", "body", "current", "index", "version-missing"] },
                "current": { "type": "boolean" }, "found": time, "decided": time, "by": text, "remark": text,
                "decision": { "enum": ["accept", "revert", "delete", "note"] }, "made": { "type": "integer" },
            })) } })),
    })
}

fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    let settings = object(
        &[],
        &json!({
            "references": { "enum": ["literal", "enforced"] },
            "cors_origins": { "type": "array", "items": text },
            "audit_retention_days": { "type": "integer", "minimum": 0, "maximum": u32::MAX }, "legal_hold": { "type": "boolean" },
        }),
    );
    let name = json!({ "type": "string", "pattern": "^[a-z][a-z0-9-]{2,62}$" });
    let scopes = json!({ "type": "array", "items": text, "minItems": 1 });
    let person = json!({
        "id": text, "login": text, "name": text, "roles": { "type": "array", "items": text },
        "groups": { "type": "array", "items": text }, "fhir_user": text,
        "state": { "enum": ["invited", "active", "disabled"] }, "second_factor": { "type": "boolean" },
    });
    let vendor = json!({ "type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$" });
    let client = json!({ "client_id": text, "name": text, "scopes": scopes, "jwks": { "type": "boolean" }, "jwks_uri": text, "roles": { "type": "array", "items": text }, "vendor": vendor, "revoked": { "type": "boolean" } });
    json!({
        "TenantDraft": object(&["name"], &json!({ "name": name, "display": text, "fhir": { "enum": FhirVersion::ALL.map(FhirVersion::as_str) }, "config": settings })),
        "TenantPatch": object(&[], &json!({ "display": text, "config": settings })),
        "Tenant": object(&["name", "display", "fhir", "config", "state", "created", "base"], &json!({
            "name": name, "display": text, "fhir": text, "config": settings,
            "state": { "enum": ["active", "suspended", "leaving", "gone"] },
            "created": time, "shred_at": time, "base": text, "scrub": reference("Scrub"),
        })),
        "TenantPage": object(&["tenants"], &json!({ "tenants": { "type": "array", "items": reference("Tenant") }, "next": text })),
        "Receipt": { "type": "object" },
        "VerifyReport": object(&["ok", "rows", "events", "findings"], &json!({
            "ok": { "type": "boolean" }, "rows": { "type": "integer" }, "events": { "type": "integer" },
            "findings": { "type": "array", "items": { "type": "object" } }, "findings_more": { "type": "integer" },
        })),
        "AuditPage": object(&["lines"], &json!({ "next": { "type": "integer" }, "lines": { "type": "array", "items":
            object(&["number", "at", "request", "actor", "action", "outcome", "count"], &json!({
                "number": { "type": "integer" }, "at": time, "request": text, "actor": text, "action": text,
                "outcome": { "enum": ["given", "nothing", "refused", "made"] }, "code": text, "about": text,
                "query": text, "count": { "type": "integer" }, "shown": { "type": "array", "items": text },
            })) } })),
        "BackupFile": object(&["file"], &json!({ "file": { "type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$" } })),
        "Restore": object(&["file"], &json!({
            "file": { "type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$" },
            "clients": { "enum": ["as-now", "keep", "revoke"], "default": "as-now" },
        })),
        "Restored": { "allOf": [reference("Tenant"), object(&["clients"], &json!({
            "clients": object(&["kept", "revoked"], &json!({ "kept": { "type": "integer" }, "revoked": { "type": "integer" } })),
        }))] },
        "BackupMade": object(&["file", "path"], &json!({ "file": text, "path": text })),
        "ImportReason": object(&["reason"], &json!({ "reason": text })),
        "ImportOpened": object(&["import_id", "import", "access_token", "expires_in", "until", "base"], &json!({
            "import_id": text, "import": text, "access_token": text, "expires_in": { "type": "integer" },
            "until": time, "base": text,
        })),
        "ImportList": object(&["imports"], &json!({ "imports": { "type": "array", "items":
            object(&["import_id", "reason", "opened", "until", "state"], &json!({
                "import_id": text, "reason": text, "opened": time, "until": time,
                "state": { "enum": ["open", "ended", "revoked"] },
            })) } })),
        "ClientDraft": object(&["name", "scopes"], &json!({
            "name": text, "scopes": scopes, "jwks": { "type": "object" }, "jwks_uri": text, "roles": { "type": "array", "items": text },
            "redirect_uris": { "type": "array", "items": text },
            "public": { "type": "boolean", "default": false }, "launch_url": text, "vendor": vendor,
        })),
        "ClientList": object(&["clients"], &json!({ "clients": { "type": "array", "items": object(&["client_id", "name", "scopes"], &client) } })),
        "ClientMade": object(&["client_id", "name", "scopes", "token_url"], &json!({
            "client_id": text, "client_secret": text, "name": text, "scopes": scopes, "token_url": text,
            "jwks": { "type": "boolean" }, "revoked": { "type": "boolean" },
            "redirect_uris": { "type": "array", "items": text },
            "public": { "type": "boolean" }, "launch_url": text, "vendor": vendor,
        })),
        "AccessReport": object(&["accesses", "more"], &json!({ "more": { "type": "boolean" }, "accesses": { "type": "array", "items":
            object(&["number", "at", "request", "actor", "action", "what", "patients"], &json!({
                "number": { "type": "integer" }, "at": time, "request": text, "actor": text, "action": text,
                "what": { "type": "array", "items": text }, "patients": { "type": "array", "items": text },
            })) } })),
        "PolicyDocument": policy_document(&text),
        "Policy": object(&["version"], &json!({
            "version": { "type": "integer" }, "at": time, "by": text, "reason": text, "document": reference("PolicyDocument"),
        })),
        "PolicyDraft": object(&["reason"], &json!({
            "document": reference("PolicyDocument"), "preset": text, "version": { "type": "integer" },
            "reason": { "type": "string", "minLength": 1, "maxLength": 500 }, "after": { "type": "integer" },
        })),
        "PolicyList": object(&["versions"], &json!({ "versions": { "type": "array", "items": reference("Policy") } })),
        "PolicyPresets": object(&["presets"], &json!({ "presets": { "type": "array", "items":
            object(&["name", "about", "document"], &json!({ "name": text, "about": text, "document": reference("PolicyDocument") })) } })),
        "PolicyDiff": object(&["added", "removed", "changed"], &json!({
            "added": { "type": "array" }, "removed": { "type": "array" }, "changed": { "type": "array" },
        })),
        "PolicyMatrix": object(&["roles", "types"], &json!({ "roles": { "type": "array", "items": text }, "types": { "type": "object" } })),
        "PolicyQuestion": object(&["action", "type"], &json!({
            "client": text, "roles": { "type": "array", "items": text }, "action": text, "type": text, "id": text,
            "document": reference("PolicyDocument"), "address": text, "reason": text,
        })),
        "PolicyAnswer": object(&["allowed", "in_scope", "steps"], &json!({
            "version": { "type": "integer" }, "allowed": { "type": "boolean" }, "found": { "type": "boolean" },
            "in_scope": { "type": "boolean" }, "steps": { "type": "array", "items": { "type": "object" } },
        })),
        "PolicyTrial": object(&[], &json!({ "document": reference("PolicyDocument"), "preset": text, "records": { "type": "integer", "minimum": 0 } })),
        "PolicyDryRun": object(&["tried", "left_out", "changes"], &json!({
            "tried": { "type": "integer" }, "left_out": { "type": "integer" }, "changes": { "type": "array", "items": { "type": "object" } },
        })),
        "PersonDraft": object(&["login", "name", "roles"], &json!({
            "login": text, "name": text, "roles": { "type": "array", "items": text },
            "groups": { "type": "array", "items": text }, "fhir_user": text,
        })),
        "PersonList": object(&["people"], &json!({ "people": { "type": "array", "items":
            object(&["id", "login", "name", "roles", "state"], &person) } })),
        "PersonInvited": { "allOf": [object(&["id", "login", "name", "roles", "state"], &person),
            object(&["invitation", "until"], &json!({ "invitation": text, "until": time }))] },
        "SigningKeyMade": object(&["kid"], &json!({ "kid": text })),
        "KeyRotated": object(&["rewrapped"], &json!({ "rewrapped": { "type": "integer" } })),
        "Problem": object(&["type", "title", "status", "code"], &json!({
            "type": text, "title": text, "status": { "type": "integer" }, "code": text, "detail": text, "limit": text,
        })),
    })
}

/// What proves a trail.
fn proofs() -> Value {
    let text = json!({ "type": "string" });
    let number = json!({ "type": "integer" });
    let heads = json!({ "type": "array", "items": reference("TrailHead") });
    let head = object(
        &["tenant", "origin", "size", "root", "at", "key", "signature"],
        &json!({
            "tenant": text, "origin": text, "size": number, "root": text,
            "at": { "type": "string", "format": "date-time" }, "key": text, "signature": text,
        }),
    );
    let proof = object(
        &["size", "root", "path"],
        &json!({
            "record": number, "index": number, "leaf": text, "leafHash": text, "from": number,
            "fromRoot": text, "size": number, "root": text,
            "path": { "type": "array", "items": text },
        }),
    );
    json!({
        "VerifyAgainst": object(&["heads"], &json!({ "heads": heads })),
        "TrailHead": head,
        "TrailProof": proof,
    })
}

fn policy_document(text: &Value) -> Value {
    let list = json!({ "type": "array", "items": text });
    let who = object(
        &[],
        &json!({ "roles": list, "groups": list, "people": list, "clients": list, "anyone": { "type": "boolean" } }),
    );
    let grant = object(
        &["name", "who", "actions", "types"],
        &json!({
            "name": text, "effect": { "enum": ["allow", "deny"] }, "who": who,
            "actions": { "oneOf": [text, list] }, "types": list, "criteria": text, "within": text,
            "hide": list, "readOnly": list, "when": text, "networks": list,
            "require": object(&[], &json!({ "reason": { "type": "boolean" }, "stepUp": { "type": "boolean" } })),
            "breakGlass": object(&[], &json!({ "minutes": { "type": "integer" }, "reviewers": who })),
        }),
    );
    object(
        &["grants"],
        &json!({ "title": text, "grants": { "type": "array", "items": grant } }),
    )
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
