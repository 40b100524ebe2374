//! A tenant's policy as people work on it: read, put into force, compared, tried.
//!
//! Two may: the operator, through the admin API, and whom the policy itself lets administer it.

mod callers;
mod importing;
mod matrix;
pub(crate) mod operation;
mod trying;

use std::sync::Arc;

use access::{
    ActionName, Administer, ClientId, Consents, Decision, Document, Errand, GrantText, Opened,
    PRESETS, Permit, PersonId, PersonState, Policy, PolicyError, RequestFacts, Rights, Subject,
    Surroundings, preset,
};
use base::{Code, Limits, Micros, ResourceId};
use fhir::definitions::{Model, TypeId};
use fhir::search::Customs;
use fhir::search::query::Clause;
use serde::{Deserialize, Serialize};
use store::{Person, PolicyVersion, TenantStore};

use crate::auth::normal_login;
use crate::benches::Benches;
use crate::clients::held;
use crate::failure::Failure;
use matrix::matrix;

pub(crate) use operation::{answer as parameters_of, read as read_parameters};

pub use importing::{PolicyImport, PolicyImported};
pub use matrix::{Matrix, preset_matrix, presets};
pub use trying::{DryRun, PolicyTrial};

/// A policy to be put into force: one of a document, the name of a ready policy, or an older version.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyDraft {
    /// The document.
    pub document: Option<Document>,
    /// A ready policy.
    pub preset: Option<String>,
    /// An older version, to roll back to.
    pub version: Option<u64>,
    /// Why.
    pub reason: String,
    /// The version that the author knows to be in force; refused if another is.
    pub after: Option<u64>,
}

/// A policy, as it is shown.
#[derive(Debug, Serialize)]
pub struct PolicyView {
    /// Its number; 0 where no policy was ever put into force.
    pub version: u64,
    /// When it was put into force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it says; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<Document>,
    /// What its author may not have meant: all of it when it is published, of the one in force which grants are
    /// as ready policies of earlier versions say them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Of the one in force, a draft with today's grants of ready policies in place of earlier ones, if it has such.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewed: Option<Document>,
}

/// A ready policy, as it is listed.
#[derive(Debug, Serialize)]
pub struct PresetView {
    name: &'static str,
    about: &'static str,
    document: Document,
}

/// What is different between two policies.
#[derive(Debug, Serialize)]
pub struct PolicyDiff {
    added: Vec<GrantText>,
    removed: Vec<GrantText>,
    changed: Vec<Changed>,
}

/// A grant that is there in both and says something else.
#[derive(Debug, Serialize)]
pub struct Changed {
    name: String,
    from: GrantText,
    to: GrantText,
}

/// May somebody do something?
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyQuestion {
    /// An API client, by id.
    pub client: Option<String>,
    /// A person of the tenant, by id or by login, in their own browser.
    pub person: Option<String>,
    /// That person proved by two factors who they are.
    #[serde(rename = "steppedUp")]
    pub stepped_up: Option<bool>,
    /// Somebody with these roles.
    pub roles: Vec<String>,
    /// `read search history create update delete export`, or an operation that grants name (`$lastn`).
    pub action: String,
    /// The resource type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// A resource of the type; not for operators.
    pub id: Option<String>,
    /// A draft to be asked instead of the policy in force.
    pub document: Option<Document>,
    /// From where.
    pub address: Option<std::net::IpAddr>,
    /// The reason that is given.
    pub reason: Option<String>,
}

/// The answer to a [`PolicyQuestion`].
#[derive(Debug, Serialize)]
pub struct Tested {
    /// The version asked; none for a draft.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// Whether it is allowed: for the resource, where one was named and is there.
    allowed: bool,
    /// Whether the resource that was named is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<bool>,
    /// Whether it waits in quarantine: who is allowed to is told so (`resource-quarantined`), and not what it
    /// says. What it meets is what its last good version does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    quarantined: bool,
    /// Whether the person may sign in at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    signs_in: Option<bool>,
    /// Whether the caller's scopes leave it.
    in_scope: bool,
    /// Grant by grant.
    steps: Vec<access::Step>,
}

/// What is told of the resource that was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing: none was named, or whoever asks does not read it.
    Untold,
    Absent,
    There,
    /// It waits in quarantine.
    Apart,
}

impl Tested {
    /// Whether it is allowed.
    pub const fn allowed(&self) -> bool {
        self.allowed
    }

    /// Grant by grant.
    pub fn steps(&self) -> &[access::Step] {
        &self.steps
    }
}

/// Characters of a reason.
const REASON_CHARACTERS_MAX: usize = 500;

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        let each = error.0.iter().map(|p| match &p.grant {
            Some(grant) => format!("{grant}: {}: {}", p.member, p.problem),
            None => format!("{}: {}", p.member, p.problem),
        });
        let text: Vec<String> = each.collect();
        Self::new(error.code(), text.join("; "))
    }
}

/// Of which resources it is told which criteria they meet: those that whoever asks reads whole, where
/// the criteria look at nothing else that the author does not read whole.
enum Told {
    Always,
    Never,
    Where(Clause),
}

impl Told {
    fn of<'c>(
        rights: &Rights,
        model: &Model,
        type_id: TypeId,
        mut criteria: impl Iterator<Item = &'c Clause>,
        mut keys: impl Iterator<Item = &'static str>,
    ) -> Self {
        let rule = rights.rule(ActionName::Read, type_id);
        let whole = |of: TypeId| {
            rights.allows(ActionName::Read, of) && rights.rule(ActionName::Read, of).is_none()
        };
        match rule {
            _ if !rights.allows(ActionName::Read, type_id) => Self::Never,
            _ if !criteria.all(|c| c.looks_at(model).into_iter().all(whole)) => Self::Never,
            _ if !keys.all(|key| model.type_id(key).is_some_and(whole)) => Self::Never,
            None => Self::Always,
            Some(rule) if rule.hidden().is_some() => Self::Never,
            Some(rule) => rule.filter().cloned().map_or(Self::Always, Self::Where),
        }
    }
}

/// A tenant whose policy is worked on by somebody who may.
struct Work<'a> {
    store: &'a TenantStore,
    model: &'static Model,
    limits: &'a Limits,
    base: String,
    now: Micros,
    benches: &'a Benches,
    tenant: [u8; 16],
}

impl Work<'_> {
    /// Beside the workers that serve requests, tenants in turns: it may take its time.
    async fn aside<T: Send + 'static>(
        &self,
        customs: &Arc<Customs>,
        work: impl FnOnce(&Surroundings<'_>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let (base, limits) = (self.base.clone(), self.limits.clone());
        let (model, now, customs) = (self.model, self.now, customs.clone());
        let place = self.benches.place(self.tenant).await;
        let made = tokio::task::spawn_blocking(move || {
            store::stand_back();
            let _place = place;
            let base = [base.as_str()];
            work(&Surroundings {
                model,
                limits: &limits,
                own_bases: &base,
                customs: &customs,
                consents: Consents::none(),
                now,
            })
        });
        made.await.map_err(|_| Failure::of(Code::Internal))
    }

    async fn in_force(&self) -> Result<(std::sync::Arc<Policy>, std::sync::Arc<Customs>), Failure> {
        Ok(self.store.governing().await?)
    }

    async fn checked(
        &self,
        document: &Document,
        customs: &Arc<Customs>,
    ) -> Result<Policy, Failure> {
        self.looked_at(document, customs, false)
            .await
            .map(|(policy, _)| policy)
    }

    /// A policy that was checked, and what its author may not have meant, if that is asked for.
    async fn looked_at(
        &self,
        document: &Document,
        customs: &Arc<Customs>,
        warn: bool,
    ) -> Result<(Policy, Vec<String>), Failure> {
        // Its form first: what came in JSON was not looked at.
        let document = Document::parse(&document.to_text())?;
        let checked = move |surroundings: &Surroundings<'_>| {
            let policy = Policy::new(0, document, surroundings.model)?;
            policy.check(surroundings)?;
            let warnings = match warn {
                true => policy.lint(surroundings),
                false => Vec::new(),
            };
            Ok::<_, PolicyError>((policy, warnings))
        };
        Ok(self.aside(customs, checked).await??)
    }

    fn surroundings<'s>(&'s self, base: &'s [&'s str], customs: &'s Customs) -> Surroundings<'s> {
        Surroundings {
            model: self.model,
            limits: self.limits,
            own_bases: base,
            customs,
            consents: Consents::none(),
            now: self.now,
        }
    }

    async fn versions(&self, permit: Permit<Administer>) -> Result<Vec<PolicyVersion>, Failure> {
        Ok(self.store.policies(permit).await?)
    }

    /// What is told of Consents that are in force and hold nobody; to operators, how many they are.
    async fn unheld(
        &self,
        document: &Document,
        by_operator: bool,
    ) -> Result<Option<String>, Failure> {
        /// So many are told by their ids.
        const TOLD_MAX: usize = 20;
        let told = |consents: &Consents| {
            let all = consents.unheld();
            let count = all.len();
            let ids = all.take(TOLD_MAX).map(|id| format!("Consent/{id}"));
            let ids: Vec<String> = ids.filter(|_| !by_operator).collect();
            (count > 0).then(|| {
                let which = match ids.is_empty() {
                    true => String::new(),
                    false => format!(": {}", ids.join(", ")),
                };
                format!("{count} Consents refuse nothing, as their status or patient is not known{which}")
            })
        };
        let count = document.enforces_consents();
        Ok(self.store.with_consents(count, told).await?)
    }

    /// `by_operator`: of that the tenant's own people are told, and of their charts an operator is not.
    async fn publish(
        &self,
        permits: [Permit<Administer>; 2],
        draft: PolicyDraft,
        by_operator: bool,
    ) -> Result<PolicyView, Failure> {
        let reason = draft.reason.trim().to_owned();
        if reason.is_empty() || reason.chars().count() > REASON_CHARACTERS_MAX {
            let text = "reason says why, in 1 to 500 characters";
            return Err(Failure::new(Code::RequestInvalid, text));
        }
        let [listing, publishing] = permits;
        let document = match (draft.document, draft.preset, draft.version) {
            (Some(document), None, None) => document,
            (None, Some(name), None) => known_preset(&name)?,
            (None, None, Some(version)) => {
                let all = self.versions(listing).await?;
                let found = all.into_iter().find(|v| v.version == version);
                found.ok_or(Failure::of(Code::NotFound))?.document
            }
            _ => {
                let text = "one of document, preset and version is given";
                return Err(Failure::new(Code::RequestInvalid, text));
            }
        };
        let (_, customs) = self.in_force().await?;
        let (policy, mut warnings) = self.looked_at(&document, &customs, true).await?;
        let document = policy.document().clone();
        warnings.extend(self.unheld(&document, by_operator).await?);
        let version = self
            .store
            .publish_policy(
                publishing,
                document.clone(),
                (&reason, by_operator),
                draft.after,
            )
            .await?;
        Ok(PolicyView {
            version,
            at: Some(self.now.instant().to_string()),
            by: None,
            reason: Some(reason),
            document: Some(document),
            warnings,
            renewed: None,
        })
    }

    async fn test(
        &self,
        permit: Permit<Administer>,
        question: PolicyQuestion,
        asks: Option<&Rights>,
    ) -> Result<Tested, Failure> {
        // Who reaches whom is told to nobody outside; criteria would be questions about charts, too.
        if question.id.is_some() && asks.is_none() {
            let text = "who reaches a certain resource is for the clinic's own people to ask ($policy-test)";
            return Err(Failure::new(Code::ClinicOnly, text));
        }
        let (in_force, customs) = self.in_force().await?;
        let draft = match &question.document {
            Some(document) => Some(self.checked(document, &customs).await?),
            None => None,
        };
        let policy = draft.as_ref().unwrap_or(&in_force);
        let (errand, action) = errand(&question.action)?;
        let type_id = self.model.type_id(&question.type_name);
        let type_id = type_id.ok_or(Failure::of(Code::ResourceTypeUnknown))?;
        let roles = held(&question.roles)?;
        let named = [
            question.client.is_some(),
            question.person.is_some(),
            !roles.is_empty(),
        ];
        if named.iter().filter(|named| **named).count() > 1 {
            let text = "one of client, person and roles is given";
            return Err(Failure::new(Code::RequestInvalid, text));
        }
        let person = match &question.person {
            None => None,
            Some(name) => Some(self.person(name).await?),
        };
        let client = match &question.client {
            None => None,
            Some(id) => Some(self.client(id).await?),
        };
        let vendor = match client.as_ref().and_then(|c| c.vendor.as_ref()) {
            Some(id) => self.store.vendor(id).await?,
            None => None,
        };
        let subject = match (&client, &person) {
            (Some(record), _) => Subject::client(record).under(vendor.as_deref()),
            (None, Some(person)) => Subject::person(&person.record),
            (None, None) => Subject::holding(&roles),
        };
        let facts = RequestFacts {
            at: self.now,
            from: question.address,
            reason: question.reason.as_deref(),
            stepped_up: question.stepped_up.unwrap_or(false),
        };
        let openings = match &person {
            Some(person) => {
                let who = (&person.record.id, person.record.epoch);
                self.store.openings_of(who, self.now)
            }
            None => Vec::new(),
        };
        let opened: Vec<Opened<'_>> = openings
            .iter()
            .map(|opening| Opened {
                grant: &opening.grant,
                patient: &opening.patient,
            })
            .collect();
        let base = [self.base.as_str()];
        let asked = (errand, action, type_id);
        let count = policy.document().asks_patients();
        let told = self.store.with_consents(count, |consents| {
            let surroundings = Surroundings {
                consents,
                ..self.surroundings(&base, &customs)
            };
            (
                policy.explain(&subject, asked, &facts, &surroundings, &opened),
                policy.suppose_open(&subject, &facts, &surroundings, &opened),
            )
        });
        let (mut decision, rights) = told.await?;
        // Whoever may not sign in does nothing, whatever policy says of them.
        let signs_in = person
            .as_ref()
            .is_none_or(|p| p.record.state == PersonState::Active);
        decision.allowed &= signs_in;
        let filter = rights
            .on(errand)
            .and_then(|own| own.rule(action, type_id)?.filter())
            .cloned();
        let (found, allowed) = match question.id.as_deref().zip(asks) {
            None => {
                self.store.looked_at(permit, "test policy").await?;
                (Found::Untold, decision.allowed)
            }
            Some((id, own)) => {
                let id = ResourceId::new(id).map_err(|_| Failure::of(Code::ResourceIdInvalid))?;
                let steps = decision.steps.iter().filter_map(|s| s.clause.as_ref());
                let steps = steps.chain(&filter);
                let told = Told::of(own, self.model, type_id, steps, rights.keys());
                self.on(permit, (type_id, id), &mut decision, filter, told)
                    .await?
            }
        };
        Ok(Tested {
            version: draft.is_none().then(|| in_force.version()),
            allowed,
            found: match found {
                Found::Untold => None,
                other => Some(other != Found::Absent),
            },
            quarantined: found == Found::Apart,
            signs_in: person.is_some().then_some(signs_in),
            in_scope: decision.in_scope,
            steps: decision.steps,
        })
    }

    async fn client(&self, id: &str) -> Result<access::ClientRecord, Failure> {
        let unknown = || Failure::of(Code::ClientUnknown);
        let id = ClientId::new(id).ok_or_else(unknown)?;
        self.store.client(&id).await?.ok_or_else(unknown)
    }

    /// A person, by id or by login.
    async fn person(&self, name: &str) -> Result<Arc<Person>, Failure> {
        let found = match PersonId::new(name) {
            Some(id) => self.store.person(&id).await?,
            None => {
                let login = normal_login(name).unwrap_or_default();
                self.store.person_of_login(&login).await?
            }
        };
        found.ok_or(Failure::of(Code::PersonUnknown))
    }

    /// What of a decision a certain resource meets.
    async fn on(
        &self,
        permit: Permit<Administer>,
        resource: (TypeId, ResourceId),
        decision: &mut Decision,
        filter: Option<Clause>,
        told: Told,
    ) -> Result<(Found, bool), Failure> {
        let mut clauses: Vec<_> = decision
            .steps
            .iter()
            .filter_map(|s| s.clause.clone())
            .collect();
        let count = clauses.len();
        clauses.extend(filter);
        let has_filter = clauses.len() > count;
        let tells = match told {
            Told::Always => true,
            Told::Never => false,
            Told::Where(own) => {
                clauses.push(own);
                false
            }
        };
        let asked = clauses.len() > count + usize::from(has_filter);
        let met = self.store.meets(permit, resource, clauses).await?;
        // What is asked is told of what whoever asks may read, and of nothing else: not even whether that is
        // there.
        let of_theirs = || met.as_ref().and_then(|met| met.each.last().copied());
        let tells = tells || asked && of_theirs().unwrap_or(false);
        if !tells {
            return Ok((Found::Untold, decision.allowed));
        }
        let Some(met) = met else {
            return Ok((Found::Absent, false));
        };
        let mut each = met.each.iter().copied();
        for step in decision.steps.iter_mut().filter(|s| s.clause.is_some()) {
            step.met = each.next();
        }
        let reached = !has_filter || met.each.get(count).copied().unwrap_or(false);
        let found = match met.apart {
            true => Found::Apart,
            false => Found::There,
        };
        Ok((found, decision.allowed && reached))
    }

    async fn matrix(&self) -> Result<Matrix, Failure> {
        let (policy, customs) = self.in_force().await?;
        let base = [self.base.as_str()];
        Ok(matrix(&policy, &self.surroundings(&base, &customs)))
    }
}

/// What is told of roles that nothing in a tenant's policy is said about: whoever holds them alone may do
/// nothing.
pub(crate) async fn unnamed_roles(
    store: &TenantStore,
    roles: &[access::RoleAt],
) -> Result<Vec<String>, Failure> {
    let (policy, _) = store.governing().await?;
    let unnamed = |role: &&access::RoleAt| {
        *role.role != *access::TENANT_ADMINISTRATOR && !policy.document().names_role(&role.role)
    };
    let mut all: Vec<String> = roles
        .iter()
        .filter(unnamed)
        .map(|r| {
            format!(
                "no grant of the policy is to the role {}: it gives nothing",
                r.role
            )
        })
        .collect();
    all.dedup();
    Ok(all)
}

fn action(name: &str) -> Result<ActionName, Failure> {
    match errand(name)? {
        (Errand::Plain, action) => Ok(action),
        _ => Err(Failure::of(Code::RequestInvalid)),
    }
}

/// What is asked about, and the action that says what it comes to.
fn errand(word: &str) -> Result<(Errand, ActionName), Failure> {
    Errand::of(word).ok_or_else(|| {
        let text = "action is one of read, search, history, create, update, delete, export, or an \
                    operation that policies grant by name";
        Failure::new(Code::RequestInvalid, text)
    })
}

fn known_preset(name: &str) -> Result<Document, Failure> {
    preset(name).ok_or_else(|| {
        let names: Vec<&str> = PRESETS.iter().map(|p| p.name).collect();
        let text = format!("ready policies are {}", names.join(", "));
        Failure::new(Code::NotFound, text)
    })
}

fn view(version: PolicyVersion, whole: bool) -> PolicyView {
    PolicyView {
        version: version.version,
        at: Some(version.at.instant().to_string()),
        by: Some(version.by),
        reason: Some(version.reason),
        document: whole.then_some(version.document),
        warnings: Vec::new(),
        renewed: None,
    }
}

fn one(all: Vec<PolicyVersion>, version: Option<u64>) -> Result<PolicyView, Failure> {
    let wanted = |v: &PolicyVersion| version.is_none_or(|wanted| v.version == wanted);
    let newest = all.first().map(|v| v.version);
    match all.into_iter().find(wanted) {
        Some(found) if newest == Some(found.version) => {
            let renewed = found.document.renewed();
            let warnings = found.document.told_outdated().into_iter().collect();
            Ok(PolicyView {
                warnings,
                renewed,
                ..view(found, true)
            })
        }
        Some(found) => Ok(view(found, true)),
        None if version.is_none() => Ok(PolicyView {
            version: 0,
            at: None,
            by: None,
            reason: None,
            document: Some(Document::default()),
            warnings: Vec::new(),
            renewed: None,
        }),
        None => Err(Failure::of(Code::NotFound)),
    }
}

fn diff(all: &[PolicyVersion], from: u64, to: u64) -> Result<PolicyDiff, Failure> {
    let of = |version: u64| -> Result<Vec<GrantText>, Failure> {
        if version == 0 {
            return Ok(Vec::new());
        }
        let found = all.iter().find(|v| v.version == version);
        Ok(found
            .ok_or(Failure::of(Code::NotFound))?
            .document
            .grants
            .clone())
    };
    let (old, new) = (of(from)?, of(to)?);
    let named = |grants: &[GrantText], name: &str| grants.iter().find(|g| g.name == name).cloned();
    let changed = old.iter().filter_map(|from| {
        let to = named(&new, &from.name).filter(|to| to != from)?;
        Some(Changed {
            name: from.name.clone(),
            from: from.clone(),
            to,
        })
    });
    Ok(PolicyDiff {
        added: new
            .iter()
            .filter(|g| named(&old, &g.name).is_none())
            .cloned()
            .collect(),
        removed: old
            .iter()
            .filter(|g| named(&new, &g.name).is_none())
            .cloned()
            .collect(),
        changed: changed.collect(),
    })
}
