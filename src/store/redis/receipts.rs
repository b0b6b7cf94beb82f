//! [`Receipts`]: a commit on a server with replicas is acknowledged to the caller only once every replica has received it.
//!
//! # Why
//! Redis answers before it replicates. A failover then loses commits that were acknowledged: a used code is good again. Two ways
//! lead out of it. A receipt of the replicas (`WAIT`) costs an exchange and a round trip between the servers. Replication
//! offsets cost nothing while all is well, but no replica of this service knows up to which offset another one has answered. With
//! receipts each commit that any of them has answered is on every server that is promoted. So this module asks for receipts,
//! and uses what it has seen of the old server only to find out a promoted server that was not among the receivers.
//!
//! # How
//! A batch writes a *mark*, which is a numbered key of this process, and waits until all replicas that keep up have it. All commits
//! that were made before the batch began share it, so that the exchanges do not grow with the load. It has a connection of its
//! own, because `WAIT` blocks the others on it. While nothing is committed, a batch each second still observes the server.
//!
//! A server that loses a replica has commits refused for [`FENCE`]. The replica may have been promoted: then this server is
//! demoted soon, and what it takes meanwhile is gone. A replica that is only down is left out after that time, so that the
//! service does not depend on it. `min-replicas-to-write` forbids that.
//!
//! # After a failover
//! A record that names another history than the server writes is taken over if this process can prove that nothing is missing
//! ([`Receipts::prove`]): it knew the old server, had receipts of all replicas until the end, and the new server has its last
//! mark. Replication keeps the order of writes, so what was written before the mark is there too. The proof is about the data
//! alone, so a restart of the new server does not spoil it. It is left in the store for the other processes. Without a proof
//! the verification is given up: after a restart of all processes, or on a server that has missed a mark.
//!
//! # What remains possible
//! A network partition that lets one process reach only the old primary, and others only a stale replica, for longer than
//! [`FENCE`]: the one goes on alone, the others take over. `min-replicas-to-write 1` prevents it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use deadpool_redis::redis::Value;
use uuid::Uuid;

use super::history::{History, Replication, Server};
use super::keys;
use super::pool::{Command, Pool};
use super::script::{Script, UNKNOWN_SHAPE, millis, read, script};
use super::watched::{Finished, Mark, Observed, Receipt, State, Watched};
use crate::store::error::{OutageCause, ServerRefusal, StoreError};

pub(super) static IN_HISTORY: LazyLock<Script> = script!("history.lua", "in_history.lua");

/// How long a mark and a proof are kept: longer than any verification is open.
pub(super) const KEPT: Duration = Duration::from_secs(3600);
/// How often a batch begins again because it found more replicas.
const TRIES: usize = 3;

/// The servers that this process has seen.
pub(super) struct Receipts {
    /// Names this process in the keys of its marks.
    pub(super) process: String,
    marks: AtomicU64,
    servers: Mutex<HashMap<History, Arc<Watched>>>,
    /// The user may not run WAIT.
    may_not_wait: AtomicBool,
    pub(super) is_cluster: bool,
    /// Since when a proof is awaited: of the second history for the first one.
    awaited: Mutex<HashMap<(History, History, u8), Instant>>,
    /// Where verifications have been made due, because no proof came.
    given_up: Mutex<HashSet<(History, u8)>>,
}

impl Receipts {
    pub(super) fn new(is_cluster: bool) -> Self {
        let process = Uuid::new_v4().simple().to_string();
        let (marks, servers, may_not_wait, awaited, given_up) = Default::default();
        Self { process, marks, servers, may_not_wait, is_cluster, awaited, given_up }
    }

    pub(super) fn awaited(&self) -> MutexGuard<'_, HashMap<(History, History, u8), Instant>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn given_up(&self) -> MutexGuard<'_, HashSet<(History, u8)>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn servers(&self) -> MutexGuard<'_, HashMap<History, Arc<Watched>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watched(&self, history: History) -> Option<Arc<Watched>> {
        self.servers().get(&history).cloned()
    }

    fn watch(&self, server: Server) -> Arc<Watched> {
        let mut servers = self.servers();
        if !servers.contains_key(&server.history) {
            servers.retain(|_, watched| watched.state().seen_at.elapsed() < KEPT);
        }
        Arc::clone(servers.entry(server.history).or_insert_with(|| Arc::new(Watched::new(server))))
    }

    /// The histories of the servers that are watched.
    pub(super) fn histories(&self) -> Vec<u8> {
        self.servers().keys().flatten().copied().collect()
    }

    /// Whether the server is known to have had replicas.
    pub(super) fn is_watched(&self, history: History) -> bool {
        self.servers().contains_key(&history)
    }

    /// Refuses a request to a server that has lost a replica and may have been demoted. `group` names the server in a cluster.
    pub(super) async fn refuse_if_short(&self, pool: &Pool, group: Option<u8>) -> Result<(), StoreError> {
        match self.find(group, State::is_short) {
            Some(watched) => self.observe_one(pool, &watched).await,
            None => Ok(()),
        }
    }

    /// The same before a record is read: a server that was frozen may be demoted soon, too, and show what no replica has.
    ///
    /// A commit there has no receipt, and needs no look. Where another server answers by now, the reading goes on.
    pub(super) async fn refuse_if_unseen(&self, pool: &Pool, group: Option<u8>) -> Result<(), StoreError> {
        self.refuse_if_short(pool, group).await?;
        let Some(watched) = self.find(group, State::is_unseen) else { return Ok(()) };
        let group = watched.state().groups.iter().next().copied().unwrap_or_default();
        let history = watched.server.history;
        let key = keys::mark(group, &self.process, history);
        let (now, _) = self.in_history(pool, &key, history, "").await?;
        if now.history == history {
            return self.observe_one(pool, &watched).await;
        }
        self.judge(pool, history, now).await.map(drop)
    }

    /// A server that holds the group, and of which this is so.
    fn find(&self, group: Option<u8>, is_so: fn(&State) -> bool) -> Option<Arc<Watched>> {
        let is_meant = |watched: &&Arc<Watched>| {
            let state = watched.state();
            is_so(&state) && group.is_none_or(|group| state.groups.contains(&group))
        };
        self.servers().values().find(is_meant).cloned()
    }

    async fn observe_one(&self, pool: &Pool, watched: &Watched) -> Result<(), StoreError> {
        let group = watched.state().groups.iter().next().copied().unwrap_or_default();
        self.confirm(pool, watched.server, group).await.map(drop)
    }

    /// Waits until all replicas that keep up have what `server` has committed so far.
    pub(super) async fn confirm(&self, pool: &Pool, server: Server, group: u8) -> Result<Receipt, StoreError> {
        let watched = self.watch(server);
        watched.state().groups.insert(group);
        // A batch that began before this call does not cover the commit.
        let begun = watched.begun.load(Ordering::Acquire);
        let mut finished = watched.finished.lock().await;
        if finished.number > begun
            && let Some(result) = &finished.result
        {
            return result.clone();
        }
        let number = watched.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let result = self.run_batch(pool, &watched, group).await;
        *finished = Finished { number, result: Some(result.clone()) };
        result
    }

    async fn run_batch(&self, pool: &Pool, watched: &Arc<Watched>, group: u8) -> Result<Receipt, StoreError> {
        for _ in 0..TRIES {
            let (required, is_short) = {
                let state = watched.state();
                (state.required, state.short_since.is_some())
            };
            let number = self.marks.fetch_add(1, Ordering::AcqRel) + 1;
            let waited_for = if self.may_not_wait.load(Ordering::Acquire) { 0 } else { required };
            let exchange = self.exchange(pool, watched.server.history, group, number, waited_for, is_short).await;
            let (replication, acknowledged) = match exchange {
                Err(StoreError::Unavailable(OutageCause::Refused(ServerRefusal::NotPermitted))) if waited_for > 0 => {
                    self.may_not_wait.store(true, Ordering::Release);
                    continue;
                }
                exchange => exchange?,
            };
            if replication.server.history != watched.server.history {
                // Decided now: what this process has seen proves less with every second.
                let _ = self.judge(pool, watched.server.history, replication.server).await;
                pool.ask_sentinels_again();
                return Ok(Receipt::OtherHistory);
            }
            let is_permitted = !self.may_not_wait.load(Ordering::Acquire);
            let in_sync = if is_permitted { replication.in_sync } else { 0 };
            let observed = watched.state().observe(acknowledged, in_sync, Instant::now());
            match observed {
                Observed::Enough => {
                    let mut state = watched.state();
                    (state.mark, state.is_over) = (Some(Mark { group, number }), false);
                    return Ok(Receipt::Held);
                }
                Observed::More => {}
                Observed::Short => break,
            }
        }
        pool.ask_sentinels_again();
        Err(OutageCause::Refused(ServerRefusal::NoReplicas).into())
    }

    /// Writes a mark and waits for the replicas.
    async fn exchange(
        &self,
        pool: &Pool,
        history: History,
        group: u8,
        number: u64,
        replicas: usize,
        is_short: bool,
    ) -> Result<(Replication, usize), StoreError> {
        let key = keys::mark(group, &self.process, history);
        let mut call = IN_HISTORY.with_keys(&[&key]);
        call.arg(&history[..]).arg(number).arg(millis(KEPT));
        let command = Command::Received { key: &key, call: &call, replicas, is_short };
        let mut answer = pool.run::<Vec<Value>>(command).await?.into_iter();
        let written: Vec<Value> = read(answer.next())?;
        let acknowledged = answer.next().map_or(Ok(0), |acknowledged| read(Some(acknowledged)))?;
        let info: String = read(written.into_iter().next())?;
        Ok((Replication::parse(&info).ok_or(UNKNOWN_SHAPE)?, acknowledged))
    }

    /// Observes every server that is in use, so that a loss of replicas is noticed within a second.
    pub(super) async fn observe(&self, pool: &Pool) {
        let all: Vec<_> = self.servers().values().cloned().collect();
        for watched in all {
            if !watched.state().is_over {
                // A failure shows in the next commit.
                let _ = self.observe_one(pool, &watched).await;
            }
            self.tell_judgements(pool, &watched).await;
        }
    }
}
