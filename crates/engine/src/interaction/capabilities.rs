//! capabilities (`http.html#capabilities`): the CapabilityStatement, generated from what is there.

use std::fmt::Write;

use base::Code;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use fhir::definitions::{FhirVersion, Model, Param, ParamKind, TypeId};
use fhir::json::push_json_string;
use fhir::resource::shape::write_shaped;
use fhir::search::custom::Custom;
use fhir::search::{Customs, served};
use store::ReferencePolicy;

use super::operation::offered;
use crate::answer::shape;
use crate::failure::Failure;
use crate::form;
use crate::house::Gate;

/// Formats that go in and out, as a CapabilityStatement names them.
pub const FORMATS: &[&str] = &[
    "application/fhir+json",
    "json",
    "application/fhir+xml",
    "xml",
    "application/fhir+ndjson",
    "ndjson",
];

/// Formats of patches, as a CapabilityStatement names them.
pub(super) const PATCH_FORMATS: &[&str] = &[
    "application/json-patch+json",
    "application/xml-patch+xml",
    "application/fhir+json",
    "application/fhir+xml",
];

/// Interactions on a type, by FHIR's `type-restful-interaction`.
const ON_TYPES: [&str; 9] = [
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
];

/// Interactions on the whole, by FHIR's `system-restful-interaction`.
const ON_SYSTEM: [&str; 4] = ["transaction", "batch", "search-system", "history-system"];

/// Parameters that say nothing of events of the trail, and that it refuses.
const NOT_OF_TRAIL: [&str; 3] = ["_content", "_profile", "_text"];

/// Operations of the server's own that have no definition, with their interactions.
const OWN_OPERATIONS: [&str; 3] = ["fhirpath", "reindex", "reindex-status"];

/// Parameters that every type has and no definition of its own, with their types.
const SPECIAL: [(&str, &str); 5] = [
    ("_content", "string"),
    ("_filter", "special"),
    ("_has", "special"),
    ("_list", "string"),
    ("_text", "string"),
];

impl Gate {
    /// What this tenant can do: its CapabilityStatement, with `mode=terminology` its
    /// TerminologyCapabilities, in the shape that `_summary` and `_elements` of the query ask for.
    ///
    /// # Errors
    /// `search-value` for another `mode`; those of the store: the tenant's own search parameters are
    /// in it.
    pub async fn capabilities(&self, query: &str) -> Result<Bytes, Failure> {
        let whole = match form::first(query, "mode").as_deref() {
            Some("terminology") => self.terminology(),
            Some(mode) if !matches!(mode, "" | "full" | "normative") => {
                let text = format!("mode={mode}: there are full, normative and terminology");
                return Err(Failure::new(Code::SearchValue, text));
            }
            _ => {
                let customs = self.house.0.store.tenant(&self.tenant).customs().await?;
                let implemented = self.house.0.interactions.get();
                self.statement(implemented.map_or(&[], Vec::as_slice), &customs)
            }
        };
        let Some(shape) = shape(query) else {
            return Ok(whole);
        };
        let mut part = Vec::new();
        write_shaped(self.model(), &whole, &shape, &mut part)
            .map_err(|_| Failure::of(Code::Internal))?;
        Ok(part.into())
    }

    /// What is known of codes: value sets and code systems are searched by as they are listed.
    fn terminology(&self) -> Bytes {
        let mut out = String::with_capacity(600);
        out.push_str("{\"resourceType\":\"TerminologyCapabilities\"");
        self.about(&mut out);
        // As value sets are listed: by their expansion, otherwise by what they are made of.
        out.push_str(match self.model().version() {
            FhirVersion::R4 | FhirVersion::R4B => ",\"codeSearch\":\"explicit\"}",
            FhirVersion::R5 => ",\"codeSearch\":\"in-compose-or-expansion\"}",
        });
        out.into()
    }

    /// The elements that both statements begin with.
    fn about(&self, out: &mut String) {
        out.push_str(",\"status\":\"active\"");
        let _ = write!(out, ",\"date\":\"{}\"", self.house.0.started.instant());
        out.push_str(",\"publisher\":\"Insula\",\"kind\":\"instance\"");
        out.push_str(",\"software\":{\"name\":\"Insula\",\"version\":");
        push_json_string(env!("CARGO_PKG_VERSION"), out);
        out.push_str("},\"implementation\":{\"description\":");
        push_json_string(&format!("Insula, tenant {}", self.tenant.name()), out);
        out.push_str(",\"url\":");
        push_json_string(&self.links.fhir(), out);
        out.push('}');
    }

    fn statement(&self, implemented: &[&str], customs: &Customs) -> Bytes {
        let policy = self.house.0.store.settings(&self.tenant).references;
        let types = self
            .house
            .0
            .capabilities
            .get(usize::from(policy != ReferencePolicy::Literal));
        let make = || resources(self.model(), implemented, policy, customs);
        let resources = match types {
            // What all tenants of a version share says nothing of one tenant's own parameters.
            Some(made) if customs.is_empty() => made.get(self.tenant.fhir(), make).clone(),
            _ => make(),
        };
        let mut out = String::with_capacity(resources.len() + 2_000);
        out.push_str("{\"resourceType\":\"CapabilityStatement\"");
        self.about(&mut out);
        let _ = write!(out, ",\"fhirVersion\":\"{}\"", self.tenant.fhir());
        let owned = |all: &[&str]| all.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>();
        list("format", owned(FORMATS).into_iter(), &mut out);
        list("patchFormat", owned(PATCH_FORMATS).into_iter(), &mut out);
        out.push_str(",\"rest\":[{\"mode\":\"server\"");
        self.security(&mut out);
        out.push_str(",\"resource\":[");
        out.push_str(&resources);
        out.push_str("],\"interaction\":");
        // One URL takes both kinds of Bundle.
        let has = |code: &&str| {
            implemented.contains(code) || (*code == "batch" && implemented.contains(&"transaction"))
        };
        codes(ON_SYSTEM.into_iter().filter(has), &mut out);
        self.search_parameters(&mut out);
        let own = |name: &&str| implemented.contains(name);
        let own = OWN_OPERATIONS.into_iter().filter(own);
        let own = own.map(|name| {
            (
                name,
                format!("https://insula.dev/OperationDefinition/{name}"),
            )
        });
        let standard = offered(self.model(), None);
        let standard = standard.filter(|operation| implemented.contains(&operation.name));
        let standard = standard.map(|o| (o.name, o.definition.to_owned()));
        operations(standard.chain(own), &mut out);
        let model = self.model();
        let heads = model.compartments().iter();
        let heads =
            heads.map(|compartment| model.type_name(compartment.type_id).to_ascii_lowercase());
        list(
            "compartment",
            heads.map(|of| format!("http://hl7.org/fhir/CompartmentDefinition/{of}")),
            &mut out,
        );
        out.push_str("}]}");
        out.into()
    }

    /// `rest.searchParam`: what searches over all types take.
    fn search_parameters(&self, out: &mut String) {
        let model = self.model();
        out.push_str(",\"searchParam\":[");
        let of = model.type_id("Basic");
        let params = of.map(|of| served(model, of)).unwrap_or_default();
        let shared = params.iter().map(|s| s.param);
        for param in shared.filter(|p| p.code.starts_with('_')) {
            out.push_str("{\"name\":");
            push_json_string(param.code, out);
            out.push_str(",\"definition\":");
            push_json_string(param.url, out);
            let _ = write!(out, ",\"type\":\"{}\"}},", param.kind.as_str());
        }
        let r5 = model.version() >= FhirVersion::R5;
        let more = [("_in", "reference")].into_iter().filter(|_| r5);
        for (name, kind) in SPECIAL.into_iter().chain(more) {
            let _ = write!(out, "{{\"name\":\"{name}\",\"type\":\"{kind}\"}},");
        }
        out.push_str("{\"name\":\"_type\",\"type\":\"special\"}]");
    }

    fn security(&self, out: &mut String) {
        let cors = !self
            .house
            .origins(Some(self.tenant.name().as_str()))
            .is_empty();
        let _ = write!(out, ",\"security\":{{\"cors\":{cors},");
        out.push_str("\"service\":[{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/restful-security-service\",\"code\":\"SMART-on-FHIR\"}]},{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/restful-security-service\",\"code\":\"Basic\"}]}],\"extension\":[{\"url\":\"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris\",\"extension\":[{\"url\":\"token\",\"valueUri\":");
        push_json_string(&self.links.token(), out);
        for (name, page) in [
            ("authorize", "/authorize"),
            ("introspect", "/introspect"),
            ("revoke", "/revoke"),
            ("manage", "/account"),
        ] {
            let _ = write!(out, "}},{{\"url\":\"{name}\",\"valueUri\":");
            push_json_string(&self.links.auth(page), out);
        }
        out.push_str("}]}]}");
    }

    /// The public key that checks this tenant's tokens: 32 bytes, base64url.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn public_key(&self) -> Result<String, Failure> {
        let key = self.house.0.store.tenant(&self.tenant).token_key().await?;
        Ok(URL_SAFE_NO_PAD.encode(key.public()))
    }
}

/// The entries of `rest.resource`.
fn resources(
    model: &'static Model,
    implemented: &[&str],
    policy: ReferencePolicy,
    customs: &Customs,
) -> String {
    let params: Vec<(TypeId, Vec<&'static Param>)> = model
        .types()
        .map(|t| (t, served(model, t).into_iter().map(|s| s.param).collect()))
        .collect();
    let mut out = String::new();
    for (type_id, own) in &params {
        if !out.is_empty() {
            out.push(',');
        }
        let pointing = params.iter().flat_map(|(other, params)| {
            let name = model.type_name(*other);
            let points =
                |p: &&&Param| p.kind == ParamKind::Reference && p.targets.contains(type_id);
            params
                .iter()
                .filter(points)
                .map(move |p| format!("{name}:{}", p.code))
        });
        resource(
            model,
            *type_id,
            (own, pointing.collect()),
            implemented,
            policy,
            customs,
            &mut out,
        );
    }
    out
}

fn resource(
    model: &'static Model,
    type_id: TypeId,
    (params, pointing): (&[&'static Param], Vec<String>),
    implemented: &[&str],
    policy: ReferencePolicy,
    customs: &Customs,
    out: &mut String,
) {
    let name = model.type_name(type_id);
    let has = |code: &str| implemented.contains(&code);
    let _ = write!(
        out,
        "{{\"type\":\"{name}\",\"profile\":\"http://hl7.org/fhir/StructureDefinition/{name}\",\"interaction\":"
    );
    codes(ON_TYPES.into_iter().filter(|c| has(c)), out);
    let policy = match policy {
        ReferencePolicy::Literal => "\"literal\"",
        ReferencePolicy::Enforced => "\"literal\",\"enforced\"",
    };
    let conditional_delete = if has("delete-conditional") {
        "single"
    } else {
        "not-supported"
    };
    let _ = write!(
        out,
        ",\"versioning\":\"versioned-update\",\"readHistory\":{},\"updateCreate\":true,\
         \"conditionalCreate\":{},\"conditionalRead\":\"full-support\",\"conditionalUpdate\":{},\
         \"conditionalDelete\":\"{conditional_delete}\",\"referencePolicy\":[{policy}]",
        has("vread"),
        has("create"),
        has("update-conditional"),
    );
    // An element of R5 and later.
    if has("patch-conditional") && model.version() >= FhirVersion::R5 {
        out.push_str(",\"conditionalPatch\":true");
    }
    let own: Vec<&Custom> = customs
        .iter()
        .filter(|c| c.serves && c.definition.type_id == type_id)
        .collect();
    let references = params
        .iter()
        .filter(|p| p.kind == ParamKind::Reference)
        .map(|p| p.code)
        .chain(
            own.iter()
                .filter(|c| c.definition.kind == ParamKind::Reference)
                .map(|c| c.definition.code.as_str()),
        );
    // The trail is searched event by event (`search-modifier`).
    let trail = name == "AuditEvent";
    if !trail {
        list(
            "searchInclude",
            references.map(|code| format!("{name}:{code}")),
            out,
        );
        list("searchRevInclude", pointing.into_iter(), out);
    }
    let own: &[&Custom] = if trail { &[] } else { &own };
    out.push_str(",\"searchParam\":[");
    let known = params
        .iter()
        .filter(|p| !(trail && NOT_OF_TRAIL.contains(&p.code)));
    for (i, param) in known.enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str("{\"name\":");
        push_json_string(param.code, out);
        if !param.url.is_empty() {
            out.push_str(",\"definition\":");
            push_json_string(param.url, out);
        }
        let _ = write!(out, ",\"type\":\"{}\"}}", param.kind.as_str());
    }
    for custom in own {
        let definition = &custom.definition;
        out.push_str(",{\"name\":");
        push_json_string(&definition.code, out);
        if !definition.url.is_empty() {
            out.push_str(",\"definition\":");
            push_json_string(&definition.url, out);
        }
        let _ = write!(out, ",\"type\":\"{}\"}}", definition.kind.as_str());
    }
    // No elements of a type are behind these.
    let r5 = model.version() >= FhirVersion::R5;
    let more = [("_in", "reference")].into_iter().filter(|_| r5);
    let more = SPECIAL.into_iter().chain(more);
    for (name, kind) in more.filter(|(name, _)| !trail || *name == "_filter") {
        let _ = write!(out, ",{{\"name\":\"{name}\",\"type\":\"{kind}\"}}");
    }
    out.push(']');
    let offered = offered(model, Some(name));
    let offered = offered.filter(|operation| implemented.contains(&operation.name));
    operations(offered.map(|o| (o.name, o.definition.to_owned())), out);
    out.push('}');
}

fn operations(offered: impl Iterator<Item = (&'static str, String)>, out: &mut String) {
    let mut any = false;
    for (name, definition) in offered {
        out.push_str(if any { "," } else { ",\"operation\":[" });
        any = true;
        let _ = write!(out, "{{\"name\":\"{name}\",\"definition\":");
        push_json_string(&definition, out);
        out.push('}');
    }
    if any {
        out.push(']');
    }
}

fn codes<'c>(codes: impl Iterator<Item = &'c str>, out: &mut String) {
    out.push('[');
    for (i, code) in codes.enumerate() {
        if i > 0 {
            out.push(',');
        }
        let _ = write!(out, "{{\"code\":\"{code}\"}}");
    }
    out.push(']');
}

fn list(name: &str, items: impl Iterator<Item = String>, out: &mut String) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    let _ = write!(out, ",\"{name}\":[");
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(',');
        }
        push_json_string(&item, out);
    }
    out.push(']');
}
