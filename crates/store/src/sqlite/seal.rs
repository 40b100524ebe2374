//! What a version row is sealed with, and how changes are chained.
//!
//! A seal is the HMAC-SHA256, under the tenant's seal key, of everything that the row says and of
//! the SHA-256 of the *uncompressed* body. A change's chain value is the HMAC of the chain value
//! before it, of what the change says, and of the seals of its versions in order; some changes also
//! say where the tenant's chain in the journal stood.

use base::{Micros, RequestId, ResourceId, Seq, Version};
use fhir::definitions::TypeId;
use ring::{digest, hmac};

use crate::Method;
use crate::journal::Head;

/// What a seal covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed<'a> {
    pub(crate) tenant: &'a [u8; 16],
    pub(crate) type_id: TypeId,
    pub(crate) id: &'a ResourceId,
    pub(crate) version: Version,
    pub(crate) method: Method,
    pub(crate) updated: Micros,
    pub(crate) actor: &'a str,
    pub(crate) seq: Seq,
    pub(crate) digest: &'a [u8; 32],
}

impl Sealed<'_> {
    fn context(&self, key: &hmac::Key) -> hmac::Context {
        let mut mac = hmac::Context::with_key(key);
        let mut head = [0u8; 1 + 16 + 2 + 8 + 1 + 8 + 8 + 1];
        let parts: [&[u8]; 8] = [
            &[1],
            self.tenant,
            &self.type_id.0.to_be_bytes(),
            &self.version.0.to_be_bytes(),
            &[method_number(self.method)],
            &self.updated.0.to_be_bytes(),
            &self.seq.0.to_be_bytes(),
            &[u8::try_from(self.id.as_str().len()).unwrap_or(u8::MAX)],
        ];
        head.iter_mut()
            .zip(parts.into_iter().flatten())
            .for_each(|(o, b)| *o = *b);
        mac.update(&head);
        mac.update(self.id.as_str().as_bytes());
        mac.update(self.digest);
        mac.update(self.actor.as_bytes());
        mac
    }

    /// The seal.
    pub(crate) fn seal(&self, key: &hmac::Key) -> [u8; 32] {
        bytes(&self.context(key).sign())
    }

    /// Whether this is the seal; in constant time.
    pub(crate) fn holds(&self, key: &hmac::Key, seal: &[u8]) -> bool {
        let ours = self.seal(key);
        // No early way out: how long it takes says nothing about where they differ.
        seal.len() == ours.len() && ours.iter().zip(seal).fold(0, |all, (a, b)| all | (a ^ b)) == 0
    }
}

/// The number that stands for a method in rows and seals.
pub(crate) const fn method_number(method: Method) -> u8 {
    match method {
        Method::Post => 1,
        Method::Put => 2,
        Method::Patch => 3,
        Method::Delete => 4,
    }
}

/// The method that a number stands for.
pub(crate) const fn method_of(number: i64) -> Option<Method> {
    match number {
        1 => Some(Method::Post),
        2 => Some(Method::Put),
        3 => Some(Method::Patch),
        4 => Some(Method::Delete),
        _ => None,
    }
}

/// What a change's chain value covers besides the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChangeLine<'a> {
    pub(crate) tenant: &'a [u8; 16],
    pub(crate) seq: Seq,
    pub(crate) updated: Micros,
    pub(crate) request: RequestId,
    pub(crate) actor: &'a str,
    /// Versions made.
    pub(crate) members: u64,
    /// SHA-256 over their seals; without versions, over what is administered then.
    pub(crate) digest: &'a [u8; 32],
    /// Where the tenant's chain in the journal stood, as far as the disk has it.
    pub(crate) journal: Option<[u8; Head::BYTES]>,
    /// From where it came, why, at which facilities: items of [`crate::audit::About`].
    pub(crate) about: Option<&'a [u8]>,
}

impl ChangeLine<'_> {
    /// The chain value that follows `last`.
    pub(crate) fn chain(&self, key: &hmac::Key, last: &[u8; 32]) -> [u8; 32] {
        let mut mac = hmac::Context::with_key(key);
        let kind = match (&self.journal, self.about) {
            (None, None) => 2,
            (Some(_), None) => 3,
            (None, Some(_)) => 4,
            (Some(_), Some(_)) => 5,
        };
        mac.update(&[kind]);
        if let Some(place) = &self.journal {
            mac.update(place);
        }
        if let Some(about) = self.about {
            mac.update(&(about.len() as u64).to_be_bytes());
            mac.update(about);
        }
        mac.update(last);
        mac.update(self.tenant);
        mac.update(&self.seq.0.to_be_bytes());
        mac.update(&self.updated.0.to_be_bytes());
        mac.update(&self.request.0.to_be_bytes());
        mac.update(&self.members.to_be_bytes());
        mac.update(self.digest);
        mac.update(self.actor.as_bytes());
        bytes(&mac.sign())
    }
}

fn bytes(tag: &hmac::Tag) -> [u8; 32] {
    let mut out = [0; 32];
    out.iter_mut().zip(tag.as_ref()).for_each(|(o, t)| *o = *t);
    out
}

/// SHA-256.
pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    let mut d = Digest::default();
    d.add(data);
    d.value()
}

/// SHA-256 of several pieces.
#[derive(Clone)]
pub(crate) struct Digest(digest::Context);

impl Default for Digest {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Digest {
    pub(crate) fn add(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    pub(crate) fn value(self) -> [u8; 32] {
        let mut out = [0; 32];
        out.iter_mut()
            .zip(self.0.finish().as_ref())
            .for_each(|(o, d)| *o = *d);
        out
    }
}
