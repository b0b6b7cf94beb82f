//! Checks of the settings about costs, senders, wordings and test numbers.

use std::collections::BTreeMap;

use super::check::listed;
use super::faults::Checked;
use super::types::TestNumbers;
use crate::phone::PhoneNumber;
use crate::plivo::Senders;
use crate::verification::Code;

pub(super) const TEMPLATES: &str = r#"{"en":{"text":"{code} is your code."}}"#;

pub(super) fn senders(text: &str) -> Checked<Senders> {
    Senders::parse(text).map_err(|error| error.to_string())
}

/// An amount of US dollars from 0 to 1000.
///
/// # Errors
/// Fails with the rule, in words, for any other text.
pub fn dollars(text: &str) -> Result<f64, String> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let value = text.parse().ok().filter(|value: &f64| plain && (0.0..=1000.0).contains(value));
    value.ok_or("must be US dollars from 0 to 1000, such as 0.025".into())
}

pub(super) fn flag(text: &str) -> Checked<bool> {
    text.parse().map_err(|_| "must be true or false".into())
}

/// `number:code,number:code`. A fault names an entry by its position.
pub(super) fn test_numbers(text: &str) -> Checked<TestNumbers> {
    let mut numbers = BTreeMap::new();
    for (entry, i) in listed(text).zip(1..) {
        let Some((number, code)) = entry.split_once(':') else { return Err(format!("entry {i} is not number:code")) };
        let number = PhoneNumber::fictional(number).map_err(|why| format!("entry {i}: the number {why}"))?;
        let code = Code::parse(code).ok_or(format!("entry {i} has a code that is not 4 to 10 digits"))?;
        if numbers.insert(number.e164().to_owned(), (number, code)).is_some() {
            return Err(format!("entry {i} repeats the number of an earlier entry"));
        }
    }
    Ok(TestNumbers(numbers))
}
