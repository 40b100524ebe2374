//! Credentials that were found good, by digest: what makes the second request of a client cheap.
//!
//! Bounded by two generations: when the young one is full it becomes the old one, and what is
//! still used moves back. A verdict is no right by itself; its user compares the client's epoch.

use std::collections::HashMap;
use std::sync::Arc;

use access::{
    AuthorityDigest, ByCertificate, CertificateTerms, Principal, ShownCertificate, TenantId,
};
use base::Micros;
use parking_lot::RwLock;
use ring::digest::{Context, SHA256};

use super::rights::Known;

/// Whom credentials stand for, and until when.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) principal: Arc<Principal>,
    pub(crate) until: Option<Micros>,
    /// The id of the access token, if it is one.
    pub(crate) token: Option<[u8; 16]>,
    /// SHA-256 of the certificate that it is bound to.
    pub(crate) certificate: Option<[u8; 32]>,
    /// The name that an authority vouches for in it, where the client is recognised by one.
    pub(crate) named: Option<Arc<Named>>,
    /// What policy gives to them.
    pub(crate) rights: Arc<Known>,
}

/// A client that is recognised by a name, and the authority that has to vouch for it.
#[derive(Debug)]
pub(crate) struct Named {
    by: ByCertificate,
    authority: Option<AuthorityDigest>,
}

impl Named {
    /// By what a client is recognised, if that is a name.
    pub(crate) fn of(terms: &CertificateTerms) -> Option<Arc<Self>> {
        let by = terms
            .by
            .as_ref()
            .filter(|by| **by != ByCertificate::SelfSigned)?;
        Some(Arc::new(Self {
            by: by.clone(),
            authority: terms.authority,
        }))
    }

    /// Whether it is still vouched for: that ends with the certificate's time, its revocation or its authority.
    pub(crate) fn is_in(&self, shown: Option<&ShownCertificate>) -> bool {
        shown.is_some_and(|shown| self.by.is_named_by(shown, self.authority.as_ref()))
    }
}

/// SHA-256 over the tenant and the `Authorization` header.
pub(crate) type Digest = [u8; 32];

pub(crate) fn digest(tenant: &TenantId, header: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(tenant.bytes());
    context.update(header);
    let mut out = [0; 32];
    out.iter_mut()
        .zip(context.finish().as_ref())
        .for_each(|(o, d)| *o = *d);
    out
}

/// Verdicts that are remembered.
#[derive(Debug)]
pub(crate) struct Verdicts {
    generation_max: usize,
    map: RwLock<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Digest, Verdict>,
    old: HashMap<Digest, Verdict>,
}

impl Verdicts {
    /// Remembers at most this many.
    pub(crate) fn new(max: u64) -> Self {
        let generation_max = usize::try_from(max / 2).unwrap_or(usize::MAX).max(1);
        Self {
            generation_max,
            map: RwLock::default(),
        }
    }

    /// What was found about these credentials, if it is still true at this time.
    pub(crate) fn get(&self, digest: &Digest, now: Micros) -> Option<Verdict> {
        let map = self.map.read();
        let young = map.young.get(digest);
        let found = young.or_else(|| map.old.get(digest))?;
        if found.until.is_some_and(|until| until <= now) {
            return None;
        }
        let (verdict, aged) = (found.clone(), young.is_none());
        drop(map);
        if aged {
            self.put(*digest, verdict.clone(), now);
        }
        Some(verdict)
    }

    /// Remembers a verdict.
    pub(crate) fn put(&self, digest: Digest, verdict: Verdict, now: Micros) {
        let mut map = self.map.write();
        if map.young.len() >= self.generation_max {
            map.young
                .retain(|_, v| v.until.is_none_or(|until| until > now));
            if map.young.len() * 2 >= self.generation_max {
                map.old = std::mem::take(&mut map.young);
            }
        }
        map.young.insert(digest, verdict);
    }
}

#[cfg(test)]
mod tests {
    use access::OperatorToken;

    use super::*;

    fn verdict(until: Option<i64>) -> Verdict {
        let principal = OperatorToken::new("t").authenticate("t").unwrap();
        Verdict {
            principal: Arc::new(principal),
            until: until.map(Micros),
            token: None,
            certificate: None,
            named: None,
            rights: Arc::default(),
        }
    }

    #[test]
    fn verdicts_end_and_are_bounded() {
        let verdicts = Verdicts::new(8);
        verdicts.put([0; 32], verdict(Some(10)), Micros(0));
        assert!(verdicts.get(&[0; 32], Micros(9)).is_some());
        assert!(verdicts.get(&[0; 32], Micros(10)).is_none());
        for i in 1..100 {
            verdicts.put([i; 32], verdict(None), Micros(20));
            assert!(
                verdicts.get(&[1; 32], Micros(20)).is_some(),
                "used ones stay"
            );
            let map = verdicts.map.read();
            assert!(map.young.len() + map.old.len() <= 8);
        }
        assert!(
            verdicts.get(&[2; 32], Micros(20)).is_none(),
            "unused ones go"
        );
    }
}
