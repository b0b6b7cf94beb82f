//! The proof that the server which writes now has everything that was acknowledged. See `receipts.rs`.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use deadpool_redis::redis::Value;
use futures_util::future::join_all;
use tracing::{debug, info, warn};

use super::history::{History, Replication, Server};
use super::keys;
use super::pool::{Command, Pool};
use super::receipts::{IN_HISTORY, KEPT, Receipts};
use super::script::{Script, millis, read, script};
use super::watched::Watched;
use crate::store::error::{OutageCause, StoreError};

static MAKE_DUE: LazyLock<Script> = script!("make_due.lua");

/// How long a process that knows nothing of a history waits for the proof of another one.
const PROOF_GRACE: Duration = Duration::from_secs(5);
/// How many verifications one script makes due: Redis answers no other client meanwhile.
const MADE_DUE_MAX: usize = 2000;

impl Receipts {
    /// Proves that `server` has everything that was acknowledged of a record written in `history`, and leaves the proof in the
    /// store. `false` if that cannot be proved.
    ///
    /// # Errors
    /// Also while another process may still prove it.
    pub(super) async fn prove(
        &self,
        pool: &Pool,
        history: History,
        server: Server,
        group: u8,
    ) -> Result<bool, StoreError> {
        // Several failovers: each step may be proved by itself.
        let mut reached = vec![history];
        let mut next = 0;
        while let Some(from) = reached.get(next).copied() {
            next += 1;
            if self.judge(pool, from, server).await? {
                self.leave_proof(pool, history, server, group).await?;
                return Ok(true);
            }
            let judged = self.watched(from).map(|watched| watched.state().judged.clone()).unwrap_or_default();
            for (to, is_whole) in judged {
                if is_whole && !reached.contains(&to) {
                    reached.push(to);
                }
            }
        }
        if self.watched(history).is_none() {
            self.await_proof(pool, history, server, group).await?;
        }
        Ok(false)
    }

    /// Whether `server` has everything that this process has seen of `history`. Decided once, at the first contact.
    pub(super) async fn judge(&self, pool: &Pool, history: History, server: Server) -> Result<bool, StoreError> {
        let Some(watched) = self.watched(history) else { return Ok(false) };
        let known = |watched: &Watched| {
            let state = watched.state();
            state.judged.iter().find(|(to, _)| *to == server.history).map(|(_, is_whole)| *is_whole)
        };
        if let Some(is_whole) = known(&watched) {
            return Ok(is_whole);
        }
        let mark = {
            let mut state = watched.state();
            state.is_over = true;
            state.provable()
        };
        let is_whole = match mark {
            None => false,
            Some(mark) => {
                let key = keys::mark(mark.group, &self.process, history);
                let (now, value) = self.in_history(pool, &key, server.history, "").await?;
                if now.history != server.history {
                    return Err(OutageCause::ConnectionLost.into());
                }
                value.and_then(|number| number.parse::<u64>().ok()).is_some_and(|number| number >= mark.number)
            }
        };
        if let Some(is_whole) = known(&watched) {
            return Ok(is_whole);
        }
        if is_whole {
            info!(event = "redis_failed_over", "Redis failed over, and nothing that was acknowledged is missing");
        } else {
            warn!(
                event = "redis_failed_over",
                "Redis failed over and may lack what was acknowledged: verifications from before end as verification_lost"
            );
        }
        let mut state = watched.state();
        state.judged.push((server.history, is_whole));
        state.untold.push((server, is_whole));
        Ok(is_whole)
    }

    /// Tells other processes what this one has found out of the successors of a server, and ends what may be missing something.
    pub(super) async fn tell_judgements(&self, pool: &Pool, watched: &Watched) {
        let (untold, groups) = {
            let mut state = watched.state();
            (std::mem::take(&mut state.untold), state.groups.clone())
        };
        for (server, is_whole) in untold {
            if is_whole {
                // Another process may need a proof before this one does. It is left again when it is needed here.
                let left = groups.iter().map(|group| self.leave_proof(pool, watched.server.history, server, *group));
                for error in join_all(left).await.into_iter().filter_map(Result::err) {
                    debug!(%error, "a proof is not left");
                }
            } else {
                join_all(groups.iter().map(|group| self.make_all_due(pool, *group))).await;
            }
        }
    }

    async fn leave_proof(&self, pool: &Pool, history: History, server: Server, group: u8) -> Result<(), StoreError> {
        let key = keys::proof(self.is_cluster, group, server.history, history);
        let (now, _) = self.in_history(pool, &key, server.history, "1").await?;
        if now.history == server.history { Ok(()) } else { Err(OutageCause::ConnectionLost.into()) }
    }

    /// Fails for a while, in which a process that knows the history may leave its proof.
    async fn await_proof(&self, pool: &Pool, history: History, server: Server, group: u8) -> Result<(), StoreError> {
        let now = Instant::now();
        let since = *self.awaited().entry((history, server.history, group)).or_insert(now);
        if since.elapsed() < PROOF_GRACE {
            return Err(OutageCause::ConnectionLost.into());
        }
        let is_first = self.given_up().insert((server.history, group));
        if is_first {
            self.make_all_due(pool, group).await;
        }
        Ok(())
    }

    /// Makes all verifications of a group due, so that those which may be missing something end soon.
    async fn make_all_due(&self, pool: &Pool, group: u8) {
        let due_times = if self.is_cluster { keys::due_in(group) } else { keys::DUE.to_owned() };
        loop {
            let mut call = MAKE_DUE.with_keys(&[&due_times]);
            call.arg(MADE_DUE_MAX);
            match pool.run::<usize>(Command::Script(call)).await {
                Ok(made_due) if made_due == MADE_DUE_MAX => {}
                Ok(_) => return,
                Err(error) => return debug!(%error, "verifications from before the failover end when they are due"),
            }
        }
    }

    /// Writes `value`, if there is one, where `history` is written. Returns the server that answered, and the value.
    pub(super) async fn in_history(
        &self,
        pool: &Pool,
        key: &str,
        history: History,
        value: &str,
    ) -> Result<(Server, Option<String>), StoreError> {
        let mut call = IN_HISTORY.with_keys(&[key]);
        call.arg(&history[..]).arg(value).arg(millis(KEPT));
        let mut answer = pool.run::<Vec<Value>>(Command::Script(call)).await?.into_iter();
        let (info, value): (String, Option<String>) = (read(answer.next())?, read(answer.next())?);
        let server = Replication::parse(&info).map_or(Server::UNKNOWN, |replication| replication.server);
        Ok((server, value))
    }
}
