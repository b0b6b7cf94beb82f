//! [`Engine::read`] and [`Engine::list`]. Nothing here changes anything.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use tracing::warn;

use super::target::{Found, Target};
use super::{Engine, EngineError};
use crate::phone::PhoneNumber;
use crate::route_model::Insight;
use crate::store::{Cursor, Loaded, NumberKey, record};
use crate::time::Timestamp;
use crate::verification::{
    AttemptIndex, Code, Context, Event, ReportFacts, Request, SessionIndex, Status, TextReport, VerificationId, decide,
    open,
};

/// Records read from the store for one page of a filtered list. The page may then be short, with a cursor to go on.
const SCAN_MAX: usize = 500;
/// The smallest batch of records for a filtered list, because every batch asks every list of the app.
const SCAN_MIN: usize = 100;

/// One page of a list, newest first.
pub struct Page {
    /// The page.
    pub found: Vec<Found>,
    /// The start of the next page, if there may be one.
    pub next: Option<Cursor>,
}

impl Engine {
    /// Reads a verification.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when it is unknown or forgotten, or belongs to another app.
    pub async fn read(&self, target: Target<'_>) -> Result<Found, EngineError> {
        let (id, app) = match target {
            Target::Proved(id) => (id, None),
            Target::OfApp(app, id) => (id, Some(app)),
            Target::OfNumber(app, to, purpose) => (self.find(app, to, purpose).await?, Some(app)),
        };
        // A change that was answered before its outcome is committed shows in the next read.
        self.inner.locks.wait_briefly(self.shared_with(id)).await;
        let verification = self.load_for(self.shared_with(id), app).await?.verification;
        let session = match target {
            Target::Proved(_) | Target::OfApp(..) => verification.session_of(id).ok_or(EngineError::NotFound)?,
            Target::OfNumber(..) => verification.only_session().ok_or(EngineError::Ambiguous)?,
        };
        Ok(Found { verification, session })
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
        let (now, session) = (Timestamp::from_millis(0), SessionIndex::FIRST);
        let context = Context { now, insight: &insight, barred: &[], session };
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
        let (mut found, mut next, mut scanned) = (Vec::new(), before, 0);
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
            for Loaded { session: asked, id, stored } in self.parts.store.load_many(&ids).await? {
                // An unreadable record, of another key or version, does not fail the list.
                let v = match self.open_record(id, &stored) {
                    Ok(known) => known.verification,
                    Err(error) => {
                        warn!(verification.id = %id, %error, "left out of a list");
                        continue;
                    }
                };
                let Some(session) = v.session_of(asked) else { continue };
                next = Some(Cursor { created_at: v.created_at_of(session), id: asked });
                let matches = status.is_none_or(|s| v.status_at(session, now) == s)
                    && to.is_none_or(|to| v.to.identity() == to.identity());
                if matches {
                    found.push(Found { verification: v, session });
                }
                if found.len() == limit {
                    return Ok(Page { found, next });
                }
            }
            if is_last {
                return Ok(Page { found, next: None });
            }
            next = cursors.last().copied();
            if scanned >= SCAN_MAX {
                return Ok(Page { found, next });
            }
        }
    }
}
