//! Passwords: argon2id, off the workers, a few at once and tenants by turns, and what may be one.

use std::collections::HashMap;

use access::TenantId;
use argon2::password_hash::SaltString;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use base::{Code, Limits};
use parking_lot::Mutex;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::benches::Benches;
use crate::failure::Failure;
use crate::house::House;

/// Bytes of a password that is looked at.
const BYTES_MAX: usize = 1_024;

type TenantKey = [u8; 16];

/// Places where passwords are checked.
pub(crate) struct Passwords {
    places: Benches,
    waiting: Mutex<HashMap<TenantKey, u64>>,
    waiting_max: u64,
}

/// One that waits for a place, and is counted as long as it does.
struct Waiting<'p> {
    all: &'p Mutex<HashMap<TenantKey, u64>>,
    tenant: TenantKey,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if let Some(count) = all.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.tenant);
            }
        }
    }
}

impl Passwords {
    pub(crate) fn new(limits: &Limits) -> Self {
        let places = usize::try_from(limits.passwords_at_once_max).unwrap_or(1);
        Self {
            places: Benches::new(places.clamp(1, 1_024)),
            waiting: Mutex::default(),
            waiting_max: limits.passwords_waiting_max,
        }
    }

    fn wait(&self, tenant: TenantKey) -> Result<Waiting<'_>, Failure> {
        let mut all = self.waiting.lock();
        let count = all.entry(tenant).or_default();
        if *count >= self.waiting_max.max(1) {
            let max = self.waiting_max;
            return Err(Failure::limit(
                Code::LimitBusy,
                "passwords_waiting_max",
                max,
            ));
        }
        *count += 1;
        drop(all);
        Ok(Waiting {
            all: &self.waiting,
            tenant,
        })
    }

    /// Runs slow work of a tenant at a place, when it is the tenant's turn.
    async fn run<T: Send + 'static>(
        &self,
        tenant: TenantKey,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let waiting = self.wait(tenant)?;
        let place = self.places.place(tenant).await;
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
    pub(super) async fn password_hash(
        &self,
        tenant: &TenantId,
        password: &str,
    ) -> Result<String, Failure> {
        let (password, argon) = (normal(password), argon(self.limits())?);
        let salt: [u8; 16] = self.0.rng.bytes();
        let failed = || Failure::of(Code::Internal);
        let hash = move || {
            let salt = SaltString::encode_b64(&salt).ok()?;
            let hash = argon.hash_password(password.as_bytes(), &salt).ok()?;
            Some(hash.to_string())
        };
        self.0
            .passwords
            .run(*tenant.bytes(), hash)
            .await?
            .ok_or_else(failed)
    }

    /// Whether a password is the one of the hash. Takes as long where there is none.
    pub(super) async fn password_fits(
        &self,
        tenant: &TenantId,
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
        self.0.passwords.run(*tenant.bytes(), fits).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[tokio::test]
    async fn those_who_wait_are_counted_for_each_tenant() {
        let limits = Limits {
            passwords_at_once_max: 1,
            passwords_waiting_max: 1,
            ..Limits::default()
        };
        let passwords = Passwords::new(&limits);
        let held = passwords.places.place([0; 16]).await;
        let context = &mut Context::from_waker(Waker::noop());
        let (mut here, mut there) = (
            pin!(passwords.run([1; 16], || 1)),
            pin!(passwords.run([2; 16], || 2)),
        );
        assert!(here.as_mut().poll(context).is_pending());
        let refused = passwords.run([1; 16], || 3).await.unwrap_err();
        assert_eq!(refused.code(), Code::LimitBusy);
        assert!(there.as_mut().poll(context).is_pending(), "another tenant");
        drop(held);
        assert_eq!((here.await.unwrap(), there.await.unwrap()), (1, 2));
        assert!(passwords.waiting.lock().is_empty());
        let mut free = pin!(passwords.run([1; 16], || 4));
        if let Poll::Ready(done) = free.as_mut().poll(context) {
            assert_eq!(done.unwrap(), 4);
        } else {
            assert_eq!(free.await.unwrap(), 4);
        }
    }

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
