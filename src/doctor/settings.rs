//! The settings, as `serve` reads them. All other checks need valid ones.

use super::finding::Reporter;
use crate::config::Config;

/// Warnings of `serve` that another check covers in more detail.
const CHECKED_LATER: &[&str] = &["REDIS_URL is memory", "PUBLIC_URL is"];

pub(super) fn examine(env: impl IntoIterator<Item = (String, String)>, report: &mut Reporter<'_>) -> Option<Config> {
    let config = match Config::serve(env) {
        Ok(config) => config,
        Err(faults) => {
            for fault in faults.0 {
                report.wrong("settings", format!("{} {}", fault.variable, fault.problem), fault.remedy());
            }
            report.skip("everything else", "all other checks need valid settings");
            return None;
        }
    };
    let is_reported_here = |warning: &String| !CHECKED_LATER.iter().any(|start| warning.starts_with(start));
    let warnings: Vec<_> = config.warnings().into_iter().filter(is_reported_here).collect();
    if warnings.is_empty() {
        report.ok("settings", "complete");
    }
    for warning in warnings {
        // A warning names its consequence; `docs/settings.md` lists the allowed values.
        report.warn("settings", warning, "see docs/settings.md");
    }
    Some(config)
}
