//! Ways in for bulk loading: opened by the operator with a reason, for a time; each writes what its
//! scopes name and shows nothing, is listed, and can be revoked.
//!
//! A token of one lives for minutes and is renewed by whoever holds the operator's token, as long as
//! the way in is open. On each request the way in itself is looked at, like any client.

use access::{
    CertificateTerms, ClientRecord, ImportTimes, Issuing, NewClient, Reason, Scopes, TenantId,
};
use base::{Code, Micros};
use fhir::definitions::Model;
use serde::Serialize;
use store::TenantStore;

use crate::clients::{fresh_id, known, printable};
use crate::failure::Failure;
use crate::tenants::Operator;

/// A token of a way in.
#[derive(Serialize)]
pub struct ImportOpened {
    import_id: String,
    /// The actor that audit lines name is `import:` and this.
    import: String,
    access_token: String,
    expires_in: i64,
    until: String,
    base: String,
}

impl std::fmt::Debug for ImportOpened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ImportOpened({})", self.import_id)
    }
}

impl ImportOpened {
    /// The id of the way in.
    pub fn import_id(&self) -> &str {
        &self.import_id
    }
}

/// A way in, as the admin API shows it.
#[derive(Debug, Serialize)]
pub struct ImportView {
    import_id: String,
    reason: String,
    opened: String,
    until: String,
    state: &'static str,
}

const REASON_CHARACTERS_MAX: usize = 80;

impl Operator {
    /// Opens a way in for bulk loading. Every write made through it names it, with the reason, in
    /// the tenant's audit log.
    ///
    /// # Errors
    /// `tenant-unknown`, `request-invalid`.
    pub async fn open_import(&self, tenant: &str, reason: &str) -> Result<ImportOpened, Failure> {
        let (tenant, data) = self.tenant(tenant)?;
        printable(
            reason,
            REASON_CHARACTERS_MAX,
            "reason has 1 to 80 characters",
        )?;
        let opened = self.request.at;
        let scopes = Scopes::parse(Scopes::IMPORT, Model::of(tenant.fhir()))
            .map_err(|_| Failure::of(Code::Internal))?;
        let new = NewClient {
            id: fresh_id(&*self.house.0.rng)?,
            name: reason.to_owned(),
            scopes,
            jwks: None,
            roles: None,
            vendor: None,
            certificates: CertificateTerms::default(),
            about: access::ClientAbout::default(),
            made: None,
            import: Some(ImportTimes {
                opened,
                until: opened.plus_secs(self.house.0.config.import_seconds_max),
            }),
            program: None,
        };
        let permit = self.system(Reason::Operation, &tenant)?;
        let record = data.open_import(permit, new).await?;
        self.token(&tenant, &data, &record).await
    }

    /// Gives another token of a way in that is still open.
    ///
    /// # Errors
    /// `tenant-unknown`, `client-unknown`, `import-ended`.
    pub async fn renew_import(&self, tenant: &str, import: &str) -> Result<ImportOpened, Failure> {
        let (tenant, data) = self.tenant(tenant)?;
        let record = known(&data, import, true).await?;
        self.token(&tenant, &data, &record).await
    }

    async fn token(
        &self,
        tenant: &TenantId,
        data: &TenantStore,
        record: &ClientRecord,
    ) -> Result<ImportOpened, Failure> {
        let (config, rng, now) = (&self.house.0.config, &self.house.0.rng, self.request.at);
        let until = record.import.map_or(now, |times| times.until);
        if !record.is_good(now) {
            return Err(Failure::of(Code::ImportEnded));
        }
        let permit = self.system(Reason::Operation, tenant)?;
        data.renewing_import(permit, &record.id).await?;
        let links = self.links(tenant);
        let life = config.import_token_seconds;
        let key = data.token_key().await?;
        let scopes = &record.scopes;
        let token = key.issue(
            record,
            scopes,
            Issuing {
                issuer: &links.issuer(),
                now,
                lifetime_secs: life,
                random: rng.bytes(),
                certificate: None,
            },
        );
        let actor = record.actor();
        let import = actor.as_str().trim_start_matches("import:").to_owned();
        Ok(ImportOpened {
            import_id: record.id.as_str().to_owned(),
            import,
            access_token: token.ok_or(Failure::of(Code::Internal))?,
            expires_in: life.min(until.as_secs() - now.as_secs()),
            until: until.instant().to_string(),
            base: links.fhir(),
        })
    }

    /// Ways in of a tenant, the newest first; those that ended long ago are left out.
    ///
    /// # Errors
    /// `tenant-unknown`.
    pub async fn list_imports(&self, tenant: &str) -> Result<Vec<ImportView>, Failure> {
        let (tenant, data) = self.tenant(tenant)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        let all = data.clients(permit).await?;
        let mut imports: Vec<(Micros, ImportView)> = all
            .iter()
            .filter_map(|record| {
                let times = record.import?;
                Some((times.opened, view(record, times, self.request.at)))
            })
            .collect();
        imports.sort_by_key(|(opened, _)| std::cmp::Reverse(*opened));
        Ok(imports.into_iter().map(|(_, view)| view).collect())
    }

    /// Revokes a way in, from its next request on.
    ///
    /// # Errors
    /// `tenant-unknown`, `client-unknown`.
    pub async fn revoke_import(&self, tenant: &str, import: &str) -> Result<(), Failure> {
        let (tenant, data) = self.tenant(tenant)?;
        let id = known(&data, import, true).await?.id;
        let permit = self.system(Reason::Operation, &tenant)?;
        Ok(data.revoke_client(permit, &id).await?)
    }
}

fn view(record: &ClientRecord, times: ImportTimes, now: Micros) -> ImportView {
    ImportView {
        import_id: record.id.as_str().to_owned(),
        reason: record.name.clone(),
        opened: times.opened.instant().to_string(),
        until: times.until.instant().to_string(),
        state: match (record.revoked, now < times.until) {
            (true, _) => "revoked",
            (false, true) => "open",
            (false, false) => "ended",
        },
    }
}
