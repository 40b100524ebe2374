//! The data folder as someone with `insula.key` and no Insula sees it.

use std::path::PathBuf;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rusqlite::Connection;

use super::world::{Tenant, World};

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

pub fn key_file(tenant: &Tenant<'_>) -> PathBuf {
    tenant
        .world
        .data()
        .join("keys")
        .join(tenant.store.id().hex())
}

pub fn database(tenant: &Tenant<'_>) -> PathBuf {
    tenant
        .world
        .data()
        .join("tenants")
        .join(tenant.store.id().hex())
        .join("data.db")
}

/// The tenant's key, from `insula.key` and `keys/{id}`.
pub fn tenant_key(tenant: &Tenant<'_>) -> Vec<u8> {
    let wrapped = std::fs::read(key_file(tenant)).unwrap();
    let keys = std::fs::read_to_string(tenant.world.data().join("insula.key")).unwrap();
    let kek = keys
        .lines()
        .map(|l| l.split(' ').collect::<Vec<_>>())
        .find(|w| w[0] == "key" && unhex(w[1]) == wrapped[5..13])
        .unwrap();
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &unhex(kek[2])).unwrap());
    let mut data = b"insula wrapped key 1\0".to_vec();
    data.extend_from_slice(tenant.store.id().bytes());
    let mut sealed = wrapped[25..].to_vec();
    let nonce = Nonce::try_assume_unique_for_key(&wrapped[13..25]).unwrap();
    cipher
        .open_in_place(nonce, Aad::from(data), &mut sealed)
        .unwrap()
        .to_vec()
}

/// A connection past Insula.
pub fn open(tenant: &Tenant<'_>) -> Connection {
    let key: String = tenant_key(tenant)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let db = Connection::open(database(tenant)).unwrap();
    db.execute_batch(&format!(
        "PRAGMA key = \"x'{key}'\"; PRAGMA cipher_page_size = 4096;
         PRAGMA cipher_hmac_algorithm = HMAC_SHA256;"
    ))
    .unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap_or(());
    db
}

/// The control database.
pub fn control(world: &World) -> Connection {
    Connection::open(world.data().join("control.db")).unwrap()
}
