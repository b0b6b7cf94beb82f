//! The source numbers: that they are the account's, and can text and call.
//!
//! Whether a country's carriers take texts from them (10DLC, DLT, sender registration) is not told by the
//! number; only a text shows it.

use std::collections::BTreeSet;

use super::account::{Account, Standing};
use super::finding::Chart;
use super::web::trouble;
use crate::config::{Config, Countries};
use crate::phone::PhoneNumber;
use crate::plivo::SenderId;
use crate::plivo::client::Client;

const NAME: &str = "number";
const SENDERS: &str = "senders";

pub(super) async fn examine(config: &Config, plivo: &Client, account: &Account, chart: &mut Chart<'_>) {
    match account.standing {
        Standing::Good => {}
        Standing::Refused => return chart.skip(NAME, "the credentials are refused"),
        Standing::Unknown => return chart.skip(NAME, "Plivo's API does not answer as it should"),
    }
    look_up(NAME, plivo, &config.plivo_number, chart).await;
    for number in senders(config, chart) {
        if number != config.plivo_number {
            look_up(SENDERS, plivo, &number, chart).await;
        }
    }
}

/// `GET …/Number/{digits}/`. Source: plivo-python `resources/numbers.py`, plivo-go `numbers.go`.
async fn look_up(name: &'static str, plivo: &Client, number: &PhoneNumber, chart: &mut Chart<'_>) {
    let url = plivo.account_url(&format!("Number/{}/", number.digits()));
    let seen = match plivo.get(&url).await {
        Ok(seen) => seen,
        Err(error) => {
            let trouble = trouble(&error);
            return chart.wrong(name, format!("{number} cannot be looked up: {}", trouble.what), trouble.mend);
        }
    };
    let variable = if name == NAME { "PLIVO_NUMBER" } else { "SENDERS" };
    match seen.status {
        200 => {}
        404 => {
            let mend = format!("rent or port it to this account, or set {variable} to one that the console lists");
            return chart.wrong(name, format!("{number} is not a number of this account"), mend);
        }
        status => {
            return chart.warn(name, format!("{number} cannot be looked up (HTTP {status})"), "see it in the console");
        }
    }
    let is_off = |field: &str| seen.body[field].as_bool() == Some(false);
    if is_off("active") {
        return chart.wrong(name, format!("{number} is not active"), "see its state in the console");
    }
    let cannot: Vec<_> =
        [("sms_enabled", "text"), ("voice_enabled", "call")].into_iter().filter(|(field, _)| is_off(field)).collect();
    match cannot.as_slice() {
        [] => {
            let is_told = seen.body["sms_enabled"].is_boolean() && seen.body["voice_enabled"].is_boolean();
            let can = if is_told { "can text and call" } else { "is the account's; what it can do is not told" };
            chart.ok(name, format!("{number} {can}"));
        }
        lacking => {
            let lacking = lacking.iter().map(|(_, what)| *what).collect::<Vec<_>>().join(" nor ");
            let mend = format!("set {variable} to a number with both SMS and voice, or enable it in the console");
            chart.wrong(name, format!("{number} cannot {lacking}"), mend);
        }
    }
}

/// The numbers of `SENDERS` for the countries that are served. Says which sources no one can look up.
fn senders(config: &Config, chart: &mut Chart<'_>) -> Vec<PhoneNumber> {
    let Countries::Only(countries) = &config.countries else {
        if config.senders != Default::default() {
            chart.skip(SENDERS, "COUNTRIES is *, so which of SENDERS are used is not known");
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
        chart.skip(SENDERS, format!("a name, short code or Powerpack ({countries}) cannot be looked up as a number"));
    }
    numbers
}
