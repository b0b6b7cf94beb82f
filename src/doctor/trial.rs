//! `--send`: one real verification through the running service, and the reports about it.
//!
//! It sends a text, never a call, and cancels the verification at the end. Which reports arrive, and through which callback
//! URL, answers what Plivo's documentation leaves open (`phlo/README.md`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::finding::Reporter;
use super::web::{ConnectionFault, HttpAnswer, WebClient, fetch, plain};
use crate::config::{ApiKey, Config, local_url};

const NAME: &str = "send";
const DELIVERY: &str = "delivery reports";
const FLOW: &str = "flow reports";
/// The interval between two reads of the timeline.
const PAUSE: Duration = Duration::from_millis(500);

/// The number of callbacks by kind and result, from the service's metrics.
type CallbackCounts = BTreeMap<(String, String), u64>;

pub(super) async fn examine(
    config: &Config,
    web: &WebClient,
    to: &str,
    watch: Duration,
    is_ours: bool,
    report: &mut Reporter<'_>,
) {
    let number = match config.test_numbers.read(to) {
        Ok((number, None)) => number,
        Ok((_, Some(_))) => {
            return report.wrong(NAME, "the number is in TEST_NUMBERS, which are never sent to", "name another number");
        }
        Err(why) => return report.wrong(NAME, format!("the number {why}"), "correct it, or quote the +"),
    };
    if !is_ours {
        return report.skip(NAME, "the server at PUBLIC_URL does not verify our signatures, so it gets no API key");
    }
    let Some(key) = config.api_keys.first() else { return };
    let before = counts(config, web).await;
    let id = match create(config, web, key, number.e164()).await {
        Ok(id) => id,
        Err((detail, remedy)) => return report.wrong(NAME, format!("{number}: {detail}"), remedy),
    };
    report.ok(NAME, format!("a text to {number} is requested, and watched for up to {} s", watch.as_secs()));
    let observed = follow(config, web, key, &id, watch, report).await;
    let cancel = format!("{}/v1/verifications/{id}/cancel", config.public_url);
    let canceled = fetch(web.http.post(cancel).bearer_auth(key.secret.expose_secret())).await;
    let after = counts(config, web).await;
    let new_counts = before.zip(after).map(|(before, after)| difference(&before, after));
    conclude(&observed, new_counts.as_ref(), watch, report);
    match canceled {
        Ok(HttpAnswer { status: 200 | 409, .. }) => {}
        Ok(_) | Err(_) => report.warn(NAME, "the verification could not be canceled", "nothing: it expires by itself"),
    }
}

/// Creates the verification, and returns its id.
async fn create(config: &Config, web: &WebClient, key: &ApiKey, to: &str) -> Result<String, (String, &'static str)> {
    let url = format!("{}/v1/verifications", config.public_url);
    let body = json!({ "to": to, "channel": "sms" });
    let request = web.http.post(url).bearer_auth(key.secret.expose_secret()).json(&body);
    let HttpAnswer { status, body } =
        fetch(request).await.map_err(|ConnectionFault { problem, remedy }| (problem, remedy))?;
    match (status, body["id"].as_str()) {
        (201, Some(id)) => Ok(id.to_owned()),
        (200, Some(_)) => Err((
            "the number has an open verification already, which is left as it is".to_owned(),
            "wait until it ends",
        )),
        (401, _) => Err((
            "the running service does not accept the first of API_KEYS (401)".to_owned(),
            "give the running service the same API_KEYS",
        )),
        _ => {
            let word = |name: &str| plain(body[name].as_str().unwrap_or_default());
            let remedy = "see the README's settings for the reason of the refusal, and the service's log";
            Err((format!("refused (HTTP {status}) {} {}", word("code"), word("detail")), remedy))
        }
    }
}

/// What the timeline shows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Observed {
    via: Option<String>,
    is_refused: bool,
    /// Statuses, in the order they were reported.
    statuses: Vec<String>,
    /// The last error code.
    error_code: Option<String>,
}

impl Observed {
    fn is_final(&self) -> bool {
        let is_final = |status: &String| matches!(status.as_str(), "delivered" | "undelivered" | "failed");
        self.is_refused || self.statuses.iter().any(is_final)
    }
}

/// Reads the timeline until the text has a final status, and reports each entry about Plivo.
async fn follow(
    config: &Config,
    web: &WebClient,
    key: &ApiKey,
    id: &str,
    watch: Duration,
    report: &mut Reporter<'_>,
) -> Observed {
    let url = format!("{}/v1/verifications/{id}/timeline", config.public_url);
    let (started, mut reported, mut observed) = (Instant::now(), 0, Observed::default());
    loop {
        let is_last = started.elapsed() >= watch;
        if let Ok(answer) = fetch(web.http.get(&url).bearer_auth(key.secret.expose_secret())).await {
            let entries = answer.body["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
            for entry in entries.iter().skip(reported) {
                if let Some(description) = note(&mut observed, &entries[0], entry) {
                    report.ok(NAME, description);
                }
            }
            reported = reported.max(entries.len());
        }
        if is_last || observed.is_final() {
            return observed;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Records a timeline entry, and describes it if it is about Plivo.
fn note(observed: &mut Observed, first: &Value, entry: &Value) -> Option<String> {
    let word = |name: &str| entry[name].as_str().map(str::to_owned);
    let after = after(first, entry).map(|s| format!("after {s:.1} s: ")).unwrap_or_default();
    let text = plain(entry["text"].as_str().unwrap_or_default());
    match entry["event"].as_str()? {
        "accepted" => {
            observed.via = word("via");
            let via = observed.via.as_deref().map(plain).unwrap_or_default();
            Some(format!("{after}{text} (via {via})"))
        }
        "refused" => {
            observed.is_refused = true;
            Some(format!("{after}{text}"))
        }
        "text_reported" => {
            observed.statuses.extend(word("status"));
            observed.error_code = word("error_code").or(observed.error_code.take());
            Some(format!("{after}{text}"))
        }
        "timed_out" | "deferred" => Some(format!("{after}{text}")),
        _ => None,
    }
}

fn after(first: &Value, entry: &Value) -> Option<f64> {
    let at = |entry: &Value| entry["at"].as_str()?.parse::<jiff::Timestamp>().ok();
    Some((at(entry)?.as_millisecond() - at(first)?.as_millisecond()) as f64 / 1000.0)
}

fn conclude(observed: &Observed, new_counts: Option<&CallbackCounts>, watch: Duration, report: &mut Reporter<'_>) {
    if observed.is_refused {
        return report.wrong(NAME, "Plivo refused the text", "see the console's log of messages, and geo permissions");
    }
    let Some(via) = &observed.via else {
        return report.wrong(NAME, "Plivo has not confirmed that it accepted the text", "see the service's log");
    };
    let new_callbacks = |kind: &str, result: &str| {
        new_counts.and_then(|new_counts| new_counts.get(&(kind.to_owned(), result.to_owned()))).copied().unwrap_or(0)
    };
    let unproved = new_callbacks("message", "unproved");
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
        None if new_callbacks("message", "ignored") + new_callbacks("message", "parked") > 0 => report.warn(
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
    if via != "phlo" {
        return;
    }
    if new_callbacks("phlo", "applied") > 0 {
        report.ok(FLOW, "SMS_Sent's HTTP Request reaches the service with its ref: Start declares ref");
    } else if new_callbacks("phlo", "unproved") > 0 {
        let remedy = "declare ref in Start, and give SMS_Sent the header Authorization: Bearer CALLBACK_SECRET";
        report.wrong(FLOW, "the flow's HTTP Request arrived without a valid ref or CALLBACK_SECRET", remedy);
    } else if new_counts.is_some() {
        let remedy = "wire Send_SMS_1's Sent to SMS_Sent, with PUBLIC_URL/plivo/phlo (phlo/README.md)";
        report.warn(FLOW, "no HTTP Request from the flow arrived", remedy);
    } else {
        report.skip(FLOW, "/metrics cannot be read here, so it is not known which URL received a report");
    }
}

/// Reads `phlo2fa_callbacks_total` from this machine's port, or else from `PUBLIC_URL`.
///
/// The counters cover all verifications, so with other traffic they are less conclusive.
async fn counts(config: &Config, web: &WebClient) -> Option<CallbackCounts> {
    for (client, origin) in [(&web.local, local_url(config.bind)), (&web.http, config.public_url.clone())] {
        let Ok(response) = client.get(format!("{origin}/metrics")).send().await else { continue };
        if response.status().is_success()
            && let Ok(bytes) = response.bytes().await
            && let Some(counts) = read_counts(&String::from_utf8_lossy(&bytes))
        {
            return Some(counts);
        }
    }
    None
}

/// `None` for a page that is not our service's.
fn read_counts(page: &str) -> Option<CallbackCounts> {
    let mut counts = CallbackCounts::new();
    for line in page.lines() {
        let Some(rest) = line.strip_prefix("phlo2fa_callbacks_total{") else { continue };
        let (labels, count) = rest.split_once('}')?;
        let label = |name: &str| {
            let mut labels = labels.split(',').filter_map(|label| label.split_once('='));
            labels.find(|(known, _)| *known == name).map(|(_, value)| value.trim_matches('"').to_owned())
        };
        counts.insert((label("kind")?, label("result")?), count.trim().parse().ok()?);
    }
    page.contains("phlo2fa_callbacks").then_some(counts)
}

fn difference(before: &CallbackCounts, after: CallbackCounts) -> CallbackCounts {
    let new = |(of, count): ((String, String), u64)| {
        let had = before.get(&of).copied().unwrap_or(0);
        (of, count.saturating_sub(had))
    };
    after.into_iter().map(new).collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Finding, Verdict};
    use super::*;

    fn concluded(statuses: &[&str], counts: &str) -> Vec<(&'static str, Verdict)> {
        let statuses = statuses.iter().map(|&status| status.to_owned()).collect();
        let observed = Observed { via: Some("phlo".to_owned()), statuses, ..Observed::default() };
        let mut found = Vec::new();
        let mut print = |finding: &Finding| found.push((finding.name, finding.result));
        let new_counts = read_counts(counts);
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

    #[test]
    fn counts_are_read_only_from_our_own_page() {
        assert_eq!(read_counts("<html>"), None);
        let page = "# TYPE phlo2fa_callbacks counter\nphlo2fa_callbacks_total{kind=\"phlo\",result=\"applied\"} 3\n";
        let before = read_counts(page).unwrap();
        let after = read_counts(&page.replace('3', "5")).unwrap();
        assert_eq!(difference(&before, after).into_values().collect::<Vec<_>>(), [2]);
    }
}
