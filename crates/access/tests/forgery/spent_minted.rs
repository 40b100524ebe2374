//! The evidence of a spent permit cannot be made up.
fn forge(spent: access::Spent<access::Read>) -> access::Spent<access::Read> {
    access::Spent { ..spent }
}
fn main() {}
