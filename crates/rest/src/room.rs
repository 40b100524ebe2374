//! Room to put answers together in, used again and again: a fresh piece of memory for each would
//! have to come into the processor's cache first. Knows nothing of what is put together.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;

/// Room of more bytes than this is not kept.
const KEPT_BYTES_MAX: usize = 128 << 10;
/// Pieces of room that a thread keeps.
const KEPT_MAX: usize = 4;

thread_local! {
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that go back to their thread's room when nobody needs them any more.
#[derive(Debug)]
pub(crate) struct Room(Vec<u8>);

impl Room {
    /// Empty room for so many bytes at least.
    pub(crate) fn of(bytes: usize) -> Self {
        let kept = KEPT
            .try_with(|kept| kept.try_borrow_mut().ok()?.pop())
            .ok()
            .flatten();
        let mut room = kept.unwrap_or_default();
        room.reserve(bytes);
        Self(room)
    }

    /// What was put together.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Room {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Deref for Room {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Room {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut room = std::mem::take(&mut self.0);
        if !(1..=KEPT_BYTES_MAX).contains(&room.capacity()) {
            return;
        }
        room.clear();
        let _ = KEPT.try_with(|kept| {
            if let Ok(mut kept) = kept.try_borrow_mut()
                && kept.len() < KEPT_MAX
            {
                kept.push(room);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> usize {
        KEPT.with_borrow(Vec::len)
    }

    #[test]
    fn room_comes_back_empty_and_is_bounded() {
        let mut room = Room::of(100);
        room.extend_from_slice(b"one patient's");
        let bytes = room.into_bytes();
        let other = bytes.slice(4..);
        drop(bytes);
        assert_eq!((kept(), &other[..]), (0, &b"patient's"[..]), "still in use");
        drop(other);
        assert_eq!(kept(), 1);
        let again = Room::of(10);
        assert!(again.is_empty() && again.capacity() >= 100);
        let many: Vec<Room> = (0..2 * KEPT_MAX).map(|_| Room::of(10)).collect();
        drop(many);
        assert_eq!(kept(), KEPT_MAX);
        let _ = KEPT.take();
        drop(Room::of(KEPT_BYTES_MAX + 1));
        assert_eq!(kept(), 0);
    }
}
