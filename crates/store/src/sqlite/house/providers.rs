//! The end of identity providers that an operator set and nobody of the tenant kept. They let nobody in any
//! more from that time on, whether or not this was done; here it is written down, in the tenant's trail too, and
//! what people had by claims is taken off.

use std::sync::Arc;

use base::Micros;
use serde_json::{Map, Value};

use super::{Entry, House};
use crate::Result;
use crate::face::{IdentityProvider, SetByOperator};
use crate::sqlite::fault::{damaged, internal};
use crate::sqlite::{break_glass, people};

/// That an operator set a provider.
pub(crate) fn made(provider: &IdentityProvider) -> Result<Option<SetByOperator>> {
    let wrong = |_| damaged("a stored identity provider");
    let all: Map<String, Value> = serde_json::from_str(&provider.record).map_err(wrong)?;
    let made = all.get(SetByOperator::MEMBER);
    made.map(|made| serde_json::from_value(made.clone()))
        .transpose()
        .map_err(wrong)
}

/// The same provider, with something else of its operator.
fn with(provider: &IdentityProvider, made: &SetByOperator) -> Result<IdentityProvider> {
    let wrong = |_| internal("writing an identity provider");
    let mut all: Map<String, Value> = serde_json::from_str(&provider.record).map_err(wrong)?;
    let made = serde_json::to_value(made).map_err(wrong)?;
    all.insert(SetByOperator::MEMBER.to_owned(), made);
    let record = serde_json::to_string(&all).map_err(wrong)?;
    Ok(IdentityProvider {
        id: provider.id.clone(),
        record: record.into(),
    })
}

fn is_due(provider: &IdentityProvider, now: Micros) -> Result<Option<SetByOperator>> {
    Ok(made(provider)?.filter(|made| made.is_due(now)))
}

impl House {
    /// Until when what operators set lets people in, where nobody of the tenant kept any of it.
    pub(crate) fn provider_term(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<Option<Micros>> {
        let tenant = self.open_tenant(entry)?;
        let reader = tenant.reader()?;
        let term = people::provider_term(&reader.db);
        tenant.give_back(reader);
        term
    }

    /// Ends providers of a tenant whose time is over; how many.
    pub(crate) fn end_providers(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<usize> {
        let now = self.shared.clock.now();
        let all = self.open_tenant(entry)?.people().providers();
        let mut ended = 0;
        for provider in all.iter() {
            if is_due(provider, now)?.is_none() {
                continue;
            }
            let (by, id) = (self.system(), provider.id.clone());
            let what = format!("identity provider {id} ended: nobody of the tenant kept it");
            let done = self.administer_now(
                entry,
                &by,
                ("end identity provider", &provider.id),
                move |tenant, state| {
                    let all = tenant.people().providers();
                    let known = all.iter().find(|p| p.id == id);
                    let due = known.map(|p| Ok((p, is_due(p, now)?))).transpose()?;
                    let Some((known, Some(mut made))) = due else {
                        return Ok(0);
                    };
                    made.ended = true;
                    people::put_provider(&state.db, &with(known, &made)?)?;
                    people::bound_provider_term(&state.db, made.until().unwrap_or(now))?;
                    for person in tenant.people().sorted() {
                        let mut person = (*person).clone();
                        if person.take_claims_off(&made.issuer) {
                            let by = ("system:identity provider ended", now);
                            let whom = Some(&person.record.id);
                            break_glass::end(&state.db, tenant.chain(), whom, by)?;
                            people::put_person(&state.db, tenant.model, &person)?;
                        }
                    }
                    Ok(1)
                },
            )?;
            // Only what was done: where it could not be, it is tried again with the next round.
            if done > 0 {
                self.note_in_trail(entry, &by, &what);
            }
            ended += done;
        }
        Ok(ended)
    }
}
