//! The address of a syslog receiver: `tls://host:port`, or `tcp://address:port` on this machine.

use std::net::IpAddr;

/// The address of a syslog receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogTarget {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether TLS is spoken to it.
    pub tls: bool,
}

/// Why an address is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not of the form.
    #[error("a syslog receiver is tls://host:port, or tcp://address:port on this machine")]
    Form,
    /// TCP to another machine.
    #[error("a syslog receiver without TLS is on this machine: use tls://")]
    Plain,
}

impl SyslogTarget {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let (scheme, rest) = text.split_once("://").ok_or(TargetError::Form)?;
        let (host, port) = rest.rsplit_once(':').ok_or(TargetError::Form)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or(TargetError::Form)?,
            None => host,
        };
        let address: Result<IpAddr, _> = host.parse();
        let is_name = !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
        let port = port.parse().map_err(|_| TargetError::Form)?;
        if port == 0 || address.is_err() && !is_name {
            return Err(TargetError::Form);
        }
        let tls = match scheme {
            "tls" => true,
            "tcp" => false,
            _ => return Err(TargetError::Form),
        };
        let here = host == "localhost" || address.is_ok_and(|a| a.is_loopback());
        match tls || here {
            true => Ok(Self {
                host: host.to_owned(),
                port,
                tls,
            }),
            false => Err(TargetError::Plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let good = |text: &str| SyslogTarget::parse(text).map(|t| (t.host, t.port, t.tls));
        for (text, wanted) in [
            ("tls://a.example:6514", Ok(("a.example", 6514, true))),
            ("tls://[::1]:6514", Ok(("::1", 6514, true))),
            ("tcp://127.0.0.1:514", Ok(("127.0.0.1", 514, false))),
            ("tcp://localhost:514", Ok(("localhost", 514, false))),
            ("tcp://a.example:514", Err(TargetError::Plain)),
            ("tcp://10.0.0.1:514", Err(TargetError::Plain)),
            ("udp://a.example:514", Err(TargetError::Form)),
            ("tls://a.example", Err(TargetError::Form)),
            ("tls://a.example:0", Err(TargetError::Form)),
            ("tls://u@a.example:1", Err(TargetError::Form)),
            ("a.example:1", Err(TargetError::Form)),
        ] {
            let wanted = wanted.map(|(host, port, tls)| (host.to_owned(), port, tls));
            assert_eq!(good(text), wanted, "{text}");
        }
    }
}
