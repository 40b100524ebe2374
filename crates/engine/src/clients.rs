//! API clients of a tenant.

use std::sync::Arc;

use access::{ClientId, ClientRecord, NewClient, Reason, RoleAt, ScopeContext, Scopes};
use base::{Code, Rng, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fhir::definitions::Model;
use serde::{Deserialize, Serialize};
use store::TenantStore;

use crate::auth::is_usable_jwks;
use crate::failure::Failure;
use crate::tenants::Operator;

/// A client to be made, as the admin API takes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientDraft {
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Its public keys as a JWK Set, for `private_key_jwt`.
    #[serde(default)]
    pub jwks: Option<serde_json::Value>,
    /// The roles by which the tenant's policy governs it: `name`, or `name@Organization/id`. Without,
    /// its scopes are all that it has.
    #[serde(default)]
    pub roles: Option<Vec<String>>,
}

/// A client, as the admin API shows it.
#[derive(Debug, Serialize)]
pub struct ClientView {
    client_id: String,
    name: String,
    scopes: Vec<String>,
    jwks: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
    revoked: bool,
}

/// A client that was just made: the only time its secret is shown.
#[derive(Serialize)]
pub struct ClientMade {
    #[serde(flatten)]
    view: ClientView,
    client_secret: String,
    token_url: String,
}

impl std::fmt::Debug for ClientMade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.view.fmt(f)
    }
}

impl ClientMade {
    /// The client's id.
    pub fn client_id(&self) -> &str {
        &self.view.client_id
    }
}

const NAME_BYTES_MAX: usize = 200;

impl Operator {
    /// Makes an API client with a fresh id and secret.
    ///
    /// # Errors
    /// `tenant-unknown`, `scope-invalid`, `request-invalid`.
    pub async fn create_client(
        &self,
        tenant: &str,
        draft: ClientDraft,
    ) -> Result<ClientMade, Failure> {
        let (tenant, data) = self.tenant(tenant)?;
        printable(&draft.name, NAME_BYTES_MAX, "name has 1 to 200 bytes")?;
        let scopes = Scopes::parse(&draft.scopes.join(" "), Model::of(tenant.fhir()))
            .map_err(|e| Failure::new(Code::ScopeInvalid, e.to_string()))?;
        if scopes.only(&[ScopeContext::System]).as_str() != scopes.as_str() {
            return Err(Failure::new(
                Code::ScopeInvalid,
                "a client without a person has scopes of the form system/Type.cruds",
            ));
        }
        let jwks = draft.jwks.map(|set| set.to_string());
        if jwks.as_ref().is_some_and(|set| !is_usable_jwks(set)) {
            return Err(Failure::new(
                Code::RequestInvalid,
                "jwks is a JWK Set of public RSA or EC keys",
            ));
        }
        let roles = draft.roles.as_deref().map(held).transpose()?;
        let rng = &self.house.0.rng;
        let id = fresh_id(&**rng)?;
        let secret = Secret::new(URL_SAFE_NO_PAD.encode(rng.bytes::<32>()));
        let new = NewClient {
            id,
            name: draft.name,
            scopes,
            jwks,
            import: None,
            roles,
        };
        let permit = self.system(Reason::Operation, &tenant)?;
        let record = data.create_client(permit, new, &secret).await?;
        Ok(ClientMade {
            view: view(&record),
            client_secret: secret.expose().clone(),
            token_url: self.links(&tenant).token(),
        })
    }

    /// All API clients of a tenant.
    ///
    /// # Errors
    /// `tenant-unknown`.
    pub async fn list_clients(&self, tenant: &str) -> Result<Vec<ClientView>, Failure> {
        let (tenant, data) = self.tenant(tenant)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        let all = data.clients(permit).await?;
        Ok(all
            .iter()
            .filter(|c| c.import.is_none())
            .map(view)
            .collect())
    }

    /// Revokes a client, from the next request on.
    ///
    /// # Errors
    /// `tenant-unknown`, `client-unknown`.
    pub async fn revoke_client(&self, tenant: &str, client: &str) -> Result<(), Failure> {
        let (tenant, data) = self.tenant(tenant)?;
        let id = known(&data, client, false).await?.id;
        let permit = self.system(Reason::Operation, &tenant)?;
        Ok(data.revoke_client(permit, &id).await?)
    }
}

/// Roles as they are written: `clinician@Organization/1`, `auditor`.
pub(crate) fn held(roles: &[String]) -> Result<Arc<[RoleAt]>, Failure> {
    let role = |text: &String| {
        RoleAt::parse(text).ok_or_else(|| {
            let text = "a role is a name, or name@Organization/id, or name@Location/id";
            Failure::new(Code::RequestInvalid, text)
        })
    };
    roles.iter().map(role).collect()
}

fn view(record: &ClientRecord) -> ClientView {
    ClientView {
        client_id: record.id.as_str().to_owned(),
        name: record.name.clone(),
        scopes: record
            .scopes
            .as_str()
            .split(' ')
            .map(str::to_owned)
            .collect(),
        jwks: record.jwks.is_some(),
        roles: record
            .roles
            .as_ref()
            .map(|roles| roles.iter().map(ToString::to_string).collect()),
        revoked: record.revoked,
    }
}

pub(crate) fn fresh_id(rng: &dyn Rng) -> Result<ClientId, Failure> {
    let id = format!("{:016x}", u64::from_be_bytes(rng.bytes()));
    ClientId::new(&id).ok_or(Failure::of(Code::Internal))
}

/// A client, or a way in for bulk loading, that was made.
pub(crate) async fn known(
    data: &TenantStore,
    id: &str,
    import: bool,
) -> Result<ClientRecord, Failure> {
    let unknown = || Failure::of(Code::ClientUnknown);
    let id = ClientId::new(id).ok_or_else(unknown)?;
    let found = data.client(&id).await?;
    found
        .filter(|record| record.import.is_some() == import)
        .ok_or_else(unknown)
}

pub(crate) fn printable(text: &str, max: usize, wanted: &'static str) -> Result<(), Failure> {
    if text.is_empty() || text.len() > max || text.contains(char::is_control) {
        return Err(Failure::new(Code::RequestInvalid, wanted));
    }
    Ok(())
}
