//! The columns of a trace, and the header that says which of them a trace has.
//!
//! `docs/replay.md` defines the values. What a missing column means is decided by `impute` and `reconstruct`.

use csv::StringRecord;
use strum::{Display, EnumCount, EnumIter, EnumString};

/// One column of a trace, named as in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Display, EnumCount, EnumIter, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum TraceColumn {
    /// Unique integer.
    Id,
    /// Start of the verification, since the start of the trace.
    #[strum(serialize = "t0_ms")]
    Start,
    /// ISO country.
    Cc,
    /// Digits of MCC and MNC.
    Route,
    /// Price of one text.
    SmsPriceU,
    /// Price of one answered call.
    CallPriceU,
    /// Age at which the carrier accepted the text.
    SentMs,
    /// Age of the final delivery report.
    DlrMs,
    /// Status in the final delivery report.
    DlrStatus,
    /// Error code in the final delivery report; not read.
    DlrCode,
    /// Age at which the text reached the handset.
    ArriveMs,
    /// Whether the user wants to verify.
    Intent,
    /// From the text in hand to the code entered.
    ReadMs,
    /// Age at which a user without a code leaves.
    PatienceMs,
    /// Age at which the user requests a resend.
    ResendMs,
    /// From that request to the second text in the handset.
    ResendArriveMs,
    /// Result of a call.
    CallResult,
    /// From placing the call to its result.
    CallRingMs,
    /// From answering to the code heard.
    CallHearMs,
    /// From the code heard to the code entered.
    CallTypeMs,
    /// A generator's name for the state of the route.
    Regime,
    /// Age at which the service placed its call.
    SeenCallMs,
    /// How the verification ended in the service.
    SeenEnd,
    /// Age of that end.
    SeenEndMs,
}

const REQUIRED: [TraceColumn; 4] = [TraceColumn::Id, TraceColumn::Start, TraceColumn::Cc, TraceColumn::Route];

/// Where each column stands in a record, and whether any record fills it.
pub(super) struct Header {
    places: [Option<usize>; TraceColumn::COUNT],
    is_filled: [bool; TraceColumn::COUNT],
    pub(super) width: usize,
}

impl Header {
    /// Reads the first record of a trace. An unknown column adds a note; a repeated or missing one is an error.
    pub(super) fn read(names: &StringRecord, notes: &mut Vec<String>) -> Result<Self, String> {
        let mut places = [None; TraceColumn::COUNT];
        for (place, name) in names.iter().enumerate() {
            let Ok(column) = name.parse::<TraceColumn>() else {
                notes.push(format!("column {name:?} is unknown and was ignored"));
                continue;
            };
            if places[column as usize].replace(place).is_some() {
                return Err(format!("column {column} appears twice"));
            }
        }
        match REQUIRED.into_iter().find(|column| places[*column as usize].is_none()) {
            Some(missing) => Err(format!("column {missing} is missing")),
            None => Ok(Self { places, is_filled: [false; TraceColumn::COUNT], width: names.len() }),
        }
    }

    /// The value of `column` in `record`, empty when the trace has no such column.
    pub(super) fn value<'r>(&mut self, record: &'r StringRecord, column: TraceColumn) -> &'r str {
        let value = self.places[column as usize].and_then(|place| record.get(place)).unwrap_or_default();
        self.is_filled[column as usize] |= !value.is_empty();
        value
    }

    pub(super) fn has(&self, column: TraceColumn) -> bool {
        self.places[column as usize].is_some()
    }

    /// Whether any record read so far has a value in `column`.
    pub(super) fn is_filled(&self, column: TraceColumn) -> bool {
        self.is_filled[column as usize]
    }
}
