//! [`Engine::read`] and [`Engine::list`]. Nothing here changes anything.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use tracing::warn;

use super::apply::Target;
use super::{Engine, EngineError};
use crate::phone::PhoneNumber;
use crate::route_model::Insight;
use crate::store::{Cursor, NumberKey, record};
use crate::time::Timestamp;
use crate::verification::{
    AttemptIndex, Code, Context, Event, ReportFacts, Request, Status, TextReport, Verification, VerificationId, decide,
    open,
};

/// Records read from the store for one page of a filtered list. The page may then be short, with a cursor to go on.
const SCAN_MAX: usize = 500;
/// The smallest batch of records for a filtered list, because every batch asks every list of the app.
const SCAN_MIN: usize = 100;

/// One page of a list, newest first.
pub struct Page {
    /// The page.
    pub verifications: Vec<Arc<Verification>>,
    /// The start of the next page, if there may be one.
    pub next: Option<Cursor>,
}

impl Engine {
    /// Reads a verification.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when it is unknown or forgotten, or belongs to another app.
    pub async fn read(&self, target: Target<'_>) -> Result<Arc<Verification>, EngineError> {
        let (id, app) = match target {
            Target::Proved(id) => (id, None),
            Target::OfApp(app, id) => (id, Some(app)),
            Target::Newest(app, to) => (self.newest(app, to).await?, Some(app)),
        };
        // A change that was answered before its outcome is committed shows in the next read.
        self.inner.locks.wait_briefly(id).await;
        Ok(self.load_for(id, app).await?.verification)
    }

    /// Spends one decryption's time, so that timing does not reveal another tenant's ids.
    pub(super) fn spend_one_decryption(&self) {
        static TYPICAL_RECORD: OnceLock<Vec<u8>> = OnceLock::new();
        let record = TYPICAL_RECORD.get_or_init(|| self.typical_record().unwrap_or_default());
        record::spend_decode_time(record, &self.parts.keys);
    }

    fn typical_record(&self) -> Option<Vec<u8>> {
        let request = Request::new(
            VerificationId::new(0, 0),
            "an-app",
            PhoneNumber::parse("+14155550100").ok()?,
            Code::parse("000000")?,
        );
        let (rules, insight) = (&self.parts.rules, Insight::default());
        let context = Context { now: Timestamp::from_millis(0), insight: &insight, barred: &[] };
        let reported = |report| Event::TextReported {
            attempt: AttemptIndex::FIRST,
            report,
            provider_id: None,
            facts: ReportFacts::default(),
        };
        let events = [TextReport::Queued, TextReport::Sent, TextReport::Delivered].map(reported);
        let v = decide(&open(request, rules, &context).after, &events, rules, &context).after;
        record::plain(&v).ok()
    }

    /// The newest verification of an app's number.
    pub(super) async fn newest(&self, app: &str, to: &PhoneNumber) -> Result<VerificationId, EngineError> {
        let mut known = Vec::new();
        for number in self.parts.keys.number_keys(app, to) {
            known.extend(self.parts.store.newest(number).await?);
        }
        // There can be several only while `SECRET_KEY` is being rotated.
        if known.len() > 1 {
            let mut found = Vec::new();
            for id in known {
                found.extend(self.load(id).await?.map(|known| (known.verification.created_at, id)));
            }
            return found.into_iter().max().map(|(_, id)| id).ok_or(EngineError::NotFound);
        }
        known.pop().ok_or(EngineError::NotFound)
    }

    /// Lists an app's verifications, newest first: all, those of one status, or those of one number.
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
        let now = self.now().await?;
        let shards: Option<BTreeSet<u8>> =
            to.map(|to| self.parts.keys.number_keys(app, to).into_iter().map(NumberKey::shard).collect());
        let at_a_time = if status.is_some() || to.is_some() { limit.max(SCAN_MIN) } else { limit };
        let (mut verifications, mut next, mut scanned) = (Vec::new(), before, 0);
        loop {
            let mut cursors = Vec::new();
            match &shards {
                None => cursors = self.parts.store.list(app, None, next, at_a_time).await?,
                Some(shards) => {
                    for shard in shards {
                        cursors.extend(self.parts.store.list(app, Some(*shard), next, at_a_time).await?);
                    }
                    cursors.sort_unstable_by(|a, b| b.cmp(a));
                    cursors.truncate(at_a_time);
                }
            }
            let is_last = cursors.len() < at_a_time;
            scanned += cursors.len();
            let ids: Vec<_> = cursors.iter().map(|c| c.id).collect();
            for (id, stored) in self.parts.store.load_many(&ids).await? {
                // An unreadable record, of another key or version, does not fail the list.
                let v = match self.open_record(id, &stored) {
                    Ok(known) => known.verification,
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
