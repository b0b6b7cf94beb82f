//! Given-up webhooks in Redis.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;

use super::pool::Command;
use super::script::{Script, UNKNOWN_SHAPE, millis, parse_time, script};
use super::{Redis, keys};
use crate::store::dead_letters::{DeadLetter, DeadLetters};
use crate::store::error::StoreError;

static ADD: LazyLock<Script> = script!("add_dead_letter.lua");
static LIST: LazyLock<Script> = script!("dead_letters.lua");

#[async_trait]
impl DeadLetters for Redis {
    async fn add_dead_letter(&self, app: &str, letter: DeadLetter, ttl: Duration) -> Result<(), StoreError> {
        let mut call = ADD.with_keys(&[keys::dead_letters(app)]);
        call.arg(letter.at.as_millis()).arg(keys::webhook(letter.id)).arg(millis(ttl));
        self.pool.run(Command::Script(call)).await
    }

    async fn dead_letters(
        &self,
        app: &str,
        before: Option<DeadLetter>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let mut call = LIST.with_keys(&[keys::dead_letters(app)]);
        call.arg(limit);
        match before {
            Some(DeadLetter { at, id }) => call.arg(at.as_millis()).arg(keys::webhook(id)),
            None => call.arg("").arg(""),
        };
        let found: Vec<(String, String)> = self.pool.run(Command::Script(call)).await?;
        let letter = |(member, at): (String, String)| {
            Ok(DeadLetter { at: parse_time(&at)?, id: keys::parse_webhook(&member).ok_or(UNKNOWN_SHAPE)? })
        };
        found.into_iter().map(letter).collect()
    }
}
