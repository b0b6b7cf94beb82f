//! The credentials: asks Plivo for the account, which costs nothing and sends nothing.

use serde_json::Value;

use super::clock::{self, ClockReading};
use super::finding::Reporter;
use super::web::{connection_fault, plain};
use crate::config::Config;
use crate::plivo::client::Client;

const NAME: &str = "credentials";
/// Credit in USD below which doctor warns: a hundred texts to an expensive country.
const CREDIT_LOW: f64 = 5.0;

/// The account, for later checks.
pub(super) struct Account {
    pub(super) credentials: CredentialStatus,
    /// Plivo's clock, if its answer had a date.
    pub(super) clock: Option<ClockReading>,
}

/// Whether later checks can use the credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CredentialStatus {
    /// With the API and with the PHLO runner.
    Accepted,
    /// With neither.
    Refused,
    /// Not with the API; the PHLO runner, another host, may accept them.
    Unknown,
}

/// `GET /v1/Account/{id}/`. Source: plivo-go `accounts.go`, which also says that a trial is a `developer`.
pub(super) async fn examine(config: &Config, plivo: &Client, report: &mut Reporter<'_>) -> Account {
    let url = plivo.account_url("");
    let sent_ms = clock::now_ms();
    let answer = match plivo.get(&url).await {
        Ok(answer) => answer,
        Err(error) => {
            let fault = connection_fault(&error);
            let detail = format!("{} does not answer: {}", config.plivo_api_url, fault.problem);
            let remedy = format!(
                "{}; this machine needs network access to Plivo's API (DNS, firewall, HTTPS_PROXY)",
                fault.remedy
            );
            report.wrong(NAME, detail, remedy);
            return Account { credentials: CredentialStatus::Unknown, clock: None };
        }
    };
    let clock = answer.date.as_deref().and_then(|date| ClockReading::of_date(date, sent_ms, clock::now_ms()));
    let is_sub = config.plivo_auth_id.starts_with("SA");
    let shown = shortened(&config.plivo_auth_id);
    let credentials = match answer.status {
        200 => {
            describe(&shown, &answer.body, report);
            CredentialStatus::Accepted
        }
        401 => {
            let remedy = "copy Auth ID and Auth Token again from the console's overview; of several tokens in \
                        PLIVO_AUTH_TOKEN the first is used";
            report.wrong(NAME, format!("Plivo does not accept PLIVO_AUTH_TOKEN for account {shown} (401)"), remedy);
            CredentialStatus::Refused
        }
        403 | 404 if is_sub => {
            let detail = format!("Plivo does not describe subaccount {shown} to itself ({})", answer.status);
            report.warn(NAME, detail, "nothing, if texts are sent; see the checks below");
            CredentialStatus::Accepted
        }
        403 => {
            let remedy = "add this machine's address to the account's list of allowed addresses";
            report.wrong(NAME, format!("Plivo refuses account {shown} from this address (403)"), remedy);
            CredentialStatus::Refused
        }
        404 => {
            report.wrong(NAME, format!("Plivo does not know account {shown} (404)"), "correct PLIVO_AUTH_ID");
            CredentialStatus::Refused
        }
        status => {
            let remedy = "try again in a minute; check PLIVO_API_URL and Plivo's status page";
            report.wrong(NAME, format!("Plivo answers HTTP {status}"), remedy);
            CredentialStatus::Unknown
        }
    };
    Account { credentials, clock }
}

fn describe(shown: &str, body: &Value, report: &mut Reporter<'_>) {
    let kind = body["account_type"].as_str().map(|kind| plain(kind).to_ascii_lowercase());
    let credit: Option<f64> = match &body["cash_credits"] {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    };
    let mut detail = format!("account {shown}");
    if let Some(kind) = &kind {
        detail += &format!(" ({kind})");
    }
    if let Some(credit) = credit {
        detail += &format!(", credit {credit:.2} USD");
    }
    let is_recharged = body["auto_recharge"].as_bool() == Some(true);
    let is_postpaid = body["billing_mode"].as_str() == Some("postpaid");
    if kind.is_some_and(|kind| ["developer", "trial", "free"].contains(&kind.as_str())) {
        let detail = detail + ": a trial, which reaches only numbers that are verified in Plivo's console";
        report.warn(NAME, detail, "add funds before you text other numbers");
    } else if credit.is_some_and(|credit| credit < CREDIT_LOW) && !is_recharged && !is_postpaid {
        report.warn(NAME, detail + ": too little to send for long", "add funds, or turn on auto-recharge");
    } else {
        report.ok(NAME, detail);
    }
}

/// A shortened id, enough to tell two accounts apart.
fn shortened(auth_id: &str) -> String {
    match (auth_id.get(..2), auth_id.get(auth_id.len().saturating_sub(2)..)) {
        (Some(start), Some(end)) if auth_id.len() > 8 => format!("{start}…{end}"),
        _ => "…".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Finding, Verdict};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_trial_and_low_credit_are_warned_about() {
        let described = |body: Value| {
            let mut found = Vec::new();
            let mut print = |finding: &Finding| found.push(finding.clone());
            describe("MA…00", &body, &mut Reporter::new(&mut print));
            found.remove(0)
        };
        let good = described(json!({ "account_type": "standard", "cash_credits": "100.00000" }));
        assert_eq!(good.to_string(), "ok    credentials: account MA…00 (standard), credit 100.00 USD");
        assert_eq!(described(json!({})).result, Verdict::Ok);
        assert_eq!(described(json!({ "account_type": "developer", "cash_credits": "9" })).result, Verdict::Warn);
        assert_eq!(described(json!({ "account_type": "standard", "cash_credits": 1.5 })).result, Verdict::Warn);
        assert_eq!(described(json!({ "cash_credits": "1", "auto_recharge": true })).result, Verdict::Ok);
    }
}
