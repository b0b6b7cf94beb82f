//! What really happened, and would have happened, to each verification of a trace (`docs/replay.md`).
//!
//! Only the data: `parse` reads it, `assume` fills in what nobody knows, `outcome` says what follows from it.

/// Later than everything: the thing does not happen.
pub const NEVER: u64 = u64::MAX;

/// One verification with its latent facts. Times are ages in ms, [`NEVER`] when the thing does not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Unique in the trace.
    pub id: u64,
    /// Its start, in ms since the start of the trace.
    pub t0_ms: u64,
    /// ISO country.
    pub cc: [u8; 2],
    /// MCC and MNC as one number, 0 when unknown.
    pub route: u32,
    /// Price of one text, micro-dollars.
    pub sms_price_u: u64,
    /// Price of one answered call, micro-dollars.
    pub call_price_u: u64,
    /// When the carrier was said to have it.
    pub sent_ms: u64,
    /// When the final report came.
    pub dlr_ms: u64,
    /// What it said, if it came.
    pub report: Option<Report>,
    /// When the text was in the handset.
    pub arrive_ms: u64,
    /// Whether the person wants to verify.
    pub intent: bool,
    /// From the text in hand to the code entered.
    pub read_ms: u64,
    /// When the person leaves without a code.
    pub patience_ms: u64,
    /// When the person would ask for another text.
    pub resend_ms: u64,
    /// From asking to the second text in the handset.
    pub resend_arrive_ms: u64,
    /// What a call would meet.
    pub call_result: CallResult,
    /// From the call to that result.
    pub call_ring_ms: u64,
    /// From answering to the code heard.
    pub call_hear_ms: u64,
    /// From the code heard to the code entered.
    pub call_type_ms: u64,
    /// Which of [`Trace::regimes`] the generator was in; no policy sees it.
    pub regime: usize,
}

/// What a final report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Delivered, which may be untrue.
    Delivered,
    /// Not delivered, or failed: for good.
    Failed,
}

/// What a call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// A person.
    Answered,
    /// A machine: paid for, and of no use.
    Voicemail,
    /// Nobody: busy, no answer, failed, or not said.
    Unmet,
}

/// Verifications in the order of their start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Ordered by start, then id.
    pub rows: Vec<Row>,
    /// The names of the regimes that rows refer to.
    pub regimes: Vec<String>,
    /// What a reader of the figures should know: what was not in the trace and was assumed.
    pub notes: Vec<String>,
}
