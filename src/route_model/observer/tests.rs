//! Which lessons each event teaches, and that none is taught twice.

use super::*;

fn started() -> Observer {
    Observer::start(&Estimates::prior(), Some(20_000)).0
}

fn survived(curve: Curve, from: u8, to: u8) -> Lesson {
    Lesson::Survived { curve, from, to }
}

fn happened(curve: Curve, bucket: u8) -> Lesson {
    Lesson::Happened { curve, bucket }
}

fn curves(lessons: &[Lesson]) -> Vec<Lesson> {
    lessons.iter().filter(|l| matches!(l, Lesson::Survived { .. } | Lesson::Happened { .. })).copied().collect()
}

#[test]
fn a_code_without_a_report_is_an_event_among_silent_texts() {
    let lessons = started().record_verified(9_000);
    assert_eq!(
        curves(&lessons),
        [
            survived(Curve::Delivered, 0, 4),
            survived(Curve::Verified, 0, 4),
            survived(Curve::Delivered, 4, 5),
            happened(Curve::Verified, 4)
        ]
    );
}

#[test]
fn after_a_report_the_clock_starts_again() {
    let (mut observer, estimates) = (started(), Estimates::prior());
    let lessons = observer.record_delivered(5_000, &estimates);
    assert_eq!(curves(&lessons)[2..], [survived(Curve::Verified, 2, 3), happened(Curve::Delivered, 2)]);
    assert_eq!(
        curves(&observer.record_verified(12_500)),
        [survived(Curve::VerifiedAfterDelivered, 0, 3), happened(Curve::VerifiedAfterDelivered, 3)]
    );
}

#[test]
fn a_repeated_event_teaches_once() {
    let (mut observer, estimates) = (started(), Estimates::prior());
    observer.record_delivered(5_000, &estimates);
    assert_eq!(observer.record_delivered(5_500, &estimates), []);
    observer.record_resend(20_000);
    let once = observer.clone();
    assert_eq!(observer.record_resend(20_000), []);
    assert_eq!(observer, once);
    observer.record_verified(30_000);
    for lessons in [
        observer.record_verified(31_000),
        observer.record_delivered(32_000, &estimates),
        observer.advance(60_000),
        observer.end(TTL_MS),
    ] {
        assert_eq!(lessons, []);
    }
}

#[test]
fn many_small_steps_teach_what_one_large_step_does() {
    let (mut steps, mut leap) = (started(), started());
    let mut seen = Vec::new();
    for age in (0..=600).map(|s| s * 1000) {
        for lesson in steps.advance(age) {
            if let Lesson::Survived { curve: Curve::Verified, from, to } = lesson {
                seen.extend(from..to);
            }
        }
    }
    assert_eq!(seen, (0..29).collect::<Vec<u8>>());
    leap.advance(600_000);
    assert_eq!(steps, leap);
}

#[test]
fn a_code_after_the_call_result_is_not_counted_for_the_text() {
    let (mut observer, estimates) = (started(), Estimates::prior());
    observer.record_call(16_000, &estimates, None);
    let known = observer.record_call_result(25_000, &estimates);
    assert_eq!(curves(&known), [survived(Curve::Delivered, 8, 11), survived(Curve::Verified, 8, 11)]);
    let verified = observer.record_verified(40_000);
    assert_eq!(curves(&verified), [survived(Curve::Delivered, 11, 15), survived(Curve::Delivered, 15, 16)]);
}

#[test]
fn an_unanswered_call_censors_the_text_after_15_s() {
    let (mut observer, estimates) = (started(), Estimates::prior());
    observer.record_call(10_000, &estimates, None);
    // 25 s lies in the bucket that begins at 23 s.
    let until_then = observer.advance(24_000);
    assert!(until_then.contains(&survived(Curve::Verified, 5, 11)), "{until_then:?}");
    assert_eq!(observer.wake_ms(), Some(25_000));
    assert_eq!(curves(&observer.record_call_result(45_000, &estimates)), [survived(Curve::Delivered, 11, 15)]);
}

#[test]
fn a_lost_text_is_no_longer_observed() {
    let mut observer = started();
    assert_eq!(curves(&observer.record_lost(3_000)).len(), 2);
    assert_eq!(observer.end(TTL_MS), []);
    assert_eq!(observer.wake_ms(), None);
}

#[test]
fn the_first_event_test_is_made_once_and_before_a_call_can_bring_the_code() {
    let estimates = Estimates::prior();
    let hit = |lessons: &[Lesson]| {
        lessons.iter().find_map(|l| if let Lesson::Tested { hit, .. } = l { Some(*hit) } else { None })
    };
    assert_eq!(hit(&started().record_verified(9_000)), Some(true));
    let mut silent = started();
    let at = silent.wake_ms().unwrap();
    assert_eq!(hit(&silent.advance(at - 1)), None);
    assert_eq!(hit(&silent.advance(at)), Some(false));
    assert_eq!(hit(&silent.record_verified(at + 1)), None);
    let mut answered = started();
    answered.record_call(4_000, &estimates, None);
    assert_eq!(hit(&answered.record_call_result(9_000, &estimates)), None);
    assert_eq!(hit(&answered.record_verified(12_000)), Some(false));
    let mut called = started();
    called.record_call(4_000, &estimates, None);
    assert!(called.wake_ms().unwrap() <= 19_000);
    assert_eq!(hit(&called.record_verified(28_000)), Some(false));
}
