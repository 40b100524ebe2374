//! A permit to read is no permit to delete.
fn needs(_: access::Permit<access::Delete>) {}
fn cheat(permit: access::Permit<access::Read>) {
    needs(permit);
}
fn main() {}
