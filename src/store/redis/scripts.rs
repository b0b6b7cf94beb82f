//! The scripts with what goes in and what comes out. What they do stands in them.

use std::sync::LazyLock;
use std::time::Duration;

use deadpool_redis::redis::{Script, Value, from_redis_value};

use super::keys;
use super::pool::Ask;
use crate::store::{
    AttemptRef, Claimed, Commit, Count, Cursor, Erasure, NONCE_TTL, Nonce, NumberKey, PARKED_MAX, PARKED_TTL,
    StoreError, Taken, nobody,
};
use crate::time::Timestamp;
use crate::verification::VerificationId;

static COMMIT: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("record.lua"), include_str!("commit.lua"))));
static CLAIM: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("record.lua"), include_str!("claim.lua"))));
static ERASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("erase.lua")));
static LIST: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("record.lua"), include_str!("list.lua"))));
static LINK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("link.lua")));
static UNLINK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("unlink.lua")));
static MEMO: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("memo.lua")));
static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take.lua")));
static ONCE: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("once.lua"), include_str!("park.lua"))));
static PARK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("park.lua")));

pub(super) fn commit(commit: &Commit) -> Ask<'static> {
    let mut script = COMMIT.prepare_invoke();
    script
        .key(keys::record(commit.id))
        .key(keys::newest(commit.id.shard(), commit.number))
        .key(keys::due(commit.id.shard()))
        .key(keys::list(commit.id.shard(), &commit.app))
        .arg(&commit.expected.to_be_bytes()[..])
        .arg(&(commit.expected + 1).to_be_bytes()[..])
        .arg(&commit.sealed[..])
        .arg(millis(commit.keep))
        .arg(keys::member(commit.id))
        .arg(commit.previous.map(keys::member).unwrap_or_default())
        .arg(commit.created_at.as_millis())
        .arg(commit.due.map(|due| due.as_millis().to_string()).unwrap_or_default())
        .arg(&commit.guesses[..])
        .arg(millis(if commit.guesses.is_empty() { commit.keep } else { commit.keep.max(commit.keep_guesses) }))
        .arg(u8::from(commit.may_lack));
    Ask::Script(script)
}

pub(super) fn erase(erasure: &Erasure) -> Ask<'static> {
    let Erasure { id, app, numbers, expected, guesses, keep } = erasure;
    let mut script = ERASE.prepare_invoke();
    script.key(keys::record(*id)).key(keys::due(id.shard())).key(keys::list(id.shard(), app));
    for number in numbers {
        script.key(keys::newest(id.shard(), *number));
    }
    let instead = [keys::member(nobody(*id)).as_bytes(), guesses].concat();
    script.arg(&expected.to_be_bytes()[..]).arg(keys::member(*id)).arg(instead).arg(millis(*keep));
    Ask::Script(script)
}

pub(super) fn claim(shards: &[u8], now: Timestamp, lease: Duration, limit: usize) -> Ask<'static> {
    let mut script = CLAIM.prepare_invoke();
    for shard in shards {
        script.key(keys::due(*shard));
    }
    script.arg(now.as_millis()).arg((now + lease).as_millis()).arg(limit);
    Ask::Script(script)
}

/// What [`claim`] answers.
pub(super) fn claimed(shards: &[u8], answer: Vec<Value>) -> Result<Claimed, StoreError> {
    let mut answer = answer.into_iter();
    let next: Option<String> = read(answer.next())?;
    let next = next.map(|at| parse_time(&at)).transpose()?;
    let mut ids = Vec::with_capacity(answer.len() / 2);
    while let Some(index) = answer.next() {
        let (index, member) = (read::<usize>(Some(index))?, read::<String>(answer.next())?);
        ids.push(shards.get(index).and_then(|shard| keys::id(*shard, &member)).ok_or(super::MISSPELT)?);
    }
    Ok(Claimed { ids, next })
}

pub(super) fn list(shards: &[u8], app: &str, before: Option<Cursor>, limit: usize) -> Ask<'static> {
    let mut script = LIST.prepare_invoke();
    for shard in shards {
        script.key(keys::list(*shard, app));
    }
    script.arg(limit);
    match before {
        Some(Cursor { created_at, id }) => {
            script.arg(created_at.as_millis()).arg(id.shard()).arg(keys::member(id));
        }
        None => {
            script.arg("").arg("").arg("");
        }
    }
    Ask::Script(script)
}

/// What [`list`] answers: what it found, and where it stopped before it knew whether there is more.
pub(super) fn listed(
    shards: &[u8],
    (found, stopped): (Vec<Value>, Vec<Value>),
) -> Result<(Vec<Cursor>, Option<Cursor>), StoreError> {
    Ok((cursors(shards, found)?, cursors(shards, stopped)?.pop()))
}

fn cursors(shards: &[u8], answer: Vec<Value>) -> Result<Vec<Cursor>, StoreError> {
    let mut answer = answer.into_iter();
    let mut cursors = Vec::with_capacity(answer.len() / 3);
    while let Some(at) = answer.next() {
        let created_at = parse_time(&read::<String>(Some(at))?)?;
        let (index, member) = (read::<usize>(answer.next())?, read::<String>(answer.next())?);
        let id = shards.get(index).and_then(|shard| keys::id(*shard, &member)).ok_or(super::MISSPELT)?;
        cursors.push(Cursor { created_at, id });
    }
    Ok(cursors)
}

pub(super) fn link(provider_id: &str, to: AttemptRef, keep: Duration) -> Ask<'static> {
    let mut script = LINK.prepare_invoke();
    script.key(keys::link(provider_id)).key(keys::parked(provider_id)).arg(keys::attempt(to)).arg(millis(keep));
    Ask::Script(script)
}

pub(super) fn unlink(provider_id: &str, of: VerificationId) -> Ask<'static> {
    let mut script = UNLINK.prepare_invoke();
    script.key(keys::link(provider_id)).key(keys::parked(provider_id)).arg(of.to_string());
    Ask::Script(script)
}

pub(super) fn find_or_park(provider_id: &str, report: &[u8]) -> Ask<'static> {
    let mut script = PARK.prepare_invoke();
    script.key(keys::link(provider_id)).key(keys::parked(provider_id));
    script.arg(report).arg(millis(PARKED_TTL)).arg(PARKED_MAX);
    Ask::Script(script)
}

pub(super) fn find_or_park_once(nonce: &Nonce, provider_id: &str, report: &[u8]) -> Ask<'static> {
    let mut script = ONCE.prepare_invoke();
    script.key(keys::link(provider_id)).key(keys::parked(provider_id)).key(keys::memo(&nonce.name));
    script.arg(report).arg(millis(PARKED_TTL)).arg(PARKED_MAX).arg(&nonce.told[..]).arg(millis(NONCE_TTL));
    Ask::Script(script)
}

pub(super) fn swap_memo(name: &str, before: Option<&[u8]>, after: &[u8], keep: Duration) -> Ask<'static> {
    let mut script = MEMO.prepare_invoke();
    script.key(keys::memo(name)).arg(before.unwrap_or_default()).arg(after).arg(millis(keep));
    Ask::Script(script)
}

pub(super) fn take(counts: &[Count], unless: Option<NumberKey>, now: Timestamp) -> Ask<'static> {
    let mut script = TAKE.prepare_invoke();
    script.arg(u8::from(unless.is_some()));
    if let Some(number) = unless {
        script.key(keys::newest(number.shard(), number));
    }
    for Count { name, amount, limits, is_free } in counts {
        let longest = limits.0.iter().map(|limit| limit.window).max().unwrap_or_default();
        // As long as the oldest step may count, and a step more.
        let keep = longest + longest / 10;
        script.key(keys::count(name)).arg(*amount).arg(u8::from(*is_free)).arg(millis(keep)).arg(limits.0.len());
        for limit in &limits.0 {
            script.arg(limit.max).arg(limit.window.as_secs()).arg(limit.first_step(now)).arg(limit.step(now));
        }
    }
    Ask::Script(script)
}

/// What [`take`] answers.
pub(super) fn taken(
    counts: &[Count],
    unless: Option<NumberKey>,
    now: Timestamp,
    answer: Vec<Value>,
) -> Result<Taken, StoreError> {
    let mut answer = answer.into_iter();
    let Some(what) = answer.next() else { return Ok(Taken::All) };
    if read::<String>(Some(what))? == "found" {
        let shard = unless.map(NumberKey::shard).ok_or(super::MISSPELT)?;
        let value: Vec<u8> = read(answer.next())?;
        return keys::parse_newest(shard, &value).map(|(id, _)| Taken::Found(id)).ok_or(super::MISSPELT);
    }
    let which: usize = read(answer.next())?;
    let count = counts.get(which).ok_or(super::MISSPELT)?;
    let mut held: Vec<(u64, u64, i64)> = Vec::new();
    while let Some(field) = answer.next() {
        let (field, amount) = (read::<String>(Some(field))?, read(answer.next())?);
        let (window, step) = field.split_once(':').ok_or(super::MISSPELT)?;
        let number = |text: &str| text.parse().map_err(|_| super::MISSPELT);
        held.push((number(window)?, number(step)?, amount));
    }
    held.sort_unstable();
    let wait = count
        .wait(now, |window| held.iter().filter(move |(w, ..)| *w == window).map(|(_, step, amount)| (*step, *amount)));
    Ok(Taken::Full { which, wait: wait.unwrap_or(Duration::from_secs(1)) })
}

fn read<T: deadpool_redis::redis::FromRedisValue>(value: Option<Value>) -> Result<T, StoreError> {
    from_redis_value(value.ok_or(super::MISSPELT)?).map_err(|_| super::MISSPELT)
}

/// A score: a double that holds whole milliseconds.
fn parse_time(score: &str) -> Result<Timestamp, StoreError> {
    score.parse().map(Timestamp::from_millis).map_err(|_| super::MISSPELT)
}

/// At least one: Redis takes no shorter life.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 52)
}
