//! Every status and, for a pending verification, every situation that matters.

use phlo_2fa::escalation::CallEnd;
use phlo_2fa::guard::{QuietHours, Scope};
use phlo_2fa::route_model::Insight;
use phlo_2fa::verification::{
    Activity, Barred, CallReport, Channel, DeliveryOutcome, Event, FailureClass, Mode, ProviderId, RefusalScope,
    ReportFacts, Rules, TextReport, TriggerOutcome, Via,
};

use super::events::{CONTENT, NONCE, V2_NONCE};
use crate::story::*;

/// A story so far, and the second at which the event comes.
pub struct Situation {
    pub name: &'static str,
    pub story: Story,
    pub second: u64,
    /// Whether the event comes when a lease expires. Then a longer lease changes the lines.
    pub is_lease_expired: bool,
}

pub fn situations(rules: &Rules) -> Vec<Situation> {
    let to_situation = |(name, story, second)| Situation { name, story, second, is_lease_expired: false };
    let mut situations: Vec<_> = [
        by_timer(rules),
        adaptive(rules),
        quiet(rules),
        barred(rules),
        confirmed(rules),
        signed_before(rules),
        told(rules),
    ]
    .into_iter()
    .flatten()
    .map(to_situation)
    .collect();
    situations.insert(2, lease_expired(rules));
    situations
}

/// Name, story, and second of the event.
type Row = (&'static str, Story, u64);
type Events<'a> = &'a [(u64, Event)];

/// Plays a story from its start, on a route of which nothing is known.
fn play(rules: &Rules, mode: Mode, policy: &str, events: Events) -> Story {
    play_on(&Insight::default(), rules, mode, policy, events)
}

fn play_on(route: &Insight, rules: &Rules, mode: Mode, policy: &str, events: Events) -> Story {
    let mut story = Story::on_route(route.clone(), rules.clone(), |request| {
        request.mode = mode;
        request.policy = Some(policy.parse().unwrap());
    });
    apply(&mut story, events);
    story
}

fn apply(story: &mut Story, events: Events) {
    for (second, event) in events {
        story.at(*second, event.clone());
    }
}

fn report(second: u64, report: TextReport) -> (u64, Event) {
    (second, text(0, report))
}

fn sent() -> [(u64, Event); 3] {
    [(1, accepted(0)), report(2, TextReport::Queued), report(3, TextReport::Sent)]
}

fn delivered() -> [(u64, Event); 2] {
    [(1, accepted(0)), report(3, TextReport::Delivered)]
}

fn lost() -> [(u64, Event); 2] {
    [(1, accepted(0)), (5, undelivered(0, "30", FailureClass::Permanent))]
}

fn and(first: Events, then: Events) -> Vec<(u64, Event)> {
    [first, then].concat()
}

fn lease_expired(rules: &Rules) -> Situation {
    let story = play(rules, Mode::Auto, "fixed+fail:45", &[]);
    let second = ms_after_start(story.v.owed[0].due) / 1000;
    Situation { name: "pending, text triggering, its lease expired", story, second, is_lease_expired: true }
}

/// An app with a receiver of webhooks.
fn told(rules: &Rules) -> Vec<Row> {
    let story = |events: Events| {
        let mut story = Story::with(rules.clone(), |request| {
            request.policy = Some("fixed+fail:45".parse().unwrap());
            request.is_told = true;
        });
        apply(&mut story, events);
        story
    };
    let mut given_up = story(&[&delivered()[..], &[(4, submit(RIGHT))]].concat());
    let entry = given_up.v.next_to_tell().unwrap();
    given_up.at(90_000, Event::Told { entry, round: 0, outcome: DeliveryOutcome::GivenUp });
    let verified = [&delivered()[..], &[(4, submit(RIGHT))]].concat();
    vec![
        ("pending, its receiver told of a report", story(&delivered()), 10),
        ("verified, its receiver told of a report", story(&verified), 10),
        ("verified, its receiver silent for a day", story(&verified), 90_000),
        ("verified, a report given up", given_up, 90_001),
    ]
}

/// The policies that learn nothing.
fn by_timer(rules: &Rules) -> Vec<Row> {
    use FailureClass::{Stop, Transient};
    let play = |mode, policy: &str, events: Events| play(rules, mode, policy, events);
    let auto = |events: Events| play(Mode::Auto, "fixed+fail:45", events);
    let (sent, lost) = (sent(), lost());
    let called = |rest: &[(u64, Event)]| auto(&[&lost[..], &[(6, accepted(1))], rest].concat());
    let sixteen: Vec<_> = (1..16).map(|id| (1, Event::Joined(join(id + 100, Channel::Sms, false)))).collect();
    let five = [1, 2, 3, 4, 5].map(|second| (second, submit("000000")));
    let busy = (9, ended(1, CallEnd::Busy));
    vec![
        ("pending, text triggering", auto(&[]), 2),
        ("pending, text triggering, Plivo unavailable", auto(&[(1, deferred(0, 4))]), 2),
        ("pending, text unknown", auto(&[(12, timed_out(0))]), 13),
        ("pending, text unknown, to be looked up", auto(&[(12, timed_out(0))]), 15),
        ("pending, text unknown, looked up", auto(&[(12, timed_out(0)), (15, Event::Tick)]), 16),
        ("pending, text sent again", auto(&[(12, timed_out(0)), (15, Event::Tick), (16, not_sent(0))]), 17),
        ("pending, text triggered", auto(&[(1, accepted(0))]), 2),
        ("pending, text queued", auto(&sent[..2]), 10),
        ("pending, text sent", auto(&sent), 10),
        ("pending, text delivered", auto(&[(1, accepted(0)), report(3, TextReport::Delivered)]), 10),
        ("pending, text delivered, out of the cooldown", auto(&[(3, text(0, TextReport::Delivered))]), 31),
        ("pending, text of class T", auto(&[(1, accepted(0)), (5, failed(0, "80", Transient))]), 10),
        ("pending, at the timer, text queued", auto(&sent[..2]), 45),
        ("pending, at the timer", auto(&sent), 45),
        ("pending, at the timer, typing", auto(&[&sent[..], &[(44, Event::Activity(Activity::Typing))]].concat()), 45),
        (
            "pending, at the timer, text in hand",
            auto(&[&sent[..], &[(44, Event::Activity(Activity::Received))]].concat()),
            45,
        ),
        ("pending, shared by sixteen sessions", auto(&[&[(1, accepted(0))], &sixteen[..]].concat()), 10),
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
                        attempt: index(1),
                        report: CallReport::Ringing,
                        provider_id,
                        facts: ReportFacts::default(),
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
                    attempt: index(1),
                    report: CallReport::Ringing,
                    provider_id,
                    facts: ReportFacts::default(),
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
        (
            "pending, text queued, its id to be linked",
            {
                let id = Some(ProviderId { uuid: "u".to_owned(), is_linked: false });
                let queued = TextReport::Queued;
                let facts = ReportFacts::default();
                auto(&[
                    (1, accepted(0)),
                    (2, Event::TextReported { attempt: index(0), report: queued, provider_id: id, facts }),
                ])
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
        (
            "pending, text alive, call taken by a machine",
            auto(&[&sent[..], &[(45, Event::Tick), (46, accepted(1)), (50, ended(1, CallEnd::Machine))]].concat()),
            100,
        ),
        (
            "pending, text alive, call rejected",
            auto(&[&sent[..], &[(45, Event::Tick), (46, accepted(1)), (50, ended(1, CallEnd::Rejected))]].concat()),
            100,
        ),
        (
            "pending, policy never, as many texts as can be requested",
            {
                let more =
                    (1..5).map(|n| [(31 * n, Event::AttemptRequested(Channel::Sms)), (31 * n + 1, accepted(n as u8))]);
                play(Mode::Auto, "never", &[&sent[..], &more.flatten().collect::<Vec<_>>()].concat())
            },
            200,
        ),
        ("pending, channel sms, text sent", play(Mode::Sms, "fixed+fail:45", &sent), 50),
        (
            "pending, channel call, call ringing",
            { play(Mode::Call, "fixed+fail:45", &[(1, accepted(0)), (2, call(0, CallReport::Ringing))]) },
            5,
        ),
        ("pending, policy never, text of class P", play(Mode::Auto, "never", &lost), 50),
        ("pending, policy fixed:45, text of class P", play(Mode::Auto, "fixed:45", &lost), 10),
        (
            "pending, policy fixed:45, text refused",
            { play(Mode::Auto, "fixed:45", &[(1, refused(0, 400, RefusalScope::Attempt))]) },
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
        ("expired, lost in a failover", auto(&[&sent[..2], &[(20, Event::FailedOver)]].concat()), 30),
        ("canceled", auto(&[&sent[..2], &[(20, Event::Cancel)]].concat()), 30),
        ("max_checks_reached", auto(&[&sent[..2], &five[..]].concat()), 30),
        ("undeliverable, class S", auto(&[&sent[..2], &[(5, failed(0, "450", Stop))]].concat()), 30),
        ("undeliverable, text lost and call rejected", called(&[(9, ended(1, CallEnd::Rejected))]), 30),
    ]
}

/// The adaptive policy, with what it has learned of a route.
fn adaptive(rules: &Rules) -> Vec<Row> {
    let usual = |policy: &str, events: Events| play_on(&USUAL_ROUTE, rules, Mode::Auto, policy, events);
    let auto = |events: Events| usual("adaptive", events);
    let (sent, delivered, lost) = (sent(), delivered(), lost());
    let planned = |story: &Story| story.next().unwrap().0 / 1000;
    let looks = |story: &Story| ms_after_start(story.v.pending().unwrap().observe_at.unwrap()) / 1000;
    let typing = |second| (second, Event::Activity(Activity::Typing));
    let at_plan = planned(&auto(&sent));
    let after_report = planned(&auto(&delivered));
    let called =
        |rest: Events| auto(&[&sent[..], &[(at_plan, Event::Tick), (at_plan + 1, accepted(1))], rest].concat());
    let early = |events: Events| play_on(&BAD_ROUTE, rules, Mode::Auto, "adaptive", events);
    let resent = auto(&and(&sent, &[(31, Event::AttemptRequested(Channel::Sms))]));
    vec![
        ("adaptive, text triggering", auto(&[]), 2),
        ("adaptive, text sent", auto(&sent), 10),
        ("adaptive, text delivered", auto(&delivered), 10),
        ("adaptive, at the time to learn that no news came", auto(&sent), looks(&auto(&sent))),
        ("adaptive, at the planned time", auto(&sent), at_plan),
        ("adaptive, at the planned time, typing", auto(&and(&sent, &[typing(at_plan - 1)])), at_plan),
        ("adaptive, text delivered, at the planned time", auto(&delivered), after_report),
        ("adaptive, text lost, call triggering", auto(&lost), 6),
        ("adaptive, call ringing", called(&[(at_plan + 2, call(1, CallReport::Ringing))]), at_plan + 3),
        ("adaptive, call answered", called(&[(at_plan + 5, call(1, CallReport::Answered))]), at_plan + 8),
        ("adaptive, call busy, waiting for its repeat", called(&[(at_plan + 5, ended(1, CallEnd::Busy))]), at_plan + 8),
        ("adaptive, text requested again", resent, 33),
        ("adaptive:eager, text sent", usual("adaptive:eager", &sent), 5),
        ("adaptive:thrifty, text sent", usual("adaptive:thrifty", &sent), 5),
        ("adaptive, bad route, text sent", early(&sent), 5),
        ("adaptive, bad route, at the planned time", early(&sent), planned(&early(&sent))),
        ("adaptive, verified", auto(&and(&delivered, &[(12, submit(RIGHT))])), 20),
    ]
}

/// Every story begins at midnight where the number is.
fn quiet(rules: &Rules) -> Vec<Row> {
    let quiet = |hours| Rules { quiet_hours: Some(QuietHours::parse(hours).unwrap()), ..rules.clone() };
    let (minute, night) = (quiet("22:00-00:01"), quiet("22:00-07:00"));
    let auto = |events: Events| play(&minute, Mode::Auto, "fixed+fail:45", events);
    let (sent, lost) = (sent(), lost());
    let requested = [(4, Event::AttemptRequested(Channel::Call)), (5, accepted(1)), (9, ended(1, CallEnd::Busy))];
    let later = quiet("00:01-00:02");
    let silent = and(&lost, &[(6, accepted(1))]);
    let planned = play_on(&USUAL_ROUTE, &minute, Mode::Auto, "adaptive", &sent);
    let escalated = [(60, Event::Tick), (61, accepted(1)), (65, ended(1, CallEnd::Busy))];
    vec![
        ("quiet until 60 s, text sent", auto(&sent), 10),
        ("quiet until 60 s, at the timer", auto(&sent), 45),
        ("quiet until 60 s, at the end of the quiet hours", auto(&sent), 60),
        ("quiet until 60 s, text lost", auto(&lost), 10),
        ("quiet until 60 s, requested call busy, its repeat due", auto(&and(&sent, &requested)), 29),
        ("quiet until 60 s, call busy after them, its repeat due", auto(&and(&sent, &escalated)), 85),
        ("quiet beyond the expiry, text sent", play(&night, Mode::Auto, "fixed+fail:45", &sent), 10),
        ("quiet beyond the expiry, at the timer", play(&night, Mode::Auto, "fixed+fail:45", &sent), 45),
        ("quiet beyond the expiry, text lost", play(&night, Mode::Auto, "fixed+fail:45", &lost), 10),
        (
            "quiet beyond the expiry, channel call, call busy, its repeat due",
            play(&night, Mode::Call, "fixed+fail:45", &[(1, accepted(0)), (5, ended(0, CallEnd::Busy))]),
            25,
        ),
        ("quiet until 60 s, adaptive, text lost", play(&minute, Mode::Auto, "adaptive", &lost), 10),
        ("quiet from 60 s to 120 s, timer after them", play(&later, Mode::Auto, "fixed+fail:150", &sent), 70),
        ("quiet from 60 s to 120 s, call silent for 60 s", play(&later, Mode::Auto, "fixed+fail:45", &silent), 66),
        (
            "quiet until 60 s, adaptive, at its planned time",
            planned.clone(),
            ms_after_start(planned.v.pending().unwrap().planned.unwrap().at) / 1000,
        ),
    ]
}

/// Limits that are reached when the event comes.
fn barred(rules: &Rules) -> Vec<Row> {
    let retry_after = std::time::Duration::from_secs(90);
    let bar = |mut story: Story, channel| {
        story.barred = vec![Barred { channel, scope: Scope::Number, retry_after }];
        story
    };
    let auto = |events: Events| play(rules, Mode::Auto, "fixed+fail:45", events);
    let (sent, delivered, lost) = (sent(), delivered(), lost());
    let busy = [(6, accepted(1)), (9, ended(1, CallEnd::Busy))];
    let mut was_barred = bar(auto(&sent), Channel::Call);
    was_barred.at(45, Event::Tick).barred.clear();
    vec![
        ("calls barred, text sent", bar(auto(&sent), Channel::Call), 10),
        ("calls barred, at the timer", bar(auto(&sent), Channel::Call), 45),
        ("calls barred, repeat due", bar(auto(&and(&lost, &busy)), Channel::Call), 29),
        ("calls barred at the timer, allowed again", was_barred, 50),
        ("texts barred, text delivered, out of the cooldown", bar(auto(&delivered), Channel::Sms), 34),
        ("texts barred, at the timer", bar(auto(&sent), Channel::Sms), 45),
    ]
}

/// `VOICE_CONFIRM`: a key must be pressed before the code is spoken.
fn confirmed(rules: &Rules) -> Vec<Row> {
    let confirm = Rules { voice_confirm: true, ..rules.clone() };
    let lost = lost();
    let called = |via, rest: Events| {
        let taken = triggered(1, TriggerOutcome::Accepted { via, provider_id: None, run_id: None });
        play(&confirm, Mode::Auto, "fixed+fail:45", &[&lost[..], &[(6, taken)], rest].concat())
    };
    let ringing = (8, call(1, CallReport::Ringing));
    vec![
        ("a key is asked for, call ringing", called(Via::Api, std::slice::from_ref(&ringing)), 9),
        (
            "a key is asked for, call answered",
            called(Via::Api, &[ringing.clone(), (9, call(1, CallReport::Answered))]),
            12,
        ),
        ("a key is asked for, call of the PHLO ringing", called(Via::Phlo, &[ringing]), 9),
    ]
}

/// Verifications to which a signed callback was applied.
fn signed_before(rules: &Rules) -> Vec<Row> {
    let reported = |events: Events| {
        let report = signed(NONCE, CONTENT, Some(V2_NONCE), vec![text(0, TextReport::Sent)]);
        let mut story = play(rules, Mode::Auto, "fixed+fail:45", &[(1, accepted(0))]);
        apply(story.at(3, report), events);
        story
    };
    let ringing =
        [(5, undelivered(0, "30", FailureClass::Permanent)), (6, accepted(1)), (8, call(1, CallReport::Ringing))];
    vec![
        ("signed report taken, text sent", reported(&[]), 10),
        ("signed report taken, at the timer", reported(&[]), 45),
        ("signed report taken, call ringing", reported(&ringing), 9),
        ("signed report taken, at the expiry", reported(&[(44, Event::Activity(Activity::Received))]), 300),
        ("signed report taken, verified", reported(&[(9, submit(RIGHT))]), 20),
    ]
}
