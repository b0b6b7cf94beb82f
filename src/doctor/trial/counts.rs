//! The service's counters of callbacks, before and after a trial.

use std::collections::BTreeMap;

use super::super::web::WebClient;
use crate::config::{Config, local_url};

/// The number of callbacks by kind and result, from the service's metrics.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CallbackCounts(BTreeMap<(String, String), u64>);

impl CallbackCounts {
    /// Reads `phlo2fa_callbacks_total` from this machine's port, or else from `PUBLIC_URL`.
    ///
    /// The counters cover all verifications, so with other traffic they are less conclusive.
    pub(super) async fn read(config: &Config, web: &WebClient) -> Option<Self> {
        for (client, origin) in [(&web.local, local_url(config.bind)), (&web.http, config.public_url.clone())] {
            let Ok(response) = client.get(format!("{origin}/metrics")).send().await else { continue };
            if response.status().is_success()
                && let Ok(bytes) = response.bytes().await
                && let Some(counts) = Self::parse(&String::from_utf8_lossy(&bytes))
            {
                return Some(counts);
            }
        }
        None
    }

    /// `None` for a page that is not our service's.
    pub(super) fn parse(page: &str) -> Option<Self> {
        let mut counts = BTreeMap::new();
        for line in page.lines() {
            let Some(rest) = line.strip_prefix("phlo2fa_callbacks_total{") else { continue };
            let (labels, count) = rest.split_once('}')?;
            let label = |name: &str| {
                let mut labels = labels.split(',').filter_map(|label| label.split_once('='));
                labels.find(|(known, _)| *known == name).map(|(_, value)| value.trim_matches('"').to_owned())
            };
            counts.insert((label("kind")?, label("result")?), count.trim().parse().ok()?);
        }
        page.contains("phlo2fa_callbacks").then_some(Self(counts))
    }

    /// What was counted since `before`.
    pub(super) fn since(self, before: &Self) -> Self {
        let new = |(of, count): ((String, String), u64)| {
            let had = before.0.get(&of).copied().unwrap_or(0);
            (of, count.saturating_sub(had))
        };
        Self(self.0.into_iter().map(new).collect())
    }

    pub(super) fn of(&self, kind: &str, result: &str) -> u64 {
        self.0.get(&(kind.to_owned(), result.to_owned())).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_only_from_our_own_page() {
        assert_eq!(CallbackCounts::parse("<html>"), None);
        let page = "# TYPE phlo2fa_callbacks counter\nphlo2fa_callbacks_total{kind=\"phlo\",result=\"applied\"} 3\n";
        let before = CallbackCounts::parse(page).unwrap();
        let after = CallbackCounts::parse(&page.replace('3', "5")).unwrap();
        assert_eq!(after.since(&before).of("phlo", "applied"), 2);
    }
}
