//! `export`: a service's own finished verifications as a trace for `replay`.
//!
//! It reads the store beside the running service, page by page through each app's list, so that Redis is never held
//! up, and writes nothing there. What is no part of the question when to call stays behind: numbers, ids, codes,
//! apps, metadata. What a service cannot know is not made up here either; `replay` assumes it and says so.

mod row;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{ConfigErrors, ExportConfig};
use crate::keyring::Keyring;
use crate::store::redis::{InvalidUrl, Redis};
use crate::store::{Cursor, Store, StoreError, StoredRecord, record};
use crate::time::Timestamp;
use crate::verification::VerificationId;

pub use row::{COLUMNS, LeftOut, Line};

/// Records of one page: some hundred kilobytes, and about a millisecond of Redis' time.
const PAGE: usize = 200;
/// Connections to Redis: in a cluster an app's list lies on all shards.
const CONNECTIONS: usize = 4;
/// How often a page is asked for, and how long between: a fail-over takes seconds.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(500);

/// Which verifications are written.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Those of this app alone.
    pub app: Option<String>,
    /// Those begun at this moment or later.
    pub since: Option<Timestamp>,
    /// Those begun before this moment.
    pub until: Option<Timestamp>,
}

/// A trace, and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Names of the columns, then a line per verification in the order of their starts.
    pub csv: String,
    /// How many are in it, and how many are not and why.
    pub notes: Vec<String>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Settings are missing or wrong; a line for each.
    #[error(transparent)]
    Settings(#[from] ConfigErrors),
    /// There is no such Redis.
    #[error("REDIS_URL {0}")]
    Url(InvalidUrl),
    /// The store went away and stayed away.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Exports from the Redis that the settings name.
///
/// # Errors
/// When a setting is missing or wrong, or Redis does not answer.
pub async fn run(env: impl IntoIterator<Item = (String, String)>, options: &Options) -> Result<Exported, ExportError> {
    let config = ExportConfig::read(env, options.app.as_deref())?;
    let previous: Vec<_> = config.secret_key_previous.iter().cloned().collect();
    let keys = Keyring::new(&config.secret_key, &previous);
    let redis = Redis::connect(&config.redis_url, config.redis_ca.as_ref(), CONNECTIONS).map_err(ExportError::Url)?;
    Ok(export(&redis, &keys, &config.apps, options).await?)
}

/// Exports what these apps have in a store.
///
/// # Errors
/// When the store does not answer.
pub async fn export(
    store: &dyn Store,
    keys: &Keyring,
    apps: &[String],
    options: &Options,
) -> Result<Exported, StoreError> {
    let now = patiently(async || store.now().await).await?;
    let mut found = Found::default();
    for app in apps {
        walk(store, keys, app, now, options, &mut found).await?;
    }
    Ok(found.exported())
}

#[derive(Default)]
struct Found {
    lines: Vec<Line>,
    left_out: BTreeMap<LeftOut, usize>,
    unreadable: usize,
}

/// Newest first, as the list has them.
async fn walk(
    store: &dyn Store,
    keys: &Keyring,
    app: &str,
    now: Timestamp,
    options: &Options,
    found: &mut Found,
) -> Result<(), StoreError> {
    let mut before: Option<Cursor> = None;
    loop {
        let page = patiently(async || store.list(app, None, before, PAGE).await).await?;
        let is_asked_for = |cursor: &&Cursor| options.until.is_none_or(|until| cursor.created_at < until);
        let is_recent = |cursor: &&Cursor| options.since.is_none_or(|since| cursor.created_at >= since);
        let ids: Vec<_> = page.iter().filter(is_asked_for).filter(is_recent).map(|cursor| cursor.id).collect();
        for (id, stored) in patiently(async || store.load_many(&ids).await).await? {
            found.take(id, &stored, keys, now);
        }
        before = page.last().copied();
        if page.len() < PAGE || !page.last().is_some_and(|oldest| is_recent(&oldest)) {
            return Ok(());
        }
    }
}

/// Reads a moment: RFC 3339, or a date, which is its midnight in UTC.
///
/// # Errors
/// When it is neither.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    let at = text.parse::<jiff::Timestamp>().or_else(|_| format!("{text}T00:00:00Z").parse()).ok();
    let at = at.ok_or("must be a moment as 2026-11-24T09:30:00Z, or a date as 2026-11-24")?;
    Ok(Timestamp::from_millis(at.as_millisecond()))
}

impl Found {
    fn take(&mut self, id: VerificationId, stored: &StoredRecord, keys: &Keyring, now: Timestamp) {
        match record::decode(id, stored, keys).map(|v| Line::of(&v, now)) {
            Ok(Ok(line)) => self.lines.push(line),
            Ok(Err(why)) => *self.left_out.entry(why).or_default() += 1,
            Err(_) => self.unreadable += 1,
        }
    }

    fn exported(mut self) -> Exported {
        self.lines.sort_unstable();
        let t0 = self.lines.first().map_or(Timestamp::default(), |line| line.started_at);
        let mut csv = format!("{COLUMNS}\n");
        for (nth, line) in (1..).zip(&self.lines) {
            csv += &line.write(nth, t0);
        }
        let mut notes = vec![format!("{} verifications", self.lines.len())];
        notes.extend(self.left_out.iter().map(|(why, count)| format!("left out: {count} {}", why.why())));
        if self.unreadable > 0 {
            notes
                .push(format!("left out: {} that SECRET_KEY does not open, or another version wrote", self.unreadable));
        }
        Exported { csv, notes }
    }
}

/// Asks again while the store is away, for a while.
async fn patiently<T>(mut ask: impl AsyncFnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    for _ in 1..TRIES {
        match ask().await {
            Err(StoreError::Unavailable(_)) => tokio::time::sleep(PAUSE).await,
            answered => return answered,
        }
    }
    ask().await
}
