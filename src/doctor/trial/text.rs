//! What a trial text shows.

use std::time::Duration;

use super::super::finding::Reporter;
use super::super::web::plain;
use super::counts::CallbackCounts;
use super::flow;
use super::watch::Observed;

const NAME: &str = "send";
const DELIVERY: &str = "delivery reports";

pub(super) fn conclude(
    observed: &Observed,
    new_counts: Option<&CallbackCounts>,
    watch: Duration,
    report: &mut Reporter<'_>,
) {
    if observed.is_refused {
        return report.wrong(NAME, "Plivo refused the text", "see the console's log of messages, and geo permissions");
    }
    let Some(via) = &observed.via else {
        return report.wrong(NAME, "Plivo has not confirmed that it accepted the text", "see the service's log");
    };
    let new = |result: &str| new_counts.map_or(0, |new_counts| new_counts.of("message", result));
    let unproved = new("unproved");
    // `queued` may come from the flow's SMS_Sent; later statuses can only come from delivery reports.
    let beyond: Vec<&str> = observed.statuses.iter().map(String::as_str).filter(|status| *status != "queued").collect();
    match beyond.last() {
        Some(&"delivered") => report.ok(DELIVERY, "they arrive and are proved, up to delivered"),
        Some(last @ (&"undelivered" | &"failed")) => {
            let code =
                observed.error_code.as_deref().map(|code| format!(" (error {})", plain(code))).unwrap_or_default();
            let remedy = "see the error code at plivo.com/docs/messaging/troubleshooting/error-codes";
            report.wrong(DELIVERY, format!("they arrive, but the text does not: {last}{code}"), remedy);
        }
        Some(last) => {
            let detail = format!("they arrive, up to {last}; no final one within {} s", watch.as_secs());
            report.warn(DELIVERY, detail, "nothing: this carrier sends none (common in the US), so the timer decides");
        }
        None if unproved > 0 => report.wrong(
            DELIVERY,
            format!("{unproved} arrived without proof: no valid V3 signature, no CALLBACK_SECRET in the path"),
            "enter PUBLIC_URL/plivo/CALLBACK_SECRET/message as Send_SMS_1's Event Callbacks (phlo/README.md)",
        ),
        None if new("ignored") + new("parked") > 0 => report.warn(
            DELIVERY,
            "some arrived, but could not be parsed or assigned to this text",
            "see the rows on field names and on message_uuid under What Plivo leaves open in phlo/README.md",
        ),
        None => report.warn(
            DELIVERY,
            format!("none arrived within {} s", watch.as_secs()),
            "either this carrier sends none (common in the US), or the PHLO's Event Callbacks do not reach PUBLIC_URL: \
             check Send_SMS_1 in phlo/README.md, and whether the internet reaches PUBLIC_URL",
        ),
    }
    if via == "phlo" {
        flow::examine(new_counts, "SMS_Sent", "Send_SMS_1's Sent", report);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::{Finding, Verdict};
    use super::flow::FLOW;
    use super::*;

    fn concluded(statuses: &[&str], counts: &str) -> Vec<(&'static str, Verdict)> {
        let statuses = statuses.iter().map(|&status| status.to_owned()).collect();
        let observed = Observed { via: Some("phlo".to_owned()), statuses, ..Observed::default() };
        let mut found = Vec::new();
        let mut print = |finding: &Finding| found.push((finding.name, finding.result));
        let new_counts = CallbackCounts::parse(counts);
        conclude(&observed, new_counts.as_ref(), Duration::from_secs(60), &mut Reporter::new(&mut print));
        found
    }

    #[test]
    fn the_reports_show_which_callback_urls_work() {
        let applied = "phlo2fa_callbacks_total{kind=\"phlo\",result=\"applied\"} 1\n";
        let unproved = "phlo2fa_callbacks_total{kind=\"message\",result=\"unproved\"} 2\n";
        assert_eq!(
            concluded(&["queued", "sent", "delivered"], applied),
            [(DELIVERY, Verdict::Ok), (FLOW, Verdict::Ok)]
        );
        assert_eq!(concluded(&["queued", "sent"], ""), [(DELIVERY, Verdict::Warn), (FLOW, Verdict::Skip)]);
        assert_eq!(concluded(&["queued"], applied), [(DELIVERY, Verdict::Warn), (FLOW, Verdict::Ok)]);
        assert_eq!(concluded(&[], unproved), [(DELIVERY, Verdict::Wrong), (FLOW, Verdict::Warn)]);
        assert_eq!(concluded(&["undelivered"], applied)[0], (DELIVERY, Verdict::Wrong));
    }
}
