//! A permit cannot be copied.
fn copy(permit: &access::Permit<access::Read>) -> access::Permit<access::Read> {
    permit.clone()
}
fn main() {}
