//! The PHLO: whether it exists, and with `--run` whether it branches on `mode`.
//!
//! The test run has a `mode` that no branch of the documented flow takes. Its destination is the source number, so that
//! another flow reaches no user either. It cannot show whether Start declares `otp`, `ref`, `text` and `language`: a flow that
//! does not declare them reports no error.

use serde_json::Value;

use super::account::{Account, CredentialStatus};
use super::finding::Reporter;
use super::web::{connection_fault, plain};
use crate::config::Config;
use crate::plivo::Reply;
use crate::plivo::client::Client;
use crate::plivo::phlo::RunRequest;

const NAME: &str = "phlo";
const KEYS: &str = "phlo keys";
const ID_WRONG: &str = "copy the id from the console's list of PHLOs to PHLO_ID, and publish the PHLO";
const FLOW_WRONG: &str = "build the flow as in phlo/README.md: Start's API Request to a Branch on \
                          {{Start.http.params.mode}}, its No Match unwired";

pub(super) async fn examine(
    config: &Config,
    plivo: &Client,
    account: &Account,
    is_to_run: bool,
    report: &mut Reporter<'_>,
) {
    let Some(id) = &config.phlo_id else {
        return report.ok(NAME, "none: the Message and Call APIs are used");
    };
    if account.credentials == CredentialStatus::Refused {
        return report.skip(NAME, "the credentials are refused");
    }
    let is_there = look_up(config, plivo, id, report).await;
    if !is_to_run {
        if is_there {
            report.skip(KEYS, "only a run shows whether the flow reads the payload: doctor --run (reaches no user)");
        }
        return;
    }
    run(config, plivo, id, report).await;
}

/// `GET /v1/phlo/{id}/`, which plivo-python requests before every run.
async fn look_up(config: &Config, plivo: &Client, id: &str, report: &mut Reporter<'_>) -> bool {
    let url = format!("{}/v1/phlo/{id}/", config.plivo_phlo_url);
    let answer = match plivo.get(&url).await {
        Ok(answer) => answer,
        Err(error) => {
            let fault = connection_fault(&error);
            let remedy =
                format!("{}; the runner is another host than the API and needs its own network access", fault.remedy);
            report.wrong(NAME, format!("{} does not answer: {}", config.plivo_phlo_url, fault.problem), remedy);
            return false;
        }
    };
    match answer.status {
        200 => {
            let name =
                answer.body["name"].as_str().map_or("without a name".to_owned(), |name| format!("\"{}\"", plain(name)));
            report.ok(NAME, format!("{name} exists"));
            return true;
        }
        404 => report.wrong(NAME, "the runner does not know this PHLO, or it is not published (404)", ID_WRONG),
        401 => report.wrong(
            NAME,
            "the runner does not accept the credentials (401), though the API may",
            "use the account in which the PHLO was built",
        ),
        status => {
            report.wrong(
                NAME,
                format!("the runner answers HTTP {status}"),
                "try again in a minute, and check Plivo's status page",
            );
        }
    }
    false
}

async fn run(config: &Config, plivo: &Client, id: &str, report: &mut Reporter<'_>) {
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
        Reply::Success(_, body) => match classify(&body) {
            RunResult::Branches => report.ok(
                KEYS,
                "the flow branches on mode, and its No Match is unwired; whether it declares otp, ref, text and \
                 language shows only when it sends",
            ),
            RunResult::Unwired => report.wrong(KEYS, "nothing is wired to the Start node's API Request", FLOW_WRONG),
            RunResult::Sends => report.wrong(
                KEYS,
                "the flow does not branch on mode: it sent a text or a call (to the source number itself)",
                FLOW_WRONG,
            ),
            RunResult::Failed => report.wrong(
                KEYS,
                "the flow does not branch on mode: it tried a text or a call, which failed",
                FLOW_WRONG,
            ),
            RunResult::Unknown(prose) => report.warn(
                KEYS,
                format!("the run's answer is not a known one: {prose}"),
                "check the run's log in Plivo's console: it should end at the Branch, by No Match",
            ),
        },
        Reply::Refused(404, _) => report.wrong(KEYS, "the PHLO cannot be run (404): it is not published", ID_WRONG),
        Reply::Refused(status, _) => {
            report.wrong(KEYS, format!("the runner refuses the run (HTTP {status})"), FLOW_WRONG);
        }
        Reply::NotNow(Some(status), _) | Reply::Failed(status) => {
            report.wrong(KEYS, format!("the runner answers HTTP {status} to the run"), "try again in a minute");
        }
        Reply::NotNow(None, _) | Reply::Silent => {
            report.wrong(KEYS, "the run got no answer", "try again; set PLIVO_TIMEOUT to 10 s or more");
        }
    }
}

/// What the answer to a run shows about the flow.
#[derive(Debug, PartialEq, Eq)]
enum RunResult {
    Branches,
    Unwired,
    Sends,
    Failed,
    Unknown(String),
}

/// Searches the answer's message text, which is undocumented. Its shape: the test data of plivo-go, and plivo-node issue 250.
///
/// How the runner spells a Branch's No Match is not published, so any end at a Branch that is not a failure counts.
fn classify(body: &Value) -> RunResult {
    let prose = body["message"].as_str().unwrap_or_default();
    let said = prose.to_ascii_lowercase();
    let state = said.split_once("output state:").map(|(_, after)| {
        let until_dash = after.split(" - ").next().unwrap_or_default();
        until_dash.chars().filter(char::is_ascii_alphanumeric).collect::<String>()
    });
    let sends = ["message_uuid", "request_uuid", "call_uuid", "queued", "call fired"];
    match state.as_deref() {
        _ if sends.iter().any(|word| said.contains(word)) => RunResult::Sends,
        Some("http") => RunResult::Unwired,
        Some("nomatch") => RunResult::Branches,
        Some("failed") => RunResult::Failed,
        Some(_) if said.contains("branch") => RunResult::Branches,
        _ => RunResult::Unknown(plain(prose)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_answer_to_a_run_shows_whether_the_flow_branches() {
        let classify = |prose: &str| classify(&json!({ "message": prose }));
        let stopped = |node: &str, state: &str| {
            format!("stopped. next node uuid not found for {node} with output state: {state} - phlo_run_id 7b70")
        };
        assert_eq!(classify(&stopped("b'Branch' - b'Branch_1'", "no_match")), RunResult::Branches);
        assert_eq!(classify(&stopped("b'Branch' - b'Branch_1'", "No Match")), RunResult::Branches);
        assert_eq!(classify(&stopped("b'Conditional Branch' - b'x'", "else")), RunResult::Branches);
        assert_eq!(classify(&stopped("b'Start' - b'Start'", "http")), RunResult::Unwired);
        assert_eq!(classify(&stopped("b'Send SMS' - b'Send_SMS_1'", "failed")), RunResult::Failed);
        let sent = "b'Send SMS' - b'Send_SMS_1' with phlo_run_uuid: 7b executed with response: {'message': \
                    'message(s) queued', 'message_uuid': ['8b1f']}";
        assert_eq!(classify(sent), RunResult::Sends);
        assert_eq!(classify("to +14155550100"), RunResult::Unknown("to +…".to_owned()));
    }
}
