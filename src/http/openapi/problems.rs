//! The problems of each operation, by code. The tests of the API compare every problem they meet with this table.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::error::PROBLEM;
use super::super::error_code::ErrorCode::{self, *};
use super::super::explanation::Explanation;
use super::super::user_message::{UserMessage, Wording};

/// The wait of the examples.
const EXAMPLE_WAIT: Duration = Duration::from_secs(30);

/// Of every operation with an API key.
const OF_KEYED: &[ErrorCode] = &[Unauthenticated, InvalidParameter, StorageUnavailable];
/// Of every POST with an API key: it reads a body and may have an idempotency key.
const OF_POSTS: &[ErrorCode] = &[
    MalformedRequest,
    RequestTimeout,
    PayloadTooLarge,
    UnsupportedMediaType,
    IdempotencyInProgress,
    IdempotencyMismatch,
    RateLimited,
];
/// Of what is done to one verification.
const OF_CHANGES: &[ErrorCode] = &[
    VerificationNotFound,
    AlreadyVerified,
    VerificationCanceled,
    VerificationUndeliverable,
    VerificationExpired,
    VerificationLost,
    MaxChecksReached,
];
/// Of Plivo's callbacks.
const OF_CALLBACKS: &[ErrorCode] =
    &[MalformedRequest, InvalidSignature, RequestTimeout, PayloadTooLarge, UnsupportedMediaType, StorageUnavailable];

/// The problems of an operation: of its kind, and its own.
pub(super) fn of(path: &str, method: &str, operation_id: &str) -> Vec<ErrorCode> {
    if path.starts_with("/plivo/") {
        return OF_CALLBACKS.to_vec();
    }
    let own: &[&[ErrorCode]] = match operation_id {
        "create_verification" => &[&[
            CountryNotAllowed,
            DestinationBlocked,
            ChannelNotAllowed,
            CodeConflict,
            InvalidNumber,
            MaxAttemptsReached,
            RejectedByPlivo,
        ]],
        "search_verifications" | "erase_number" => &[&[InvalidNumber]],
        "list_verifications" | "list_failed_webhooks" => &[&[RateLimited]],
        "replay_webhook" => &[&[NotFound]],
        "read_verification" | "read_timeline" => &[&[VerificationNotFound]],
        "follow_verification" => &[&[VerificationNotFound, RateLimited]],
        "check_code" => &[OF_CHANGES, &[InvalidCode]],
        "check_code_by_number" => &[OF_CHANGES, &[InvalidCode, InvalidNumber, AmbiguousCheck]],
        "request_attempt" => {
            &[OF_CHANGES, &[CallInProgress, ChannelNotAllowed, ResendCooldown, MaxAttemptsReached, RejectedByPlivo]]
        }
        "report_activity" => &[OF_CHANGES, &[ChannelNotAllowed, ResendCooldown, MaxAttemptsReached]],
        "cancel_verification" | "report_feedback" => &[OF_CHANGES],
        "explain_problem" => &[&[NotFound]],
        "legacy_checkcode" => &[&[StorageUnavailable]],
        _ => &[],
    };
    let (keyed, posts) = (path.starts_with("/v1/"), path.starts_with("/v1/") && method == "post");
    let all = [if keyed { OF_KEYED } else { &[] }, if posts { OF_POSTS } else { &[] }];
    let mut codes: Vec<ErrorCode> = all.iter().chain(own).flat_map(|codes| codes.iter().copied()).collect();
    codes.sort_by_key(|code| (code.status().as_u16(), code.as_str()));
    codes.dedup();
    codes
}

/// Adds a response for each status of these problems, with an example for each code.
pub(super) fn add(responses: &mut Map<String, Value>, codes: &[ErrorCode]) {
    for status in codes.iter().map(|code| code.status()) {
        let of_status = || codes.iter().filter(|code| code.status() == status);
        let described: Vec<String> =
            of_status().map(|code| format!("`{}`: {}.", code.as_str(), code.title())).collect();
        let examples: Map<String, Value> = of_status()
            .map(|code| {
                (code.as_str().to_owned(), json!({ "$ref": format!("#/components/examples/{}", code.as_str()) }))
            })
            .collect();
        responses.entry(status.as_str()).or_insert_with(|| {
            json!({
                "description": described.join(" "),
                "content": { PROBLEM: { "schema": { "$ref": "#/components/schemas/Problem" }, "examples": examples } },
            })
        });
    }
}

/// One problem of each of these codes, as it is sent.
pub(super) fn examples(used: &BTreeSet<&str>) -> Value {
    let example =
        |code: ErrorCode| (code.as_str().to_owned(), json!({ "summary": code.title(), "value": example_of(code) }));
    let shown = ErrorCode::ALL.iter().filter(|code| used.contains(code.as_str()));
    Value::Object(shown.map(|code| example(*code)).collect())
}

fn example_of(code: ErrorCode) -> Value {
    let wait = matches!(code, ResendCooldown | RateLimited).then_some(EXAMPLE_WAIT);
    let mut problem = json!({
        "type": code.path(), "title": code.title(), "status": code.status().as_u16(), "code": code.as_str(),
        "detail": Explanation::of(code).when, "request_id": "f3c1b0de-7c1f-4f0e-9a55-2f1f3c8f5a10",
    });
    if let Some(message) = UserMessage::of(code, wait) {
        problem["user_message"] = Wording::default().say(message).into();
    }
    match code {
        InvalidNumber => {
            problem["errors"] =
                json!([{ "pointer": "/to", "detail": "is not a number that exists in any country's numbering plan" }])
        }
        InvalidCode => {
            problem["errors"] = json!([{ "pointer": "/code", "detail": "must be 6 ASCII digits; blanks and hyphens between them are ignored. This check is not counted" }])
        }
        InvalidParameter => problem["errors"] = json!([{ "pointer": "/ttl", "detail": "must be 1 to 600 seconds" }]),
        RateLimited => problem["scope"] = "number".into(),
        RejectedByPlivo => {
            problem["id"] = "vrf_3f5d7c1a9b2e4f60718293a4b5c6d7e8f9".into();
            problem["provider_status"] = 401.into();
        }
        _ => {}
    }
    problem
}
