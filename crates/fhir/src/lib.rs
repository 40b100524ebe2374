//! The FHIR language, without I/O, tenants or SQL.

pub mod audit_event;
pub mod bundle;
pub mod definitions;
pub mod json;
pub mod outcome;
pub mod patch;
pub mod path;
pub mod reference;
pub mod resource;
pub mod search;
pub mod ucum;
pub mod validate;
pub mod xml;
