//! `search.html#uri`

use crate::definitions::{Content, ParamKind, Primitive};
use crate::outcome::Issue;
use crate::path::Type;

use super::super::query::Match;
use super::super::value::{VALUE_BYTES_MAX, cut};
use super::named::{Known, Named};
use super::text::unescape;

pub(super) fn read(named: &Named<'_>, text: &str) -> Result<Match, Issue> {
    let uri = cut(&unescape(text), VALUE_BYTES_MAX).to_owned();
    match named.modifier {
        None => Ok(Match::Uri(uri)),
        Some("below") => Ok(Match::UriBelow(uri)),
        Some("above") => Ok(Match::UriAbove(uri)),
        Some("contains") => Ok(Match::UriContains(uri)),
        Some(other) => Err(named.bad_modifier(other)),
    }
}

/// The values that are this canonical with a version: one without stands for each
/// (`references.html#canonical`). Before R5 `_profile` is a uri and its values are canonicals.
pub(super) fn any_version(named: &Named<'_>, text: &str) -> Option<Match> {
    let plain = named.kind == ParamKind::Uri && named.modifier.is_none();
    let canonical = |ty: &Type| ty.content() == Content::Primitive(Primitive::Canonical);
    let canonicals = |p: &Known<'_>| {
        let types = p.plan.map_or(&[][..], |plan| plan.plan.types());
        !types.is_empty() && types.iter().all(canonical)
    };
    let uri = unescape(text);
    if !plain || uri.contains('|') || !named.params.iter().all(canonicals) {
        return None;
    }
    Some(Match::UriBegins(format!("{}|", cut(&uri, VALUE_BYTES_MAX))))
}
