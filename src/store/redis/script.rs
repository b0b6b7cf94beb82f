//! What all scripts share: how they are called, and how an answer and a duration are read and written.

use std::time::Duration;

use deadpool_redis::redis::aio::ConnectionLike;
use deadpool_redis::redis::{
    self, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, ToRedisArgs, Value, cmd,
    from_redis_value,
};

use crate::store::error::StoreError;
use crate::time::Timestamp;

/// The answer is none that this version of the scripts gives.
pub(super) const UNKNOWN_SHAPE: StoreError = StoreError::Unreadable("is of a shape this version does not know");

/// A script, and the hash by which a server knows it.
pub(super) struct Script {
    code: &'static str,
    hash: String,
}

/// A script made of the files.
macro_rules! script {
    ($($file:literal),+) => {
        std::sync::LazyLock::new(|| {
            crate::store::redis::script::Script::new(concat!($(include_str!(concat!("lua/", $file))),+))
        })
    };
}

/// Bytes of a usual call, so that building it allocates once. redis-rs' own calls allocate for each argument, which took
/// a tenth of the instructions of a creation.
const USUAL_SIZE: usize = 2048;
const USUAL_ARGUMENTS: usize = 96;

impl Script {
    pub(super) fn new(code: &'static str) -> Self {
        Self { code, hash: redis::Script::new(code).get_hash().to_owned() }
    }

    /// A call with these keys.
    pub(super) fn with_keys<K: AsRef<str>>(&'static self, keys: &[K]) -> Call {
        let mut command = Cmd::with_capacity(USUAL_ARGUMENTS, USUAL_SIZE);
        command.arg("EVALSHA").arg(&self.hash).arg(keys.len());
        for key in keys {
            command.arg(key.as_ref());
        }
        Call { script: self, command }
    }
}

/// A call of a script, which is loaded where the server lacks it.
pub(super) struct Call {
    script: &'static Script,
    command: Cmd,
}

impl Call {
    pub(super) fn arg(&mut self, argument: impl ToRedisArgs) -> &mut Self {
        self.command.arg(argument);
        self
    }

    pub(super) fn command(&self) -> &Cmd {
        &self.command
    }

    /// Loads the script.
    pub(super) async fn load_on(&self, connection: &mut (impl ConnectionLike + Send)) -> RedisResult<()> {
        cmd("SCRIPT").arg("LOAD").arg(self.script.code).exec_async(connection).await
    }

    pub(super) async fn run_on(&self, connection: &mut (impl ConnectionLike + Send)) -> RedisResult<Value> {
        match self.command.query_async(connection).await {
            Err(error) if is_unknown_script(&error) => {
                self.load_on(connection).await?;
                self.command.query_async(connection).await
            }
            answer => answer,
        }
    }
}

/// Whether the server lacks the script of a call.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
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
