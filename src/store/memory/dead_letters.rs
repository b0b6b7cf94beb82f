//! Given-up webhooks in memory.

use std::time::Duration;

use async_trait::async_trait;

use super::Memory;
use crate::store::dead_letters::{DeadLetter, DeadLetters};
use crate::store::error::StoreError;

#[async_trait]
impl DeadLetters for Memory {
    async fn add_dead_letter(&self, app: &str, letter: DeadLetter, ttl: Duration) -> Result<(), StoreError> {
        let mut state = self.state();
        let list = state.dead_letters.entry(app.to_owned()).or_default();
        list.retain(|known| known.at + ttl >= letter.at && known.id != letter.id);
        list.insert(letter);
        Ok(())
    }

    async fn dead_letters(
        &self,
        app: &str,
        before: Option<DeadLetter>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let state = self.state();
        let list = state.dead_letters.get(app).into_iter().flatten().rev();
        let older = list.filter(|letter| before.is_none_or(|before| **letter < before));
        Ok(older.take(limit).copied().collect())
    }
}
