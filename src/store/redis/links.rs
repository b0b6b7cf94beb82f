//! Links and pending reports in Redis.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Value, cmd, from_redis_value};

use super::pool::Command;
use super::script::{Call, Script, UNKNOWN_SHAPE, millis, script};
use super::{Redis, keys};
use crate::store::error::StoreError;
use crate::store::links::{
    Links, NONCE_TTL, NonceClaim, PENDING_MAX, PENDING_TTL, PendingReport, ReportTarget, claim_then_find_or_keep,
};
use crate::verification::{AttemptRef, VerificationId};

static LINK: LazyLock<Script> = script!("set_link.lua", "link.lua");
static UNLINK: LazyLock<Script> = script!("unlink.lua");
static FIND_OR_KEEP: LazyLock<Script> = script!("find_or_keep.lua");
static CLAIM_THEN_FIND_OR_KEEP: LazyLock<Script> = script!("claim_nonce.lua", "find_or_keep.lua");

#[async_trait]
impl Links for Redis {
    async fn link(&self, provider_id: &str, to: AttemptRef, ttl: Duration) -> Result<Vec<PendingReport>, StoreError> {
        let mut call = LINK.with_keys(&keys::link_and_pending(provider_id));
        call.arg(keys::attempt(to)).arg(millis(ttl));
        let pending: Vec<Vec<u8>> = self.pool.run(Command::Script(call)).await?;
        pending.iter().map(|report| serde_json::from_slice(report).map_err(|_| UNKNOWN_SHAPE)).collect()
    }

    async fn find_or_keep(&self, provider_id: &str, report: &PendingReport) -> Result<Option<AttemptRef>, StoreError> {
        let mut call = FIND_OR_KEEP.with_keys(&keys::link_and_pending(provider_id));
        add_report(&mut call, report)?;
        let found: Option<String> = self.pool.run(Command::Script(call)).await?;
        found.map(|text| keys::parse_attempt(&text).ok_or(UNKNOWN_SHAPE)).transpose()
    }

    async fn claim_then_find_or_keep(
        &self,
        nonce: &NonceClaim,
        provider_id: &str,
        report: &PendingReport,
    ) -> Result<ReportTarget, StoreError> {
        if self.is_cluster {
            return claim_then_find_or_keep(self, nonce, provider_id, report).await;
        }
        let [link, pending] = keys::link_and_pending(provider_id);
        let mut call = CLAIM_THEN_FIND_OR_KEEP.with_keys(&[link, pending, keys::value(&nonce.name)]);
        add_report(&mut call, report)?;
        call.arg(&nonce.content_hash[..]).arg(millis(NONCE_TTL));
        match self.pool.run(Command::Script(call)).await? {
            Value::Nil => Ok(ReportTarget::Pending),
            Value::Int(_) => Ok(ReportTarget::Replayed),
            found => {
                let text: String = from_redis_value(found).map_err(|_| UNKNOWN_SHAPE)?;
                keys::parse_attempt(&text).map(ReportTarget::Attempt).ok_or(UNKNOWN_SHAPE)
            }
        }
    }

    async fn linked(&self, provider_id: &str) -> Result<Option<AttemptRef>, StoreError> {
        let [link, _] = keys::link_and_pending(provider_id);
        let found: Option<String> = self.pool.run(Command::Keyed(cmd("GET").arg(link))).await?;
        found.map(|text| keys::parse_attempt(&text).ok_or(UNKNOWN_SHAPE)).transpose()
    }

    async fn forget_pending(&self, provider_id: &str) -> Result<(), StoreError> {
        let [_, pending] = keys::link_and_pending(provider_id);
        self.pool.run(Command::Keyed(cmd("DEL").arg(pending))).await
    }

    async fn unlink(&self, provider_id: &str, of: VerificationId) -> Result<(), StoreError> {
        let mut call = UNLINK.with_keys(&keys::link_and_pending(provider_id));
        call.arg(keys::member(of));
        self.pool.run(Command::Script(call)).await
    }
}

fn add_report(call: &mut Call, report: &PendingReport) -> Result<(), StoreError> {
    let report = serde_json::to_vec(report).map_err(|_| StoreError::Unreadable("cannot be written"))?;
    call.arg(report).arg(millis(PENDING_TTL)).arg(PENDING_MAX);
    Ok(())
}
