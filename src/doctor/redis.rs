//! Redis: whether it answers, how it is configured, and whether it allows every command that the service uses.
//!
//! The commands are tried through the store's own scripts, on a record that expires within seconds.

use std::time::{Duration, Instant};

use backon::{ConstantBuilder, Retryable};
use secrecy::ExposeSecret;

use super::clock::{self, ClockReading};
use super::finding::{Finding, Reporter, Verdict};
use crate::config::Config;
use crate::guard::{Limit, Limits};
use crate::plivo::outcome;
use crate::store::redis::{Redis, Setup};
use crate::store::{
    AttemptRef, Commit, CommitMode, CommitOutcome, Increment, IncrementOutcome, NumberKey, OutageCause, PageRequest,
    PendingReport, PurposeKey, ServerRefusal, Store, StoreError,
};
use crate::time::Timestamp;
use crate::verification::{ReportFacts, Status, VerificationId};

const NAME: &str = "redis";
const SETUP: &str = "redis setup";
const SCRIPTS: &str = "redis scripts";

/// The commands of the store and its scripts, for the ACL of a user with no other rights.
const COMMANDS: &str = "+ping +time +get +set +mget +del +pexpire +pttl +zadd +zrem +zremrangebyscore +zrange +zrangebyscore \
                        +zrevrangebyscore +rpush +lrange +evalsha +script|load +info (and +wait with \
                        replicas, +cluster|slots in a cluster), keys ~phlo2fa:*";
/// How long the records are kept.
const KEEP: Duration = Duration::from_secs(5);
/// When the test record is due: later than any run works on it. If a run is cut off, the service finds the record gone.
const DUE: Duration = Duration::from_secs(30);
/// A timeout may be a moment's load, so it is retried. A refusal is not: a script that was refused half-way would find its
/// own partial writes.
const RETRIES_MAX: usize = 2;
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Checks Redis, and reads its clock.
pub(super) async fn examine(config: &Config, report: &mut Reporter<'_>) -> Option<ClockReading> {
    let url = config.redis_url.expose_secret();
    if url.starts_with("memory:") {
        let remedy = "set REDIS_URL, unless a restart may lose every verification";
        report.warn(NAME, "REDIS_URL is memory: there is no Redis; a restart loses every verification", remedy);
        return None;
    }
    let store = match Redis::connect(&config.redis_url, config.redis_ca.as_ref(), config.redis_pool_size.min(4)) {
        Ok(store) => store,
        Err(error) => {
            report.wrong(NAME, format!("REDIS_URL {error}"), "correct REDIS_URL");
            return None;
        }
    };
    if let Err(error) = with_retries(|| store.ping()).await {
        report.wrong(NAME, problem(&error), remedy(&error));
        report.skip(SETUP, "Redis does not answer");
        report.skip(SCRIPTS, "Redis does not answer");
        return None;
    }
    let setup = store.setup().await;
    let version = setup.version.as_deref().unwrap_or("of unknown version");
    let topology = match url.split_once("://").map(|(scheme, _)| scheme) {
        Some(scheme) if scheme.ends_with("+cluster") => "cluster",
        Some(scheme) if scheme.ends_with("+sentinel") => "master named by Sentinel",
        _ => "one server",
    };
    report.ok(NAME, format!("Redis {version}, {topology}, answers in {}", latency(&store).await));
    examine_setup(&setup, report);
    match exercise(&store).await {
        Ok(()) => report.ok(SCRIPTS, "each works on a record of its own, which expires within seconds"),
        Err(ExerciseError::Store(step, error)) => {
            report.wrong(SCRIPTS, format!("{step}: {}", problem(&error)), remedy(&error));
        }
        Err(ExerciseError::Unexpected(step)) => report.wrong(
            SCRIPTS,
            format!("{step}: Redis does not return what was just written"),
            format!("set REDIS_URL to the primary of one Redis, and allow the user these commands: {COMMANDS}"),
        ),
    }
    let sent_ms = clock::now_ms();
    let now = store.now().await.ok()?;
    Some(ClockReading::new(now.as_millis(), sent_ms, clock::now_ms()))
}

fn examine_setup(setup: &Setup, report: &mut Reporter<'_>) {
    let advice: Vec<_> = setup.advice().into_iter().chain(setup.advice_on_replicas()).collect();
    for advice in &advice {
        let result = if advice.is_critical { Verdict::Wrong } else { Verdict::Warn };
        let (detail, remedy) = (advice.detail.clone(), Some(advice.remedy.to_owned()));
        report.note(Finding { name: SETUP, result, detail, remedy });
    }
    if setup.eviction.is_none() || setup.append_only.is_none() {
        report.warn(
            SETUP,
            "maxmemory-policy or appendonly cannot be read (CONFIG GET and INFO)",
            "make sure that they are noeviction and yes, or allow +info +config|get",
        );
    } else if advice.is_empty() {
        let disk = if setup.append_only == Some(true) { "append-only file" } else { "snapshots" };
        report.ok(SETUP, format!("noeviction, {disk}, {} replicas", setup.replicas.unwrap_or(0)));
    }
}

/// The median of a few pings.
async fn latency(store: &Redis) -> String {
    let mut round_trips = Vec::new();
    for _ in 0..5 {
        let sent = Instant::now();
        if store.ping().await.is_ok() {
            round_trips.push(sent.elapsed());
        }
    }
    round_trips.sort_unstable();
    let median = round_trips.get(round_trips.len() / 2);
    median.map_or("an unknown time".to_owned(), |took| format!("{:.1} ms", millis(*took)))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

enum ExerciseError {
    /// A step was refused or not answered.
    Store(&'static str, StoreError),
    /// A step did not return what was written.
    Unexpected(&'static str),
}

/// Commits, finds, lists, links and counts a test record, all through the store, and claims what is due: nothing.
async fn exercise(store: &dyn Store) -> Result<(), ExerciseError> {
    let failed = |step| move |error| ExerciseError::Store(step, error);
    let created = draft(with_retries(|| store.now()).await.map_err(failed("time"))?);
    let outcome = with_retries(|| store.commit(&created)).await.map_err(failed("commit"))?;
    if outcome != CommitOutcome::Committed {
        return Err(ExerciseError::Unexpected("commit"));
    }
    // Nothing is due as early as this: what is, belongs to the running service or to another run.
    with_retries(|| store.claim_due(Timestamp::from_millis(1), KEEP, 1)).await.map_err(failed("claim"))?;
    let mode = CommitMode::Update { expected: created.version(), accept_stale: false };
    let settled = Commit { mode, due: None, increments: Vec::new(), links: Vec::new(), ..created.clone() };
    let outcome = with_retries(|| store.commit(&settled)).await.map_err(failed("commit"))?;
    let found = with_retries(|| store.load(created.id)).await.map_err(failed("load"))?;
    if outcome != CommitOutcome::Committed || found.is_none_or(|found| found.stored.sealed != created.sealed) {
        return Err(ExerciseError::Unexpected("load"));
    }
    let index = with_retries(|| store.number_index(created.number)).await.map_err(failed("find"))?;
    let query = PageRequest { shards: &[created.id.shard()], ..PageRequest::newest(&created.app, 1) };
    let listed = with_retries(|| store.list(&query)).await.map_err(failed("list"))?.entries;
    let ids = [created.id];
    with_retries(|| store.load_many(&ids)).await.map_err(failed("load"))?;
    if index.newest_for(created.purpose) != Some(created.id) || !listed.iter().any(|cursor| cursor.id == created.id) {
        return Err(ExerciseError::Unexpected("find"));
    }
    let uuid = format!("doctor-{}", uuid::Uuid::new_v4());
    let to = AttemptRef { id: created.id, attempt: crate::verification::AttemptIndex::FIRST };
    if let Some(report) =
        outcome::text_report("queued", None).map(|report| PendingReport::Text(report, ReportFacts::default()))
    {
        with_retries(|| store.find_or_keep(&uuid, &report)).await.map_err(failed("keep a report"))?;
        let pending = with_retries(|| store.link(&uuid, to, KEEP)).await.map_err(failed("link"))?;
        with_retries(|| store.forget_pending(&uuid)).await.map_err(failed("forget a report"))?;
        if pending != [report] {
            return Err(ExerciseError::Unexpected("link"));
        }
    }
    let limits = Limits([Limit { max: 1, window: KEEP }].into());
    let count = Increment { counter: format!("doctor:{uuid}"), amount: 1, limits, ignores_limits: false };
    // The second time is later than the window, so that the script removes the first count.
    for now in [Timestamp::from_millis(2), Timestamp::from_millis(2) + KEEP * 2] {
        if with_retries(|| store.increment(std::slice::from_ref(&count), now)).await.map_err(failed("count"))?
            != IncrementOutcome::Added
        {
            return Err(ExerciseError::Unexpected("count"));
        }
    }
    Ok(())
}

/// A test record, of an app that no API key can name: app names are in lower case. Each run has an app of its own, so that
/// its list holds only this record.
fn draft(now: Timestamp) -> Commit {
    let random = uuid::Uuid::new_v4();
    let number = NumberKey(random.into_bytes());
    Commit {
        id: VerificationId::new(number.shard(), random.as_u128()),
        app: format!("DOCTOR-{}", random.simple()),
        number,
        purpose: PurposeKey::default(),
        mode: CommitMode::Create { previous: None },
        sealed: b"a test record of doctor".to_vec(),
        created_at: Timestamp::from_millis(1),
        due: Some(now + DUE),
        ttl: KEEP,
        guesses: None,
        index_ttl: Some(KEEP),
        session: None,
        status: Status::Pending,
        ended: Vec::new(),
        verified_ttl: None,
        increments: Vec::new(),
        links: Vec::new(),
        longest_ttl: KEEP,
        now: Timestamp::from_millis(1),
    }
}

async fn with_retries<T, F>(request: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let back_off = ConstantBuilder::default().with_delay(RETRY_DELAY).with_max_times(RETRIES_MAX);
    let is_timeout = |error: &StoreError| {
        matches!(error, StoreError::Unavailable(OutageCause::Timeout | OutageCause::PoolExhausted))
    };
    request.retry(back_off).when(is_timeout).await
}

fn problem(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(OutageCause::Refused(refusal)) => format!("Redis refuses ({refusal})"),
        StoreError::Unavailable(cause) => cause.to_string(),
        StoreError::Unreadable(_) => error.to_string(),
    }
}

/// What an operator can do. Some Redis servers report a command that is refused within a script as `ERR`.
fn remedy(error: &StoreError) -> String {
    use ServerRefusal as Refusal;
    let StoreError::Unavailable(cause) = error else {
        return "make sure that no other program writes keys that begin with phlo2fa:".to_owned();
    };
    let remedy = match cause {
        OutageCause::ConnectionRefused => "start Redis, or correct host and port in REDIS_URL",
        OutageCause::UntrustedCertificate => {
            "set REDIS_CA_FILE to the PEM file of the authority that signed the certificate of Redis, and check that \
             the certificate names the host in REDIS_URL"
        }
        OutageCause::Refused(Refusal::NotPermitted | Refusal::General) => {
            return format!("allow the user these commands: {COMMANDS}");
        }
        OutageCause::LoginFailed | OutageCause::Refused(Refusal::LoginRequired | Refusal::WrongPassword) => {
            "correct user and password in REDIS_URL"
        }
        OutageCause::Refused(Refusal::Loading) => "wait until it has loaded its data",
        OutageCause::Refused(Refusal::OutOfMemory) => {
            "give it more memory: with noeviction it refuses writes when it is full"
        }
        OutageCause::Refused(Refusal::DiskFailed) => "check Redis' log: it cannot write to its disk",
        OutageCause::Refused(Refusal::ReadOnly) => "set REDIS_URL to the primary, or use redis+sentinel://",
        OutageCause::Refused(Refusal::NoReplicas) => {
            "check its replicas: fewer are connected than min-replicas-to-write requires"
        }
        OutageCause::Refused(Refusal::ClusterDown) => "check CLUSTER INFO: some slots have no primary",
        _ => "check host, port, firewall and TLS (rediss:// if the port uses TLS, REDIS_CA_FILE) of REDIS_URL",
    };
    remedy.to_owned()
}
