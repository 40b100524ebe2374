//! Reads that belong together: several resources as of one point, and what tags, profiles and
//! security labels there are.

use std::collections::BTreeSet;

use access::{Permit, Read as ReadAction, Search};
use base::{Code, ResourceId, Seq};
use fhir::definitions::TypeId;

use super::TenantStore;
use super::reading::marked;
use crate::audit::{Asked, Outcome, Shown, Subject};
use crate::sqlite::page::page_too_large;
use crate::sqlite::readers::Class;
use crate::sqlite::{blob, in_snapshot, labels, rows, sight};
use crate::{Labels, Method, Read, Result, Stored};

impl TenantStore {
    /// What these resources were at a point of the change sequence, `None`: now; in their order,
    /// with the point, and how many are absent because they are not as they were written. All are read
    /// in one snapshot, and each is recorded; all together, where they are part of one access.
    pub async fn read_together(
        &self,
        wanted: Vec<(Permit<ReadAction>, TypeId, ResourceId)>,
        as_of: Option<Seq>,
    ) -> Result<(Vec<Read>, Seq, u32)> {
        let entry = self.serving()?;
        let mut spent = Vec::with_capacity(wanted.len());
        let mut names = Vec::with_capacity(wanted.len());
        for (permit, type_id, id) in wanted {
            let permit = permit.spend(&self.tenant);
            if !permit.covers(type_id, &id) {
                return Err(super::reading::not_covered());
            }
            spent.push(permit);
            names.push((type_id, id));
        }
        let rules: Vec<_> = spent
            .iter()
            .zip(&names)
            .map(|(spent, (type_id, _))| spent.rule(*type_id).cloned())
            .collect();
        let (names, found, as_of, left_out) = self
            .handle
            .0
            .read(entry, Class::Scan, None, move |tenant, db, ticket| {
                in_snapshot(db, || {
                    let as_of = match as_of {
                        Some(seq) => seq,
                        None => rows::last_seq(db)?,
                    };
                    let max = tenant.shared.config.limits.page_bytes_max;
                    let (mut bytes, mut left_out) = (0, 0);
                    let mut found = Vec::with_capacity(names.len());
                    for ((type_id, id), rule) in names.iter().zip(&rules) {
                        let rid = rows::rid_of(db, *type_id, id)?;
                        // What is not there is looked for as long as what is there and not seen; of
                        // that nothing more is read.
                        let reached = match rule {
                            Some(rule) => {
                                let place = (rid.unwrap_or(-1), as_of);
                                sight::meets_rule(tenant, db, rule, place, *type_id)?
                            }
                            None => true,
                        };
                        let rid = rid.filter(|_| reached);
                        let stored = match rid {
                            Some(rid) => match rows::as_of(tenant, db, rid, as_of, ticket) {
                                Err(e) if e.code() == Code::ResourceQuarantined => {
                                    left_out += 1;
                                    None
                                }
                                other => other?,
                            },
                            None => None,
                        };
                        let stored = match (rule, stored, rid) {
                            (Some(rule), Some(stored), Some(rid)) => {
                                let place = (rid, as_of);
                                sight::seen(tenant, db, rule, place, &stored)?.of(stored)?
                            }
                            (_, stored, _) => stored,
                        };
                        let data = |s: &Stored| s.data.as_ref().map_or(0, |d| d.size);
                        bytes += stored.as_ref().map_or(0, |s| s.body.len() as u64 + data(s));
                        if bytes > max && !found.is_empty() {
                            return Err(page_too_large(max));
                        }
                        let whole = stored.map(|s| blob::whole(tenant, db, s));
                        let opened = match (rule, rid) {
                            (Some(rule), Some(rid)) => {
                                let place = (rid, as_of);
                                sight::by_opening(tenant, db, Some(rule), place, *type_id)?
                            }
                            _ => false,
                        };
                        found.push((whole.transpose()?, rid, opened));
                    }
                    Ok((names, found, as_of, left_out))
                })
            })
            .await?;
        let mut answers = Vec::with_capacity(found.len());
        for ((spent, (type_id, id)), (stored, rid, opened)) in spent.iter().zip(&names).zip(found) {
            let given = stored.as_ref().is_some_and(|s| s.method != Method::Delete);
            let outcome = match given {
                true => Outcome::Given(1),
                false => Outcome::Nothing,
            };
            let asked = Asked {
                version: stored.as_ref().map(|s| s.version),
                ..Asked::default()
            };
            let request = marked(spent.request(), opened && given);
            let subject = Subject::Instance(*type_id, id);
            let row = rid.filter(|_| given);
            let shown = Shown::Resources(as_of, row.as_slice());
            let gathers = self.gathers.as_ref();
            if !gathers.is_some_and(|one| one.shows(spent, shown, (&[], opened && given))) {
                self.noted_as(request, spent, subject, asked, outcome)
                    .await?;
            }
            answers.push(match stored {
                None => Read::Absent,
                Some(stored) if given => Read::Found(spent.release(*type_id, stored)),
                Some(stored) => Read::Deleted(spent.release(*type_id, stored)),
            });
        }
        Ok((answers, as_of, left_out))
    }

    /// The profiles, tags and security labels that current resources of these types carry. Types of
    /// which the permit reaches some resources only are left out.
    ///
    /// # Errors
    /// `limit-query` if there are more than `meta_values_max` of one kind.
    pub async fn labels(&self, permit: Permit<Search>, types: Vec<TypeId>) -> Result<Labels> {
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?;
        if types.iter().any(|t| !spent.allows(*t)) {
            return Err(super::reading::not_covered());
        }
        let only = <[TypeId; 1]>::try_from(types.as_slice()).ok();
        let whole = types.into_iter().filter(|t| spent.rule(*t).is_none());
        let types: BTreeSet<TypeId> = whole.collect();
        let found = self
            .handle
            .0
            .read(entry, Class::Scan, None, move |tenant, db, _| {
                let max = tenant.shared.config.limits.meta_values_max;
                in_snapshot(db, || labels::of(db, tenant.model, &types, max))
            })
            .await?;
        let subject = Subject::Other(only.map(|[t]| t), "meta");
        self.noted(
            &spent,
            subject,
            Asked::default(),
            Outcome::Given(found.count()),
        )
        .await?;
        Ok(found)
    }
}
