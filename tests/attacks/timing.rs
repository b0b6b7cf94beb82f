//! Whether response times distinguish an unknown id from one of another app.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::fleet::{Fleet, Times, ratio};
use crate::support::client;
use crate::world::API_KEY;

const OTHER: &str = "another-api-key-of-these-tests-0123456789";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn another_apps_verification_takes_as_long_as_an_unknown_one() {
    let keys = format!("shop:{API_KEY},other:{OTHER}");
    let fleet = Fleet::start(1, &[("API_KEYS", &keys), ("ESCALATION", "never")]).await;
    let service = fleet.service(0);
    let created = service.create("+14155550103", json!({})).await;
    let (foreign, unknown) = (created.id().to_owned(), format!("vrf_{}", "7".repeat(34)));
    let http = client();
    let time_of_read = async |id: &str| -> Duration {
        let get = http.get(format!("{}/v1/verifications/{id}", service.url)).bearer_auth(OTHER);
        let start = Instant::now();
        assert_eq!(get.send().await.unwrap().status(), 404);
        start.elapsed()
    };
    let (mut of_foreign, mut of_unknown) = (Vec::new(), Vec::new());
    for _ in 0..4_000 {
        of_foreign.push(time_of_read(&foreign).await);
        of_unknown.push(time_of_read(&unknown).await);
    }
    let (of_foreign, of_unknown) = (Times::of(of_foreign), Times::of(of_unknown));
    let ratio = ratio(of_foreign.median(), of_unknown.median());
    println!(
        "timing: another app's {:.0} us, unknown {:.0} us at the median of 4000 each; ratio {ratio:.3}",
        of_foreign.median().as_secs_f64() * 1e6,
        of_unknown.median().as_secs_f64() * 1e6,
    );
    assert!((0.8..1.25).contains(&ratio), "{ratio}");
}
