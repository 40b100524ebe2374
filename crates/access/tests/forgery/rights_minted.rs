//! Rights cannot be made outside `access`, nor changed into somebody else's.
fn forge(rights: access::Rights) -> access::Rights {
    access::Rights {
        owner: None,
        ..rights
    }
}
fn main() {}
