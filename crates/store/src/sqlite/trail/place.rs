//! Names of events of the trail, and where a page of them ended.

use base::{Micros, ResourceId, Seq};
use fhir::definitions::{Model, TypeId};

use crate::sqlite::fault::internal;
use crate::{Position, Result, StoreError};

/// Which event of the trail: an access, by its record in the journal, or a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventId {
    /// A record of the tenant's chain in the journal.
    Access(u64),
    /// A change.
    Change(Seq),
}

/// How ids of events begin. No resource that somebody writes has such an id.
const PREFIX: &str = "trail-";

impl EventId {
    /// The event that an id names, if it is of their form.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        let number = |text: &str| {
            let plain = !text.starts_with(['0', '+']);
            text.parse().ok().filter(|_| plain)
        };
        let rest = id.strip_prefix(PREFIX)?;
        let access = rest.strip_prefix("r-").and_then(number);
        let change = rest.strip_prefix("w-").and_then(number);
        access
            .map(Self::Access)
            .or(change.map(|seq| Self::Change(Seq(seq))))
    }

    /// It as the id of an AuditEvent.
    pub(crate) fn to_id(self) -> Result<ResourceId> {
        ResourceId::new(&self.to_string()).map_err(|_| internal("the id of an event is none"))
    }

    /// Whether a resource's name is of those that events have.
    pub(crate) fn is_of(model: &Model, type_id: TypeId, id: &str) -> bool {
        id.starts_with(PREFIX) && model.type_name(type_id) == "AuditEvent"
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Access(number) => write!(f, "{PREFIX}r-{number}"),
            Self::Change(seq) => write!(f, "{PREFIX}w-{}", seq.0),
        }
    }
}

/// How far a page got in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtRecord {
    /// Nowhere yet.
    Start,
    /// To the beginning of a segment: all before it was looked through.
    Segment(u64),
    /// Past a record of a segment.
    Past(u64, (Micros, u64)),
    /// To the end.
    End,
}

/// How far it got in the changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtChange {
    /// Nowhere yet.
    Start,
    /// Past a change.
    Past(Seq),
    /// To the end.
    End,
}

/// How far it got in the AuditEvents that clients sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AtStored {
    /// Nowhere yet.
    Start,
    /// Past a place of a search of them.
    Past(Vec<u8>),
    /// To the end.
    End,
}

/// Where a page ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The last record that pages of this search show.
    pub(super) last: u64,
    pub(super) record: AtRecord,
    pub(super) change: AtChange,
    pub(super) stored: AtStored,
}

const FORM: u8 = 1;

impl Place {
    /// Before the first event; records up to `last` are shown.
    pub(super) const fn start(last: u64) -> Self {
        Self {
            last,
            record: AtRecord::Start,
            change: AtChange::Start,
            stored: AtStored::Start,
        }
    }

    pub(super) fn to_position(&self) -> Position {
        let mut out = vec![FORM];
        out.extend_from_slice(&self.last.to_be_bytes());
        let (kind, numbers): (u8, &[u64]) = match &self.record {
            AtRecord::Start => (0, &[]),
            AtRecord::Segment(segment) => (1, &[*segment]),
            AtRecord::Past(segment, (at, number)) => {
                (2, &[*segment, at.0.cast_unsigned(), *number])
            }
            AtRecord::End => (3, &[]),
        };
        out.push(kind);
        numbers
            .iter()
            .for_each(|n| out.extend_from_slice(&n.to_be_bytes()));
        match self.change {
            AtChange::Start => out.push(0),
            AtChange::Past(seq) => {
                out.push(1);
                out.extend_from_slice(&seq.0.to_be_bytes());
            }
            AtChange::End => out.push(2),
        }
        match &self.stored {
            AtStored::Start => out.push(0),
            AtStored::Past(bytes) => {
                out.push(1);
                out.extend_from_slice(bytes);
            }
            AtStored::End => out.push(2),
        }
        Position(out)
    }

    /// # Errors
    /// `cursor-invalid`
    pub(super) fn of_position(position: &Position) -> Result<Self> {
        Self::read(&position.0).ok_or_else(|| {
            let text = "the paging link is not one of this search".to_owned();
            StoreError::Refused(base::Code::CursorInvalid, text)
        })
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&[FORM])?;
        let last = number(&mut rest)?;
        let record = match byte(&mut rest)? {
            0 => AtRecord::Start,
            1 => AtRecord::Segment(number(&mut rest)?),
            2 => {
                let segment = number(&mut rest)?;
                let at = Micros(number(&mut rest)?.cast_signed());
                AtRecord::Past(segment, (at, number(&mut rest)?))
            }
            3 => AtRecord::End,
            _ => return None,
        };
        let change = match byte(&mut rest)? {
            0 => AtChange::Start,
            1 => AtChange::Past(Seq(number(&mut rest)?)),
            2 => AtChange::End,
            _ => return None,
        };
        let stored = match byte(&mut rest)? {
            0 => AtStored::Start,
            1 => AtStored::Past(rest.to_vec()),
            2 => AtStored::End,
            _ => return None,
        };
        Some(Self {
            last,
            record,
            change,
            stored,
        })
    }
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, more) = rest.split_first()?;
    *rest = more;
    Some(*first)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (bytes, more) = rest.split_first_chunk::<8>()?;
    *rest = more;
    Some(u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_events_are_read_back_and_others_are_not() {
        for event in [EventId::Access(1), EventId::Change(Seq(77))] {
            assert_eq!(EventId::parse(&event.to_string()), Some(event));
        }
        for other in [
            "trail-r-",
            "trail-r-01",
            "trail-x-1",
            "trail-r-1x",
            "r-1",
            "trail-w-+1",
        ] {
            assert_eq!(EventId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn places_are_read_back() {
        for record in [
            AtRecord::Start,
            AtRecord::Segment(7),
            AtRecord::Past(7, (Micros(-3), 9)),
            AtRecord::End,
        ] {
            for change in [AtChange::Start, AtChange::Past(Seq(5)), AtChange::End] {
                for stored in [AtStored::Start, AtStored::Past(vec![1, 2]), AtStored::End] {
                    let place = Place {
                        last: 12,
                        record,
                        change,
                        stored,
                    };
                    let bytes = place.to_position();
                    assert_eq!(Place::of_position(&bytes).ok(), Some(place));
                }
            }
        }
        assert!(Place::of_position(&Position(vec![9])).is_err());
    }
}
