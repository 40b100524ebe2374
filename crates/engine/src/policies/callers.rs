//! Who works on a policy: the operator, and in the tenant whom the policy itself lets administer it.
//! Each brings the permit and the surroundings; what is done is the same.

use access::{Administer, PRESETS, Permit, Reason, decide_policy};
use fhir::definitions::Model;
use store::TenantStore;

use super::{
    DryRun, Matrix, PolicyDiff, PolicyDraft, PolicyQuestion, PolicyTrial, PolicyView, PresetView,
    Tested, Work, diff, one, view,
};
use crate::failure::Failure;
use crate::session::Session;
use crate::tenants::Operator;

impl Operator {
    pub(super) fn work<'a>(
        &'a self,
        tenant: &access::TenantId,
        store: &'a TenantStore,
    ) -> Work<'a> {
        Work {
            store,
            model: Model::of(tenant.fhir()),
            limits: self.house.limits(),
            base: self.links(tenant).fhir(),
            now: self.request.at,
            benches: &self.house.0.benches,
            tenant: *tenant.bytes(),
        }
    }

    /// The ready policies.
    pub fn presets(&self) -> Vec<PresetView> {
        let view = |p: &access::Preset| PresetView {
            name: p.name,
            about: p.about,
            document: p.document(),
        };
        PRESETS.iter().map(view).collect()
    }

    /// The policy in force, or a version of it.
    ///
    /// # Errors
    /// `tenant-unknown`, `not-found`.
    pub async fn policy(&self, name: &str, version: Option<u64>) -> Result<PolicyView, Failure> {
        let (tenant, store) = self.tenant(name)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        one(self.work(&tenant, &store).versions(permit).await?, version)
    }

    /// Every version, newest first, without what they say.
    ///
    /// # Errors
    /// `tenant-unknown`.
    pub async fn policy_versions(&self, name: &str) -> Result<Vec<PolicyView>, Failure> {
        let (tenant, store) = self.tenant(name)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        let all = self.work(&tenant, &store).versions(permit).await?;
        Ok(all.into_iter().map(|v| view(v, false)).collect())
    }

    /// What is different between two versions; 0 is no policy.
    ///
    /// # Errors
    /// `tenant-unknown`, `not-found`.
    pub async fn policy_diff(&self, name: &str, from: u64, to: u64) -> Result<PolicyDiff, Failure> {
        let (tenant, store) = self.tenant(name)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        diff(
            &self.work(&tenant, &store).versions(permit).await?,
            from,
            to,
        )
    }

    /// Puts a policy into force, from the next request on.
    ///
    /// # Errors
    /// `policy-invalid`, `version-conflict`, `request-invalid`, `tenant-unknown`.
    pub async fn publish_policy(
        &self,
        name: &str,
        draft: PolicyDraft,
    ) -> Result<PolicyView, Failure> {
        let (tenant, store) = self.tenant(name)?;
        let permits = [
            self.system(Reason::Operation, &tenant)?,
            self.system(Reason::Operation, &tenant)?,
        ];
        self.work(&tenant, &store)
            .publish(permits, draft, true)
            .await
    }

    /// Explains a decision.
    ///
    /// # Errors
    /// `policy-invalid` for a draft, `request-invalid`, `tenant-unknown`, `client-unknown`.
    pub async fn test_policy(
        &self,
        name: &str,
        question: PolicyQuestion,
    ) -> Result<Tested, Failure> {
        let (tenant, store) = self.tenant(name)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        self.work(&tenant, &store)
            .test(permit, question, None)
            .await
    }

    /// Tries a draft on what was asked lately.
    ///
    /// # Errors
    /// `policy-invalid`, `request-invalid`, `tenant-unknown`.
    pub async fn dry_run_policy(&self, name: &str, trial: PolicyTrial) -> Result<DryRun, Failure> {
        let (tenant, store) = self.tenant(name)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        let another = || self.system(Reason::Operation, &tenant);
        self.work(&tenant, &store)
            .dry_run((permit, another), trial, None)
            .await
    }

    /// Who may do what, by roles and types.
    ///
    /// # Errors
    /// `tenant-unknown`.
    pub async fn policy_matrix(&self, name: &str) -> Result<Matrix, Failure> {
        let (tenant, store) = self.tenant(name)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        store.looked_at(permit, "policy matrix").await?;
        self.work(&tenant, &store).matrix().await
    }
}

impl Session {
    pub(super) fn work(&self) -> Work<'_> {
        Work {
            store: &self.store,
            model: self.model(),
            limits: self.limits(),
            base: self.links().fhir(),
            now: self.request.at,
            benches: &self.house().0.benches,
            tenant: *self.tenant().bytes(),
        }
    }

    /// The right to administer the policy, or its refusal, recorded.
    pub(crate) async fn may_govern(&self) -> Result<Permit<Administer>, Failure> {
        match self.decide_govern() {
            Ok(permit) => Ok(permit),
            Err(denied) => Err(self.refuse(denied).await),
        }
    }

    fn decide_govern(&self) -> Result<Permit<Administer>, access::Denied> {
        decide_policy(self.principal(), self.rights(), self.tenant(), self.request)
    }

    /// What is told of grants of the policy that are as ready policies of earlier versions say them, to whom it
    /// lets administer it. Only that something is told is recorded.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn outdated_policy(&self) -> Result<Option<String>, Failure> {
        let Ok(permit) = self.decide_govern() else {
            return Ok(None);
        };
        let (policy, _) = self.store.governing().await?;
        let told = policy.document().told_outdated();
        if told.is_some() {
            self.store.looked_at(permit, "outdated policy").await?;
        }
        Ok(told)
    }

    /// `$policy`: the policy in force.
    ///
    /// # Errors
    /// `scope-missing`, recorded.
    pub async fn policy(&self) -> Result<PolicyView, Failure> {
        let permit = self.may_govern().await?;
        one(self.work().versions(permit).await?, None)
    }

    /// `$policy-publish`: puts a policy into force, from the next request on.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `policy-invalid`, `version-conflict`, `request-invalid`.
    pub async fn publish_policy(&self, draft: PolicyDraft) -> Result<PolicyView, Failure> {
        let permits = [self.may_govern().await?, self.may_govern().await?];
        self.work().publish(permits, draft, false).await
    }

    /// `$policy-test`: explains a decision.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `policy-invalid`, `request-invalid`, `client-unknown`.
    pub async fn test_policy(&self, question: PolicyQuestion) -> Result<Tested, Failure> {
        let permit = self.may_govern().await?;
        self.work()
            .test(permit, question, Some(self.rights()))
            .await
    }

    /// `$policy-dry-run`: tries a draft on what was asked lately.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `policy-invalid`, `request-invalid`.
    pub async fn dry_run_policy(&self, trial: PolicyTrial) -> Result<DryRun, Failure> {
        let permit = self.may_govern().await?;
        let another = || {
            self.decide_govern()
                .map_err(|denied| Failure::from(&denied))
        };
        let author = Some(self.rights());
        self.work().dry_run((permit, another), trial, author).await
    }
}
