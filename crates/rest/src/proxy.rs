//! What a proxy in front of Insula says about a request: `Forwarded` (RFC 7239), or
//! `X-Forwarded-For`, `-Proto`, `-Host`, `-Port` and `-Prefix`.
//!
//! Only proxies at configured addresses are believed. Each of them adds to the right of a list
//! what it saw; the list is read from there, one entry for each believed proxy, so that what a
//! client wrote itself is never reached.

use std::net::IpAddr;

use base::{Code, Network};
use engine::{Failure, Forwarded, HouseConfig, ProxyHeaders};
use http::HeaderMap;

/// Longest prefix of a path that is believed, in bytes.
const PREFIX_BYTES_MAX: usize = 256;

/// What proxies write that do not write `Forwarded`.
const OLDER: [&str; 5] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
];

/// The address that a request comes from, and how it reached the outermost believed proxy; nothing
/// if no believed proxy brought it.
///
/// # Errors
/// `request-invalid` where both kinds of headers are there, say different things, and the configuration does
/// not say which is the proxies'.
pub(crate) fn read(
    config: &HouseConfig,
    headers: &HeaderMap,
    peer: IpAddr,
) -> Result<(IpAddr, Option<Box<Forwarded>>), Failure> {
    let trusted = |address: IpAddr| is_believed(config, address);
    if !trusted(peer) {
        return Ok((peer, None));
    }
    let standard = || of_forwarded(&list(headers, "forwarded", elements), peer, trusted);
    let older = || of_x_forwarded(headers, peer, trusted);
    let (from, told) = match config.proxy_headers {
        ProxyHeaders::Forwarded => standard(),
        ProxyHeaders::XForwarded => older(),
        ProxyHeaders::Either if !headers.contains_key("forwarded") => older(),
        ProxyHeaders::Either => {
            let told = standard();
            // One of them came through a proxy that does not write it: nobody knows which.
            if OLDER.iter().any(|name| headers.contains_key(*name)) && told != older() {
                let text = "Forwarded and X-Forwarded-* differ, and \"proxy_headers\" does not say which of \
                            them proxies write";
                return Err(Failure::new(Code::RequestInvalid, text));
            }
            told
        }
    };
    let told = (told != Forwarded::default()).then(|| Box::new(told));
    Ok((from, told))
}

/// Whether a proxy at this address is believed.
pub(crate) fn is_believed(config: &HouseConfig, peer: IpAddr) -> bool {
    let networks: &[Network] = &config.trusted_proxies;
    networks.iter().any(|network| network.contains(peer))
}

/// All values of a list header, in order.
fn list<'h>(
    headers: &'h HeaderMap,
    name: &str,
    split: fn(&'h str) -> Vec<&'h str>,
) -> Vec<&'h str> {
    let lines = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    lines.flat_map(split).collect()
}

/// How many entries from the right were added by believed proxies, and the address that the last of
/// these saw.
fn walk(
    addresses: &[Option<IpAddr>],
    peer: IpAddr,
    trusted: impl Fn(IpAddr) -> bool,
) -> (usize, IpAddr) {
    let mut from = peer;
    for (count, address) in addresses.iter().rev().enumerate() {
        let Some(address) = address else {
            return (count + 1, from);
        };
        from = *address;
        if !trusted(from) {
            return (count + 1, from);
        }
    }
    (addresses.len().max(1), from)
}

fn of_forwarded(
    elements: &[&str],
    peer: IpAddr,
    trusted: impl Fn(IpAddr) -> bool,
) -> (IpAddr, Forwarded) {
    let pair = |element: &str, wanted: &str| {
        quoted_split(element, ';').into_iter().find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case(wanted)
                .then(|| unquoted(value))
        })
    };
    let seen: Vec<Option<IpAddr>> = elements
        .iter()
        .map(|element| pair(element, "for").and_then(|node| address(&node)))
        .collect();
    let (count, from) = walk(&seen, peer, trusted);
    let believed = elements.get(elements.len().saturating_sub(count)..);
    let outermost = |name| {
        believed
            .unwrap_or_default()
            .iter()
            .find_map(|e| pair(e, name))
    };
    let told = Forwarded {
        scheme: outermost("proto").as_deref().and_then(scheme),
        host: outermost("host").filter(|host| !host.is_empty()),
        ..Forwarded::default()
    };
    (from, told)
}

fn of_x_forwarded(
    headers: &HeaderMap,
    peer: IpAddr,
    trusted: impl Fn(IpAddr) -> bool,
) -> (IpAddr, Forwarded) {
    let commas = |text: &'static str| list(headers, text, |line| line.split(',').collect());
    let seen: Vec<Option<IpAddr>> = commas("x-forwarded-for").into_iter().map(address).collect();
    let (count, from) = walk(&seen, peer, trusted);
    let outermost = |name: &'static str| {
        let all = commas(name);
        let believed = all
            .get(all.len().saturating_sub(count)..)
            .unwrap_or_default();
        let first = believed.first().map(|text| text.trim());
        first.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let told = Forwarded {
        scheme: outermost("x-forwarded-proto").as_deref().and_then(scheme),
        host: outermost("x-forwarded-host"),
        port: outermost("x-forwarded-port").and_then(|port| port.parse().ok()),
        prefix: outermost("x-forwarded-prefix")
            .as_deref()
            .and_then(prefix)
            .unwrap_or_default(),
    };
    (from, told)
}

fn elements(line: &str) -> Vec<&str> {
    let all = quoted_split(line, ',').into_iter().map(str::trim);
    all.filter(|element| !element.is_empty()).collect()
}

/// Splits at a character that is outside of quotes.
fn quoted_split(text: &str, at: char) -> Vec<&str> {
    let (mut inside, mut escaped) = (false, false);
    text.split(|c: char| {
        if escaped {
            escaped = false;
            return false;
        }
        match c {
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            _ => {}
        }
        c == at && !inside
    })
    .collect()
}

fn unquoted(value: &str) -> String {
    let value = value.trim();
    match value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
        Some(inner) => inner.replace('\\', ""),
        None => value.to_owned(),
    }
}

/// The address of a node: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`, `2001:db8::1`.
fn address(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    if let Some(rest) = node.strip_prefix('[') {
        return rest.split(']').next()?.parse().ok();
    }
    let bare = match node.split_once(':') {
        Some((address, port)) if !port.contains(':') => address,
        _ => node,
    };
    bare.parse().ok()
}

fn scheme(text: &str) -> Option<&'static str> {
    match text.trim().to_ascii_lowercase().as_str() {
        "https" => Some("https"),
        "http" => Some("http"),
        _ => None,
    }
}

/// A path that can stand before all others: no final slash, nothing that would end it.
fn prefix(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/');
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'.' | b'_' | b'~');
    let good = text.starts_with('/')
        && text.len() <= PREFIX_BYTES_MAX
        && text.bytes().all(plain)
        && !text.contains("//")
        && !text.split('/').any(|step| matches!(step, "." | ".."));
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = (String, Option<Forwarded>);

    fn told(headers: &[(&'static str, &str)]) -> Told {
        told_by(ProxyHeaders::Either, headers).unwrap()
    }

    fn told_by(
        proxy_headers: ProxyHeaders,
        headers: &[(&'static str, &str)],
    ) -> Result<Told, Failure> {
        let config = HouseConfig {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            proxy_headers,
            ..HouseConfig::default()
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let (from, told) = read(&config, &map, "10.0.0.1".parse().unwrap())?;
        Ok((from.to_string(), told.map(|told| *told)))
    }

    #[test]
    fn the_outermost_believed_proxy_counts() {
        let host = |host: &str| Forwarded {
            host: Some(host.to_owned()),
            scheme: Some("https"),
            ..Forwarded::default()
        };
        for line in [
            "for=192.0.2.7;proto=https;host=a.example",
            "For=\"192.0.2.7:4711\"; Proto=HTTPS; Host=\"a.example\"",
            // A client's own entry is not reached.
            "for=1.1.1.1;proto=http;host=evil.example, for=192.0.2.7;proto=https;host=a.example",
            // Two proxies of ours: the outer one says it, the inner one adds nothing.
            "for=192.0.2.7;proto=https;host=a.example, for=10.0.0.9",
            "for=evil;host=evil.example, for=192.0.2.7;proto=https;host=a.example, for=10.1.1.1;host=inner",
        ] {
            let wanted = ("192.0.2.7".to_owned(), Some(host("a.example")));
            assert_eq!(told(&[("forwarded", line)]), wanted, "{line}");
        }
        let hidden = told(&[(
            "forwarded",
            "for=1.1.1.1;host=evil, for=_x;proto=https;host=b",
        )]);
        assert_eq!(hidden, ("10.0.0.1".to_owned(), Some(host("b"))));
        let six = told(&[("forwarded", "for=\"[2001:db8::1]:80\"")]);
        assert_eq!(six, ("2001:db8::1".to_owned(), None));
    }

    #[test]
    fn the_older_headers_mean_the_same() {
        let (from, found) = told(&[
            ("x-forwarded-for", "1.1.1.1, 192.0.2.7"),
            ("x-forwarded-for", "10.0.0.9"),
            ("x-forwarded-proto", "http, https, https"),
            ("x-forwarded-host", "evil.example, a.example, inner"),
            ("x-forwarded-port", "8443"),
            ("x-forwarded-prefix", "/clinic/"),
        ]);
        let wanted = Forwarded {
            scheme: Some("https"),
            host: Some("a.example".to_owned()),
            port: Some(8443),
            prefix: "/clinic".to_owned(),
        };
        assert_eq!((from.as_str(), found), ("192.0.2.7", Some(wanted)));
    }

    #[test]
    fn headers_that_proxies_do_not_write_say_nothing() {
        // A proxy that writes one kind lets the other through as the client wrote it.
        let both = [
            ("forwarded", "for=10.9.8.7;host=evil.example"),
            ("x-forwarded-for", "192.0.2.7"),
        ];
        let refused = told_by(ProxyHeaders::Either, &both).unwrap_err();
        assert_eq!(refused.code(), Code::RequestInvalid);
        let of_x = told_by(ProxyHeaders::XForwarded, &both).unwrap();
        assert_eq!(of_x, ("192.0.2.7".to_owned(), None));
        let (from, found) = told_by(ProxyHeaders::Forwarded, &both).unwrap();
        assert_eq!(from, "10.9.8.7");
        assert_eq!(found.unwrap().host.as_deref(), Some("evil.example"));
        // The other kind alone is the client's as well.
        let alone = told_by(ProxyHeaders::XForwarded, &both[..1]).unwrap();
        assert_eq!(alone, ("10.0.0.1".to_owned(), None));
        let alone = told_by(ProxyHeaders::Forwarded, &both[1..]).unwrap();
        assert_eq!(alone, ("10.0.0.1".to_owned(), None));
        for more in [
            ("x-forwarded-host", "a.example"),
            ("x-forwarded-port", "1"),
            ("x-forwarded-prefix", "/x"),
        ] {
            let differ = [
                ("forwarded", "for=192.0.2.7"),
                ("x-forwarded-for", "192.0.2.7"),
                more,
            ];
            told_by(ProxyHeaders::Either, &differ).unwrap_err();
        }
        let agree = [
            ("forwarded", "for=192.0.2.7;proto=https;host=a.example"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "a.example"),
        ];
        assert_eq!(told(&agree), told(&agree[..1]));
    }

    #[test]
    fn what_cannot_be_meant_is_ignored() {
        for (name, value) in [
            ("x-forwarded-proto", "gopher"),
            ("x-forwarded-port", "99999"),
            ("x-forwarded-prefix", "//evil.example"),
            ("x-forwarded-prefix", "/a?b"),
            ("x-forwarded-prefix", "/a/../b"),
            ("x-forwarded-prefix", "evil"),
            ("x-forwarded-host", ""),
            ("forwarded", ";;=,,\"\\"),
        ] {
            assert_eq!(told(&[(name, value)]).1, None, "{name}: {value}");
        }
    }
}
