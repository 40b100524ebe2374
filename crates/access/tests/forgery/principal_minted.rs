//! Nobody becomes a principal without credentials.
fn main() {
    let _ = access::Principal::operator();
    let _ = access::Principal(());
}
