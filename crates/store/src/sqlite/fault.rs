//! Turns failures of the engine and of files into the store's errors, without any content.

use base::Code;
use rusqlite::ErrorCode;

use crate::error::is_full;
use crate::{Result, StoreError};

/// Says what was being done when something failed.
pub(crate) trait Doing<T> {
    /// Names the work; `what` is "opening the tenant", "writing", …
    fn doing(self, what: &str) -> Result<T>;
}

impl<T> Doing<T> for rusqlite::Result<T> {
    fn doing(self, what: &str) -> Result<T> {
        self.map_err(|e| of_sql(what, &e))
    }
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, what: &str) -> Result<T> {
        self.map_err(|e| of_file(what, &e))
    }
}

const FULL: &str = "the disk is full";

/// The store's error for one of a file.
pub(crate) fn of_file(what: &str, error: &std::io::Error) -> StoreError {
    match is_full(error) {
        true => StoreError::Refused(Code::StorageFull, format!("{what}: {FULL}")),
        false => StoreError::Refused(Code::StorageFault, format!("{what}: {}", error.kind())),
    }
}

/// The engine found no room for what connections to a database share.
const NO_ROOM_BESIDE: i32 = rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

/// The store's error for an engine's error. SQL text and values are left out.
pub(crate) fn of_sql(what: &str, error: &rusqlite::Error) -> StoreError {
    let (code, detail) = match error {
        rusqlite::Error::SqliteFailure(e, _) => match e.code {
            ErrorCode::DiskFull => (Code::StorageFull, FULL.to_owned()),
            _ if e.extended_code == NO_ROOM_BESIDE => (Code::StorageFull, FULL.to_owned()),
            ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => (
                Code::TenantDamaged,
                "the file is damaged, or another tenant's: its key does not open it".to_owned(),
            ),
            ErrorCode::OperationInterrupted => {
                (Code::LimitTime, "it took longer than allowed".to_owned())
            }
            _ => (
                Code::StorageFault,
                format!("engine error {}", e.extended_code),
            ),
        },
        rusqlite::Error::SqlInputError { error, .. } => (
            Code::StorageFault,
            format!("engine error {}", error.extended_code),
        ),
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..) => (
            Code::TenantDamaged,
            "a stored value has another type".to_owned(),
        ),
        rusqlite::Error::QueryReturnedNoRows => {
            (Code::TenantDamaged, "a row is missing".to_owned())
        }
        _ => (Code::StorageFault, "engine error".to_owned()),
    };
    StoreError::Refused(code, format!("{what}: {detail}"))
}

/// A failure that only a fault of ours explains.
pub(crate) fn internal(what: &str) -> StoreError {
    StoreError::Refused(Code::Internal, what.to_owned())
}

/// A tenant whose stored data contradict themselves.
pub(crate) fn damaged(what: &str) -> StoreError {
    StoreError::Refused(Code::TenantDamaged, what.to_owned())
}

/// A row that is not as it was written.
pub(crate) fn broken(what: &str) -> StoreError {
    let text = format!("{what}; the resource is kept apart until somebody of the tenant decides");
    StoreError::Refused(Code::ResourceQuarantined, text)
}
