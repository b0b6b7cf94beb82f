//! A learner that is driven by whole verifications, in virtual time.

use secrecy::SecretSlice;

use super::*;
use crate::learner::write::WRITE_INTERVAL;
use crate::phone::PhoneNumber;
use crate::time::Timestamp;
use crate::verification::{
    AttemptIndex, Code, Context, Decision, Event, ReportFacts, Request, Rules, SessionIndex, TextReport, Verification,
    VerificationId, decide, open,
};

/// The code of every verification.
pub(super) const CODE: &str = "042917";

/// A learner with a clock of its own.
pub(super) struct Replica {
    pub(super) learner: Learner,
    pub(super) now: Instant,
    last_flush: Instant,
    /// Verifications that have ended.
    pub(super) ended: usize,
}

impl Replica {
    pub(super) fn new(store: &Arc<RecordingStore>) -> Self {
        let keys = Arc::new(Keyring::new(&SecretSlice::from(vec![7; 32]), &[]));
        let now = Instant::now();
        Self { learner: Learner::new(store.clone(), keys), now, last_flush: now, ended: 0 }
    }

    /// Lets time pass, with a flush every second.
    pub(super) async fn pass(&mut self, time: Duration) {
        self.now += time;
        while self.last_flush + WRITE_INTERVAL <= self.now {
            self.last_flush += WRITE_INTERVAL;
            self.learner.flush_at(false, self.last_flush).await.unwrap();
        }
    }

    pub(super) async fn begin(&mut self, n: u32) -> Verification {
        let to = PhoneNumber::parse(&format!("+1415{:07}", 2_000_000 + n * 10_007)).unwrap();
        let prefix = self.learner.prefix_hash(&to);
        let carrier_guess = self.learner.guess(&to, prefix).await;
        let teacher = self.learner.teacher("app", prefix, None);
        let insight = self.learner.insight(teacher, to.country(), carrier_guess).await;
        let request = Request {
            carrier_guess,
            ..Request::new(VerificationId::new(1, u128::from(n)), "app", to, Code::parse(CODE).unwrap())
        };
        let context = Context { now: self.timestamp(n), insight: &insight, barred: &[], session: SessionIndex::FIRST };
        let Decision { after, lessons, .. } = open(request, &Rules::default(), &context);
        self.learner.learn_at(None, &after, &lessons, self.now);
        after
    }

    pub(super) async fn apply(&mut self, before: Verification, event: &Event) -> Verification {
        let carrier = event.carrier().or(before.carrier());
        let teacher = self.learner.teacher("app", self.learner.prefix_hash(&before.to), None);
        let insight = self.learner.insight(teacher, before.to.country(), carrier).await;
        let now = before.created_at + Duration::from_secs(6);
        let context = Context { now, insight: &insight, barred: &[], session: SessionIndex::FIRST };
        let Decision { after, lessons, .. } = decide(&before, std::slice::from_ref(event), &Rules::default(), &context);
        self.learner.learn_at(Some(&before), &after, &lessons, self.now);
        self.learner.note_facts_at(&before, &after, self.now);
        self.ended += usize::from(after.is_final());
        after
    }

    /// One verification: 6 s to the delivery report, 6 s to the code.
    pub(super) async fn verify(&mut self, n: u32) {
        self.verify_in(n, 6, ROUTE).await;
    }

    /// One verification on a route: so many seconds to the report, and as many again to the code.
    pub(super) async fn verify_in(&mut self, n: u32, seconds: u64, route: u32) {
        let v = self.begin(n).await;
        self.pass(Duration::from_secs(seconds)).await;
        let v = self.apply(v, &delivered_on(route)).await;
        self.pass(Duration::from_secs(seconds)).await;
        self.apply(v, &Event::CodeSubmitted(Code::parse(CODE).unwrap())).await;
    }

    fn timestamp(&self, n: u32) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + i64::from(n))
    }
}

pub(super) fn delivered() -> Event {
    delivered_on(ROUTE)
}

pub(super) fn delivered_on(route: u32) -> Event {
    let facts = ReportFacts { carrier: Carrier::from_code(route), cost_u: None };
    Event::TextReported { attempt: AttemptIndex::FIRST, report: TextReport::Delivered, provider_id: None, facts }
}
