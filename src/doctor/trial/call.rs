//! What a trial call shows.

use std::time::Duration;

use super::super::finding::Reporter;
use super::super::web::plain;
use super::counts::CallbackCounts;
use super::flow;
use super::watch::Observed;

const NAME: &str = "call";
const REPORTS: &str = "call reports";

pub(super) fn conclude(
    observed: &Observed,
    new_counts: Option<&CallbackCounts>,
    watch: Duration,
    report: &mut Reporter<'_>,
) {
    if observed.is_refused {
        return report.wrong(
            NAME,
            "Plivo refused the call",
            "see the console's log of calls, and voice geo permissions",
        );
    }
    let Some(via) = &observed.via else {
        return report.wrong(NAME, "Plivo has not confirmed that it accepted the call", "see the service's log");
    };
    let unproved = new_counts.map_or(0, |new_counts| new_counts.of("call", "unproved"));
    let (events, secret) = if via == "phlo" {
        ("check Event Callbacks of Initiate_Call_1: PUBLIC_URL/plivo/CALLBACK_SECRET/call (phlo/README.md)", true)
    } else {
        ("check whether the internet reaches PUBLIC_URL, and see the console's log of calls", false)
    };
    let code = || observed.error_code.as_deref().map(|code| format!(" (error {})", plain(code))).unwrap_or_default();
    match observed.statuses.last().map(String::as_str) {
        Some("completed") => report.ok(REPORTS, "they arrive and are proved, up to the end of the call"),
        Some("failed") => {
            let remedy = "see the cause at plivo.com/docs/voice/troubleshooting/hangup-causes";
            report.wrong(REPORTS, format!("they arrive, but the call could not be placed{}", code()), remedy);
        }
        Some("machine") => {
            let remedy = "answer it in person, before voicemail does";
            report.warn(REPORTS, "they arrive; a machine answered, to which no code is spoken", remedy);
        }
        Some(ended @ ("busy" | "no_answer" | "rejected")) => {
            let detail = format!("they arrive, up to {ended}{}: no code was spoken", code());
            report.warn(REPORTS, detail, "run it again, and answer the call");
        }
        Some(last) => {
            let detail = format!("they arrive, up to {last}; no end of the call within {} s", watch.as_secs());
            report.warn(REPORTS, detail, format!("watch it for longer (--watch 120); otherwise {events}"));
        }
        None if unproved > 0 && secret => report.wrong(
            REPORTS,
            format!("{unproved} arrived without proof: no valid V3 signature, no CALLBACK_SECRET in the path"),
            events,
        ),
        None => report.wrong(REPORTS, format!("none arrived within {} s", watch.as_secs()), events),
    }
    if via == "phlo" {
        flow::examine(new_counts, "Call_Answered", "Initiate_Call_1's Answered", report);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::{Finding, Verdict};
    use super::flow::FLOW;
    use super::*;

    fn concluded(via: &str, statuses: &[&str], counts: &str) -> Vec<(&'static str, Verdict)> {
        let statuses = statuses.iter().map(|&status| status.to_owned()).collect();
        let observed = Observed { via: Some(via.to_owned()), statuses, ..Observed::default() };
        let mut found = Vec::new();
        let mut print = |finding: &Finding| found.push((finding.name, finding.result));
        let new_counts = CallbackCounts::parse(counts);
        conclude(&observed, new_counts.as_ref(), Duration::from_secs(60), &mut Reporter::new(&mut print));
        found
    }

    #[test]
    fn the_last_report_shows_whether_the_code_was_spoken() {
        for (statuses, verdict) in [
            (&["ringing", "answered", "completed"][..], Verdict::Ok),
            (&["answered"], Verdict::Warn),
            (&["busy"], Verdict::Warn),
            (&["rejected"], Verdict::Warn),
            (&["machine"], Verdict::Warn),
            (&["failed"], Verdict::Wrong),
            (&[], Verdict::Wrong),
        ] {
            assert_eq!(concluded("api", statuses, ""), [(REPORTS, verdict)], "{statuses:?}");
        }
    }

    #[test]
    fn a_call_of_the_flow_shows_its_http_requests_too() {
        let applied = "phlo2fa_callbacks_total{kind=\"phlo\",result=\"applied\"} 1\n";
        assert_eq!(concluded("phlo", &["completed"], applied), [(REPORTS, Verdict::Ok), (FLOW, Verdict::Ok)]);
        let unproved = "phlo2fa_callbacks_total{kind=\"call\",result=\"unproved\"} 2\n";
        assert_eq!(concluded("phlo", &[], unproved), [(REPORTS, Verdict::Wrong), (FLOW, Verdict::Warn)]);
    }
}
