//! The vocabularies of the API as schemas: each value that a field may have.
//!
//! Each is taken from the type that the program itself uses, so that a new value is in the document.

use strum::{VariantArray, VariantNames};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::super::error_code::ErrorCode as Code;
use crate::escalation::Reason;
use crate::guard::Scope;
use crate::verification::{
    AttemptStatus as Attempt, Channel as Way, Ending, Feedback, Mode as Requested, Status, Via as Route,
};

/// Defines a schema for each vocabulary.
macro_rules! vocabularies {
    ($($(#[doc = $doc:literal])* $name:ident: $values:expr;)*) => {$(
        $(#[doc = $doc])*
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                RefOr::T(Schema::Object(one_of(concat!($($doc),*), $values)))
            }
        }

        impl ToSchema for $name {}
    )*};
}

vocabularies! {
    /// `pending`, or one of the final statuses, which never change.
    VerificationStatus: Status::ALL.iter().map(|status| status.as_str());
    /// The channels of a verification: `auto` is a text, and a call if the text fails.
    Mode: Requested::VARIANTS.iter().map(|mode| mode.as_str());
    /// The channels that a creation may ask for; `voice` means `call`.
    RequestedMode: Requested::VARIANTS.iter().map(|mode| mode.as_str()).chain(["voice"]);
    /// The channel of a text or a call.
    Channel: Way::VARIANTS.iter().map(|channel| channel.as_str());
    /// The channels that an attempt may ask for; `voice` means `call`.
    RequestedChannel: Way::VARIANTS.iter().map(|channel| channel.as_str()).chain(["voice"]);
    /// The status of a text or a call. `unknown`: Plivo may have sent it.
    AttemptStatus: Attempt::VARIANTS.iter().map(|status| status.as_str());
    /// The part of Plivo that took an attempt: the PHLO, or the Message or Call API.
    Via: Route::VARIANTS.iter().map(|via| via.as_str());
    /// Why a call was made.
    EscalationReason: Reason::ALL.iter().map(|reason| reason.as_str());
    /// Why a call is planned; `quiet_hours` if they prevent it.
    NextReason: Reason::ALL.iter().map(|reason| reason.as_str()).chain(["quiet_hours"]);
    /// What ended a verification, where its status does not say.
    EndedBy: Ending::VARIANTS.iter().filter_map(|ending| ending.ended_by());
    /// The result of a check.
    CheckResult: ["verified", "incorrect"].into_iter();
    /// What the person does.
    ActivityKind: ["typing", "received", "not_received"].into_iter();
    /// What became of a code that is checked elsewhere.
    FeedbackOutcome: Feedback::VARIANTS.iter().map(|outcome| outcome.as_str());
    /// The code of a problem. A code never changes its status or its meaning; new ones may be added.
    ErrorCode: Code::VARIANTS.iter().map(|code| code.as_str());
    /// The limit that is reached.
    LimitScope: Scope::VARIANTS.iter().copied().chain(["lists", "streams", "idempotency"]);
}

fn one_of(description: &str, values: impl Iterator<Item = &'static str>) -> Object {
    let values: Vec<&str> = values.collect();
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description.trim()))
        .enum_values(Some(values))
        .build()
}
