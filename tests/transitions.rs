//! The full table: every status, for a pending verification every situation that matters, times everything that
//! can happen. `snapshots/transitions.txt` has one line for each; a change of it is a change of behaviour.
//!
//! `BLESS=1 cargo test --test transitions` writes it anew. Read the difference before you commit it.

#![allow(clippy::unwrap_used, reason = "a story that cannot be told fails the test")]

#[path = "support/story.rs"]
mod story;

use std::fmt::Write;

use phlo_2fa::escalation::CallEnd;
use phlo_2fa::verification::event::{
    Activity, CallReport, Facts, FailureClass, ProviderId, RefusalScope, TextReport, TriggerOutcome,
};
use phlo_2fa::verification::{Answer, AttemptStatus, Channel, Effect, Event, Mode, Refusal, Status, Verification};
use phlo_2fa::verification::{Attempt, Via};
use story::*;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/transitions.txt");

#[test]
fn every_event_does_to_every_status_what_the_table_says() {
    let mut table = String::new();
    for (name, story, second) in situations() {
        writeln!(table, "{name} (event at {second} s)\n  {}", state(&story.v)).unwrap();
        for (event_name, event) in events(&story.v) {
            let mut told = story.clone();
            told.at(second, event);
            writeln!(table, "    {event_name:26} {}", outcome(&story.v, &told)).unwrap();
        }
        table.push('\n');
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(TABLE, &table).unwrap();
    }
    let known = std::fs::read_to_string(TABLE).unwrap_or_default();
    for (line, (known, now)) in known.lines().zip(table.lines()).enumerate() {
        assert_eq!(known, now, "line {} of transitions.txt; BLESS=1 writes it anew", line + 1);
    }
    assert_eq!(known.lines().count(), table.lines().count(), "BLESS=1 writes transitions.txt anew");
}

#[test]
fn the_table_has_every_status_of_verifications_and_attempts() {
    let stories = situations();
    for status in Status::ALL {
        assert!(stories.iter().any(|(_, story, _)| story.v.status == status), "{status:?}");
    }
    use AttemptStatus::*;
    let at_start = [
        Triggering,
        Unknown,
        Triggered,
        Queued,
        Sent,
        Delivered,
        Undelivered,
        Failed,
        Ringing,
        Answered,
        Completed,
        NoAnswer,
        Busy,
    ];
    for status in at_start {
        let shown = |v: &Verification| v.attempts.iter().any(|a| a.status == status);
        assert!(stories.iter().any(|(_, story, _)| shown(&story.v)), "{status:?}");
    }
}

/// Name, story so far, and the second at which the event comes.
fn situations() -> Vec<(&'static str, Story, u64)> {
    use FailureClass::{Permanent, Stop, Transient};
    let tell = |mode, policy: &str, events: &[(u64, Event)]| {
        let mut story = Story::new(mode, policy);
        for (second, event) in events {
            story.at(*second, event.clone());
        }
        story
    };
    let auto = |events: &[(u64, Event)]| tell(Mode::Auto, "fixed+fail:45", events);
    let report = |second, report| (second, text(0, report));
    let sent = [(1, accepted(0)), report(2, TextReport::Queued), report(3, TextReport::Sent)];
    let lost = [(1, accepted(0)), (5, undelivered(0, "30", Permanent))];
    let called = |rest: &[(u64, Event)]| auto(&[&lost[..], &[(6, accepted(1))], rest].concat());
    let five = [1, 2, 3, 4, 5].map(|second| (second, submit("000000")));
    let busy = (9, ended(1, CallEnd::Busy));
    vec![
        ("pending, text triggering", auto(&[]), 2),
        ("pending, text triggering, Plivo unavailable", auto(&[(1, deferred(0, 4))]), 2),
        ("pending, text triggering, its doer gone", auto(&[]), 16),
        ("pending, text unknown", auto(&[(12, timed_out(0))]), 13),
        ("pending, text triggered", auto(&[(1, accepted(0))]), 2),
        ("pending, text queued", auto(&sent[..2]), 10),
        ("pending, text sent", auto(&sent), 10),
        ("pending, text delivered", auto(&[(1, accepted(0)), report(3, TextReport::Delivered)]), 10),
        ("pending, text delivered, out of the cooldown", auto(&[(3, text(0, TextReport::Delivered))]), 31),
        ("pending, text of class T", auto(&[(1, accepted(0)), (5, failed(0, "80", Transient))]), 10),
        ("pending, at the timer", auto(&sent), 45),
        ("pending, at the timer, typing", auto(&[&sent[..], &[(44, Event::Activity(Activity::Typing))]].concat()), 45),
        (
            "pending, at the timer, text in hand",
            auto(&[&sent[..], &[(44, Event::Activity(Activity::Received))]].concat()),
            45,
        ),
        ("pending, four wrong codes", auto(&five[..4]), 10),
        ("pending, call triggering", auto(&lost), 6),
        ("pending, call triggered", called(&[]), 7),
        ("pending, call unknown", auto(&[&lost[..], &[(17, timed_out(1))]].concat()), 20),
        ("pending, call ringing", called(&[(8, call(1, CallReport::Ringing))]), 9),
        (
            "pending, call ringing, known by its id",
            {
                let provider_id = Some(ProviderId { uuid: "u".to_owned(), is_linked: true });
                called(&[(
                    8,
                    Event::CallReported {
                        attempt: 1,
                        report: CallReport::Ringing,
                        provider_id,
                        facts: Facts::default(),
                    },
                )])
            },
            9,
        ),
        (
            "verified while the call rings",
            {
                let provider_id = Some(ProviderId { uuid: "u".to_owned(), is_linked: true });
                let ringing = Event::CallReported {
                    attempt: 1,
                    report: CallReport::Ringing,
                    provider_id,
                    facts: Facts::default(),
                };
                called(&[(8, ringing), (9, submit(RIGHT))])
            },
            10,
        ),
        (
            "pending, text triggered, its run to be asked",
            {
                let run_id = Some("run".to_owned());
                auto(&[(1, triggered(0, TriggerOutcome::Accepted { via: Via::Phlo, provider_id: None, run_id }))])
            },
            3,
        ),
        ("pending, call silent for 60 s", called(&[(8, call(1, CallReport::Ringing))]), 68),
        ("pending, call answered", called(&[(8, call(1, CallReport::Answered))]), 9),
        ("pending, call completed", called(&[(8, call(1, CallReport::Completed))]), 40),
        ("pending, call busy, waiting for its repeat", called(std::slice::from_ref(&busy)), 20),
        ("pending, repeat due", called(std::slice::from_ref(&busy)), 29),
        ("pending, repeat under way", called(&[busy.clone(), (29, Event::Tick), (30, accepted(2))]), 31),
        (
            "pending, text alive, repeat not answered",
            {
                let rest = [
                    (46, accepted(1)),
                    (50, ended(1, CallEnd::NoAnswer)),
                    (70, Event::Tick),
                    (90, ended(2, CallEnd::NoAnswer)),
                ];
                auto(&[&sent[..], &[(45, Event::Tick)], &rest[..]].concat())
            },
            100,
        ),
        ("pending, channel sms, text sent", tell(Mode::Sms, "fixed+fail:45", &sent), 50),
        (
            "pending, channel call, call ringing",
            { tell(Mode::Call, "fixed+fail:45", &[(1, accepted(0)), (2, call(0, CallReport::Ringing))]) },
            5,
        ),
        ("pending, policy never, text of class P", tell(Mode::Auto, "never", &lost), 50),
        ("pending, policy fixed:45, text of class P", tell(Mode::Auto, "fixed:45", &lost), 10),
        (
            "pending, policy fixed:45, text refused",
            { tell(Mode::Auto, "fixed:45", &[(1, refused(0, 400, RefusalScope::Attempt))]) },
            10,
        ),
        (
            "pending, right before the expiry",
            auto(&[&sent[..], &[(45, Event::Tick), (46, call(1, CallReport::Answered))]].concat()),
            299,
        ),
        (
            "pending, at the expiry",
            auto(&[&sent[..], &[(45, Event::Tick), (46, call(1, CallReport::Answered))]].concat()),
            300,
        ),
        ("verified, text sent", auto(&[&sent[..], &[(9, submit(RIGHT))]].concat()), 20),
        ("verified, call triggering", auto(&[&lost[..], &[(6, submit(RIGHT))]].concat()), 20),
        ("expired", auto(&[&sent[..2], &[(300, Event::Tick)]].concat()), 310),
        ("canceled", auto(&[&sent[..2], &[(20, Event::Cancel)]].concat()), 30),
        ("max_checks_reached", auto(&[&sent[..2], &five[..]].concat()), 30),
        ("undeliverable, class S", auto(&[&sent[..2], &[(5, failed(0, "450", Stop))]].concat()), 30),
        ("undeliverable, text lost and call rejected", called(&[(9, ended(1, CallEnd::Rejected))]), 30),
    ]
}

/// Everything that can happen, about the newest attempt of the kind (or, where there is none, the first attempt,
/// which is then of the wrong kind).
fn events(v: &Verification) -> Vec<(&'static str, Event)> {
    use FailureClass::{Permanent, Stop, Transient};
    let newest = |channel| v.attempts.iter().rposition(|a| a.channel == channel).unwrap_or(0) as u8;
    let last = (v.attempts.len() - 1) as u8;
    let (sms, ring) = (newest(Channel::Sms), newest(Channel::Call));
    let taken = |provider_id: Option<&str>, linked| {
        let provider_id = provider_id.map(|uuid| ProviderId { uuid: uuid.to_owned(), is_linked: linked });
        triggered(last, TriggerOutcome::Accepted { via: Via::Phlo, provider_id, run_id: None })
    };
    vec![
        ("right code", submit(RIGHT)),
        ("wrong code", submit("000000")),
        ("code of another length", submit("0429")),
        ("cancel", Event::Cancel),
        ("text requested", Event::AttemptRequested(Channel::Sms)),
        ("call requested", Event::AttemptRequested(Channel::Call)),
        ("joined by sms", Event::Joined { channel: Channel::Sms, is_test: false }),
        ("joined by call", Event::Joined { channel: Channel::Call, is_test: false }),
        ("typing", Event::Activity(Activity::Typing)),
        ("received", Event::Activity(Activity::Received)),
        ("not received", Event::Activity(Activity::NotReceived)),
        ("trigger accepted", taken(None, true)),
        ("trigger accepted, linked", taken(Some("u"), true)),
        ("trigger accepted, unlinked", taken(Some("u"), false)),
        ("trigger refused", refused(last, 400, RefusalScope::Attempt)),
        ("trigger refused, account", refused(last, 402, RefusalScope::Account)),
        ("trigger refused, number", refused(last, 403, RefusalScope::Number)),
        ("trigger timed out", timed_out(last)),
        ("trigger deferred", deferred(last, 3)),
        ("trigger passed on", triggered(last, TriggerOutcome::PassedOn { provider_status: Some(503), round: 0 })),
        ("trigger accepted, a run", {
            let run_id = Some("run".to_owned());
            triggered(last, TriggerOutcome::Accepted { via: Via::Phlo, provider_id: None, run_id })
        }),
        ("run identified", {
            let provider_id = Some(ProviderId { uuid: "u".to_owned(), is_linked: true });
            Event::Identified { attempt: last, provider_id }
        }),
        ("run tells nothing", Event::Identified { attempt: last, provider_id: None }),
        ("hung up", Event::HungUp { attempt: last, is_done: true }),
        ("not hung up", Event::HungUp { attempt: last, is_done: false }),
        ("call goes on", Event::CallGoesOn { attempt: ring, provider_id: None }),
        ("joined by sms, a test number", Event::Joined { channel: Channel::Sms, is_test: true }),
        ("linked", Event::Linked { provider_id: "u".into() }),
        ("text queued", text(sms, TextReport::Queued)),
        ("text sent", text(sms, TextReport::Sent)),
        ("text delivered", text(sms, TextReport::Delivered)),
        ("text undelivered P", undelivered(sms, "30", Permanent)),
        ("text undelivered P 50", undelivered(sms, "50", Permanent)),
        ("text undelivered T", undelivered(sms, "20", Transient)),
        ("text undelivered S", undelivered(sms, "200", Stop)),
        ("text failed P", failed(sms, "300", Permanent)),
        ("text failed T", failed(sms, "1000", Transient)),
        ("text failed S", failed(sms, "450", Stop)),
        ("text refused by its node", Event::TextRefused { attempt: sms }),
        ("call ringing", call(ring, CallReport::Ringing)),
        ("call answered", call(ring, CallReport::Answered)),
        ("call completed", call(ring, CallReport::Completed)),
        ("call busy", ended(ring, CallEnd::Busy)),
        ("call not answered", ended(ring, CallEnd::NoAnswer)),
        ("call rejected", ended(ring, CallEnd::Rejected)),
        ("call taken by a machine", ended(ring, CallEnd::Machine)),
        ("call failed", ended(ring, CallEnd::Failed)),
        ("attempt unknown", accepted(99)),
        ("lost in a fail-over", Event::Lost),
        ("tick", Event::Tick),
    ]
}

// ---- how a cell is written

fn outcome(before: &Verification, told: &Story) -> String {
    let mut line = match told.answer {
        Answer::Noted => String::new(),
        Answer::Correct => "right; ".into(),
        Answer::Repeated { after } => format!("repeated after {} s; ", after.as_secs_f64()),
        Answer::Incorrect => format!("wrong, {} left; ", told.v.checks_remaining()),
        Answer::Refused(refusal) => format!("refused: {}; ", refusal_name(refusal)),
    };
    for effect in &told.effects {
        match effect {
            Effect::Trigger { attempt } => write!(line, "TRIGGER {attempt}; ").unwrap(),
            Effect::HangUp { attempt } => write!(line, "HANG UP {attempt}; ").unwrap(),
            Effect::Identify { attempt, .. } => write!(line, "IDENTIFY {attempt}; ").unwrap(),
            Effect::Link { attempt, .. } => write!(line, "LINK {attempt}; ").unwrap(),
        }
    }
    let after = state(&told.v);
    line.push_str(if after == state(before) { "=" } else { &after });
    line
}

fn refusal_name(refusal: Refusal) -> String {
    match refusal {
        Refusal::Final(status) => status.as_str().into(),
        Refusal::Lost => "lost".into(),
        Refusal::CodeLength(length) => format!("has {length} digits"),
        Refusal::CallInProgress => "call in progress".into(),
        Refusal::ResendCooldown { retry_after } => format!("cooldown {} s", retry_after.as_secs_f64()),
        Refusal::MaxAttempts => "max attempts".into(),
        Refusal::ChannelNotAllowed => "channel not allowed".into(),
        Refusal::RateLimited { scope, .. } => format!("limit on {}", scope.as_str()),
        Refusal::Replayed => "replayed".into(),
    }
}

/// Status, attempts, next call, expiry (while it matters), what is owed.
fn state(v: &Verification) -> String {
    let attempts: Vec<_> = v.attempts.iter().map(attempt).collect();
    let mut line = format!("{} [{}]", v.status.as_str(), attempts.join(", "));
    if let Some(call) = v.next_call() {
        let repeat = if call.is_repeat { "repeat" } else { "call" };
        write!(line, " {repeat}@{} {}", seconds(call.at), call.reason.as_str()).unwrap();
    }
    if !v.status.is_final() {
        write!(line, " expires@{}", seconds(v.expires_at)).unwrap();
    }
    for owed in &v.owed {
        match &owed.effect {
            Effect::Trigger { attempt } => write!(line, " owes {attempt}@{}", seconds(owed.due)).unwrap(),
            Effect::HangUp { attempt } => write!(line, " owes hang-up {attempt}@{}", seconds(owed.due)).unwrap(),
            Effect::Identify { attempt, .. } => write!(line, " owes identify {attempt}@{}", seconds(owed.due)).unwrap(),
            Effect::Link { attempt, .. } => write!(line, " owes link {attempt}@{}", seconds(owed.due)).unwrap(),
        }
    }
    line
}

fn attempt(a: &Attempt) -> String {
    let mut text = format!("{} {}", a.channel.as_str(), a.status.as_str());
    if let Some(reason) = a.reason {
        write!(text, " for {}{}", reason.as_str(), if a.is_repeat { " again" } else { "" }).unwrap();
    }
    match a.class {
        Some(FailureClass::Permanent) => text.push_str(" P"),
        Some(FailureClass::Transient) => text.push_str(" T"),
        Some(FailureClass::Stop) => text.push_str(" S"),
        None => {}
    }
    text
}

fn seconds(at: phlo_2fa::time::Timestamp) -> String {
    format!("{}", ms_after_start(at) as f64 / 1000.0)
}
