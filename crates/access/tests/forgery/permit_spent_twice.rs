//! A permit is spent once.
fn twice(permit: access::Permit<access::Read>, tenant: &access::TenantId) {
    let _ = permit.spend(tenant);
    let _ = permit.spend(tenant);
}
fn main() {}
