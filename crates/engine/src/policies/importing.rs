//! Policies of other platforms become a draft here, and a report of what they could not become.

use std::collections::BTreeMap;

use access::{
    Administer, Document, ImportFrom, ImportLine, ImportOptions, Permit, Reason, RoleAt,
    import_policies,
};
use base::Code;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Work;
use crate::failure::Failure;
use crate::session::Session;
use crate::tenants::Operator;

/// Documents of another platform.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyImport {
    /// Whose they are.
    pub from: ImportFrom,
    /// Policies, lists of them, Bundles.
    pub documents: Vec<Value>,
    /// The role to which policies are given that name nobody.
    #[serde(default)]
    pub role: Option<String>,
    /// What names of the other platform stand for here.
    #[serde(default)]
    pub names: Option<BTreeMap<String, String>>,
}

/// A draft, and what became of what it was made of.
#[derive(Debug, Serialize)]
pub struct PolicyImported {
    /// The draft; it is not in force.
    document: Document,
    /// Line by line.
    report: Vec<ImportLine>,
}

impl PolicyImported {
    /// The draft; it is not in force.
    pub const fn document(&self) -> &Document {
        &self.document
    }

    /// Line by line.
    pub fn report(&self) -> &[ImportLine] {
        &self.report
    }
}

impl Work<'_> {
    /// Beside the workers that serve requests, tenants in turns: it may take its time.
    pub(super) async fn import(
        &self,
        permit: Permit<Administer>,
        asked: PolicyImport,
    ) -> Result<PolicyImported, Failure> {
        if let Some(role) = &asked.role
            && RoleAt::parse(role).is_none_or(|r| r.facility.is_some())
        {
            let text = "a role has 1 to 64 of a-z 0-9 - _ .";
            return Err(Failure::new(Code::RequestInvalid, text));
        }
        let (_, customs) = self.in_force().await?;
        let options = ImportOptions {
            role: asked.role,
            names: asked.names.unwrap_or_default(),
        };
        self.store.looked_at(permit, "import policy").await?;
        let made = self.aside(&customs, move |surroundings| {
            import_policies(asked.from, &asked.documents, &options, surroundings)
        });
        let made = made.await?;
        Ok(PolicyImported {
            document: made.document,
            report: made.report,
        })
    }
}

impl Operator {
    /// What documents of another platform become; nothing is put into force.
    ///
    /// # Errors
    /// `tenant-unknown`, `request-invalid`.
    pub async fn import_policy(
        &self,
        name: &str,
        asked: PolicyImport,
    ) -> Result<PolicyImported, Failure> {
        let (tenant, store) = self.tenant(name)?;
        let permit = self.system(Reason::Operation, &tenant)?;
        self.work(&tenant, &store).import(permit, asked).await
    }
}

impl Session {
    /// `$policy-import`: the same.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `request-invalid`.
    pub async fn import_policy(&self, asked: PolicyImport) -> Result<PolicyImported, Failure> {
        let permit = self.may_govern().await?;
        self.work().import(permit, asked).await
    }
}
