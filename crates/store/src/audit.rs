//! What a record of the journal says: who read what, and how a tenant's change chain ends.
//!
//! Knows the bytes only; keeping, encrypting and chaining them is the journal's.

use access::{ActionName, Actor, RequestMeta};
use base::{Code, ResourceId, Seq};
use fhir::definitions::TypeId;

/// How an access ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Content was given, so many resources.
    Given(u32),
    /// There was nothing to give.
    Nothing,
    /// It was refused.
    Refused(Code),
}

/// What was accessed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    /// A resource.
    Instance(TypeId, &'a ResourceId),
    /// Resources that a query found; the digest of the query.
    Query(Option<TypeId>, &'a [u8; 32]),
    /// A type, or the tenant itself, with a word on it.
    Other(Option<TypeId>, &'a str),
}

/// One access.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) request: RequestMeta,
    pub(crate) actor: &'a Actor,
    pub(crate) action: ActionName,
    pub(crate) subject: Subject<'a>,
    pub(crate) outcome: Outcome,
}

/// No record is longer.
const BYTES_MAX: usize = 320;
const ACTOR_BYTES_MAX: usize = 128;
const TEXT_BYTES_MAX: usize = 96;

impl Record<'_> {
    /// ```text
    /// 1 · at (8) · request (16) · action (1) · outcome (1: given, 2: nothing, 3: refused) ·
    /// count (4) · type (2; ffff: none) · subject (1: id, 2: query digest, 3: word) ·
    /// length (1) and text of subject, of actor, and of the code
    /// ```
    pub(crate) fn encode(&self) -> Bytes {
        let (outcome, count, code) = match self.outcome {
            Outcome::Given(n) => (1, n, ""),
            Outcome::Nothing => (2, 0, ""),
            Outcome::Refused(code) => (3, 0, code.as_str()),
        };
        let (subject, type_id, text): (u8, _, &[u8]) = match self.subject {
            Subject::Instance(t, id) => (1, Some(t), id.as_str().as_bytes()),
            Subject::Query(t, digest) => (2, t, digest),
            Subject::Other(t, word) => (3, t, word.as_bytes()),
        };
        let mut put = Bytes {
            out: [0; BYTES_MAX],
            at: 0,
        };
        put.bytes(&[1]);
        put.bytes(&self.request.at.0.to_be_bytes());
        put.bytes(&self.request.id.0.to_be_bytes());
        put.bytes(&[self.action as u8, outcome]);
        put.bytes(&count.to_be_bytes());
        put.bytes(&type_id.map_or(u16::MAX, |t| t.0).to_be_bytes());
        put.bytes(&[subject]);
        put.text(text, TEXT_BYTES_MAX);
        put.text(self.actor.as_str().as_bytes(), ACTOR_BYTES_MAX);
        put.text(code.as_bytes(), 48);
        put
    }
}

/// The bytes of a record.
pub(crate) struct Bytes {
    out: [u8; BYTES_MAX],
    at: usize,
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.out.get(..self.at).unwrap_or_default()
    }
}

impl Bytes {
    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(room) = self.out.get_mut(self.at..self.at + bytes.len()) {
            room.copy_from_slice(bytes);
            self.at += bytes.len();
        }
    }

    fn text(&mut self, text: &[u8], max: usize) {
        let text = text.get(..max).unwrap_or(text);
        self.bytes(&[u8::try_from(text.len()).unwrap_or(0)]);
        self.bytes(text);
    }
}

/// The end of a tenant's change chain, recorded after each commit so that a database that was cut
/// short shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChangeHead {
    pub(crate) seq: Seq,
    pub(crate) chain: [u8; 32],
}

impl ChangeHead {
    /// `2 · seq (8) · chain value (32)`
    pub(crate) fn encode(&self) -> Bytes {
        let mut put = Bytes {
            out: [0; BYTES_MAX],
            at: 0,
        };
        put.bytes(&[2]);
        put.bytes(&self.seq.0.to_be_bytes());
        put.bytes(&self.chain);
        put
    }

    /// The head, if the record is one.
    pub(crate) fn decode(record: &[u8]) -> Option<Self> {
        let (seq, chain) = record.strip_prefix(&[2])?.split_first_chunk::<8>()?;
        Some(Self {
            seq: Seq(u64::from_be_bytes(*seq)),
            chain: chain.try_into().ok()?,
        })
    }
}

/// The end of the operators' audit, recorded in the house's own chain of the journal so that lines
/// that were cut off its end show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OperatorsHead {
    /// The last line.
    pub(crate) line: i64,
    pub(crate) chain: [u8; 32],
}

impl OperatorsHead {
    /// `3 · line (8) · chain value (32)`
    pub(crate) fn encode(&self) -> Bytes {
        let mut put = Bytes {
            out: [0; BYTES_MAX],
            at: 0,
        };
        put.bytes(&[3]);
        put.bytes(&self.line.to_be_bytes());
        put.bytes(&self.chain);
        put
    }

    /// The head, if the record is one.
    pub(crate) fn decode(record: &[u8]) -> Option<Self> {
        let (line, chain) = record.strip_prefix(&[3])?.split_first_chunk::<8>()?;
        Some(Self {
            line: i64::from_be_bytes(*line),
            chain: chain.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_round_trip_and_are_no_records() {
        let head = ChangeHead {
            seq: Seq(7),
            chain: [9; 32],
        };
        assert_eq!(ChangeHead::decode(&head.encode()), Some(head));
        assert_eq!(ChangeHead::decode(&[1; 41]), None);
        assert_eq!(ChangeHead::decode(&head.encode()[..40]), None);
    }
}
