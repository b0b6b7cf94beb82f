//! Redis: that it answers, how it is set up, and that everything this service asks of it is allowed. The last
//! is tried, through the store's own scripts, on a record of nobody that is gone after a few seconds.

use std::time::{Duration, Instant};

use secrecy::ExposeSecret;

use super::clock::{self, Reading};
use super::finding::{Chart, Finding, Verdict};
use crate::config::Config;
use crate::guard::{Limit, Limits};
use crate::plivo::outcome;
use crate::store::redis::{Redis, Setup};
use crate::store::{
    AttemptRef, Commit, CommitMode, CommitOutcome, Increment, IncrementOutcome, NumberKey, OutageCause, PendingReport,
    ServerRefusal, Store, StoreError,
};
use crate::time::Timestamp;
use crate::verification::VerificationId;
use crate::verification::event::Facts;

const NAME: &str = "redis";
const SETUP: &str = "redis setup";
const SCRIPTS: &str = "redis scripts";

/// The commands that the store and its scripts use, for the ACL of a user who may no more than that.
const COMMANDS: &str = "+ping +time +get +set +mget +del +exists +pexpire +pttl +hgetall +hincrby +hdel +zadd +zrem +zrange +zrangebyscore \
                        +zrevrangebyscore +rpush +lrange +evalsha +script|load +info (and +cluster|slots in a \
                        cluster), keys ~phlo2fa:*";
/// How long what is written stays.
const KEEP: Duration = Duration::from_secs(5);
/// An answer that did not come in the second that the store allows itself may be a moment's load. A refusal is
/// not asked again: a script that was refused half-way would find its own half done.
const TRIES: usize = 3;

/// How Redis' clock stands, where there is one.
pub(super) async fn examine(config: &Config, chart: &mut Chart<'_>) -> Option<Reading> {
    let url = config.redis_url.expose_secret();
    if url.starts_with("memory:") {
        let mend = "set REDIS_URL for anything that is to outlive a restart";
        chart.warn(NAME, "REDIS_URL is memory: there is no Redis; a restart forgets everything", mend);
        return None;
    }
    let store = match Redis::connect(&config.redis_url, config.redis_ca.as_ref(), config.redis_pool_size.min(4)) {
        Ok(store) => store,
        Err(error) => {
            chart.wrong(NAME, format!("REDIS_URL {error}"), "correct REDIS_URL");
            return None;
        }
    };
    if let Err(error) = patiently(|| store.ping()).await {
        chart.wrong(NAME, said(&error), mend(&error));
        chart.skip(SETUP, "Redis does not answer");
        chart.skip(SCRIPTS, "Redis does not answer");
        return None;
    }
    let setup = store.setup().await;
    let version = setup.version.as_deref().unwrap_or("of a version it does not tell");
    let topology = match url.split_once("://").map(|(scheme, _)| scheme) {
        Some(scheme) if scheme.ends_with("+cluster") => "cluster",
        Some(scheme) if scheme.ends_with("+sentinel") => "master named by Sentinel",
        _ => "one server",
    };
    chart.ok(NAME, format!("Redis {version}, {topology}, answers in {}", latency(&store).await));
    examine_setup(&setup, chart);
    match exercise(&store).await {
        Ok(()) => chart.ok(SCRIPTS, "each was run on a record of its own, which is gone in seconds"),
        Err(Failure::Store(step, error)) => chart.wrong(SCRIPTS, format!("{step}: {}", said(&error)), mend(&error)),
        Err(Failure::Odd(step)) => chart.wrong(
            SCRIPTS,
            format!("{step}: Redis answers, and not what was written a moment before"),
            format!("let REDIS_URL lead to the primary of one Redis, and allow the user what is needed: {COMMANDS}"),
        ),
    }
    let asked = clock::now_ms();
    let now = store.now().await.ok()?;
    Some(Reading::new(now.as_millis(), asked, clock::now_ms()))
}

fn examine_setup(setup: &Setup, chart: &mut Chart<'_>) {
    let advice: Vec<_> = setup.advice().into_iter().chain(setup.advice_on_replicas()).collect();
    for advice in &advice {
        let result = if advice.is_critical { Verdict::Wrong } else { Verdict::Warn };
        let (detail, mend) = (advice.detail.clone(), Some(advice.remedy.to_owned()));
        chart.note(Finding { name: SETUP, result, detail, mend });
    }
    if setup.eviction.is_none() || setup.append_only.is_none() {
        chart.warn(
            SETUP,
            "maxmemory-policy or appendonly may not be read here (CONFIG GET and INFO)",
            "see to it that they are noeviction and yes, or allow +info +config|get",
        );
    } else if advice.is_empty() {
        let disk = if setup.append_only == Some(true) { "append-only file" } else { "snapshots" };
        chart.ok(SETUP, format!("noeviction, {disk}, {} replicas", setup.replicas.unwrap_or(0)));
    }
}

/// The middle one of a few.
async fn latency(store: &Redis) -> String {
    let mut took = Vec::new();
    for _ in 0..5 {
        let asked = Instant::now();
        if store.ping().await.is_ok() {
            took.push(asked.elapsed());
        }
    }
    took.sort_unstable();
    took.get(took.len() / 2).map_or("no time that can be told".to_owned(), |took| format!("{:.1} ms", millis(*took)))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

enum Failure {
    /// It was not allowed, or not answered.
    Store(&'static str, StoreError),
    /// What came back is not what was written.
    Odd(&'static str),
}

/// Writes, finds, claims and links a record of nobody, all through the store.
async fn exercise(store: &dyn Store) -> Result<(), Failure> {
    let failed = |step| move |error| Failure::Store(step, error);
    let created = draft();
    let outcome = patiently(|| store.commit(&created)).await.map_err(failed("commit"))?;
    if outcome != CommitOutcome::Committed(1) {
        return Err(Failure::Odd("commit"));
    }
    // Due and claimed at the beginning of time, where nobody's timer stands, until long after today. A service that
    // is running may have taken it in the moment between, and then logs a record that it cannot read.
    let (now, lease) = (Timestamp::from_millis(2), Duration::from_secs(200 * 365 * 86_400));
    patiently(|| store.claim_due(now, lease, 256)).await.map_err(failed("claim"))?;
    let settled =
        Commit { mode: CommitMode::Update { expected: 1, accept_stale: false }, due: None, ..created.clone() };
    let outcome = patiently(|| store.commit(&settled)).await.map_err(failed("commit"))?;
    let found = patiently(|| store.load(created.id)).await.map_err(failed("load"))?;
    if outcome != CommitOutcome::Committed(2) || found.is_none_or(|found| found.sealed != created.sealed) {
        return Err(Failure::Odd("load"));
    }
    let newest = patiently(|| store.newest(created.number)).await.map_err(failed("find"))?;
    let shard = Some(created.id.shard());
    let listed = patiently(|| store.list(&created.app, shard, None, 1)).await.map_err(failed("list"))?;
    let ids = [created.id];
    patiently(|| store.load_many(&ids)).await.map_err(failed("load"))?;
    if newest != Some(created.id) || !listed.iter().any(|cursor| cursor.id == created.id) {
        return Err(Failure::Odd("find"));
    }
    let uuid = format!("doctor-{}", uuid::Uuid::new_v4());
    let to = AttemptRef { id: created.id, attempt: 0 };
    if let Some(report) =
        outcome::text_report("queued", None).map(|report| PendingReport::Text(report, Facts::default()))
    {
        patiently(|| store.find_or_keep(&uuid, &report)).await.map_err(failed("park"))?;
        let parked = patiently(|| store.link(&uuid, to, KEEP)).await.map_err(failed("link"))?;
        patiently(|| store.forget_pending(&uuid)).await.map_err(failed("forget_pending"))?;
        if parked != [report] {
            return Err(Failure::Odd("link"));
        }
    }
    let limits = Limits(vec![Limit { max: 1, window: KEEP }]);
    let count = Increment { counter: format!("doctor:{uuid}"), amount: 1, limits, ignores_limits: false };
    // So much later that what the first left is removed.
    for now in [Timestamp::from_millis(2), Timestamp::from_millis(2) + KEEP * 2] {
        if patiently(|| store.increment(std::slice::from_ref(&count), None, now)).await.map_err(failed("count"))?
            != IncrementOutcome::Added
        {
            return Err(Failure::Odd("count"));
        }
    }
    Ok(())
}

/// A record that means nothing, of an app that no key can have: names are of small letters.
fn draft() -> Commit {
    let random = uuid::Uuid::new_v4();
    let number = NumberKey(random.into_bytes());
    Commit {
        id: VerificationId::new(number.shard(), random.as_u128()),
        app: "DOCTOR".to_owned(),
        number,
        mode: CommitMode::Create { previous: None },
        sealed: b"a record of doctor's".to_vec(),
        created_at: Timestamp::from_millis(1),
        due: Some(Timestamp::from_millis(1)),
        ttl: KEEP,
        guesses: Vec::new(),
        guesses_ttl: KEEP,
    }
}

async fn patiently<T>(ask: impl AsyncFn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mut answer = ask().await;
    for _ in 1..TRIES {
        match &answer {
            Err(StoreError::Unavailable(OutageCause::Timeout | OutageCause::PoolExhausted)) => answer = ask().await,
            Ok(_) | Err(_) => break,
        }
    }
    answer
}

fn said(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(OutageCause::Refused(refusal)) => format!("Redis refuses ({refusal})"),
        StoreError::Unavailable(cause) => cause.to_string(),
        StoreError::Unreadable(_) => error.to_string(),
    }
}

/// What an operator can do. Inside a script some servers report a forbidden command as `ERR`.
fn mend(error: &StoreError) -> String {
    use ServerRefusal as Refusal;
    let StoreError::Unavailable(cause) = error else {
        return "see that nobody else writes keys that begin with phlo2fa:".to_owned();
    };
    let remedy = match cause {
        OutageCause::ConnectionRefused => "start Redis, or correct host and port in REDIS_URL",
        OutageCause::UntrustedCertificate => {
            "name the PEM file of the authority that signed Redis' certificate in REDIS_CA_FILE, and see that the \
             certificate is for the host in REDIS_URL"
        }
        OutageCause::Refused(Refusal::NotPermitted | Refusal::General) => {
            return format!("allow the user what is needed: {COMMANDS}");
        }
        OutageCause::LoginFailed | OutageCause::Refused(Refusal::LoginRequired | Refusal::WrongPassword) => {
            "correct user and password in REDIS_URL"
        }
        OutageCause::Refused(Refusal::Loading) => "wait: it is reading its data",
        OutageCause::Refused(Refusal::OutOfMemory) => "give it more memory: with noeviction it refuses to write",
        OutageCause::Refused(Refusal::DiskFailed) => "see Redis' log: it cannot write to its disk",
        OutageCause::Refused(Refusal::ReadOnly) => "let REDIS_URL lead to the primary, or use redis+sentinel://",
        OutageCause::Refused(Refusal::NoReplicas) => {
            "see its replicas: fewer are connected than min-replicas-to-write asks for"
        }
        OutageCause::Refused(Refusal::ClusterDown) => "see CLUSTER INFO: not every slot has a primary",
        _ => "see host, port, firewall and TLS (rediss:// where the port speaks it, REDIS_CA_FILE) of REDIS_URL",
    };
    remedy.to_owned()
}
