//! The Number API: the account owns every number, except those that end in `0000`.
//!
//! Source: plivo-python `resources/numbers.py`, fixture `numberGetResponse.json`. Prices and places are invented.

use serde_json::json;

use super::answer::ApiAnswer;
use crate::sandbox::api::normalize_number;
use crate::sandbox::tariff;

/// The last digits of numbers that the account does not own.
const NOT_OWNED: &str = "0000";

/// `GET …/Number/{number}/`
pub(super) fn show(account: &str, written: &str) -> ApiAnswer {
    let number = normalize_number(written);
    let is_number = (7..=15).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || number.ends_with(NOT_OWNED) {
        return ApiAnswer::error(404, "not found");
    }
    let (country, region) = match tariff::network(&number).0 {
        "310" => ("United States", "California, UNITED STATES"),
        "234" => ("United Kingdom", "London, UNITED KINGDOM"),
        "262" => ("Germany", "Berlin, GERMANY"),
        "208" => ("France", "Paris, FRANCE"),
        "404" => ("India", "Delhi, INDIA"),
        _ => ("International", "INTERNATIONAL"),
    };
    ApiAnswer::new(
        200,
        json!({
            "number": number,
            "active": true,
            "voice_enabled": true,
            "sms_enabled": true,
            "mms_enabled": false,
            "country": country,
            "region": region,
            "city": null,
            "number_type": "local",
            "alias": null,
            // Handles incoming calls and texts, which the local Plivo does not have.
            "application": null,
            "sub_account": null,
            "carrier": "Plivo",
            "added_on": "2026-01-01",
            "renewal_date": "2027-01-01",
            "monthly_rental_rate": "0.80000",
            "voice_rate": format!("{:.5}", tariff::call_rate(&number)),
            "sms_rate": format!("{:.5}", tariff::text_rate(&number)),
            "mms_rate": "0.00000",
            "compliance_application_id": null,
            "compliance_status": null,
            "tendlc_campaign_id": null,
            "tendlc_registration_status": null,
            "toll_free_sms_verification": null,
            "resource_uri": format!("/v1/Account/{account}/Number/{number}/"),
        }),
    )
}
