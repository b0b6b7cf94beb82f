//! [`Records`]: commits, sessions, lists, due times, erasures.
//!
//! [`Records`]: phlo_2fa::store::Records

mod commits;
mod due;
mod erasures;
mod lists;
mod sessions;

pub(crate) use commits::*;
pub(crate) use due::*;
pub(crate) use erasures::*;
pub(crate) use lists::*;
pub(crate) use sessions::*;
