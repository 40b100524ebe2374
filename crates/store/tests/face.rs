//! The store at its public face.

#![expect(
    unreachable_pub,
    reason = "the modules of one test binary share their world"
)]

#[cfg(test)]
mod face {
    mod accounts;
    mod blobs;
    mod clients;
    mod commits;
    mod cuts;
    mod heads;
    mod limits;
    mod migration;
    mod openings;
    mod parameters;
    mod providers;
    mod quarantine;
    mod raw;
    mod searches;
    mod sessions;
    mod shipping;
    mod tampering;
    mod tenants;
    mod trail;
    mod trail_index;
    mod world;
}
