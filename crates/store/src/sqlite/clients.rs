//! API clients in the tenant's database.

use std::collections::HashMap;
use std::sync::Arc;

use access::{ClientId, ClientRecord, NewClient, Scopes};
use base::Code;
use fhir::definitions::Model;
use rusqlite::{Connection, params};

use super::fault::{Doing, damaged};
use super::tenant::OpenTenant;
use super::writer::WriterState;
use crate::{Result, StoreError};

/// All clients of a tenant.
pub(crate) fn load(db: &Connection, model: &Model) -> Result<HashMap<ClientId, ClientRecord>> {
    const DOING: &str = "reading API clients";
    let mut read = db
        .prepare("SELECT id, name, scopes, secret_hash, jwks, epoch, revoked FROM client")
        .doing(DOING)?;
    let mut rows = read.query([]).doing(DOING)?;
    let mut clients = HashMap::new();
    while let Some(row) = rows.next().doing(DOING)? {
        let id: String = row.get(0).doing(DOING)?;
        let id = ClientId::new(&id).ok_or_else(|| damaged("a stored client id"))?;
        let scopes: String = row.get(2).doing(DOING)?;
        let scopes = Scopes::parse(&scopes, model).map_err(|_| damaged("a stored scope"))?;
        let epoch: i64 = row.get(5).doing(DOING)?;
        let record = ClientRecord {
            id: id.clone(),
            name: row.get(1).doing(DOING)?,
            scopes: Arc::new(scopes),
            secret_hash: row.get(3).doing(DOING)?,
            jwks: row.get(4).doing(DOING)?,
            epoch: u64::try_from(epoch).unwrap_or(0),
            revoked: row.get(6).doing(DOING)?,
        };
        clients.insert(id, record);
    }
    Ok(clients)
}

/// Adds a client.
pub(crate) fn create(
    tenant: &OpenTenant,
    state: &WriterState,
    new: NewClient,
    secret: &str,
) -> Result<ClientRecord> {
    if tenant.clients().read().contains_key(&new.id) {
        let text = "an API client has this id".to_owned();
        return Err(StoreError::Refused(Code::DuplicateId, text));
    }
    let record = ClientRecord {
        id: new.id,
        name: new.name,
        scopes: Arc::new(new.scopes),
        secret_hash: tenant.secret_key().hash(secret),
        jwks: new.jwks,
        epoch: 1,
        revoked: false,
    };
    state
        .db
        .execute(
            "INSERT INTO client (id, name, scopes, secret_hash, jwks, epoch, revoked)
             VALUES (?1,?2,?3,?4,?5,1,0)",
            params![
                record.id.as_str(),
                record.name,
                record.scopes.as_str(),
                record.secret_hash,
                record.jwks
            ],
        )
        .doing("writing an API client")?;
    Ok(record)
}

/// Revokes a client; its epoch grows, so that its tokens end too.
pub(crate) fn revoke(
    tenant: &OpenTenant,
    state: &WriterState,
    id: &ClientId,
) -> Result<ClientRecord> {
    let known = tenant.clients().read().get(id).cloned();
    let mut record = known
        .ok_or_else(|| StoreError::Refused(Code::ClientUnknown, "no such API client".to_owned()))?;
    if record.revoked {
        return Ok(record);
    }
    record.epoch += 1;
    record.revoked = true;
    state
        .db
        .execute(
            "UPDATE client SET epoch = ?2, revoked = 1 WHERE id = ?1",
            params![id.as_str(), i64::try_from(record.epoch).unwrap_or(i64::MAX)],
        )
        .doing("revoking an API client")?;
    Ok(record)
}
