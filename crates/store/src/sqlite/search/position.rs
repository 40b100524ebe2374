//! Where a page ended, as bytes: a version, the total if it is known, the keys, the `rid`.
//!
//! The caller encrypts them: keys are patient data.

use base::Code;

use crate::plan::Place;
use crate::plan::text::Bind;
use crate::{Position, Result, StoreError};

const VERSION: u8 = 1;

/// The refusal of bytes that are no position.
pub(super) fn invalid() -> StoreError {
    StoreError::Refused(
        Code::CursorInvalid,
        "the paging link does not fit this search".to_owned(),
    )
}

/// A place and the total as bytes.
pub(super) fn write(place: &Place, total: Option<u64>) -> Position {
    let mut out = vec![VERSION];
    // 0 is "not known".
    let total = total.map_or(0, |t| t.saturating_add(1));
    out.extend(total.to_be_bytes());
    out.extend(place.rid.to_be_bytes());
    for key in &place.keys {
        match key {
            None => out.push(0),
            Some(Bind::Int(i)) => {
                out.push(1);
                out.extend(i.to_be_bytes());
            }
            Some(Bind::Real(bits)) => {
                out.push(2);
                out.extend(bits.to_be_bytes());
            }
            Some(Bind::Text(t)) => {
                out.push(3);
                out.extend(u32::try_from(t.len()).unwrap_or(u32::MAX).to_be_bytes());
                out.extend(t.as_bytes());
            }
            Some(Bind::Uuid(u)) => {
                out.push(4);
                out.extend(u);
            }
        }
    }
    Position(out)
}

/// The place and the total of a position.
pub(super) fn read(position: &Position) -> Result<(Place, Option<u64>)> {
    parse(&position.0).ok_or_else(invalid)
}

fn parse(bytes: &[u8]) -> Option<(Place, Option<u64>)> {
    let mut rest = bytes;
    let [version] = take::<1>(&mut rest)?;
    if version != VERSION {
        return None;
    }
    let total = u64::from_be_bytes(take(&mut rest)?).checked_sub(1);
    let rid = i64::from_be_bytes(take(&mut rest)?);
    let mut keys = Vec::new();
    while !rest.is_empty() {
        let [tag] = take::<1>(&mut rest)?;
        keys.push(match tag {
            0 => None,
            1 => Some(Bind::Int(i64::from_be_bytes(take(&mut rest)?))),
            2 => Some(Bind::Real(u64::from_be_bytes(take(&mut rest)?))),
            3 => {
                let len = usize::try_from(u32::from_be_bytes(take(&mut rest)?)).ok()?;
                let (text, after) = rest.split_at_checked(len)?;
                rest = after;
                Some(Bind::text(std::str::from_utf8(text).ok()?))
            }
            4 => Some(Bind::Uuid(take(&mut rest)?)),
            _ => return None,
        });
    }
    Some((Place { keys, rid }, total))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*head)
}
