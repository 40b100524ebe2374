//! API clients of a tenant.

use std::sync::Arc;

use access::{
    Administering, ByCertificate, CertificateTerms, ClientAbout, ClientId, ClientKeys,
    ClientRecord, DistinguishedName, MadeByOperator, NewClient, Program, Reason, RoleAt,
    ScopeContext, Scopes,
};
use base::{Code, Rng, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fhir::definitions::Model;
use serde::{Deserialize, Serialize};
use store::TenantStore;

use crate::auth::{Visitor, has_certificates, is_usable_jwks};
use crate::failure::Failure;
use crate::tenants::Operator;
use crate::vendors::binding;

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
    /// Where it publishes them instead.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// Where people are sent back to, for a program that people sign in to (SMART App Launch).
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// Whether it cannot keep a secret.
    #[serde(default)]
    pub public: bool,
    /// Where a launch from within a record begins.
    #[serde(default)]
    pub launch_url: Option<String>,
    /// Where people may be sent when they signed out.
    #[serde(default)]
    pub post_logout_redirect_uris: Vec<String>,
    /// What it says about itself.
    #[serde(default)]
    pub about: ClientAbout,
    /// The roles by which the tenant's policy governs it: `name`, or `name@Organization/id`. Without,
    /// its scopes are all that it has.
    #[serde(default)]
    pub roles: Option<Vec<String>>,
    /// The vendor whose grant bounds it.
    #[serde(default)]
    pub vendor: Option<String>,
    /// What certificates of connections are to it (RFC 8705).
    #[serde(default)]
    pub certificates: CertificateTerms,
    /// Why an operator makes it.
    #[serde(default)]
    pub reason: Option<String>,
    /// For how many days, where the tenant has people of its own and it opens records without them.
    #[serde(default)]
    pub days: Option<u32>,
}

/// That an operator made a client, as it is shown.
#[derive(Debug, Serialize)]
pub struct MadeView {
    /// The operator.
    pub by: String,
    /// When.
    pub at: String,
    /// Why, in their words.
    pub reason: String,
    /// From then on it is no right any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The person of the tenant who keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_by: Option<String>,
}

/// A client, as the admin API shows it.
#[derive(Debug, Serialize)]
pub struct ClientView {
    client_id: String,
    name: String,
    scopes: Vec<String>,
    jwks: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor: Option<String>,
    revoked: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    redirect_uris: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    public: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    launch_url: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    post_logout_redirect_uris: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<ClientAbout>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificates: Option<CertificateTerms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<MadeView>,
}

impl ClientView {
    /// Its id.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Its name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it may do.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The roles by which policy governs it.
    pub fn roles(&self) -> &[String] {
        self.roles.as_deref().unwrap_or_default()
    }

    /// The vendor whose grant bounds it.
    pub fn vendor(&self) -> Option<&str> {
        self.vendor.as_deref()
    }

    /// Whether it was revoked.
    pub const fn is_revoked(&self) -> bool {
        self.revoked
    }

    /// That an operator made it.
    pub const fn made(&self) -> Option<&MadeView> {
        self.made.as_ref()
    }
}

/// A client that was just made: the only time its secret is shown.
#[derive(Serialize)]
pub struct ClientMade {
    #[serde(flatten)]
    view: ClientView,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    token_url: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
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

const NAME_CHARACTERS_MAX: usize = 200;
const REASON_CHARACTERS_MAX: usize = 200;
/// What stands where an operator says nothing.
pub(crate) const NO_REASON: &str = "no reason was given";

impl Operator {
    /// Makes an API client with a fresh id and secret.
    ///
    /// # Errors
    /// `tenant-unknown`, `scope-invalid`, `request-invalid`, `vendor-unknown`.
    pub async fn create_client(
        &self,
        tenant: &str,
        draft: ClientDraft,
    ) -> Result<ClientMade, Failure> {
        let (tenant, data) = self.tenant(tenant)?;
        printable(
            &draft.name,
            NAME_CHARACTERS_MAX,
            "name has 1 to 200 characters",
        )?;
        let scopes = Scopes::parse(&draft.scopes.join(" "), Model::of(tenant.fhir()))
            .map_err(|e| Failure::new(Code::ScopeInvalid, e.to_string()))?;
        let program = program(&draft)?;
        if program.is_none() && scopes.only(&[ScopeContext::System]).as_str() != scopes.as_str() {
            return Err(Failure::new(
                Code::ScopeInvalid,
                "without redirect_uris a client has scopes of the form system/Type.cruds",
            ));
        }
        crate::registrations::check_about(&draft.about)?;
        let jwks = self.client_keys(&draft)?;
        self.check_certificates(&draft, jwks.as_ref())?;
        let roles = draft.roles.as_deref().map(held).transpose()?;
        let vendor = match &draft.vendor {
            Some(vendor) => Some(binding(&data, vendor, &scopes).await?),
            None => None,
        };
        let rng = &self.house.0.rng;
        let id = fresh_id(&**rng)?;
        // Whoever proves who it is by keys has no second, weaker way in.
        let secret = jwks
            .is_none()
            .then(|| Secret::new(URL_SAFE_NO_PAD.encode(rng.bytes::<32>())));
        let made = self.maker(draft.reason.as_deref(), draft.days)?;
        let new = NewClient {
            id,
            name: draft.name,
            scopes,
            jwks,
            import: None,
            program,
            roles,
            vendor,
            certificates: draft.certificates,
            about: draft.about,
            made: Some(made),
        };
        let permit = self.system(Reason::Operation, &tenant)?;
        let record = data.create_client(permit, new, secret.as_ref()).await?;
        let held = record.roles.as_deref().unwrap_or_default();
        let warnings = crate::policies::unnamed_roles(&data, held).await?;
        Ok(ClientMade {
            warnings,
            view: view(&record),
            client_secret: secret
                .filter(|_| record.has_secret())
                .map(|secret| secret.expose().clone()),
            token_url: self.links(&tenant).token(),
        })
    }

    /// That this operator makes a client: why, and for so many days where the tenant has people of its own and
    /// the client opens records without them.
    pub(crate) fn maker(
        &self,
        reason: Option<&str>,
        days: Option<u32>,
    ) -> Result<MadeByOperator, Failure> {
        let reason = reason.unwrap_or(NO_REASON);
        let wanted = "reason has 1 to 200 characters";
        printable(reason, REASON_CHARACTERS_MAX, wanted)?;
        let limits = self.house.limits();
        let seconds = match days {
            None => limits
                .operator_client_seconds
                .min(limits.operator_client_seconds_max),
            Some(days) => u64::from(days) * 86_400,
        };
        if seconds == 0 || seconds > limits.operator_client_seconds_max {
            let most = limits.operator_client_seconds_max / 86_400;
            let text = format!("days is 1 to {most} (limits.operator_client_seconds_max)");
            return Err(Failure::new(Code::RequestInvalid, text));
        }
        let now = self.request.at;
        Ok(MadeByOperator {
            by: self.principal().actor().as_str().into(),
            at: now,
            reason: reason.into(),
            until: Some(now.plus_secs(i64::try_from(seconds).unwrap_or(i64::MAX))),
            kept_by: None,
        })
    }

    /// The keys of a client that is to be made.
    fn client_keys(&self, draft: &ClientDraft) -> Result<Option<ClientKeys>, Failure> {
        let invalid = |text: &'static str| Err(Failure::new(Code::RequestInvalid, text));
        match (&draft.jwks, &draft.jwks_uri) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => invalid("a client has jwks or jwks_uri, not both"),
            (Some(set), None) => {
                let set = set.to_string();
                match is_usable_jwks(&set) {
                    true => Ok(Some(ClientKeys::Set(set.into()))),
                    false => invalid("jwks is a JWK Set of public RSA or EC keys"),
                }
            }
            (None, Some(url)) => {
                let wanted = "jwks_uri has 1 to 2000 bytes";
                printable(url, URL_BYTES_MAX, wanted)?;
                self.house.admits(url)?;
                Ok(Some(ClientKeys::Url(url.as_str().into())))
            }
        }
    }

    /// Refuses terms about certificates that nobody can keep.
    fn check_certificates(
        &self,
        draft: &ClientDraft,
        keys: Option<&ClientKeys>,
    ) -> Result<(), Failure> {
        let invalid = |text: &'static str| Err(Failure::new(Code::RequestInvalid, text));
        let (terms, config) = (&draft.certificates, self.house.config());
        if *terms == CertificateTerms::default() {
            return Ok(());
        }
        if !config.client_certificates {
            return invalid("nobody is asked for certificates here: tls.client_certificates");
        }
        match (&terms.by, keys) {
            (Some(_), _) if draft.public => {
                invalid("a program that cannot keep a secret cannot keep a key")
            }
            (Some(ByCertificate::SelfSigned), _) if terms.authority.is_some() => {
                invalid("an authority goes with a name that it vouches for")
            }
            (Some(ByCertificate::SelfSigned), Some(ClientKeys::Set(set)))
                if has_certificates(set) =>
            {
                Ok(())
            }
            (Some(ByCertificate::SelfSigned), Some(ClientKeys::Url(_))) => Ok(()),
            (Some(ByCertificate::SelfSigned), _) => {
                invalid("its certificates are in jwks (x5c or x5t#S256), or at jwks_uri")
            }
            (Some(_), _) if !config.client_authorities => {
                invalid("no authority vouches for certificates here: tls.client_authorities")
            }
            (Some(by), _) => check_name(by),
            (None, _) if terms.authority.is_some() => {
                invalid("an authority goes with a name that it vouches for")
            }
            (None, _) => Ok(()),
        }
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

impl Visitor {
    /// All API clients of the tenant; those that an operator made say so.
    ///
    /// # Errors
    /// `scope-missing`
    pub async fn list_clients(&self) -> Result<Vec<ClientView>, Failure> {
        let deed = self.deed(Administering::People, "list clients").await?;
        let all = self.store.clients(deed.permit).await?;
        Ok(all
            .iter()
            .filter(|c| c.import.is_none())
            .map(view)
            .collect())
    }

    /// Keeps a client that an operator made: it is the tenant's own, and does not end by itself any more.
    ///
    /// # Errors
    /// `scope-missing`, `step-up-required` without two factors shown of late, `client-unknown`.
    pub async fn keep_client(&self, client: &str) -> Result<ClientView, Failure> {
        let deed = self.deed(Administering::People, "keep client").await?;
        self.must_step_up("keep client").await?;
        let id = known(&self.store, client, false).await?.id;
        Ok(view(&self.store.keep_client(deed.permit, &id).await?))
    }

    /// Ends a client, from the next request on.
    ///
    /// # Errors
    /// `scope-missing`, `client-unknown`.
    pub async fn end_client(&self, client: &str) -> Result<(), Failure> {
        let deed = self.deed(Administering::People, "revoke client").await?;
        let id = known(&self.store, client, false).await?.id;
        Ok(self.store.revoke_client(deed.permit, &id).await?)
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

/// Refuses a name that no certificate has.
pub(crate) fn check_name(by: &ByCertificate) -> Result<(), Failure> {
    let wanted = "a name of a certificate has 1 to 2000 characters";
    match by {
        ByCertificate::SelfSigned | ByCertificate::Ip(_) => Ok(()),
        ByCertificate::Subject(name) => {
            printable(name, URL_BYTES_MAX, wanted)?;
            let text = "the subject is a distinguished name: CN=app,O=Acme,C=DE";
            let read = DistinguishedName::parse(name);
            read.map(drop)
                .ok_or(Failure::new(Code::RequestInvalid, text))
        }
        ByCertificate::Dns(name) | ByCertificate::Uri(name) | ByCertificate::Email(name) => {
            printable(name, URL_BYTES_MAX, wanted)
        }
    }
}

pub(crate) fn view(record: &ClientRecord) -> ClientView {
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
        jwks_uri: match &record.jwks {
            Some(ClientKeys::Url(url)) => Some(url.to_string()),
            _ => None,
        },
        roles: record
            .roles
            .as_ref()
            .map(|roles| roles.iter().map(ToString::to_string).collect()),
        vendor: record.vendor.as_ref().map(|v| v.as_str().to_owned()),
        revoked: record.revoked,
        redirect_uris: record
            .program
            .iter()
            .flat_map(|p| p.redirects.iter().map(ToString::to_string))
            .collect(),
        public: record.is_public(),
        launch_url: record
            .program
            .as_ref()
            .and_then(|p| p.launch_url.as_deref().map(str::to_owned)),
        post_logout_redirect_uris: record
            .program
            .iter()
            .flat_map(|p| p.signed_out.iter().map(ToString::to_string))
            .collect(),
        about: Some(record.about.clone()).filter(|about| *about != ClientAbout::default()),
        certificates: Some(record.certificates.clone())
            .filter(|terms| *terms != CertificateTerms::default()),
        made: record.made.as_ref().map(|made| MadeView {
            by: made.by.to_string(),
            at: made.at.instant().to_string(),
            reason: made.reason.to_string(),
            until: made.until.map(|until| until.instant().to_string()),
            kept_by: made.kept_by.as_deref().map(str::to_owned),
        }),
    }
}

/// Most redirect URIs of one program.
pub(crate) const REDIRECTS_MAX: usize = 20;
pub(crate) const URL_BYTES_MAX: usize = 2_000;

/// How a client takes part in sign-ins of people, if it does.
fn program(draft: &ClientDraft) -> Result<Option<Program>, Failure> {
    let invalid = |text: &'static str| Err(Failure::new(Code::RequestInvalid, text));
    if draft.redirect_uris.is_empty() {
        let more = draft.launch_url.is_some() || !draft.post_logout_redirect_uris.is_empty();
        return match draft.public || more {
            true => invalid("a program that people sign in to has redirect_uris"),
            false => Ok(None),
        };
    }
    let signed_out = &draft.post_logout_redirect_uris;
    if draft.redirect_uris.len().max(signed_out.len()) > REDIRECTS_MAX {
        return invalid("a program has at most 20 redirect_uris, and post_logout_redirect_uris");
    }
    let all = draft.redirect_uris.iter().chain(&draft.launch_url);
    let all = all.chain(signed_out);
    if !all.into_iter().all(|url| is_redirect(url)) {
        return invalid(
            "a redirect URI is https, http of this machine, or a scheme of the program's own \
             with a dot in it; it has no fragment, no user and no spaces",
        );
    }
    Ok(Some(Program {
        redirects: draft
            .redirect_uris
            .iter()
            .map(|r| r.as_str().into())
            .collect(),
        public: draft.public,
        launch_url: draft.launch_url.as_deref().map(Into::into),
        signed_out: signed_out.iter().map(|r| r.as_str().into()).collect(),
    }))
}

/// Whether people may be sent there (RFC 8252, sections 7.1 to 7.3).
pub(crate) fn is_redirect(url: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'`');
    if url.len() > URL_BYTES_MAX || !url.bytes().all(plain) || url.contains('#') {
        return false;
    }
    let Some((scheme, rest)) = url.split_once(':') else {
        return false;
    };
    let authority = rest.strip_prefix("//").map(|rest| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        rest.split_at(end).0
    });
    match (scheme, authority) {
        (_, Some(authority)) if authority.contains('@') => false,
        ("https", Some(authority)) => !authority.is_empty(),
        ("http", Some(authority)) => {
            let bare = authority
                .rsplit_once(':')
                .map_or(authority, |(host, port)| {
                    match port.bytes().all(|b| b.is_ascii_digit()) {
                        true => host,
                        false => authority,
                    }
                });
            matches!(bare, "localhost" | "127.0.0.1" | "[::1]")
        }
        ("https" | "http", None) => false,
        (own, _) => {
            own.contains('.')
                && own.bytes().all(|b| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+')
                })
        }
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

/// Characters that nobody sees and that turn around or hide what people read: of writing from right to
/// left and back, without width, and of language tags. Joiners stay, which some scripts are written with.
pub(crate) const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

pub(crate) fn printable(text: &str, max: usize, wanted: &'static str) -> Result<(), Failure> {
    if text.is_empty() || text.chars().count() > max || text.contains(char::is_control) {
        return Err(Failure::new(Code::RequestInvalid, wanted));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_sent_to_places_that_are_the_programs_own() {
        for good in [
            "https://app.example/cb",
            "https://app.example:8443/cb?x=1",
            "http://localhost:9000/cb",
            "http://127.0.0.1/",
            "http://[::1]:5/cb",
            "com.example.app:/cb",
        ] {
            assert!(is_redirect(good), "{good}");
        }
        for bad in [
            "",
            "app",
            "/cb",
            "//app.example/cb",
            "http://app.example/cb",
            "http://localhost.evil.example/",
            "http://localhost@evil.example/",
            "https://good.example@evil.example/",
            "https:///cb",
            "https:app.example",
            "https://app.example/cb#f",
            "https://app.example/a b",
            "https://app.example/\n",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
        ] {
            assert!(!is_redirect(bad), "{bad}");
        }
    }
}
