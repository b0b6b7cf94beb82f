//! What is assumed of verifications that a service has seen end (`phlo-2fa export`).
//!
//! Such a row says how it ended, when, and after which call. So what nobody can know of it is drawn until playing that
//! very call brings that very end: who entered the code at 23 s by text does so again under every policy that has not
//! called by then; whom a call saved had no text in time; who never entered a code had none, or did not want to. The
//! draws depend on the row's id and on what calls met in the other rows, and on nothing else.

use std::collections::BTreeMap;

use super::draw::Draw;
use super::impute::{Guess, UNREPORTED, price_u};
use super::neighbours::{self, Around};
use super::outcome::Outcome;
use super::parse::{COLUMNS, Column, Header};
use super::trace::{CallResult, NEVER, Report, Row};

/// How often a row is drawn anew before it is made to agree.
const TRIES: usize = 300;
/// Fewer calls than this say little of how others would have gone.
const CALLS_ENOUGH: usize = 20;

/// How one verification went, under the policy that was in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The age at which its call was placed; [`NEVER`].
    pub(super) call_ms: u64,
    pub(super) end: End,
    /// The age of that.
    pub(super) end_ms: u64,
    /// Whether the row says how the call went. One that was hung up has no result.
    pub(super) is_call_known: bool,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The code was entered, and put down to a text.
    Text,
    /// The same, to the call.
    Call,
    /// The customer gave it up.
    Left,
    /// Its time ran out, or no right code came.
    Unverified,
}

impl Seen {
    fn called(&self) -> Option<u64> {
        Some(self.call_ms).filter(|at| *at != NEVER)
    }

    /// When another text was asked for, before any call.
    fn asked(&self, row: &Row) -> Option<u64> {
        Some(row.resend_ms).filter(|at| *at < self.call_ms.min(self.end_ms))
    }

    /// Whether what was seen follows from the row.
    fn follows_from(&self, row: &Row) -> bool {
        let outcome = Outcome::of(row, self.called());
        let verified_ms = if matches!(self.end, End::Text | End::Call) { self.end_ms } else { NEVER };
        outcome.verified_ms == verified_ms && outcome.pressed == self.asked(row).is_some()
    }
}

/// Fills in what the rows do not say.
pub(super) fn fill(rows: &mut [Row], seen: &[Option<Seen>], header: &Header, notes: &mut Vec<String>) {
    let known = Known::of(rows, seen, header);
    let around = neighbours::look(rows, seen);
    let mut strange = 0;
    for ((row, seen), around) in rows.iter_mut().zip(seen).zip(around) {
        row.sms_price_u = known.price_u(row, Column::SmsPrice, row.sms_price_u);
        row.call_price_u = known.price_u(row, Column::CallPrice, row.call_price_u);
        strange += usize::from(!known.fill(row, seen.as_ref(), around));
    }
    known.tell(rows.len(), strange, notes);
}

/// What the rows say together.
struct Known<'a> {
    header: &'a Header,
    /// How calls went.
    calls: Vec<(CallResult, u64)>,
    /// Sum and number of the prices told, by country.
    prices: BTreeMap<(&'static str, [u8; 2]), (u64, u64)>,
    ended: usize,
    given_up: usize,
}

impl<'a> Known<'a> {
    fn of(rows: &[Row], seen: &[Option<Seen>], header: &'a Header) -> Self {
        let mut known = Self { header, calls: Vec::new(), prices: BTreeMap::new(), ended: 0, given_up: 0 };
        for (row, seen) in rows.iter().zip(seen) {
            known.ended += usize::from(seen.is_some());
            known.given_up += usize::from(seen.is_some_and(|seen| seen.end == End::Left));
            if seen.is_some_and(|seen| seen.is_call_known && seen.called().is_some()) && row.call_ring_ms != NEVER {
                known.calls.push((row.call_result, row.call_ring_ms));
            }
            for (column, price) in [(Column::SmsPrice, row.sms_price_u), (Column::CallPrice, row.call_price_u)] {
                if price > 0 {
                    let (sum, count) = known.prices.entry((column.name(), row.cc)).or_default();
                    (*sum, *count) = (*sum + price, *count + 1);
                }
            }
        }
        known
    }

    /// As it was billed; or else as others in the country were.
    fn price_u(&self, row: &Row, column: Column, told: u64) -> u64 {
        match self.prices.get(&(column.name(), row.cc)) {
            _ if told > 0 => told,
            Some((sum, count)) => sum / count,
            None => price_u(column, row.cc),
        }
    }

    /// Whether what was seen follows from it.
    fn fill(&self, row: &mut Row, seen: Option<&Seen>, around: Around) -> bool {
        let draw = &mut Draw::new(row.id);
        let mut guess = self.guess(row, seen, around, draw);
        let Some(seen) = seen else {
            *row = guess;
            return true;
        };
        for _ in 0..TRIES {
            if seen.follows_from(&guess) {
                break;
            }
            guess = self.guess(row, Some(seen), around, draw);
        }
        if !seen.follows_from(&guess) {
            make_agree(&mut guess, seen);
        }
        *row = guess;
        seen.follows_from(row)
    }

    /// One draw of all that the row does not say, bent to what was seen of times.
    fn guess(&self, row: &Row, seen: Option<&Seen>, around: Around, draw: &mut Draw) -> Row {
        let (mut guess, drawn) = (row.clone(), Guess::of(row, draw));
        let mut text = || if draw.chance(around.arrives) { draw.log_normal(UNREPORTED.0, UNREPORTED.1) } else { NEVER };
        let (first_ms, second_ms) = (text(), text());
        let is_untrue = draw.chance(around.untrue);
        let call = self.calls.get((draw.unit() * self.calls.len() as f64) as usize).copied();
        let is_unknown = |column: Column| !self.header.is_filled(column);
        if is_unknown(Column::Arrive) {
            guess.arrive_ms = match row.report {
                None => first_ms,
                Some(Report::Delivered) if is_untrue => NEVER,
                Some(_) => drawn.arrive_ms,
            };
        }
        if is_unknown(Column::Intent) {
            let wants = seen.is_some_and(|seen| matches!(seen.end, End::Text | End::Call) || seen.asked(row).is_some());
            guess.intent = wants || drawn.intent;
        }
        if is_unknown(Column::ResendArrive) && row.resend_ms != NEVER {
            guess.resend_arrive_ms = second_ms;
        }
        if !seen.is_some_and(|seen| seen.is_call_known) {
            (guess.call_result, guess.call_ring_ms) =
                call.filter(|_| self.calls.len() >= CALLS_ENOUGH).unwrap_or((drawn.call_result, drawn.ring_ms));
        } else if row.call_ring_ms == NEVER {
            guess.call_ring_ms = drawn.ring_ms;
        }
        for (column, value, drawn) in [
            (Column::Read, &mut guess.read_ms, drawn.read_ms),
            (Column::Patience, &mut guess.patience_ms, drawn.patience_ms),
            (Column::CallHear, &mut guess.call_hear_ms, drawn.hear_ms),
            (Column::CallType, &mut guess.call_type_ms, drawn.type_ms),
        ] {
            if is_unknown(column) {
                *value = drawn;
            }
        }
        match seen {
            Some(seen) if seen.end == End::Text => by_text(&mut guess, seen),
            Some(seen) if seen.end == End::Call => by_call(&mut guess, seen),
            Some(seen) if seen.end == End::Left => guess.patience_ms = seen.end_ms,
            _ => {}
        }
        guess
    }

    fn tell(&self, rows: usize, strange: usize, notes: &mut Vec<String>) {
        notes.push(format!(
            "{} of {rows} verifications were seen to end; under the call that was made, or none, each ends as it did",
            self.ended
        ));
        if self.given_up > 0 {
            notes.push(format!(
                "{} were canceled: their people leave then, and a policy that is told nothing of it may call them yet",
                self.given_up
            ));
        }
        if strange > 0 {
            notes.push(format!("{strange} of them could not be made to; their figures are off"));
        }
        let calls = if self.calls.len() < CALLS_ENOUGH {
            "of 20 calls a person answers 15, a machine 1".to_owned()
        } else {
            format!("as one of the {} calls that were made and whose result is known", self.calls.len())
        };
        let billed = |column: Column| {
            let count: u64 = self.prices.iter().filter(|((name, _), _)| *name == column.name()).map(|(_, p)| p.1).sum();
            match count {
                0 => "approximate list prices, by country".to_owned(),
                _ => format!("the mean of those billed in the country, {count} in all; without one, list prices"),
            }
        };
        for (column, name) in COLUMNS {
            let assumed = match column {
                Column::SmsPrice | Column::CallPrice => {
                    notes.push(format!("{name} is known where it was billed; assumed of others: {}", billed(column)));
                    continue;
                }
                Column::CallResult | Column::CallRing if !self.calls.is_empty() || self.header.is_filled(column) => {
                    notes.push(format!("{name} is known of calls that were made; assumed of others: {calls}"));
                    continue;
                }
                _ if self.header.is_filled(column) && column != Column::Resend => continue,
                Column::Arrive => {
                    "a text whose code was entered arrived when it was reported, or 9 s (median) before. Others: when \
                     reported as delivered, unless the codes of those around it were not entered; not when reported \
                     as lost; without a report as many as were heard of around it, in 8 s (median)"
                }
                Column::Intent => "19 in 20 want to verify, and all who did or asked again",
                Column::Read => "9 s (median) from the text to the code entered, or what is left of the time it took",
                Column::Patience => "half leave within 50 s, one in six stays two minutes, who gave up left then",
                Column::Resend => "who was not seen to ask for another text would not have",
                Column::ResendArrive => "as many as were heard of around it, in 8 s (median)",
                Column::CallResult => "of 20 calls a person answers 15, a machine 1",
                Column::CallRing => "10 s (median) until a call's result",
                Column::CallHear => "8 s (median) until the code is heard, or that share of the time it took",
                Column::CallType => "4 s (median) until a heard code is entered, or that share of the time it took",
                _ => continue,
            };
            let is_known = if self.header.is_filled(column) { "known in part" } else { "unknown" };
            notes.push(format!("{name} is {is_known}; assumed: {assumed}"));
        }
    }
}

/// In hand when it was reported, or else as long before the code was entered as it takes to read; entered when it was.
/// After another text was asked for it was that one, unless the first was reported only then.
fn by_text(row: &mut Row, seen: &Seen) {
    let (end_ms, asked) = (seen.end_ms, seen.asked(row));
    let is_reported = row.report == Some(Report::Delivered) && row.dlr_ms <= end_ms;
    let reported = Some(row.dlr_ms).filter(|at| is_reported && asked.is_none_or(|asked| *at > asked));
    let waited = end_ms - asked.unwrap_or(0);
    let in_hand = reported.unwrap_or(end_ms - row.read_ms.min(waited / 2));
    match asked {
        None => row.arrive_ms = in_hand,
        Some(asked) if reported.is_some() => {
            row.arrive_ms = in_hand;
            row.resend_arrive_ms = row.resend_arrive_ms.max(in_hand - asked);
        }
        Some(asked) => {
            row.resend_arrive_ms = in_hand - asked;
            if row.arrive_ms <= in_hand {
                row.arrive_ms = NEVER;
            }
        }
    }
    row.read_ms = end_ms - in_hand;
    if let Some(call_ms) = seen.called().filter(|_| !seen.is_call_known) {
        // It was hung up: it rang for longer.
        row.call_ring_ms = row.call_ring_ms.max(end_ms - call_ms);
    }
}

/// Answered, heard and entered within the time it took.
fn by_call(row: &mut Row, seen: &Seen) {
    let took_ms = seen.end_ms - seen.call_ms;
    row.call_result = CallResult::Answered;
    if row.call_ring_ms >= took_ms {
        row.call_ring_ms = took_ms * 2 / 3;
    }
    let left = took_ms - row.call_ring_ms;
    let (hear, both) = (row.call_hear_ms, (row.call_hear_ms.saturating_add(row.call_type_ms)).max(1));
    row.call_hear_ms = (left as f64 * hear as f64 / both as f64) as u64;
    row.call_type_ms = left - row.call_hear_ms;
}

/// What no draw brought: the plainest story that ends so.
fn make_agree(row: &mut Row, seen: &Seen) {
    let asked = seen.asked(row);
    match (seen.end, asked) {
        (End::Text, _) => row.patience_ms = NEVER,
        (End::Call, _) => (row.arrive_ms, row.resend_arrive_ms, row.patience_ms) = (NEVER, NEVER, NEVER),
        (End::Left | End::Unverified, None) => row.intent = false,
        (End::Left | End::Unverified, Some(asked)) => {
            (row.arrive_ms, row.resend_arrive_ms, row.patience_ms) = (NEVER, NEVER, asked + 1);
        }
    }
}
