//! What goes in and out of the admin API, as JSON Schema.

use ::fhir::definitions::FhirVersion;
use serde_json::{Value, json};

use super::reference;

/// What is told of identity providers.
fn provider_schemas() -> Value {
    let text = json!({ "type": "string" });
    let reason = json!({ "type": "string", "minLength": 1, "maxLength": 200 });
    let made = json!({ "by": text, "at": text, "reason": text, "until": text, "kept_by": text });
    json!({
        "IdentityProviderDraft": object(&["id", "name"], &provider(&json!({ "client_secret": text, "reason": reason }))),
        "IdentityProvider": object(&["id", "name", "scopes", "has_secret", "redirect_uri", "backchannel_logout_uri", "lets_in"],
            &provider(&json!({ "has_secret": { "type": "boolean" }, "redirect_uri": text, "backchannel_logout_uri": text,
                "lets_in": { "type": "boolean" }, "made": object(&["by", "at", "reason"], &made) }))),
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
        "ActivityReport": object(&["vendor", "name", "state", "clients", "reads", "writes", "refused", "outside", "days", "refusals", "patients", "purposes", "more"], &json!({
            "vendor": vendor, "name": text, "state": text, "terms": reference("Terms"), "clients": texts,
            "reads": count, "writes": count, "refused": count, "more": { "type": "boolean" },
            "outside": object(&["reads", "writes"], &json!({ "reads": count, "writes": count })),
            "days": { "type": "array", "items": object(&["day", "client", "type", "reads", "writes"], &json!({
                "day": text, "client": text, "type": text, "reads": count, "writes": count, "outside": texts,
            })) },
            "purposes": { "type": "array", "items": object(&["requests", "agreed"], &json!({
                "purpose": text, "requests": count, "agreed": { "type": "boolean" },
            })) },
            "refusals": { "type": "array", "items": object(&["day", "code", "count"], &json!({ "day": text, "code": text, "count": count })) },
            "patients": { "type": "array", "items": object(&["patient", "reads", "writes", "first", "last"], &json!({
                "patient": text, "reads": count, "writes": count, "first": time, "last": time,
            })) },
        })),
    })
}

/// Every schema, of all parts together.
pub(super) fn all() -> Value {
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
        "AlertCounts": object(&["open", "acknowledged", "webhook_waiting", "mail_waiting"], &json!({
            "open": { "type": "integer" }, "acknowledged": { "type": "integer" },
            "webhook_waiting": { "type": "integer" }, "mail_waiting": { "type": "integer" },
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
            "registration": { "enum": ["anyone", "invited", "nobody"] },
            "audit_shipping": object(&[], &json!({ "syslog": text, "form": { "enum": ["rfc5424", "ocsf"] }, "ca": text })),
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
    let authority =
        json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$" });
    let about = object(
        &[],
        &json!({
            "contacts": { "type": "array", "items": text, "maxItems": 10 }, "client_uri": text, "logo_uri": text,
            "tos_uri": text, "policy_uri": text, "software_id": text, "software_version": text,
        }),
    );
    let made = object(
        &["by", "at", "reason"],
        &json!({ "by": text, "at": time, "reason": text, "until": time, "kept_by": text }),
    );
    let client = json!({ "client_id": text, "name": text, "scopes": scopes, "jwks": { "type": "boolean" }, "jwks_uri": text, "roles": { "type": "array", "items": text }, "vendor": vendor, "revoked": { "type": "boolean" }, "redirect_uris": { "type": "array", "items": text }, "public": { "type": "boolean" }, "launch_url": text, "post_logout_redirect_uris": { "type": "array", "items": text }, "about": about, "certificates": { "type": "object" }, "made": made });
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
            "decided": { "type": "array", "items": { "type": "object" } },
        })),
        "AuditPage": object(&["lines"], &json!({ "next": { "type": "integer" }, "lines": { "type": "array", "items":
            object(&["number", "at", "request", "actor", "action", "outcome", "count"], &json!({
                "number": { "type": "integer" }, "at": time, "request": text, "actor": text, "action": text,
                "outcome": { "enum": ["given", "nothing", "refused", "made"] }, "code": text, "about": text,
                "query": text, "count": { "type": "integer" }, "shown": { "type": "array", "items": text },
            })) } })),
        "BackupFile": object(&["file"], &json!({ "file": { "type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$" }, "reason": { "type": "string", "minLength": 1, "maxLength": 120 } })),
        "Restore": object(&["file"], &json!({
            "file": { "type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$" },
            "clients": { "enum": ["as-now", "keep", "revoke"], "default": "as-now" }, "display": text, "reason": { "type": "string", "minLength": 1, "maxLength": 120 },
        })),
        "Restored": { "allOf": [reference("Tenant"), object(&["clients", "quarantined"], &json!({
            "quarantined": { "type": "integer" },
            "clients": object(&["kept", "revoked"], &json!({ "kept": { "type": "integer" }, "revoked": { "type": "integer" } })),
        }))] },
        "BackupMade": object(&["file", "path", "quarantined"], &json!({
            "file": text, "path": text, "quarantined": { "type": "integer" },
        })),
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
            "post_logout_redirect_uris": { "type": "array", "items": text }, "about": about,
            "certificates": { "type": "object" },
            "reason": { "type": "string", "minLength": 1, "maxLength": 200 }, "days": { "type": "integer", "minimum": 1 },
        })),
        "ClientList": object(&["clients"], &json!({ "clients": { "type": "array", "items": object(&["client_id", "name", "scopes"], &client) } })),
        "ClientView": object(&["client_id", "name", "scopes"], &client),
        "RegistrationDecision": object(&["decision"], &json!({
            "decision": { "enum": ["approve", "refuse"] }, "record": text, "scopes": { "type": "array", "items": text },
            "roles": { "type": "array", "items": text }, "vendor": vendor,
            "authority": authority,
            "reason": { "type": "string", "minLength": 1, "maxLength": 200 }, "days": { "type": "integer", "minimum": 1 },
        })),
        "RegistrationList": object(&["registrations"], &json!({ "registrations": { "type": "array", "items":
            object(&["client_id", "client_name", "asked", "until", "from", "invited", "scopes", "redirect_uris"], &json!({
                "client_id": text, "client_name": text, "asked": time, "until": time, "from": text,
                "invited": { "type": "boolean" }, "scopes": { "type": "array", "items": text },
                "redirect_uris": { "type": "array", "items": text }, "token_endpoint_auth_method": text,
                "contacts": { "type": "array", "items": text }, "metadata": { "type": "object" },
                "changes": { "type": "boolean" }, "record": text, "vendor": vendor, "authority": authority,
                "roles": { "type": "array", "items": text },
            })) } })),
        "ClientMade": object(&["client_id", "name", "scopes", "token_url"], &json!({
            "client_id": text, "client_secret": text, "name": text, "scopes": scopes, "token_url": text,
            "warnings": { "type": "array", "items": text },
            "jwks": { "type": "boolean" }, "revoked": { "type": "boolean" },
            "redirect_uris": { "type": "array", "items": text },
            "public": { "type": "boolean" }, "launch_url": text, "vendor": vendor,
            "post_logout_redirect_uris": { "type": "array", "items": text }, "about": about, "made": made,
            "certificates": { "type": "object" },
        })),
        "AccessReport": object(&["accesses", "openings", "operators", "patients", "more"], &json!({ "more": { "type": "boolean" },
            "openings": { "type": "array", "items": object(&["id", "patient", "actor", "who", "grant", "purpose", "why", "from", "until"], &json!({
                "id": text, "patient": text, "actor": text, "who": text, "grant": text, "purpose": text, "why": text, "from": time, "until": time,
                "ended_by": text, "review": { "enum": ["accepted", "objected"] },
            })) }, "operators": { "type": "array", "items": object(&["what", "name", "by", "why", "from"], &json!({
                "what": text, "name": text, "by": text, "why": text, "from": time, "until": time, "kept_by": text, "revoked": { "type": "boolean" },
            })) },
            "patients": { "type": "array", "items": object(&["patient", "reads", "writes", "first", "last"], &json!({
                "patient": text, "reads": { "type": "integer" }, "writes": { "type": "integer" }, "first": time, "last": time,
            })) }, "accesses": { "type": "array", "items":
            object(&["number", "at", "request", "actor", "who", "break_glass", "action", "what", "patients"], &json!({
                "number": { "type": "integer" }, "at": time, "request": text, "actor": text, "action": text,
                "who": text, "why": text, "break_glass": { "type": "boolean" },
                "what": { "type": "array", "items": text }, "patients": { "type": "array", "items": text },
            })) } })),
        "PolicyDocument": policy_document(&text),
        "Policy": object(&["version"], &json!({
            "version": { "type": "integer" }, "at": time, "by": text, "reason": text, "document": reference("PolicyDocument"),
            "warnings": { "type": "array", "items": text }, "renewed": reference("PolicyDocument"),
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
            "client": text, "person": text, "steppedUp": { "type": "boolean" },
            "roles": { "type": "array", "items": text }, "action": text, "type": text, "id": text,
            "document": reference("PolicyDocument"), "address": text, "reason": text,
        })),
        "PolicyAnswer": object(&["allowed", "in_scope", "steps"], &json!({
            "version": { "type": "integer" }, "allowed": { "type": "boolean" }, "found": { "type": "boolean" },
            "quarantined": { "type": "boolean" }, "signs_in": { "type": "boolean" }, "in_scope": { "type": "boolean" }, "steps": { "type": "array", "items": { "type": "object" } },
        })),
        "PolicyImport": object(&["from", "documents"], &json!({
            "from": { "enum": ["aidbox", "medplum"] }, "documents": { "type": "array", "items": {} },
            "role": text, "names": { "type": "object", "additionalProperties": text },
        })),
        "PolicyImported": object(&["document", "report"], &json!({
            "document": reference("PolicyDocument"),
            "report": { "type": "array", "items": object(&["document", "pointer", "outcome", "text"], &json!({
                "document": text, "pointer": text,
                "outcome": { "enum": ["mapped", "assumed", "left-out", "refused"] }, "text": text,
            })) },
        })),
        "PolicyTrial": object(&[], &json!({ "document": reference("PolicyDocument"), "preset": text, "records": { "type": "integer", "minimum": 0 } })),
        "PolicyDryRun": object(&["tried", "left_out", "changes", "shifts"], &json!({
            "tried": { "type": "integer" }, "left_out": { "type": "integer" }, "changes": { "type": "array", "items": { "type": "object" } },
            "shifts": { "type": "array", "items": object(&["roles", "action", "type", "now", "then", "callers", "times"], &json!({
                "roles": text, "action": text, "type": text, "now": text, "then": text,
                "callers": { "type": "integer" }, "times": { "type": "integer" },
            })) },
        })),
        "PersonDraft": object(&["login", "name", "roles"], &json!({
            "login": text, "name": text, "roles": { "type": "array", "items": text },
            "groups": { "type": "array", "items": text }, "fhir_user": text,
        })),
        "PersonList": object(&["people"], &json!({ "people": { "type": "array", "items":
            object(&["id", "login", "name", "roles", "state"], &person) } })),
        "Decided": object(&["by", "reason"], &json!({ "by": text, "reason": text })),
        "PersonInvited": { "allOf": [object(&["id", "login", "name", "roles", "state"], &person),
            object(&["invitation", "until"], &json!({ "invitation": text, "from": time, "until": time, "warnings": { "type": "array", "items": text } }))] },
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
    let shipper = object(
        &[
            "name",
            "target",
            "form",
            "lag_bytes",
            "lag_seconds",
            "shipped",
            "failures",
            "segment",
            "offset",
        ],
        &json!({
            "name": text, "tenant": text, "target": text, "form": { "enum": ["rfc5424", "ocsf", "lines"] },
            "lag_bytes": number, "lag_seconds": number, "shipped": number, "failures": number,
            "error": text, "segment": number, "offset": number,
        }),
    );
    let heads_told = json!({ "type": "array", "items": object(&["name", "target", "waiting", "failures"], &json!({
        "name": text, "target": text, "waiting": number, "failures": number, "error": text,
    })) });
    let shippers = json!({ "type": "array", "items": shipper });
    json!({
        "Shipping": object(&["shippers", "heads"], &json!({ "shippers": shippers, "heads": heads_told })),
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
            "by": { "enum": ["network", "facility", "consent", "care-team"] }, "hide": list, "readOnly": list, "when": text, "networks": list,
            "require": object(&[], &json!({ "reason": { "type": "boolean" }, "stepUp": { "type": "boolean" } })),
            "breakGlass": object(&[], &json!({ "minutes": { "type": "integer" }, "reviewers": who })),
        }),
    );
    object(
        &["grants"],
        &json!({
            "title": text, "grants": { "type": "array", "items": grant },
            "consents": { "anyOf": [{ "const": "enforced" }, object(&[], &json!({
                "purposes": { "type": "object", "additionalProperties": list }, "emergency": { "type": "boolean" },
            }))] },
            "labels": { "anyOf": [{ "const": "enforced" }, object(&[], &json!({
                "confidentiality": { "type": "object", "additionalProperties": { "enum": ["U", "L", "M", "N", "R", "V"] } },
                "sensitivity": { "type": "object", "additionalProperties": who },
            }))] },
        }),
    )
}
