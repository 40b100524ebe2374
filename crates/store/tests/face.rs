//! The store at its public face.

#[cfg(test)]
mod face {
    mod commits;
    mod tenants;
    mod world;
}
