//! Small values in Redis.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::cmd;

use super::pool::Command;
use super::script::{Script, millis, script};
use super::{Redis, keys};
use crate::store::error::StoreError;
use crate::store::values::{SwapOutcome, Values};

static COMPARE_AND_SWAP: LazyLock<Script> = script!("compare_and_swap.lua");

#[async_trait]
impl Values for Redis {
    async fn values(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = names.iter().map(|name| keys::value(name)).collect();
        self.pool.run(Command::Keyed(cmd("MGET").arg(keys))).await
    }

    async fn compare_and_swap(
        &self,
        name: &str,
        before: Option<&[u8]>,
        after: &[u8],
        ttl: Duration,
    ) -> Result<SwapOutcome, StoreError> {
        let mut call = COMPARE_AND_SWAP.with_keys(&[keys::value(name)]);
        call.arg(before.unwrap_or_default()).arg(after).arg(millis(ttl));
        let current: Option<Vec<u8>> = self.pool.run(Command::Script(call)).await?;
        let changed = |value: Vec<u8>| SwapOutcome::Changed(Some(value).filter(|value| !value.is_empty()));
        Ok(current.map_or(SwapOutcome::Written, changed))
    }
}
