//! `$alerts`, `$alert-acknowledge`, `$alert-rules` and `$alert-rules-publish`: the same as in the browsers
//! of the tenant's people, with Parameters resources in and out.

use base::Code;
use serde_json::json;

use super::Input;
use crate::alerts::{AlertSaid, AlertsWanted};
use crate::answer::Answer;
use crate::failure::Failure;
use crate::form;
use crate::policies::{parameters_of, read_parameters};
use crate::session::Session;

fn invalid(text: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(Code::RequestInvalid, text)
}

fn words(query: &str, name: &str) -> Option<String> {
    let text = form::first(query, name)?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn number(query: &str, name: &'static str) -> Result<Option<u64>, Failure> {
    let text = words(query, name);
    let parse = |t: String| {
        t.parse()
            .map_err(|_| invalid(format!("{name} is a number")))
    };
    text.map(parse).transpose()
}

impl Session {
    /// One of the operations on alerts.
    ///
    /// # Errors
    /// `scope-missing`, recorded, and those of each.
    pub(super) async fn attend(&self, name: &str, input: &Input<'_>) -> Result<Answer, Failure> {
        // The right is looked at before what was sent.
        let _ = match name {
            "alert-rules-publish" => self.may_govern().await?,
            _ => self.may_attend().await?,
        };
        match name {
            "alerts" => {
                let query = self.simple_parameters(input)?;
                let (state, rule) = (words(&query, "state"), words(&query, "rule"));
                let wanted = AlertsWanted {
                    state: state.as_deref(),
                    rule: rule.as_deref(),
                    number: number(&query, "number")?,
                    before: number(&query, "before")?,
                    count: number(&query, "_count")?,
                };
                parameters_of(&self.alerts(&wanted).await?)
            }
            "alert-acknowledge" => {
                let query = self.simple_parameters(input)?;
                let said = AlertSaid {
                    verdict: words(&query, "verdict").unwrap_or_default(),
                    remark: words(&query, "remark").unwrap_or_default(),
                };
                let of = number(&query, "number")?;
                let of = of.ok_or(invalid("number says which alert"))?;
                parameters_of(&self.acknowledge_alert(of, said).await?)
            }
            "alert-rules" => {
                let query = self.simple_parameters(input)?;
                match (number(&query, "from")?, number(&query, "to")?) {
                    (None, None) => parameters_of(&self.alert_rules().await?),
                    (Some(from), Some(to)) => {
                        parameters_of(&self.alert_rules_diff(from, to).await?)
                    }
                    _ => Err(invalid("from and to are two versions")),
                }
            }
            _ => {
                let draft = read_parameters(input.body)?;
                let version = self.publish_alert_rules(draft).await?;
                parameters_of(&json!({ "version": version }))
            }
        }
    }
}
