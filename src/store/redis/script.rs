//! What all scripts share: how an answer and a duration are read and written.

use std::time::Duration;

use deadpool_redis::redis::{FromRedisValue, Value, from_redis_value};

use crate::store::error::StoreError;
use crate::time::Timestamp;

/// The answer is none that this version of the scripts gives.
pub(super) const UNKNOWN_SHAPE: StoreError = StoreError::Unreadable("is of a shape this version does not know");

/// A script that is loaded where the server lacks it.
macro_rules! script {
    ($($file:literal),+) => {
        std::sync::LazyLock::new(|| deadpool_redis::redis::Script::new(concat!($(include_str!(concat!("lua/", $file))),+)))
    };
}
pub(super) use script;

/// Reads one part of an answer; an answer that is too short is unreadable.
pub(super) fn read<T: FromRedisValue>(value: Option<Value>) -> Result<T, StoreError> {
    from_redis_value(value.ok_or(UNKNOWN_SHAPE)?).map_err(|_| UNKNOWN_SHAPE)
}

/// Reads a score: a double that holds whole milliseconds.
pub(super) fn parse_time(score: &str) -> Result<Timestamp, StoreError> {
    score.parse().map(Timestamp::from_millis).map_err(|_| UNKNOWN_SHAPE)
}

/// A TTL in milliseconds; at least 1, because Redis refuses 0.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 52)
}
