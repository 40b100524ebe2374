//! What somebody of the clinic, or the operator, decides about programs that wait.

use access::{
    Administer, Administering, Assurance, AuthorityDigest, ByCertificate, ClientId, MadeByOperator,
    NewClient, Permit, Reason, ScopeContext, Scopes,
};
use base::{Code, Micros};
use fhir::definitions::Model;
use store::{Registration, TenantStore};

use super::{
    INVITATION, InitialAccess, Kept, RegistrationDecision, RegistrationView, digest_of, invalid,
    kept, seconds, unknown, view_of,
};
use crate::auth::{Visitor, seal};
use crate::clients::{ClientView, held, view};
use crate::failure::Failure;
use crate::house::House;
use crate::tenants::Operator;
use crate::vendors::binding;

/// Who decides about programs that wait: a permit for each thing that is done.
struct Desk<'a> {
    store: &'a TenantStore,
    /// That an operator decides.
    made: Option<MadeByOperator>,
    /// Whether programs that act without a person are let in ungoverned by policy.
    ungoverned: bool,
    model: &'static Model,
}

impl Desk<'_> {
    async fn list(&self, permit: Permit<Administer>) -> Result<Vec<RegistrationView>, Failure> {
        let all = self.store.registrations(permit).await?;
        let mut views = Vec::with_capacity(all.len());
        for one in &all {
            let client = self.store.client(&one.id).await?;
            views.push(view_of(one, client.as_ref())?);
        }
        Ok(views)
    }

    async fn decide(
        &self,
        permit: Permit<Administer>,
        id: &str,
        decision: RegistrationDecision,
        now: Micros,
    ) -> Result<Option<ClientView>, Failure> {
        let id = ClientId::new(id).ok_or_else(unknown)?;
        match decision.decision.as_str() {
            "approve" => {}
            "refuse" => {
                self.store.refuse_registration(permit, &id).await?;
                return Ok(None);
            }
            _ => return Err(invalid("decision is approve or refuse")),
        }
        let waiting = self
            .store
            .registration(&id, now)
            .await?
            .ok_or_else(unknown)?;
        let Kept {
            metadata, again, ..
        } = kept(&waiting)?;
        if self.made.is_none() && (decision.reason.is_some() || decision.days.is_some()) {
            return Err(invalid("reason and days are said by operators"));
        }
        is_decided(decision.record.as_deref(), &waiting, again)?;
        // What it is by now stays so where nothing else is said of it: `store` keeps it with the change.
        let client = self.store.client(&id).await?;
        let asked = metadata.scope.as_deref().unwrap_or_default();
        let scopes = |text: &str| {
            let read = Scopes::parse(text, self.model);
            read.map_err(|e| Failure::new(Code::ScopeInvalid, e.to_string()))
        };
        let asked = scopes(asked)?;
        let given = match &decision.scopes {
            None => asked,
            Some(some) => {
                let some = scopes(&some.join(" "))?;
                if !asked.covers(&some) {
                    let text = "the program did not ask for all of these scopes";
                    return Err(Failure::new(Code::ScopeInvalid, text));
                }
                some
            }
        };
        let system = |s: &access::ResourceScope| s.context == ScopeContext::System;
        let alone = metadata.grants("client_credentials") || given.resources().iter().any(system);
        let governed =
            decision.roles.is_some() || client.as_ref().is_some_and(|c| c.roles.is_some());
        if alone && !governed && !self.ungoverned {
            let text = "it acts without a person: name the roles by which policy governs it";
            return Err(invalid(text));
        }
        let roles = decision.roles.as_deref().map(held).transpose()?;
        let bound = client
            .as_ref()
            .and_then(|c| Some(c.vendor.as_ref()?.as_str()));
        if let (Some(bound), Some(named)) = (bound, decision.vendor.as_deref())
            && bound != named
        {
            let text = "a client that is bound to a vendor stays bound to it: make another one";
            return Err(invalid(text));
        }
        let vendor = match decision.vendor.as_deref().or(bound) {
            Some(vendor) => Some(binding(self.store, vendor, &given).await?),
            None => None,
        };
        let mut certificates = metadata.certificates();
        if let Some(authority) = &decision.authority {
            let named = matches!(&certificates.by, Some(by) if *by != ByCertificate::SelfSigned);
            let read = AuthorityDigest::parse(authority).filter(|_| named);
            let text =
                "authority is the SHA-256 of a certificate that vouches for the program's name";
            certificates.authority = Some(read.ok_or_else(|| invalid(text))?);
        }
        let new = NewClient {
            name: metadata
                .client_name
                .clone()
                .unwrap_or_else(|| id.as_str().to_owned()),
            id,
            scopes: given,
            jwks: metadata.keys(),
            import: None,
            program: metadata.program(),
            roles,
            vendor,
            certificates,
            about: metadata.about.clone(),
            made: self.made.clone(),
        };
        let record = &waiting.record;
        let made = self.store.approve_registration(permit, new, record).await?;
        Ok(Some(view(&made)))
    }
}

/// A fresh initial access token, for one registration; it is kept nowhere and ends by itself.
async fn invitation(
    house: &House,
    store: &TenantStore,
    endpoint: String,
    now: Micros,
) -> Result<InitialAccess, Failure> {
    let key = store.people_key().await?;
    let until = now.plus_secs(seconds(house.limits().registration_seconds_max));
    let token: ([u8; 16], i64) = (house.0.rng.bytes(), until.0);
    Ok(InitialAccess {
        initial_access_token: seal(&key, INVITATION, &token, until, &*house.0.rng)?,
        until: until.instant().to_string(),
        registration_endpoint: endpoint,
    })
}

impl Visitor {
    fn registrations_desk(&self) -> Desk<'_> {
        Desk {
            store: &self.store,
            made: None,
            ungoverned: false,
            model: self.gate.model(),
        }
    }

    /// Whoever holds a session that was left open lets no program in.
    pub(crate) async fn must_step_up(&self, what: &str) -> Result<(), Failure> {
        let fresh = seconds(self.gate.house.limits().step_up_seconds_max);
        if self.is_recognised(Assurance::TwoFactors, Some(fresh)) {
            return Ok(());
        }
        let (actor, code) = (self.person.record.actor(), Code::StepUpRequired);
        self.gate.house.0.metrics.denials.inc();
        let store = &self.store;
        store.not_let_in(self.request, &actor, what, code).await?;
        Err(Failure::of(code))
    }

    /// Programs that wait for approval, the oldest first.
    ///
    /// # Errors
    /// `scope-missing`
    pub async fn list_registrations(&self) -> Result<Vec<RegistrationView>, Failure> {
        let deed = self
            .deed(Administering::People, "list registrations")
            .await?;
        self.registrations_desk().list(deed.permit).await
    }

    /// Decides about a program that waits: the client that it is now, if it is one. Policy governs one that
    /// acts without a person.
    ///
    /// # Errors
    /// `scope-missing`, `step-up-required` without two factors shown of late, `client-unknown`, `scope-invalid`, `vendor-unknown`, `request-invalid`.
    pub async fn decide_registration(
        &self,
        id: &str,
        decision: RegistrationDecision,
    ) -> Result<Option<ClientView>, Failure> {
        let deed = self
            .deed(Administering::People, "decide about client")
            .await?;
        self.must_step_up("decide about client").await?;
        let now = self.request.at;
        self.registrations_desk()
            .decide(deed.permit, id, decision, now)
            .await
    }

    /// A token with which programs ask as invited ones.
    ///
    /// # Errors
    /// `scope-missing`, `step-up-required` without two factors shown of late.
    pub async fn invite_program(&self) -> Result<InitialAccess, Failure> {
        let what = "give initial access token";
        let deed = self.deed(Administering::People, what).await?;
        self.must_step_up(what).await?;
        self.store.signing(deed).await?;
        let endpoint = self.gate.links.auth("/register");
        invitation(&self.gate.house, &self.store, endpoint, self.request.at).await
    }
}

impl Operator {
    /// Programs of a tenant that wait for approval, the oldest first.
    ///
    /// # Errors
    /// `tenant-unknown`
    pub async fn list_registrations(&self, tenant: &str) -> Result<Vec<RegistrationView>, Failure> {
        let (tenant, store) = self.tenant(tenant)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        let desk = Desk {
            store: &store,
            made: None,
            ungoverned: true,
            model: Model::of(tenant.fhir()),
        };
        desk.list(permit).await
    }

    /// Decides about a program of a tenant that waits: the client that it is now, if it is one.
    ///
    /// # Errors
    /// `tenant-unknown`, `client-unknown`, `scope-invalid`, `vendor-unknown`, `request-invalid`.
    pub async fn decide_registration(
        &self,
        tenant: &str,
        id: &str,
        decision: RegistrationDecision,
    ) -> Result<Option<ClientView>, Failure> {
        let (tenant, store) = self.tenant(tenant)?;
        let made = self.maker(decision.reason.as_deref(), decision.days)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        let desk = Desk {
            store: &store,
            made: Some(made),
            ungoverned: true,
            model: Model::of(tenant.fhir()),
        };
        desk.decide(permit, id, decision, self.request.at).await
    }
}

/// Whether a decision is about what a program asks for now. One that says nothing of what was looked at is
/// about what the program asked for first.
fn is_decided(record: Option<&str>, waiting: &Registration, again: bool) -> Result<(), Failure> {
    let conflict = |text: &'static str| Err(Failure::new(Code::VersionConflict, text));
    match record {
        Some(record) if record == digest_of(waiting) => Ok(()),
        None if !again => Ok(()),
        Some(_) => conflict("it asks for something else by now: look again"),
        None => conflict("it asks for something else than at first: look, and say the record"),
    }
}
