//! Who may hear the code on a call: each listener, verification, answer to the request, and status of the attempt.

use std::fmt::Write;
use std::time::Duration;

use phlo_2fa::verification::{
    Answer, AttemptStatus, CallReport, CallSpeech, Event, FailureClass, Listener, Mode, Refusal, TriggerOutcome,
    Verification, Via, speech,
};
use strum::VariantArray;

use super::state;
use crate::story::*;

/// Whether Plivo took the listener for a machine, whether a key was pressed, and whether one is asked for.
const REQUESTS: [(&str, bool, bool, bool); 8] = [
    ("person", false, false, false),
    ("person, key asked for", false, false, true),
    ("person, key pressed", false, true, false),
    ("person, asked, pressed", false, true, true),
    ("machine", true, false, false),
    ("machine, key asked for", true, false, true),
    ("machine, key pressed", true, true, false),
    ("machine, asked, pressed", true, true, true),
];

const LISTENERS: [Listener; 3] = [Listener::Person, Listener::Unknown, Listener::Machine];

/// The attempt that the call is.
const CALL: u8 = 1;

/// The section of the table.
pub fn lines() -> String {
    let mut lines = "call ringing, its answer fetched\n".to_owned();
    writeln!(lines, "  {}", state(&ringing().v)).unwrap();
    for (name, is_machine, has_pressed, asks_for_a_key) in REQUESTS {
        let listener = Listener::of(is_machine, has_pressed, asks_for_a_key);
        let mut story = ringing();
        story.at(9, listener.event(index(CALL), None));
        let speech = speech(&story.v, index(CALL), listener, story.answer);
        writeln!(lines, "    {name:26} {}: {}; {}", name_of(listener), say(speech), state(&story.v)).unwrap();
    }
    lines.push('\n');
    for listener in LISTENERS {
        let pending = ringing().v;
        writeln!(lines, "listener {}, verification pending", name_of(listener)).unwrap();
        lines += &answer_lines(&pending, listener);
        let ended: Vec<_> = ended().iter().map(|v| answer_lines(v, listener)).collect();
        assert!(ended.iter().all(|lines| *lines == ended[0]), "{ended:?}");
        writeln!(lines, "listener {}, verification final", name_of(listener)).unwrap();
        lines += &ended[0];
    }
    lines
}

fn answer_lines(v: &Verification, listener: Listener) -> String {
    let mut lines = String::new();
    for (name, answer) in answers() {
        writeln!(lines, "    {name:26} {}", speeches(v, listener, answer)).unwrap();
    }
    lines + "\n"
}

/// Every listener, and what it hears while the call rings.
pub fn all() -> impl Iterator<Item = (Listener, CallSpeech)> {
    let v = ringing().v;
    LISTENERS.into_iter().map(move |listener| (listener, speech(&v, index(CALL), listener, Answer::Noted)))
}

/// Every answer to the event of the request.
fn answers() -> Vec<(&'static str, Answer)> {
    let repeated = |seconds| Answer::Repeated { after: Duration::from_secs(seconds) };
    vec![
        ("noted", Answer::Noted),
        ("repeated after 15 s", repeated(15)),
        ("repeated after 16 s", repeated(16)),
        ("refused: replayed", Answer::Refused(Refusal::Replayed)),
        ("right", Answer::Correct),
        ("wrong", Answer::Incorrect),
    ]
}

/// Everything that may be said on some status of the attempt, with those statuses.
fn speeches(v: &Verification, listener: Listener, answer: Answer) -> String {
    let on_status = |status: &AttemptStatus| {
        let mut v = v.clone();
        v.attempts[usize::from(CALL)].status = *status;
        (status.as_str(), speech(&v, index(CALL), listener, answer))
    };
    let mut said: Vec<_> = AttemptStatus::VARIANTS.iter().map(on_status).collect();
    said.push(("no such attempt", speech(v, index(CALL + 1), listener, answer)));
    let mut parts = Vec::new();
    for speech in [CallSpeech::Code, CallSpeech::KeyRequest, CallSpeech::Goodbye] {
        let statuses: Vec<_> = said.iter().filter(|(_, said)| *said == speech).map(|(status, _)| *status).collect();
        if statuses.len() == said.len() {
            parts.push(format!("{} always", say(speech)));
        } else if !statuses.is_empty() {
            parts.push(format!("{} on {}", say(speech), statuses.join(", ")));
        }
    }
    parts.join("; ")
}

fn name_of(listener: Listener) -> &'static str {
    match listener {
        Listener::Person => "person",
        Listener::Unknown => "unknown",
        Listener::Machine => "machine",
    }
}

fn say(speech: CallSpeech) -> &'static str {
    match speech {
        CallSpeech::Code => "CODE",
        CallSpeech::KeyRequest => "KEY REQUEST",
        CallSpeech::Goodbye => "goodbye",
    }
}

/// A verification whose text is lost and whose call, by the Call API, rings.
fn ringing() -> Story {
    let accepted_call = TriggerOutcome::Accepted { via: Via::Api, provider_id: None, run_id: None };
    let mut story = Story::new(Mode::Auto, "fixed+fail:45");
    story.at(1, accepted(0)).at(5, undelivered(0, "30", FailureClass::Permanent));
    story.at(6, triggered(CALL, accepted_call)).at(8, call(CALL, CallReport::Ringing));
    story
}

/// The same after each ending.
fn ended() -> Vec<Verification> {
    let end = |events: Vec<Event>| {
        let mut story = ringing();
        for event in events {
            story.at(9, event);
        }
        assert!(story.v.is_final());
        story.v
    };
    let wrong = || (0..5).map(|_| submit("000000")).collect();
    let stopped = || undelivered(0, "200", FailureClass::Stop);
    let mut expired = ringing();
    expired.at(400, Event::Tick);
    let endings = [vec![submit(RIGHT)], vec![Event::FailedOver], vec![Event::Cancel], wrong(), vec![stopped()]];
    endings.into_iter().map(end).chain([expired.v]).collect()
}
