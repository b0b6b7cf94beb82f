//! The kinds that the table must show, each list with an exhaustive match: a new variant stops the build here.

use phlo_2fa::escalation::{CallEnd, Reason};
use phlo_2fa::verification::{
    Activity, Answer, AttemptStatus, CallReport, CallSpeech, Channel, Effect, Event, FailureClass, Join, Listener,
    Refusal, RefusalScope, Status, TextReport, TriggerOutcome, TriggerReply, Via,
};

/// Makes the list of names and the match from the same lines, so that the list cannot lack a variant.
macro_rules! kinds {
    ($($list:ident, $name_of:ident: $type:ident { $($pattern:pat => $name:ident),+ $(,)? })+) => {$(
        const $list: &[&str] = &[$(concat!(stringify!($type), "::", stringify!($name))),+];

        pub fn $name_of(value: &$type) -> &'static str {
            match value {
                $($pattern => concat!(stringify!($type), "::", stringify!($name))),+
            }
        }
    )+

        /// Every list.
        pub const ALL: &[&[&str]] = &[$($list),+];
    };
}

kinds! {
    EVENTS, event: Event {
        Event::CodeSubmitted(_) => CodeSubmitted,
        Event::Cancel => Cancel,
        Event::CancelAll => CancelAll,
        Event::AttemptRequested(_) => AttemptRequested,
        Event::Joined(Join { is_test: true, .. }) => JoinedAsTest,
        Event::Joined(Join { is_test: false, session: Some(_), .. }) => Joined,
        Event::Joined(Join { is_test: false, session: None, .. }) => JoinedAsResend,
        Event::Activity(_) => Activity,
        Event::Feedback(_) => Feedback,
        Event::Triggered { .. } => Triggered,
        Event::Admitted { .. } => Admitted,
        Event::HandedBack { .. } => HandedBack,
        Event::HungUp { .. } => HungUp,
        Event::CallContinues { .. } => CallContinues,
        Event::Identified { .. } => Identified,
        Event::LookedUp { .. } => LookedUp,
        Event::Linked { .. } => Linked,
        Event::Told { .. } => Told,
        Event::Replay { .. } => Replay,
        Event::TextReported { .. } => TextReported,
        Event::TextRefused { .. } => TextRefused,
        Event::CallReported { .. } => CallReported,
        Event::SignedCallback(_) => SignedCallback,
        Event::FailedOver => FailedOver,
        Event::Tick => Tick,
    }
    CHANNELS, channel: Channel { Channel::Sms => Sms, Channel::Call => Call }
    ACTIVITIES, activity: Activity {
        Activity::Typing => Typing,
        Activity::Received => Received,
        Activity::NotReceived => NotReceived,
    }
    OUTCOMES, outcome: TriggerOutcome {
        TriggerOutcome::Accepted { .. } => Accepted,
        TriggerOutcome::PassedOn { .. } => PassedOn,
        TriggerOutcome::Refused { .. } => Refused,
        TriggerOutcome::TimedOut { .. } => TimedOut,
        TriggerOutcome::Deferred { .. } => Deferred,
        TriggerOutcome::Waiting { .. } => Waiting,
    }
    REPLIES, reply: TriggerReply {
        TriggerReply::Accepted { .. } => Accepted,
        TriggerReply::Refused { .. } => Refused,
        TriggerReply::NotNow { .. } => NotNow,
        TriggerReply::Failed { .. } => Failed,
        TriggerReply::Silent => Silent,
    }
    VIAS, via: Via { Via::Phlo => Phlo, Via::Api => Api }
    SCOPES, scope: RefusalScope {
        RefusalScope::Attempt => Attempt,
        RefusalScope::Account => Account,
        RefusalScope::Number => Number,
    }
    TEXT_REPORTS, text_report: TextReport {
        TextReport::Queued => Queued,
        TextReport::Sent => Sent,
        TextReport::Delivered => Delivered,
        TextReport::Undelivered { .. } => Undelivered,
        TextReport::Failed { .. } => Failed,
    }
    CLASSES, class: FailureClass {
        FailureClass::Permanent => Permanent,
        FailureClass::Transient => Transient,
        FailureClass::Stop => Stop,
    }
    CALL_REPORTS, call_report: CallReport {
        CallReport::Ringing => Ringing,
        CallReport::Answered => Answered,
        CallReport::Completed => Completed,
        CallReport::Ended { .. } => Ended,
    }
    CALL_ENDS, call_end: CallEnd {
        CallEnd::Busy => Busy,
        CallEnd::NoAnswer => NoAnswer,
        CallEnd::Rejected => Rejected,
        CallEnd::Machine => Machine,
        CallEnd::Failed => Failed,
    }
    LISTENERS, listener: Listener {
        Listener::Machine => Machine,
        Listener::Person => Person,
        Listener::Unknown => Unknown,
    }
    SPEECHES, speech: CallSpeech {
        CallSpeech::Code => Code,
        CallSpeech::KeyRequest => KeyRequest,
        CallSpeech::Goodbye => Goodbye,
    }
    STATUSES, status: Status {
        Status::Pending => Pending,
        Status::Verified => Verified,
        Status::Expired => Expired,
        Status::Canceled => Canceled,
        Status::MaxChecksReached => MaxChecksReached,
        Status::Undeliverable => Undeliverable,
    }
    ATTEMPT_STATUSES, attempt_status: AttemptStatus {
        AttemptStatus::Triggering => Triggering,
        AttemptStatus::Unknown => Unknown,
        AttemptStatus::Triggered => Triggered,
        AttemptStatus::Queued => Queued,
        AttemptStatus::Sent => Sent,
        AttemptStatus::Delivered => Delivered,
        AttemptStatus::Undelivered => Undelivered,
        AttemptStatus::Failed => Failed,
        AttemptStatus::Ringing => Ringing,
        AttemptStatus::Answered => Answered,
        AttemptStatus::Completed => Completed,
        AttemptStatus::NoAnswer => NoAnswer,
        AttemptStatus::Busy => Busy,
        AttemptStatus::Rejected => Rejected,
        AttemptStatus::Machine => Machine,
    }
    EFFECTS, effect: Effect {
        Effect::Trigger { .. } => Trigger,
        Effect::HangUp { .. } => HangUp,
        Effect::Identify { .. } => Identify,
        Effect::LookUp { .. } => LookUp,
        Effect::Link { .. } => Link,
        Effect::Tell { .. } => Tell,
    }
    REASONS, reason: Reason {
        Reason::Undelivered => Undelivered,
        Reason::Failed => Failed,
        Reason::Landline => Landline,
        Reason::RejectedByPlivo => RejectedByPlivo,
        Reason::Requested => Requested,
        Reason::StuckQueued => StuckQueued,
        Reason::NoReport => NoReport,
        Reason::DeliveredUnverified => DeliveredUnverified,
        Reason::RouteUnreliable => RouteUnreliable,
    }
    ANSWERS, answer: Answer {
        Answer::Noted => Noted,
        Answer::Correct => Correct,
        Answer::Incorrect => Incorrect,
        Answer::Repeated { .. } => Repeated,
        Answer::Refused(_) => Refused,
    }
    REFUSALS, refusal: Refusal {
        Refusal::Final(_) => Final,
        Refusal::LostInFailover => LostInFailover,
        Refusal::CodeLength(_) => CodeLength,
        Refusal::CodeConflict => CodeConflict,
        Refusal::TooManySessions { .. } => TooManySessions,
        Refusal::CallInProgress => CallInProgress,
        Refusal::ResendCooldown { .. } => ResendCooldown,
        Refusal::MaxAttempts => MaxAttempts,
        Refusal::ChannelNotAllowed => ChannelNotAllowed,
        Refusal::RateLimited { .. } => RateLimited,
        Refusal::Replayed => Replayed,
    }
}

/// Every kind that an event is made of.
pub fn of_event(value: &Event) -> Vec<&'static str> {
    let mut kinds = vec![event(value)];
    match value {
        Event::AttemptRequested(of) | Event::Joined(Join { channel: of, .. }) => kinds.push(channel(of)),
        Event::Activity(kind) => kinds.push(activity(kind)),
        Event::Triggered { outcome: of, .. } => {
            kinds.push(outcome(of));
            if let TriggerOutcome::Refused { scope: of, .. } = of {
                kinds.push(scope(of));
            }
        }
        Event::TextReported { report, .. } => {
            kinds.push(text_report(report));
            kinds.extend(report.class().as_ref().map(class));
        }
        Event::CallReported { report, .. } => {
            kinds.push(call_report(report));
            if let CallReport::Ended { end, .. } = report {
                kinds.push(call_end(end));
            }
        }
        Event::CodeSubmitted(_)
        | Event::Cancel
        | Event::CancelAll
        | Event::Feedback(_)
        | Event::Admitted { .. }
        | Event::HandedBack { .. }
        | Event::HungUp { .. }
        | Event::CallContinues { .. }
        | Event::Identified { .. }
        | Event::LookedUp { .. }
        | Event::Linked { .. }
        | Event::Told { .. }
        | Event::Replay { .. }
        | Event::TextRefused { .. }
        | Event::SignedCallback(_)
        | Event::FailedOver
        | Event::Tick => {}
    }
    kinds
}
