//! The settings, as `serve` reads them. With faulty ones nothing else can be looked at.

use super::finding::Chart;
use crate::config::{Config, Fault};

/// What `serve` warns of and a check of its own says better.
const SAID_LATER: &[&str] = &["REDIS_URL is memory", "PUBLIC_URL is"];

pub(super) fn examine(env: impl IntoIterator<Item = (String, String)>, chart: &mut Chart<'_>) -> Option<Config> {
    let config = match Config::serve(env) {
        Ok(config) => config,
        Err(faults) => {
            for Fault { variable, problem, example } in faults.0 {
                chart.wrong("settings", format!("{variable} {problem}"), format!("for example {variable}={example}"));
            }
            chart.skip("everything else", "the settings are read by all other checks");
            return None;
        }
    };
    let said_here = |warning: &String| !SAID_LATER.iter().any(|start| warning.starts_with(start));
    let warnings: Vec<_> = config.warnings().into_iter().filter(said_here).collect();
    if warnings.is_empty() {
        chart.ok("settings", "complete");
    }
    for warning in warnings {
        // Each says itself what follows from it; what the variable may be stands in the README.
        chart.warn("settings", warning, "see the table of settings in README.md");
    }
    Some(config)
}
