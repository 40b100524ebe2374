//! `$vendors`, `$vendor`, `$vendor-propose`, `$vendor-switch` and `$vendor-activity`: the same as in the
//! browser of the clinic's administrators, with Parameters resources in and out.

use base::Code;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{ActivityAsked, SwitchDraft, VendorDraft};
use crate::answer::Answer;
use crate::failure::Failure;
use crate::policies::operation::{answer, read};
use crate::session::Session;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    vendor: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proposal {
    document: VendorDraft,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switching {
    vendor: String,
    hold: String,
    #[serde(default)]
    terms: Option<u64>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    vendor: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
}

impl Session {
    /// One of the operations on vendors.
    ///
    /// # Errors
    /// Those of each; `not-supported`.
    pub(crate) async fn contract(&self, name: &str, body: &Bytes) -> Result<Answer, Failure> {
        // The right is looked at before what was sent.
        let _ = self.for_clinic().await?;
        match name {
            "vendors" => answer(&json!({ "vendors": self.vendors().await? })),
            "vendor" => {
                let One { vendor } = read(body)?;
                answer(&self.vendor(&vendor).await?)
            }
            "vendor-propose" => {
                let Proposal { document } = read(body)?;
                answer(&self.propose_vendor(document).await?)
            }
            "vendor-switch" => {
                let asked: Switching = read(body)?;
                let draft = SwitchDraft {
                    hold: asked.hold,
                    terms: asked.terms,
                    reason: asked.reason,
                };
                answer(&self.switch_vendor(&asked.vendor, draft).await?)
            }
            "vendor-activity" => {
                let asked: Asked = read(body)?;
                let times = ActivityAsked {
                    from: asked.from.as_deref(),
                    to: asked.to.as_deref(),
                };
                answer(&self.vendor_activity(&asked.vendor, &times).await?)
            }
            _ => Err(Failure::of(Code::NotSupported)),
        }
    }
}
