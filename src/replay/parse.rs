//! The trace format, read strictly: a fault names its line and column, because a trace that is half understood gives
//! figures that are wholly wrong (`docs/replay.md`).
//!
//! What a service cannot know of its own verifications may be left out; `assume` fills it in and says so.

use super::impute;
use super::reconstruct::{self, End, Seen};
use super::trace::{CallResult, NEVER, Report, Row, Trace};

/// Larger than any time in ms (30 years) or any price in micro-dollars that makes sense, and small enough to add up.
const LARGEST: u64 = 1_000_000_000_000;

/// Why a trace cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TraceError {
    /// The first line is 1.
    pub line: usize,
    /// The fault.
    pub what: String,
}

/// The columns, in the order of [`COLUMNS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Id,
    T0,
    Cc,
    Route,
    SmsPrice,
    CallPrice,
    Sent,
    Dlr,
    DlrStatus,
    DlrCode,
    Arrive,
    Intent,
    Read,
    Patience,
    Resend,
    ResendArrive,
    CallResult,
    CallRing,
    CallHear,
    CallType,
    Regime,
    SeenCall,
    SeenEnd,
    SeenEndMs,
}

pub(super) const COLUMNS: [(Column, &str); 24] = [
    (Column::Id, "id"),
    (Column::T0, "t0_ms"),
    (Column::Cc, "cc"),
    (Column::Route, "route"),
    (Column::SmsPrice, "sms_price_u"),
    (Column::CallPrice, "call_price_u"),
    (Column::Sent, "sent_ms"),
    (Column::Dlr, "dlr_ms"),
    (Column::DlrStatus, "dlr_status"),
    (Column::DlrCode, "dlr_code"),
    (Column::Arrive, "arrive_ms"),
    (Column::Intent, "intent"),
    (Column::Read, "read_ms"),
    (Column::Patience, "patience_ms"),
    (Column::Resend, "resend_ms"),
    (Column::ResendArrive, "resend_arrive_ms"),
    (Column::CallResult, "call_result"),
    (Column::CallRing, "call_ring_ms"),
    (Column::CallHear, "call_hear_ms"),
    (Column::CallType, "call_type_ms"),
    (Column::Regime, "regime"),
    (Column::SeenCall, "seen_call_ms"),
    (Column::SeenEnd, "seen_end"),
    (Column::SeenEndMs, "seen_end_ms"),
];

const REQUIRED: [Column; 4] = [Column::Id, Column::T0, Column::Cc, Column::Route];

impl Column {
    pub(super) fn name(self) -> &'static str {
        COLUMNS[self as usize].1
    }
}

/// What is known of the columns themselves.
pub(super) struct Header {
    places: [Option<usize>; COLUMNS.len()],
    fields: usize,
    filled: [bool; COLUMNS.len()],
}

impl Header {
    fn read(line: &str, notes: &mut Vec<String>) -> Result<Self, String> {
        let mut places = [None; COLUMNS.len()];
        for (place, name) in line.split(',').enumerate() {
            let Some((column, _)) = COLUMNS.into_iter().find(|(_, known)| *known == name) else {
                notes.push(format!("the column {name:?} is not known and was not read"));
                continue;
            };
            if places[column as usize].replace(place).is_some() {
                return Err(format!("the column {name} stands twice"));
            }
        }
        match REQUIRED.into_iter().find(|column| places[*column as usize].is_none()) {
            Some(missing) => Err(format!("the column {} is missing", missing.name())),
            None => Ok(Self { places, fields: line.split(',').count(), filled: [false; COLUMNS.len()] }),
        }
    }

    /// Whether the trace has such a column at all.
    pub(super) fn has(&self, column: Column) -> bool {
        self.places[column as usize].is_some()
    }

    /// Whether any row says anything there.
    pub(super) fn is_filled(&self, column: Column) -> bool {
        self.filled[column as usize]
    }
}

/// The fields of one line.
struct Fields<'a> {
    header: &'a mut Header,
    values: &'a [&'a str],
}

impl<'a> Fields<'a> {
    fn text(&mut self, column: Column) -> &'a str {
        let value = self.header.places[column as usize].map_or("", |place| self.values[place]);
        self.header.filled[column as usize] |= !value.is_empty();
        value
    }

    /// An integer; empty means that the thing does not happen.
    fn time(&mut self, column: Column) -> Result<u64, String> {
        let text = self.text(column);
        if text.is_empty() {
            return Ok(NEVER);
        }
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(value @ 0..=LARGEST) if digits => Ok(value),
            _ => Err(format!("{} is {text:?}, not an integer from 0 to {LARGEST}", column.name())),
        }
    }

    fn required(&mut self, column: Column) -> Result<u64, String> {
        match self.time(column)? {
            NEVER => Err(format!("{} is empty", column.name())),
            value => Ok(value),
        }
    }

    /// Empty is a price nobody has said: none where others stand in the column.
    fn price(&mut self, column: Column) -> Result<u64, String> {
        Ok(Some(self.time(column)?).filter(|price| *price != NEVER).unwrap_or(0))
    }

    fn country(&mut self) -> Result<[u8; 2], String> {
        match self.text(Column::Cc).as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => Ok([*a, *b]),
            _ => Err(format!("cc is {:?}, not two letters", self.text(Column::Cc))),
        }
    }

    fn route(&mut self) -> Result<u32, String> {
        match self.text(Column::Route) {
            "" => Ok(0),
            text if text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().map_err(|_| String::new())
            }
            text => Err(format!("route is {text:?}, not the digits of MCC and MNC")),
        }
    }

    fn report(&mut self) -> Result<(u64, Option<Report>), String> {
        let at = self.time(Column::Dlr)?;
        let report = match self.text(Column::DlrStatus) {
            "" => None,
            "delivered" => Some(Report::Delivered),
            "undelivered" | "failed" => Some(Report::Failed),
            other => return Err(format!("dlr_status is {other:?}, not delivered, undelivered or failed")),
        };
        match (at, report) {
            (NEVER, Some(_)) => Err("dlr_status without dlr_ms".to_owned()),
            (NEVER, None) | (_, Some(_)) => Ok((at, report)),
            (_, None) => Err("dlr_ms without dlr_status".to_owned()),
        }
    }

    fn intent(&mut self) -> Result<bool, String> {
        match self.text(Column::Intent) {
            "1" => Ok(true),
            "0" => Ok(false),
            // All empty means that nobody knows, which is seen only at the end.
            "" if !self.header.is_filled(Column::Intent) => Ok(false),
            other => Err(format!("intent is {other:?}, not 0 or 1")),
        }
    }

    fn call_result(&mut self) -> Result<CallResult, String> {
        match self.text(Column::CallResult) {
            "answered" => Ok(CallResult::Answered),
            "voicemail" => Ok(CallResult::Voicemail),
            "busy" | "noanswer" | "failed" | "" => Ok(CallResult::Unmet),
            other => Err(format!("call_result is {other:?}, not answered, voicemail, busy, noanswer or failed")),
        }
    }

    /// What a service saw of it, where a service wrote it.
    fn seen(&mut self) -> Result<Option<Seen>, String> {
        let (call_ms, end_ms) = (self.time(Column::SeenCall)?, self.time(Column::SeenEndMs)?);
        let end = match self.text(Column::SeenEnd) {
            "" if call_ms == NEVER && end_ms == NEVER => return Ok(None),
            "sms" => End::Text,
            "call" => End::Call,
            "canceled" => End::Left,
            "expired" | "max_checks_reached" | "undeliverable" => End::Unverified,
            other => {
                return Err(format!(
                    "seen_end is {other:?}, not sms, call, expired, canceled, max_checks_reached or undeliverable"
                ));
            }
        };
        match (end_ms, call_ms) {
            (NEVER, _) => Err("seen_end without seen_end_ms".to_owned()),
            (_, NEVER) if end == End::Call => Err("seen_end is call, and seen_call_ms is empty".to_owned()),
            (_, call_ms) if call_ms != NEVER && call_ms >= end_ms => {
                Err("seen_call_ms is not before seen_end_ms".to_owned())
            }
            _ => Ok(Some(Seen { call_ms, end, end_ms, is_call_known: !self.text(Column::CallResult).is_empty() })),
        }
    }

    fn row(&mut self, regimes: &mut Vec<String>) -> Result<Row, String> {
        let (dlr_ms, report) = self.report()?;
        Ok(Row {
            id: self.required(Column::Id)?,
            t0_ms: self.required(Column::T0)?,
            cc: self.country()?,
            route: self.route()?,
            sms_price_u: self.price(Column::SmsPrice)?,
            call_price_u: self.price(Column::CallPrice)?,
            sent_ms: self.time(Column::Sent)?,
            dlr_ms,
            report,
            arrive_ms: self.time(Column::Arrive)?,
            intent: self.intent()?,
            read_ms: self.time(Column::Read)?,
            patience_ms: self.time(Column::Patience)?,
            resend_ms: self.time(Column::Resend)?,
            resend_arrive_ms: self.time(Column::ResendArrive)?,
            call_result: self.call_result()?,
            call_ring_ms: self.time(Column::CallRing)?,
            call_hear_ms: self.time(Column::CallHear)?,
            call_type_ms: self.time(Column::CallType)?,
            regime: numbered(regimes, self.text(Column::Regime)),
        })
    }
}

fn numbered(regimes: &mut Vec<String>, name: &str) -> usize {
    let name = if name.is_empty() { "ok" } else { name };
    regimes.iter().position(|known| known == name).unwrap_or_else(|| {
        regimes.push(name.to_owned());
        regimes.len() - 1
    })
}

impl Trace {
    /// Reads a whole trace; rows may stand in any order.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let at = |line: usize| move |what| TraceError { line, what };
        let mut lines = text.lines().enumerate();
        let (mut rows, mut regimes, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        let (_, first) = lines.next().ok_or_else(|| at(1)("empty: the names of the columns are missing".to_owned()))?;
        let mut header = Header::read(first.trim_start_matches('\u{feff}'), &mut notes).map_err(at(1))?;
        let mut values = Vec::new();
        for (before, line) in lines.filter(|(_, line)| !line.is_empty()) {
            values.clear();
            values.extend(line.split(','));
            if values.len() != header.fields {
                let what = format!("{} fields where the first line has {}", values.len(), header.fields);
                return Err(at(before + 1)(what));
            }
            let mut fields = Fields { header: &mut header, values: &values };
            let row = fields.row(&mut regimes).map_err(at(before + 1))?;
            rows.push((row, fields.seen().map_err(at(before + 1))?, before + 1));
        }
        rows.sort_by_key(|(row, ..)| row.id);
        if let Some(two) = rows.windows(2).find(|two| two[0].0.id == two[1].0.id) {
            let (row, _, line) = &two[1];
            return Err(at(*line)(format!("the id {} stands twice", row.id)));
        }
        let (mut rows, seen): (Vec<Row>, Vec<Option<Seen>>) =
            rows.into_iter().map(|(row, seen, _)| (row, seen)).unzip();
        if header.has(Column::SeenEnd) {
            reconstruct::fill(&mut rows, &seen, &header, &mut notes);
        } else {
            impute::fill(&mut rows, &header, &mut notes);
        }
        rows.sort_by_key(|row| (row.t0_ms, row.id));
        Ok(Self { rows, regimes, notes })
    }
}
