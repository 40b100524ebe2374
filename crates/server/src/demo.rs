//! The throw-away house of `insula demo`: sample clinics with synthetic people.

pub mod population;
