//! The authorization endpoint (RFC 6749 section 3.1, OAuth 2.1, SMART App Launch 2.2): a program asks
//! for an approval, the person gives it, the program gets a code.
//!
//! PKCE with S256 is required of everyone; redirect URIs are compared character by character, but for the
//! port of a loopback address, which a program on the person's machine is given anew each time; what is
//! wrong with the program or its URI is told to the person, everything else to the program.

use access::{
    ApprovalRecord, Assurance, ClientAbout, ClientId, ClientRecord, ScopeContext, Scopes,
};
use base::limits::fixed::AUTHORIZE_PARAMETERS_MAX;
use base::{Code, Micros, ResourceId};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use store::{Approval, CodeTerms};

use super::{Visitor, sealed};
use crate::answer::Answer;
use crate::failure::Failure;
use crate::form;
use crate::house::Gate;
use crate::interaction::{SearchScope, Unless};
use crate::session::Session;

/// Bytes of any one parameter.
const PARAMETER_BYTES_MAX: usize = 4_096;

/// The parameters of a request, none of them twice.
#[derive(Clone, Debug, Default)]
pub struct AuthorizeRequest {
    pairs: Vec<(String, String)>,
}

impl AuthorizeRequest {
    /// Reads them from a query string or a form.
    ///
    /// # Errors
    /// `request-invalid` for what is there twice or is too long; `limit-query` for too many.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form::pairs(text) {
            if value.is_empty() || name.starts_with('_') {
                continue;
            }
            if value.len() > PARAMETER_BYTES_MAX || pairs.iter().any(|(known, _)| *known == name) {
                return Err(invalid("a parameter is there twice or is too long"));
            }
            if pairs.len() >= AUTHORIZE_PARAMETERS_MAX {
                let (name, max) = ("authorize_parameters_max", AUTHORIZE_PARAMETERS_MAX as u64);
                return Err(Failure::limit(Code::LimitQuery, name, max));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self { pairs })
    }

    /// A parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All parameters, for a form that brings them back.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The request as a query string.
    pub fn query(&self) -> String {
        let pair = |(n, v): &(String, String)| format!("{}={}", form::encode(n), form::encode(v));
        self.pairs.iter().map(pair).collect::<Vec<_>>().join("&")
    }
}

/// A request whose program and redirect URI are good.
#[derive(Debug)]
pub struct Asked {
    client: ClientRecord,
    redirect: String,
    state: Option<String>,
    issuer: String,
    what: Result<Wanted, OauthError>,
}

/// Why a program gets no code, in the words of RFC 6749 section 4.1.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OauthError {
    /// `error`
    pub error: &'static str,
    /// `error_description`
    pub about: &'static str,
}

const fn error(error: &'static str, about: &'static str) -> OauthError {
    OauthError { error, about }
}

/// What is asked for, when nothing is wrong with it.
#[derive(Debug)]
struct Wanted {
    scopes: Scopes,
    challenge: String,
    nonce: Option<String>,
    /// With until when it is good.
    launch: Option<(Launch, Micros)>,
    max_age: Option<i64>,
    assurance: Assurance,
    silent: bool,
    again: bool,
}

/// The context of a launch from within a record: for one program and, where that is said, one person; good once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Launch {
    /// What it is known by when it was used.
    pub(super) once: [u8; 16],
    pub(super) client: String,
    /// For whom it is, by id; nobody is of an empty one.
    #[serde(default)]
    pub(super) person: Option<String>,
    #[serde(default)]
    pub(super) patient: Option<String>,
    #[serde(default)]
    pub(super) encounter: Option<String>,
    #[serde(default)]
    pub(super) context: Map<String, Value>,
}

/// A launch to be made, as the API takes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchDraft {
    /// The program that is launched.
    #[serde(default)]
    pub client_id: Option<String>,
    /// For whom it is, by id or login, where a program makes it; what a person makes is for themselves.
    #[serde(default)]
    pub person: Option<String>,
    /// A program link of the clinic, instead.
    #[serde(default)]
    pub link: Option<String>,
    /// The id of the patient in context.
    #[serde(default)]
    pub patient: Option<String>,
    /// The id of the encounter in context.
    #[serde(default)]
    pub encounter: Option<String>,
    /// The facility in context: `Organization/id` or `Location/id`.
    #[serde(default)]
    pub facility: Option<String>,
    /// Further resources in context: `Type/id`.
    #[serde(default)]
    pub fhir_context: Vec<String>,
    /// What the person is to do (`intent`).
    #[serde(default)]
    pub intent: Option<String>,
}

/// A launch that was made.
#[derive(Serialize)]
pub struct LaunchMade {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) launch: Option<String>,
    pub(super) iss: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_in: Option<u64>,
}

impl std::fmt::Debug for LaunchMade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LaunchMade(…)")
    }
}

/// What has to happen before a program gets a code.
#[derive(Debug)]
pub enum Next {
    /// The person signs in, or proves anew who they are.
    SignIn,
    /// The person chooses a patient.
    ChoosePatient,
    /// The person is asked whether they approve.
    Ask(Box<Question>),
    /// The program is told that it gets none.
    Refuse(OauthError),
}

/// What the person is asked.
#[derive(Debug)]
pub struct Question {
    /// The program's name.
    pub client: String,
    /// Where the person is sent back to.
    pub redirect: String,
    /// What is asked for, each in plain words.
    pub scopes: Vec<String>,
    /// The patient in context, by id.
    pub patient: Option<String>,
    /// What the program says about itself.
    pub about: ClientAbout,
}

pub(super) fn invalid(text: &'static str) -> Failure {
    Failure::new(Code::RequestInvalid, text)
}

/// Whether an address is one that was registered. At a loopback address the port is whichever the program got
/// (RFC 8252 section 7.3, OAuth 2.1 section 8.4.2).
pub(super) fn is_registered(known: &str, asked: &str) -> bool {
    let without_port = |uri: &str| -> Option<(&'static str, String)> {
        ["http://127.0.0.1", "http://[::1]"]
            .iter()
            .find_map(|host| {
                let rest = uri.strip_prefix(host)?;
                let path = match rest.strip_prefix(':') {
                    Some(rest) => {
                        let end = rest.find(['/', '?']).unwrap_or(rest.len());
                        let (port, path) = rest.split_at_checked(end)?;
                        port.parse::<u16>().ok()?;
                        path
                    }
                    None => rest,
                };
                let begins = path.is_empty() || path.starts_with(['/', '?']);
                begins.then(|| (*host, path.to_owned()))
            })
    };
    let same_but_port = || without_port(known).is_some_and(|k| without_port(asked) == Some(k));
    known == asked || same_but_port()
}

impl Gate {
    /// Looks at a request.
    ///
    /// # Errors
    /// `request-invalid`, `client-unknown`, `vendor-disabled`, `vendor-ended`: to be told to the person, and nobody is sent anywhere.
    pub async fn asked(&self, request: &AuthorizeRequest, now: Micros) -> Result<Asked, Failure> {
        let unknown = || Failure::of(Code::ClientUnknown);
        let id = request.get("client_id").and_then(ClientId::new);
        let client = self.store().client(&id.ok_or_else(unknown)?).await?;
        let client = client.filter(|c| c.is_good(now)).ok_or_else(unknown)?;
        let program = client.program.as_ref().ok_or_else(unknown)?;
        self.vendor_runs(client.vendor.as_ref(), now).await?;
        let redirect = request.get("redirect_uri");
        let redirect = redirect.filter(|uri| {
            program
                .redirects
                .iter()
                .any(|known| is_registered(known, uri))
        });
        let redirect = redirect.ok_or_else(|| {
            invalid("redirect_uri is not, character by character, one that the program registered")
        })?;
        let what = self.wanted(request, &client, now).await?;
        Ok(Asked {
            redirect: redirect.to_owned(),
            state: request.get("state").map(str::to_owned),
            issuer: self.links.issuer(),
            client,
            what,
        })
    }

    async fn wanted(
        &self,
        request: &AuthorizeRequest,
        client: &ClientRecord,
        now: Micros,
    ) -> Result<Result<Wanted, OauthError>, Failure> {
        let wrong = |about| Ok(Err(error("invalid_request", about)));
        if request.get("request").is_some() {
            return Ok(Err(error("request_not_supported", "send parameters")));
        }
        if request.get("request_uri").is_some() {
            return Ok(Err(error("request_uri_not_supported", "send parameters")));
        }
        match request.get("response_type") {
            Some("code") => {}
            None => return wrong("response_type is missing"),
            Some(_) => {
                let about = "response_type is code";
                return Ok(Err(error("unsupported_response_type", about)));
            }
        }
        if !matches!(request.get("response_mode"), None | Some("query")) {
            return wrong("response_mode is query");
        }
        if request.get("code_challenge_method") != Some("S256") {
            return wrong("code_challenge_method is S256");
        }
        let of_challenge = |c: &&str| {
            c.len() == 43
                && c.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let Some(challenge) = request.get("code_challenge").filter(of_challenge) else {
            return wrong("code_challenge is the base64url of a SHA-256");
        };
        let asked = request.get("scope").unwrap_or_default();
        let Some(scopes) = self.granted(asked, client) else {
            let about = "none of the scopes can be granted to this program";
            return Ok(Err(error("invalid_scope", about)));
        };
        let base = self.links.fhir();
        match request.get("aud") {
            Some(aud) if aud.trim_end_matches('/') == base => {}
            None if scopes.resources().is_empty() => {}
            Some(_) => return wrong("aud is another FHIR server"),
            None => return wrong("aud is missing: the FHIR base that the program means to use"),
        }
        let launch = match request.get("launch") {
            Some(text) => {
                let key = self.store().people_key().await?;
                let launch = sealed::open_dated::<Launch>(&key, "launch", text, now);
                let own = launch.filter(|(launch, _)| launch.client == client.id.as_str());
                match own {
                    Some((launch, _)) if self.store().is_ended_token(&launch.once).await? => {
                        return wrong("launch was used already");
                    }
                    Some(launch) => Some(launch),
                    None => return wrong("launch is not good for this program, or too old"),
                }
            }
            None if scopes.has("launch") => return wrong("launch is missing"),
            None => None,
        };
        let max_age = request.get("max_age").map(str::parse::<u32>).transpose();
        let Ok(max_age) = max_age else {
            return wrong("max_age is a number of seconds");
        };
        let prompts = request.get("prompt").unwrap_or_default();
        let mut prompts = prompts.split_ascii_whitespace();
        let silent = prompts.clone().any(|p| p == "none");
        if silent && prompts.clone().count() > 1 {
            return wrong("prompt=none stands alone");
        }
        let acr = request.get("acr_values").unwrap_or_default();
        let strong = Assurance::TwoFactors;
        let assurance = match acr.split_ascii_whitespace().any(|a| a == strong.acr()) {
            true => strong,
            false => Assurance::Password,
        };
        Ok(Ok(Wanted {
            scopes,
            challenge: challenge.to_owned(),
            nonce: request.get("nonce").map(str::to_owned),
            launch,
            // Nobody has signed in no time ago: they are asked to (OpenID Connect Core 3.1.2.1).
            max_age: max_age.filter(|secs| *secs > 0).map(i64::from),
            assurance,
            silent,
            again: max_age == Some(0) || prompts.any(|p| p == "login"),
        }))
    }

    /// The part of what is asked for that people may approve this program for.
    fn granted(&self, asked: &str, client: &ClientRecord) -> Option<Scopes> {
        let model = self.model();
        let of_people = |one: &Scopes| {
            let of_people = |s: &access::ResourceScope| s.context != ScopeContext::System;
            one.resources().iter().all(of_people)
        };
        let granted: Vec<&str> = asked
            .split_ascii_whitespace()
            .filter(|word| {
                Scopes::parse(word, model)
                    .is_ok_and(|one| of_people(&one) && client.scopes.gives(&one))
            })
            .collect();
        Scopes::parse(&granted.join(" "), model).ok()
    }
}

impl Asked {
    /// Where the program is told that it gets no code.
    pub fn refusal(&self, why: OauthError) -> String {
        self.back(&[("error", why.error), ("error_description", why.about)])
    }

    /// The redirect URI with an answer: `state` and `iss` (RFC 9207) are always with it.
    fn back(&self, answer: &[(&str, &str)]) -> String {
        let mut url = self.redirect.clone();
        let mut mark = if url.contains('?') { '&' } else { '?' };
        let state = self.state.as_deref().map(|s| ("state", s));
        let iss = Some(("iss", self.issuer.as_str()));
        for (name, value) in answer.iter().copied().chain(state).chain(iss) {
            url.push(std::mem::replace(&mut mark, '&'));
            url.push_str(&format!("{name}={}", form::encode(value)));
        }
        url
    }

    /// The origin that a page which leads there has to allow.
    pub fn redirect(&self) -> &str {
        &self.redirect
    }

    /// What comes next. `chosen` is the patient that the person chose; `asked_again` says that they
    /// have just proved who they are.
    pub fn next(&self, visitor: Option<&Visitor>, chosen: Option<&str>, proved: bool) -> Next {
        let wanted = match &self.what {
            Ok(wanted) => wanted,
            Err(why) => return Next::Refuse(*why),
        };
        let good = visitor.filter(|v| {
            v.is_recognised(wanted.assurance, wanted.max_age) && (proved || !wanted.again)
        });
        let Some(visitor) = good else {
            if wanted.silent {
                return Next::Refuse(error("login_required", "the person is not signed in"));
            }
            return match visitor {
                Some(v) if wanted.assurance > Assurance::Password && !v.has_second_factor() => {
                    let about = "the person has no second factor";
                    Next::Refuse(error("unmet_authentication_requirements", about))
                }
                _ => Next::SignIn,
            };
        };
        if wanted.is_of_another(visitor) {
            let about = "launch is for somebody else";
            return Next::Refuse(error("access_denied", about));
        }
        let patient = wanted.patient(visitor, chosen);
        if wanted.silent {
            return Next::Refuse(error("consent_required", "the person has to be asked"));
        }
        if patient.is_none() && wanted.scopes.has("launch/patient") {
            return Next::ChoosePatient;
        }
        Next::Ask(Box::new(Question {
            client: self.client.name.clone(),
            redirect: self.redirect.clone(),
            scopes: wanted.in_words(),
            patient: patient.map(|p| p.as_str().to_owned()),
            about: self.client.about.clone(),
        }))
    }
}

impl Wanted {
    /// Whether it comes from within a record that somebody else had open.
    fn is_of_another(&self, visitor: &Visitor) -> bool {
        let whom = self.launch.as_ref().and_then(|(l, _)| l.person.as_deref());
        whom.is_some_and(|whom| whom != visitor.id().as_str())
    }

    /// The patient in context: that of the launch; the person themselves; whom they chose.
    fn patient(&self, visitor: &Visitor, chosen: Option<&str>) -> Option<ResourceId> {
        if let Some((launch, _)) = &self.launch {
            return ResourceId::new(launch.patient.as_deref()?).ok();
        }
        if !self.scopes.has("launch/patient") {
            return None;
        }
        visitor
            .own_patient()
            .or_else(|| ResourceId::new(chosen?).ok())
    }

    fn in_words(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for scope in self.scopes.resources() {
            all.push(resource_words(scope));
        }
        for (word, words) in [
            ("openid", "Know who you are"),
            ("fhirUser", "Know which record stands for you"),
            ("profile", "See your name"),
            ("launch/patient", "Know which patient is chosen"),
            ("launch", "Know which patient and visit it was opened for"),
            ("launch/encounter", "Know which visit is chosen"),
            ("online_access", "Keep access until you sign out"),
            (
                "offline_access",
                "Keep access when you are away, until you take it back",
            ),
        ] {
            if self.scopes.has(word) {
                all.push(words.to_owned());
            }
        }
        all
    }
}

fn resource_words(scope: &access::ResourceScope) -> String {
    let verbs: Vec<&str> = [
        ('c', "add"),
        ('r', "read"),
        ('u', "change"),
        ('d', "delete"),
        ('s', "search"),
    ]
    .into_iter()
    .filter(|(letter, _)| scope.letters.contains(*letter))
    .map(|(_, verb)| verb)
    .collect();
    let mut verbs = verbs.join(", ");
    if let Some(first) = verbs.get(..1).map(str::to_uppercase) {
        verbs.replace_range(..1, &first);
    }
    let of = scope.text.split_once('/').map_or("", |(_, rest)| rest);
    let of = match of.split_once('.').map_or(of, |(of, _)| of) {
        "*" => "all kinds of records",
        of => of,
    };
    let whose = match scope.context {
        ScopeContext::Patient => "of the chosen patient",
        _ => "that you may see yourself",
    };
    match &scope.query {
        Some(query) => format!("{verbs}: {of} {whose}, where {query}"),
        None => format!("{verbs}: {of} {whose}"),
    }
}

impl Visitor {
    /// Whether the person has a second factor.
    pub fn has_second_factor(&self) -> bool {
        self.person.proofs.has_second_factor()
    }

    /// The patient that the person themselves is.
    pub(super) fn own_patient(&self) -> Option<ResourceId> {
        let (of, id) = self.person.record.fhir_user.as_ref()?;
        (self.gate.model().type_name(*of) == "Patient").then(|| id.clone())
    }

    /// Patients that the person may see, by a part of their names: ids and how to tell them apart.
    ///
    /// # Errors
    /// Those of a search, with the person's own rights.
    pub async fn find_patients(&self, name: &str) -> Result<Vec<(String, String)>, Failure> {
        let query = format!("name={}&_count=20", form::encode(name));
        let asked = crate::interaction::Asked {
            query: &query,
            cursor: None,
            strict: false,
        };
        let caller = self.caller().await?;
        let answer = caller.search(SearchScope::Type("Patient"), asked).await?;
        let Answer::Search(page) = answer else {
            return Ok(Vec::new());
        };
        let matches = page.page.entries.iter();
        let matches = matches.filter(|entry| entry.mode == store::Mode::Match);
        Ok(matches
            .map(|entry| patient_words(&entry.resource.get().body))
            .collect())
    }

    /// Whether the person may see a patient.
    async fn sees(caller: &Session, id: &str) -> bool {
        let unless = Unless::default();
        caller.read("Patient", id, &unless).await.is_ok()
    }

    /// Records that somebody is refused what was opened from within a record for somebody else.
    ///
    /// # Errors
    /// `audit-unavailable`.
    pub async fn may_not_take(&self, asked: &Asked) -> Result<(), Failure> {
        let foreign = asked.what.as_ref().is_ok_and(|w| w.is_of_another(self));
        if foreign {
            let what = format!(
                "approve client {}: a launch for somebody else",
                asked.client.id.as_str()
            );
            let (actor, code) = (self.person.record.actor(), Code::FormForeign);
            let store = &self.store;
            store.not_let_in(self.request, &actor, &what, code).await?;
        }
        Ok(())
    }

    /// Approves a request: where the program gets its code. What was opened from within a record is used by it.
    ///
    /// # Errors
    /// `form-foreign` if it has to be asked again, for what was opened for somebody else, or was used; those of
    /// the store.
    pub async fn approve(&self, asked: &Asked, chosen: Option<&str>) -> Result<String, Failure> {
        let stale = || Failure::of(Code::FormForeign);
        let Ok(wanted) = &asked.what else {
            return Err(stale());
        };
        if !self.is_recognised(wanted.assurance, wanted.max_age) {
            return Err(stale());
        }
        if wanted.is_of_another(self) {
            self.may_not_take(asked).await?;
            return Err(stale());
        }
        let patient = wanted.patient(self, chosen);
        // A patient in context is one that the person sees, whoever put them there.
        if let (Some(id), None) = (
            &patient,
            self.own_patient()
                .filter(|own| Some(own) == patient.as_ref()),
        ) && !Self::sees(&self.caller().await?, id.as_str()).await
        {
            return Err(Failure::of(Code::NotFound));
        }
        if wanted.scopes.has("launch/patient") && patient.is_none() {
            return Err(stale());
        }
        let house = &self.gate.house;
        let (limits, now) = (house.limits(), self.request.at);
        let seconds = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let offline = wanted.scopes.has("offline_access");
        let session = &self.session.record;
        let until = match offline {
            true => now.plus_secs(seconds(limits.approval_seconds_max)),
            false => session.until,
        };
        let bound = match &self.session.through {
            Some(through) => self.gate.let_in_until(through, now).await?,
            None => None,
        };
        let until = bound.map_or(until, |bound| until.min(bound));
        let id = base::ids::uuid_text(house.0.rng.bytes());
        let approval = Approval {
            record: ApprovalRecord {
                id: id.as_str().into(),
                person: session.person.clone(),
                person_epoch: session.person_epoch,
                client: asked.client.id.clone(),
                client_epoch: asked.client.epoch,
                scopes: Arc::new(wanted.scopes.clone()),
                patient,
                session: (!offline).then(|| session.id.clone()),
                assurance: session.assurance,
                authenticated: session.authenticated,
                until,
                ended: false,
            },
            began: now,
            code: Some(CodeTerms {
                until_us: now.plus_secs(seconds(limits.code_seconds_max)).0,
                redirect: asked.redirect.clone(),
                challenge: wanted.challenge.clone(),
            }),
            refresh: None,
            certificate: None,
            context: wanted.context()?,
            nonce: wanted.nonce.as_deref().map(Into::into),
        };
        self.gate.must_sign().await?;
        let key = self.store.people_key().await?;
        let code = format!("{id}.{}", URL_SAFE_NO_PAD.encode(key.hash("code", &id)));
        let what = format!("approve client {}", asked.client.id.as_str());
        let actor = Some(self.person.record.actor());
        let deed = self.gate.signing(self.request, actor, what)?;
        let once = wanted.launch.as_ref().map(|(l, until)| (l.once, *until));
        self.store.approve(deed, approval, once).await?;
        Ok(asked.back(&[("code", &code)]))
    }

    /// Refuses a request: where the program is told so.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn refuse(&self, asked: &Asked) -> Result<String, Failure> {
        let what = format!("refuse client {}", asked.client.id.as_str());
        let actor = Some(self.person.record.actor());
        let deed = self.gate.signing(self.request, actor, what)?;
        self.store.signing(deed).await?;
        Ok(asked.refusal(error("access_denied", "the person did not approve")))
    }
}

impl Wanted {
    fn context(&self) -> Result<Option<Box<str>>, Failure> {
        let Some((launch, _)) = &self.launch else {
            return Ok(None);
        };
        let mut context = launch.context.clone();
        if let Some(encounter) = &launch.encounter {
            context.insert("encounter".into(), json!(encounter));
        }
        let text = serde_json::to_string(&context).map_err(|_| Failure::of(Code::Internal))?;
        Ok((!context.is_empty()).then(|| text.into()))
    }
}

/// A patient's id, and their name and date of birth.
fn patient_words(body: &[u8]) -> (String, String) {
    let patient: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let name = patient.pointer("/name/0").cloned().unwrap_or_default();
    let given: Vec<String> = name
        .get("given")
        .and_then(Value::as_array)
        .map(|all| all.iter().map(text).collect())
        .unwrap_or_default();
    let family = name.get("family").map(text).unwrap_or_default();
    let whole = name.get("text").map(text);
    let whole = whole.unwrap_or_else(|| format!("{} {family}", given.join(" ")));
    let born = patient.get("birthDate").map(text).unwrap_or_default();
    let id = patient.get("id").map(text).unwrap_or_default();
    (id, format!("{} {born}", whole.trim()).trim().to_owned())
}
