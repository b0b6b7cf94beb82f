//! [`Redis::commit`]: one script on one server. A cluster needs further round trips for what lies in other slots.

use std::sync::LazyLock;

use deadpool_redis::redis::Value;
use futures_util::future::{try_join, try_join_all};
use tracing::debug;

use super::counters::{add_counters, over_limit};
use super::history::History;
use super::pool::Command;
use super::records::{parse_index, stored};
use super::script::{Call, Script, UNKNOWN_SHAPE, millis, read, script};
use super::{Redis, keys};
use crate::store::counters::{Increment, IncrementOutcome};
use crate::store::error::StoreError;
use crate::store::links::{Links, NewLink, PendingReport};
use crate::store::records::{Commit, CommitMode, CommitOutcome, Cursor, Records};
use crate::verification::AttemptRef;

static COMMIT: LazyLock<Script> = script!(
    "history.lua",
    "record_key.lua",
    "number_index.lua",
    "shared_key.lua",
    "counters.lua",
    "set_link.lua",
    "commit.lua"
);
static ADD_TO_LIST: LazyLock<Script> = script!("record_key.lua", "shared_key.lua", "add_to_list.lua");

impl Redis {
    pub(super) async fn commit_at_once(&self, commit: &Commit) -> Result<CommitOutcome, StoreError> {
        self.run_commit(commit, &commit.increments, &commit.links).await
    }

    /// Counters, list and links first, the record last. What was counted is given back if the commit is refused, but not if
    /// its answer is lost: it may have been made.
    pub(super) async fn commit_in_cluster(&self, commit: &Commit) -> Result<CommitOutcome, StoreError> {
        if let CommitMode::Create { previous } = commit.mode {
            let index = self.number_index(commit.number).await?;
            let named = index.newest_for(commit.purpose);
            let has_same_guesses = commit.guesses.as_ref().is_none_or(|change| change.expected == index.guesses);
            if named != Some(commit.id) && (named != previous || !has_same_guesses) {
                return Ok(CommitOutcome::NumberInUse(index));
            }
        }
        let counted = self.increment_in_cluster(&commit.increments, commit.now);
        let others = try_join(self.link_first(commit), self.list_first(commit));
        let (counted, others) = futures_util::future::join(counted, others).await;
        if let IncrementOutcome::OverLimit { index, wait } = counted? {
            return Ok(CommitOutcome::OverLimit { index, wait });
        }
        let outcome = match others {
            Ok((None, ())) => self.run_commit(commit, &[], &[]).await?,
            Ok((Some(pending), ())) => pending,
            Err(error) => {
                self.give_back(commit.increments.iter(), commit.now).await?;
                return Err(error);
            }
        };
        if outcome != CommitOutcome::Committed {
            self.give_back(commit.increments.iter(), commit.now).await?;
            return Ok(outcome);
        }
        let applied = commit.links.iter().filter(|link| link.applied > 0);
        if let Err(error) = try_join_all(applied.map(|link| self.forget_pending(&link.provider_id))).await {
            debug!(%error, "reports that are applied stay until they expire");
        }
        Ok(outcome)
    }

    /// Makes the links of a commit. Returns the reports that wait for one of them and are not part of the commit.
    async fn link_first(&self, commit: &Commit) -> Result<Option<CommitOutcome>, StoreError> {
        for (index, link) in commit.links.iter().enumerate() {
            let to = AttemptRef { id: commit.id, attempt: link.attempt };
            match self.link(&link.provider_id, to, commit.longest_ttl).await {
                Ok(reports) if reports.len() != link.applied => {
                    return Ok(Some(CommitOutcome::ReportsPending { index, reports }));
                }
                Ok(_) => {}
                Err(error) => {
                    debug!(%error, "an id of Plivo could not be mapped; the mapping is owed");
                    return Ok(Some(CommitOutcome::LinksUnavailable));
                }
            }
        }
        Ok(None)
    }

    async fn list_first(&self, commit: &Commit) -> Result<(), StoreError> {
        let Some(Cursor { created_at, id }) = commit.listed() else { return Ok(()) };
        let mut call = ADD_TO_LIST.with_keys(&[keys::list_of(id, &commit.app)]);
        call.arg(created_at.as_millis()).arg(keys::member(id)).arg(millis(commit.longest_ttl));
        self.pool.run(Command::Script(call)).await
    }

    async fn run_commit(
        &self,
        commit: &Commit,
        increments: &[Increment],
        links: &[NewLink],
    ) -> Result<CommitOutcome, StoreError> {
        let call = |history: Option<History>| self.commit_call(commit, increments, links, history);
        let answer: Vec<Value> = self.pool.run(Command::InHistory(&call)).await?;
        if let Some(due) = commit.due {
            self.due.note(commit.id.shard(), due);
        }
        parse_outcome(commit, answer)
    }

    fn commit_call(
        &self,
        commit: &Commit,
        increments: &[Increment],
        links: &[NewLink],
        history: Option<History>,
    ) -> Call {
        let (id, member) = (commit.id, keys::member(commit.id));
        let (mode, expected, previous) = match commit.mode {
            CommitMode::Create { previous } => ("create", Vec::new(), previous),
            CommitMode::Update { expected, accept_stale } => {
                let version = [&expected.revision.to_be_bytes()[..], &expected.seal_end].concat();
                (if accept_stale { "accept_stale" } else { "update" }, version, None)
            }
        };
        let listed = commit.listed();
        let (expected_guesses, guesses) =
            commit.guesses.as_ref().map(|change| (&change.expected[..], &change.after[..])).unwrap_or_default();
        let mut keys = Vec::with_capacity(4 + increments.len() + 2 * links.len());
        keys.extend([keys::record(id), keys::number_index(id.shard(), commit.number), self.due_key(id.shard())]);
        keys.extend(increments.iter().map(|increment| keys::counter(&increment.counter)));
        keys.extend(links.iter().flat_map(|link| keys::link_and_pending(&link.provider_id)));
        if commit.verified_ttl.is_some() {
            keys.push(keys::verified(id.shard(), commit.number));
        } else if listed.is_some() && !self.is_cluster {
            keys.push(keys::list_of(id, &commit.app));
        }
        let mut call = COMMIT.with_keys(&keys);
        call.arg(mode)
            .arg(history.as_ref().map_or(&[][..], |history| &history[..]))
            .arg(expected)
            .arg(&commit.revision().to_be_bytes()[..])
            .arg(&commit.sealed[..])
            .arg(millis(commit.ttl))
            .arg(member)
            .arg(commit.due.map(|due| due.as_millis().to_string()).unwrap_or_default())
            .arg(&id.to_bytes()[..])
            .arg(commit.purpose.as_bytes())
            .arg(previous.map(|id| id.to_bytes().to_vec()).unwrap_or_default())
            .arg(usize::from(commit.guesses.is_some()))
            .arg(expected_guesses)
            .arg(guesses)
            .arg(commit.index_ttl.map(|ttl| millis(ttl).to_string()).unwrap_or_default())
            .arg(commit.session.map(|session| keys::member(session.id)).unwrap_or_default())
            .arg(listed.map_or(commit.created_at, |listed| listed.created_at).as_millis())
            .arg(millis(commit.longest_ttl))
            .arg(commit.verified_ttl.map(|ttl| millis(ttl).to_string()).unwrap_or_default())
            .arg(increments.len())
            .arg(links.len());
        add_counters(&mut call, increments, commit.now);
        for link in links {
            call.arg(keys::attempt(AttemptRef { id, attempt: link.attempt })).arg(link.applied);
        }
        call
    }
}

fn parse_outcome(commit: &Commit, answer: Vec<Value>) -> Result<CommitOutcome, StoreError> {
    let mut answer = answer.into_iter();
    match read(answer.next())? {
        1 => Ok(CommitOutcome::Committed),
        0 => {
            let current: Option<Vec<u8>> = answer.next().map(|record| read(Some(record))).transpose()?.flatten();
            Ok(CommitOutcome::Changed(current.map(stored).transpose()?))
        }
        2 => {
            let index: Option<Vec<u8>> = answer.next().map(|index| read(Some(index))).transpose()?.flatten();
            Ok(CommitOutcome::NumberInUse(parse_index(index)?))
        }
        3 => {
            let (index, text) = (read(answer.next())?, read(answer.next())?);
            let (index, wait) = over_limit(&commit.increments, index, text, commit.now)?;
            Ok(CommitOutcome::OverLimit { index, wait })
        }
        4 => {
            let (index, reports): (usize, Vec<Vec<u8>>) = (read(answer.next())?, read(answer.next())?);
            let reports: Option<Vec<PendingReport>> =
                reports.iter().map(|report| serde_json::from_slice(report).ok()).collect();
            Ok(CommitOutcome::ReportsPending { index, reports: reports.ok_or(UNKNOWN_SHAPE)? })
        }
        5 => Ok(CommitOutcome::GuessesChanged(read(answer.next())?)),
        -1 => Ok(CommitOutcome::PossiblyStale),
        _ => Err(UNKNOWN_SHAPE),
    }
}
