//! The store at its public face.

#[cfg(test)]
mod face {
    mod commits;
    mod limits;
    mod migration;
    mod raw;
    mod searches;
    mod tampering;
    mod tenants;
    mod world;
}
