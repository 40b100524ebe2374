//! The operator's permit is spent once, too.
fn copy(permit: &access::HousePermit) -> access::HousePermit {
    permit.clone()
}
fn main() {}
