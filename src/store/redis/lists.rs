//! Lists of apps: an app has several, and a page is merged from all of them.

use std::sync::LazyLock;

use deadpool_redis::redis::Value;
use futures_util::future::try_join_all;

use super::pool::Command;
use super::script::{Script, UNKNOWN_SHAPE, parse_time, read, script};
use super::{Redis, keys};
use crate::store::error::StoreError;
use crate::store::records::Cursor;

static LIST: LazyLock<Script> = script!("list.lua");

impl Redis {
    pub(super) async fn list_page(
        &self,
        app: &str,
        shard: Option<u8>,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Cursor>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let names: Vec<String> = match shard {
            Some(shard) => vec![keys::list(shard % keys::LISTS.end, app)],
            None => keys::LISTS.map(|list| keys::list(list, app)).collect(),
        };
        let width = if self.is_cluster { 1 } else { names.len() };
        let pages = names.chunks(width).map(|names| self.list_some(names, shard, before, limit));
        let mut page: Vec<Cursor> = try_join_all(pages).await?.into_iter().flatten().collect();
        page.sort_unstable_by(|a, b| b.cmp(a));
        page.truncate(limit);
        Ok(page)
    }

    /// One page of some lists in one slot. The script stops early if many entries are of other shards, and is run again.
    async fn list_some(
        &self,
        names: &[String],
        shard: Option<u8>,
        mut before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Cursor>, StoreError> {
        let mut page = Vec::new();
        loop {
            let mut call = LIST.with_keys(names);
            call.arg(limit);
            match before {
                Some(Cursor { created_at, id }) => call.arg(created_at.as_millis()).arg(keys::member(id)),
                None => call.arg("").arg(""),
            };
            call.arg(shard.map(|shard| format!("{shard:02x}")).unwrap_or_default());
            let lists: Vec<Vec<Value>> = self.pool.run(Command::Script(call)).await?;
            let mut stopped = None;
            for list in lists {
                let mut list = list.into_iter();
                let last: (Option<String>, Option<String>) = (read(list.next())?, read(list.next())?);
                if let (Some(created_at), Some(member)) = last {
                    stopped = stopped.max(Some(cursor(&created_at, &member)?));
                }
                while let Some(created_at) = list.next() {
                    let (created_at, member) = (read::<String>(Some(created_at))?, read::<String>(list.next())?);
                    page.push(cursor(&created_at, &member)?);
                }
            }
            // Only a list that is searched for one shard stops early, and that is asked alone.
            before = stopped;
            if before.is_none() || page.len() >= limit {
                return Ok(page);
            }
        }
    }
}

fn cursor(created_at: &str, member: &str) -> Result<Cursor, StoreError> {
    Ok(Cursor { created_at: parse_time(created_at)?, id: keys::id(member).ok_or(UNKNOWN_SHAPE)? })
}
