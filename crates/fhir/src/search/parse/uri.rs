//! `search.html#uri`

use crate::definitions::{Content, ParamKind, Primitive};
use crate::outcome::Issue;
use crate::path::Type;

use super::super::query::Match;
use super::super::value::reference::Canonical;
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

/// Whether the values are canonicals: before R5 `_profile` is a uri and its values are.
fn canonicals(named: &Named<'_>) -> bool {
    let canonical = |ty: &Type| ty.content() == Content::Primitive(Primitive::Canonical);
    let of = |p: &Known<'_>| {
        let types = p.plan.map_or(&[][..], |plan| plan.plan.types());
        !types.is_empty() && types.iter().all(canonical)
    };
    named.params.iter().all(of)
}

/// What else is this canonical (`references.html#canonical`): one without a version stands for each,
/// and one with a fragment is indexed with the fragment before its version.
pub(super) fn alike(named: &Named<'_>, text: &str) -> Option<Match> {
    if named.kind != ParamKind::Uri || !canonicals(named) {
        return None;
    }
    let uri = unescape(text);
    let canonical = Canonical::read(&uri);
    match named.modifier {
        None => {}
        // What is below a URL begins with it, in each of its versions.
        Some("below") if canonical.version.is_empty() => {}
        Some(_) => return None,
    }
    let part = canonical.part();
    let part = cut(&part, VALUE_BYTES_MAX);
    match canonical {
        Canonical { version: "", .. } => Some(Match::UriBegins(format!("{part}|"))),
        Canonical { fragment: "", .. } => None,
        Canonical { version, .. } => Some(Match::Uri(format!("{part}|{version}"))),
    }
}
