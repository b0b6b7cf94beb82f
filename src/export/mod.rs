//! `export`: a service's own finished verifications as a trace for `replay`.
//!
//! It reads the store beside the running service, page by page through each app's list, so that no read holds up Redis
//! for long. It writes nothing to the store. Numbers, ids, codes, apps and metadata are left out. What a service cannot
//! know is left empty: `replay` assumes it and says so.

mod call;
mod row;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};

use self::row::{Exclusion, ExportRow};
use crate::config::{ConfigErrors, ExportConfig};
use crate::keyring::Keyring;
use crate::store::redis::{InvalidUrl, Redis};
use crate::store::{Cursor, Listed, PageRequest, Store, StoreError, StoredRecord, record};
use crate::time::Timestamp;
use crate::verification::VerificationId;

pub use row::COLUMNS;

/// Records per page: some hundred kilobytes, and about a millisecond of Redis' time.
const PAGE: usize = 200;
/// Connections to Redis: in a cluster an app's list lies on all shards.
const CONNECTIONS: usize = 4;
/// Retries while the store is unavailable, and the pause before each: a failover takes seconds.
const RETRIES: usize = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// Which verifications to export.
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    /// Only those of this app.
    pub app: Option<String>,
    /// Only those that began at this time or later.
    pub since: Option<Timestamp>,
    /// Only those that began before this time.
    pub until: Option<Timestamp>,
}

/// A trace, and notes for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The header, then a line per verification in the order of their starts.
    pub csv: String,
    /// How many verifications are in the trace, and how many are left out and why.
    pub notes: Vec<String>,
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Settings are missing or wrong; a line for each.
    #[error(transparent)]
    Settings(#[from] ConfigErrors),
    /// `REDIS_URL` is no URL of a Redis.
    #[error("REDIS_URL {0}")]
    Url(InvalidUrl),
    /// The store stayed unavailable, or holds an unreadable list.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The trace cannot be written as CSV.
    #[error("the trace cannot be written: {0}")]
    Csv(#[from] csv::Error),
}

/// Exports from the Redis that the settings name.
///
/// # Errors
/// When a setting is missing or wrong, or Redis stays unavailable.
pub async fn run(
    env: impl IntoIterator<Item = (String, String)>,
    options: &ExportOptions,
) -> Result<Exported, ExportError> {
    let config = ExportConfig::read(env, options.app.as_deref())?;
    let previous: Vec<_> = config.secret_key_previous.iter().cloned().collect();
    let keys = Keyring::new(&config.secret_key, &previous);
    let redis = Redis::connect(&config.redis_url, config.redis_ca.as_ref(), CONNECTIONS).map_err(ExportError::Url)?;
    export(&redis, &keys, &config.apps, options).await
}

/// Exports what a store holds of these apps. The same store gives the same bytes.
///
/// # Errors
/// When the store stays unavailable.
pub async fn export(
    store: &dyn Store,
    keys: &Keyring,
    apps: &[String],
    options: &ExportOptions,
) -> Result<Exported, ExportError> {
    let now = retrying(|| store.now()).await?;
    let mut collected = Collected::default();
    for app in apps {
        collect(store, keys, app, now, options, &mut collected).await?;
    }
    collected.into_exported()
}

/// Reads a time: RFC 3339, or a date, which means its midnight in UTC.
///
/// # Errors
/// When it is neither.
pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    let at = text.parse::<jiff::Timestamp>().or_else(|_| format!("{text}T00:00:00Z").parse()).ok();
    let at = at.ok_or("must be a time such as 2026-11-24T09:30:00Z, or a date such as 2026-11-24")?;
    Ok(Timestamp::from_millis(at.as_millisecond()))
}

/// Collects one app's verifications, newest first as its list is ordered.
async fn collect(
    store: &dyn Store,
    keys: &Keyring,
    app: &str,
    now: Timestamp,
    options: &ExportOptions,
    collected: &mut Collected,
) -> Result<(), StoreError> {
    let mut before: Option<Cursor> = None;
    loop {
        let query = PageRequest { before, since: options.since, ..PageRequest::newest(app, PAGE) };
        let Listed { entries, next } = retrying(|| store.list(&query)).await?;
        let is_early_enough = |cursor: &&Cursor| options.until.is_none_or(|until| cursor.created_at < until);
        let ids: Vec<_> = entries.iter().filter(is_early_enough).map(|cursor| cursor.id).collect();
        for loaded in retrying(|| store.load_many(&ids)).await? {
            // What was sent is one row, however many sessions share it.
            if loaded.session == loaded.id {
                collected.add(loaded.id, &loaded.stored, keys, now);
            }
        }
        if next.is_none() {
            return Ok(());
        }
        before = next;
    }
}

#[derive(Default)]
struct Collected {
    rows: Vec<ExportRow>,
    excluded: BTreeMap<Exclusion, usize>,
    unreadable: usize,
}

impl Collected {
    fn add(&mut self, id: VerificationId, stored: &StoredRecord, keys: &Keyring, now: Timestamp) {
        match record::decode(id, stored, keys).map(|v| ExportRow::of(&v, now)) {
            Ok(Ok(row)) => self.rows.push(row),
            Ok(Err(exclusion)) => *self.excluded.entry(exclusion).or_default() += 1,
            Err(_) => self.unreadable += 1,
        }
    }

    fn into_exported(mut self) -> Result<Exported, ExportError> {
        self.rows.sort_unstable_by_key(ExportRow::order);
        let mut notes = vec![format!("{} verifications", self.rows.len())];
        notes.extend(self.excluded.iter().map(|(exclusion, count)| format!("left out: {count} {exclusion}")));
        if self.unreadable > 0 {
            let count = self.unreadable;
            notes.push(format!("left out: {count} that SECRET_KEY does not open or another version wrote"));
        }
        Ok(Exported { csv: csv(&self.rows)?, notes })
    }
}

fn csv(rows: &[ExportRow]) -> csv::Result<String> {
    let t0 = rows.first().map_or(Timestamp::default(), |row| row.started_at);
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(COLUMNS.map(|column| column.to_string()))?;
    for (id, row) in (1_usize..).zip(rows) {
        writer.serialize((id, row.started_at.since(t0).as_millis(), &row.fields))?;
    }
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8(bytes).map_err(io::Error::other)?)
}

/// Repeats a read while the store is unavailable.
async fn retrying<T, F>(read: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let pauses = ConstantBuilder::new().with_delay(PAUSE).with_max_times(RETRIES);
    read.retry(pauses).when(|error| matches!(error, StoreError::Unavailable(_))).await
}
