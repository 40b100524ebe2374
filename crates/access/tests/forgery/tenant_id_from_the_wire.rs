//! A tenant id cannot be made from bytes, a name or JSON; only `Directory::resolve` gives one.
fn main() {
    let _ = access::TenantId::new([0; 16]);
    let _: access::TenantId = "lakeside".parse().unwrap();
}
