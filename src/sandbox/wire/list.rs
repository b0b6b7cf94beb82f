//! Lists of texts and calls, newest first, by `limit` and `offset`.
//!
//! SDKs follow `meta.next` until it is null. Other filters than those implemented here are ignored.
//! Source: plivo-python `base.py` (`_next_page_params`), fixtures `messageListResponse.json` and
//! `liveCallListGetResponse.json`.

use serde_json::{Map, Value, json};

use super::answer::ApiAnswer;
use super::request::ApiRequest;
use crate::sandbox::api::normalize_number;

/// The largest page, and the default. Source: plivo-python `resources/messages.py`.
const LIMIT_MAX: usize = 20;

/// A page of the records that match the request's filters.
pub(super) fn page(request: &ApiRequest, filters: &[&str], records: impl Iterator<Item = Value>) -> ApiAnswer {
    let (limit, offset) = match limit_and_offset(request) {
        Ok(values) => values,
        Err(refusal) => return refusal,
    };
    let found: Vec<Value> =
        records.filter(|record| filters.iter().all(|name| matches(request, name, &record[*name]))).collect();
    let page_at = |offset: usize| format!("{}?{}", request.path, page_query(request, limit, offset));
    let next = (offset + limit < found.len()).then(|| page_at(offset + limit));
    let previous = (offset > 0).then(|| page_at(offset.saturating_sub(limit)));
    let total = found.len();
    let objects: Vec<Value> = found.into_iter().skip(offset).take(limit).collect();
    let meta = json!({ "limit": limit, "offset": offset, "total_count": total, "next": next, "previous": previous });
    ApiAnswer::new(200, json!({ "meta": meta, "objects": objects }))
}

/// A page of ids alone, which is all that a list of live calls has.
pub(super) fn ids(request: &ApiRequest, calls: impl Iterator<Item = Value>) -> ApiAnswer {
    let (limit, offset) = match limit_and_offset(request) {
        Ok(values) => values,
        Err(refusal) => return refusal,
    };
    let is_wanted =
        |call: &Value| matches(request, "from_number", &call["from"]) && matches(request, "to_number", &call["to"]);
    let found = calls.filter(is_wanted).skip(offset).take(limit);
    let ids: Vec<Value> = found.map(|call| call["call_uuid"].clone()).collect();
    ApiAnswer::new(200, json!({ "calls": ids }))
}

fn limit_and_offset(request: &ApiRequest) -> Result<(usize, usize), ApiAnswer> {
    let given = |name: &str, default: usize| match request.text(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| ApiAnswer::error(400, &format!("{name} must be a number"))),
    };
    let (limit, offset) = (given("limit", LIMIT_MAX)?, given("offset", 0)?);
    if (1..=LIMIT_MAX).contains(&limit) && offset <= 1_000_000 {
        Ok((limit, offset))
    } else {
        Err(ApiAnswer::error(400, "limit must be 1 to 20, offset at most 1000000"))
    }
}

fn matches(request: &ApiRequest, filter: &str, value: &Value) -> bool {
    let Some(wanted) = request.text(filter) else { return true };
    let wanted = if filter.ends_with("_number") { normalize_number(&wanted) } else { wanted };
    value.as_str() == Some(&wanted)
}

/// The request's query with another page.
fn page_query(request: &ApiRequest, limit: usize, offset: usize) -> String {
    let mut params: Map<String, Value> = request.params.clone();
    params.insert("limit".to_owned(), Value::from(limit.to_string()));
    params.insert("offset".to_owned(), Value::from(offset.to_string()));
    let params = params.iter().filter_map(|(key, value)| Some((key, value.as_str()?)));
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}
