//! A permit cannot be made outside `access`.
fn forge(permit: access::Permit<access::Read>) -> access::Permit<access::Read> {
    access::Permit { ..permit }
}
fn forge_more() {
    let _ = access::Permit::<access::Read>::mint(());
}
fn main() {}
