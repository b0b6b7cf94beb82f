//! The PHLO: that it is there, and with `--run` that it branches on what we send.
//!
//! The run has a `mode` that no branch of the documented flow takes, and the source number for its own
//! destination, so that another flow too reaches nobody else. What it cannot tell: whether Start
//! declares `otp`, `ref`, `text` and `language`; a flow that cannot read them says nothing of it.

use serde_json::Value;

use super::account::{Account, Standing};
use super::finding::Chart;
use super::web::{plain, trouble};
use crate::config::Config;
use crate::plivo::Reply;
use crate::plivo::client::Client;
use crate::plivo::phlo::RunRequest;

const NAME: &str = "phlo";
const KEYS: &str = "phlo keys";
const ID_WRONG: &str = "copy the id from the console's list of PHLOs into PHLO_ID, and publish the PHLO";
const FLOW_WRONG: &str = "build the flow as phlo/README.md has it: Start's API Request to a Branch on \
                          {{Start.http.params.mode}}, its No Match unwired";

pub(super) async fn examine(
    config: &Config,
    plivo: &Client,
    account: &Account,
    is_to_run: bool,
    chart: &mut Chart<'_>,
) {
    let Some(id) = &config.phlo_id else {
        return chart.ok(NAME, "none: texts and calls go through the Message and Call APIs");
    };
    if account.standing == Standing::Refused {
        return chart.skip(NAME, "the credentials are refused");
    }
    let is_there = look_up(config, plivo, id, chart).await;
    if !is_to_run {
        if is_there {
            chart.skip(KEYS, "whether the flow reads our keys shows only when it runs: doctor --run (reaches nobody)");
        }
        return;
    }
    run(config, plivo, id, chart).await;
}

/// `GET /v1/phlo/{id}/`, which plivo-python asks before every run.
async fn look_up(config: &Config, plivo: &Client, id: &str, chart: &mut Chart<'_>) -> bool {
    let url = format!("{}/v1/phlo/{id}/", config.plivo_phlo_url);
    let seen = match plivo.get(&url).await {
        Ok(seen) => seen,
        Err(error) => {
            let trouble = trouble(&error);
            let mend =
                format!("{}; the runner is another host than the API and needs a way out of its own", trouble.mend);
            chart.wrong(NAME, format!("{} cannot be asked: {}", config.plivo_phlo_url, trouble.what), mend);
            return false;
        }
    };
    match seen.status {
        200 => {
            let name =
                seen.body["name"].as_str().map_or("without a name".to_owned(), |name| format!("\"{}\"", plain(name)));
            chart.ok(NAME, format!("{name} is there"));
            return true;
        }
        404 => chart.wrong(NAME, "the runner knows no PHLO of that id, or it is not published (404)", ID_WRONG),
        401 => chart.wrong(
            NAME,
            "the runner does not take the credentials (401), though the API may",
            "use the account that the PHLO was built in",
        ),
        status => {
            chart.wrong(
                NAME,
                format!("the runner answers HTTP {status}"),
                "try again in a minute; see Plivo's status page",
            );
        }
    }
    false
}

async fn run(config: &Config, plivo: &Client, id: &str, chart: &mut Chart<'_>) {
    let own = config.plivo_number.e164();
    let payload = RunRequest {
        from: own,
        to: own,
        otp: "000000",
        mode: "doctor",
        reference: "doctor",
        text: "A check of this flow by its operator.",
        language: "en-US",
    };
    let url = format!("{}/v1/account/{}/phlo/{id}", config.plivo_phlo_url, plivo.auth_id());
    match plivo.post(&url, &payload).await {
        Reply::Success(_, body) => match read(&body) {
            Read::Branches => chart.ok(
                KEYS,
                "the flow branches on mode, and its No Match is unwired; whether it declares otp, ref, text and \
                 language cannot be told without sending",
            ),
            Read::Unwired => chart.wrong(KEYS, "nothing is wired to the Start node's API Request", FLOW_WRONG),
            Read::Sends => chart.wrong(
                KEYS,
                "the flow sends whatever mode says: it does not branch on it (it sent to the source number itself)",
                FLOW_WRONG,
            ),
            Read::Failed => chart.wrong(
                KEYS,
                "the flow ran into a text or a call, which failed: it does not branch on mode",
                FLOW_WRONG,
            ),
            Read::Unknown(prose) => chart.warn(
                KEYS,
                format!("the run said what is not known here: {prose}"),
                "see the run's log in Plivo's console: it should end at the Branch, by No Match",
            ),
        },
        Reply::Refused(404, _) => chart.wrong(KEYS, "the PHLO cannot be run (404): it is not published", ID_WRONG),
        Reply::Refused(status, _) => {
            chart.wrong(KEYS, format!("the runner refuses the run (HTTP {status})"), FLOW_WRONG);
        }
        Reply::NotNow(Some(status), _) | Reply::Failed(status) => {
            chart.wrong(KEYS, format!("the runner answers HTTP {status} to the run"), "try again in a minute");
        }
        Reply::NotNow(None, _) | Reply::Silent => {
            chart.wrong(KEYS, "the run got no answer", "try again; PLIVO_TIMEOUT should be 10 s or more");
        }
    }
}

/// What a run's answer says of the flow.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    Branches,
    Unwired,
    Sends,
    Failed,
    Unknown(String),
}

/// Mines the prose, which promises nothing (`plivo/wire.md` 2.1). How the runner spells a Branch's No Match is
/// not published: any end at a Branch that is no failure counts.
fn read(body: &Value) -> Read {
    let prose = body["message"].as_str().unwrap_or_default();
    let said = prose.to_ascii_lowercase();
    let state = said.split_once("output state:").map(|(_, after)| {
        let until_dash = after.split(" - ").next().unwrap_or_default();
        until_dash.chars().filter(char::is_ascii_alphanumeric).collect::<String>()
    });
    let sends = ["message_uuid", "request_uuid", "call_uuid", "queued", "call fired"];
    match state.as_deref() {
        _ if sends.iter().any(|word| said.contains(word)) => Read::Sends,
        Some("http") => Read::Unwired,
        Some("nomatch") => Read::Branches,
        Some("failed") => Read::Failed,
        Some(_) if said.contains("branch") => Read::Branches,
        _ => Read::Unknown(plain(prose)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_prose_of_a_run_says_whether_the_flow_branches() {
        let read = |prose: &str| read(&json!({ "message": prose }));
        let stopped = |node: &str, state: &str| {
            format!("stopped. next node uuid not found for {node} with output state: {state} - phlo_run_id 7b70")
        };
        assert_eq!(read(&stopped("b'Branch' - b'Branch_1'", "no_match")), Read::Branches);
        assert_eq!(read(&stopped("b'Branch' - b'Branch_1'", "No Match")), Read::Branches);
        assert_eq!(read(&stopped("b'Conditional Branch' - b'x'", "else")), Read::Branches);
        assert_eq!(read(&stopped("b'Start' - b'Start'", "http")), Read::Unwired);
        assert_eq!(read(&stopped("b'Send SMS' - b'Send_SMS_1'", "failed")), Read::Failed);
        let sent = "b'Send SMS' - b'Send_SMS_1' with phlo_run_uuid: 7b executed with response: {'message': \
                    'message(s) queued', 'message_uuid': ['8b1f']}";
        assert_eq!(read(sent), Read::Sends);
        assert_eq!(read("to +14155550100"), Read::Unknown("to +…".to_owned()));
    }
}
