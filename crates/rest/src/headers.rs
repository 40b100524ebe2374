//! Request headers with a meaning in FHIR: conditions and preferences (`http.html#versions`,
//! `http.html#return`).

use std::borrow::Cow;

use base::{Code, Micros};
use bytes::Bytes;
use engine::{Failure, Session, Unless, VersionMatch, WriteConditions};
use http::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, Method};

use crate::routes::Route;

/// `If-None-Exist`
pub(crate) const IF_NONE_EXIST: HeaderName = HeaderName::from_static("if-none-exist");

/// `X-Security-Context` (`binary.html#rest`)
pub(crate) const SECURITY_CONTEXT: HeaderName = HeaderName::from_static("x-security-context");

/// `X-Provenance` (`provenance.html#header`)
const PROVENANCE: HeaderName = HeaderName::from_static("x-provenance");

/// Interactions that take a Provenance beside them.
const PROVENANCED: [&str; 6] = [
    "create",
    "update",
    "update-conditional",
    "patch",
    "patch-conditional",
    "transaction",
];

/// The session with the Provenance that the request brings for what it writes.
///
/// # Errors
/// `not-supported` where a write takes none, so that it is not lost; `request-invalid` for several.
pub(crate) fn with_provenance(
    session: Session,
    route: &Route,
    headers: &HeaderMap,
) -> Result<Session, Failure> {
    let mut all = headers.get_all(&PROVENANCE).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(session),
        (Some(_), Some(_)) => Err(Failure::new(
            Code::RequestInvalid,
            "one X-Provenance is expected",
        )),
        (Some(one), None) if PROVENANCED.contains(&route.interaction) => {
            Ok(session.with_provenance(Bytes::copy_from_slice(one.as_bytes())))
        }
        // A read writes nothing that could have a provenance.
        (Some(_), None) if route.method == Method::GET => Ok(session),
        (Some(_), None) => Err(Failure::new(
            Code::NotSupported,
            "X-Provenance is taken with create, update, patch and transaction",
        )),
    }
}

/// What a client prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Prefer {
    /// `return=`
    pub(crate) answer: Option<Return>,
    /// `handling=strict`
    pub(crate) strict: bool,
}

/// What a write answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Return {
    /// No body.
    Minimal,
    /// The resource.
    Representation,
    /// What there is to say about it.
    Outcome,
}

impl Prefer {
    /// What is said of a thing first counts (RFC 7240 section 2).
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let (mut answer, mut strict) = (None, None);
        for value in headers
            .get_all("prefer")
            .iter()
            .filter_map(|v| v.to_str().ok())
        {
            for wish in value.split([',', ';']).map(str::trim) {
                // A value may be quoted (RFC 7240 section 2).
                let plain = wish.to_ascii_lowercase().replace(['"', ' '], "");
                match plain.as_str() {
                    "return=minimal" => answer = answer.or(Some(Return::Minimal)),
                    "return=representation" => answer = answer.or(Some(Return::Representation)),
                    "return=operationoutcome" => answer = answer.or(Some(Return::Outcome)),
                    "handling=strict" => strict = strict.or(Some(true)),
                    "handling=lenient" => strict = strict.or(Some(false)),
                    _ => {}
                }
            }
        }
        Self {
            answer,
            strict: strict.unwrap_or(false),
        }
    }
}

/// A header as text.
pub(crate) fn text<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h str>, Failure> {
    let value = headers.get(name).map(|v| v.to_str()).transpose();
    value.map_err(|_| Failure::new(Code::RequestInvalid, "a header is not text"))
}

/// Entity tags, of all headers of this name (RFC 9110 section 5.3).
fn tags<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<Cow<'h, str>>, Failure> {
    let mut all = headers.get_all(name).iter().map(|value| {
        let text = value.to_str();
        text.map_err(|_| Failure::new(Code::RequestInvalid, "a header is not text"))
    });
    let Some(first) = all.next() else {
        return Ok(None);
    };
    let mut tags = Cow::Borrowed(first?);
    for more in all {
        let tags = tags.to_mut();
        tags.push(',');
        tags.push_str(more?);
    }
    Ok(Some(tags))
}

/// Conditions of a write.
pub(crate) fn conditions(headers: &HeaderMap) -> Result<WriteConditions, Failure> {
    let (wanted, unwanted) = (tags(headers, &IF_MATCH)?, tags(headers, &IF_NONE_MATCH)?);
    let mut conditions = WriteConditions::parse(wanted.as_deref(), unwanted.as_deref())?;
    let since = text(headers, &IF_UNMODIFIED_SINCE)?;
    conditions.unmodified_since = since.and_then(http_date);
    Ok(conditions)
}

/// When a read may answer "not modified".
pub(crate) fn unless(headers: &HeaderMap) -> Result<Unless, Failure> {
    let none_match = tags(headers, &IF_NONE_MATCH)?;
    let none_match = none_match.as_deref().map(VersionMatch::parse);
    let since = text(headers, &IF_MODIFIED_SINCE)?;
    Ok(Unless {
        version: none_match,
        modified_since: since.and_then(http_date),
    })
}

/// An IMF-fixdate (RFC 9110 section 5.6.7); other forms are ignored.
fn http_date(text: &str) -> Option<Micros> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (_, date) = text.split_once(", ")?;
    let mut parts = date.split(' ');
    let day: u8 = parts.next()?.parse().ok()?;
    let month = parts.next().filter(|m| m.len() == 3)?;
    let month = u8::try_from(MONTHS.find(month)? / 3 + 1).ok()?;
    let year: i64 = parts.next()?.parse().ok()?;
    let mut clock = parts.next()?.split(':').map(|p| p.parse::<i64>().ok());
    let (h, m, s) = (clock.next()??, clock.next()??, clock.next()??);
    (parts.next()? == "GMT").then_some(())?;
    let whole = (0..24).contains(&h) && (0..60).contains(&m) && (0..61).contains(&s);
    (whole && (1..=31).contains(&day) && (1970..=9999).contains(&year)).then_some(())?;
    Some(Micros::from_civil(
        year,
        month,
        day,
        (h * 3600 + m * 60 + s) * 1_000_000,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_come_back() {
        let t = Micros(1_795_310_523_000_000);
        assert_eq!(http_date(&t.http_date().to_string()), Some(t));
        for bad in [
            "",
            "Sun, 22 Nov 2026",
            "Sun, 22 Foo 2026 01:02:03 GMT",
            "2026-11-22",
        ] {
            assert_eq!(http_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn preferences_add_up() {
        let mut headers = HeaderMap::new();
        headers.append("prefer", "return=minimal; handling=strict".parse().unwrap());
        headers.append(
            "prefer",
            "respond-async, return=OperationOutcome".parse().unwrap(),
        );
        // The first of two that say different things.
        let wanted = Prefer {
            answer: Some(Return::Minimal),
            strict: true,
        };
        assert_eq!(Prefer::of(&headers), wanted);
        let quoted = HeaderMap::from_iter([(
            HeaderName::from_static("prefer"),
            "return=\"minimal\"".parse().unwrap(),
        )]);
        assert_eq!(Prefer::of(&quoted).answer, Some(Return::Minimal));
    }
}
