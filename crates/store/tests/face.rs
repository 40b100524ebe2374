//! The store at its public face.

#[cfg(test)]
mod face {
    mod commits;
    mod raw;
    mod tampering;
    mod tenants;
    mod world;
}
