//! Twilio Verify's API, so that programs which use Twilio's SDKs work with this service by another base URL.
//!
//! Twilio's names, statuses and errors are translated to and from the engine's. Creations, checks, limits and guards are
//! those of `/v1`; nothing here decides. With Twilio a number has one verification at a time: a repeated creation sends
//! again, and a check may name the number alone. Its verifications have a purpose of their own, so that a code which is
//! entered here never verifies a session of `/v1`.
//!
//! Facts about Twilio are from its public reference, <https://www.twilio.com/docs/verify/api>, and from its SDKs for
//! Python 9.13 and Node 6.3. `docs/twilio.md` lists what differs.

mod account;
mod checks;
mod document;
mod error;
mod form;
mod named;
mod sid;
mod verifications;
mod view;

pub use checks::check;
pub use document::{document, serve_document};
pub use error::in_twilios_words;
pub use verifications::{create, fetch, update};

/// The `purpose` of verifications that are created here.
const PURPOSE: &str = "twilio";
