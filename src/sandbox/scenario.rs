//! The scenario numbers: what the last four digits of a number make of a text or a call to it.
//!
//! Pure data. Delays are the local Plivo's time and count from the step before, the first from the
//! moment the message was accepted. Who runs the steps is [`text`](super::text) and
//! [`line`](super::line); what a number remembers (a second call, a third request) is
//! [`carrier`](super::carrier)'s.

use std::time::Duration;

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    Delivered,
    Filtered,
    Failed,
    SentThenSilence,
    QueuedForEver,
    FakeReport,
    Landline,
    BusyThenAnswered,
    NeverAnswered,
    Voicemail,
    NodeFails,
    TooManyRequests,
    ServerErrors,
    AnswerHangs,
    Disordered,
    LateAfterCall,
    GeoBarred,
    OptedOut,
    CallbackFirst,
    /// Any other number: drawn by [`carrier`](super::carrier).
    Drawn,
}

impl Scenario {
    /// The scenario of a number, given in digits.
    pub(super) fn of(number: &str) -> Self {
        match number.get(number.len().saturating_sub(4)..) {
            Some("0100") => Self::Delivered,
            Some("0101") => Self::Filtered,
            Some("0102") => Self::Failed,
            Some("0103") => Self::SentThenSilence,
            Some("0104") => Self::QueuedForEver,
            Some("0105") => Self::FakeReport,
            Some("0106") => Self::Landline,
            Some("0107") => Self::BusyThenAnswered,
            Some("0108") => Self::NeverAnswered,
            Some("0109") => Self::Voicemail,
            Some("0110") => Self::NodeFails,
            Some("0111") => Self::TooManyRequests,
            Some("0112") => Self::ServerErrors,
            Some("0113") => Self::AnswerHangs,
            Some("0114") => Self::Disordered,
            Some("0115") => Self::LateAfterCall,
            Some("0116") => Self::GeoBarred,
            Some("0117") => Self::OptedOut,
            Some("0118") => Self::CallbackFirst,
            _ => Self::Drawn,
        }
    }

    /// What becomes of a text, step by step; `None` when that is drawn.
    pub(super) fn text(self) -> Option<Vec<Step>> {
        use TextState::{Delivered, Queued, Sent, Undelivered};
        Some(match self {
            Self::Drawn => return None,
            Self::Delivered
            | Self::NodeFails
            | Self::TooManyRequests
            | Self::ServerErrors
            | Self::AnswerHangs
            | Self::CallbackFirst => delivered_after(ms(1300)),
            Self::Filtered => undelivered(30),
            Self::BusyThenAnswered | Self::NeverAnswered | Self::Voicemail => undelivered(30),
            Self::Landline => undelivered(50),
            Self::Failed => failed(300),
            Self::GeoBarred => failed(450),
            Self::OptedOut => vec![queued(), sent(), Step::report(ms(300), Undelivered, 3).error(200)],
            Self::SentThenSilence => vec![queued(), sent()],
            Self::QueuedForEver => vec![queued()],
            Self::FakeReport => vec![queued(), sent(), Step::report(ms(1200), Delivered, 3)],
            Self::Disordered => vec![
                Step::arrive(ms(500)),
                Step::report(ms(100), Delivered, 3),
                Step::report(ms(100), Sent, 2),
                Step::report(ms(100), Delivered, 3),
                Step::report(ms(100), Queued, 1),
                Step::report(ms(100), Queued, 1),
                Step::report(ms(100), Sent, 2),
            ],
            Self::LateAfterCall => vec![
                queued(),
                sent(),
                Step { after: Duration::ZERO, what: What::AwaitCall },
                Step::arrive(Duration::from_secs(15)),
                Step::report(ms(100), Delivered, 3),
            ],
        })
    }

    /// How the `nth` call (from zero) to such a number ends; `None` when that is drawn.
    pub(super) fn call(self, nth: u32) -> Option<Pickup> {
        match self {
            Self::Drawn => None,
            Self::BusyThenAnswered if nth == 0 => Some(Pickup::Busy),
            Self::NeverAnswered => Some(Pickup::NoAnswer),
            Self::Voicemail => Some(Pickup::Machine),
            _ => Some(Pickup::Answered),
        }
    }
}

/// What happens `after` the step before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) after: Duration,
    pub(super) what: What,
}

/// One thing that happens to a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Plivo says so, which need not be true. `sequence` is the order in which it came to know.
    Report { state: TextState, error: Option<u16>, sequence: u32 },
    /// It is on the handset.
    Arrive,
    /// Nothing happens until somebody has answered a call to that number.
    AwaitCall,
}

/// Plivo's own words for where a text stands.
/// Source: plivo.com/docs/messaging/api/message/message-status-callbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TextState {
    Queued,
    Sent,
    Delivered,
    Undelivered,
    Failed,
}

impl TextState {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
        }
    }
}

/// Who or what picks up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pickup {
    Answered,
    NoAnswer,
    Busy,
    Rejected,
    Failed,
    Machine,
}

impl Step {
    pub(super) fn report(after: Duration, state: TextState, sequence: u32) -> Self {
        Self { after, what: What::Report { state, error: None, sequence } }
    }

    pub(super) fn arrive(after: Duration) -> Self {
        Self { after, what: What::Arrive }
    }

    pub(super) fn error(mut self, code: u16) -> Self {
        if let What::Report { error, .. } = &mut self.what {
            *error = Some(code);
        }
        self
    }
}

/// Queued, sent, on the handset `delay` after that, and reported as soon as it is there.
pub(super) fn delivered_after(delay: Duration) -> Vec<Step> {
    vec![queued(), sent(), Step::arrive(delay), Step::report(ms(100), TextState::Delivered, 3)]
}

/// Handed to a carrier, which said no.
pub(super) fn undelivered(code: u16) -> Vec<Step> {
    vec![queued(), sent(), Step::report(ms(1000), TextState::Undelivered, 3).error(code)]
}

/// Never handed to a carrier.
pub(super) fn failed(code: u16) -> Vec<Step> {
    vec![queued(), Step::report(ms(500), TextState::Failed, 2).error(code)]
}

pub(super) fn queued() -> Step {
    Step::report(ms(100), TextState::Queued, 1)
}

pub(super) fn sent() -> Step {
    Step::report(ms(300), TextState::Sent, 2)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: [&str; 19] = [
        "0100", "0101", "0102", "0103", "0104", "0105", "0106", "0107", "0108", "0109", "0110", "0111", "0112", "0113",
        "0114", "0115", "0116", "0117", "0118",
    ];

    fn steps(last_four: &str) -> Vec<Step> {
        Scenario::of(&format!("1415555{last_four}")).text().unwrap()
    }

    fn last_report(steps: &[Step]) -> (TextState, Option<u16>) {
        let reports = steps.iter().filter_map(|step| match step.what {
            What::Report { state, error, sequence } => Some((sequence, state, error)),
            What::Arrive | What::AwaitCall => None,
        });
        reports.max_by_key(|report| report.0).map(|(_, state, error)| (state, error)).unwrap()
    }

    #[test]
    fn the_final_report_is_the_one_of_the_table() {
        use TextState::{Delivered, Failed, Queued, Sent, Undelivered};
        for (number, state, error) in [
            ("0100", Delivered, None),
            ("0101", Undelivered, Some(30)),
            ("0102", Failed, Some(300)),
            ("0103", Sent, None),
            ("0104", Queued, None),
            ("0105", Delivered, None),
            ("0106", Undelivered, Some(50)),
            ("0107", Undelivered, Some(30)),
            ("0108", Undelivered, Some(30)),
            ("0109", Undelivered, Some(30)),
            ("0114", Delivered, None),
            ("0115", Delivered, None),
            ("0116", Failed, Some(450)),
            ("0117", Undelivered, Some(200)),
            ("0118", Delivered, None),
        ] {
            assert_eq!(last_report(&steps(number)), (state, error), "{number}");
        }
    }

    #[test]
    fn reports_come_in_time_unless_a_call_is_waited_for() {
        for number in NUMBERS {
            let steps = steps(number);
            let until_call = steps.iter().take_while(|step| step.what != What::AwaitCall);
            let total: Duration = until_call.map(|step| step.after).sum();
            let limit = if matches!(number, "0116" | "0117") { 1 } else { 2 };
            assert!(total <= Duration::from_secs(limit), "{number}: {total:?}");
        }
    }

    #[test]
    fn only_what_is_truly_delivered_arrives() {
        for number in NUMBERS {
            let arrives = steps(number).iter().any(|step| step.what == What::Arrive);
            let delivered = last_report(&steps(number)).0 == TextState::Delivered && number != "0105";
            assert_eq!(arrives, delivered, "{number}");
        }
    }

    #[test]
    fn calls_are_answered_unless_the_row_says_otherwise() {
        for number in NUMBERS {
            let scenario = Scenario::of(number);
            let calls = (scenario.call(0), scenario.call(1));
            let expected = match number {
                "0107" => (Pickup::Busy, Pickup::Answered),
                "0108" => (Pickup::NoAnswer, Pickup::NoAnswer),
                "0109" => (Pickup::Machine, Pickup::Machine),
                _ => (Pickup::Answered, Pickup::Answered),
            };
            assert_eq!(calls, (Some(expected.0), Some(expected.1)), "{number}");
        }
        assert_eq!(Scenario::of("14155559999").call(0), None);
    }
}
