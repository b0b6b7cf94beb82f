//! Sessions: the creations that share what is sent for one number and purpose.
//!
//! A code proves the session in which it is typed. So each session has an id, guesses and an end of its own, while code,
//! attempts and the planned call belong to all of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::id::VerificationId;
use super::words::Ending;
use crate::time::Timestamp;

/// How many sessions share one sending at most: each is part of the record, which every change rewrites.
pub const SESSIONS_MAX: usize = 16;

/// One creation, as far as it does not share with the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// How it joined; `None` for the first, which opened the verification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<Joined>,
    /// Wrong codes so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub checks_used: u8,
    /// The customer's own data, returned as it came.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The person is typing until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typing_until: Option<Timestamp>,
    /// The person has the text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_text: bool,
    /// How it ended, if it did not end with the verification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<SessionEnd>,
}

/// The id of a session that joined, and when it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Its id. It has the shard of the verification, whose record it shares.
    pub id: VerificationId,
    /// When it joined.
    pub at: Timestamp,
}

/// The end of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnd {
    /// When it ended.
    pub at: Timestamp,
    /// How it ended.
    pub how: Ending,
}

/// A session that a creation asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// Its id.
    pub id: VerificationId,
    /// The customer's own data.
    pub metadata: BTreeMap<String, String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(checks: &u8) -> bool {
    *checks == 0
}

/// The one session of most verifications, which needs no bytes in a record.
pub(super) fn only_one() -> Vec<Session> {
    vec![Session::default()]
}

pub(super) fn is_only_one(sessions: &[Session]) -> bool {
    matches!(sessions, [only] if *only == Session::default())
}
