//! Forgets what was learned, for demos.

use super::cache::{parse_index_entry, value_name};
use super::facts::price_name;
use super::{INDEX, KEEP, Learner, State};
use crate::store::{StoreError, SwapOutcome};

/// Attempts to replace one value that other replicas write too.
const SWAP_ATTEMPTS: usize = 5;

impl Learner {
    /// Forgets the statistics of all routes, and the networks and prices that this process knows.
    ///
    /// Other replicas go on with their copies for a few seconds, and write the lessons that they have not written yet.
    ///
    /// # Errors
    /// Fails when the store does not answer, or others write all the while; some of it may be forgotten then.
    pub async fn forget(&self) -> Result<(), StoreError> {
        let index = self.store.values(&[INDEX.to_owned()]).await?.pop().flatten().unwrap_or_default();
        let index = String::from_utf8_lossy(&index);
        let listed = index.split_whitespace().filter_map(parse_index_entry).map(|(key, _)| value_name(key));
        let mut names: Vec<String> = listed.collect();
        {
            let mut state = self.state();
            names.extend(state.cached.keys().map(|key| value_name(*key)));
            names.extend(state.networks.keys().cloned());
            names.extend(state.prices.keys().map(price_name));
            *state = State::default();
        }
        names.push(INDEX.to_owned());
        for name in names {
            self.empty(&name).await?;
        }
        Ok(())
    }

    /// Replaces a value by one that reads as nothing.
    async fn empty(&self, name: &str) -> Result<(), StoreError> {
        let mut stored = self.store.values(&[name.to_owned()]).await?.pop().flatten();
        for _ in 0..SWAP_ATTEMPTS {
            if stored.as_deref().unwrap_or_default().is_empty() {
                return Ok(());
            }
            match self.store.compare_and_swap(name, stored.as_deref(), b"", KEEP).await? {
                SwapOutcome::Written => return Ok(()),
                SwapOutcome::Changed(newer) => stored = newer,
            }
        }
        Err(StoreError::Unreadable("was changed too often"))
    }
}
