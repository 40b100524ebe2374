//! The walls between tenants, and between a client and what it has no right to.

mod interference;
mod neighbours;
mod routes;
mod scopes;
mod silence;
