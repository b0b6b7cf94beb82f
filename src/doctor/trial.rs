//! `--send`: one verification for real, through the running service, and what came back of it.
//!
//! A text alone, never a call, and canceled at the end. Which reports come, and by which door, answers what
//! Plivo's documentation leaves open (`phlo/README.md`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::finding::Chart;
use super::web::{Got, Trouble, Web, got, plain};
use crate::config::{ApiKey, Config, local_url};

const NAME: &str = "send";
const DELIVERY: &str = "delivery reports";
const FLOW: &str = "flow reports";
/// How often the timeline is read.
const PAUSE: Duration = Duration::from_millis(500);

/// How many callbacks of a kind came to a result, as the service counts them.
type Counts = BTreeMap<(String, String), u64>;

pub(super) async fn examine(
    config: &Config,
    web: &Web,
    to: &str,
    watch: Duration,
    is_ours: bool,
    chart: &mut Chart<'_>,
) {
    let number = match config.test_numbers.read(to) {
        Ok((number, None)) => number,
        Ok((_, Some(_))) => {
            return chart.wrong(NAME, "that is one of TEST_NUMBERS: never sent to", "name another number");
        }
        Err(why) => return chart.wrong(NAME, format!("the number {why}"), "correct it, or quote the +"),
    };
    if !is_ours {
        return chart.skip(NAME, "what answers at PUBLIC_URL does not know our signatures; it gets no API key");
    }
    let Some(key) = config.api_keys.first() else { return };
    let before = counts(config, web).await;
    let id = match create(config, web, key, number.e164()).await {
        Ok(id) => id,
        Err((detail, mend)) => return chart.wrong(NAME, format!("{number}: {detail}"), mend),
    };
    chart.ok(NAME, format!("{number} is sent a text, and watched for up to {} s", watch.as_secs()));
    let seen = follow(config, web, key, &id, watch, chart).await;
    let cancel = format!("{}/v1/verifications/{id}/cancel", config.public_url);
    let canceled = got(web.http.post(cancel).bearer_auth(key.secret.expose_secret())).await;
    let after = counts(config, web).await;
    let came = before.zip(after).map(|(before, after)| difference(&before, after));
    conclude(&seen, came.as_ref(), watch, chart);
    match canceled {
        Ok(Got { status: 200 | 409, .. }) => {}
        Ok(_) | Err(_) => chart.warn(NAME, "it could not be canceled", "nothing: it expires by itself"),
    }
}

/// Starts it, and gives its id.
async fn create(config: &Config, web: &Web, key: &ApiKey, to: &str) -> Result<String, (String, &'static str)> {
    let url = format!("{}/v1/verifications", config.public_url);
    let body = json!({ "to": to, "channel": "sms" });
    let request = web.http.post(url).bearer_auth(key.secret.expose_secret()).json(&body);
    let Got { status, body } = got(request).await.map_err(|Trouble { what, mend }| (what, mend))?;
    match (status, body["id"].as_str()) {
        (201, Some(id)) => Ok(id.to_owned()),
        (200, Some(_)) => {
            Err(("it has an open verification already, which is left alone".to_owned(), "wait until that is over"))
        }
        (401, _) => Err((
            "the running service does not take the first of API_KEYS (401)".to_owned(),
            "give the service the same API_KEYS",
        )),
        _ => {
            let word = |name: &str| plain(body[name].as_str().unwrap_or_default());
            let mend = "see the README's settings for what the refusal names, and the service's log";
            Err((format!("refused (HTTP {status}) {} {}", word("code"), word("detail")), mend))
        }
    }
}

/// What the timeline told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    via: Option<String>,
    refused: bool,
    /// The statuses in the order they came, the last with its error code.
    reports: Vec<String>,
    error_code: Option<String>,
}

impl Seen {
    fn is_over(&self) -> bool {
        let is_final = |status: &String| matches!(status.as_str(), "delivered" | "undelivered" | "failed");
        self.refused || self.reports.iter().any(is_final)
    }
}

/// Reads the timeline until nothing more is to come, telling each entry that is of Plivo's making.
async fn follow(config: &Config, web: &Web, key: &ApiKey, id: &str, watch: Duration, chart: &mut Chart<'_>) -> Seen {
    let url = format!("{}/v1/verifications/{id}/timeline", config.public_url);
    let (started, mut told, mut seen) = (Instant::now(), 0, Seen::default());
    loop {
        let is_last = started.elapsed() >= watch;
        if let Ok(got) = got(web.http.get(&url).bearer_auth(key.secret.expose_secret())).await {
            let entries = got.body["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
            for entry in entries.iter().skip(told) {
                if let Some(said) = note(&mut seen, &entries[0], entry) {
                    chart.ok(NAME, said);
                }
            }
            told = told.max(entries.len());
        }
        if is_last || seen.is_over() {
            return seen;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Remembers an entry, and words it where it says something of Plivo.
fn note(seen: &mut Seen, first: &Value, entry: &Value) -> Option<String> {
    let word = |name: &str| entry[name].as_str().map(str::to_owned);
    let after = after(first, entry).map(|s| format!("after {s:.1} s: ")).unwrap_or_default();
    let text = plain(entry["text"].as_str().unwrap_or_default());
    match entry["event"].as_str()? {
        "accepted" => {
            seen.via = word("via");
            let via = seen.via.as_deref().map(plain).unwrap_or_default();
            Some(format!("{after}{text} (via {via})"))
        }
        "refused" => {
            seen.refused = true;
            Some(format!("{after}{text}"))
        }
        "text_reported" => {
            seen.reports.extend(word("status"));
            seen.error_code = word("error_code").or(seen.error_code.take());
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

fn conclude(seen: &Seen, came: Option<&Counts>, watch: Duration, chart: &mut Chart<'_>) {
    if seen.refused {
        return chart.wrong(NAME, "Plivo refused the text", "see the console's log of messages, and geo permissions");
    }
    let Some(via) = &seen.via else {
        return chart.wrong(NAME, "Plivo has not said that it took the text", "see the service's log");
    };
    let came_to = |kind: &str, result: &str| {
        came.and_then(|came| came.get(&(kind.to_owned(), result.to_owned()))).copied().unwrap_or(0)
    };
    let unproved = came_to("message", "unproved");
    // `queued` alone may be what SMS_Sent told; everything after it only the carrier's side knows.
    let beyond: Vec<&str> = seen.reports.iter().map(String::as_str).filter(|status| *status != "queued").collect();
    match beyond.last() {
        Some(&"delivered") => chart.ok(DELIVERY, "they arrive, are read and proved, up to delivered"),
        Some(last @ (&"undelivered" | &"failed")) => {
            let code = seen.error_code.as_deref().map(|code| format!(" (error {})", plain(code))).unwrap_or_default();
            let mend = "see the error code at plivo.com/docs/messaging/troubleshooting/error-codes";
            chart.wrong(DELIVERY, format!("they arrive, and the text does not: {last}{code}"), mend);
        }
        Some(last) => {
            let detail = format!("they arrive, up to {last}; no final one in {} s", watch.as_secs());
            chart.warn(DELIVERY, detail, "nothing: this carrier sends none (US: common), and the timer then decides");
        }
        None if unproved > 0 => chart.wrong(
            DELIVERY,
            format!(
                "{unproved} arrived, and none could be proved: no valid V3 signature, no CALLBACK_SECRET in the path"
            ),
            "type PUBLIC_URL/plivo/CALLBACK_SECRET/message into Send_SMS_1's Event Callbacks (phlo/README.md)",
        ),
        None if came_to("message", "ignored") + came_to("message", "parked") > 0 => chart.warn(
            DELIVERY,
            "some arrived, and could not be read or tied to this text",
            "see the row of field names, and that of message_uuid, under What Plivo leaves open in phlo/README.md",
        ),
        None => chart.warn(
            DELIVERY,
            format!("none came in {} s", watch.as_secs()),
            "either this carrier sends none (US: common), or the PHLO's Event Callbacks do not reach PUBLIC_URL: see \
             Send_SMS_1 in phlo/README.md, and whether the internet reaches PUBLIC_URL",
        ),
    }
    if via != "phlo" {
        return;
    }
    if came_to("phlo", "applied") > 0 {
        chart.ok(FLOW, "SMS_Sent's HTTP Request reaches the service with its ref: Start declares ref");
    } else if came_to("phlo", "unproved") > 0 {
        let mend = "let Start declare ref, and give SMS_Sent the header Authorization: Bearer CALLBACK_SECRET";
        chart.wrong(FLOW, "the flow's HTTP Request arrived without a valid ref or CALLBACK_SECRET", mend);
    } else if came.is_some() {
        let mend = "wire Send_SMS_1's Sent to SMS_Sent, with PUBLIC_URL/plivo/phlo (phlo/README.md)";
        chart.warn(FLOW, "no HTTP Request of the flow arrived", mend);
    } else {
        chart.skip(FLOW, "/metrics cannot be read here, so which door a report came by is not known");
    }
}

/// `phlo2fa_callbacks_total`, by this machine's port where the service listens on it, else by `PUBLIC_URL`. All
/// verifications count together: with traffic it says less.
async fn counts(config: &Config, web: &Web) -> Option<Counts> {
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

/// `None` when it is not our service's page.
fn read_counts(page: &str) -> Option<Counts> {
    let mut counts = Counts::new();
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

fn difference(before: &Counts, after: Counts) -> Counts {
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

    fn concluded(reports: &[&str], counts: &str) -> Vec<(&'static str, Verdict)> {
        let reports = reports.iter().map(|&status| status.to_owned()).collect();
        let seen = Seen { via: Some("phlo".to_owned()), reports, ..Seen::default() };
        let mut found = Vec::new();
        let mut tell = |finding: &Finding| found.push((finding.name, finding.result));
        let came = read_counts(counts);
        conclude(&seen, came.as_ref(), Duration::from_secs(60), &mut Chart::new(&mut tell));
        found
    }

    #[test]
    fn what_came_back_says_which_doors_are_open() {
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
    fn counts_are_read_from_our_own_page_alone() {
        assert_eq!(read_counts("<html>"), None);
        let page = "# TYPE phlo2fa_callbacks counter\nphlo2fa_callbacks_total{kind=\"phlo\",result=\"applied\"} 3\n";
        let before = read_counts(page).unwrap();
        let after = read_counts(&page.replace('3', "5")).unwrap();
        assert_eq!(difference(&before, after).into_values().collect::<Vec<_>>(), [2]);
    }
}
