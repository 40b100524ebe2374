//! Which formats go in and out: FHIR JSON and nothing else (`http.html#mime-type`). The version of
//! FHIR that a media type may name is `version`'s business.

use base::Code;
use engine::Failure;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

/// The content type of answers.
pub(crate) const FHIR_JSON: HeaderValue =
    HeaderValue::from_static("application/fhir+json; charset=utf-8");

/// The content type of answers to clients that only know JSON.
const PLAIN_JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// The content type of forms.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// The content type of an answer that a client accepts; `_format` wins over `Accept`.
pub(crate) fn answer_type(
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<HeaderValue, Failure> {
    if let Some(format) = query.and_then(|q| engine::form::first(q, "_format")) {
        return media(&format).ok_or(Failure::of(Code::NotAcceptable));
    }
    let Some(accept) = headers.get(ACCEPT) else {
        return Ok(FHIR_JSON);
    };
    match accept.as_bytes() {
        b"application/fhir+json" | b"*/*" => return Ok(FHIR_JSON),
        _ => {}
    }
    let mut best: Option<(f32, HeaderValue)> = None;
    for range in headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|v| v.to_str().ok())
    {
        for range in range.split(',') {
            let quality = range
                .split(';')
                .skip(1)
                .find_map(|p| p.trim().strip_prefix("q="))
                .map_or(1.0, |q| q.trim().parse().unwrap_or(0.0));
            if let Some(found) = media(range)
                && quality > best.as_ref().map_or(0.0, |b| b.0)
            {
                best = Some((quality, found));
            }
        }
    }
    best.map(|b| b.1).ok_or(Failure::of(Code::NotAcceptable))
}

/// The content type that a media range or a `_format` asks for, if it can be made.
fn media(range: &str) -> Option<HeaderValue> {
    let mut parts = range.split(';').map(str::trim);
    // In a URL a plus sign means a space; clients often forget to write %2B.
    let essence = parts.next()?.to_ascii_lowercase().replace(' ', "+");
    for parameter in parts {
        match parameter.split_once('=') {
            Some(("charset", set)) if !is_utf8(set) => return None,
            _ => {}
        }
    }
    match essence.as_str() {
        "application/fhir+json" | "application/json+fhir" | "json" | "*/*" | "application/*" => {
            Some(FHIR_JSON)
        }
        "application/json" | "text/json" => Some(PLAIN_JSON),
        _ => None,
    }
}

fn is_utf8(charset: &str) -> bool {
    let bare = charset.trim().trim_matches('"');
    bare.eq_ignore_ascii_case("utf-8") || bare.eq_ignore_ascii_case("utf8")
}

/// Whether the client wants the bytes of a Binary rather than the resource.
pub(crate) fn wants_raw(headers: &HeaderMap, query: Option<&str>) -> bool {
    if query
        .and_then(|q| engine::form::first(q, "_format"))
        .is_some()
    {
        return false;
    }
    let Some(accept) = headers.get(ACCEPT).and_then(|v| v.to_str().ok()) else {
        return true;
    };
    !accept.split(',').any(|range| {
        let essence = range.split(';').next().unwrap_or("").trim();
        matches!(
            essence,
            "application/fhir+json" | "application/json" | "application/json+fhir"
        )
    })
}

/// The essence of the body's content type in lower case; empty if there is none.
pub(crate) fn body_essence(headers: &HeaderMap) -> String {
    let text = headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    text.split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase()
}

/// Refuses bodies that are not JSON.
pub(crate) fn json_body(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let refused = || Failure::of(Code::MediaType);
    let text = value.to_str().map_err(|_| refused())?;
    let essence = text.split(';').next().unwrap_or("").trim();
    match media(text) {
        Some(_) if !essence.contains('*') => Ok(()),
        _ => Err(refused()),
    }
}

/// Whether the body is JSON by its content type.
pub(crate) fn is_fhir_json(headers: &HeaderMap) -> bool {
    matches!(
        body_essence(headers).as_str(),
        "application/fhir+json" | "application/json+fhir" | "application/json" | "text/json"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn json_in_its_names_is_acceptable_and_nothing_else() {
        let ok = |v: &str| answer_type(&accept(v), None).ok();
        assert_eq!(answer_type(&HeaderMap::new(), None).unwrap(), FHIR_JSON);
        for fhir in [
            "application/fhir+json",
            "*/*",
            "application/fhir+json; fhirVersion=4.0",
            "text/html, application/fhir+json;q=0.9, */*;q=0.1",
            "application/fhir+json;charset=UTF-8",
        ] {
            assert_eq!(ok(fhir), Some(FHIR_JSON), "{fhir}");
        }
        assert_eq!(ok("application/json"), Some(PLAIN_JSON));
        for bad in [
            "application/fhir+xml",
            "text/html",
            "application/fhir+json;q=0",
            "application/fhir+json; charset=latin1",
        ] {
            assert_eq!(ok(bad), None, "{bad}");
        }
    }

    #[test]
    fn format_wins_over_accept() {
        let with = |q: &str| answer_type(&accept("text/html"), Some(q)).ok();
        assert_eq!(with("_format=json"), Some(FHIR_JSON));
        assert_eq!(with("a=b&_format=application/fhir%2Bjson"), Some(FHIR_JSON));
        assert_eq!(with("_format=application/fhir+json"), Some(FHIR_JSON));
        assert_eq!(with("_format=xml"), None);
        assert_eq!(with("name=x"), None);
    }

    #[test]
    fn bodies_are_json() {
        let ok = |v: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(v).unwrap());
            json_body(&headers).is_ok()
        };
        assert!(ok("application/fhir+json; charset=utf-8") && ok("application/json"));
        assert!(!ok("application/fhir+xml") && !ok("*/*") && !ok("text/plain"));
        assert!(!ok("application/json; charset=utf-16"));
    }
}
