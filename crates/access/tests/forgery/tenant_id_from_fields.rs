//! The inside of a tenant id cannot be reached.
fn main() {
    let _ = access::TenantId(std::sync::Arc::new(()));
}
