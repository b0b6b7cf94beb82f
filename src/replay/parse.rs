//! Reads a trace strictly: an error names its line and column.
//!
//! A trace that is half understood gives figures that are wholly wrong, so nothing is guessed at here. Columns that a
//! service cannot know may be missing; `impute` and `reconstruct` fill them in and say so.

use std::str::FromStr;

use csv::{Reader, ReaderBuilder, StringRecord, Terminator};

use super::columns::{Header, TraceColumn};
use super::observed::{Ending, ObservedEnd};
use super::trace::{CallResult, FinalReport, NEVER, Trace, TraceRow};
use super::{impute, reconstruct};
use crate::route_model::Teacher;

/// Upper bound of every integer: 30 years in ms, and small enough that sums do not overflow.
const LARGEST: u64 = 1_000_000_000_000;

/// Why a trace cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct TraceError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, with the column's name.
    pub fault: String,
}

impl Trace {
    /// Reads a whole trace; its rows may stand in any order.
    ///
    /// # Errors
    /// The first line that is not in the format of `docs/replay.md`.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        // Lines end as `str::lines` has it; the csv crate would also end them at a bare carriage return.
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        let mut lines = Lines::new(text.as_bytes());
        let (mut rows, mut regimes, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        let Some(1) = lines.next()? else {
            return Err(error(1, "the header with the names of the columns is missing"));
        };
        let mut header = Header::read(&lines.record, &mut notes).map_err(|fault| error(1, fault))?;
        while let Some(line) = lines.next()? {
            let (width, record) = (header.width, &lines.record);
            if record.len() != width {
                return Err(error(line, format!("{} fields, but the header has {width}", record.len())));
            }
            let mut fields = Fields { header: &mut header, record };
            let row = fields.row(&mut regimes).map_err(|fault| error(line, fault))?;
            let observed = fields.observed().map_err(|fault| error(line, fault))?;
            rows.push((row, observed, line));
        }
        rows.sort_by_key(|(row, ..)| row.id);
        if let Some(two) = rows.windows(2).find(|two| two[0].0.id == two[1].0.id) {
            let (row, _, line) = &two[1];
            return Err(error(*line, format!("id {} appears twice", row.id)));
        }
        let (mut rows, observed): (Vec<_>, Vec<_>) = rows.into_iter().map(|(row, observed, _)| (row, observed)).unzip();
        if header.has(TraceColumn::SeenEnd) {
            reconstruct::fill(&mut rows, &observed, &header, &mut notes);
        } else {
            impute::fill(&mut rows, &header, &mut notes);
        }
        rows.sort_by_key(|row| (row.t0_ms, row.id));
        Ok(Self { rows, regimes, notes })
    }
}

fn error(line: usize, fault: impl Into<String>) -> TraceError {
    TraceError { line, fault: fault.into() }
}

/// The records of a text, each with its line; blank lines are skipped.
struct Lines<'t> {
    text: &'t [u8],
    reader: Reader<&'t [u8]>,
    record: StringRecord,
}

impl<'t> Lines<'t> {
    fn new(text: &'t [u8]) -> Self {
        let mut format = ReaderBuilder::new();
        format.has_headers(false).flexible(true).quoting(false).terminator(Terminator::Any(b'\n'));
        Self { text, reader: format.from_reader(text), record: StringRecord::new() }
    }

    /// Reads the next record into `self.record` and returns its line, or `None` at the end.
    fn next(&mut self) -> Result<Option<usize>, TraceError> {
        let is_read = self.reader.read_record(&mut self.record);
        // A record is one line, because there are no quotes. Its own position lies before the blank lines that were
        // skipped; the reader's lies behind its line end.
        let behind = self.reader.position();
        let last = usize::try_from(behind.byte()).ok().and_then(|bytes| self.text.get(bytes.checked_sub(1)?));
        let line = usize::try_from(behind.line()).unwrap_or(usize::MAX) - usize::from(last == Some(&b'\n'));
        match is_read {
            Ok(is_record) => Ok(is_record.then_some(line)),
            Err(fault) => Err(error(line, fault.to_string())),
        }
    }
}

/// The fields of one record.
struct Fields<'a> {
    header: &'a mut Header,
    record: &'a StringRecord,
}

impl<'a> Fields<'a> {
    fn text(&mut self, column: TraceColumn) -> &'a str {
        self.header.value(self.record, column)
    }

    /// An integer, or [`NEVER`] when the field is empty.
    fn time(&mut self, column: TraceColumn) -> Result<u64, String> {
        let text = self.text(column);
        if text.is_empty() {
            return Ok(NEVER);
        }
        let is_digits = text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(value @ 0..=LARGEST) if is_digits => Ok(value),
            _ => Err(format!("{column} is {text:?}, not an integer from 0 to {LARGEST}")),
        }
    }

    fn required(&mut self, column: TraceColumn) -> Result<u64, String> {
        match self.time(column)? {
            NEVER => Err(format!("{column} is empty")),
            value => Ok(value),
        }
    }

    /// A price, or 0 when the field is empty.
    fn price(&mut self, column: TraceColumn) -> Result<u64, String> {
        self.time(column).map(|price| if price == NEVER { 0 } else { price })
    }

    /// One of a set of words, or `None` when the field is empty.
    fn word<T: FromStr>(&mut self, column: TraceColumn, words: &str) -> Result<Option<T>, String> {
        match self.text(column) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| format!("{column} is {text:?}, not {words}")),
        }
    }

    fn country(&mut self) -> Result<[u8; 2], String> {
        match self.text(TraceColumn::Cc).as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => Ok([*a, *b]),
            _ => Err(format!("cc is {:?}, not two letters", self.text(TraceColumn::Cc))),
        }
    }

    fn route(&mut self) -> Result<u32, String> {
        let text = self.text(TraceColumn::Route);
        let is_digits = text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            _ if text.is_empty() => Ok(0),
            Ok(route) if is_digits => Ok(route),
            _ => Err(format!("route is {text:?}, not the digits of MCC and MNC")),
        }
    }

    fn report(&mut self) -> Result<(u64, Option<FinalReport>), String> {
        let at_ms = self.time(TraceColumn::DlrMs)?;
        let report = self.word(TraceColumn::DlrStatus, "delivered, undelivered or failed")?;
        match (at_ms, report) {
            (NEVER, Some(_)) => Err("dlr_status is set, but dlr_ms is empty".to_owned()),
            (NEVER, None) | (_, Some(_)) => Ok((at_ms, report)),
            (_, None) => Err("dlr_ms is set, but dlr_status is empty".to_owned()),
        }
    }

    fn intent(&mut self) -> Result<bool, String> {
        match self.text(TraceColumn::Intent) {
            "1" => Ok(true),
            "0" => Ok(false),
            // A column that is empty in every row is filled in later.
            "" if !self.header.is_filled(TraceColumn::Intent) => Ok(false),
            other => Err(format!("intent is {other:?}, not 0 or 1")),
        }
    }

    fn call_result(&mut self) -> Result<Option<CallResult>, String> {
        self.word(TraceColumn::CallResult, "answered, voicemail, busy, noanswer or failed")
    }

    fn observed(&mut self) -> Result<Option<ObservedEnd>, String> {
        let (call_ms, end_ms) = (self.time(TraceColumn::SeenCallMs)?, self.time(TraceColumn::SeenEndMs)?);
        let words = "sms, call, expired, canceled, max_checks_reached or undeliverable";
        let Some(ending) = self.word(TraceColumn::SeenEnd, words)? else {
            let is_empty = call_ms == NEVER && end_ms == NEVER;
            return if is_empty { Ok(None) } else { Err(format!("seen_end is \"\", not {words}")) };
        };
        match (end_ms, call_ms) {
            (NEVER, _) => Err("seen_end is set, but seen_end_ms is empty".to_owned()),
            (_, NEVER) if ending == Ending::VerifiedByCall => {
                Err("seen_end is call, but seen_call_ms is empty".to_owned())
            }
            (_, call_ms) if call_ms != NEVER && call_ms >= end_ms => {
                Err("seen_call_ms is not before seen_end_ms".to_owned())
            }
            _ => Ok(Some(ObservedEnd { call_ms, ending, end_ms, is_call_known: self.call_result()?.is_some() })),
        }
    }

    fn row(&mut self, regimes: &mut Vec<String>) -> Result<TraceRow, String> {
        let (dlr_ms, report) = self.report()?;
        Ok(TraceRow {
            id: self.required(TraceColumn::Id)?,
            t0_ms: self.required(TraceColumn::Start)?,
            cc: self.country()?,
            route: self.route()?,
            sms_price_u: self.price(TraceColumn::SmsPriceU)?,
            call_price_u: self.price(TraceColumn::CallPriceU)?,
            sent_ms: self.time(TraceColumn::SentMs)?,
            dlr_ms,
            report,
            arrive_ms: self.time(TraceColumn::ArriveMs)?,
            intent: self.intent()?,
            read_ms: self.time(TraceColumn::ReadMs)?,
            patience_ms: self.time(TraceColumn::PatienceMs)?,
            resend_ms: self.time(TraceColumn::ResendMs)?,
            resend_arrive_ms: self.time(TraceColumn::ResendArriveMs)?,
            call_result: self.call_result()?.unwrap_or(CallResult::Unanswered),
            call_ring_ms: self.time(TraceColumn::CallRingMs)?,
            call_hear_ms: self.time(TraceColumn::CallHearMs)?,
            call_type_ms: self.time(TraceColumn::CallTypeMs)?,
            regime: numbered(regimes, self.text(TraceColumn::Regime)),
            teacher: Teacher::default(),
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
