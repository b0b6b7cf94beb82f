//! The full table of the pure core. `snapshots/transitions.txt` has one line for each case, in three parts:
//!
//! - every status, and every situation of a pending verification, with every event;
//! - every reply of Plivo to a request, and the outcome that it means;
//! - every listener on a call, and the speech that it hears.
//!
//! A changed line is changed behaviour. An owed effect stands there as in flight (`owes 0`) or with the time of its
//! retry (`owes 0@5`). `BLESS=1 cargo test --test core transitions` writes the table: read the difference before you commit.

mod events;
mod kinds;
mod replies;
mod situations;
mod speech;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use phlo_2fa::escalation::Policy;
use phlo_2fa::route_model::Lesson;
use phlo_2fa::verification::timeline::Note;
use phlo_2fa::verification::{Answer, Attempt, Effect, FailureClass, Refusal, Rules, Verification, outcome_of};

use crate::story::*;
use events::events;
use situations::{Situation, situations};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/transitions.txt");

#[test]
fn every_event_does_to_every_status_what_the_table_says() {
    let transitions: String = situations(&Rules::default()).iter().map(lines).collect();
    let table = [transitions, replies::lines(), speech::lines()].concat();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(TABLE, &table).unwrap();
    }
    let known = std::fs::read_to_string(TABLE).unwrap_or_default();
    for (line, (known, now)) in known.lines().zip(table.lines()).enumerate() {
        assert_eq!(known, now, "line {} of transitions.txt; BLESS=1 rewrites it", line + 1);
    }
    assert_eq!(known.lines().count(), table.lines().count(), "BLESS=1 rewrites transitions.txt");
}

#[test]
fn the_length_of_a_lease_changes_no_line() {
    let usual = Rules::default();
    let longer = Rules { effect_lease: usual.effect_lease + Duration::from_secs(100), ..usual.clone() };
    for (usual, longer) in situations(&usual).iter().zip(&situations(&longer)).filter(|(s, _)| !s.is_lease_expired) {
        assert_eq!(lines(usual), lines(longer));
    }
}

#[test]
fn the_table_shows_every_kind_of_value() {
    let mut shown = BTreeSet::new();
    let show = |v: &Verification, shown: &mut BTreeSet<_>| {
        shown.insert(kinds::status(&v.status()));
        shown.extend(v.attempts.iter().map(|a| kinds::attempt_status(&a.status)));
        shown.extend(v.attempts.iter().filter_map(|a| a.reason.as_ref()).map(kinds::reason));
    };
    let situations = situations(&Rules::default());
    situations.iter().for_each(|situation| show(&situation.story.v, &mut shown));
    for Situation { story, second, .. } in &situations {
        for (_, events) in events(&story.v) {
            shown.extend(events.iter().flat_map(kinds::of_event));
            let mut after = story.clone();
            after.at(*second, events);
            show(&after.v, &mut shown);
            shown.insert(kinds::answer(&after.answer));
            shown.extend(after.effects.iter().map(kinds::effect));
            if let Answer::Refused(refusal) = &after.answer {
                shown.insert(kinds::refusal(refusal));
            }
        }
    }
    for request in replies::requests() {
        shown.insert(kinds::via(&request.via));
        for (_, reply) in replies::replies() {
            shown.insert(kinds::reply(&reply));
            shown.insert(kinds::outcome(&outcome_of(request, reply, 1.0)));
        }
    }
    for (listener, speech) in speech::all() {
        shown.extend([kinds::listener(&listener), kinds::speech(&speech)]);
    }
    for kind in kinds::ALL.iter().copied().flatten() {
        assert!(shown.contains(kind), "no row of the table shows {kind}");
    }
}

/// One situation, with the outcome of each event.
fn lines(Situation { name, story, second, is_lease_expired }: &Situation) -> String {
    let when = if *is_lease_expired { "then".into() } else { format!("at {second} s") };
    let mut lines = format!("{name} (event {when})\n  {}\n", state(&story.v));
    for (name, events) in events(&story.v) {
        let mut after = story.clone();
        after.at(*second, events);
        writeln!(lines, "    {name:26} {}", outcome(&story.v, &after)).unwrap();
    }
    lines.push('\n');
    lines
}

// ---- the text of a line

fn outcome(before: &Verification, story: &Story) -> String {
    let mut line = match story.answer {
        Answer::Noted => String::new(),
        Answer::Correct => "right; ".into(),
        Answer::Repeated { after } => format!("repeated after {} s; ", after.as_secs_f64()),
        Answer::Incorrect => format!("wrong, {} left; ", story.v.checks_remaining(story.session)),
        Answer::Refused(refusal) => format!("refused: {}; ", refusal_name(refusal)),
    };
    for entry in &story.v.timeline[before.timeline.len()..] {
        match entry.note {
            Note::QuietHours { until } => write!(line, "NIGHT until {}; ", seconds(until)).unwrap(),
            Note::CallBarred { .. } => line.push_str("CALL BARRED; "),
            _ => {}
        }
    }
    for effect in &story.effects {
        match effect {
            Effect::Trigger { attempt } => write!(line, "TRIGGER {}; ", attempt.get()).unwrap(),
            Effect::HangUp { attempt } => write!(line, "HANG UP {}; ", attempt.get()).unwrap(),
            Effect::Identify { attempt, .. } => write!(line, "IDENTIFY {}; ", attempt.get()).unwrap(),
            Effect::LookUp { attempt } => write!(line, "LOOK UP {}; ", attempt.get()).unwrap(),
            Effect::Link { attempt, .. } => write!(line, "LINK {}; ", attempt.get()).unwrap(),
            Effect::Tell { entry } => write!(line, "TELL {entry}; ").unwrap(),
        }
    }
    if is_adaptive(before) {
        story.lessons.iter().for_each(|taught| write!(line, "LEARN {}; ", lesson(taught)).unwrap());
    }
    let after = state(&story.v);
    line.push_str(if after == state(before) { "=" } else { &after });
    line
}

fn refusal_name(refusal: Refusal) -> String {
    match refusal {
        Refusal::Final(status) => status.as_str().into(),
        Refusal::LostInFailover => "lost".into(),
        Refusal::CodeLength(length) => format!("has {length} digits"),
        Refusal::CodeConflict => "another code".into(),
        Refusal::TooManySessions { retry_after } => format!("too many sessions, {} s", retry_after.as_secs_f64()),
        Refusal::CallInProgress => "call in progress".into(),
        Refusal::ResendCooldown { retry_after } => format!("cooldown {} s", retry_after.as_secs_f64()),
        Refusal::MaxAttempts => "max attempts".into(),
        Refusal::ChannelNotAllowed => "channel not allowed".into(),
        Refusal::RateLimited { scope, .. } => format!("limit on {}", scope.as_str()),
        Refusal::Replayed => "replayed".into(),
    }
}

/// Status, attempts, next call, expiry (while pending), and owed effects.
fn state(v: &Verification) -> String {
    let attempts: Vec<_> = v.attempts.iter().map(attempt).collect();
    let mut line = format!("{} [{}]", v.status().as_str(), attempts.join(", "));
    if v.sessions.len() > 1 {
        write!(line, " {} sessions", v.sessions.len()).unwrap();
    }
    if let Some(call) = v.next_call() {
        let repeat = if call.is_repeat { "repeat" } else { "call" };
        write!(line, " {repeat}@{} {}", seconds(call.at), call.reason.as_str()).unwrap();
    }
    if let Some(pending) = v.pending() {
        write!(line, " expires@{}", seconds(pending.expires_at)).unwrap();
        if let (true, Some(at)) = (is_adaptive(v), pending.observe_at) {
            write!(line, " looks@{}", seconds(at)).unwrap();
        }
    }
    if let Some(given_up) = v.told.as_ref().map(|told| told.failed.len()).filter(|count| *count > 0) {
        write!(line, " gave up {given_up}").unwrap();
    }
    for owed in &v.owed {
        match &owed.effect {
            Effect::Trigger { attempt } => write!(line, " owes {}", attempt.get()).unwrap(),
            Effect::HangUp { attempt } => write!(line, " owes hang-up {}", attempt.get()).unwrap(),
            Effect::Identify { attempt, .. } => write!(line, " owes identify {}", attempt.get()).unwrap(),
            Effect::LookUp { attempt } => write!(line, " owes look up {}", attempt.get()).unwrap(),
            Effect::Link { attempt, .. } => write!(line, " owes link {}", attempt.get()).unwrap(),
            Effect::Tell { entry } => write!(line, " owes webhook {entry}").unwrap(),
        }
        // An effect in flight is due at the end of its lease, which is a setting and not decided here.
        if !owed.in_flight {
            write!(line, "@{}", seconds(owed.due)).unwrap();
        }
    }
    line
}

fn is_adaptive(v: &Verification) -> bool {
    matches!(v.policy, Policy::Adaptive(_))
}

/// A lesson without its probabilities, which the tests of `route_model` check.
fn lesson(lesson: &Lesson) -> String {
    match lesson {
        Lesson::Started => "started".into(),
        Lesson::Survived { curve, from, to } => format!("no {curve:?} {from}..{to}").to_lowercase(),
        Lesson::Happened { curve, bucket } => format!("{curve:?} {bucket}").to_lowercase(),
        Lesson::Tested { test, hit, .. } => format!("{test:?} {}", if *hit { "came" } else { "missed" }).to_lowercase(),
        Lesson::Called { .. } => "called".into(),
        Lesson::EarlyCallPlanned => "early".into(),
        Lesson::TaughtBy(_) => "teacher".into(),
        Lesson::Proved(_) => "proved".into(),
        Lesson::DistrustCalled => "distrust called".into(),
        Lesson::DistrustJustified => "distrust justified".into(),
        Lesson::Lived(life) => format!("life {} ms", life.ended_ms),
    }
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
