//! A trace: each verification with the latent facts that decide what a text or a call would have done.
//!
//! Only the data. `parse` reads it, `impute` and `reconstruct` fill in what is unknown, `outcome` applies the rules.

use strum::EnumString;

use crate::route_model::Teacher;

/// Later than every time: the event does not happen.
pub const NEVER: u64 = u64::MAX;

/// One verification; its times are ages in ms, or [`NEVER`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceRow {
    /// Unique in the trace.
    pub id: u64,
    /// Start, in ms since the start of the trace.
    pub t0_ms: u64,
    /// ISO country.
    pub cc: [u8; 2],
    /// MCC and MNC as one number, 0 when unknown.
    pub route: u32,
    /// Price of one text, micro-dollars.
    pub sms_price_u: u64,
    /// Price of one answered call, micro-dollars.
    pub call_price_u: u64,
    /// When the carrier accepted the text.
    pub sent_ms: u64,
    /// When the final delivery report came.
    pub dlr_ms: u64,
    /// The final delivery report, if any.
    pub report: Option<FinalReport>,
    /// When the text reached the handset.
    pub arrive_ms: u64,
    /// Whether the user wants to verify.
    pub intent: bool,
    /// From the text in hand to the code entered.
    pub read_ms: u64,
    /// When a user without a code leaves.
    pub patience_ms: u64,
    /// When the user requests a resend.
    pub resend_ms: u64,
    /// From that request to the second text in the handset.
    pub resend_arrive_ms: u64,
    /// Result of a call.
    pub call_result: CallResult,
    /// From placing the call to its result.
    pub call_ring_ms: u64,
    /// From answering to the code heard.
    pub call_hear_ms: u64,
    /// From the code heard to the code entered.
    pub call_type_ms: u64,
    /// Index into [`Trace::regimes`]; no policy sees it.
    pub regime: usize,
    /// Whom its lessons come from; a file does not say it, so they all come from one app.
    pub teacher: Teacher,
}

/// Status in a final delivery report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString)]
pub enum FinalReport {
    /// Delivered, which may be untrue.
    #[strum(serialize = "delivered")]
    Delivered,
    /// Permanently undelivered or failed.
    #[strum(serialize = "undelivered", serialize = "failed")]
    Failed,
}

/// Result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString)]
pub enum CallResult {
    /// A person answered.
    #[strum(serialize = "answered")]
    Answered,
    /// A machine answered: billed, but no code was heard.
    #[strum(serialize = "voicemail")]
    Voicemail,
    /// Busy, no answer, failed, or unknown.
    #[strum(serialize = "busy", serialize = "noanswer", serialize = "failed")]
    Unanswered,
}

/// Verifications in the order of their start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Ordered by start, then id.
    pub rows: Vec<TraceRow>,
    /// Names of the regimes that rows refer to.
    pub regimes: Vec<String>,
    /// What was assumed because the trace does not say it.
    pub notes: Vec<String>,
}
