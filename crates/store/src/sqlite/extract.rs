//! Index values of a stored resource, computed from its bytes again.

use fhir::resource::Draft;
use fhir::search::rows::Row;

use super::fault::damaged;
use super::tenant::OpenTenant;
use crate::{Result, Stored};

/// Nesting that no stored resource passes, whatever limit it came in under.
const DEPTH_MAX: usize = 1_024;

/// The rows of a resource.
pub(crate) fn rows(tenant: &OpenTenant, stored: &Stored) -> Result<Vec<Row>> {
    let draft = Draft::read(tenant.model, &stored.body, DEPTH_MAX)
        .map_err(|_| damaged("a stored resource cannot be read"))?;
    Ok(fhir::search::extract(
        tenant.model,
        stored.type_id,
        draft.value(),
        &[],
    ))
}
