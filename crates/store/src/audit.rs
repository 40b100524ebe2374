//! What a record of the journal says: who read what and was shown which rows, and how a tenant's
//! change chain ends.
//!
//! Knows the bytes only; keeping, encrypting and chaining them is the journal's.

mod about;

use access::{ActionName, Actor, RequestMeta};
use base::{Code, Micros, RequestId, ResourceId, Seq};
use fhir::definitions::TypeId;

pub(crate) use about::{About, Asked, write as write_about};

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
    pub(crate) asked: Asked<'a>,
    pub(crate) outcome: Outcome,
}

/// Rows that left with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown<'a> {
    /// Resources by their row numbers, as they were at this point of the change sequence.
    Resources(Seq, &'a [i64]),
    /// Versions by their row numbers.
    Versions(&'a [i64]),
}

/// No other record is longer.
const BYTES_MAX: usize = 64;
const ACTOR_BYTES_MAX: usize = 128;
const TEXT_BYTES_MAX: usize = 96;
const CODE_BYTES_MAX: usize = 48;
/// Rows that one record names.
pub(crate) const ROWS_MAX: usize = 5_000;

impl Record<'_> {
    /// ```text
    /// 4 · at (8) · request (16) · action (1) · outcome (1: given, 2: nothing, 3: refused) ·
    /// count (4) · type (2; ffff: none) · subject (1: id, 2: query digest, 3: word) ·
    /// length (1) and text of subject, of actor, and of the code · length and items of what else is
    /// known ·
    /// rows, where any were shown: 1 and the change they are as of, or 2 for versions; row numbers,
    /// each as its difference to the one before
    /// ```
    /// The change and the differences are numbers of seven bits a byte, the lowest first, the eighth
    /// bit set where more come; a difference is folded so that small ones are short (0, -1, 1, -2 …).
    /// The length of the items is such a number too. Older records begin with 1 and have no items.
    pub(crate) fn encode(&self, shown: Option<Shown<'_>>) -> Vec<u8> {
        let (outcome, count, code) = match self.outcome {
            Outcome::Given(n) => (GIVEN, n, ""),
            Outcome::Nothing => (NOTHING, 0, ""),
            Outcome::Refused(code) => (REFUSED, 0, code.as_str()),
        };
        let (subject, type_id, subject_text): (u8, _, &[u8]) = match self.subject {
            Subject::Instance(t, id) => (INSTANCE, Some(t), id.as_str().as_bytes()),
            Subject::Query(t, digest) => (QUERY, t, digest),
            Subject::Other(t, word) => (OTHER, t, word.as_bytes()),
        };
        let rows = shown.map_or(0, |s| s.rows().len());
        let query = self.asked.query.map_or(0, str::len);
        let mut out = Vec::with_capacity(256 + query.min(1_024) + rows * 3);
        out.push(ACCESS);
        out.extend_from_slice(&self.request.at.0.to_be_bytes());
        out.extend_from_slice(&self.request.id.0.to_be_bytes());
        out.extend_from_slice(&[self.action.number(), outcome]);
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&type_id.map_or(u16::MAX, |t| t.0).to_be_bytes());
        out.push(subject);
        text(&mut out, subject_text, TEXT_BYTES_MAX);
        text(&mut out, self.actor.as_str().as_bytes(), ACTOR_BYTES_MAX);
        text(&mut out, code.as_bytes(), CODE_BYTES_MAX);
        let mut items = Vec::with_capacity(64 + query.min(1_024));
        about::write(&mut items, &self.request, self.actor, self.asked);
        number(&mut out, items.len() as u64);
        out.extend_from_slice(&items);
        if let Some(shown) = shown.filter(|s| !s.rows().is_empty()) {
            shown.write(&mut out);
        }
        out
    }
}

/// How a record of an access begins, and how one without items did.
const ACCESS: u8 = 4;
const ACCESS_WITHOUT_ITEMS: u8 = 1;
const GIVEN: u8 = 1;
const NOTHING: u8 = 2;
const REFUSED: u8 = 3;
const INSTANCE: u8 = 1;
const QUERY: u8 = 2;
const OTHER: u8 = 3;

fn text(out: &mut Vec<u8>, text: &[u8], max: usize) {
    let text = text.get(..max).unwrap_or(text);
    out.push(u8::try_from(text.len()).unwrap_or(0));
    out.extend_from_slice(text);
}

impl<'a> Shown<'a> {
    const fn rows(&self) -> &'a [i64] {
        match self {
            Self::Resources(_, rows) | Self::Versions(rows) => rows,
        }
    }

    /// The same in pieces that fit into a record each.
    pub(crate) fn pieces(self) -> impl Iterator<Item = Self> {
        self.rows().chunks(ROWS_MAX).map(move |rows| match self {
            Self::Resources(seq, _) => Self::Resources(seq, rows),
            Self::Versions(_) => Self::Versions(rows),
        })
    }

    /// How many rows.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.rows().len()).unwrap_or(u32::MAX)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Resources(seq, _) => {
                out.push(1);
                number(out, seq.0);
            }
            Self::Versions(_) => out.push(2),
        }
        let mut last = 0i64;
        for row in self.rows() {
            let step = row.wrapping_sub(last);
            number(out, ((step << 1) ^ (step >> 63)).cast_unsigned());
            last = *row;
        }
    }
}

fn number(out: &mut Vec<u8>, mut n: u64) {
    while n > 0x7f {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// A record, read back.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) request: RequestMeta,
    pub(crate) action: Option<ActionName>,
    /// Given, nothing, refused.
    pub(crate) outcome: &'static str,
    pub(crate) count: u32,
    pub(crate) type_id: Option<TypeId>,
    /// The id of the resource, or a word.
    pub(crate) word: Option<String>,
    /// The digest of the query.
    pub(crate) query: Option<Vec<u8>>,
    pub(crate) actor: String,
    pub(crate) code: Option<String>,
    pub(crate) rows: Vec<i64>,
    /// As of which change the rows are resources; without one they are versions.
    pub(crate) as_of: Option<Seq>,
    pub(crate) about: About,
}

impl Told {
    /// Whether somebody was told something of patients: what was shown, or whether there is something of those
    /// whom they named.
    pub(crate) fn tells(&self) -> bool {
        match self.outcome {
            "given" => true,
            "nothing" => self.action == Some(ActionName::Search) && !self.about.patients.is_empty(),
            _ => false,
        }
    }

    /// `None` if the bytes are not a record of an access.
    pub(crate) fn read(record: &[u8]) -> Option<Self> {
        let (kind, mut rest) = record.split_first()?;
        if !matches!(*kind, ACCESS | ACCESS_WITHOUT_ITEMS) {
            return None;
        }
        let at = i64::from_be_bytes(take(&mut rest)?);
        let id = u128::from_be_bytes(take(&mut rest)?);
        let [action, outcome] = take(&mut rest)?;
        let count = u32::from_be_bytes(take(&mut rest)?);
        let type_id = u16::from_be_bytes(take(&mut rest)?);
        let [subject] = take(&mut rest)?;
        let [about, actor, code] = [
            take_text(&mut rest)?,
            take_text(&mut rest)?,
            take_text(&mut rest)?,
        ];
        let words = |bytes: &[u8]| {
            let words = String::from_utf8_lossy(bytes).into_owned();
            (!words.is_empty()).then_some(words)
        };
        let mut items = About::default();
        if *kind == ACCESS {
            let length = usize::try_from(take_number(&mut rest)?).ok()?;
            let (bytes, more) = rest.split_at_checked(length)?;
            items = About::read(bytes)?;
            rest = more;
        }
        let mut as_of = None;
        let mut rows = Vec::new();
        if let Some((kind, more)) = rest.split_first() {
            rest = more;
            if *kind == 1 {
                as_of = Some(Seq(take_number(&mut rest)?));
            }
            let mut last = 0i64;
            while !rest.is_empty() {
                let folded = take_number(&mut rest)?;
                let step = (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed();
                last = last.wrapping_add(step);
                rows.push(last);
            }
        }
        Some(Self {
            request: RequestMeta {
                from: items.from,
                why: items.given(),
                break_glass: items.break_glass,
                ..RequestMeta::new(RequestId(id), Micros(at))
            },
            action: ActionName::of_number(action),
            outcome: match outcome {
                GIVEN => "given",
                NOTHING => "nothing",
                _ => "refused",
            },
            count,
            type_id: (type_id != u16::MAX).then_some(TypeId(type_id)),
            word: words(about).filter(|_| subject != QUERY),
            query: (subject == QUERY).then(|| about.to_vec()),
            actor: String::from_utf8_lossy(actor).into_owned(),
            code: words(code),
            rows,
            as_of,
            about: items,
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, more) = rest.split_first_chunk::<N>()?;
    *rest = more;
    Some(*taken)
}

fn take_text<'r>(rest: &mut &'r [u8]) -> Option<&'r [u8]> {
    let (length, more) = rest.split_first()?;
    let (text, more) = more.split_at_checked(usize::from(*length))?;
    *rest = more;
    Some(text)
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, more) = rest.split_first()?;
        *rest = more;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
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
    fn records_are_read_back_with_the_rows_they_name() {
        let id = ResourceId::new("p1").unwrap();
        let actor = Actor::system(access::Reason::Operation);
        let record = |subject, outcome| Record {
            request: RequestMeta {
                from: Some("2001:db8::7".parse().unwrap()),
                why: access::Why::new("TREAT: sore throat"),
                break_glass: true,
                ..RequestMeta::new(RequestId(77), Micros(1_800_000_000_000_000))
            },
            actor: &actor,
            action: ActionName::Search,
            subject,
            asked: Asked {
                query: Some("Observation?patient=7"),
                version: None,
                times: Some(20),
                patient: Some(&id),
                patients: &[],
            },
            outcome,
        };
        let rows = [1_000_000, 999_999, 3, 0, i64::MAX, i64::MIN, 7];
        let given = record(Subject::Query(Some(TypeId(4)), &[9; 32]), Outcome::Given(7));
        let told = Told::read(&given.encode(Some(Shown::Resources(Seq(300), &rows)))).unwrap();
        assert_eq!(
            (told.rows.as_slice(), told.as_of),
            (&rows[..], Some(Seq(300)))
        );
        assert_eq!(told.action, Some(ActionName::Search));
        assert_eq!((told.outcome, told.count), ("given", 7));
        assert_eq!(
            (told.type_id, told.query),
            (Some(TypeId(4)), Some(vec![9; 32]))
        );
        assert_eq!(told.request.id, RequestId(77));
        assert_eq!(told.about.query.as_deref(), Some("Observation?patient=7"));
        assert_eq!(told.request.why.as_str(), "TREAT: sore throat");
        let about = (told.about.times, told.about.patients.first());
        assert_eq!(about, (Some(20), Some(&id)));
        assert_eq!(told.request.from, Some("2001:db8::7".parse().unwrap()));
        assert!(told.request.break_glass);
        let told = Told::read(&given.encode(Some(Shown::Versions(&rows)))).unwrap();
        assert_eq!((told.rows.as_slice(), told.as_of), (&rows[..], None));
        let refused = Outcome::Refused(Code::ScopeMissing);
        let bytes = record(Subject::Instance(TypeId(4), &id), refused).encode(None);
        let told = Told::read(&bytes).unwrap();
        assert_eq!(told.word.as_deref(), Some("p1"));
        assert_eq!(told.code.as_deref(), Some("scope-missing"));
        assert!(told.rows.is_empty() && told.query.is_none());
        for cut in 1..bytes.len() {
            assert!(Told::read(&bytes[..cut]).is_none(), "{cut}");
        }
        let near: Vec<i64> = (5_000_000..5_000_020).rev().collect();
        let bare = given.encode(None).len();
        let with = given.encode(Some(Shown::Resources(Seq(9), &near))).len();
        assert!(with - bare < 30, "neighbouring rows take a byte each");
        assert_eq!(Shown::Versions(&[0; 2 * ROWS_MAX + 1]).pieces().count(), 3);
    }

    #[test]
    fn actions_have_numbers_that_stay() {
        for (number, action) in ActionName::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(action.number()), number);
            assert_eq!(ActionName::of_number(action.number()), Some(action));
        }
    }

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
