//! Index values of a stored resource, computed from its bytes again.
//!
//! When a resource came in, absolute references to this server were indexed like relative ones. Under
//! which URL the server was reached then is not stored; it is read off the resource: a base that
//! ends in this tenant's path, or, to compare with what is stored, any base that its references have.

use fhir::json::{Kind, Value};
use fhir::resource::Draft;
use fhir::search::Customs;
use fhir::search::custom::Custom;
use fhir::search::rows::Row;

use super::fault::damaged;
use super::tenant::OpenTenant;
use crate::{Result, Stored};

/// Nesting that no stored resource passes, whatever limit it came in under.
const DEPTH_MAX: usize = 1_024;
/// Bases tried as this server's.
const BASES_MAX: usize = 4;

/// The rows of a resource, with bases that end in this tenant's path as this server's.
pub(crate) fn rows(tenant: &OpenTenant, stored: &Stored) -> Result<Vec<Row>> {
    let draft = draft(tenant, stored)?;
    let path = format!("/t/{}/fhir", tenant.id.name());
    let mut bases = bases(draft.value());
    bases.retain(|b| b.ends_with(&path));
    Ok(extract(tenant, &draft, stored, &bases))
}

/// Whether `fits` holds for the rows under some reading of which bases are this server's.
pub(crate) fn any(
    tenant: &OpenTenant,
    stored: &Stored,
    mut fits: impl FnMut(&[Row]) -> Result<bool>,
) -> Result<bool> {
    let draft = draft(tenant, stored)?;
    let mut bases = bases(draft.value());
    // What looks like this tenant's address first: there may be many others.
    let name = tenant.id.name().as_str();
    bases.sort_by_key(|base| (!base.contains(name), !base.ends_with("/fhir")));
    bases.truncate(BASES_MAX);
    // Every choice of some of them; without absolute references there is one, the empty one.
    for choice in 0..1u32 << bases.len() {
        let chosen: Vec<String> = bases
            .iter()
            .enumerate()
            .filter(|(i, _)| choice & (1 << i) != 0)
            .map(|(_, b)| b.clone())
            .collect();
        if fits(&extract(tenant, &draft, stored, &chosen))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn draft<'s>(tenant: &OpenTenant, stored: &'s Stored) -> Result<Draft<'s>> {
    Draft::read(tenant.model, &stored.body, DEPTH_MAX)
        .map_err(|_| damaged("a stored resource cannot be read"))
}

fn extract(tenant: &OpenTenant, draft: &Draft<'_>, stored: &Stored, own: &[String]) -> Vec<Row> {
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let (model, type_id) = (tenant.model, stored.type_id);
    let mut rows = fhir::search::extract(model, type_id, draft.value(), &own);
    let customs = tenant.customs();
    rows.extend(customs.extract(model, type_id, draft.value(), &own, |_| true));
    rows
}

/// The rows of a resource for parameters that the tenant defined, with bases that end in this
/// tenant's path as this server's.
pub(crate) fn custom_rows(
    tenant: &OpenTenant,
    stored: &Stored,
    customs: &Customs,
    wanted: impl Fn(&Custom) -> bool,
) -> Result<Vec<Row>> {
    let draft = draft(tenant, stored)?;
    let path = format!("/t/{}/fhir", tenant.id.name());
    let mut bases = bases(draft.value());
    bases.retain(|b| b.ends_with(&path));
    let own: Vec<&str> = bases.iter().map(String::as_str).collect();
    let (model, type_id) = (tenant.model, stored.type_id);
    Ok(customs.extract(model, type_id, draft.value(), &own, wanted))
}

/// The bases that end in this tenant's path, as far as a resource names them.
pub(crate) fn own_bases(tenant: &OpenTenant, body: &[u8], resource: Value<'_>) -> Vec<String> {
    let path = format!("/t/{}/fhir", tenant.id.name());
    let named = body.windows(path.len()).any(|w| w == path.as_bytes());
    if !named {
        return Vec::new();
    }
    let mut bases = bases(resource);
    bases.retain(|b| b.ends_with(&path));
    bases
}

/// What stands before `/Type/id` in absolute references, each once.
fn bases(value: Value<'_>) -> Vec<String> {
    let mut found = Vec::new();
    collect(value, &mut found);
    found
}

/// Canonical and other addresses are values like references, so every text is looked at.
fn collect(value: Value<'_>, found: &mut Vec<String>) {
    match value.kind() {
        Kind::Object => value
            .members()
            .for_each(|member| collect(member.value, found)),
        Kind::Array => value.items().for_each(|item| collect(item, found)),
        Kind::String => {
            let text = value.as_str();
            if let Some(base) = text.as_deref().and_then(base_of)
                && !found.iter().any(|b| b == base)
            {
                found.push(base.to_owned());
            }
        }
        _ => {}
    }
}

fn base_of(reference: &str) -> Option<&str> {
    let reference = reference
        .split_once("/_history/")
        .map_or(reference, |(r, _)| r);
    let (before_id, _) = reference.rsplit_once('/')?;
    let (base, _) = before_id.rsplit_once('/')?;
    (base.starts_with("http://") || base.starts_with("https://")).then_some(base)
}

#[cfg(test)]
mod tests {
    #[test]
    fn bases_stand_before_type_and_id() {
        let base = "https://h.example/t/a-clinic/fhir";
        for reference in ["Patient/7", "Patient/7/_history/2"] {
            assert_eq!(super::base_of(&format!("{base}/{reference}")), Some(base));
            assert_eq!(super::base_of(reference), None);
        }
        assert_eq!(super::base_of("urn:uuid:1"), None);
        assert_eq!(super::base_of("#p1"), None);
    }
}
