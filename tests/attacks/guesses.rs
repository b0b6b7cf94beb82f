//! Thousands of codes at once through several replicas: at most `MAX_CHECKS` are compared, and at most one verifies.

use futures_util::future::join_all;
use serde_json::json;

use crate::crowd::{AT_ONCE, Tally, crowd, timed};
use crate::fleet::{Fleet, Times};
use crate::residue;
use crate::support::Answer;

pub const MAX_CHECKS: usize = 5;
pub const RIGHT: &str = "9071534826";
pub const SETTINGS: &[(&str, &str)] = &[("ESCALATION", "never"), ("RUST_LOG", "info"), ("MAX_CHECKS", "5")];

/// The wrong code with this number.
///
/// It has the greatest length and no row of zeros, so that the leak search does not meet it by chance, as in a time.
pub fn wrong(n: usize) -> String {
    format!("{:010}", 9_071_534_827 + n)
}

/// Submits a code by the verification's id, and every fourth time by its phone number.
async fn submit(fleet: &Fleet, n: usize, id: &str, to: &str, code: &str) -> Answer {
    if n.is_multiple_of(4) {
        fleet.service(n).send("POST", "/v1/checks", json!({ "to": to, "code": code })).await
    } else {
        fleet.service(n).check(id, code).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_five_of_many_guesses_are_compared() {
    guess(600).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn only_five_of_ten_thousand_guesses_are_compared() {
    guess(10_000).await;
}

async fn guess(guesses: usize) {
    let fleet = Fleet::start(3, SETTINGS).await;
    let mut needles = residue::needles();
    needles.code(RIGHT);
    (0..50).for_each(|n| needles.code(&wrong(n)));

    // Only wrong codes.
    let (to, own) = ("+14155550103", json!({ "code": RIGHT }));
    needles.number(to);
    let id = fleet.service(0).create(to, own.clone()).await.id().to_owned();
    let check = async |n: usize| timed(submit(&fleet, n, &id, to, &wrong(n))).await;
    let (answers, times): (Vec<Answer>, Vec<_>) = crowd(guesses, AT_ONCE, check).await.into_iter().unzip();
    let (tally, times) = (Tally::of(&answers), Times::of(times));
    assert_eq!(tally.get("incorrect"), MAX_CHECKS, "{tally}");
    assert_eq!(tally.get("max_checks_reached"), guesses - MAX_CHECKS, "{tally}");
    fleet.service(1).check(&id, RIGHT).await.assert_problem(429, "max_checks_reached");

    // Every fiftieth code is the right one.
    let to = "+14155560103";
    needles.number(to);
    let id = fleet.service(1).create(to, own).await.id().to_owned();
    let submitted = |n: usize| if n % 50 == 3 { RIGHT.to_owned() } else { wrong(n) };
    let check = async |n: usize| submit(&fleet, n, &id, to, &submitted(n)).await;
    let mixed = Tally::of(&crowd(guesses, AT_ONCE, check).await);
    let (verified, compared) = (mixed.get("verified"), mixed.get("verified") + mixed.get("incorrect"));
    let status = fleet.service(2).read(&id).await["status"].as_str().unwrap().to_owned();
    match status.as_str() {
        "verified" => assert!(verified == 1 && compared <= MAX_CHECKS, "{mixed}"),
        "max_checks_reached" => assert!(verified == 0 && compared == MAX_CHECKS, "{mixed}"),
        other => panic!("{other}: {mixed}"),
    }
    assert_eq!(mixed.all(), guesses);
    println!(
        "guesses: {guesses} at one verification over 3 replicas, {AT_ONCE} at a time: {tally}; with right ones among \
         them: {mixed}; p50 {:.0} ms, p99 {:.0} ms; no 5xx",
        times.median().as_secs_f64() * 1e3,
        times.percentile(99).as_secs_f64() * 1e3,
    );
    residue::assert_clean(&fleet, &needles).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_verifications_give_no_new_guesses() {
    guess_in_new_verifications(14, Some((6, 20))).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn sixty_verifications_give_no_more_than_a_hundred_guesses() {
    guess_in_new_verifications(60, None).await;
}

/// Repeats for one number: create, resend, guess through every replica, cancel.
///
/// `limits`: guesses per hour and per day; by default those of the service.
async fn guess_in_new_verifications(rounds: usize, limits: Option<(usize, usize)>) {
    let (hour, day) = limits.unwrap_or((20, 100));
    let set = format!("{hour}/1h,{day}/1d");
    let mut settings = [SETTINGS, &[("RESEND_COOLDOWN", "0")]].concat();
    settings.extend(limits.is_some().then_some(("LIMIT_GUESSES", set.as_str())));
    let fleet = Fleet::start(3, &settings).await;
    let mut needles = residue::needles();
    needles.code(RIGHT);

    let mut tallies = Vec::new();
    for (to, owner_verifies) in [("+14155550103", false), ("+14155560103", true)] {
        needles.number(to);
        let mut tally = Tally::default();
        for round in 0..rounds {
            let service = fleet.service(round);
            let id = service.create(to, json!({ "code": RIGHT })).await.id().to_owned();
            let at = |path: &str| format!("/v1/verifications/{id}{path}");
            assert_eq!(service.send("POST", &at("/attempts"), json!({ "channel": "sms" })).await.status, 201);
            // A success clears the hour's guesses, so the owner needs one check that is left.
            let guesses = if owner_verifies { MAX_CHECKS - 1 } else { MAX_CHECKS + 3 };
            let answers = join_all((0..guesses).map(async |n| fleet.service(n).check(&id, &wrong(n)).await)).await;
            tally.merge(&Tally::of(&answers));
            if owner_verifies {
                tally.merge(&Tally::of([&service.check(&id, RIGHT).await]));
            }
            let canceled = service.send("POST", &at("/cancel"), json!({})).await;
            assert!(canceled.status < 500, "{canceled:?}");
        }
        assert_eq!(tally.get("incorrect"), if owner_verifies { day } else { hour }, "{tally}");
        assert!(tally.get("rate_limited guesses") > 0, "{tally}");
        tallies.push(tally);
    }
    println!(
        "guesses at one number: {rounds} verifications each, {set} in all: {}; where the owner verifies in between: {}",
        tallies[0], tallies[1]
    );
    residue::assert_clean(&fleet, &needles).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_code_verifies_once_however_many_submit_it() {
    submit_right_codes(12).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn two_hundred_right_codes_verify_once_each() {
    submit_right_codes(200).await;
}

/// Creates verifications, and submits the right code of each twenty times at once.
async fn submit_right_codes(verifications: usize) {
    const TWINS: usize = 20;
    let fleet = Fleet::start(3, SETTINGS).await;
    let mut needles = residue::needles();
    needles.code(RIGHT);
    let number = |n: usize| format!("+1415555{:04}", 3000 + n);
    (0..verifications).for_each(|n| needles.number(&number(n)));
    let submit_twins = async |n: usize| {
        let id = fleet.service(n).create(&number(n), json!({ "code": RIGHT })).await.id().to_owned();
        let tally = Tally::of(&join_all((0..TWINS).map(async |t| fleet.service(t).check(&id, RIGHT).await)).await);
        assert_eq!((tally.get("verified"), tally.get("already_verified")), (1, TWINS - 1), "{tally}");
        tally
    };
    let mut all = Tally::default();
    crowd(verifications, AT_ONCE / TWINS, submit_twins).await.iter().for_each(|tally| all.merge(tally));
    println!("right codes: {verifications} verifications, {TWINS} at once for each over 3 replicas: {all}");
    residue::assert_clean(&fleet, &needles).await;
}
