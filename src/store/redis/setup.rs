//! [`Setup`]: the settings of a Redis server, and advice on those that may lose data.
//!
//! A setting that the server does not reveal yields no advice. In a cluster one primary is asked, any: nodes are assumed
//! to be set up alike.

use std::collections::HashMap;
use std::str::FromStr;

use deadpool_redis::redis::cmd;

use super::pool::{Command, Pool};
use crate::store::error::{OutageCause, ServerRefusal, StoreError};

/// The oldest version that this service is tested with.
const OLDEST: (u32, u32) = (6, 2);

/// The settings of a server; `None` where the user may not read them.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// `redis_version`.
    pub version: Option<String>,
    /// `maxmemory-policy`.
    pub eviction: Option<String>,
    /// `appendonly`.
    pub append_only: Option<bool>,
    /// Whether `save` schedules snapshots.
    pub snapshots: Option<bool>,
    /// Number of connected replicas.
    pub replicas: Option<u32>,
    /// `min-replicas-to-write`.
    pub min_replicas_to_write: Option<u32>,
    /// Whether the user may not run `INFO`, by which a commit notices a failover.
    pub hides_failovers: bool,
    /// Whether the user may not run `WAIT`, by which a commit learns that the replicas have it.
    pub may_not_wait: bool,
    /// Whether sentinels watch the server, so that it may have replicas tomorrow.
    pub has_sentinels: bool,
}

/// Advice on one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupAdvice {
    /// What is wrong and what it causes, without a full stop.
    pub detail: String,
    /// What to do.
    pub remedy: &'static str,
    /// Whether wrong codes or whole verifications are lost without any error.
    pub is_critical: bool,
}

impl Setup {
    pub(super) async fn read(pool: &Pool) -> Self {
        let info = info(pool).await;
        // A server that does not answer is reported elsewhere.
        let hides_failovers = match &info {
            Ok(info) => !info.contains_key("master_replid"),
            Err(StoreError::Unavailable(cause)) => *cause == OutageCause::Refused(ServerRefusal::NotPermitted),
            Err(StoreError::Unreadable(_)) => true,
        };
        let info = info.unwrap_or_default();
        let field = |name: &str| info.get(name).cloned();
        let number = |text: Option<String>| text.and_then(|text| u32::from_str(&text).ok());
        // Hosted servers often forbid CONFIG and allow INFO.
        let eviction = setting(pool, "maxmemory-policy").await.or_else(|| field("maxmemory_policy"));
        let append_only = setting(pool, "appendonly").await.map(|on| on == "yes");
        Self {
            version: field("redis_version"),
            eviction,
            append_only: append_only.or_else(|| field("aof_enabled").map(|on| on == "1")),
            snapshots: setting(pool, "save").await.map(|save| !save.is_empty()),
            replicas: number(field("connected_slaves")),
            min_replicas_to_write: number(setting(pool, "min-replicas-to-write").await),
            hides_failovers,
            may_not_wait: may_not_wait(pool).await,
            has_sentinels: pool.has_sentinels(),
        }
    }

    /// All advice as sentences.
    pub(super) fn warnings(&self) -> Vec<String> {
        let advice = self.advice().into_iter().chain(self.advice_on_replicas());
        advice.map(|SetupAdvice { detail, remedy, .. }| format!("{detail}: {remedy}.")).collect()
    }

    /// Advice on settings that lose data or hide that they did.
    pub fn advice(&self) -> Vec<SetupAdvice> {
        let mut advice = Vec::new();
        let mut advise = |is_critical, detail: String, remedy| advice.push(SetupAdvice { detail, remedy, is_critical });
        if let Some(policy) = self.eviction.as_ref().filter(|policy| *policy != "noeviction") {
            let detail = format!("Redis may evict verifications when memory is short (maxmemory-policy is {policy})");
            advise(true, detail, "set maxmemory-policy noeviction");
        }
        let loss = match (self.append_only, self.snapshots) {
            (Some(false), Some(false)) => {
                Some("Redis keeps nothing on disk, so a restart loses every open verification")
            }
            (Some(false), Some(true)) => Some(
                "Redis restarts from its last snapshot and loses everything later: wrong codes, and that a code was used",
            ),
            _ => None,
        };
        if let Some(loss) = loss {
            advise(false, loss.to_owned(), "set appendonly yes");
        }
        if self.hides_failovers {
            let detail =
                "Redis does not let this user run INFO, so failovers go unnoticed: a used code may be valid again";
            advise(false, detail.to_owned(), "allow +info");
        }
        let outdated = |version: &&String| parse_version(version).is_some_and(|version| version < OLDEST);
        if let Some(version) = self.version.as_ref().filter(outdated) {
            let detail = format!("Redis {version} is older than 6.2, the oldest this service is tested with");
            advise(true, detail, "upgrade it");
        }
        advice
    }

    /// Advice on a server that may be replaced by another one.
    ///
    /// A failover may discard what it has accepted while it was cut off from its replicas, or what none of them has received.
    pub fn advice_on_replicas(&self) -> Vec<SetupAdvice> {
        let has_replicas = self.replicas.is_some_and(|replicas| replicas > 0);
        let mut advice = Vec::new();
        if (has_replicas || self.has_sentinels) && self.min_replicas_to_write == Some(0) {
            advice.push(SetupAdvice {
                detail: "a primary that is cut off from its replicas accepts writes again after 8 s, and a failover loses them"
                    .to_owned(),
                remedy: "set min-replicas-to-write 1 and min-replicas-max-lag 10",
                is_critical: false,
            });
        }
        if has_replicas && self.may_not_wait {
            advice.push(SetupAdvice {
                detail:
                    "Redis does not let this user run WAIT, so a failover may lose what was acknowledged, and then \
                         all open verifications are given up"
                        .to_owned(),
                remedy: "allow +wait",
                is_critical: false,
            });
        }
        advice
    }
}

async fn setting(pool: &Pool, name: &str) -> Option<String> {
    let mut found: HashMap<String, String> =
        pool.run(Command::AnyNode(cmd("CONFIG").arg("GET").arg(name))).await.ok()?;
    found.remove(name)
}

async fn may_not_wait(pool: &Pool) -> bool {
    let answer = pool.run::<usize>(Command::AnyNode(cmd("WAIT").arg(0).arg(0))).await;
    matches!(answer, Err(StoreError::Unavailable(OutageCause::Refused(ServerRefusal::NotPermitted))))
}

/// All fields of INFO.
async fn info(pool: &Pool) -> Result<HashMap<String, String>, StoreError> {
    let info: String = pool.run(Command::AnyNode(&cmd("INFO"))).await?;
    let pairs = info.lines().filter_map(|line| line.split_once(':'));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
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

    #[test]
    fn settings_that_are_unknown_yield_no_advice() {
        assert_eq!(Setup::default().advice(), []);
        assert_eq!(Setup::default().advice_on_replicas(), []);
        let alone = Setup { replicas: Some(0), min_replicas_to_write: Some(0), ..Setup::default() };
        assert_eq!(alone.advice_on_replicas(), []);
        let remedies = |setup: Setup| setup.advice_on_replicas().into_iter().map(|a| a.remedy).collect::<Vec<_>>();
        let minimum = "set min-replicas-to-write 1 and min-replicas-max-lag 10";
        assert_eq!(remedies(Setup { has_sentinels: true, ..alone.clone() }), [minimum]);
        let restricted = Setup { replicas: Some(2), may_not_wait: true, ..alone };
        assert_eq!(remedies(restricted.clone()), [minimum, "allow +wait"]);
        assert_eq!(remedies(Setup { min_replicas_to_write: Some(1), ..restricted }), ["allow +wait"]);
        let forgets = |snapshots| Setup { append_only: Some(false), snapshots: Some(snapshots), ..Setup::default() };
        let advice = |setup: Setup| setup.advice().into_iter().map(|a| (a.remedy, a.is_critical)).collect::<Vec<_>>();
        assert_eq!(
            [false, true].map(|s| advice(forgets(s))),
            [[("set appendonly yes", false)], [("set appendonly yes", false)]]
        );
        assert_eq!(Setup { append_only: Some(true), ..forgets(true) }.advice(), []);
    }
}
