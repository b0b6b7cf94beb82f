//! Pages of an app's list.

use crate::time::Timestamp;
use crate::verification::{Status, VerificationId};

/// A place in an app's list, which is sorted newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When the verification at that place was created.
    pub created_at: Timestamp,
    /// The verification.
    pub id: VerificationId,
}

/// Which entries of an app's list are asked for.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest<'a> {
    /// The app.
    pub app: &'a str,
    /// Only those of these shards; empty for all.
    pub shards: &'a [u8],
    /// Only those of these statuses, as committed: one whose time is over is pending until a tick ends it.
    pub statuses: &'a [Status],
    /// Only older ones than this.
    pub before: Option<Cursor>,
    /// None that was created earlier than this.
    pub since: Option<Timestamp>,
    /// How many at most.
    pub limit: usize,
}

impl<'a> PageRequest<'a> {
    /// The newest entries of an app.
    pub fn newest(app: &'a str, limit: usize) -> Self {
        Self { app, shards: &[], statuses: Status::ALL, before: None, since: None, limit }
    }
}

/// A page of an app's list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The entries, newest first.
    pub entries: Vec<Cursor>,
    /// Where to go on, if there may be more. The page may then be shorter than asked for, because one page looks at a
    /// bounded number of entries.
    pub next: Option<Cursor>,
}
