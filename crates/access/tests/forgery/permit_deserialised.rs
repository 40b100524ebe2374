//! A permit never comes from the wire.
fn wants<T: serde::de::DeserializeOwned>() {}
fn main() {
    wants::<access::Permit<access::Read>>();
    wants::<access::TenantId>();
    wants::<access::Principal>();
}
