//! [`Redis::commit`]: one script on one server. A cluster needs further round trips for what lies in other slots.

use std::sync::LazyLock;
use std::time::Duration;
use std::vec::IntoIter;

use deadpool_redis::redis::{Value, cmd};
use futures_util::future::{try_join, try_join_all};
use tracing::{debug, warn};

use super::counters::{add_counters, over_limit};
use super::history::{History, Kind, Server};
use super::pool::Command;
use super::records::{parse_index, stored};
use super::script::{Call, Script, UNKNOWN_SHAPE, millis, read, script};
use super::watched::Receipt;
use super::{Redis, keys};
use crate::store::counters::{Increment, IncrementOutcome};
use crate::store::error::{OutageCause, StoreError};
use crate::store::links::{Links, NewLink, PendingReport};
use crate::store::lists::Cursor;
use crate::store::records::{Commit, CommitMode, CommitOutcome, Records};
use crate::verification::{AttemptRef, VerificationId};

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
        let forgotten = try_join_all(applied.map(|link| self.forget_pending(&link.provider_id)));
        let (forgotten, changed) = futures_util::future::join(forgotten, self.change_statuses(commit)).await;
        if let Err(error) = forgotten {
            debug!(%error, "reports that are applied stay until they expire");
        }
        if let Err(error) = changed {
            warn!(%error, verification.id = %commit.id, "a list filtered by status will lack a verification");
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

    pub(super) async fn refuse_if_unseen(&self, id: VerificationId) -> Result<(), StoreError> {
        let refused = self.receipts.refuse_if_unseen(&self.pool, self.is_cluster.then_some(id.shard()));
        tokio::time::timeout(COMMIT_TIMEOUT, refused).await.map_err(|_| OutageCause::Timeout)?
    }

    async fn list_first(&self, commit: &Commit) -> Result<(), StoreError> {
        let Some(Cursor { created_at, id }) = commit.listed() else { return Ok(()) };
        let mut call = ADD_TO_LIST.with_keys(&[keys::list_of(id, &commit.app)]);
        call.arg(keys::score(created_at, commit.status)).arg(keys::member(id)).arg(millis(commit.longest_ttl));
        self.pool.run(Command::Script(call)).await
    }

    /// Writes the statuses that a commit has changed into the list of the app. If that fails, the filtered list lacks them.
    async fn change_statuses(&self, commit: &Commit) -> Result<(), StoreError> {
        if commit.ended.is_empty() {
            return Ok(());
        }
        let mut change = cmd("ZADD");
        change.arg(keys::list_of(commit.id, &commit.app)).arg("XX");
        for (cursor, status) in &commit.ended {
            change.arg(keys::score(cursor.created_at, *status)).arg(keys::member(cursor.id));
        }
        self.pool.run(Command::Keyed(&change)).await
    }

    async fn run_commit(
        &self,
        commit: &Commit,
        increments: &[Increment],
        links: &[NewLink],
    ) -> Result<CommitOutcome, StoreError> {
        let made = tokio::time::timeout(COMMIT_TIMEOUT, self.commit_with_receipt(commit, increments, links));
        made.await.map_err(|_| OutageCause::Timeout)?
    }

    async fn commit_with_receipt(
        &self,
        commit: &Commit,
        increments: &[Increment],
        links: &[NewLink],
    ) -> Result<CommitOutcome, StoreError> {
        let call = |server: Option<Server>| self.commit_call(commit, increments, links, server);
        self.receipts.refuse_if_short(&self.pool, self.is_cluster.then_some(commit.id.shard())).await?;
        for _ in 0..TRIES {
            let answer: Vec<Value> = self.pool.run(Command::InHistory(&call)).await?;
            if let Some(due) = commit.due {
                self.due.note(commit.id.shard(), due);
            }
            let (outcome, server) = parse_answer(commit, answer)?;
            let group = self.group(commit.id);
            match outcome {
                Outcome::WrittenIn(history) => {
                    if !self.receipts.prove(&self.pool, history, server, group).await? {
                        return Ok(CommitOutcome::PossiblyStale);
                    }
                }
                // A record that another process has committed must have its receipt as well before a client learns of it.
                Outcome::Known(outcome @ (CommitOutcome::Committed | CommitOutcome::Changed(_)))
                    if server.kind != Kind::Alone =>
                {
                    if self.receipts.confirm(&self.pool, server, group).await? == Receipt::Held {
                        return Ok(outcome);
                    }
                }
                Outcome::Known(outcome) => return Ok(outcome),
            }
        }
        Err(OutageCause::ConnectionLost.into())
    }

    /// The keys that are surely on one server with those of the verification: its shard in a cluster, else all.
    fn group(&self, id: VerificationId) -> u8 {
        if self.is_cluster { id.shard() } else { 0 }
    }

    /// A server that has had replicas is not alone because it has none now: they may come back as primaries.
    fn sticky(&self, server: Server) -> Server {
        if self.receipts.is_watched(server.history) { server.with_replicas() } else { server }
    }

    fn commit_call(
        &self,
        commit: &Commit,
        increments: &[Increment],
        links: &[NewLink],
        server: Option<Server>,
    ) -> Call {
        let (id, member) = (commit.id, keys::member(commit.id));
        let (mode, expected, previous) = match commit.mode {
            CommitMode::Create { previous } => ("create", Vec::new(), previous),
            CommitMode::Update { expected, accept_stale } => {
                let version = [&expected.revision.to_be_bytes()[..], &expected.seal_end].concat();
                (if accept_stale { "accept_stale" } else { "update" }, version, None)
            }
        };
        let (expected_guesses, guesses) =
            commit.guesses.as_ref().map(|change| (&change.expected[..], &change.after[..])).unwrap_or_default();
        let mut keys = Vec::with_capacity(4 + increments.len() + 2 * links.len());
        keys.extend([keys::record(id), keys::number_index(id.shard(), commit.number), self.due_key(id.shard())]);
        keys.extend(increments.iter().map(|increment| keys::counter(&increment.counter)));
        keys.extend(links.iter().flat_map(|link| keys::link_and_pending(&link.provider_id)));
        let (added, changed) = if self.is_cluster { (None, &[][..]) } else { (commit.listed(), &commit.ended[..]) };
        if added.is_some() || !changed.is_empty() {
            keys.push(keys::list_of(id, &commit.app));
        }
        if commit.verified_ttl.is_some() {
            keys.push(keys::verified(id.shard(), commit.number));
        }
        let mut call = COMMIT.with_keys(&keys);
        call.arg(mode)
            .arg(server.map_or(Vec::new(), |server| self.sticky(server).to_bytes().to_vec()))
            .arg(if server.is_none() { self.receipts.histories() } else { Vec::new() })
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
            .arg(added.map(|added| keys::score(added.created_at, commit.status).to_string()).unwrap_or_default())
            .arg(millis(commit.longest_ttl))
            .arg(commit.verified_ttl.map(|ttl| millis(ttl).to_string()).unwrap_or_default())
            .arg(increments.len())
            .arg(links.len())
            .arg(changed.len());
        add_counters(&mut call, increments, commit.now);
        for (cursor, status) in changed {
            call.arg(keys::score(cursor.created_at, *status)).arg(keys::member(cursor.id));
        }
        for link in links {
            call.arg(keys::attempt(AttemptRef { id, attempt: link.attempt })).arg(link.applied);
        }
        call
    }
}

/// How long a commit may take with its receipt, so that an API request notices within a second that it has none.
const COMMIT_TIMEOUT: Duration = Duration::from_millis(900);
/// How often a commit is made again after a failover. Two failovers during one commit are more than ever happen.
const TRIES: usize = 3;

/// What the script has answered.
enum Outcome {
    Known(CommitOutcome),
    /// The record was written in another history.
    WrittenIn(History),
}

fn parse_answer(commit: &Commit, answer: Vec<Value>) -> Result<(Outcome, Server), StoreError> {
    let mut answer = answer.into_iter();
    let (code, server): (i64, Vec<u8>) = (read(answer.next())?, read(answer.next())?);
    let server = Server::from_bytes(&server).ok_or(UNKNOWN_SHAPE)?;
    if code == -1 {
        let history: Vec<u8> = read(answer.next())?;
        return Ok((Outcome::WrittenIn(history.try_into().map_err(|_| UNKNOWN_SHAPE)?), server));
    }
    parse_outcome(commit, code, answer).map(|outcome| (Outcome::Known(outcome), server))
}

fn parse_outcome(commit: &Commit, code: i64, mut answer: IntoIter<Value>) -> Result<CommitOutcome, StoreError> {
    match code {
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
        _ => Err(UNKNOWN_SHAPE),
    }
}
