//! Everything that can happen to a verification.

use std::time::Duration;

use phlo_2fa::escalation::CallEnd;
use phlo_2fa::verification::{
    Activity, CallReport, Channel, DeliveryOutcome, Event, FailureClass, Feedback, Join, Lookup, ProviderId,
    RefusalScope, TextReport, TriggerOutcome, Verification, Via,
};

use crate::story::*;

/// The nonces of the signed callback that some situations begin with, and the hash of its content.
pub const NONCE: u64 = 1;
pub const V2_NONCE: u64 = 2;
pub const CONTENT: u64 = 3;

/// Every event, and every callback that reports several, about the newest attempt on the channel.
///
/// Without an attempt on the channel they are about the first attempt, which is then on the wrong channel.
pub fn events(v: &Verification) -> Vec<(&'static str, Vec<Event>)> {
    let single = single_events(v).into_iter().map(|(name, event)| (name, vec![event]));
    single.chain(signed_callbacks(v)).chain(deliveries(v)).collect()
}

/// The newest attempt on a channel, or the first.
fn newest(v: &Verification, channel: Channel) -> u8 {
    v.attempts.iter().rposition(|a| a.channel == channel).unwrap_or(0) as u8
}

fn last(v: &Verification) -> u8 {
    (v.attempts.len() - 1) as u8
}

fn single_events(v: &Verification) -> Vec<(&'static str, Event)> {
    use FailureClass::{Permanent, Stop, Transient};
    let (sms, ring, last) = (newest(v, Channel::Sms), newest(v, Channel::Call), last(v));
    let taken = |provider_id: Option<&str>, linked| {
        let provider_id = provider_id.map(|uuid| ProviderId { uuid: uuid.to_owned(), is_linked: linked });
        triggered(last, TriggerOutcome::Accepted { via: Via::Phlo, provider_id, run_id: None })
    };
    vec![
        ("right code", submit(RIGHT)),
        ("wrong code", submit("000000")),
        ("code of another length", submit("0429")),
        ("cancel", Event::Cancel),
        ("cancel all", Event::CancelAll),
        ("converted elsewhere", Event::Feedback(Feedback::Converted)),
        ("text requested", Event::AttemptRequested(Channel::Sms)),
        ("call requested", Event::AttemptRequested(Channel::Call)),
        ("joined by sms", joined(Channel::Sms, false)),
        ("joined by sms, as a resend", Event::Joined(Join { session: None, ..join(99, Channel::Sms, false) })),
        (
            "joined by sms, with another code",
            Event::Joined(Join { code: Some(code("111111")), ..join(99, Channel::Sms, false) }),
        ),
        ("joined by call", joined(Channel::Call, false)),
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
        ("trigger waits", waiting(last, 0)),
        ("trigger waits too long", waiting(last, 900)),
        ("trigger admitted", Event::Admitted { attempt: index(last) }),
        ("trigger handed back", Event::HandedBack { attempt: index(last) }),
        ("trigger accepted, a run", {
            let run_id = Some("run".to_owned());
            triggered(last, TriggerOutcome::Accepted { via: Via::Phlo, provider_id: None, run_id })
        }),
        ("run identified", {
            let provider_id = Some(ProviderId { uuid: "u".to_owned(), is_linked: true });
            Event::Identified { attempt: index(last), provider_id }
        }),
        ("run names no request", Event::Identified { attempt: index(last), provider_id: None }),
        ("text found in the list", {
            let provider_id = ProviderId { uuid: "u".to_owned(), is_linked: true };
            Event::LookedUp { attempt: index(last), lookup: Lookup::Sent(provider_id) }
        }),
        ("text not in the list", Event::LookedUp { attempt: index(last), lookup: Lookup::NotSent }),
        ("list not answered", Event::LookedUp { attempt: index(last), lookup: Lookup::Unanswered }),
        ("hung up", Event::HungUp { attempt: index(last), is_done: true }),
        ("not hung up", Event::HungUp { attempt: index(last), is_done: false }),
        ("call goes on", call_continues(ring)),
        ("joined by sms, a test number", joined(Channel::Sms, true)),
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
        ("text refused by its node", text_refused(sms)),
        ("call ringing", call(ring, CallReport::Ringing)),
        ("call answered", call(ring, CallReport::Answered)),
        ("call completed", call(ring, CallReport::Completed)),
        ("call busy", ended(ring, CallEnd::Busy)),
        ("call not answered", ended(ring, CallEnd::NoAnswer)),
        ("call rejected", ended(ring, CallEnd::Rejected)),
        ("call taken by a machine", ended(ring, CallEnd::Machine)),
        ("call failed", ended(ring, CallEnd::Failed)),
        ("attempt unknown", accepted(99)),
        ("lost in a failover", Event::FailedOver),
        ("tick", Event::Tick),
    ]
}

/// Outcomes of the delivery that is owed to the app's receiver.
fn deliveries(v: &Verification) -> Vec<(&'static str, Vec<Event>)> {
    let failed = v.told.as_ref().and_then(|told| told.failed.first());
    if let Some(failed) = failed {
        return vec![("webhook replayed", vec![Event::Replay { entry: failed.entry }])];
    }
    let Some(entry) = v.next_to_tell() else { return Vec::new() };
    let told = |outcome| vec![Event::Told { entry, round: 0, outcome }];
    let retry_after = Duration::from_secs(4);
    vec![
        ("webhook taken", told(DeliveryOutcome::Delivered)),
        ("webhook not taken", told(DeliveryOutcome::Failed { retry_after })),
        ("webhook given up", told(DeliveryOutcome::GivenUp)),
    ]
}

fn signed_callbacks(v: &Verification) -> Vec<(&'static str, Vec<Event>)> {
    let (sms, ring) = (newest(v, Channel::Sms), newest(v, Channel::Call));
    let lost = || undelivered(sms, "30", FailureClass::Permanent);
    let delivered = || vec![text(sms, TextReport::Delivered)];
    let answered = vec![call(ring, CallReport::Answered), call_continues(ring)];
    // The second event may be about the call that the first one causes.
    let lost_and_answered = vec![lost(), call(last(v) + 1, CallReport::Answered)];
    let lost_and_stopped = vec![lost(), undelivered(sms, "200", FailureClass::Stop)];
    let mut callbacks = vec![
        ("signed: delivered", signed(11, 12, None, delivered())),
        ("signed: answered, goes on", signed(11, 12, None, answered)),
        ("signed: lost, answered", signed(11, 12, None, lost_and_answered)),
        ("signed: lost, then stop", signed(11, 12, None, lost_and_stopped)),
        ("signed: nothing known", signed(11, 12, None, Vec::new())),
    ];
    if !v.nonces.is_empty() {
        callbacks.extend([
            ("signed: repeated", signed(NONCE, CONTENT, Some(V2_NONCE), delivered())),
            ("signed: replayed", signed(NONCE, 12, None, delivered())),
            ("signed: second nonce alone", signed(V2_NONCE, CONTENT, None, delivered())),
            ("signed: first as second", signed(11, 12, Some(NONCE), delivered())),
        ]);
    }
    callbacks
}
