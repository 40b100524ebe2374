//! The whole of the HTTP face over a real store, in process: requests in, answers out.

mod admin;
mod auth;
mod binary;
mod bundles;
mod compartments;
mod conditional;
mod fhirpath;
mod find;
mod formats;
mod graphql;
mod history;
mod oauth;
mod operations;
mod patch;
mod people;
mod policy;
mod provenance;
mod quarantine;
mod resources;
mod search;
mod sign_in_limits;
mod surface;
mod vendors;
mod world;
