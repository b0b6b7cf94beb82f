//! The source numbers: whether the account has them, and whether they can text and call.
//!
//! Whether a country's carriers accept texts from them (10DLC, DLT, sender registration) shows only when a text is sent.

use std::collections::BTreeSet;

use super::account::{Account, CredentialStatus};
use super::finding::Reporter;
use super::web::connection_fault;
use crate::config::{Config, Countries};
use crate::phone::PhoneNumber;
use crate::plivo::SenderId;
use crate::plivo::client::Client;

const NAME: &str = "number";
const SENDERS: &str = "senders";

pub(super) async fn examine(config: &Config, plivo: &Client, account: &Account, report: &mut Reporter<'_>) {
    match account.credentials {
        CredentialStatus::Accepted => {}
        CredentialStatus::Refused => return report.skip(NAME, "the credentials are refused"),
        CredentialStatus::Unknown => return report.skip(NAME, "Plivo's API does not answer as expected"),
    }
    look_up(NAME, plivo, &config.plivo_number, report).await;
    for number in senders(config, report) {
        if number != config.plivo_number {
            look_up(SENDERS, plivo, &number, report).await;
        }
    }
}

/// `GET …/Number/{digits}/`. Source: plivo-python `resources/numbers.py`, plivo-go `numbers.go`.
async fn look_up(name: &'static str, plivo: &Client, number: &PhoneNumber, report: &mut Reporter<'_>) {
    let url = plivo.account_url(&format!("Number/{}/", number.digits()));
    let answer = match plivo.get(&url).await {
        Ok(answer) => answer,
        Err(error) => {
            let fault = connection_fault(&error);
            return report.wrong(name, format!("{number} cannot be looked up: {}", fault.problem), fault.remedy);
        }
    };
    let variable = if name == NAME { "PLIVO_NUMBER" } else { "SENDERS" };
    match answer.status {
        200 => {}
        404 => {
            let remedy = format!("rent it or port it to this account, or set {variable} to a number in the console");
            return report.wrong(name, format!("{number} is not a number of this account"), remedy);
        }
        status => {
            let detail = format!("{number} cannot be looked up (HTTP {status})");
            return report.warn(name, detail, "check the number in the console");
        }
    }
    let is_off = |field: &str| answer.body[field].as_bool() == Some(false);
    if is_off("active") {
        return report.wrong(name, format!("{number} is not active"), "check its state in the console");
    }
    let cannot: Vec<_> =
        [("sms_enabled", "text"), ("voice_enabled", "call")].into_iter().filter(|(field, _)| is_off(field)).collect();
    match cannot.as_slice() {
        [] => {
            let is_reported = answer.body["sms_enabled"].is_boolean() && answer.body["voice_enabled"].is_boolean();
            let can =
                if is_reported { "can text and call" } else { "is the account's; Plivo does not say what it can do" };
            report.ok(name, format!("{number} {can}"));
        }
        lacking => {
            let lacking = lacking.iter().map(|(_, what)| *what).collect::<Vec<_>>().join(" nor ");
            let remedy = format!("set {variable} to a number with both SMS and voice, or enable it in the console");
            report.wrong(name, format!("{number} cannot {lacking}"), remedy);
        }
    }
}

/// The numbers in `SENDERS` for the allowed countries. Reports the sources that are not numbers.
fn senders(config: &Config, report: &mut Reporter<'_>) -> Vec<PhoneNumber> {
    let Countries::Only(countries) = &config.countries else {
        if config.senders != Default::default() {
            report.skip(SENDERS, "COUNTRIES is *, so it is not known which of SENDERS are used");
        }
        return Vec::new();
    };
    let (mut numbers, mut others) = (Vec::new(), BTreeSet::new());
    for country in countries {
        match config.senders.of_text(country) {
            Some(SenderId::Source(source)) => match PhoneNumber::parse(source) {
                Ok(number) if !numbers.contains(&number) => numbers.push(number),
                Ok(_) => {}
                Err(_) => drop(others.insert(country.to_string())),
            },
            Some(SenderId::Powerpack(_)) => drop(others.insert(country.to_string())),
            None => {}
        }
    }
    if !others.is_empty() {
        let countries = others.into_iter().collect::<Vec<_>>().join(", ");
        report.skip(SENDERS, format!("a name, short code or Powerpack ({countries}) cannot be looked up as a number"));
    }
    numbers
}
