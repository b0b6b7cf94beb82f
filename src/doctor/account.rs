//! The credentials: asks Plivo for the account itself, which costs nothing and sends nothing.

use serde_json::Value;

use super::clock::{self, Reading};
use super::finding::Chart;
use super::web::{plain, trouble};
use crate::config::Config;
use crate::plivo::client::Client;

const NAME: &str = "credentials";
/// USD below which it is worth a word: a hundred texts to a dear country.
const CREDIT_LOW: f64 = 5.0;

/// What is known of the account from here on.
pub(super) struct Account {
    /// Whether Plivo takes the credentials.
    pub(super) standing: Standing,
    /// How Plivo's clock stands.
    pub(super) clock: Option<Reading>,
}

/// Whether more can be asked with these credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Of the API, and of the runner.
    Good,
    /// Of neither.
    Refused,
    /// Not of the API now; the runner is another host.
    Unknown,
}

/// `GET /v1/Account/{id}/`. Source: plivo-go `accounts.go`, which also says that a trial is a `developer`.
pub(super) async fn examine(config: &Config, plivo: &Client, chart: &mut Chart<'_>) -> Account {
    let url = plivo.account_url("");
    let asked = clock::now_ms();
    let seen = match plivo.get(&url).await {
        Ok(seen) => seen,
        Err(error) => {
            let trouble = trouble(&error);
            let detail = format!("{} cannot be asked: {}", config.plivo_api_url, trouble.what);
            let mend =
                format!("{}; this machine needs a way out to Plivo's API (DNS, firewall, HTTPS_PROXY)", trouble.mend);
            chart.wrong(NAME, detail, mend);
            return Account { standing: Standing::Unknown, clock: None };
        }
    };
    let clock = seen.date.as_deref().and_then(|date| Reading::of_date(date, asked, clock::now_ms()));
    let is_sub = config.plivo_auth_id.starts_with("SA");
    let shown = shown(&config.plivo_auth_id);
    let standing = match seen.status {
        200 => {
            describe(&shown, &seen.body, chart);
            Standing::Good
        }
        401 => {
            let mend = "copy Auth ID and Auth Token again from the console's overview; of several tokens in \
                        PLIVO_AUTH_TOKEN the first is used";
            chart.wrong(NAME, format!("Plivo does not take PLIVO_AUTH_TOKEN for account {shown} (401)"), mend);
            Standing::Refused
        }
        403 | 404 if is_sub => {
            let detail = format!("Plivo does not tell subaccount {shown} about itself ({})", seen.status);
            chart.warn(NAME, detail, "nothing, if texts go out; the checks below say more");
            Standing::Good
        }
        403 => {
            let mend = "add this machine's address to the account's list of allowed addresses";
            chart.wrong(NAME, format!("Plivo refuses account {shown} from this address (403)"), mend);
            Standing::Refused
        }
        404 => {
            chart.wrong(NAME, format!("Plivo knows no account {shown} (404)"), "correct PLIVO_AUTH_ID");
            Standing::Refused
        }
        status => {
            let mend = "try again in a minute; see PLIVO_API_URL and Plivo's status page";
            chart.wrong(NAME, format!("Plivo answers HTTP {status}"), mend);
            Standing::Unknown
        }
    };
    Account { standing, clock }
}

fn describe(shown: &str, body: &Value, chart: &mut Chart<'_>) {
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
        chart.warn(NAME, detail, "add funds before others are to be reached");
    } else if credit.is_some_and(|credit| credit < CREDIT_LOW) && !is_recharged && !is_postpaid {
        chart.warn(NAME, detail + ": soon nothing can be sent", "add funds, or switch auto-recharge on");
    } else {
        chart.ok(NAME, detail);
    }
}

/// Enough to tell two accounts apart.
fn shown(auth_id: &str) -> String {
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
    fn a_trial_and_an_empty_purse_are_worth_a_word() {
        let described = |body: Value| {
            let mut found = Vec::new();
            let mut tell = |finding: &Finding| found.push(finding.clone());
            describe("MA…00", &body, &mut Chart::new(&mut tell));
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
