//! Grants to vendors and links to programs: looked up without a permit, like credentials; changed with
//! the permit of a party, in one transaction with the line that tells of it; and what a vendor did.

use std::sync::Arc;

use access::{Administer, Held, Hold, Party, Permit, VendorGrant, VendorId, VendorPermit};
use base::{Code, Limits, Micros};

use super::{TenantStore, clinic};
use crate::face::{Activity, ActivityQuery, ProgramLink, VendorChange, VendorEvent};
use crate::sqlite::readers::Class;
use crate::sqlite::vendors::Vendors;
use crate::sqlite::writer::WriterState;
use crate::sqlite::{OpenTenant, trail, vendors};
use crate::{Result, StoreError};

impl TenantStore {
    /// The grant of a vendor as it stands. From memory once the tenant is open.
    pub async fn vendor(&self, id: &VendorId) -> Result<Option<Arc<VendorGrant>>> {
        if let Some(tenant) = self.entry()?.if_open() {
            return Ok(tenant.vendors().grant(id));
        }
        Ok(self.opened().await?.vendors().grant(id))
    }

    /// Links to programs, in order of id. From memory once the tenant is open.
    pub async fn program_links(&self) -> Result<Vec<Arc<ProgramLink>>> {
        Ok(self.opened().await?.vendors().links())
    }

    /// All grants, in order of id; of a vendor's own permit, its own.
    pub async fn vendors(&self, permit: VendorPermit) -> Result<Vec<Arc<VendorGrant>>> {
        let tenant = self.opened().await?;
        let mut all = tenant.vendors().sorted();
        all.retain(|grant| permit.is_for(&grant.id));
        self.administered(&permit.spend(&self.tenant), "list vendors")
            .await?;
        Ok(all)
    }

    /// What was done to a grant, oldest first.
    ///
    /// # Errors
    /// `vendor-unknown`
    pub async fn vendor_events(
        &self,
        permit: VendorPermit,
        id: &VendorId,
    ) -> Result<Vec<VendorEvent>> {
        let entry = self.entry()?;
        entry.must_stay()?;
        let known = permit.is_for(id) && self.vendor(id).await?.is_some();
        let what = format!("look at vendor {}", id.as_str());
        let spent = permit.spend(&self.tenant);
        if !known {
            let intent = Self::intends_by(&spent, what);
            return self.ends_as(&intent, async { Err(unknown()) }).await;
        }
        self.administered(&spent, &what).await?;
        let id = id.clone();
        self.handle
            .0
            .read(entry, Class::Scan, None, move |_, db, _| {
                vendors::events(db, &id)
            })
            .await
    }

    /// Changes a grant; in force from the next request on.
    ///
    /// # Errors
    /// `vendor-unknown`, `clinic-only`, `version-conflict`, `vendor-disabled`, `limit-query`.
    pub async fn change_vendor(
        &self,
        permit: VendorPermit,
        id: &VendorId,
        change: VendorChange,
        reason: &str,
    ) -> Result<Arc<VendorGrant>> {
        let (party, own) = (permit.party(), permit.is_for(id));
        let loosens = permit.loosens();
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?;
        entry.must_stay()?;
        let what = words(party, &change);
        let detail = format!("{}: {what}: {reason}", id.as_str());
        let does = match change {
            VendorChange::Propose(_) => "propose",
            VendorChange::Switch { .. } => "switch",
        };
        let intent = Self::intends_by(&spent, format!("{does} vendor: {detail}"));
        if !own {
            return self.ends_as(&intent, async { Err(unknown()) }).await;
        }
        let (of, now) = (id.clone(), spent.request().at);
        let event = VendorEvent {
            number: 0,
            at: now,
            actor: spent.actor().as_str().to_owned(),
            party: party.as_str().to_owned(),
            what,
            was: String::new(),
            state: String::new(),
            reason: reason.to_owned(),
        };
        let tenant = self.opened().await?;
        let loosens = loosens && (party != Party::Clinic || clinic::speaks(&tenant, &event.actor)?);
        let (pressed, asked) = {
            let _turn = tenant.vendors().in_turn();
            let pressed = press(tenant.vendors(), (id, party, loosens), &change, &event);
            let told = intent.clone();
            let work = move |tenant: &OpenTenant, state: &mut WriterState| {
                work(tenant, state, (&of, party, loosens), change, event)?;
                told.done(tenant)
            };
            let (house, by) = (&self.handle.0, super::by(&spent));
            let asked = house.ask_to_administer(entry, by, "change vendor", &detail, work);
            (pressed, asked)
        };
        let done = self
            .ends_as(&intent, async move { asked?.done().await })
            .await;
        // What cannot be written, for a fault or because something was altered, holds all the same.
        let forbidden = |e: &StoreError| {
            matches!(
                e.code(),
                Code::ClinicOnly
                    | Code::VersionConflict
                    | Code::VendorDisabled
                    | Code::VendorUnknown
            )
        };
        if let (true, Some(held)) = (done.as_ref().is_err_and(forbidden), &pressed) {
            tenant.vendors().let_go(id, party, held);
        }
        done?;
        self.vendor(id).await?.ok_or_else(unknown)
    }

    /// Keeps a program link, new or changed, or removes the one of an id.
    ///
    /// # Errors
    /// `clinic-only`, `link-unknown`, `limit-query`.
    pub async fn change_link(
        &self,
        permit: VendorPermit,
        id: &str,
        link: Option<ProgramLink>,
    ) -> Result<()> {
        let party = permit.party();
        let spent = permit.spend(&self.tenant);
        let entry = self.serving()?;
        let action = match link {
            Some(_) => "keep program link",
            None => "remove program link",
        };
        let intent = Self::intends_by(&spent, format!("{action} {id}"));
        if party != Party::Clinic {
            return self.ends_as(&intent, async { Err(clinic_only()) }).await;
        }
        let of = id.to_owned();
        let work = move |tenant: &OpenTenant, state: &mut WriterState| match link {
            Some(link) => {
                let max = tenant.shared.config.limits.program_links_max;
                vendors::put_link(&state.db, &link, max)
            }
            None => vendors::drop_link(&state.db, &of),
        };
        self.administers(entry, &intent, (action, id), work).await
    }

    /// What some clients did, counted from the trail.
    pub async fn activity(
        &self,
        permit: Permit<Administer>,
        query: ActivityQuery,
    ) -> Result<Activity> {
        let spent = permit.spend(&self.tenant);
        let entry = self.entry()?.clone();
        entry.must_stay()?;
        self.administered(&spent, "report of activity").await?;
        self.handle
            .0
            .aside(move |house| trail::activity(&house.open_tenant(&entry)?, &query))
            .await
    }
}

/// A switch that is moved towards off by whoever may holds at once, whatever its writing waits for; one
/// that cannot be written holds while the house runs, or until the same party moves it again.
fn press(
    vendors: &Vendors,
    (id, party, loosens): (&VendorId, Party, bool),
    change: &VendorChange,
    event: &VendorEvent,
) -> Option<Held> {
    let &VendorChange::Switch { hold, terms } = change else {
        return None;
    };
    let (written, known) = (vendors.committed(id)?, vendors.grant(id)?);
    let moved = (hold, terms);
    if known.held(party).hold >= hold
        || may_switch(&written, (party, loosens), moved).is_err()
        || switched(&written, party, moved, event).is_err()
    {
        return None;
    }
    let held = held(hold, event);
    vendors.press(id, party, held.clone());
    Some(held)
}

fn unknown() -> StoreError {
    StoreError::Refused(Code::VendorUnknown, "no such vendor here".to_owned())
}

fn clinic_only() -> StoreError {
    StoreError::Refused(Code::ClinicOnly, "only the clinic may do this".to_owned())
}

fn words(party: Party, change: &VendorChange) -> String {
    match change {
        VendorChange::Propose(_) => format!("{} proposes terms", party.as_str()),
        VendorChange::Switch { hold, terms } => {
            let taken = terms.map_or_else(String::new, |n| format!(" on terms {n}"));
            format!("{} switches to {}{taken}", party.as_str(), hold.as_str())
        }
    }
}

fn refused(code: Code) -> StoreError {
    let text = match code {
        Code::VersionConflict => "other terms wait for the clinic: say by number which are meant",
        _ => "there are no terms that the clinic took",
    };
    StoreError::Refused(code, text.to_owned())
}

fn full(limit: &'static str, max: u64) -> StoreError {
    StoreError::Limit {
        code: Code::LimitQuery,
        limit,
        max,
    }
}

fn work(
    tenant: &OpenTenant,
    state: &WriterState,
    (id, party, loosens): (&VendorId, Party, bool),
    change: VendorChange,
    mut event: VendorEvent,
) -> Result<()> {
    let limits = &tenant.shared.config.limits;
    let known = tenant.vendors().committed(id);
    let grant = match (known, change) {
        (known, VendorChange::Propose(terms)) => {
            must_have_room(state, (id, party), limits)?;
            match known {
                Some(known) => {
                    event.was = known.state().to_owned();
                    let mut grant = (*known).clone();
                    grant.propose(*terms);
                    grant
                }
                None if tenant.vendors().sorted().len() as u64 >= limits.vendors_max => {
                    return Err(full("vendors_max", limits.vendors_max));
                }
                None => VendorGrant::proposed(id.clone(), *terms, &event.actor, event.at),
            }
        }
        (None, VendorChange::Switch { .. }) => return Err(unknown()),
        (Some(known), VendorChange::Switch { hold, terms }) => {
            event.was = known.state().to_owned();
            let held = known.held(party).hold;
            may_switch(&known, (party, loosens), (hold, terms))?;
            // What holds though it could not be written is let go by what is written after it.
            let holds = tenant.vendors().grant(id).map(|g| g.held(party).hold);
            let stands = hold == held && holds.is_none_or(|holds| holds <= held);
            if party != Party::Clinic && stands && terms.is_none() {
                return Ok(());
            }
            if hold < held {
                must_have_room(state, (id, party), limits)?;
            }
            switched(&known, party, (hold, terms), &event)?
        }
    };
    grant.state().clone_into(&mut event.state);
    vendors::put_grant(&state.db, &grant)?;
    vendors::add_event(&state.db, id, &event)
}

/// Nobody but the clinic fills what is kept of events of one vendor; switching off is always possible.
fn must_have_room(
    state: &WriterState,
    (id, party): (&VendorId, Party),
    limits: &Limits,
) -> Result<()> {
    let max = limits.vendor_events_max;
    if party != Party::Clinic && vendors::event_count(&state.db, id)? >= max {
        return Err(full("vendor_events_max", max));
    }
    Ok(())
}

/// Refuses whoever may not let go of what is held.
fn may_switch(
    known: &VendorGrant,
    (party, loosens): (Party, bool),
    (hold, terms): (Hold, Option<u64>),
) -> Result<()> {
    let less = hold < known.held(party).hold || terms.is_some() && hold != Hold::Disabled;
    match less && !loosens {
        true => Err(clinic_only()),
        false => Ok(()),
    }
}

fn held(hold: Hold, event: &VendorEvent) -> Held {
    Held {
        hold,
        at: Micros(event.at.0),
        by: event.actor.as_str().into(),
        reason: event.reason.as_str().into(),
    }
}

fn switched(
    known: &VendorGrant,
    party: Party,
    (hold, terms): (Hold, Option<u64>),
    event: &VendorEvent,
) -> Result<VendorGrant> {
    let mut grant = known.clone();
    match (party, terms) {
        // Whoever switches off takes nothing by it.
        (Party::Clinic, _) if hold == Hold::Disabled => {}
        (Party::Clinic, Some(number)) => grant.take_terms(number).map_err(refused)?,
        // Whoever enables says what: other terms may have come since they looked.
        (Party::Clinic, None) if grant.proposal.is_some() => {
            return Err(refused(Code::VersionConflict));
        }
        (_, Some(_)) => return Err(clinic_only()),
        (_, None) => {}
    }
    grant.switch(party, held(hold, event)).map_err(refused)?;
    Ok(grant)
}
