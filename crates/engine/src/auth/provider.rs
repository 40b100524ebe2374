//! An OpenID Connect provider as a relying party asks it (OpenID Connect Core 1.0): its description,
//! the exchange of a code, and what has to be right about its tokens. Knows nothing of people here.

use base::{Code, Micros};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Header};
use ring::digest::{SHA256, SHA384, SHA512, digest};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Door;
use super::assertion::Audience;
use super::documents::Look;
use super::keys::header_of;
use crate::failure::Failure;
use crate::form;
use crate::house::House;
use crate::outbound::{Errand, host};
use crate::providers::Provider;

/// Tolerance for clocks that differ, in seconds.
const SKEW: i64 = 60;
/// Seconds after which an identity token is too old to sign anyone in.
const AGE_MAX: i64 = 600;
/// Bytes of a subject.
const SUBJECT_BYTES_MAX: usize = 255;

/// Algorithms that a provider may sign with. None of them has a secret for a key.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

pub(super) type Claims = Map<String, Value>;

/// A provider's description of itself (OpenID Connect Discovery 1.0).
#[derive(Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    /// RFC 9207
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

fn is_metadata(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Metadata>(bytes).is_ok()
}

/// What a provider gives for a code.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    #[serde(default)]
    access_token: Option<String>,
}

/// What an identity token has to be for.
struct Expected<'a> {
    issuer: &'a str,
    client_id: &'a str,
    nonce: &'a str,
    access_token: Option<&'a str>,
    now: Micros,
}

/// Something that a provider answered is not good; the text says what, and holds nothing of it.
pub(super) fn not_good(text: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(Code::ProviderAnswer, text)
}

fn text<'c>(claims: &'c Claims, name: &str) -> Option<&'c str> {
    claims.get(name).and_then(Value::as_str)
}

fn seconds(claims: &Claims, name: &str) -> Option<i64> {
    let value = claims.get(name)?;
    let whole = |f: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "seconds, saturated")]
        let seconds = f as i64;
        seconds
    };
    value.as_i64().or_else(|| value.as_f64().map(whole))
}

fn audience(claims: &Claims) -> Option<Audience> {
    serde_json::from_value(claims.get("aud")?.clone()).ok()
}

/// Whom a provider means.
pub(super) fn subject(claims: &Claims) -> Result<String, Failure> {
    let subject = text(claims, "sub");
    let good = |s: &&str| (1..=SUBJECT_BYTES_MAX).contains(&s.len());
    let subject = subject.filter(good);
    subject
        .map(str::to_owned)
        .ok_or_else(|| not_good("the token names nobody"))
}

/// When the person proved who they are, as far as the provider tells.
pub(super) fn authenticated(claims: &Claims) -> Option<Micros> {
    let at = seconds(claims, "auth_time")?;
    Some(Micros(at.saturating_mul(1_000_000)))
}

/// The hash of an access token that goes with an identity token (`at_hash`, OpenID Connect Core
/// 3.1.3.6): the left half of the digest of its algorithm.
fn half_hash(algorithm: Algorithm, token: &str) -> String {
    let kind = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 => &SHA256,
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => &SHA384,
        _ => &SHA512,
    };
    let whole = digest(kind, token.as_bytes());
    let half = whole.as_ref().len() / 2;
    URL_SAFE_NO_PAD.encode(whole.as_ref().get(..half).unwrap_or_default())
}

/// What is wrong with an identity token, apart from its signature.
fn check_identity(claims: &Claims, header: &Header, wanted: &Expected<'_>) -> Result<(), Failure> {
    let now = wanted.now.as_secs();
    if text(claims, "iss") != Some(wanted.issuer) {
        return Err(not_good("the identity token is of another issuer"));
    }
    check_audience(claims, wanted.client_id)?;
    if seconds(claims, "exp").is_none_or(|exp| exp <= now - SKEW) {
        return Err(not_good("the identity token has ended"));
    }
    let fresh = |iat: i64| iat <= now + SKEW && iat >= now - AGE_MAX;
    if !seconds(claims, "iat").is_some_and(fresh) {
        return Err(not_good("the identity token was not made just now"));
    }
    if seconds(claims, "nbf").is_some_and(|nbf| nbf > now + SKEW) {
        return Err(not_good("the identity token is not good yet"));
    }
    if text(claims, "nonce") != Some(wanted.nonce) {
        return Err(not_good("the identity token is of another sign-in"));
    }
    if let Some(told) = claims.get("at_hash") {
        let own = wanted.access_token.map(|t| half_hash(header.alg, t));
        if own.is_none() || told.as_str() != own.as_deref() {
            return Err(not_good("the identity token is of another access token"));
        }
    }
    Ok(())
}

/// For us, and where it is for others too, given to us.
fn check_audience(claims: &Claims, client_id: &str) -> Result<(), Failure> {
    let audience = audience(claims).filter(|a| a.has(client_id));
    let audience = audience.ok_or_else(|| not_good("the token is for another program"))?;
    let given_to = claims.get("azp");
    let to_us = given_to.map(|azp| azp.as_str() == Some(client_id));
    match to_us {
        Some(false) => Err(not_good("the token was given to another program")),
        None if audience.has_others(client_id) => Err(not_good(
            "the token is for several, and says not to whom it was given",
        )),
        _ => Ok(()),
    }
}

/// What a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.4) tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoggedOut {
    pub(super) subject: Option<String>,
    pub(super) sid: Option<String>,
    pub(super) jti: String,
}

fn check_logout(
    claims: &Claims,
    header: &Header,
    issuer: &str,
    client_id: &str,
    now: Micros,
) -> Result<LoggedOut, Failure> {
    const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
    let now = now.as_secs();
    let of_type = header.typ.as_deref().unwrap_or("JWT");
    if !["JWT", "logout+jwt"]
        .iter()
        .any(|t| of_type.eq_ignore_ascii_case(t))
    {
        return Err(not_good("the token is no logout token"));
    }
    if text(claims, "iss") != Some(issuer) {
        return Err(not_good("the logout token is of another issuer"));
    }
    let audience = audience(claims).filter(|a| a.has(client_id));
    if audience.is_none() {
        return Err(not_good("the logout token is for another program"));
    }
    if seconds(claims, "exp").is_some_and(|exp| exp <= now - SKEW) {
        return Err(not_good("the logout token has ended"));
    }
    // As long as one is taken, its id is remembered.
    let fresh = |iat: i64| iat <= now + SKEW && iat >= now - 300;
    if !seconds(claims, "iat").is_some_and(fresh) {
        return Err(not_good("the logout token was not made just now"));
    }
    if !claims
        .get("events")
        .is_some_and(|e| e.get(EVENT).is_some_and(Value::is_object))
    {
        return Err(not_good("the token is no logout token"));
    }
    if claims.contains_key("nonce") {
        return Err(not_good("a logout token has no nonce"));
    }
    let owned = |name: &str| {
        let found = text(claims, name).filter(|t| !t.is_empty() && t.len() <= SUBJECT_BYTES_MAX);
        found.map(str::to_owned)
    };
    let (subject, sid) = (owned("sub"), owned("sid"));
    if subject.is_none() && sid.is_none() {
        return Err(not_good("the logout token names nobody"));
    }
    let jti = owned("jti").ok_or_else(|| not_good("the logout token has no jti"))?;
    Ok(LoggedOut { subject, sid, jti })
}

impl House {
    /// A provider's description of itself.
    pub(super) async fn metadata(
        &self,
        door: &Door,
        provider: &Provider,
        now: Micros,
    ) -> Result<Metadata, Failure> {
        let issuer = &provider.settings.issuer;
        let url = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let found = self
            .document(door, &url, Look::Kept, is_metadata, now)
            .await?;
        let metadata: Metadata = serde_json::from_slice(&found.bytes)
            .map_err(|_| not_good("the provider's description cannot be read"))?;
        if metadata.issuer != *issuer {
            return Err(not_good("the provider's description is of another issuer"));
        }
        self.admits(&metadata.authorization_endpoint)?;
        Ok(metadata)
    }

    /// The header of a token that may be checked with the provider's keys.
    fn header(metadata: &Metadata, token: &str) -> Result<Header, Failure> {
        let header = header_of(token).ok_or_else(|| not_good("the token is none"))?;
        let name = format!("{:?}", header.alg);
        let told = metadata.id_token_signing_alg_values_supported.as_ref();
        let known = ALGORITHMS.contains(&header.alg);
        match known && told.is_none_or(|told| told.contains(&name)) {
            true => Ok(header),
            false => Err(not_good("the token is signed in a way that is not taken")),
        }
    }

    async fn signed(
        &self,
        door: &Door,
        metadata: &Metadata,
        token: &str,
        now: Micros,
    ) -> Result<(Header, Claims), Failure> {
        let header = Self::header(metadata, token)?;
        let url = &metadata.jwks_uri;
        let claims = self.signed_by::<Claims>(door, url, token, &header, now);
        let claims = claims.await?;
        let claims = claims.ok_or_else(|| not_good("the token was not signed by the provider"))?;
        Ok((header, claims))
    }

    /// Exchanges a code: what the provider says about whoever signed in.
    pub(super) async fn identity(
        &self,
        door: &Door,
        provider: &Provider,
        metadata: &Metadata,
        code: Returned<'_>,
        now: Micros,
    ) -> Result<Claims, Failure> {
        let reply = self
            .send(door, self.exchange(provider, metadata, &code))
            .await?;
        if reply.status != 200 {
            return Err(not_good(format!(
                "{} took the code with status {}{}",
                host(&metadata.token_endpoint),
                reply.status,
                error_of(&reply.body)
            )));
        }
        let tokens: Tokens = serde_json::from_slice(&reply.body)
            .map_err(|_| not_good("the provider gave no identity token"))?;
        let (header, mut claims) = self.signed(door, metadata, &tokens.id_token, now).await?;
        let wanted = Expected {
            issuer: &provider.settings.issuer,
            client_id: &provider.settings.client_id,
            nonce: code.nonce,
            access_token: tokens.access_token.as_deref(),
            now,
        };
        check_identity(&claims, &header, &wanted)?;
        if let (Some(url), Some(token)) = (&metadata.userinfo_endpoint, &tokens.access_token) {
            self.add_userinfo(door, url, token, &mut claims).await?;
        }
        Ok(claims)
    }

    /// The token request, with what the provider takes as proof of who asks.
    fn exchange(&self, provider: &Provider, metadata: &Metadata, code: &Returned<'_>) -> Errand {
        let mut errand = self.errand(&metadata.token_endpoint, "application/json");
        let client_id = &provider.settings.client_id;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code.code),
            ("redirect_uri", code.redirect),
            ("code_verifier", code.verifier),
        ];
        let methods = metadata.token_endpoint_auth_methods_supported.as_ref();
        let takes = |method: &str| methods.is_some_and(|all| all.iter().any(|m| m == method));
        match provider.secret.as_deref() {
            None => fields.push(("client_id", client_id)),
            Some(secret) if takes("client_secret_post") && !takes("client_secret_basic") => {
                fields.push(("client_id", client_id));
                fields.push(("client_secret", secret));
            }
            Some(secret) => {
                // RFC 6749 section 2.3.1: both are encoded as in forms first.
                let pair = format!("{}:{}", form::encode(client_id), form::encode(secret));
                errand.authorization = Some(format!("Basic {}", STANDARD.encode(pair)));
            }
        }
        let pair = |(n, v): &(&str, &str)| format!("{n}={}", form::encode(v));
        errand.form = Some(fields.iter().map(pair).collect::<Vec<_>>().join("&"));
        errand
    }

    /// Adds what the provider tells beside the identity token, about the same person.
    async fn add_userinfo(
        &self,
        door: &Door,
        url: &str,
        token: &str,
        claims: &mut Claims,
    ) -> Result<(), Failure> {
        let mut errand = self.errand(url, "application/json");
        errand.authorization = Some(format!("Bearer {token}"));
        let reply = self.send(door, errand).await?;
        let told: Option<Claims> = match reply.status {
            200 => serde_json::from_slice(&reply.body).ok(),
            _ => None,
        };
        let told = told.ok_or_else(|| not_good("the provider told nothing about the person"))?;
        if told.get("sub") != claims.get("sub") {
            return Err(not_good("the provider told about somebody else"));
        }
        for (name, value) in told {
            // What is signed stands.
            claims.entry(name).or_insert(value);
        }
        Ok(())
    }

    /// What a logout token tells, if it is one of the provider's for us.
    pub(super) async fn logged_out(
        &self,
        door: &Door,
        provider: &Provider,
        token: &str,
        now: Micros,
    ) -> Result<LoggedOut, Failure> {
        let metadata = self.metadata(door, provider, now).await?;
        let (header, claims) = self.signed(door, &metadata, token, now).await?;
        let (issuer, client_id) = (&provider.settings.issuer, &provider.settings.client_id);
        check_logout(&claims, &header, issuer, client_id, now)
    }
}

/// A code, and what it was asked for with.
pub(super) struct Returned<'a> {
    pub(super) code: &'a str,
    pub(super) redirect: &'a str,
    pub(super) verifier: &'a str,
    pub(super) nonce: &'a str,
}

/// `error` of a refused request, if it is one of those words.
fn error_of(body: &[u8]) -> String {
    let told: Option<Value> = serde_json::from_slice(body).ok();
    let error = told.as_ref().and_then(|t| t.get("error")?.as_str());
    match error.filter(|e| is_word(e)) {
        Some(error) => format!(" ({error})"),
        None => String::new(),
    }
}

/// Whether a text is a word like `access_denied`.
pub(super) fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn identity(change: impl FnOnce(&mut Claims)) -> Result<(), Failure> {
        let mut claims = json!({
            "iss": "https://id.example", "sub": "7", "aud": "us", "exp": NOW + 300, "iat": NOW,
            "nonce": "n", "at_hash": half_hash(Algorithm::ES256, "token"),
        });
        change(claims.as_object_mut().unwrap());
        let wanted = Expected {
            issuer: "https://id.example",
            client_id: "us",
            nonce: "n",
            access_token: Some("token"),
            now: Micros(NOW * 1_000_000),
        };
        let header = Header::new(Algorithm::ES256);
        check_identity(claims.as_object().unwrap(), &header, &wanted)
    }

    #[test]
    fn an_identity_token_is_for_us_now_and_for_this_sign_in() {
        identity(|_| {}).unwrap();
        identity(|c| {
            c["aud"] = json!(["us", "them"]);
            c.insert("azp".into(), json!("us"));
        })
        .unwrap();
        identity(|c| c["aud"] = json!(["us"])).unwrap();
        identity(|c| drop(c.remove("at_hash"))).unwrap();
        identity(|c| c["exp"] = json!(NOW - 59)).unwrap();
        for (name, value) in [
            ("iss", json!("https://id.example/")),
            ("iss", json!(7)),
            ("aud", json!("them")),
            ("aud", json!(["us", "them"])),
            ("aud", json!([])),
            ("aud", json!({ "us": 1 })),
            ("azp", json!("them")),
            ("azp", json!(null)),
            ("exp", json!(NOW - 60)),
            ("exp", json!("soon")),
            ("iat", json!(NOW - 601)),
            ("iat", json!(NOW + 61)),
            ("nbf", json!(NOW + 61)),
            ("nonce", json!("m")),
            ("nonce", json!(null)),
            ("at_hash", json!("x")),
            ("at_hash", json!(half_hash(Algorithm::ES384, "token"))),
        ] {
            let claimed = value.clone();
            let done = identity(|c| drop(c.insert(name.into(), claimed)));
            assert!(done.is_err(), "{name} {value}");
        }
        for name in ["iss", "aud", "exp", "iat", "nonce"] {
            assert!(identity(|c| drop(c.remove(name))).is_err(), "{name}");
        }
    }

    fn logout(typ: Option<&str>, change: impl FnOnce(&mut Claims)) -> Result<LoggedOut, Failure> {
        let mut claims = json!({
            "iss": "https://id.example", "aud": "us", "iat": NOW, "exp": NOW + 120, "jti": "j",
            "sub": "7", "sid": "s",
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        change(claims.as_object_mut().unwrap());
        let header = Header {
            typ: typ.map(str::to_owned),
            ..Header::new(Algorithm::ES256)
        };
        let now = Micros(NOW * 1_000_000);
        let claims = claims.as_object().unwrap();
        check_logout(claims, &header, "https://id.example", "us", now)
    }

    #[test]
    fn a_logout_token_is_one_and_nothing_else() {
        let told = logout(Some("logout+jwt"), |_| {}).unwrap();
        assert_eq!(told.sid.as_deref(), Some("s"));
        logout(None, |c| drop(c.remove("sid"))).unwrap();
        logout(Some("JWT"), |c| drop(c.remove("sub"))).unwrap();
        assert!(logout(Some("at+jwt"), |_| {}).is_err());
        for (name, value) in [
            ("iss", json!("https://other.example")),
            ("aud", json!("them")),
            ("exp", json!(NOW - 60)),
            ("iat", json!(NOW - 301)),
            ("iat", json!(NOW + 61)),
            ("jti", json!("")),
            ("nonce", json!("n")),
            ("nonce", json!(null)),
            ("events", json!({})),
            (
                "events",
                json!({ "http://schemas.openid.net/event/backchannel-logout": 1 }),
            ),
        ] {
            let claimed = value.clone();
            let done = logout(None, |c| drop(c.insert(name.into(), claimed)));
            assert!(done.is_err(), "{name} {value}");
        }
        for name in ["iss", "aud", "iat", "jti", "events"] {
            assert!(logout(None, |c| drop(c.remove(name))).is_err(), "{name}");
        }
        let nobody = logout(None, |c| {
            c.remove("sub");
            c.remove("sid");
        });
        assert!(nobody.is_err());
    }

    #[test]
    fn the_half_hash_is_that_of_the_specification() {
        // OpenID Connect Core, appendix A.4: the access token and its at_hash under RS256.
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(half_hash(Algorithm::RS256, token), "77QmUPtjPfzWtF2AnpK9RQ");
    }
}
