//! The scenario numbers: how the last four digits of a number decide its texts and calls.
//!
//! Pure data. Delays are simulated time: each counts from the step before, the first from the acceptance of the text.
//! [`send`](super::send) and [`ring`](super::ring) perform the steps. [`carrier`](super::carrier) counts what was
//! tried per number and draws the behaviour of numbers without a scenario.

use std::time::Duration;

/// One row of the table of numbers in `docs/quickstart.md`, with its last four digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::EnumIter, strum::IntoStaticStr)]
pub(super) enum Scenario {
    #[strum(serialize = "0100")]
    Delivered,
    #[strum(serialize = "0101")]
    Filtered,
    #[strum(serialize = "0102")]
    Failed,
    #[strum(serialize = "0103")]
    SentThenSilence,
    #[strum(serialize = "0104")]
    QueuedForEver,
    #[strum(serialize = "0105")]
    FakeReport,
    #[strum(serialize = "0106")]
    Landline,
    #[strum(serialize = "0107")]
    BusyThenAnswered,
    #[strum(serialize = "0108")]
    NeverAnswered,
    #[strum(serialize = "0109")]
    Voicemail,
    #[strum(serialize = "0110")]
    NodeFails,
    #[strum(serialize = "0111")]
    TooManyRequests,
    #[strum(serialize = "0112")]
    ServerErrors,
    #[strum(serialize = "0113")]
    AnswerHangs,
    #[strum(serialize = "0114")]
    Disordered,
    #[strum(serialize = "0115")]
    LateAfterCall,
    #[strum(serialize = "0116")]
    GeoBarred,
    #[strum(serialize = "0117")]
    OptedOut,
    #[strum(serialize = "0118")]
    CallbackFirst,
    /// Any other number, whose behaviour [`carrier`](super::carrier) draws.
    #[strum(disabled)]
    Drawn,
}

impl Scenario {
    /// The scenario of a number, given in digits.
    pub(super) fn of(number: &str) -> Self {
        let last_four = number.get(number.len().saturating_sub(4)..);
        last_four.and_then(|digits| digits.parse().ok()).unwrap_or(Self::Drawn)
    }

    /// The steps of a text; `None` when they are drawn.
    pub(super) fn text_steps(self) -> Option<Vec<Step>> {
        use TextState::{Delivered, Queued, Sent, Undelivered};
        Some(match self {
            Self::Drawn => return None,
            Self::Delivered
            | Self::NodeFails
            | Self::TooManyRequests
            | Self::ServerErrors
            | Self::AnswerHangs
            | Self::CallbackFirst => delivered_after(ms(1300)),
            Self::Filtered | Self::BusyThenAnswered | Self::NeverAnswered | Self::Voicemail => undelivered(30),
            Self::Landline => undelivered(50),
            Self::Failed => failed(300),
            Self::GeoBarred => failed(450),
            Self::OptedOut => vec![queued(), sent(), Step::report(ms(300), Undelivered, 3).with_error(200)],
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
                Step { after: Duration::ZERO, action: StepAction::AwaitCall },
                Step::arrive(Duration::from_secs(15)),
                Step::report(ms(100), Delivered, 3),
            ],
        })
    }

    /// How the ringing of the `nth` call (from zero) ends; `None` when that is drawn.
    pub(super) fn ring_result(self, nth: u32) -> Option<RingResult> {
        match self {
            Self::Drawn => None,
            Self::BusyThenAnswered if nth == 0 => Some(RingResult::Busy),
            Self::NeverAnswered => Some(RingResult::NoAnswer),
            Self::Voicemail => Some(RingResult::Machine),
            _ => Some(RingResult::Answered),
        }
    }
}

/// One event in the life of a text, and its delay after the event before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) after: Duration,
    pub(super) action: StepAction,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StepAction {
    /// Plivo reports a state, which need not be true. `sequence` is the state's place in Plivo's order of states.
    Report { state: TextState, error: Option<u16>, sequence: u32 },
    /// The handset receives the text.
    Arrive,
    /// Nothing happens before a call to the number is answered.
    AwaitCall,
}

/// The delivery states of a text, in Plivo's words.
/// Source: plivo.com/docs/messaging/api/message/message-status-callbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(super) enum TextState {
    Queued,
    Sent,
    Delivered,
    Undelivered,
    Failed,
}

/// How the ringing of a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RingResult {
    /// A person answers.
    Answered,
    NoAnswer,
    Busy,
    Rejected,
    Failed,
    /// Voicemail answers.
    Machine,
}

impl Step {
    pub(super) fn report(after: Duration, state: TextState, sequence: u32) -> Self {
        Self { after, action: StepAction::Report { state, error: None, sequence } }
    }

    pub(super) fn arrive(after: Duration) -> Self {
        Self { after, action: StepAction::Arrive }
    }

    pub(super) fn with_error(mut self, code: u16) -> Self {
        if let StepAction::Report { error, .. } = &mut self.action {
            *error = Some(code);
        }
        self
    }
}

/// Queued, sent, received `delay` later, and then reported.
pub(super) fn delivered_after(delay: Duration) -> Vec<Step> {
    vec![queued(), sent(), Step::arrive(delay), Step::report(ms(100), TextState::Delivered, 3)]
}

/// Handed to a carrier, which rejects it.
pub(super) fn undelivered(code: u16) -> Vec<Step> {
    vec![queued(), sent(), Step::report(ms(1000), TextState::Undelivered, 3).with_error(code)]
}

/// Never handed to a carrier.
pub(super) fn failed(code: u16) -> Vec<Step> {
    vec![queued(), Step::report(ms(500), TextState::Failed, 2).with_error(code)]
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
    use strum::IntoEnumIterator as _;

    use super::*;

    /// The last four digits and the steps of every scenario.
    fn text_steps_by_number() -> Vec<(&'static str, Vec<Step>)> {
        let steps: Vec<_> =
            Scenario::iter().map(|scenario| (scenario.into(), scenario.text_steps().unwrap())).collect();
        assert_eq!(steps.len(), 19);
        steps
    }

    fn steps_of(last_four: &str) -> Vec<Step> {
        Scenario::of(&format!("1415555{last_four}")).text_steps().unwrap()
    }

    fn last_report(steps: &[Step]) -> (TextState, Option<u16>) {
        let reports = steps.iter().filter_map(|step| match step.action {
            StepAction::Report { state, error, sequence } => Some((sequence, state, error)),
            StepAction::Arrive | StepAction::AwaitCall => None,
        });
        reports.max_by_key(|report| report.0).map(|(_, state, error)| (state, error)).unwrap()
    }

    #[test]
    fn the_final_report_matches_the_table() {
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
            assert_eq!(last_report(&steps_of(number)), (state, error), "{number}");
        }
    }

    #[test]
    fn reports_come_within_two_seconds_unless_the_text_waits_for_a_call() {
        for (number, steps) in text_steps_by_number() {
            let until_call = steps.iter().take_while(|step| step.action != StepAction::AwaitCall);
            let total: Duration = until_call.map(|step| step.after).sum();
            let limit = if matches!(number, "0116" | "0117") { 1 } else { 2 };
            assert!(total <= Duration::from_secs(limit), "{number}: {total:?}");
        }
    }

    #[test]
    fn a_text_arrives_exactly_when_its_delivery_report_is_true() {
        for (number, steps) in text_steps_by_number() {
            let arrives = steps.iter().any(|step| step.action == StepAction::Arrive);
            let is_delivered = last_report(&steps).0 == TextState::Delivered && number != "0105";
            assert_eq!(arrives, is_delivered, "{number}");
        }
    }

    #[test]
    fn calls_are_answered_unless_the_table_says_otherwise() {
        for (number, _) in text_steps_by_number() {
            let scenario = Scenario::of(number);
            let results = (scenario.ring_result(0), scenario.ring_result(1));
            let expected = match number {
                "0107" => (RingResult::Busy, RingResult::Answered),
                "0108" => (RingResult::NoAnswer, RingResult::NoAnswer),
                "0109" => (RingResult::Machine, RingResult::Machine),
                _ => (RingResult::Answered, RingResult::Answered),
            };
            assert_eq!(results, (Some(expected.0), Some(expected.1)), "{number}");
        }
        assert_eq!(Scenario::of("14155559999").ring_result(0), None);
    }
}
