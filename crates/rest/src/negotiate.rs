//! Which formats go in and out: FHIR JSON, FHIR XML, and lines of JSON where they fit
//! (`http.html#mime-type`). The version of FHIR that a media type may name is `version`'s business.

use base::Code;
use engine::Failure;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

/// The content type of answers.
pub(crate) const FHIR_JSON: HeaderValue =
    HeaderValue::from_static("application/fhir+json; charset=utf-8");

/// The content type of answers to clients that only know JSON.
const PLAIN_JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// The content type of answers in XML.
const FHIR_XML: HeaderValue = HeaderValue::from_static("application/fhir+xml; charset=utf-8");

/// The content type of answers to clients that only know XML.
const PLAIN_XML: HeaderValue = HeaderValue::from_static("application/xml; charset=utf-8");

/// The content type of answers to clients that know XML as text only.
const TEXT_XML: HeaderValue = HeaderValue::from_static("text/xml; charset=utf-8");

/// The content type of answers in lines, one resource each.
const FHIR_LINES: HeaderValue = HeaderValue::from_static("application/fhir+ndjson; charset=utf-8");

/// How a resource is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON.
    Json,
    /// XML.
    Xml,
    /// JSON, one resource to a line.
    Lines,
}

impl Format {
    /// The format of an answer with this content type; none for what is not FHIR's.
    pub(crate) fn of(media: &HeaderValue) -> Option<Self> {
        Some(match media {
            m if *m == FHIR_JSON || *m == PLAIN_JSON => Self::Json,
            m if *m == FHIR_XML || *m == PLAIN_XML || *m == TEXT_XML => Self::Xml,
            m if *m == FHIR_LINES => Self::Lines,
            _ => return None,
        })
    }
}
/// The content type of forms.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// The content type of an answer that a client accepts; `_format` wins over `Accept`.
pub(crate) fn answer_type(
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<HeaderValue, Failure> {
    if let Some(format) = asked_format(query) {
        return media(&format).ok_or(Failure::of(Code::NotAcceptable));
    }
    let Some(accept) = headers.get(ACCEPT) else {
        return Ok(FHIR_JSON);
    };
    match accept.as_bytes() {
        // A header without a range asks for nothing.
        b"application/fhir+json" | b"*/*" | b"" => return Ok(FHIR_JSON),
        _ => {}
    }
    let mut best: Option<(f32, HeaderValue)> = None;
    for range in headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|v| v.to_str().ok())
    {
        for range in range.split(',') {
            if let Some(found) = media(range)
                && quality(range) > best.as_ref().map_or(0.0, |b| b.0)
            {
                best = Some((quality(range), found));
            }
        }
    }
    best.map(|b| b.1).ok_or(Failure::of(Code::NotAcceptable))
}

/// Makes the format of the body the one that is accepted, where the client says nothing of what it
/// wants: who sends XML and accepts anything is answered in XML.
pub(crate) fn prefer_as_sent(headers: &mut HeaderMap) {
    let any = headers.get(ACCEPT).is_none_or(|accept| accept == "*/*");
    if !any {
        return;
    }
    let sent = match body_essence(headers).as_str() {
        "application/fhir+xml" | "application/xml+fhir" => "application/fhir+xml",
        "application/xml" => "application/xml",
        "text/xml" => "text/xml",
        _ => return,
    };
    headers.insert(ACCEPT, HeaderValue::from_static(sent));
}

/// The weight of a range (RFC 9110 section 12.4.2).
pub(crate) fn quality(range: &str) -> f32 {
    let given = range.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then_some(value)
    });
    given.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0))
}

/// The content type that a media range or a `_format` asks for, if it can be made.
fn media(range: &str) -> Option<HeaderValue> {
    let mut parts = range.split(';').map(str::trim);
    // In a URL a plus sign means a space; clients often forget to write %2B.
    let essence = parts.next()?.to_ascii_lowercase().replace(' ', "+");
    for parameter in parts {
        match parameter.split_once('=') {
            Some((name, set)) if name.trim().eq_ignore_ascii_case("charset") && !is_utf8(set) => {
                return None;
            }
            _ => {}
        }
    }
    Some(match essence.as_str() {
        "application/fhir+json" | "application/json+fhir" | "json" | "*/*" | "application/*" => {
            FHIR_JSON
        }
        "application/json" | "text/json" => PLAIN_JSON,
        "application/fhir+xml" | "application/xml+fhir" | "xml" => FHIR_XML,
        "application/xml" => PLAIN_XML,
        "text/xml" | "text/*" => TEXT_XML,
        "application/fhir+ndjson" | "application/ndjson" | "application/x-ndjson" | "ndjson" => {
            FHIR_LINES
        }
        _ => return None,
    })
}

fn is_utf8(charset: &str) -> bool {
    let bare = charset.trim().trim_matches('"');
    bare.eq_ignore_ascii_case("utf-8") || bare.eq_ignore_ascii_case("utf8")
}

/// `_format`; one without a value asks for nothing, as any parameter.
fn asked_format(query: Option<&str>) -> Option<std::borrow::Cow<'_, str>> {
    let format = query.and_then(|q| engine::form::first(q, "_format"));
    format.filter(|format| !format.trim().is_empty())
}

/// Whether the client wants the bytes of a Binary rather than the resource.
pub(crate) fn wants_raw(headers: &HeaderMap, query: Option<&str>) -> bool {
    if asked_format(query).is_some() {
        return false;
    }
    let Some(accept) = headers.get(ACCEPT).and_then(|v| v.to_str().ok()) else {
        return true;
    };
    !accept.split(',').any(|range| {
        let essence = range.split(';').next().unwrap_or("").trim();
        matches!(
            essence,
            "application/fhir+json"
                | "application/json"
                | "application/json+fhir"
                | "application/fhir+xml"
                | "application/xml+fhir"
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

/// The format of a resource in a body; JSON if nothing is said.
///
/// # Errors
/// `media-type`
pub(crate) fn body_format(headers: &HeaderMap) -> Result<Format, Failure> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(Format::Json);
    };
    let refused = || Failure::of(Code::MediaType);
    let text = value.to_str().map_err(|_| refused())?;
    let essence = text.split(';').next().unwrap_or("").trim();
    match media(text).as_ref().and_then(Format::of) {
        Some(format @ (Format::Json | Format::Xml)) if essence.contains('/') => {
            if essence.contains('*') {
                Err(refused())
            } else {
                Ok(format)
            }
        }
        _ => Err(refused()),
    }
}

/// Refuses bodies that are not JSON.
pub(crate) fn json_body(headers: &HeaderMap) -> Result<(), Failure> {
    match body_format(headers)? {
        Format::Json => Ok(()),
        _ => Err(Failure::of(Code::MediaType)),
    }
}

/// Whether the body is a resource by its content type, also where any other type could stand.
pub(crate) fn is_resource(headers: &HeaderMap) -> bool {
    matches!(
        body_essence(headers).as_str(),
        "application/fhir+json"
            | "application/json+fhir"
            | "application/json"
            | "text/json"
            | "application/fhir+xml"
            | "application/xml+fhir"
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
    fn formats_go_by_several_names() {
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
        for xml in [
            "application/fhir+xml",
            "application/fhir+json;q=0.5, application/fhir+xml",
            "application/xml;q=0.1, application/fhir+xml; Q=0.2",
        ] {
            assert_eq!(ok(xml), Some(FHIR_XML), "{xml}");
        }
        assert_eq!(ok("application/xml"), Some(PLAIN_XML));
        assert_eq!(ok("text/html, text/xml"), Some(TEXT_XML));
        assert_eq!(ok("application/fhir+ndjson"), Some(FHIR_LINES));
        for bad in [
            "text/html",
            "application/fhir+json;q=0",
            "application/fhir+json; charset=latin1",
        ] {
            assert_eq!(ok(bad), None, "{bad}");
        }
    }

    #[test]
    fn who_sends_xml_and_wants_anything_gets_xml() {
        let after = |sent: &str, accept: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(sent).unwrap());
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
            }
            prefer_as_sent(&mut headers);
            answer_type(&headers, None).unwrap()
        };
        for accept in [None, Some("*/*")] {
            assert_eq!(
                after("application/fhir+xml; charset=utf-8", accept),
                FHIR_XML
            );
            assert_eq!(after("text/xml", accept), TEXT_XML);
            assert_eq!(after("application/json", accept), FHIR_JSON);
            assert_eq!(after("application/xml-patch+xml", accept), FHIR_JSON);
        }
        let json = Some("application/fhir+json");
        assert_eq!(after("application/fhir+xml", json), FHIR_JSON);
    }

    #[test]
    fn format_wins_over_accept() {
        let with = |q: &str| answer_type(&accept("text/html"), Some(q)).ok();
        assert_eq!(with("_format=json"), Some(FHIR_JSON));
        // Without a value it asks for nothing.
        assert_eq!(with("_format="), None);
        let xml = accept("application/fhir+xml");
        assert_eq!(answer_type(&xml, Some("_format=")).ok(), Some(FHIR_XML));
        assert_eq!(with("a=b&_format=application/fhir%2Bjson"), Some(FHIR_JSON));
        assert_eq!(with("_format=application/fhir+json"), Some(FHIR_JSON));
        assert_eq!(with("_format=xml"), Some(FHIR_XML));
        assert_eq!(with("_format=text/xml"), Some(TEXT_XML));
        assert_eq!(with("_format=application/fhir%2Bxml"), Some(FHIR_XML));
        assert_eq!(with("_format=ndjson"), Some(FHIR_LINES));
        assert_eq!(with("_format=turtle"), None);
        assert_eq!(with("name=x"), None);
    }

    #[test]
    fn bodies_are_json_or_xml() {
        let of = |v: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(v).unwrap());
            body_format(&headers).ok()
        };
        for json in [
            "application/fhir+json; charset=utf-8",
            "application/json",
            "text/json",
        ] {
            assert_eq!(of(json), Some(Format::Json), "{json}");
        }
        for xml in [
            "application/fhir+xml",
            "application/xml;charset=UTF-8",
            "text/xml",
        ] {
            assert_eq!(of(xml), Some(Format::Xml), "{xml}");
        }
        for bad in [
            "*/*",
            "text/*",
            "xml",
            "text/plain",
            "application/fhir+ndjson",
            "application/json; charset=utf-16",
            "application/fhir+xml; charset=latin1",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
