//! The parameter `fhirVersion` of media types (`http.html#version-parameter`). A tenant speaks one
//! version: what asks for another is refused before formats are negotiated, and what names this
//! one is like what names none. Knows no formats.

use ::fhir::definitions::FhirVersion;
use base::Code;
use engine::Failure;
use http::header::{ACCEPT, CONTENT_TYPE, Entry};
use http::{HeaderMap, HeaderValue};

/// Takes from `Accept` the ranges of other versions.
///
/// # Errors
/// `not-acceptable` if no range is left, or `_format` names another version; `media-type` for a
/// body of another version.
pub(crate) fn check(
    headers: &mut HeaderMap,
    query: Option<&str>,
    version: FhirVersion,
) -> Result<(), Failure> {
    if named(headers, CONTENT_TYPE.as_str()) && !is_spoken(text(headers.get(CONTENT_TYPE)), version)
    {
        return Err(refusal(Code::MediaType, version));
    }
    let format = query
        .filter(|q| q.to_ascii_lowercase().contains("fhirversion"))
        .and_then(|q| engine::form::first(q, "_format"));
    if let Some(format) = format {
        return match is_spoken(&format, version) {
            true => Ok(()),
            false => Err(refusal(Code::NotAcceptable, version)),
        };
    }
    if named(headers, ACCEPT.as_str()) {
        let ranges = headers.get_all(ACCEPT).iter();
        let ranges = ranges.flat_map(|v| text(Some(v)).split(','));
        let left: Vec<&str> = ranges.filter(|r| is_spoken(r, version)).collect();
        if left.is_empty() {
            return Err(refusal(Code::NotAcceptable, version));
        }
        let left = HeaderValue::from_str(&left.join(",")).ok();
        if let (Some(left), Entry::Occupied(mut accept)) = (left, headers.entry(ACCEPT)) {
            accept.insert(left);
        }
    }
    Ok(())
}

fn text(value: Option<&HeaderValue>) -> &str {
    value.and_then(|v| v.to_str().ok()).unwrap_or("")
}

/// Whether some value of a header speaks of a version at all.
fn named(headers: &HeaderMap, name: &str) -> bool {
    headers.get_all(name).iter().any(|v| {
        let text = text(Some(v)).to_ascii_lowercase();
        text.contains("fhirversion")
    })
}

/// Whether a media type names this version or none: `4.0`, and `4.0.1` with it.
fn is_spoken(media: &str, version: FhirVersion) -> bool {
    let named = media.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let of_version = name.trim().eq_ignore_ascii_case("fhirVersion");
        of_version.then(|| value.trim().trim_matches('"'))
    });
    named.is_none_or(|named| {
        let rest = named.strip_prefix(version.mime());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

fn refusal(code: Code, version: FhirVersion) -> Failure {
    let text = format!(
        "this tenant speaks FHIR {version}, fhirVersion={}",
        version.mime()
    );
    Failure::new(code, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: http::HeaderName, value: &str, version: FhirVersion) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(name.clone(), HeaderValue::from_str(value).unwrap());
        check(&mut headers, None, version).ok()?;
        headers.get(name).map(|v| v.to_str().unwrap().to_owned())
    }

    #[test]
    fn ranges_of_other_versions_are_taken_away() {
        let accept = |value: &str, version| checked(ACCEPT, value, version);
        let both = "application/fhir+json; fhirVersion=4.0, a/b;q=0.1;fhirVersion=\"5.0\"";
        for (version, wanted) in [
            (
                FhirVersion::R4,
                Some("application/fhir+json; fhirVersion=4.0"),
            ),
            (FhirVersion::R4B, None),
            (FhirVersion::R5, Some(" a/b;q=0.1;fhirVersion=\"5.0\"")),
        ] {
            assert_eq!(accept(both, version).as_deref(), wanted);
            assert_eq!(accept("*/*", version).as_deref(), Some("*/*"));
        }
        assert!(accept("application/fhir+json;fhirversion=4.0.1", FhirVersion::R4).is_some());
        assert!(accept("application/fhir+json;fhirVersion=4.01", FhirVersion::R4).is_none());
    }

    #[test]
    fn bodies_and_formats_of_other_versions_are_refused() {
        let body = |value: &str| checked(CONTENT_TYPE, value, FhirVersion::R5).is_some();
        assert!(body("application/fhir+json;fhirVersion=5.0") && body("application/fhir+json"));
        assert!(!body("application/fhir+json; fhirVersion=4.3"));
        let format = |q| check(&mut HeaderMap::new(), Some(q), FhirVersion::R4B).is_ok();
        assert!(!format("_format=application/fhir%2Bjson;fhirversion=5.0"));
        assert!(format("_format=json;FHIRVERSION=4.3"));
        assert!(format("_format=json") && format("_format=json;fhirVersion=4.3"));
        assert!(!format(
            "_format=application/fhir%2Bjson;%20fhirVersion%3D4.0"
        ));
    }
}
