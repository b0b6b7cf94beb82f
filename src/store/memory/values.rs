//! Small values in memory.

use std::time::Duration;

use async_trait::async_trait;

use super::{Memory, clock};
use crate::store::error::StoreError;
use crate::store::values::{SwapOutcome, Values};

#[async_trait]
impl Values for Memory {
    async fn values(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let state = self.state();
        Ok(names.iter().map(|name| state.values.get(name).cloned()).collect())
    }

    async fn compare_and_swap(
        &self,
        name: &str,
        before: Option<&[u8]>,
        after: &[u8],
        ttl: Duration,
    ) -> Result<SwapOutcome, StoreError> {
        let mut state = self.state();
        let name = name.to_owned();
        let current = state.values.get(&name).map(Vec::as_slice);
        if current != before && current != Some(after) {
            return Ok(SwapOutcome::Changed(current.map(<[u8]>::to_vec)));
        }
        state.values.insert(name, after.to_vec(), clock() + ttl);
        Ok(SwapOutcome::Written)
    }
}
