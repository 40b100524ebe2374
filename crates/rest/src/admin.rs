//! The admin API: tenants, clients, imports, keys. For the operator; JSON in, JSON out.

use axum::body::Body;
use base::Code;
use engine::{
    AccessAsked, ClientDraft, Failure, Operator, PersonDraft, ProofOf, ProviderDraft,
    RegistrationDecision, RestoreClients, TenantDraft, TenantPatch,
};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::call::Call;
use engine::form;

mod document;
pub(crate) mod report;

pub(crate) use document::held_against;
pub use document::openapi as openapi_document;

/// `GET /admin/v1/openapi.json`
pub(crate) async fn openapi(_: Call) -> Result<Response<Body>, Failure> {
    answer(StatusCode::OK, &document::openapi())
}

pub(crate) fn answer<T: Serialize>(
    status: StatusCode,
    body: &T,
) -> Result<Response<Body>, Failure> {
    let text = serde_json::to_vec(body).map_err(|_| Failure::of(Code::Internal))?;
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

pub(crate) fn done() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

pub(crate) fn located(mut response: Response<Body>, location: &str) -> Response<Body> {
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

pub(crate) fn number<T: std::str::FromStr>(
    call: &Call,
    name: &'static str,
) -> Result<Option<T>, Failure> {
    let text = form::first(call.query(), name);
    text.map(|t| t.parse())
        .transpose()
        .map_err(|_| Failure::new(Code::RequestInvalid, format!("{name} is a number")))
}

/// `GET /admin/v1/tenants?after=&limit=`
pub(crate) async fn list_tenants(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let after = form::first(call.query(), "after");
    let limit = number(&call, "limit")?.unwrap_or(100);
    answer(
        StatusCode::OK,
        &by.list_tenants(after.as_deref(), limit).await?,
    )
}

/// `POST /admin/v1/tenants`
pub(crate) async fn create_tenant(by: Operator, mut call: Call) -> Result<Response<Body>, Failure> {
    let draft: TenantDraft = call.json().await?;
    let location = format!("/admin/v1/tenants/{}", draft.name);
    let made = answer(StatusCode::CREATED, &by.create_tenant(draft).await?)?;
    Ok(located(made, &location))
}

/// `GET /admin/v1/tenants/{name}`
pub(crate) async fn show_tenant(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    answer(StatusCode::OK, &by.show_tenant(call.value("name")).await?)
}

/// `PATCH /admin/v1/tenants/{name}`
pub(crate) async fn change_tenant(by: Operator, mut call: Call) -> Result<Response<Body>, Failure> {
    let patch: TenantPatch = call.json().await?;
    answer(
        StatusCode::OK,
        &by.change_tenant(call.value("name"), patch).await?,
    )
}

/// `DELETE /admin/v1/tenants/{name}?confirm={name}&grace=seconds`
pub(crate) async fn delete_tenant(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let confirm = form::first(call.query(), "confirm");
    let grace = number(&call, "grace")?;
    let name = call.value("name");
    let left = by.delete_tenant(name, confirm.as_deref(), grace).await?;
    let response = answer(StatusCode::ACCEPTED, &left)?;
    Ok(located(
        response,
        &format!("/admin/v1/tenants/{name}/receipt"),
    ))
}

/// `POST /admin/v1/tenants/{name}/suspend`
pub(crate) async fn suspend_tenant(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    answer(
        StatusCode::OK,
        &by.suspend_tenant(call.value("name")).await?,
    )
}

/// `POST /admin/v1/tenants/{name}/resume`
pub(crate) async fn resume_tenant(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    answer(StatusCode::OK, &by.resume_tenant(call.value("name")).await?)
}

/// `GET /admin/v1/tenants/{name}/receipt`
pub(crate) async fn receipt(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let receipt = by.receipt(call.value("name")).await?;
    let mut response = Response::new(Body::from(receipt));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

/// `POST /admin/v1/tenants/{name}/verify`
pub(crate) async fn verify_tenant(by: Operator, mut call: Call) -> Result<Response<Body>, Failure> {
    let heads = match call.json_if_any::<VerifyAgainst>().await? {
        Some(against) => against.heads,
        None => Vec::new(),
    };
    let lines = heads.iter().map(serde_json::Value::to_string).collect();
    let report = by.verify_tenant(call.value("name"), lines).await?;
    answer(StatusCode::OK, &report)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decided {
    by: String,
    reason: String,
}

/// `POST /admin/v1/tenants/{name}/begin-anew`
pub(crate) async fn begin_anew(by: Operator, mut call: Call) -> Result<Response<Body>, Failure> {
    let said: Decided = call.json().await?;
    by.begin_anew(call.value("name"), &said.by, &said.reason)
        .await?;
    Ok(done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyAgainst {
    heads: Vec<serde_json::Value>,
}

/// `GET /admin/v1/audit/shipping`
pub(crate) async fn audit_shipping(_: Operator, call: Call) -> Result<Response<Body>, Failure> {
    answer(
        StatusCode::OK,
        &json!({
            "shippers": call.house.shippers().await,
            "heads": call.house.head_tellers(),
        }),
    )
}

/// `GET /admin/v1/tenants/{name}/audit/head`
pub(crate) async fn audit_head(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let line = by.audit_head(call.value("name")).await?;
    let head: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
    answer(StatusCode::OK, &head)
}

/// `GET /admin/v1/tenants/{name}/audit/proof?record=&from=&size=`
pub(crate) async fn audit_proof(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let what = match (number(&call, "record")?, number(&call, "from")?) {
        (Some(record), None) => ProofOf::Record(record),
        (None, Some(from)) => ProofOf::Growth(from),
        _ => {
            let text = "a proof is of a record, or from a size on: record or from";
            return Err(Failure::new(Code::RequestInvalid, text));
        }
    };
    let size = number(&call, "size")?;
    let proof = by.audit_proof(call.value("name"), what, size).await?;
    answer(StatusCode::OK, &proof)
}

/// `GET /admin/v1/tenants/{name}/audit?after=&limit=`
pub(crate) async fn read_audit(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let after = number(&call, "after")?.unwrap_or(0);
    let limit = number(&call, "limit")?.unwrap_or(100);
    let page = by.read_audit(call.value("name"), after, limit).await?;
    answer(StatusCode::OK, &page)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BackupFile {
    file: String,
    #[serde(default)]
    reason: Option<String>,
}

/// `POST /admin/v1/tenants/{name}/backup`
pub(crate) async fn back_up_tenant(
    by: Operator,
    mut call: Call,
) -> Result<Response<Body>, Failure> {
    let BackupFile { file, reason } = call.json().await?;
    let made = by.back_up_tenant(call.value("name"), &file, reason.as_deref());
    let (path, quarantined) = made.await?;
    let path = path.display().to_string();
    answer(
        StatusCode::CREATED,
        &json!({ "file": file, "path": path, "quarantined": quarantined }),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Restore {
    file: String,
    #[serde(default)]
    clients: RestoreClients,
    #[serde(default)]
    display: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

/// `POST /admin/v1/tenants/{name}/restore`: makes the tenant of this name from a backup.
pub(crate) async fn restore_tenant(
    by: Operator,
    mut call: Call,
) -> Result<Response<Body>, Failure> {
    let Restore {
        file,
        clients,
        display,
        reason,
    } = call.json().await?;
    let name = call.value("name");
    let with = (clients, reason.as_deref());
    let view = by.restore_tenant(&file, (name, display), with).await?;
    Ok(located(
        answer(StatusCode::CREATED, &view)?,
        &format!("/admin/v1/tenants/{name}"),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportReason {
    reason: String,
}

/// `POST /admin/v1/tenants/{name}/imports`
pub(crate) async fn open_import(by: Operator, mut call: Call) -> Result<Response<Body>, Failure> {
    let ImportReason { reason } = call.json().await?;
    let name = call.value("name");
    let opened = by.open_import(name, &reason).await?;
    let location = format!("/admin/v1/tenants/{name}/imports/{}", opened.import_id());
    Ok(located(answer(StatusCode::CREATED, &opened)?, &location))
}

/// `GET /admin/v1/tenants/{name}/imports`
pub(crate) async fn list_imports(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let imports = by.list_imports(call.value("name")).await?;
    answer(StatusCode::OK, &json!({ "imports": imports }))
}

/// `POST /admin/v1/tenants/{name}/imports/{import_id}/renew`
pub(crate) async fn renew_import(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let (name, import) = (call.value("name"), call.value("import_id"));
    let renewed = by.renew_import(name, import).await?;
    answer(StatusCode::OK, &renewed)
}

/// `DELETE /admin/v1/tenants/{name}/imports/{import_id}`
pub(crate) async fn revoke_import(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    by.revoke_import(call.value("name"), call.value("import_id"))
        .await?;
    Ok(done())
}

/// `GET /admin/v1/tenants/{name}/audit/report?patient=&actor=&from=&to=&format=&by=`
pub(crate) async fn report(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let wanted = ReportWanted::of(&call)?;
    let name = call.value("name").to_owned();
    drop(call);
    let report = by.accesses(&name, &wanted.asked()).await?;
    wanted.told(&name, &report)
}

/// What a report of accesses is asked with.
pub(crate) struct ReportWanted {
    patient: Option<String>,
    actor: Option<String>,
    from: Option<String>,
    to: Option<String>,
    format: String,
    listed: report::Listed,
}

impl ReportWanted {
    pub(crate) fn of(call: &Call) -> Result<Self, Failure> {
        let [patient, actor, from, to, format, by_what] =
            ["patient", "actor", "from", "to", "format", "by"].map(|name| {
                let text = form::first(call.query(), name)?.trim().to_owned();
                // A form sends what nobody filled in, too.
                (!text.is_empty()).then_some(text)
            });
        let (format, by_what) = (format.unwrap_or_default(), by_what.unwrap_or_default());
        let listed = match &*by_what {
            "" | "access" => Some(report::Listed::Accesses),
            "patient" => Some(report::Listed::Patients),
            "opening" => Some(report::Listed::Openings),
            _ => None,
        };
        let known = matches!(&*format, "" | "json" | "csv" | "html");
        let Some(listed) = listed.filter(|_| known) else {
            let text = "format is json, csv or html, and by is access, patient or opening";
            return Err(Failure::new(Code::RequestInvalid, text));
        };
        Ok(Self {
            patient,
            actor,
            from,
            to,
            format,
            listed,
        })
    }

    pub(crate) fn asked(&self) -> AccessAsked<'_> {
        AccessAsked {
            patient: self.patient.as_deref(),
            actor: self.actor.as_deref(),
            from: self.from.as_deref(),
            to: self.to.as_deref(),
        }
    }

    /// Whether nothing is asked at all.
    pub(crate) const fn is_empty(&self) -> bool {
        self.patient.is_none() && self.actor.is_none() && self.format.is_empty()
    }

    pub(crate) fn told(
        &self,
        tenant: &str,
        report: &engine::AccessReport,
    ) -> Result<Response<Body>, Failure> {
        match &*self.format {
            "csv" => Ok(report::csv(report, self.listed)),
            "html" => Ok(report::html(tenant, &self.asked(), report, self.listed)),
            _ => answer(StatusCode::OK, report),
        }
    }
}

/// `GET /admin/v1/tenants/{name}/clients`
pub(crate) async fn list_clients(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let clients = by.list_clients(call.value("name")).await?;
    answer(StatusCode::OK, &json!({ "clients": clients }))
}

/// `POST /admin/v1/tenants/{name}/clients`
pub(crate) async fn create_client(by: Operator, mut call: Call) -> Result<Response<Body>, Failure> {
    let draft: ClientDraft = call.json().await?;
    let name = call.value("name");
    let made = by.create_client(name, draft).await?;
    let location = format!("/admin/v1/tenants/{name}/clients/{}", made.client_id());
    Ok(located(answer(StatusCode::CREATED, &made)?, &location))
}

/// `GET /admin/v1/tenants/{name}/registrations`
pub(crate) async fn list_registrations(
    by: Operator,
    call: Call,
) -> Result<Response<Body>, Failure> {
    let all = by.list_registrations(call.value("name")).await?;
    answer(StatusCode::OK, &json!({ "registrations": all }))
}

/// `POST /admin/v1/tenants/{name}/registrations/{client_id}`
pub(crate) async fn decide_registration(
    by: Operator,
    mut call: Call,
) -> Result<Response<Body>, Failure> {
    let decision: RegistrationDecision = call.json().await?;
    let (name, id) = (call.value("name"), call.value("client_id"));
    let made = by.decide_registration(name, id, decision).await?;
    crate::auth::registrations::decided(made.as_ref())
}

/// `DELETE /admin/v1/tenants/{name}/clients/{client_id}`
pub(crate) async fn revoke_client(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    by.revoke_client(call.value("name"), call.value("client_id"))
        .await?;
    Ok(done())
}

/// `GET /admin/v1/tenants/{name}/people`
pub(crate) async fn list_people(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let people = by.list_people(call.value("name")).await?;
    answer(StatusCode::OK, &json!({ "people": people }))
}

/// `POST /admin/v1/tenants/{name}/people`: the tenant's first administrator.
pub(crate) async fn create_person(by: Operator, mut call: Call) -> Result<Response<Body>, Failure> {
    let draft: PersonDraft = call.json().await?;
    let name = call.value("name");
    let made = by.create_person(name, draft).await?;
    let location = format!("/admin/v1/tenants/{name}/people/{}", made.person.id);
    Ok(located(answer(StatusCode::CREATED, &made)?, &location))
}

/// `DELETE /admin/v1/tenants/{name}/people/{person}`: they may not sign in any more.
pub(crate) async fn disable_person(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    by.disable_person(call.value("name"), call.value("person"))
        .await?;
    Ok(done())
}

/// `POST /admin/v1/tenants/{name}/people/{person}/invitation`: another link for the administrator.
pub(crate) async fn invite_person(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let (name, person) = (call.value("name"), call.value("person"));
    answer(StatusCode::CREATED, &by.invite_person(name, person).await?)
}

/// `GET /admin/v1/tenants/{name}/identity-providers`
pub(crate) async fn list_providers(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let providers = by.list_providers(call.value("name")).await?;
    answer(StatusCode::OK, &json!({ "identity_providers": providers }))
}

/// `POST /admin/v1/tenants/{name}/identity-providers`: a new one, or in the place of the one of its id.
pub(crate) async fn set_provider(by: Operator, mut call: Call) -> Result<Response<Body>, Failure> {
    let draft: ProviderDraft = call.json().await?;
    let name = call.value("name");
    let set = by.set_provider(name, draft).await?;
    let location = format!("/admin/v1/tenants/{name}/identity-providers/{}", set.id());
    Ok(located(answer(StatusCode::CREATED, &set)?, &location))
}

/// `DELETE /admin/v1/tenants/{name}/identity-providers/{provider}`
pub(crate) async fn drop_provider(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    by.drop_provider(call.value("name"), call.value("provider"))
        .await?;
    Ok(done())
}

/// `POST /admin/v1/tenants/{name}/signing-keys`
pub(crate) async fn rotate_signing_key(
    by: Operator,
    call: Call,
) -> Result<Response<Body>, Failure> {
    let kid = by.rotate_signing_key(call.value("name")).await?;
    answer(StatusCode::CREATED, &json!({ "kid": kid }))
}

/// `POST /admin/v1/key/rotate`
pub(crate) async fn rotate_key(by: Operator, _: Call) -> Result<Response<Body>, Failure> {
    answer(
        StatusCode::OK,
        &json!({ "rewrapped": by.rotate_key().await? }),
    )
}
