//! What each reply of Plivo to a request means, for both channels and both parts of Plivo; and the back-off.

use std::fmt::Write;
use std::time::Duration;

use phlo_2fa::verification::{
    Channel, ProviderId, RefusalScope, TriggerOutcome, TriggerReply, TriggerRequest, Via, outcome_of,
};

/// The round of every request but those of the back-off: not the first, so that a lost round is seen.
const ROUND: u16 = 2;

/// Every part of Plivo and every channel.
pub fn requests() -> Vec<TriggerRequest> {
    let request = |via, channel, failed| TriggerRequest { via, channel, round: ROUND, failed };
    let each = [Via::Phlo, Via::Api].into_iter().flat_map(|via| [Channel::Sms, Channel::Call].map(|c| (via, c)));
    each.flat_map(|(via, c)| [0, 1].map(|failed| request(via, c, failed))).collect()
}

/// Every reply, by the HTTP status that brings it.
pub fn replies() -> Vec<(&'static str, TriggerReply)> {
    use RefusalScope::{Account, Attempt, Number};
    let accepted = |uuid: Option<&str>, run_id: Option<&str>| TriggerReply::Accepted {
        provider_id: uuid.map(|uuid| ProviderId { uuid: uuid.to_owned(), is_linked: true }),
        run_id: run_id.map(str::to_owned),
    };
    let refused = |status, scope| TriggerReply::Refused { status, scope };
    let not_now = |status, seconds: Option<u64>| {
        let retry_after = seconds.map(Duration::from_secs);
        TriggerReply::NotNow { status, retry_after }
    };
    vec![
        ("accepted", accepted(None, None)),
        ("accepted, an id", accepted(Some("u"), None)),
        ("accepted, a run", accepted(None, Some("run"))),
        ("201, its node failed", refused(201, Attempt)),
        ("302", refused(302, Attempt)),
        ("400", refused(400, Attempt)),
        ("400, no credit", refused(400, Account)),
        ("401", refused(401, Account)),
        ("402", refused(402, Account)),
        ("403", refused(403, Attempt)),
        ("403, the number", refused(403, Number)),
        ("404", refused(404, Attempt)),
        ("429", not_now(Some(429), None)),
        ("429, Retry-After 0", not_now(Some(429), Some(0))),
        ("429, Retry-After 7", not_now(Some(429), Some(7))),
        ("500", TriggerReply::Failed { status: 500 }),
        ("502", TriggerReply::Failed { status: 502 }),
        ("503", not_now(Some(503), None)),
        ("503, Retry-After 7", not_now(Some(503), Some(7))),
        ("504", TriggerReply::Failed { status: 504 }),
        ("no connection", not_now(None, None)),
        ("no answer in time", TriggerReply::Silent),
    ]
}

/// The section of the table.
pub fn lines() -> String {
    let mut lines = String::new();
    for request in requests() {
        let TriggerRequest { channel, via, round, failed } = request;
        let via = via.as_str();
        writeln!(lines, "{} requested by way of {via}, round {round}, {failed} failed before", channel.as_str())
            .unwrap();
        for (name, reply) in replies() {
            writeln!(lines, "    {name:26} {}", outcome(&outcome_of(request, reply, 1.0))).unwrap();
        }
        lines.push('\n');
    }
    lines + &backoff_lines()
}

fn outcome(outcome: &TriggerOutcome) -> String {
    let status = |status: &Option<u16>| status.map_or("no answer".to_owned(), |status| status.to_string());
    match outcome {
        TriggerOutcome::Accepted { via, provider_id, run_id } => {
            let id = if provider_id.is_some() { ", an id" } else { "" };
            let run = if run_id.is_some() { ", a run" } else { "" };
            format!("accepted by {}{id}{run}", via.as_str())
        }
        TriggerOutcome::PassedOn { provider_status, round } => {
            format!("PASSED ON after {}, round {round}", status(provider_status))
        }
        TriggerOutcome::Refused { via, provider_status, scope } => {
            let scope = match scope {
                RefusalScope::Attempt => "attempt",
                RefusalScope::Account => "account",
                RefusalScope::Number => "number",
            };
            format!("refused by {} with {provider_status}: {scope}", via.as_str())
        }
        TriggerOutcome::Waiting { .. } => "waits".to_owned(),
        TriggerOutcome::TimedOut { via } => format!("unknown by {}", via.map_or("either", Via::as_str)),
        TriggerOutcome::Deferred { provider_status, retry_after, round } => {
            let seconds = retry_after.as_secs_f64();
            format!("DEFERRED after {}, round {round}: again in {seconds} s", status(provider_status))
        }
    }
}

/// The least and the longest pause after each failed request, in seconds; jitter outside its range counts as its nearest end.
fn backoff_lines() -> String {
    let pause = |failed, seconds: Option<u64>, jitter| {
        let request = TriggerRequest { via: Via::Api, channel: Channel::Call, round: ROUND, failed };
        let reply = TriggerReply::NotNow { status: Some(429), retry_after: seconds.map(Duration::from_secs) };
        match outcome_of(request, reply, jitter) {
            TriggerOutcome::Deferred { retry_after, .. } => retry_after.as_secs_f64(),
            other => panic!("{other:?}"),
        }
    };
    let mut lines = "back-off of the direct API, without and with Retry-After\n".to_owned();
    for failed in [0, 1, 2, 3, 4, u8::MAX] {
        write!(lines, "    {:26}", format!("{failed} failed before")).unwrap();
        for (name, seconds) in [("none", None), ("0 s", Some(0)), ("7 s", Some(7)), ("60 s", Some(60))] {
            let [least, most] = [0.9, 1.0].map(|jitter| pause(failed, seconds, jitter));
            assert_eq!([-1.0, 2.0].map(|jitter| pause(failed, seconds, jitter)), [least, most]);
            write!(lines, " {name}: {least}..{most};").unwrap();
        }
        lines.push('\n');
    }
    lines.push('\n');
    lines
}
