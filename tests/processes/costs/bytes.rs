//! The memory that a verification takes in Redis.
//!
//! It is the `MEMORY USAGE` of every key that was written for it, so of the record, the index of its number and the link
//! of its text. A sorted set is shared by many: of each one that names the verification an entry counts, and nothing of
//! the set itself. Counters and small values are shared or have figures of their own, so they do not count.

use crate::support::redis_server::RedisServer;

/// What an entry of a large sorted set takes beside its member: a node of the skip list, an entry and a slot of the
/// dictionary, and the header and rounding of the string.
const ENTRY_OVERHEAD: usize = 96;

/// The memory of the one verification that there is.
pub(super) fn of_one_verification(redis: &RedisServer) -> usize {
    let keys = keys(redis, |key| !key.ends_with(":count") && !key.ends_with(":value"));
    keys.iter().map(|key| of_key(redis, key)).sum()
}

/// The memory of the one idempotent answer that there is.
pub(super) fn of_one_answer(redis: &RedisServer) -> usize {
    keys(redis, |key| key.starts_with("phlo2fa:{i:")).iter().map(|key| of_key(redis, key)).sum()
}

fn keys(redis: &RedisServer, is_counted: impl Fn(&str) -> bool) -> Vec<String> {
    redis.command(&["KEYS", "*"]).lines().filter(|key| is_counted(key)).map(str::to_owned).collect()
}

fn of_key(redis: &RedisServer, key: &str) -> usize {
    let bytes = if redis.command(&["TYPE", key]) == "zset" {
        let members = redis.command(&["ZRANGE", key, "0", "-1"]);
        members.lines().map(|member| member.len() + ENTRY_OVERHEAD).sum()
    } else {
        redis.command(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).parse().unwrap()
    };
    let length = redis.command(&["STRLEN", key]);
    println!("  {key}: {bytes} bytes, {length} long");
    bytes
}
