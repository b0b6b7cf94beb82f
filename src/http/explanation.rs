//! [`Explanation`]: when a problem occurs and what to do about it. `/problems/<code>` shows it.

use super::error_code::ErrorCode;

/// What a developer reads about a problem.
#[derive(Clone, Copy, Debug)]
pub struct Explanation {
    /// When it occurs.
    pub when: &'static str,
    /// What to do.
    pub action: &'static str,
    /// Whether the same request may succeed later.
    pub may_succeed_later: bool,
}

impl Explanation {
    /// The explanation of a code.
    pub fn of(code: ErrorCode) -> Self {
        use ErrorCode as C;
        let never = |when, action| Self { when, action, may_succeed_later: false };
        let later = |when, action| Self { when, action, may_succeed_later: true };
        match code {
            C::MalformedRequest => {
                never("The body is not valid JSON.", "Correct the body. The detail names line and column.")
            }
            C::MethodNotAllowed => {
                never("The path exists, but not with this method.", "Use a method of the `Allow` header.")
            }
            C::RequestTimeout => {
                later("The headers or the body arrived too slowly.", "Send the request again, in one piece.")
            }
            C::PayloadTooLarge => never("The body is larger than 64 KiB.", "Send a smaller body."),
            C::UnsupportedMediaType => never(
                "The body is not JSON by its `Content-Type`, or is compressed.",
                "Send `Content-Type: application/json`, without `Content-Encoding`.",
            ),
            C::Unauthenticated => never(
                "The API key is missing or unknown.",
                "Send `Authorization: Bearer <secret>` with the secret of your app.",
            ),
            C::InvalidSignature => never(
                "A callback carries no valid signature, ref or callback secret, or its nonce was used before.",
                "Only Plivo and your PHLO call these paths. Run `phlo-2fa doctor` if their callbacks are refused.",
            ),
            C::CountryNotAllowed => never(
                "The service does not send to numbers of this country.",
                "Ask for another number, or ask the operator to allow the country.",
            ),
            C::DestinationBlocked => never(
                "The service does not send to numbers of this range, such as premium rate or satellite numbers.",
                "Ask for a mobile number.",
            ),
            C::ChannelNotAllowed => {
                never("The verification or the number's country allows texts only.", "Use the channel `sms`.")
            }
            C::VerificationNotFound => never(
                "The id or number is unknown to your app, or its verification is no longer kept.",
                "Create a new verification.",
            ),
            C::NotFound => never("There is nothing at this path.", "See the API reference for every path."),
            C::AlreadyVerified => never(
                "The verification has succeeded before; a code works once.",
                "Treat the number as verified only if your own earlier check said so.",
            ),
            C::VerificationCanceled => never(
                "The verification was canceled, or its code was entered for another creation that shared it.",
                "Create a new verification.",
            ),
            C::VerificationUndeliverable => {
                never("Neither a text nor a call reaches the number.", "Ask for another number.")
            }
            C::CallInProgress => later("A call to this number is in progress.", "Wait until it has ended."),
            C::IdempotencyInProgress => later(
                "The first request with this `Idempotency-Key` has not been answered yet.",
                "Send the request again after the seconds in `Retry-After`.",
            ),
            C::CodeConflict => later(
                "A verification of this number and purpose is open with another code than the `code` of this creation.",
                "Leave `code` out to share the open one, or use another `purpose`.",
            ),
            C::AmbiguousCheck => never(
                "Several creations are open for this number, so the number does not say whose code it is.",
                "Check the code under the id of one, or name its `purpose`.",
            ),
            C::VerificationExpired => never("The code is no longer valid.", "Create a new verification."),
            C::VerificationLost => never(
                "The database failed over while the verification was open, and checks may be lost.",
                "Create a new verification.",
            ),
            C::InvalidNumber => never(
                "The number is not in E.164 form, or no country has such a number.",
                "Send `+`, the country code and the number, without blanks. Ask for the number again.",
            ),
            C::InvalidCode => never(
                "What was entered has another length than the code, or something else than digits. It is not counted.",
                "Ask for the code again. Blanks and hyphens between the digits are ignored.",
            ),
            C::InvalidParameter => never(
                "A parameter is missing, unknown or wrong.",
                "Correct the parameters that `errors` names; each `pointer` is a JSON pointer.",
            ),
            C::IdempotencyMismatch => never(
                "This `Idempotency-Key` was used with another request before.",
                "Use a new key for each operation.",
            ),
            C::MaxChecksReached => never("Too many wrong codes were entered.", "Create a new verification."),
            C::ResendCooldown => later(
                "The last attempt on this channel was a moment ago and may still arrive.",
                "Wait for the seconds in `Retry-After`.",
            ),
            C::MaxAttemptsReached => never(
                "The verification has used all its texts and calls.",
                "Create a new verification after this one has ended.",
            ),
            C::RateLimited => {
                later("The limit that `scope` names is reached.", "Wait for the seconds in `Retry-After`.")
            }
            C::RejectedByPlivo => never(
                "Plivo refused to send the code and no allowed channel is left. `provider_status` is its HTTP status. The \
                 verification `id` is kept as undeliverable.",
                "Ask for another number. If it happens to every number, the operator should run `phlo-2fa doctor`.",
            ),
            C::StorageUnavailable => later(
                "The database does not answer or takes no writes; the outcome is unknown.",
                "Send the request again with the same `Idempotency-Key` after the seconds in `Retry-After`.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_whole_sentences_and_names_no_setting() {
        for code in ErrorCode::ALL {
            let Explanation { when, action, .. } = Explanation::of(*code);
            for text in [when, action] {
                assert!(text.ends_with('.') && !text.contains("  "), "{text}");
                assert!(crate::config::VARIABLES.iter().all(|(name, ..)| !text.contains(name)), "{text}");
            }
        }
    }
}
