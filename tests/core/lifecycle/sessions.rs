//! Several creations that share what is sent: each ends by its own check alone.

use std::collections::BTreeMap;

use phlo_2fa::escalation::Reason;
use phlo_2fa::verification::timeline::Note;
use phlo_2fa::verification::{
    Activity, Answer, Channel, Ending, Event, Join, Mode, Refusal, SESSIONS_MAX, SessionIndex, Status, TextReport,
    VerificationId,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::story::{RIGHT, Story, accepted, code, join, joined, submit, text, trigger};

/// A text that was accepted, which so many further creations share.
fn shared_by(others: u8) -> (Story, Vec<SessionIndex>) {
    let mut story = Story::new(Mode::Auto, "fixed+fail:45");
    story.at(1, accepted(0));
    for id in 1..=others {
        story.at(2, Event::Joined(join(100 + u32::from(id), Channel::Sms, false)));
        assert_eq!((story.answer, story.effects.len()), (Answer::Noted, 0), "one text");
    }
    let sessions = story.v.session_indexes().collect();
    (story, sessions)
}

/// Applies a request of one session.
fn ask(story: &mut Story, second: u64, session: SessionIndex, event: Event) -> Answer {
    story.session = session;
    story.at(second, event).answer
}

fn statuses(story: &Story) -> Vec<Status> {
    story.v.session_indexes().map(|session| story.v.status_of(session)).collect()
}

#[test]
fn a_right_code_verifies_only_the_session_that_it_is_checked_under() {
    let (mut story, sessions) = shared_by(2);
    assert_eq!(ask(&mut story, 5, sessions[1], submit(RIGHT)), Answer::Correct);
    assert_eq!(statuses(&story), [Status::Canceled, Status::Verified, Status::Canceled]);
    for other in [sessions[0], sessions[2]] {
        assert_eq!(story.v.end_of(other).map(|end| end.how), Some(Ending::VerifiedElsewhere));
        assert_eq!(
            ask(&mut story, 6, other, submit(RIGHT)),
            Answer::Refused(Refusal::Final(Status::Canceled)),
            "a code is for one session"
        );
    }
}

#[test]
fn wrong_codes_lock_only_the_session_in_which_they_are_typed() {
    let (mut story, sessions) = shared_by(1);
    for left in (0..5).rev() {
        assert_eq!(ask(&mut story, 5, sessions[1], submit("000000")), Answer::Incorrect);
        assert_eq!(story.v.checks_remaining(sessions[1]), left);
    }
    assert_eq!(statuses(&story), [Status::Pending, Status::MaxChecksReached]);
    assert_eq!(
        ask(&mut story, 6, sessions[1], submit(RIGHT)),
        Answer::Refused(Refusal::Final(Status::MaxChecksReached))
    );
    assert_eq!(story.v.checks_remaining(sessions[0]), 5);
    assert_eq!(ask(&mut story, 6, sessions[0], submit(RIGHT)), Answer::Correct);
    assert_eq!(statuses(&story), [Status::Verified, Status::MaxChecksReached]);
}

#[test]
fn canceling_ends_one_session_and_the_last_one_ends_what_is_sent() {
    let (mut story, sessions) = shared_by(1);
    assert_eq!(ask(&mut story, 5, sessions[0], Event::Cancel), Answer::Noted);
    assert_eq!(statuses(&story), [Status::Canceled, Status::Pending]);
    assert_eq!(story.next(), Some((45_000, Reason::NoReport)), "the call is planned for the other");
    assert_eq!(ask(&mut story, 6, sessions[0], Event::Cancel), Answer::Noted, "again");
    assert_eq!(ask(&mut story, 7, sessions[1], Event::Cancel), Answer::Noted);
    assert_eq!((statuses(&story), story.next()), (vec![Status::Canceled; 2], None));
}

#[test]
fn one_session_cannot_keep_the_call_from_another() {
    let planned = |ms| Some((ms, Reason::NoReport));
    let (mut story, sessions) = shared_by(1);
    ask(&mut story, 40, sessions[1], Event::Activity(Activity::Received));
    assert_eq!(story.next(), planned(45_000), "the other has no text");
    ask(&mut story, 41, sessions[0], Event::Cancel);
    assert_eq!(story.next(), None, "no other session waits");

    let (mut story, sessions) = shared_by(1);
    for (second, next_ms) in [(40, 50_000), (44, 54_000), (50, 55_000), (54, 55_000)] {
        ask(&mut story, second, sessions[1], Event::Activity(Activity::Typing));
        assert_eq!(story.next(), planned(next_ms), "typing defers it by one pause: the other waits");
    }
    ask(&mut story, 54, sessions[0], Event::Cancel);
    assert_eq!(story.next(), planned(64_000), "no other session waits");
}

#[test]
fn a_join_that_is_decided_twice_is_one_session() {
    let (mut story, sessions) = shared_by(1);
    story.at(3, Event::Joined(join(101, Channel::Sms, false)));
    assert_eq!((story.answer, story.v.sessions.len(), story.effects.len()), (Answer::Noted, sessions.len(), 0));
}

#[test]
fn after_the_end_the_number_means_the_session_that_ended_with_it() {
    let (mut story, sessions) = shared_by(1);
    ask(&mut story, 3, sessions[1], Event::Cancel);
    ask(&mut story, 4, sessions[0], submit(RIGHT));
    assert_eq!(story.v.only_session(), Some(sessions[0]));
}

#[test]
fn a_creation_with_another_code_is_refused_and_changes_nothing() {
    let (mut story, _) = shared_by(0);
    let with = |digits| Join { code: Some(code(digits)), ..join(1, Channel::Sms, false) };
    story.at(40, Event::Joined(with("111111")));
    assert_eq!((story.answer, story.effects.len()), (Answer::Refused(Refusal::CodeConflict), 0));
    assert_eq!(story.v.sessions.len(), 1);
    story.at(41, Event::Joined(with(RIGHT)));
    assert_eq!((story.answer, &story.effects[..]), (Answer::Noted, &[trigger(1)][..]));
}

#[test]
fn sixteen_sessions_share_one_sending() {
    let (mut story, sessions) = shared_by(SESSIONS_MAX as u8 - 1);
    assert_eq!(sessions.len(), SESSIONS_MAX);
    story.at(40, joined(Channel::Sms, false));
    let Answer::Refused(Refusal::TooManySessions { retry_after }) = story.answer else {
        panic!("{:?}", story.answer);
    };
    assert_eq!((retry_after.as_secs(), story.effects.len()), (260, 0), "until the code has expired");
}

#[test]
fn a_session_sees_its_own_checks_and_what_all_share() {
    let (mut story, sessions) = shared_by(1);
    ask(&mut story, 3, sessions[0], submit("000000"));
    story.at(4, text(0, TextReport::Delivered));
    ask(&mut story, 5, sessions[1], submit(RIGHT));
    let shown = |session| {
        let entries = story.v.timeline.iter().filter(move |entry| entry.is_shown_to(session));
        entries.map(|entry| entry.note.clone()).collect::<Vec<_>>()
    };
    let (first, second) = (shown(sessions[0]), shown(sessions[1]));
    let has = |notes: &[Note], kind: fn(&Note) -> bool| notes.iter().any(kind);
    for notes in [&first, &second] {
        assert!(has(notes, |note| matches!(note, Note::TextReported { .. })));
    }
    assert!(has(&first, |note| matches!(note, Note::CodeIncorrect { .. })));
    assert!(!has(&second, |note| matches!(note, Note::CodeIncorrect { .. } | Note::Created { .. })));
    assert!(has(&second, |note| matches!(note, Note::Joined)));
    assert!(has(&first, |note| matches!(note, Note::Ended { how: Ending::VerifiedElsewhere })));
    assert!(has(&second, |note| matches!(note, Note::Ended { how: Ending::Verified })));
}

#[test]
fn a_failover_leaves_no_session_a_check() {
    let (mut story, sessions) = shared_by(1);
    story.at(5, Event::FailedOver);
    for session in sessions {
        assert_eq!((story.v.status_of(session), story.v.checks_remaining(session)), (Status::Expired, 0));
        assert_eq!(story.v.end_of(session).and_then(|end| end.how.ended_by()), Some("storage_failover"));
    }
    assert_eq!(story.v.expires_at(), story.now);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Join,
    Check { is_right: bool },
    Cancel,
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<(u8, Step)>> {
    let step = prop_oneof![
        3 => Just(Step::Join),
        1 => Just(Step::Check { is_right: true }),
        6 => Just(Step::Check { is_right: false }),
        2 => Just(Step::Cancel),
        1 => Just(Step::Wait),
    ];
    vec((any::<u8>(), step), 1..60)
}

proptest! {
    #[test]
    fn each_session_ends_by_its_own_check_alone(steps in steps()) {
        let mut story = Story::new(Mode::Auto, "fixed+fail:45");
        story.at(1, accepted(0));
        let mut wrong: BTreeMap<VerificationId, u8> = BTreeMap::new();
        let mut right = Vec::new();
        let mut second = 1;
        for (n, step) in steps {
            second += 1;
            let sessions: Vec<_> = story.v.session_indexes().collect();
            let session = sessions[usize::from(n) % sessions.len()];
            let (id, before) = (story.v.id_of(session), statuses(&story));
            let answer = match step {
                Step::Join => ask(&mut story, second, session, Event::Joined(join(100 + sessions.len() as u32, Channel::Sms, false))),
                Step::Check { is_right: true } => ask(&mut story, second, session, submit(RIGHT)),
                Step::Check { is_right: false } => ask(&mut story, second, session, submit("000000")),
                Step::Cancel => ask(&mut story, second, session, Event::Cancel),
                Step::Wait => ask(&mut story, second, session, Event::Tick),
            };
            match answer {
                Answer::Correct => right.push(id),
                Answer::Incorrect => *wrong.entry(id).or_default() += 1,
                _ => {}
            }
            for (other, before) in sessions.iter().zip(before) {
                let after = story.v.status_of(*other);
                prop_assert!(before == Status::Pending || before == after, "a final status changes");
                let is_verified = after == Status::Verified;
                prop_assert_eq!(is_verified, right.contains(&story.v.id_of(*other)));
                let used = wrong.get(&story.v.id_of(*other)).copied().unwrap_or(0);
                prop_assert_eq!(after == Status::MaxChecksReached, used == story.v.checks_max);
            }
            prop_assert!(right.len() <= 1);
            let texts = story.v.attempts_on(Channel::Sms).count();
            prop_assert!(texts <= usize::from(story.rules.attempts_max));
        }
    }
}
