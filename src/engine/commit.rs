//! The commit of a decision, and what this process notes of it.

use std::sync::Arc;
use std::time::Duration;

use super::failpoint::Failpoint;
use super::{Engine, Known};
use crate::route_model::Teacher;
use crate::store::{
    Commit, CommitMode, CommitOutcome, Cursor, GuessesChange, Increment, NewLink, NumberKey, PurposeKey, StoreError,
    record,
};
use crate::time::Timestamp;
use crate::verification::rules::LIFETIME_MAX;
use crate::verification::{Joined, SessionIndex, Status, Verification};

/// How long a number that was verified passes the limits of its prefix.
const VERIFIED_FOR: Duration = Duration::from_secs(90 * 86_400);

/// What is written besides the verification itself.
pub(super) struct Write {
    pub(super) mode: CommitMode,
    /// The wrong codes that the number's index must hold, if the decision depends on them.
    pub(super) guesses: Option<Vec<u8>>,
    pub(super) number: NumberKey,
    /// Whom its lessons come from, where that is known.
    pub(super) teacher: Option<Teacher>,
    pub(super) increments: Vec<Increment>,
    pub(super) links: Vec<NewLink>,
    pub(super) now: Timestamp,
}

impl Engine {
    /// Commits the state after a decision. What is committed is remembered.
    pub(super) async fn commit(
        &self,
        before: Option<&Verification>,
        after: &Arc<Verification>,
        write: Write,
    ) -> Result<(CommitOutcome, Known), StoreError> {
        let Write { mode, guesses, number, teacher, increments, links, now } = write;
        let keys = self.parts.keys.generation();
        let kept_until = self.kept_until(after);
        let ttl = kept_until.since(now).max(Duration::from_secs(1));
        let is_index_kept = before
            .is_some_and(|before| after.guesses.end() <= before.guesses.end() && self.kept_until(before) >= kept_until);
        let guesses_ttl = if after.guesses.is_empty() { Duration::ZERO } else { self.parts.rules.guesses.remembered() };
        let is_proved = before.is_some_and(|before| before.status() != Status::Verified);
        let is_proved = is_proved && after.status() == Status::Verified && !after.details.is_test;
        let session = after.sessions.get(before.map_or(1, |before| before.sessions.len()));
        let added = after.session_indexes().next_back().unwrap_or(SessionIndex::FIRST);
        let due = after.due();
        let commit = Commit {
            id: after.id,
            app: after.app.clone(),
            number,
            purpose: PurposeKey::new(number, &after.details.purpose),
            mode,
            sealed: record::encode(after, &self.parts.keys)?,
            created_at: after.created_at,
            due,
            ttl,
            guesses: guesses.map(|expected| GuessesChange { expected, after: after.guesses.to_bytes() }),
            index_ttl: (!is_index_kept).then(|| ttl.max(guesses_ttl)),
            verified_ttl: is_proved.then_some(VERIFIED_FOR),
            session: session.and_then(|session| session.joined).map(|Joined { id, at }| Cursor { created_at: at, id }),
            status: after.status_of(added),
            ended: before.map(|before| ended(before, after)).unwrap_or_default(),
            increments,
            links,
            longest_ttl: self.parts.retention + LIFETIME_MAX,
            now,
        };
        let known =
            Known { verification: Arc::clone(after), version: commit.version(), number: Some(number), teacher, keys };
        Failpoint::Decided.reached();
        let outcome = self.parts.store.commit(&commit).await?;
        if outcome == CommitOutcome::Committed {
            Failpoint::Committed.reached();
            self.remember(&known);
            due.into_iter().for_each(|due| self.inner.alarm.set(due));
        }
        Ok((outcome, known))
    }

    fn kept_until(&self, v: &Verification) -> Timestamp {
        // One that ended late, because no replica was running, is kept no longer than any other: its list entry is not either.
        let usual = v.ended_at().map_or(v.expires_at(), |at| at.min(v.expires_at())) + self.parts.retention;
        v.needed_for_webhooks_until().map_or(usual, |until| usual.max(until))
    }

    /// Writes the new entries of the timeline to logs and metrics.
    pub(super) fn publish(&self, before: Option<&Verification>, after: &Verification, now: Timestamp) {
        let known = before.map_or(0, |v| v.timeline.len());
        for entry in after.timeline.iter().skip(known) {
            crate::telemetry::log(after, entry);
            self.parts.metrics.observe(before, after, entry, now);
        }
        self.parts.metrics.observe_attempts(before, after);
    }
}

/// The sessions that a decision ends, with the status of each.
fn ended(before: &Verification, after: &Verification) -> Vec<(Cursor, Status)> {
    let open = before.open_sessions().filter(|session| after.end_of(*session).is_some());
    let cursor = |session| Cursor { created_at: after.created_at_of(session), id: after.id_of(session) };
    open.map(|session| (cursor(session), after.status_of(session))).collect()
}
