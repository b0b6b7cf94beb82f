//! What is wrong with how a Redis is set up, and how to mend it.
//!
//! A server that does not let us read its configuration is not complained of.

use std::collections::HashMap;

use deadpool_redis::redis::cmd;

use super::pool::{Ask, Pool};

/// The oldest version that all we use is known to work with.
const OLDEST: (u32, u32) = (6, 2);

pub(super) async fn of(pool: &Pool) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(policy) = setting(pool, "maxmemory-policy").await
        && policy != "noeviction"
    {
        warnings.push(format!(
            "Redis may throw verifications away when memory is short (maxmemory-policy is {policy}): \
             set maxmemory-policy noeviction."
        ));
    }
    if let (Some(aof), Some(save)) = (setting(pool, "appendonly").await, setting(pool, "save").await)
        && aof == "no"
        && save.is_empty()
    {
        warnings.push(
            "Redis keeps nothing on disk, so a restart loses every open verification: set appendonly yes.".to_owned(),
        );
    }
    if let Some(version) = version(pool).await
        && parse_version(&version).is_some_and(|v| v < OLDEST)
    {
        warnings
            .push(format!("Redis {version} is older than 6.2, the oldest this service is tested with: upgrade it."));
    }
    warnings
}

async fn setting(pool: &Pool, name: &str) -> Option<String> {
    let mut found: HashMap<String, String> = pool.ask(Ask::Node(cmd("CONFIG").arg("GET").arg(name))).await.ok()?;
    found.remove(name)
}

async fn version(pool: &Pool) -> Option<String> {
    let info: String = pool.ask(Ask::Node(cmd("INFO").arg("server"))).await.ok()?;
    info.lines().find_map(|line| line.strip_prefix("redis_version:")).map(str::to_owned)
}

fn parse_version(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(parse_version("6.0.16").is_some_and(|v| v < OLDEST));
        assert!(parse_version("10.0.0").is_some_and(|v| v > OLDEST));
        assert_eq!(parse_version("unknown"), None);
    }
}
