//! What each operation costs Redis and Plivo, compared with a record: no figure grows unnoticed.
//!
//! The test has no clock: it counts. A real service runs each operation [`TIMES`] times, one after the other, while
//! `MONITOR` shows the commands. An exchange of a kind that comes once for each operation is its cost. What a service
//! does by the clock (timers, time, statistics) is known from an idle service and left out. [`bytes`] defines memory.

mod bytes;
mod ledger;
mod monitor;
mod plivo;
mod record;
mod subject;

use serde_json::{Map, Value};
use uuid::Uuid;

use ledger::commands_of_idle_second;
use record::Figures;
use subject::{CODE, Subject, WRONG_CODE};

/// How often an operation is repeated: often beside what happens once a second.
const TIMES: usize = 32;
/// How long an idle service is watched.
const IDLE_SECONDS: u64 = 10;

/// A limit that no test reaches, and a budget, so narrow that each attempt is counted by itself.
const NARROW: (&str, &str) = ("3990/10m", "30");
/// So wide that attempts are counted ahead, with steps of a day and a half. Those of the budget take 72 minutes: if one ends
/// during the test, a few creations cost one command more, which their mean does not show.
const WIDE: (&str, &str) = ("1000000000/31d", "1000000");

/// So late that no timer is due in this test.
const LATE: &str = "fixed+fail:250";
/// After a second.
const SOON: &str = "fixed:1";

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_costs_more_than_recorded() {
    let mut subject = Subject::start(NARROW.0, NARROW.1).await;
    let mut costs = Costs { recorded: Figures::recorded(), measured: Figures::default() };
    let idle = subject.idle(IDLE_SECONDS).await;
    costs.measured.add("idle second: commands", commands_of_idle_second(&idle, IDLE_SECONDS));

    let s = &subject;
    costs.of(s, "create", 1, async |to| s.create(&to, None, LATE).await).await;
    let key = || Uuid::new_v4().to_string();
    costs.of(s, "create with a key", 2, async |to| s.create(&to, Some(&key()), LATE).await).await;
    // The verifications of the first operation are read, reported on and checked.
    costs.of(s, "read", 1, async |to| drop(s.send(None, "GET", &s.path(&to), Value::Null).await)).await;
    costs.of(s, "callback", 1, async |to| s.report(&to, "sent").await).await;
    costs.of(s, "wrong check", 1, async |to| s.check(&to, WRONG_CODE).await).await;
    costs.of(s, "right check", 1, async |to| s.check(&to, CODE).await).await;
    costs.of_due_timer(s).await;
    costs.of_list(s).await;
    costs.of_memory(s).await;

    let mut subject = Subject::start(WIDE.0, WIDE.1).await;
    subject.idle(IDLE_SECONDS).await;
    let s = &subject;
    // Each advance is twice the one before, so that the last one of these covers the measured ones.
    s.repeat(5 * TIMES, async |n| s.create(&number(6, n), None, LATE).await).await;
    costs.of(s, "create of many", 7, async |to| s.create(&to, None, LATE).await).await;
    costs.measured.assert_recorded(&costs.recorded);
}

struct Costs {
    recorded: Figures,
    measured: Figures,
}

/// The numbers of one group. Their shards follow from SECRET_KEY, which is fixed, and so does the shape of a list.
fn number(group: usize, n: usize) -> String {
    format!("+1212{:07}", 2_000_000 + group * 1_000 + n)
}

impl Costs {
    /// Measures an operation on the numbers of a group.
    async fn of<F: Future<Output = ()>>(
        &mut self,
        s: &Subject,
        name: &str,
        group: usize,
        operation: impl Fn(String) -> F,
    ) {
        // The first time loads scripts, opens connections and reads what is learned of the route.
        operation(number(group, 0)).await;
        s.settle().await;
        let (from, requests) = (s.mark().await, s.plivo.count());
        s.repeat(TIMES, |n| operation(number(group, n))).await;
        let cost = s.cost_since(from, TIMES, self.recorded.cost(name)).await;
        // Each of them asks Redis at least once: less means that equal exchanges are not recognized as equal.
        assert!(cost.exchanges > 0, "{name} is not counted");
        self.measured.add_cost(name, cost);
        self.measured.add(format!("{name}: requests to Plivo"), (s.plivo.count() - requests) / TIMES);
    }

    /// The call that follows a text without news: what a creation with such a call costs beyond a creation.
    ///
    /// Without the claim, which is part of the background: it serves all timers that are due.
    async fn of_due_timer(&mut self, s: &Subject) {
        const NAME: &str = "due timer";
        const GROUP: usize = 3;
        let created = self.measured.cost("create").unwrap_or_default();
        s.measure_timers(2_500);
        s.create(&number(GROUP, 0), None, SOON).await;
        s.until_called(&number(GROUP, 0)).await;
        s.settle().await;
        let from = s.mark().await;
        s.repeat(TIMES, async |n| s.create(&number(GROUP, n), None, SOON).await).await;
        s.repeat(TIMES, async |n| s.until_called(&number(GROUP, n)).await).await;
        let expected = self.recorded.cost(NAME).map(|cost| cost + created);
        let cost = s.cost_since(from, TIMES, expected).await;
        self.measured.add_cost(NAME, cost - created);
        s.measure_timers(0);
    }

    /// A page of 20 of an app that has 40, and one of the 20 of them that were canceled.
    async fn of_list(&mut self, s: &Subject) {
        const GROUP: usize = 4;
        s.redis.command(&["FLUSHALL"]);
        s.repeat(40, async |n| s.create(&number(GROUP, n), None, LATE).await).await;
        let cancel = async |n| {
            s.send(None, "POST", &format!("{}/cancel", s.path(&number(GROUP, 2 * n))), Value::Object(Map::new())).await
        };
        s.repeat(20, async |n| drop(cancel(n).await)).await;
        s.settle().await;
        for (name, path) in [
            ("list of 20", "/v1/verifications?limit=20"),
            ("list of 20 by status", "/v1/verifications?status=canceled&limit=20"),
        ] {
            let from = s.mark().await;
            s.repeat(TIMES, async |_| {
                let page = s.send(None, "GET", path, Value::Null).await;
                assert_eq!(page.body["verifications"].as_array().map(Vec::len), Some(20), "{page:?}");
            })
            .await;
            let cost = s.cost_since(from, TIMES, self.recorded.cost(name)).await;
            self.measured.add_cost(name, cost);
        }
    }

    /// The memory of one verification in its states, and of one idempotent answer.
    async fn of_memory(&mut self, s: &Subject) {
        const GROUP: usize = 5;
        const EVENTS: usize = 8;
        let to = number(GROUP, 0);
        s.redis.command(&["FLUSHALL"]);
        s.create(&to, None, LATE).await;
        s.settle().await;
        self.measured.add("bytes of one just created", bytes::of_one_verification(&s.redis));
        for status in ["queued", "sent", "delivered"] {
            s.report(&to, status).await;
        }
        while s.events(&to).await < EVENTS {
            s.check(&to, WRONG_CODE).await;
        }
        s.settle().await;
        self.measured.add("bytes of one pending with 8 events", bytes::of_one_verification(&s.redis));
        s.redis.command(&["FLUSHALL"]);
        s.create(&to, Some("one-key"), LATE).await;
        s.check(&to, CODE).await;
        s.settle().await;
        self.measured.add("bytes of one verified", bytes::of_one_verification(&s.redis));
        self.measured.add("bytes of one idempotent answer", bytes::of_one_answer(&s.redis));
    }
}
