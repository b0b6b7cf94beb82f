//! Lists of what was sent, newest first, by `limit` and `offset`.
//!
//! SDKs do not count for themselves: they follow `meta.next` until it is null. Filters that are not named
//! here do not narrow a list. Source: plivo-python `base.py` (`_next_page_params`), fixtures
//! `messageListResponse.json` and `liveCallListGetResponse.json`.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::request::Request;
use crate::sandbox::number;

/// The most that one page holds, and what it holds unless asked. Source: plivo-python `resources/messages.py`.
const LIMIT: usize = 20;

/// A page of the records that have what the filters ask for.
pub(super) fn page(request: &Request, filters: &[&str], records: impl Iterator<Item = Value>) -> Answer {
    let (limit, offset) = match window(request) {
        Ok(window) => window,
        Err(refusal) => return refusal,
    };
    let found: Vec<Value> =
        records.filter(|record| filters.iter().all(|name| holds(request, name, &record[*name]))).collect();
    let beside = |offset: usize| format!("{}?{}", request.path, query(request, limit, offset));
    let next = (offset + limit < found.len()).then(|| beside(offset + limit));
    let previous = (offset > 0).then(|| beside(offset.saturating_sub(limit)));
    let total = found.len();
    let objects: Vec<Value> = found.into_iter().skip(offset).take(limit).collect();
    let meta = json!({ "limit": limit, "offset": offset, "total_count": total, "next": next, "previous": previous });
    Answer::new(200, json!({ "meta": meta, "objects": objects }))
}

/// The ids of live calls, which are listed without more.
pub(super) fn ids(request: &Request, calls: impl Iterator<Item = Value>) -> Answer {
    let (limit, offset) = match window(request) {
        Ok(window) => window,
        Err(refusal) => return refusal,
    };
    let asked = |call: &Value| holds(request, "from_number", &call["from"]) && holds(request, "to_number", &call["to"]);
    let found = calls.filter(asked).skip(offset).take(limit);
    let ids: Vec<Value> = found.map(|call| call["call_uuid"].clone()).collect();
    Answer::new(200, json!({ "calls": ids }))
}

/// Limit and offset.
fn window(request: &Request) -> Result<(usize, usize), Answer> {
    let given = |name: &str, default: usize| match request.text(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| Answer::error(400, &format!("{name} must be a number"))),
    };
    let (limit, offset) = (given("limit", LIMIT)?, given("offset", 0)?);
    if (1..=LIMIT).contains(&limit) && offset <= 1_000_000 {
        Ok((limit, offset))
    } else {
        Err(Answer::error(400, "limit must be 1 to 20, offset at most 1000000"))
    }
}

fn holds(request: &Request, filter: &str, value: &Value) -> bool {
    let Some(wanted) = request.text(filter) else { return true };
    let wanted = if filter.ends_with("_number") { number(&wanted) } else { wanted };
    value.as_str() == Some(&wanted)
}

/// The query of the page beside this one.
fn query(request: &Request, limit: usize, offset: usize) -> String {
    let mut params: Map<String, Value> = request.params.clone();
    params.insert("limit".to_owned(), Value::from(limit.to_string()));
    params.insert("offset".to_owned(), Value::from(offset.to_string()));
    let params = params.iter().filter_map(|(key, value)| Some((key, value.as_str()?)));
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}
