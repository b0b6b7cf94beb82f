//! Plivo's HTTP, in both directions.

pub mod outcome;
pub mod signature;
