//! Reading: nothing here changes anything.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use tracing::warn;

use super::{Engine, EngineError};
use crate::phone::PhoneNumber;
use crate::store::{Cursor, NumberKey, record};
use crate::time::Timestamp;
use crate::verification::event::{Facts, TextReport};
use crate::verification::state::Details;
use crate::verification::{Code, Event, Mode, Request, Status, Verification, VerificationId, decide, open};

/// Records read from the store for one page of a filtered list; a page may come out short, with a cursor to go
/// on from.
const SCAN_MAX: usize = 500;
/// How many are read at a time at least where most may not be wanted: each time every shard is asked.
const SCAN_MIN: usize = 100;

/// One page of a list, newest first.
pub struct Page {
    /// What is on it.
    pub verifications: Vec<Verification>,
    /// Where the next one begins, if there may be one.
    pub next: Option<Cursor>,
}

impl Engine {
    /// A verification, for whoever has proved that they may see it.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when it is unknown or forgotten.
    pub async fn get(&self, id: VerificationId) -> Result<Verification, EngineError> {
        self.load(id).await?.map(|(v, _)| v).ok_or(EngineError::NotFound)
    }

    /// One of an app's verifications.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] also when it is another app's.
    pub async fn get_for(&self, app: &str, id: VerificationId) -> Result<Verification, EngineError> {
        let found = self.load(id).await?;
        if found.is_none() {
            self.look_as_long();
        }
        found.map(|(v, _)| v).filter(|v| v.app == app).ok_or(EngineError::NotFound)
    }

    /// Takes as long as one takes to be opened that turns out to be another app's: else the clock would tell that an
    /// id is in use.
    pub(super) fn look_as_long(&self) {
        static LIKE_ANY: OnceLock<Vec<u8>> = OnceLock::new();
        let plain = LIKE_ANY.get_or_init(|| self.like_any().unwrap_or_default());
        record::decode_in_vain(plain, &self.keys);
    }

    /// A record as most are.
    fn like_any(&self) -> Option<Vec<u8>> {
        let request = Request {
            id: VerificationId::new(0, 0),
            app: "an-app".to_owned(),
            to: PhoneNumber::parse("+14155550100").ok()?,
            mode: Mode::Auto,
            policy: None,
            ttl: None,
            calls_allowed: true,
            carrier_guess: None,
            code: Code::parse("000000")?,
            guesses: Default::default(),
            details: Details::default(),
        };
        let now = Timestamp::from_millis(0);
        let mut v = open(request, &self.rules, now).after;
        for report in [TextReport::Queued, TextReport::Sent, TextReport::Delivered] {
            let event = Event::TextReported { attempt: 0, report, provider_id: None, facts: Facts::default() };
            v = decide(&v, &event, &self.rules, now).after;
        }
        record::plain(&v).ok()
    }

    /// The newest verification of an app's number.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when it has none.
    pub async fn newest_of(&self, app: &str, to: &PhoneNumber) -> Result<VerificationId, EngineError> {
        let mut known = Vec::new();
        for number in self.keys.number_keys(app, to) {
            known.extend(self.store.newest(number).await?);
        }
        // Only while a SECRET_KEY is being rotated can there be several, and only then does it take a look at them.
        if known.len() > 1 {
            let mut found = Vec::new();
            for id in known {
                found.extend(self.load(id).await?.map(|(v, _)| (v.created_at, id)));
            }
            return found.into_iter().max().map(|(_, id)| id).ok_or(EngineError::NotFound);
        }
        known.pop().ok_or(EngineError::NotFound)
    }

    /// An app's verifications, newest first, of one status or of all; or of one number.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(
        &self,
        app: &str,
        to: Option<&PhoneNumber>,
        status: Option<Status>,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, EngineError> {
        let now = self.clock.now().await?;
        let shards: Option<BTreeSet<u8>> =
            to.map(|to| self.keys.number_keys(app, to).into_iter().map(NumberKey::shard).collect());
        let at_a_time = if status.is_some() || to.is_some() { limit.max(SCAN_MIN) } else { limit };
        let (mut verifications, mut next, mut scanned) = (Vec::new(), before, 0);
        loop {
            let mut cursors = Vec::new();
            match &shards {
                None => cursors = self.store.list(app, None, next, at_a_time).await?,
                Some(shards) => {
                    for shard in shards {
                        cursors.extend(self.store.list(app, Some(*shard), next, at_a_time).await?);
                    }
                    cursors.sort_unstable_by(|a, b| b.cmp(a));
                    cursors.truncate(at_a_time);
                }
            }
            let is_last = cursors.len() < at_a_time;
            scanned += cursors.len();
            let ids: Vec<_> = cursors.iter().map(|c| c.id).collect();
            for (id, stored) in self.store.load_many(&ids).await? {
                // One that another key sealed, or another version wrote, takes no others along.
                let v = match self.open(id, &stored) {
                    Ok(v) => v,
                    Err(error) => {
                        warn!(verification.id = %id, %error, "left out of a list");
                        continue;
                    }
                };
                next = Some(Cursor { created_at: v.created_at, id });
                let matches = status.is_none_or(|s| v.status_at(now) == s) && to.is_none_or(|to| v.to == *to);
                if matches {
                    verifications.push(v);
                }
                if verifications.len() == limit {
                    return Ok(Page { verifications, next });
                }
            }
            if is_last {
                return Ok(Page { verifications, next: None });
            }
            next = cursors.last().copied();
            if scanned >= SCAN_MAX {
                return Ok(Page { verifications, next });
            }
        }
    }
}
