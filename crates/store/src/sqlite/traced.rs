//! Which statements run on the databases of a folder: whoever asks for what they do not see, and for what
//! is not there, has the same ones run.
#![expect(
    unsafe_code,
    reason = "the engine tells of statements by its C interface"
)]

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use rusqlite::{Connection, ffi};

mod tests;

type Ran = Mutex<Vec<String>>;

static FILES: LazyLock<Mutex<HashMap<PathBuf, &'static Ran>>> = LazyLock::new(Mutex::default);

/// The statements of a file; kept as long as the tests run.
fn of(path: &Path) -> &'static Ran {
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    files
        .entry(path.to_owned())
        .or_insert_with(|| Box::leak(Box::default()))
}

/// Takes note of every statement that begins on a connection.
pub(super) fn watch(db: &Connection, path: &Path) {
    let ran: *const Ran = of(path);
    // SAFETY: the connection is open; what is given to it is never freed, and shared between threads by a
    // lock. The connection goes before the process does.
    unsafe {
        let mask = ffi::SQLITE_TRACE_STMT;
        ffi::sqlite3_trace_v2(db.handle(), mask, Some(begun), ran.cast_mut().cast());
    }
}

unsafe extern "C" fn begun(
    _: c_uint,
    ran: *mut c_void,
    _: *mut c_void,
    text: *mut c_void,
) -> c_int {
    // SAFETY: `ran` is what `watch` gave; `text` is a C string for as long as this call lasts.
    let (ran, text) = unsafe { (&*ran.cast::<Ran>(), CStr::from_ptr(text.cast::<c_char>())) };
    let mut ran = ran.lock().unwrap_or_else(PoisonError::into_inner);
    ran.push(text.to_string_lossy().into_owned());
    0
}

/// What ran since the last time.
fn take(path: &Path) -> Vec<String> {
    std::mem::take(&mut *of(path).lock().unwrap_or_else(PoisonError::into_inner))
}
