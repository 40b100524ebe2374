//! What the operator does with tenants: make, list, change, suspend, resume, delete, verify, back
//! up, restore. None of it reads patients' data.

use std::path::PathBuf;

use access::{
    Action, Administer, HousePermit, Permit, Principal, Reason, RequestMeta, TenantId, Why,
    decide_house, decide_operator,
};
use base::{Code, TenantName};
use fhir::definitions::FhirVersion;
use serde::{Deserialize, Serialize};
use store::{
    KeptClients, NewTenant, RestoreClients, SettingsPatch, State, Store, TenantInfo,
    TenantSettings, TenantStore,
};

use crate::clients::{NO_REASON, printable};
use crate::failure::Failure;
use crate::house::{Gate, House};
use crate::links::Links;
use crate::quarantine::ScrubView;
use crate::shipping::SyslogTarget;

/// The recognised operator, for one request.
#[derive(Debug)]
pub struct Operator {
    pub(crate) house: House,
    principal: Principal,
    pub(crate) request: RequestMeta,
    /// What links start with.
    origin: String,
}

/// A tenant to be made, as the admin API takes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantDraft {
    /// Its name in URLs.
    pub name: String,
    /// A name for people; the name in URLs if absent.
    #[serde(default)]
    pub display: Option<String>,
    /// Its version of FHIR; 4.0.1 if absent.
    #[serde(default)]
    pub fhir: Option<String>,
    /// Its settings.
    #[serde(default)]
    pub config: TenantSettings,
}

/// A change of a tenant, as the admin API takes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantPatch {
    /// A name for people.
    #[serde(default)]
    pub display: Option<String>,
    /// Its settings: those that are said.
    #[serde(default)]
    pub config: Option<SettingsPatch>,
}

/// A tenant, as the admin API shows it.
#[derive(Debug, Serialize)]
pub struct TenantView {
    name: String,
    display: String,
    fhir: &'static str,
    config: TenantSettings,
    state: State,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    shred_at: Option<String>,
    base: String,
    /// How far the background check of its rows is, as far as the house knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    scrub: Option<ScrubView>,
}

/// A tenant made from a backup, as the admin API shows it.
#[derive(Debug, Serialize)]
pub struct RestoredView {
    #[serde(flatten)]
    tenant: TenantView,
    clients: KeptClients,
    /// Rows that are not as they were written, and are kept apart.
    quarantined: u64,
}

/// A page of tenants, as the admin API shows it.
#[derive(Debug, Serialize)]
pub struct TenantPage {
    tenants: Vec<TenantView>,
    /// What to give as `after` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Which accesses are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccessAsked<'a> {
    /// To this patient's data: `Patient/id`.
    pub patient: Option<&'a str>,
    /// By whom: `client:…`, `person:…`, a login, or the name of a person or a program.
    pub actor: Option<&'a str>,
    /// From then on: a date or an instant.
    pub from: Option<&'a str>,
    /// Before then.
    pub to: Option<&'a str>,
}

impl AccessAsked<'_> {
    /// # Errors
    /// `request-invalid`
    pub(crate) fn query(&self) -> Result<store::AccessQuery, Failure> {
        let invalid = |text: &str| Failure::new(Code::RequestInvalid, text.to_owned());
        let patient = self.patient.map(|text| {
            let id = text.strip_prefix("Patient/").unwrap_or(text);
            base::ResourceId::new(id).map_err(|_| invalid("patient is Patient/id"))
        });
        let time = |text: Option<&str>| {
            text.map(|t| {
                crate::interaction::moment(t)
                    .ok_or_else(|| invalid("from and to are dates or instants"))
            })
            .transpose()
        };
        Ok(store::AccessQuery {
            patient: patient.transpose()?,
            actor: self.actor.map(str::to_owned),
            from: time(self.from)?,
            to: time(self.to)?,
        })
    }
}

/// Longest display name, in characters.
const DISPLAY_CHARACTERS_MAX: usize = 200;

/// Longest name, and longest reason, of who decides about a tenant, in characters.
const BY_CHARACTERS_MAX: usize = 200;

/// Most tenants on one page of the list.
pub const LIST_MAX: usize = 1_000;

impl Operator {
    pub(crate) const fn new(
        house: House,
        principal: Principal,
        request: RequestMeta,
        origin: String,
    ) -> Self {
        Self {
            house,
            principal,
            request,
            origin,
        }
    }

    pub(crate) const fn principal(&self) -> &Principal {
        &self.principal
    }

    fn store(&self) -> &Store {
        &self.house.0.store
    }

    /// The addresses of a tenant as this caller sees them.
    pub(crate) fn links(&self, tenant: &TenantId) -> Links {
        Links::under(&self.origin, tenant)
    }

    pub(crate) fn permit(&self) -> Result<HousePermit, Failure> {
        decide_house(&self.principal, self.request).map_err(|denied| Failure::from(&denied))
    }

    /// A permit for what the operator has the platform do on a tenant.
    pub(crate) fn system<A: Action>(
        &self,
        reason: Reason,
        tenant: &TenantId,
    ) -> Result<Permit<A>, Failure> {
        let decided = decide_operator(&self.principal, reason, tenant, self.request);
        decided.map_err(|denied| Failure::from(&denied))
    }

    /// The data of a tenant that exists.
    pub(crate) fn tenant(&self, name: &str) -> Result<(TenantId, TenantStore), Failure> {
        let tenant = self.store().directory().resolve(&known_name(name)?);
        let tenant = tenant.ok_or(Failure::of(Code::TenantUnknown))?;
        let store = self.store().tenant(&tenant);
        Ok((tenant, store))
    }

    fn view(&self, info: TenantInfo) -> TenantView {
        let tenant = self.store().directory().resolve(&info.name);
        let scrub = tenant
            .as_ref()
            .and_then(|tenant| self.store().scrub(tenant));
        let base = tenant.map_or_else(String::new, |tenant| self.links(&tenant).fhir());
        // No key is destroyed under a legal hold.
        let shred_at = info.shred_at.filter(|_| !info.settings.is_held());
        TenantView {
            name: info.name.to_string(),
            display: info.display,
            fhir: info.fhir.as_str(),
            config: info.settings,
            state: info.state,
            created: info.created.instant().to_string(),
            shred_at: shred_at.map(|t| t.instant().to_string()),
            base,
            scrub: scrub.map(Into::into),
        }
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// `tenant-name`, `tenant-exists`, `request-invalid`.
    pub async fn create_tenant(&self, draft: TenantDraft) -> Result<TenantView, Failure> {
        let name = self.new_name(&draft.name)?;
        let fhir = match draft.fhir.as_deref() {
            None => FhirVersion::default(),
            Some(text) => FhirVersion::parse(text).ok_or_else(|| {
                let served = FhirVersion::ALL.map(FhirVersion::as_str).join(", ");
                Failure::new(Code::RequestInvalid, format!("\"fhir\" is one of {served}"))
            })?,
        };
        let display = checked_display(draft.display.unwrap_or(draft.name))?;
        check_origins(&draft.config.cors_origins)?;
        let ships = draft.config.audit_shipping.as_ref();
        check_destination(ships.map(|ships| ships.syslog.as_str()))?;
        let new = NewTenant {
            name,
            display,
            fhir,
            settings: draft.config,
        };
        let info = self.store().create_tenant(self.permit()?, new).await?;
        Ok(self.view(info))
    }

    /// Tenants by name.
    ///
    /// # Errors
    /// `tenant-name` for an `after` that is none.
    pub async fn list_tenants(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<TenantPage, Failure> {
        let after = after.map(TenantName::new).transpose();
        let after = after.map_err(|e| Failure::new(Code::TenantName, e.to_string()))?;
        let limit = limit.clamp(1, LIST_MAX);
        let mut found = self
            .store()
            .list_tenants(self.permit()?, after, limit + 1)
            .await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found
            .last()
            .filter(|_| more)
            .map(|last| last.name.to_string());
        let tenants = found.into_iter().map(|info| self.view(info)).collect();
        Ok(TenantPage { tenants, next })
    }

    /// One tenant.
    ///
    /// # Errors
    /// `tenant-unknown`.
    pub async fn show_tenant(&self, name: &str) -> Result<TenantView, Failure> {
        let name = known_name(name)?;
        let info = self.store().tenant_info(self.permit()?, &name).await?;
        Ok(self.view(info))
    }

    /// Changes a tenant.
    ///
    /// # Errors
    /// `tenant-unknown`, `request-invalid`.
    pub async fn change_tenant(
        &self,
        name: &str,
        patch: TenantPatch,
    ) -> Result<TenantView, Failure> {
        let name = known_name(name)?;
        let display = patch.display.map(checked_display).transpose()?;
        if let Some(config) = &patch.config {
            check_origins(config.cors_origins.as_deref().unwrap_or_default())?;
            let ships = config.audit_shipping.as_ref();
            check_destination(ships.and_then(|ships| ships.syslog.as_deref()))?;
        }
        let permit = self.permit()?;
        let info = self
            .store()
            .change_tenant(permit, &name, display, patch.config)
            .await?;
        Ok(self.view(info))
    }

    /// Suspends a tenant.
    ///
    /// # Errors
    /// `tenant-unknown`, `tenant-state`.
    pub async fn suspend_tenant(&self, name: &str) -> Result<TenantView, Failure> {
        let name = known_name(name)?;
        let info = self.store().suspend_tenant(self.permit()?, &name).await?;
        Ok(self.view(info))
    }

    /// Lets a suspended or leaving tenant serve again.
    ///
    /// # Errors
    /// `tenant-unknown`, `tenant-state`.
    pub async fn resume_tenant(&self, name: &str) -> Result<TenantView, Failure> {
        let name = known_name(name)?;
        let info = self.store().resume_tenant(self.permit()?, &name).await?;
        Ok(self.view(info))
    }

    /// Deletes a tenant; `confirm` must repeat its name.
    ///
    /// # Errors
    /// `confirmation-missing`, `tenant-unknown`.
    pub async fn delete_tenant(
        &self,
        name: &str,
        confirm: Option<&str>,
        grace_seconds: Option<u64>,
    ) -> Result<TenantView, Failure> {
        let known = known_name(name)?;
        if confirm != Some(name) {
            return Err(Failure::of(Code::ConfirmationMissing));
        }
        let grace = grace_seconds.unwrap_or(self.house.0.config.grace_seconds);
        let info = self
            .store()
            .delete_tenant(self.permit()?, &known, grace)
            .await?;
        Ok(self.view(info))
    }

    /// The signed receipt of a deletion, as JSON.
    ///
    /// # Errors
    /// `tenant-unknown`, `tenant-state`.
    pub async fn receipt(&self, name: &str) -> Result<String, Failure> {
        let name = known_name(name)?;
        Ok(self.store().receipt(self.permit()?, &name).await?)
    }

    /// Checks a tenant's rows, seals, index rows and audit chain against each other.
    ///
    /// # Errors
    /// `tenant-unknown`, `tenant-damaged`.
    pub async fn verify_tenant(
        &self,
        name: &str,
        heads: Vec<String>,
    ) -> Result<store::VerifyReport, Failure> {
        let (tenant, data) = self.tenant(name)?;
        let permit = self.system(Reason::Verify, &tenant)?;
        Ok(data.verify_against(permit, heads).await?)
    }

    /// Begins a tenant's administration anew, where it is not what was last administered: all clients are
    /// revoked, all people disabled, and a policy without grants is in force.
    ///
    /// # Errors
    /// `tenant-unknown`; `request-invalid` without who decides and why, or where nothing was altered.
    pub async fn begin_anew(&self, name: &str, by: &str, reason: &str) -> Result<(), Failure> {
        let (tenant, data) = self.tenant(name)?;
        let wanted = "by and reason have 1 to 200 characters";
        crate::clients::printable(by, BY_CHARACTERS_MAX, wanted)?;
        crate::clients::printable(reason, BY_CHARACTERS_MAX, wanted)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        Ok(data.begin_anew(permit, by, reason).await?)
    }

    /// The last signed head of a tenant's audit trail, as a line of JSON.
    ///
    /// # Errors
    /// `tenant-unknown`.
    pub async fn audit_head(&self, name: &str) -> Result<String, Failure> {
        let (tenant, data) = self.tenant(name)?;
        let permit = self.system(Reason::Verify, &tenant)?;
        Ok(data.head(permit).await?)
    }

    /// A proof about a tenant's audit trail.
    ///
    /// # Errors
    /// `tenant-unknown`, `request-invalid`.
    pub async fn audit_proof(
        &self,
        name: &str,
        what: store::ProofOf,
        size: Option<u64>,
    ) -> Result<store::TrailProof, Failure> {
        let (tenant, data) = self.tenant(name)?;
        let permit = self.system(Reason::Verify, &tenant)?;
        Ok(data.prove(permit, what, size).await?)
    }

    /// Lines of a tenant's audit trail after a record: ids of what was shown and changed, no content.
    ///
    /// # Errors
    /// `tenant-unknown`, `tenant-damaged`.
    pub async fn read_audit(
        &self,
        name: &str,
        after: u64,
        limit: usize,
    ) -> Result<store::AuditPage, Failure> {
        let (tenant, data) = self.tenant(name)?;
        let permit = self.system(Reason::Verify, &tenant)?;
        Ok(data.audit(permit, after, limit.clamp(1, LIST_MAX)).await?)
    }

    /// Who was shown or changed what about which patients.
    ///
    /// # Errors
    /// `tenant-unknown`, `request-invalid`.
    pub async fn accesses(
        &self,
        name: &str,
        asked: &AccessAsked<'_>,
    ) -> Result<store::AccessReport, Failure> {
        let (tenant, data) = self.tenant(name)?;
        let query = asked.query()?;
        let permit = self.system(Reason::Verify, &tenant)?;
        Ok(data.accesses(permit, query).await?)
    }

    /// Writes a backup to a file in the folder for backups. Returns its path, and how many rows in it are not
    /// as they were written and are kept apart.
    ///
    /// # Errors
    /// `request-invalid` for a file name that is a path; those of the store.
    pub async fn back_up_tenant(
        mut self,
        name: &str,
        file: &str,
        reason: Option<&str>,
    ) -> Result<(PathBuf, u64), Failure> {
        self.because(reason)?;
        let (tenant, data) = self.tenant(name)?;
        let path = self.backup_path(file)?;
        let permit = self.system(Reason::Backup, &tenant)?;
        let quarantined = data.backup(permit, &path).await?;
        Ok((path, quarantined))
    }

    /// Makes a tenant from a backup in the folder for backups.
    ///
    /// # Errors
    /// `backup-unknown`, `backup-invalid`, `tenant-exists`, `tenant-name`, `request-invalid`.
    pub async fn restore_tenant(
        mut self,
        file: &str,
        (as_name, display): (&str, Option<String>),
        (clients, reason): (RestoreClients, Option<&str>),
    ) -> Result<RestoredView, Failure> {
        self.because(reason)?;
        let name = self.new_name(as_name)?;
        let display = display.map(checked_display).transpose()?;
        let path = self.backup_path(file)?;
        if !path.is_file() {
            return Err(Failure::of(Code::BackupUnknown));
        }
        let restored = self
            .store()
            .restore(self.permit()?, &path, name.clone(), clients)
            .await?;
        let info = match display {
            Some(_) => {
                let permit = self.permit()?;
                self.store()
                    .change_tenant(permit, &name, display, None)
                    .await?
            }
            None => restored.info,
        };
        Ok(RestoredView {
            tenant: self.view(info),
            clients: restored.clients,
            quarantined: restored.quarantined,
        })
    }

    /// Makes another key of a tenant's identity tokens: it signs from now on, and those before it stay published
    /// for a day. Returns its id.
    ///
    /// # Errors
    /// `tenant-unknown`, `tenant-state`.
    pub async fn rotate_signing_key(&self, tenant: &str) -> Result<String, Failure> {
        let (tenant, _) = self.tenant(tenant)?;
        let permit: Permit<Administer> = self.system(Reason::Operation, &tenant)?;
        let gate = Gate {
            house: self.house.clone(),
            links: self.links(&tenant),
            tenant,
        };
        Ok(gate.new_signing_key(permit).await?.kid)
    }

    /// Makes a new key-encryption key. Returns how many tenants' keys were wrapped anew.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn rotate_key(&self) -> Result<usize, Failure> {
        Ok(self.store().rotate_key(self.permit()?).await?)
    }

    /// The name of a tenant that is to be made.
    fn new_name(&self, name: &str) -> Result<TenantName, Failure> {
        let wrong = |text: String| Failure::new(Code::TenantName, text);
        let name = TenantName::new(name).map_err(|e| wrong(e.to_string()))?;
        // The label of a host ends with a letter or a digit (RFC 952, RFC 1123 section 2.1).
        if self.house.0.config.domain.is_some() && name.as_str().ends_with('-') {
            let text = "the name is that of a host under the domain, and does not end with '-'";
            return Err(wrong(text.to_owned()));
        }
        Ok(name)
    }

    /// Has the trails say why the operator does what they do.
    fn because(&mut self, reason: Option<&str>) -> Result<(), Failure> {
        let reason = reason.unwrap_or(NO_REASON);
        let wanted = "reason has 1 to 120 bytes";
        printable(reason, Why::BYTES_MAX, wanted)?;
        if reason.len() > Why::BYTES_MAX {
            return Err(Failure::new(Code::RequestInvalid, wanted));
        }
        self.request.why = Why::new(reason);
        Ok(())
    }

    /// A file in the folder for backups; only a plain name is taken, never a path.
    fn backup_path(&self, file: &str) -> Result<PathBuf, Failure> {
        let plain = (1..=128).contains(&file.len())
            && !file.starts_with('.')
            && file
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if !plain {
            return Err(Failure::new(
                Code::RequestInvalid,
                "a backup is named by letters, digits, '.', '-' and '_'; it lies in the folder \
                 for backups",
            ));
        }
        Ok(self.house.0.config.backup_dir.join(file))
    }
}

fn known_name(name: &str) -> Result<TenantName, Failure> {
    TenantName::new(name).map_err(|_| Failure::of(Code::TenantUnknown))
}

/// Whether a trail can be shipped to where it is to be.
fn check_destination(syslog: Option<&str>) -> Result<(), Failure> {
    let Some(own) = syslog.filter(|own| !own.is_empty()) else {
        return Ok(());
    };
    match SyslogTarget::parse(own) {
        Ok(_) => Ok(()),
        Err(e) => Err(Failure::new(
            Code::RequestInvalid,
            format!("audit_shipping.syslog: {e}"),
        )),
    }
}

/// Refuses settings with origins that are none: `*`, or a scheme, a host and perhaps a port.
fn check_origins(origins: &[String]) -> Result<(), Failure> {
    match origins.iter().all(|o| is_origin(o)) {
        true => Ok(()),
        false => Err(Failure::new(
            Code::RequestInvalid,
            "an origin is \"*\" or like https://app.example:8443",
        )),
    }
}

/// Whether this is an origin as browsers send it, or `*`.
pub fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    text == "*" || host.is_some_and(|h| !h.is_empty() && h.chars().all(plain))
}

fn checked_display(display: String) -> Result<String, Failure> {
    let wanted = "display has 1 to 200 characters and no control characters";
    crate::clients::printable(&display, DISPLAY_CHARACTERS_MAX, wanted)?;
    Ok(display)
}
