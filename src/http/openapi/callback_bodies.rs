//! What Plivo and the PHLO send, for the document alone: `plivo::callback` reads it.

use serde::Serialize;
use utoipa::ToSchema;

/// The answer to a callback. An empty JSON object: an HTTP Request node whose response type is JSON fails any other answer.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({}))]
pub struct Accepted {}

/// A status callback of a text. Plivo adds fields without notice; the others are ignored.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it documents what Plivo sends; plivo::callback reads it")]
pub struct TextStatus {
    /// The UUID of the message.
    #[schema(rename = "MessageUUID")]
    message_uuid: String,
    /// `queued`, `sent`, `delivered`, `undelivered` or `failed`.
    #[schema(rename = "Status")]
    status: String,
    /// Plivo's error code; empty or `000` for none.
    #[schema(rename = "ErrorCode")]
    error_code: Option<String>,
    /// Mobile country code of the network.
    #[schema(rename = "MCC")]
    mcc: Option<String>,
    /// Mobile network code.
    #[schema(rename = "MNC")]
    mnc: Option<String>,
    /// The price in US dollars.
    #[schema(rename = "TotalAmount")]
    total_amount: Option<String>,
}

/// A callback of a call.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it documents what Plivo sends; plivo::callback reads it")]
pub struct CallStatus {
    /// The UUID of the call.
    #[schema(rename = "CallUUID")]
    call_uuid: Option<String>,
    /// The UUID of the request that placed it.
    #[schema(rename = "RequestUUID")]
    request_uuid: Option<String>,
    /// `ringing`, `in-progress`, `completed`, `busy`, `no-answer`, `timeout`, `cancel` or `failed`.
    #[schema(rename = "CallStatus")]
    call_status: String,
    /// Plivo's hangup code.
    #[schema(rename = "HangupCauseCode")]
    hangup_cause_code: Option<String>,
    /// The name of the hangup cause.
    #[schema(rename = "HangupCause")]
    hangup_cause: Option<String>,
    /// How long it lasted, in seconds.
    #[schema(rename = "Duration")]
    duration: Option<String>,
    /// The key that was pressed.
    #[schema(rename = "Digits")]
    digits: Option<String>,
    /// The price in US dollars.
    #[schema(rename = "TotalCost")]
    total_cost: Option<String>,
}

/// A report of the flow's HTTP Request nodes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it documents what the flow sends; plivo::callback reads it")]
pub struct FlowReport {
    /// The ref of the attempt, unless it is in the path.
    #[schema(rename = "ref")]
    reference: Option<String>,
    /// `sms_sent`, `sms_failed`, `call_answered`, `call_no_answer`, `call_busy`, `call_failed` or `call_machine`.
    event: String,
    /// The UUID of the message.
    message_uuid: Option<String>,
    /// The UUID of the call.
    call_uuid: Option<String>,
    /// The hangup cause. A `call_busy` with another one than `USER_BUSY` was declined.
    cause: Option<String>,
}
