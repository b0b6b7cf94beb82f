//! Lists of apps: an app has several, and a page is merged from all of them.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use deadpool_redis::redis::Value;
use futures_util::future::try_join_all;

use super::pool::Command;
use super::script::{Script, UNKNOWN_SHAPE, parse_time, read, script};
use super::{Redis, keys};
use crate::store::error::StoreError;
use crate::store::lists::{Cursor, Listed, PageRequest};
use crate::time::Timestamp;
use crate::verification::{Status, VerificationId};

static LIST: LazyLock<Script> = script!("record_key.lua", "shared_key.lua", "list.lua");

/// Scripts that one page runs at most, one after the other: each looks at some thousand entries.
const SCRIPTS_MAX: usize = 10;

impl Redis {
    pub(super) async fn list_page(&self, query: &PageRequest<'_>) -> Result<Listed, StoreError> {
        let lists: BTreeSet<u8> = match query.shards {
            [] => keys::LISTS.collect(),
            shards => shards.iter().map(|shard| shard % keys::LISTS.end).collect(),
        };
        let names: Vec<String> = lists.into_iter().map(|list| keys::list(list, query.app)).collect();
        let width = if self.is_cluster { 1 } else { names.len() };
        let (mut entries, mut rest) = (Vec::new(), *query);
        let mut next = query.before;
        for _ in 0..SCRIPTS_MAX {
            let parts = try_join_all(names.chunks(width).map(|names| self.list_some(names, &rest))).await?;
            // What is older than the place where a list stopped is found again from there.
            let stopped = parts.iter().filter_map(|part| part.stopped).max();
            let found = parts.into_iter().flat_map(|part| part.found);
            entries.extend(found.filter(|entry| stopped.is_none_or(|stopped| entry.created_at >= stopped)));
            next = stopped.map(just_before);
            rest = PageRequest { before: next, limit: query.limit.saturating_sub(entries.len()), ..rest };
            if next.is_none() || rest.limit == 0 {
                break;
            }
        }
        entries.sort_unstable_by(|a, b| b.cmp(a));
        if entries.len() > query.limit {
            entries.truncate(query.limit);
            next = entries.last().copied();
        }
        Ok(Listed { entries, next })
    }

    /// What one script reads of some lists in one slot.
    async fn list_some(&self, names: &[String], query: &PageRequest<'_>) -> Result<Part, StoreError> {
        let mut call = LIST.with_keys(names);
        call.arg(query.limit);
        match query.before {
            Some(Cursor { created_at, id }) => call.arg(created_at.as_millis()).arg(keys::member(id)),
            None => call.arg("").arg(""),
        };
        let statuses: String = match query.statuses.len() {
            all if all == Status::ALL.len() => String::new(),
            _ => query.statuses.iter().map(|status| keys::status_number(*status).to_string()).collect(),
        };
        let shards: Vec<String> = query.shards.iter().map(|shard| format!("{shard:02x}")).collect();
        call.arg(shards.join(" ")).arg(statuses);
        call.arg(query.since.map(|since| since.as_millis().to_string()).unwrap_or_default());
        let lists: Vec<Vec<Value>> = self.pool.run(Command::Script(call)).await?;
        let mut part = Part { found: Vec::new(), stopped: None };
        for list in lists {
            let mut list = list.into_iter();
            if let Some(stopped) = read::<Option<String>>(list.next())? {
                part.stopped = part.stopped.max(Some(parse_time(&stopped)?));
            }
            while let Some(created_at) = list.next() {
                let (created_at, member) = (read::<String>(Some(created_at))?, read::<String>(list.next())?);
                let id = keys::id(&member).ok_or(UNKNOWN_SHAPE)?;
                part.found.push(Cursor { created_at: parse_time(&created_at)?, id });
            }
        }
        Ok(part)
    }
}

/// Some entries of an app's lists.
struct Part {
    found: Vec<Cursor>,
    /// The creation time down to which all lists were read, if one of them has more.
    stopped: Option<Timestamp>,
}

/// The place between the entries of a millisecond and those before it.
fn just_before(millisecond: Timestamp) -> Cursor {
    let created_at = millisecond - Duration::from_millis(1);
    Cursor { created_at, id: VerificationId::new(u8::MAX, u128::MAX) }
}
