//! The whole of the HTTP face over a real store, in process: requests in, answers out.

mod admin;
mod auth;
mod binary;
mod bundles;
mod compartments;
mod conditional;
mod find;
mod formats;
mod history;
mod resources;
mod search;
mod surface;
mod world;
