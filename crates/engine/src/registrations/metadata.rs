//! What a program says about itself when it asks to be registered (RFC 7591 section 2), checked, and
//! what comes of it. Members that are not known here are left out, as the standard wants it.

use std::net::IpAddr;

use access::{
    ByCertificate, CertificateTerms, ClientAbout, ClientKeys, ClientRecord, DistinguishedName,
    Program, ScopeContext, Scopes,
};
use fhir::definitions::Model;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RegistrationFailure;
use crate::auth::{has_certificates, is_usable_jwks};
use crate::clients::{REDIRECTS_MAX, URL_BYTES_MAX, is_redirect, is_unseen};

/// Bytes of a name, of a contact and of other short texts.
const TEXT_BYTES_MAX: usize = 200;
/// Contacts.
const CONTACTS_MAX: usize = 10;
/// Bytes of a key set.
const JWKS_BYTES_MAX: usize = 16 << 10;
/// Bytes of scopes.
const SCOPE_BYTES_MAX: usize = 4_000;
/// What a program without a `scope` asks for: to know who signs in.
const SCOPE_DEFAULT: &str = "openid profile fhirUser";

type Checked<T> = Result<T, RegistrationFailure>;

/// Metadata of a client; as it comes, as it is kept, and as it is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redirect_uris: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token_endpoint_auth_method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grant_types: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_types: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_logout_redirect_uris: Option<Vec<String>>,
    #[serde(flatten)]
    pub(super) about: ClientAbout,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jwks: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jwks_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token_signed_response_alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_endpoint_auth_signing_alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_client_auth_subject_dn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_client_auth_san_dns: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_client_auth_san_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_client_auth_san_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_client_auth_san_email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_client_certificate_bound_access_tokens: Option<bool>,
}

/// What the house takes of clients' certificates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Takes {
    /// Clients are asked for certificates.
    pub(super) certificates: bool,
    /// There are authorities that vouch for them.
    pub(super) authorities: bool,
}

fn wrong<T>(about: impl Into<String>) -> Checked<T> {
    Err(RegistrationFailure::Metadata(about.into()))
}

fn one_of(value: Option<&String>, name: &str, known: &[&str]) -> Checked<()> {
    match value {
        Some(value) if !known.contains(&value.as_str()) => {
            wrong(format!("{name} is one of {}", known.join(", ")))
        }
        _ => Ok(()),
    }
}

fn short(text: Option<&String>, name: &str) -> Checked<()> {
    let good = |t: &&String| {
        let unseen = |c: char| c.is_control() || is_unseen(c);
        !t.is_empty() && t.len() <= TEXT_BYTES_MAX && !t.contains(unseen)
    };
    match text.is_none_or(|t| good(&t)) {
        true => Ok(()),
        false => wrong(format!(
            "{name} has 1 to {TEXT_BYTES_MAX} bytes that can be read"
        )),
    }
}

fn web_page(url: Option<&String>, name: &str) -> Checked<()> {
    let good = |url: &String| url.starts_with("https://") && is_redirect(url);
    match url.is_none_or(good) {
        true => Ok(()),
        false => wrong(format!("{name} is an https address")),
    }
}

/// What a program says about itself is short, can be read, and leads to pages.
pub(super) fn check_about(about: &ClientAbout) -> Checked<()> {
    short(about.software_id.as_ref(), "software_id")?;
    short(about.software_version.as_ref(), "software_version")?;
    if about.contacts.len() > CONTACTS_MAX {
        return wrong(format!("there are at most {CONTACTS_MAX} contacts"));
    }
    for contact in &about.contacts {
        short(Some(contact), "a contact")?;
    }
    web_page(about.client_uri.as_ref(), "client_uri")?;
    web_page(about.logo_uri.as_ref(), "logo_uri")?;
    web_page(about.tos_uri.as_ref(), "tos_uri")?;
    web_page(about.policy_uri.as_ref(), "policy_uri")
}

impl Metadata {
    /// Reads and checks what a program says: as it is registered.
    ///
    /// # Errors
    /// `invalid_redirect_uri`, `invalid_client_metadata`.
    pub(super) fn read(body: &[u8], model: &Model, takes: Takes) -> Checked<Self> {
        let mut read: Self = match serde_json::from_slice(body) {
            Ok(Value::Object(mut members)) => {
                // What is null is not said (RFC 7592 section 2.2).
                members.retain(|_, value| !value.is_null());
                match Self::deserialize(Value::Object(members)) {
                    Ok(read) => read,
                    Err(e) => return wrong(format!("a member is not of its kind: {e}")),
                }
            }
            _ => return wrong("the request is a JSON object"),
        };
        read.check_texts()?;
        read.settle_grants()?;
        read.check_redirects()?;
        read.check_method(takes)?;
        read.check_keys()?;
        read.settle_scope(model)?;
        Ok(read)
    }

    /// What is registered of one that is a client by now.
    pub(super) fn of_client(client: &ClientRecord) -> Self {
        let program = client.program.as_ref();
        let redirects = program.iter().flat_map(|p| p.redirects.iter());
        let method = match (&client.certificates.by, &client.jwks) {
            (Some(by), _) => by.method(),
            (None, _) if client.is_public() => "none",
            (None, Some(_)) => "private_key_jwt",
            (None, None) => "client_secret_basic",
        };
        let refreshes = ["offline_access", "online_access"];
        let alone = !client
            .scopes
            .only(&[ScopeContext::System])
            .resources()
            .is_empty();
        let grants = [
            ("authorization_code", program.is_some()),
            ("client_credentials", alone),
            (
                "refresh_token",
                refreshes.iter().any(|scope| client.scopes.has(scope)),
            ),
        ];
        let grants = grants.iter().filter(|(_, has)| *has);
        let responses = program.map(|_| "code".to_owned());
        let mut told = Self {
            client_name: Some(client.name.clone()),
            redirect_uris: Some(redirects.map(ToString::to_string).collect()),
            token_endpoint_auth_method: Some(method.to_owned()),
            grant_types: Some(grants.map(|(grant, _)| (*grant).to_owned()).collect()),
            response_types: Some(responses.into_iter().collect()),
            scope: Some(client.scopes.as_str().to_owned()),
            tls_client_certificate_bound_access_tokens: client.certificates.bound.then_some(true),
            about: client.about.clone(),
            ..Self::default()
        };
        let signed_out = program.iter().flat_map(|p| p.signed_out.iter());
        let signed_out: Vec<String> = signed_out.map(ToString::to_string).collect();
        told.post_logout_redirect_uris = Some(signed_out).filter(|all| !all.is_empty());
        match &client.jwks {
            Some(ClientKeys::Set(set)) => told.jwks = serde_json::from_str(set).ok(),
            Some(ClientKeys::Url(url)) => told.jwks_uri = Some(url.to_string()),
            None => {}
        }
        match &client.certificates.by {
            None | Some(ByCertificate::SelfSigned) => {}
            Some(ByCertificate::Subject(name)) => {
                told.tls_client_auth_subject_dn = Some(name.clone());
            }
            Some(ByCertificate::Dns(name)) => told.tls_client_auth_san_dns = Some(name.clone()),
            Some(ByCertificate::Uri(name)) => told.tls_client_auth_san_uri = Some(name.clone()),
            Some(ByCertificate::Ip(name)) => told.tls_client_auth_san_ip = Some(name.to_string()),
            Some(ByCertificate::Email(name)) => told.tls_client_auth_san_email = Some(name.clone()),
        }
        told
    }

    /// Whether it asks for nothing but what is registered: what a client does not keep of what it said is left
    /// aside.
    pub(super) fn says_no_more_than(&self, registered: &Self) -> bool {
        let mut same = self.clone();
        same.post_logout_redirect_uris =
            same.post_logout_redirect_uris.filter(|all| !all.is_empty());
        same.id_token_signed_response_alg = None;
        same.token_endpoint_auth_signing_alg = None;
        same.subject_type = None;
        let bound = same.tls_client_certificate_bound_access_tokens;
        same.tls_client_certificate_bound_access_tokens = bound.filter(|bound| *bound);
        same == *registered
    }

    fn check_texts(&self) -> Checked<()> {
        short(self.client_name.as_ref(), "client_name")?;
        check_about(&self.about)?;
        let alg = self.id_token_signed_response_alg.as_ref();
        one_of(alg, "id_token_signed_response_alg", &["RS256"])?;
        let alg = self.token_endpoint_auth_signing_alg.as_ref();
        one_of(alg, "token_endpoint_auth_signing_alg", &["RS384", "ES384"])?;
        one_of(self.subject_type.as_ref(), "subject_type", &["public"])
    }

    /// Grant types and response types go together (RFC 7591 section 2.1).
    fn settle_grants(&mut self) -> Checked<()> {
        let code = "authorization_code";
        let grants = self
            .grant_types
            .get_or_insert_with(|| vec![code.to_owned()]);
        let known = [code, "refresh_token", "client_credentials"];
        if grants.is_empty() || grants.iter().any(|g| !known.contains(&g.as_str())) {
            return wrong(format!("grant_types are some of {}", known.join(", ")));
        }
        grants.sort();
        grants.dedup();
        let (with_code, alone) = (self.grants(code), !self.grants("client_credentials"));
        if !with_code && (alone || self.grants("refresh_token")) {
            return wrong("refresh_token goes with authorization_code");
        }
        let usual = if with_code {
            vec!["code".to_owned()]
        } else {
            Vec::new()
        };
        let responses = self.response_types.get_or_insert_with(|| usual.clone());
        match *responses == usual {
            true => Ok(()),
            false => wrong("response_types is [\"code\"] with authorization_code, else empty"),
        }
    }

    pub(super) fn grants(&self, grant: &str) -> bool {
        let grants = self.grant_types.as_deref().unwrap_or_default();
        grants.iter().any(|g| g == grant)
    }

    fn check_redirects(&mut self) -> Checked<()> {
        let wrong = |about: String| Err(RegistrationFailure::Redirect(about));
        let redirects = self.redirect_uris.get_or_insert_default();
        if redirects.len() > REDIRECTS_MAX {
            return wrong(format!("there are at most {REDIRECTS_MAX} redirect_uris"));
        }
        if let Some(bad) = redirects.iter().find(|url| !is_redirect(url)) {
            return wrong(format!(
                "{bad:.100} is neither https, nor http of this machine, nor a scheme of the \
                 program's own with a dot in it; it has no fragment and no user"
            ));
        }
        let none = redirects.is_empty();
        let signed_out = self
            .post_logout_redirect_uris
            .as_deref()
            .unwrap_or_default();
        if signed_out.len() > REDIRECTS_MAX
            || signed_out.iter().any(|url| !is_redirect(url))
            || none && !signed_out.is_empty()
        {
            return wrong(format!(
                "post_logout_redirect_uris go with redirect_uris, are such addresses too, and at most \
                 {REDIRECTS_MAX}"
            ));
        }
        match (none, self.grants("authorization_code")) {
            (true, true) => wrong("authorization_code needs redirect_uris".to_owned()),
            (false, false) => wrong("redirect_uris go with authorization_code".to_owned()),
            _ => Ok(()),
        }
    }

    pub(super) fn method(&self) -> &str {
        let method = self.token_endpoint_auth_method.as_deref();
        method.unwrap_or("client_secret_basic")
    }

    fn check_method(&mut self, takes: Takes) -> Checked<()> {
        let method = self.method().to_owned();
        let mut known = vec!["client_secret_basic", "private_key_jwt", "none"];
        if takes.certificates {
            known.push("self_signed_tls_client_auth");
        }
        if takes.authorities {
            known.push("tls_client_auth");
        }
        one_of(Some(&method), "token_endpoint_auth_method", &known)?;
        if method == "none" && self.grants("client_credentials") {
            return wrong("a program that proves nothing has no client_credentials");
        }
        let bound = self.tls_client_certificate_bound_access_tokens == Some(true);
        if bound && !takes.certificates {
            return wrong("nobody is asked for certificates here");
        }
        let names = self.certificate_names();
        match (method.as_str(), names.as_slice()) {
            ("tls_client_auth", [(name, value)]) => {
                by_name(name, value)?;
            }
            ("tls_client_auth", _) => {
                return wrong("tls_client_auth goes with exactly one tls_client_auth_ name");
            }
            (_, []) => {}
            _ => return wrong("a tls_client_auth_ name goes with tls_client_auth"),
        }
        self.token_endpoint_auth_method = Some(method);
        Ok(())
    }

    fn certificate_names(&self) -> Vec<(&'static str, &String)> {
        let all = [
            ("subject_dn", &self.tls_client_auth_subject_dn),
            ("san_dns", &self.tls_client_auth_san_dns),
            ("san_uri", &self.tls_client_auth_san_uri),
            ("san_ip", &self.tls_client_auth_san_ip),
            ("san_email", &self.tls_client_auth_san_email),
        ];
        let there = all.into_iter();
        there
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
            .collect()
    }

    /// Keys are for those who prove who they are by them: of others they are left out, so that nobody is
    /// recognised in a way that was not registered.
    pub(super) fn leave_out_keys(&mut self) {
        if !matches!(
            self.method(),
            "private_key_jwt" | "self_signed_tls_client_auth"
        ) {
            (self.jwks, self.jwks_uri) = (None, None);
        }
    }

    fn check_keys(&self) -> Checked<()> {
        if self.jwks.is_some() && self.jwks_uri.is_some() {
            return wrong("there is jwks or jwks_uri, not both");
        }
        if let Some(set) = &self.jwks {
            let text = set.to_string();
            if text.len() > JWKS_BYTES_MAX || !is_usable_jwks(&text) {
                return wrong("jwks is a JWK Set of public RSA or EC keys");
            }
            if self.method() == "self_signed_tls_client_auth" && !has_certificates(&text) {
                return wrong("the keys of jwks have their certificates: x5c, or x5t#S256");
            }
        }
        let none = self.jwks.is_none() && self.jwks_uri.is_none();
        match self.method() {
            method @ ("private_key_jwt" | "self_signed_tls_client_auth") if none => {
                wrong(format!("{method} needs jwks or jwks_uri"))
            }
            _ => Ok(()),
        }
    }

    /// What is asked for, without what the grant types leave no use for.
    fn settle_scope(&mut self, model: &Model) -> Checked<()> {
        let asked = self.scope.as_deref().unwrap_or(SCOPE_DEFAULT);
        if asked.len() > SCOPE_BYTES_MAX {
            return wrong(format!("scope has at most {SCOPE_BYTES_MAX} bytes"));
        }
        let useful = |word: &&str| match *word {
            "offline_access" | "online_access" => self.grants("refresh_token"),
            word if word.starts_with("system/") => self.grants("client_credentials"),
            _ => self.grants("authorization_code"),
        };
        for word in asked.split_ascii_whitespace() {
            if let Err(e) = Scopes::parse(word, model) {
                return wrong(format!("scope: {e}"));
            }
        }
        let kept: Vec<&str> = asked.split_ascii_whitespace().filter(useful).collect();
        let Ok(scopes) = Scopes::parse(&kept.join(" "), model) else {
            return wrong("scope has nothing that the grant_types can be given");
        };
        self.scope = Some(scopes.as_str().to_owned());
        Ok(())
    }

    /// Whether it is given a secret.
    pub(super) fn has_secret(&self) -> bool {
        self.method() == "client_secret_basic"
    }

    /// How it takes part in sign-ins of people.
    pub(super) fn program(&self) -> Option<Program> {
        let redirects = self.redirect_uris.as_deref().unwrap_or_default();
        let signed_out = self
            .post_logout_redirect_uris
            .as_deref()
            .unwrap_or_default();
        (!redirects.is_empty()).then(|| Program {
            redirects: redirects.iter().map(|r| r.as_str().into()).collect(),
            public: self.method() == "none",
            launch_url: None,
            signed_out: signed_out.iter().map(|r| r.as_str().into()).collect(),
        })
    }

    pub(super) fn keys(&self) -> Option<ClientKeys> {
        let set = self.jwks.as_ref();
        let set = set.map(|set| ClientKeys::Set(set.to_string().into()));
        set.or_else(|| Some(ClientKeys::Url(self.jwks_uri.as_deref()?.into())))
    }

    pub(super) fn certificates(&self) -> CertificateTerms {
        let by = match self.method() {
            "self_signed_tls_client_auth" => Some(ByCertificate::SelfSigned),
            "tls_client_auth" => {
                let names = self.certificate_names();
                let first = names.first();
                first.and_then(|(name, value)| by_name(name, value).ok())
            }
            _ => None,
        };
        CertificateTerms {
            by,
            // Whoever approves it says which.
            authority: None,
            bound: self.tls_client_certificate_bound_access_tokens == Some(true),
        }
    }
}

/// What a client is recognised by, of the ending of the member and its value.
pub(super) fn by_name(name: &str, value: &str) -> Checked<ByCertificate> {
    let owned = || value.to_owned();
    let good = !value.is_empty() && value.len() <= URL_BYTES_MAX;
    let good = good && !value.contains(|c: char| c.is_control());
    let found = match name {
        _ if !good => None,
        "subject_dn" => DistinguishedName::parse(value).map(|_| ByCertificate::Subject(owned())),
        "san_dns" => Some(ByCertificate::Dns(owned())),
        "san_uri" => Some(ByCertificate::Uri(owned())),
        "san_ip" => value.parse::<IpAddr>().ok().map(ByCertificate::Ip),
        "san_email" => Some(ByCertificate::Email(owned())),
        _ => None,
    };
    match found {
        Some(found) => Ok(found),
        None => wrong(format!("tls_client_auth_{name} cannot be read")),
    }
}
