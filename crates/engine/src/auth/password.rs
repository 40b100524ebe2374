//! Passwords: argon2id, off the workers, a few at once, and what may be one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::SaltString;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use base::{Code, Limits};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::house::House;

/// Bytes of a password that is looked at.
const BYTES_MAX: usize = 1_024;

/// Places where passwords are checked.
#[derive(Debug)]
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
    waiting: AtomicU64,
    waiting_max: u64,
}

impl Passwords {
    pub(crate) fn new(limits: &Limits) -> Self {
        let places = usize::try_from(limits.passwords_at_once_max).unwrap_or(1);
        Self {
            places: Arc::new(Semaphore::new(places.clamp(1, 1_024))),
            waiting: AtomicU64::new(0),
            waiting_max: limits.passwords_waiting_max,
        }
    }

    /// Runs slow work at a place.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        struct Waiting<'a>(&'a AtomicU64);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&self.waiting);
        if before >= self.waiting_max {
            let max = self.waiting_max;
            return Err(Failure::limit(
                Code::LimitBusy,
                "passwords_waiting_max",
                max,
            ));
        }
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(|_| Failure::of(Code::Stopping))?;
        drop(waiting);
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        done.await.map_err(|_| Failure::of(Code::Internal))
    }
}

/// The password in the one form that is hashed, whichever keyboard it came from.
fn normal(password: &str) -> Zeroizing<String> {
    Zeroizing::new(password.nfkc().collect())
}

fn argon(limits: &Limits) -> Result<Argon2<'static>, Failure> {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let (memory, passes) = (limits.password_memory_kib, limits.password_passes);
    let params = Params::new(number(memory), number(passes), 1, None);
    let params = params.map_err(|_| Failure::of(Code::Internal))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Whether a person may have a password.
///
/// # Errors
/// `password-refused`
pub(super) fn admit(password: &str, login: &str, limits: &Limits) -> Result<(), Failure> {
    let password = normal(password);
    let refused = |why: String| Err(Failure::new(Code::PasswordRefused, why));
    let min = limits.password_characters_min;
    if (password.chars().count() as u64) < min {
        return refused(format!("a password has at least {min} characters"));
    }
    if password.len() > BYTES_MAX {
        return refused(format!("a password has at most {BYTES_MAX} bytes"));
    }
    let lower = password.to_lowercase();
    let mut distinct: Vec<char> = lower.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 5 || lower.contains(login) && login.len() * 2 > lower.len() {
        return refused("this password is too easy to guess".to_owned());
    }
    Ok(())
}

impl House {
    /// The argon2id hash of a password, in PHC form.
    pub(super) async fn password_hash(&self, password: &str) -> Result<String, Failure> {
        let (password, argon) = (normal(password), argon(self.limits())?);
        let salt: [u8; 16] = self.0.rng.bytes();
        let failed = || Failure::of(Code::Internal);
        let hash = move || {
            let salt = SaltString::encode_b64(&salt).ok()?;
            let hash = argon.hash_password(password.as_bytes(), &salt).ok()?;
            Some(hash.to_string())
        };
        self.0.passwords.run(hash).await?.ok_or_else(failed)
    }

    /// Whether a password is the one of the hash. Takes as long where there is none.
    pub(super) async fn password_fits(
        &self,
        password: &str,
        hash: Option<&str>,
    ) -> Result<bool, Failure> {
        if password.len() > BYTES_MAX {
            return Ok(false);
        }
        let (password, argon) = (normal(password), argon(self.limits())?);
        let hash = hash.map(str::to_owned);
        let fits = move || {
            let Some(hash) = hash.as_deref().and_then(|h| PasswordHash::new(h).ok()) else {
                if let Ok(salt) = SaltString::encode_b64(&[0; 16]) {
                    let _ = argon.hash_password(password.as_bytes(), &salt);
                }
                return false;
            };
            argon.verify_password(password.as_bytes(), &hash).is_ok()
        };
        self.0.passwords.run(fits).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn easy_passwords_are_refused() {
        let limits = Limits::default();
        for good in ["correct horse battery", "Zwölf Boxkämpfer", "xk92!m;qP0aa"] {
            admit(good, "ada", &limits).unwrap();
        }
        for bad in [
            "short",
            "aaaaaaaaaaaaaaaa",
            "121212121212",
            "adalovelace1",
            "",
        ] {
            assert!(admit(bad, "adalovelace", &limits).is_err(), "{bad}");
        }
        assert!(admit(&"long enough, ".repeat(100), "ada", &limits).is_err());
    }
}
