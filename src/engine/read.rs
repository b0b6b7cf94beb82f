//! [`Engine::read`] and [`Engine::list`]. Nothing here changes anything.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use tracing::warn;

use super::target::{Found, Target};
use super::{Engine, EngineError};
use crate::phone::PhoneNumber;
use crate::route_model::Insight;
use crate::store::{Cursor, Listed, Loaded, NumberKey, PageRequest, Version, record};
use crate::time::Timestamp;
use crate::verification::rules::LIFETIME_MAX;
use crate::verification::{
    AttemptIndex, Code, Context, Event, ReportFacts, Request, SessionIndex, Status, TextReport, VerificationId, decide,
    open,
};

/// Records read from the store for one page of a number's list. The page may then be short, with a cursor to go on.
const SCAN_MAX: usize = 500;
/// The smallest batch of records for a number's list, which reads all of the number's shard.
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

    /// Reads a verification again. `None` if it has the version that was `seen`: then nothing is opened.
    ///
    /// # Errors
    /// As for [`Engine::read`].
    pub async fn read_news(
        &self,
        id: VerificationId,
        seen: Option<Version>,
    ) -> Result<Option<(Found, Version)>, EngineError> {
        let loaded = self.parts.store.load(id).await?.ok_or(EngineError::NotFound)?;
        let version = loaded.stored.version();
        if seen == Some(version) {
            return Ok(None);
        }
        let verification = self.open_record(loaded.id, &loaded.stored)?.verification;
        self.remember_shared(id, verification.id);
        let session = verification.session_of(id).ok_or(EngineError::NotFound)?;
        Ok(Some((Found { verification, session }, version)))
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
        let shards: BTreeSet<u8> =
            to.into_iter().flat_map(|to| self.parts.keys.number_keys(app, to)).map(NumberKey::shard).collect();
        let shards = Vec::from_iter(shards);
        let (statuses, since) = match status {
            None => (Status::ALL, None),
            // None is open for longer, whatever RETENTION is.
            Some(Status::Pending) => (&[Status::Pending][..], Some(now - LIFETIME_MAX)),
            // One whose time is over is pending in the list until a tick ends it.
            Some(Status::Expired) => (&[Status::Expired, Status::Pending][..], None),
            Some(ref ended) => (std::slice::from_ref(ended), None),
        };
        let at_a_time = if to.is_some() { limit.max(SCAN_MIN) } else { limit };
        let mut query = PageRequest { app, shards: &shards, statuses, before, since, limit: at_a_time };
        let (mut found, mut scanned) = (Vec::new(), 0);
        loop {
            let Listed { entries, next } = self.parts.store.list(&query).await?;
            scanned += entries.len();
            let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
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
                let last = Cursor { created_at: v.created_at_of(session), id: asked };
                let matches = status.is_none_or(|s| v.status_at(session, now) == s)
                    && to.is_none_or(|to| v.to.identity() == to.identity());
                if matches {
                    found.push(Found { verification: v, session });
                }
                if found.len() == limit {
                    return Ok(Page { found, next: Some(last) });
                }
            }
            // The store looks at a bounded number of entries too: a page that is not full ends there.
            if next.is_none() || scanned >= SCAN_MAX || entries.len() < at_a_time {
                return Ok(Page { found, next });
            }
            query.before = next;
        }
    }
}
