//! What is wrong with how a Redis is set up, and how to mend it.
//!
//! A server that does not let us read its configuration is not complained of. Of a cluster any one primary is
//! asked, each time: its nodes are taken to be set up alike.

use std::collections::HashMap;
use std::str::FromStr;

use deadpool_redis::redis::cmd;

use super::pool::{Ask, Pool};
use crate::store::StoreError;

/// The oldest version that all we use is known to work with.
const OLDEST: (u32, u32) = (6, 2);

/// What a server tells of how it is set up; `None` is what it does not let us read.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// `redis_version`.
    pub version: Option<String>,
    /// `maxmemory-policy`.
    pub eviction: Option<String>,
    /// `appendonly`.
    pub appends: Option<bool>,
    /// Whether `save` names a moment.
    pub snapshots: Option<bool>,
    /// Replicas that are connected.
    pub replicas: Option<u32>,
    /// `min-replicas-to-write`.
    pub replicas_to_write: Option<u32>,
    /// Whether `INFO` may not be asked, which tells of a fail-over.
    pub hides_its_history: bool,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What is wrong and what follows from it, without a full stop.
    pub detail: String,
    /// What to do.
    pub mend: &'static str,
    /// Whether guesses or whole verifications are lost while everything seems to work.
    pub is_grave: bool,
}

impl Setup {
    pub(super) async fn read(pool: &Pool) -> Self {
        let info = info(pool).await;
        // One that does not answer at all is another matter.
        let hides_its_history = match &info {
            Ok(info) => !info.contains_key("master_replid"),
            Err(StoreError::Unavailable(why)) => why == "NOPERM",
            Err(StoreError::Unreadable(_)) => true,
        };
        let info = info.unwrap_or_default();
        let told = |name: &str| info.get(name).cloned();
        let number = |text: Option<String>| text.and_then(|text| u32::from_str(&text).ok());
        // Hosted servers often refuse CONFIG and allow INFO.
        let eviction = setting(pool, "maxmemory-policy").await.or_else(|| told("maxmemory_policy"));
        let appends = setting(pool, "appendonly").await.map(|on| on == "yes");
        Self {
            version: told("redis_version"),
            eviction,
            appends: appends.or_else(|| told("aof_enabled").map(|on| on == "1")),
            snapshots: setting(pool, "save").await.map(|save| !save.is_empty()),
            replicas: number(told("connected_slaves")),
            replicas_to_write: number(setting(pool, "min-replicas-to-write").await),
            hides_its_history,
        }
    }

    /// What should be otherwise.
    pub fn advice(&self) -> Vec<Advice> {
        let mut advice = Vec::new();
        if let Some(policy) = &self.eviction
            && policy != "noeviction"
        {
            advice.push(Advice {
                detail: format!(
                    "Redis may throw verifications away when memory is short (maxmemory-policy is {policy})"
                ),
                mend: "set maxmemory-policy noeviction",
                is_grave: true,
            });
        }
        if self.appends == Some(false) && self.snapshots == Some(false) {
            advice.push(Advice {
                detail: "Redis keeps nothing on disk, so a restart loses every open verification".to_owned(),
                mend: "set appendonly yes",
                is_grave: false,
            });
        }
        if self.appends == Some(false) && self.snapshots == Some(true) {
            advice.push(Advice {
                detail:
                    "Redis starts again from its last snapshot and forgets what came after it: wrong codes, and that \
                         the right one was used"
                        .to_owned(),
                mend: "set appendonly yes",
                is_grave: false,
            });
        }
        if self.hides_its_history {
            advice.push(Advice {
                detail:
                    "Redis does not let this user ask INFO, so a fail-over is not noticed: after one a used code may \
                         be good again"
                        .to_owned(),
                mend: "allow +info",
                is_grave: false,
            });
        }
        if let Some(version) = &self.version
            && parse_version(version).is_some_and(|v| v < OLDEST)
        {
            advice.push(Advice {
                detail: format!("Redis {version} is older than 6.2, the oldest this service is tested with"),
                mend: "upgrade it",
                is_grave: true,
            });
        }
        advice
    }

    /// What costs nothing to have otherwise where there are replicas: a primary that was cut off from all of
    /// them goes on taking writes, which a fail-over then throws away.
    pub fn advice_on_replicas(&self) -> Option<Advice> {
        let has_replicas = self.replicas.is_some_and(|replicas| replicas > 0);
        (has_replicas && self.replicas_to_write == Some(0)).then(|| Advice {
            detail: "a primary that is cut off from its replicas goes on writing, and a fail-over loses all of that"
                .to_owned(),
            mend: "set min-replicas-to-write 1 and min-replicas-max-lag 10",
            is_grave: false,
        })
    }
}

pub(super) async fn of(pool: &Pool) -> Vec<String> {
    let setup = Setup::read(pool).await;
    setup
        .advice()
        .into_iter()
        .chain(setup.advice_on_replicas())
        .map(|Advice { detail, mend, .. }| format!("{detail}: {mend}."))
        .collect()
}

async fn setting(pool: &Pool, name: &str) -> Option<String> {
    let mut found: HashMap<String, String> = pool.ask(Ask::Node(cmd("CONFIG").arg("GET").arg(name))).await.ok()?;
    found.remove(name)
}

/// Everything that INFO says, by name.
async fn info(pool: &Pool) -> Result<HashMap<String, String>, StoreError> {
    let info: String = pool.ask(Ask::Node(&cmd("INFO"))).await?;
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
    fn only_what_is_known_to_be_otherwise_is_advised_on() {
        assert_eq!(Setup::default().advice(), []);
        assert_eq!(Setup::default().advice_on_replicas(), None);
        let alone = Setup { replicas: Some(0), replicas_to_write: Some(0), ..Setup::default() };
        assert_eq!(alone.advice_on_replicas(), None);
        assert!(Setup { replicas: Some(2), ..alone }.advice_on_replicas().is_some());
        let forgets = |snapshots| Setup { appends: Some(false), snapshots: Some(snapshots), ..Setup::default() };
        let told = |setup: Setup| setup.advice().into_iter().map(|a| (a.mend, a.is_grave)).collect::<Vec<_>>();
        assert_eq!(
            [false, true].map(|s| told(forgets(s))),
            [[("set appendonly yes", false)], [("set appendonly yes", false)]]
        );
        assert_eq!(Setup { appends: Some(true), ..forgets(true) }.advice(), []);
    }
}
