//! Content is released only by a spent permit.
fn main() {
    let _ = access::Released("a patient");
    let _ = access::Released::new("a patient");
}
