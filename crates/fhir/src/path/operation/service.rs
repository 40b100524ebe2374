//! `%terminologies`: what the value sets, code systems and concept maps that are held say
//! (`fhirpath.html#txapi`).

use super::super::item::{Item, Node};
use super::super::make::TermsCall;
use super::super::types::Types;
use super::coded;
use crate::search::terms::{Coded, Terms, Unresolved};

/// The answer to a call; nothing where the question means nothing.
pub(super) fn answer(
    terms: &Terms,
    types: &Types,
    call: TermsCall,
    args: &[Item<'_>],
) -> Result<Option<String>, Unresolved> {
    let (first, second) = (args.first(), args.get(1));
    let name = |item: Option<&Item<'_>>| canonical(item?);
    let codes = |item: Option<&Item<'_>>| coded::of(types, item?);
    match call {
        TermsCall::Expand => match name(first) {
            Some(set) => terms.expansion(&set),
            None => Ok(None),
        },
        TermsCall::Lookup => match codes(first).as_deref() {
            Some([Coded::Coding(system, code)]) => terms.lookup(system, code),
            _ => Ok(None),
        },
        TermsCall::ValidateValueSet => match (name(first), codes(second)) {
            (Some(set), Some(codes)) => terms.validation(&set, &codes),
            _ => Ok(None),
        },
        TermsCall::ValidateCodeSystem => match (name(first), codes(second)) {
            (Some(system), Some(codes)) => terms.validation_of_system(&system, &codes),
            _ => Ok(None),
        },
        TermsCall::Subsumes => match (name(first), codes(second), codes(args.get(2))) {
            (Some(system), Some(left), Some(right)) => terms.relation(&system, &left, &right),
            _ => Ok(None),
        },
        TermsCall::Translate => match (name(first), codes(second)) {
            (Some(map), Some(codes)) => {
                terms.translation(&map, &codes, types.model().version().as_str())
            }
            _ => Ok(None),
        },
    }
}

/// A canonical URL, or that of a resource.
fn canonical(item: &Item<'_>) -> Option<String> {
    if let Some(text) = item.as_text() {
        return Some(text.into_owned());
    }
    let url = item.node().and_then(|node: Node<'_>| node.get("url"))?;
    url.as_str().map(std::borrow::Cow::into_owned)
}
