//! One-time codes by time (RFC 6238): SHA-1, six digits, thirty seconds, as every authenticator app
//! has them; and recovery codes for when there is none at hand.

use std::collections::HashMap;

use access::{PersonId, TenantId};
use base::{Micros, Rng};
use parking_lot::Mutex;
use ring::hmac;

/// Digits of a code.
pub(super) const DIGITS: usize = 6;
const STEP_SECONDS: i64 = 30;
/// Steps before and after the current one that are taken.
const DRIFT: i64 = 1;
/// Recovery codes that are given out.
pub(super) const RECOVERY_CODES: usize = 10;

/// The code of a step.
fn code(secret: &[u8], step: i64) -> Option<u32> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let offset = usize::from(tag.as_ref().last()? & 0xf);
    let word = tag.as_ref().get(offset..offset + 4)?.first_chunk::<4>()?;
    Some((u32::from_be_bytes(*word) & 0x7fff_ffff) % 1_000_000)
}

/// The step of which a code is, if it is one now.
pub(super) fn step_of(secret: &[u8], given: &str, now: Micros) -> Option<i64> {
    let digits: String = given.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() != DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let given: u32 = digits.parse().ok()?;
    let current = now.as_secs().div_euclid(STEP_SECONDS);
    (current - DRIFT..=current + DRIFT).find(|step| code(secret, *step) == Some(given))
}

/// The step of a time.
pub(super) const fn step_at(now: Micros) -> i64 {
    now.0.div_euclid(1_000_000 * STEP_SECONDS)
}

/// The secret as authenticator apps take it.
pub(super) fn base32(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut out, mut buffer, mut bits) = (String::new(), 0u32, 0u32);
    let mut digit = |value: u32| {
        let place = usize::try_from(value & 31).unwrap_or(0);
        out.push(char::from(DIGITS.get(place).copied().unwrap_or(b'A')));
    };
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            digit(buffer >> bits);
        }
    }
    if bits > 0 {
        digit(buffer << (5 - bits));
    }
    out
}

/// Fresh recovery codes: sixty random bits each, in groups that can be read out.
pub(super) fn recovery_codes(rng: &dyn Rng) -> Vec<String> {
    let one = || {
        let text = base32(&rng.bytes::<10>()).to_lowercase();
        let (a, rest) = text.split_at(4);
        let (b, c) = rest.split_at(4);
        format!("{a}-{b}-{}", c.get(..4).unwrap_or(c))
    };
    (0..RECOVERY_CODES).map(|_| one()).collect()
}

/// A recovery code in the form that is hashed.
pub(super) fn recovery(given: &str) -> String {
    let letters = given.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// The last step of each person of which a code was used: none is used twice.
#[derive(Debug, Default)]
pub(crate) struct UsedCodes(Mutex<HashMap<(TenantId, PersonId), i64>>);

const REMEMBERED_MAX: usize = 100_000;

impl UsedCodes {
    pub(super) fn first_use(&self, tenant: &TenantId, person: &PersonId, step: i64) -> bool {
        let mut used = self.0.lock();
        if used.len() >= REMEMBERED_MAX {
            used.retain(|_, last| *last >= step - 2 * DRIFT);
        }
        let last = used
            .entry((tenant.clone(), person.clone()))
            .or_insert(i64::MIN);
        let first = step > *last;
        *last = step.max(*last);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238 appendix B, the last six of eight digits.
        let secret = b"12345678901234567890";
        for (secs, wanted) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            let at = |secs: i64| Micros(secs * 1_000_000);
            assert!(step_of(secret, wanted, at(secs)).is_some(), "{secs}");
            assert!(step_of(secret, wanted, at(secs + 30)).is_some(), "drift");
            assert!(step_of(secret, wanted, at(secs + 90)).is_none(), "late");
            assert!(step_of(secret, wanted, at(secs - 90)).is_none(), "early");
        }
        assert!(step_of(secret, "28708", Micros(59_000_000)).is_none());
        assert!(step_of(secret, "287 082", Micros(59_000_000)).is_some());
        assert_eq!(base32(secret), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(base32(b"f"), "MY");
    }
}
