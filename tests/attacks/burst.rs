//! Thousands of guesses at once at one verification: what they cost the clients of other verifications.

use futures_util::future::join_all;
use serde_json::json;

use crate::bystander::Bystander;
use crate::crowd::{Tally, crowd, timed};
use crate::fleet::{Fleet, Times};
use crate::guesses::{MAX_CHECKS, RIGHT, SETTINGS, wrong};
use crate::support::Answer;

/// Clients of other verifications. Every second one opens a connection for each request.
const BYSTANDERS: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn others_are_checked_while_one_verification_is_guessed_at() {
    burst(1, 200, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn a_burst_on_one_verification_costs_its_neighbours_nothing() {
    // Four replicas have places for all connections.
    let [burst, alone, beside] = burst(4, 10_000, 25).await.map(|times| times.percentile(99).as_secs_f64());
    // An idle machine answers a client that is alone within 10 ms. A slower one has as much more time for everything.
    let slowness = (alone / 0.01).max(1.0);
    assert!(burst < 2.0 * slowness, "the burst is answered within {burst} s");
    assert!(beside < 0.1 * slowness, "other verifications are answered within {beside} s");
}

/// Submits wrong codes to one verification at once, and meanwhile a few to others: `of_each` for each bystander.
///
/// Returns the times of the guesses, and those of the bystanders without the burst and during it.
async fn burst(replicas: usize, guesses: usize, of_each: usize) -> [Times; 3] {
    // All come from one address, as from a proxy, to which CONNECTIONS_PER_PEER does not apply.
    let settings = [("RUST_LOG", "warn"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let fleet = Fleet::start(replicas, &[SETTINGS, &settings].concat()).await;
    let create = async |to: String| fleet.service(0).create(&to, json!({ "code": RIGHT })).await.id().to_owned();
    let id = create("+14155550103".to_owned()).await;
    let others = join_all((0..BYSTANDERS * of_each).map(|n| create(format!("+1212{:03}0103", 200 + n)))).await;
    // Each verification has MAX_CHECKS checks, of which the last one would end it.
    let start = |checks: usize| -> Vec<Bystander> {
        let path = |id: &String| format!("/v1/verifications/{id}/checks");
        let body = json!({ "code": wrong(0) }).to_string();
        let start = |n: usize| {
            let own: Vec<_> = others[n * of_each..][..of_each].iter().map(|id| (path(id), body.clone())).collect();
            Bystander::start(&fleet.service(n / 2).url, n, BYSTANDERS, vec![own; checks].concat())
        };
        (0..BYSTANDERS).map(start).collect()
    };
    let times = |measured: Vec<(Answer, _)>| {
        let time = |(answer, time): (Answer, _)| {
            assert_eq!(answer.body["result"], "incorrect", "{answer:?}");
            time
        };
        Times::of(measured.into_iter().map(time).collect())
    };
    // Before the burst and after it, because the load of the machine changes meanwhile.
    let mut alone: Vec<_> = start(1).into_iter().flat_map(Bystander::finish).collect();
    let bystanders = start(MAX_CHECKS - 3);
    let burst = crowd(guesses, guesses, async |n| timed(fleet.service(n).check(&id, &wrong(n))).await).await;
    let beside = times(bystanders.into_iter().flat_map(Bystander::stop).collect());
    alone.extend(start(1).into_iter().flat_map(Bystander::finish));
    let alone = times(alone);
    let (answers, burst): (Vec<Answer>, Vec<_>) = burst.into_iter().unzip();
    let (tally, burst) = (Tally::of(&answers), Times::of(burst));
    let shown = |times: &Times| {
        let [p50, p99] = [50, 99].map(|percent| times.percentile(percent).as_secs_f64() * 1e3);
        format!("p50 {p50:.0} ms, p99 {p99:.0} ms")
    };
    println!(
        "burst: {guesses} guesses at once: {tally}; {}; {} checks of other verifications meanwhile {} (alone {})",
        shown(&burst),
        beside.len(),
        shown(&beside),
        shown(&alone),
    );
    assert_eq!(tally.get("incorrect"), MAX_CHECKS, "{tally}");
    assert_eq!(tally.get("max_checks_reached"), guesses - MAX_CHECKS, "{tally}");
    [burst, alone, beside]
}
