//! Code systems whose codes no list gives: a grammar does, or an authority that goes on adding to
//! them. What their codes look like is all that is checked.

use crate::ucum;

/// What the codes of a system look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// BCP 47: `en`, `de-CH-1996`
    Language,
    /// BCP 13: `text/plain;charset=utf-8`
    MediaType,
    /// ISO 4217: `EUR`
    Currency,
    /// ISO 3166-1: `DE`, `DEU`, `276`
    Country,
    /// The IANA database: `Europe/Berlin`
    TimeZone,
    /// UCUM: `mm[Hg]`
    Unit,
    /// `#FF00cc`
    Color,
}

impl Form {
    /// That of a system; none where the codes are known.
    pub(super) fn of(system: &str) -> Option<Self> {
        Some(match system {
            "urn:ietf:bcp:47" => Self::Language,
            "urn:ietf:bcp:13" => Self::MediaType,
            "urn:iso:std:iso:4217" => Self::Currency,
            "urn:iso:std:iso:3166" => Self::Country,
            "https://www.iana.org/time-zones" => Self::TimeZone,
            "http://unitsofmeasure.org" => Self::Unit,
            "http://hl7.org/fhir/color-rgb" => Self::Color,
            _ => return None,
        })
    }

    /// Whether a code may be one of the system.
    pub(super) fn fits(self, code: &str) -> bool {
        let all = |is: fn(&u8) -> bool| code.bytes().all(|b| is(&b));
        match self {
            Self::Language => is_language(code),
            Self::MediaType => is_media_type(code),
            Self::Currency => code.len() == 3 && all(u8::is_ascii_uppercase),
            Self::Country => match code.len() {
                2 => all(u8::is_ascii_uppercase),
                3 => all(u8::is_ascii_uppercase) || all(u8::is_ascii_digit),
                _ => false,
            },
            Self::TimeZone => code.split('/').all(|part| {
                let named = |b: u8| b.is_ascii_alphanumeric() || b"_-+".contains(&b);
                !part.is_empty() && part.bytes().all(named)
            }),
            Self::Unit => ucum::is_valid(code),
            Self::Color => code
                .strip_prefix('#')
                .is_some_and(|rgb| rgb.len() == 6 && rgb.bytes().all(|b| b.is_ascii_hexdigit())),
        }
    }
}

/// Tags that were registered before there was a grammar, and do not fit it (RFC 5646 section 2.1).
const IRREGULAR: [&str; 17] = [
    "en-gb-oed",
    "i-ami",
    "i-bnn",
    "i-default",
    "i-enochian",
    "i-hak",
    "i-klingon",
    "i-lux",
    "i-mingo",
    "i-navajo",
    "i-pwn",
    "i-tao",
    "i-tay",
    "i-tsu",
    "sgn-be-fr",
    "sgn-be-nl",
    "sgn-ch-de",
];

/// Whether a tag is well-formed: `language[-extlang][-script][-region][-variant][-extension][-x-…]`.
fn is_language(tag: &str) -> bool {
    let alphabetic = |p: &str| p.bytes().all(|b| b.is_ascii_alphabetic());
    let numeric = |p: &str| p.bytes().all(|b| b.is_ascii_digit());
    let subtag =
        |p: &str| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric());
    if IRREGULAR.iter().any(|t| t.eq_ignore_ascii_case(tag)) {
        return true;
    }
    if !tag.split('-').all(subtag) {
        return false;
    }
    let mut parts = tag.split('-').peekable();
    let Some(language) = parts.next() else {
        return false;
    };
    if language.eq_ignore_ascii_case("x") {
        return parts.next().is_some();
    }
    if language.len() < 2 || !alphabetic(language) {
        return false;
    }
    if language.len() <= 3 {
        for _ in 0..3 {
            parts.next_if(|p| p.len() == 3 && alphabetic(p));
        }
    }
    parts.next_if(|p| p.len() == 4 && alphabetic(p));
    parts.next_if(|p| (p.len() == 2 && alphabetic(p)) || (p.len() == 3 && numeric(p)));
    let variant =
        |p: &&str| p.len() >= 5 || (p.len() == 4 && p.starts_with(|c: char| c.is_ascii_digit()));
    while parts.next_if(variant).is_some() {}
    while let Some(singleton) = parts.next() {
        if singleton.len() != 1 {
            return false;
        }
        let private = singleton.eq_ignore_ascii_case("x");
        let mut some = false;
        while parts.next_if(|p| private || p.len() > 1).is_some() {
            some = true;
        }
        if !some {
            return false;
        }
    }
    true
}

/// Whether a text is `type/subtype` with parameters (RFC 9110 section 8.3.1). FHIR's own formats
/// have short names too, which CapabilityStatements list. Values of parameters are taken without
/// quotes where they need them: HL7's own examples have spaces and slashes there.
fn is_media_type(text: &str) -> bool {
    if matches!(text, "xml" | "json" | "ttl" | "ndjson") {
        return true;
    }
    let mut parts = split_unquoted(text);
    let essence = parts.next().unwrap_or("").trim_end_matches(' ');
    let named = essence
        .split_once('/')
        .is_some_and(|(kind, sub)| is_token(kind) && is_token(sub));
    let parameter = |p: &str| {
        let p = p.trim_matches(' ');
        p.is_empty()
            || p.split_once('=')
                .is_some_and(|(name, value)| is_token(name) && is_value(value))
    };
    named && parts.all(parameter)
}

/// What stands between semicolons that are not quoted.
fn split_unquoted(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let plain = !std::mem::take(&mut escaped);
        match c {
            '\\' if quoted && plain => escaped = true,
            '"' if plain => quoted = !quoted,
            _ => {}
        }
        c == ';' && !quoted
    })
}

/// A whole quoted string, or anything without a quote.
fn is_value(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('"') else {
        return !text.is_empty() && !text.contains('"');
    };
    let mut escaped = false;
    let end = rest.char_indices().find(|(_, c)| {
        let plain = !std::mem::take(&mut escaped);
        escaped = plain && *c == '\\';
        plain && *c == '"'
    });
    end.is_some_and(|(at, _)| at + 1 == rest.len())
}

/// A `token` of HTTP (RFC 9110 section 5.6.2).
fn is_token(text: &str) -> bool {
    let of_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(of_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: Form, good: &[&str], bad: &[&str]) {
        for code in good {
            assert!(form.fits(code), "{form:?} {code}");
        }
        for code in bad {
            assert!(!form.fits(code), "{form:?} {code}");
        }
    }

    #[test]
    fn languages_are_tags() {
        let good = [
            "en",
            "EN-us",
            "de-CH-1996",
            "zh-cmn-Hans-CN",
            "sl-rozaj-biske",
            "es-419",
            "i-klingon",
            "de-DE-u-co-phonebk",
            "x-whatever",
            "en-x-a-b",
            "art-lojban",
            "sgn-BE-FR",
            "hy-Latn-IT-arevela",
        ];
        let bad = [
            "",
            "e",
            "english language",
            "en_US",
            "en-",
            "-en",
            "en--US",
            "en-u",
            "x",
            "de-419-DE",
            "a-DE",
            "en-x",
            "verylonglanguage",
            "12",
            "d\u{e9}",
        ];
        check(Form::Language, &good, &bad);
    }

    #[test]
    fn media_types_are_types_with_parameters() {
        let good = [
            "text/plain",
            "application/fhir+json",
            "text/plain;charset=utf-8",
            "image/*",
            "json",
            "text/plain; charset=\"a;b\\\"\"; x=y",
            "text/html ; charset=utf-8",
            "text/plain;",
            "application/dicom; variant=DICOM WADO-RS",
            "a/xml; canonicalization=http://hl7.org/fhir/canonicalization/xml",
        ];
        let bad = [
            "",
            "text",
            "text/",
            "/plain",
            "pdf",
            "text/plain/x",
            "text/pl ain",
            "text/plain; charset",
            "text/plain; a=\"b",
            "text/plain;=x",
            "text/plain charset=x",
            "text/plain;a=b\"c",
            "text/plain;a=\"b\"c",
            "text/plain;a=",
        ];
        check(Form::MediaType, &good, &bad);
    }

    #[test]
    fn others_look_as_their_authorities_make_them() {
        check(
            Form::Currency,
            &["EUR", "XAU"],
            &["eur", "EU", "EURO", "1UR"],
        );
        check(
            Form::Country,
            &["DE", "DEU", "276"],
            &["de", "D", "27", "2AB", "GERM"],
        );
        let zones = [
            "Europe/Berlin",
            "UTC",
            "Etc/GMT+5",
            "America/Argentina/Buenos_Aires",
        ];
        check(
            Form::TimeZone,
            &zones,
            &["", "Europe/", "Central European Time"],
        );
        check(Form::Unit, &["mm[Hg]", "ms"], &["furlong", ""]);
        check(
            Form::Color,
            &["#FF00cc"],
            &["#FF00c", "FF00cc0", "#FF00cg", "#\u{e9}\u{e9}\u{e9}"],
        );
    }
}
