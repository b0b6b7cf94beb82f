//! The history that a server writes. `history.lua` reads the same within a script.

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{ErrorKind, RedisResult, ServerErrorKind, cmd};

/// The name of a history: the first bytes of the replication id.
pub(super) type History = [u8; 4];

/// The history of a server that was never promoted, or that may not be asked.
const NEVER_PROMOTED: History = [0, 0, 0, 1];

/// Asks a server.
pub(super) async fn read(mut connection: MultiplexedConnection) -> RedisResult<History> {
    match cmd("INFO").arg("replication").query_async::<String>(&mut connection).await {
        // A replica takes no writes. Its connections leave the pool, as after READONLY: it may be promoted.
        Ok(info) if info.contains("role:slave") => {
            Err((ErrorKind::Server(ServerErrorKind::ReadOnly), "the server is a replica").into())
        }
        Ok(info) => Ok(parse(&info).unwrap_or(NEVER_PROMOTED)),
        // INFO is not permitted, renamed or unknown.
        Err(error) if matches!(error.code(), Some("NOPERM" | "ERR")) => Ok(NEVER_PROMOTED),
        Err(error) => Err(error),
    }
}

/// The id of the replication, if a promotion began it.
fn parse(info: &str) -> Option<History> {
    let value = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let was_promoted = value("second_repl_offset")?.starts_with(|first: char| first.is_ascii_digit());
    let id = value("master_replid")?.get(..8).filter(|_| was_promoted)?;
    u32::from_str_radix(id, 16).ok().map(u32::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_promoted_server_has_a_history_of_its_own() {
        let info =
            |offset: &str| format!("role:master\r\nmaster_replid:0a1b2c3d4e5f\r\nsecond_repl_offset:{offset}\r\n");
        assert_eq!(parse(&info("107")), Some([0x0a, 0x1b, 0x2c, 0x3d]));
        assert_eq!(parse(&info("-1")), None);
        assert_eq!(parse(""), None);
    }
}
