//! API clients of a tenant, and timed ways in for bulk loading.

use access::{ClientId, ClientRecord, NewClient, Reason, Scopes};
use base::{Code, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fhir::definitions::Model;
use serde::{Deserialize, Serialize};

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
}

/// A client, as the admin API shows it.
#[derive(Debug, Serialize)]
pub struct ClientView {
    client_id: String,
    name: String,
    scopes: Vec<String>,
    jwks: bool,
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

/// A timed way in for bulk loading.
#[derive(Serialize)]
pub struct ImportOpened {
    /// The actor that audit lines name is `import:` and this.
    import: String,
    access_token: String,
    expires_in: i64,
    base: String,
}

impl std::fmt::Debug for ImportOpened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ImportOpened(…)")
    }
}

const NAME_BYTES_MAX: usize = 200;
const REASON_BYTES_MAX: usize = 200;

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
        let jwks = draft.jwks.map(|set| set.to_string());
        if jwks.as_ref().is_some_and(|set| !is_usable_jwks(set)) {
            return Err(Failure::new(
                Code::RequestInvalid,
                "jwks is a JWK Set of public RSA or EC keys",
            ));
        }
        let rng = &self.house.0.rng;
        let id = format!("{:016x}", u64::from_be_bytes(rng.bytes()));
        let id = ClientId::new(&id).ok_or(Failure::of(Code::Internal))?;
        let secret = Secret::new(URL_SAFE_NO_PAD.encode(rng.bytes::<32>()));
        let new = NewClient {
            id,
            name: draft.name,
            scopes,
            jwks,
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
        Ok(data.clients(permit).await?.iter().map(view).collect())
    }

    /// Revokes a client, from the next request on.
    ///
    /// # Errors
    /// `tenant-unknown`, `client-unknown`.
    pub async fn revoke_client(&self, tenant: &str, client: &str) -> Result<(), Failure> {
        let (tenant, data) = self.tenant(tenant)?;
        let id = ClientId::new(client).ok_or(Failure::of(Code::ClientUnknown))?;
        let permit = self.system(Reason::Operation, &tenant)?;
        Ok(data.revoke_client(permit, &id).await?)
    }

    /// Opens a timed way in for bulk loading. Every write made through it names it, with the
    /// reason, in the tenant's audit log.
    ///
    /// # Errors
    /// `tenant-unknown`, `request-invalid`.
    pub async fn open_import(&self, tenant: &str, reason: &str) -> Result<ImportOpened, Failure> {
        let (tenant, data) = self.tenant(tenant)?;
        printable(reason, REASON_BYTES_MAX, "reason has 1 to 200 bytes")?;
        let rng = &self.house.0.rng;
        let import = format!("{} {reason}", URL_SAFE_NO_PAD.encode(rng.bytes::<6>()));
        let links = self.links(&tenant);
        let life = self.house.0.config.import_token_seconds;
        let permit = self.system(Reason::Operation, &tenant)?;
        let key = data.import_key(permit, &import).await?;
        let token = key.issue_import(links.issuer(), &import, self.request.at, life, rng.bytes());
        let access_token = token.ok_or(Failure::of(Code::Internal))?;
        Ok(ImportOpened {
            import,
            access_token,
            expires_in: life,
            base: links.fhir(),
        })
    }
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
        revoked: record.revoked,
    }
}

fn printable(text: &str, max: usize, wanted: &'static str) -> Result<(), Failure> {
    if text.is_empty() || text.len() > max || text.contains(char::is_control) {
        return Err(Failure::new(Code::RequestInvalid, wanted));
    }
    Ok(())
}
