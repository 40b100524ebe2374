//! Networks of addresses, as configurations write them: `10.0.0.0/8`, `::1`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// A text that is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address or a network (192.0.2.1, 10.0.0.0/8, fd00::/8)")]
pub struct NotANetwork;

impl Network {
    /// Whether an address is in it. An IPv4 address that is written as an IPv6 one
    /// (`::ffff:192.0.2.1`) is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.bits);
                let first = |a: u32| a.checked_shr(shift).unwrap_or(0);
                first(own.to_bits()) == first(other.to_bits())
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.bits);
                let first = |a: u128| a.checked_shr(shift).unwrap_or(0);
                first(own.to_bits()) == first(other.to_bits())
            }
            _ => false,
        }
    }
}

/// A network of IPv4, by its first address and its bits.
const fn v4(a: u8, b: u8, c: u8, bits: u8) -> Network {
    let address = IpAddr::V4(Ipv4Addr::new(a, b, c, 0));
    Network { address, bits }
}

/// A network of IPv6, by its first four groups and its bits.
const fn v6(a: u16, b: u16, c: u16, d: u16, bits: u8) -> Network {
    let address = IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0));
    Network { address, bits }
}

/// What is not of the public Internet of IPv4 (IANA's special-purpose registry).
const NOT_PUBLIC_V4: &[Network] = &[
    v4(0, 0, 0, 8),
    v4(10, 0, 0, 8),
    v4(100, 64, 0, 10),
    v4(127, 0, 0, 8),
    v4(169, 254, 0, 16),
    v4(172, 16, 0, 12),
    v4(192, 0, 0, 24),
    v4(192, 0, 2, 24),
    v4(192, 88, 99, 24),
    v4(192, 168, 0, 16),
    v4(198, 18, 0, 15),
    v4(198, 51, 100, 24),
    v4(203, 0, 113, 24),
    v4(224, 0, 0, 4),
    v4(240, 0, 0, 4),
];

/// The public Internet of IPv6, and what is not of it although it lies inside: protocol assignments,
/// documentation, and addresses that stand for others of IPv4.
const PUBLIC_V6: Network = v6(0x2000, 0, 0, 0, 3);
const NOT_PUBLIC_V6: &[Network] = &[
    v6(0x2001, 0, 0, 0, 23),
    v6(0x2001, 0xdb8, 0, 0, 32),
    v6(0x2002, 0, 0, 0, 16),
    v6(0x3fff, 0, 0, 0, 20),
];

/// Whether an address is one of the public Internet: not of this machine, of a network of one's own,
/// of one link, of a group, or set aside. An IPv4 address that is written as an IPv6 one is the IPv4
/// address.
pub fn is_public(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let inside = |networks: &[Network]| networks.iter().any(|n| n.contains(address));
    match address {
        IpAddr::V4(_) => !inside(NOT_PUBLIC_V4),
        IpAddr::V6(_) => PUBLIC_V6.contains(address) && !inside(NOT_PUBLIC_V6),
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits: u8 = match bits {
            None => most,
            Some(bits) => bits.parse().map_err(|_| NotANetwork)?,
        };
        if bits > most {
            return Err(NotANetwork);
        }
        // IPv4 that is written as IPv6 is IPv4, as the addresses are that are looked for in it.
        if let (IpAddr::V4(own), true, Some(own_bits)) = (
            address.to_canonical(),
            address.is_ipv6(),
            bits.checked_sub(128 - 32),
        ) {
            let address = IpAddr::V4(own);
            return Ok(Self {
                address,
                bits: own_bits,
            });
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "::1", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.128/25", "192.0.2.200", true),
            ("192.0.2.128/25", "192.0.2.100", false),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "2001:db8::1", true),
            ("::1", "::1", true),
        ] {
            let network: Network = network.parse().unwrap();
            let address = address.parse().unwrap();
            assert_eq!(network.contains(address), inside, "{network} {address}");
        }
    }

    #[test]
    fn only_the_public_internet_is_public() {
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "2a00::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for own in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.2.1",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(own.parse().unwrap()), "{own}");
        }
    }

    #[test]
    fn ipv4_written_as_ipv6_is_ipv4() {
        for (text, inside, outside) in [
            ("::ffff:127.0.0.1/128", "127.0.0.1", "127.0.0.2"),
            ("::ffff:10.1.0.0/112", "::ffff:10.1.2.3", "10.2.0.1"),
            ("::ffff:0:0/96", "192.0.2.1", "2001:db8::1"),
        ] {
            let network: Network = text.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{text}");
            assert!(!network.contains(outside.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "a",
            "1.2.3.4/x",
            "1.2.3.4/-1",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
    }
}
