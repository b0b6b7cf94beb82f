//! What a trial shows of the flow's HTTP Request nodes.

use super::super::finding::Reporter;
use super::counts::CallbackCounts;

pub(super) const FLOW: &str = "flow reports";

/// Whether the flow's HTTP Request nodes reach the service. `node` is the one that reports first, `output` what leads to it.
pub(super) fn examine(new_counts: Option<&CallbackCounts>, node: &str, output: &str, report: &mut Reporter<'_>) {
    let Some(new_counts) = new_counts else {
        return report.skip(FLOW, "/metrics cannot be read here, so it is not known which URL received a report");
    };
    if new_counts.of("phlo", "applied") > 0 {
        report.ok(FLOW, format!("{node}'s HTTP Request reaches the service with its ref: Start declares ref"));
    } else if new_counts.of("phlo", "unproved") > 0 {
        let remedy = format!("declare ref in Start, and give {node} a bearer token: CALLBACK_SECRET");
        report.wrong(FLOW, "the flow's HTTP Request arrived without a valid ref or CALLBACK_SECRET", remedy);
    } else {
        let remedy = format!("wire {output} to {node}, with PUBLIC_URL/plivo/phlo (phlo/README.md)");
        report.warn(FLOW, "no HTTP Request from the flow arrived", remedy);
    }
}
