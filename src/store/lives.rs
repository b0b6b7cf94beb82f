//! [`LIVES`]: how long each kind of key lives in Redis, and why no shorter.
//!
//! `docs/deploy.md` quotes the table. A test of the real service compares the keys that are left after a verification.

use std::time::Duration;

use super::links::{NONCE_TTL, PENDING_TTL};

/// One kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLife {
    /// The key, without the prefix `phlo2fa:`. A `*` stands for what differs.
    pub key: &'static str,
    /// What it holds.
    pub holds: &'static str,
    /// How long it lives, in words.
    pub lives: &'static str,
    /// The longest life.
    pub at_most: AtMost,
}

/// The longest life of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtMost {
    /// As long as the record of a verification: it is gone with it.
    Record,
    /// `RETENTION`, and this long.
    Retention(Duration),
    /// This long, whatever `RETENTION` is.
    Fixed(Duration),
}

/// The longest life of a code.
const TEN_MINUTES: Duration = Duration::from_secs(600);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Every kind of key. Where two fit a key, the first is meant.
pub const LIVES: &[KeyLife] = &[
    fixed("{probe}:value", "the probe of `/readyz`", "10 s", Duration::from_secs(10)),
    fixed("{trip:*}:value", "that an app was told of a limit", "a minute", MINUTE),
    fixed("{*}:parked", "reports that came before the link of their text or call", "10 minutes", PENDING_TTL),
    fixed("{n:*}:value", "the nonce of a callback to a fixed URL", "10 minutes: Plivo's retries end sooner", NONCE_TTL),
    fixed("{pace:*}:value", "the requests to Plivo of the last window", "10 minutes after the last one", TEN_MINUTES),
    fixed("*due", "due times", "an hour after the last new one", HOUR),
    fixed("*mark:*", "with replicas: what a server has received", "an hour after the last commit", HOUR),
    fixed("*from:*", "with replicas: the proof that a promoted server lacks nothing", "an hour", HOUR),
    KeyLife {
        key: "{*}:v:*",
        holds: "a verification, sealed; the alias of a session",
        lives: "`RETENTION` after its end, and until its webhooks are taken or given up",
        at_most: AtMost::Record,
    },
    KeyLife {
        key: "{*}:link",
        holds: "the attempt of an id of Plivo's",
        lives: "`RETENTION` and 10 minutes: reports may be late",
        at_most: AtMost::Retention(TEN_MINUTES),
    },
    KeyLife {
        key: "{l*}:app:*",
        holds: "a list of an app",
        lives: "`RETENTION` and 10 minutes after the last creation",
        at_most: AtMost::Retention(TEN_MINUTES),
    },
    KeyLife {
        key: "{*}:n:*",
        holds: "the newest verifications of a number, and its wrong codes",
        lives: "as its newest verification; after a wrong code the longest window of `LIMIT_GUESSES`",
        at_most: AtMost::Retention(DAY),
    },
    fixed("{i:*}:value", "the answer to an `Idempotency-Key`", "a day, in which it may be repeated", DAY),
    fixed("{*}:count", "a counter of a limit", "the limit's longest window, and a tenth more", LONGEST_COUNTER),
    fixed("{w:*}:dead", "the list of webhooks that were given up", "7 days after the last one", WEEK),
    fixed("{*}:value", "what was learned of a route, a prefix or a price", "30 days after the last lesson", MONTH),
    fixed(
        "{*}:ok:*",
        "that a number was verified in an app",
        "90 days, in which it passes its prefix's limits",
        QUARTER,
    ),
];

const WEEK: Duration = Duration::from_secs(7 * DAY.as_secs());
const MONTH: Duration = Duration::from_secs(30 * DAY.as_secs());
const QUARTER: Duration = Duration::from_secs(90 * DAY.as_secs());
/// A limit's window is at most 31 days.
const LONGEST_COUNTER: Duration = Duration::from_secs(31 * DAY.as_secs() * 11 / 10);

const fn fixed(key: &'static str, holds: &'static str, lives: &'static str, at_most: Duration) -> KeyLife {
    KeyLife { key, holds, lives, at_most: AtMost::Fixed(at_most) }
}

impl KeyLife {
    /// The kind of a key, if the table names it. The first that fits is meant.
    pub fn of(key: &str) -> Option<&'static Self> {
        let name = key.strip_prefix("phlo2fa:")?;
        LIVES.iter().find(|life| fits(life.key, name))
    }

    /// The table in Markdown.
    pub fn table() -> String {
        let rows = LIVES.iter().map(|life| format!("| `phlo2fa:{}` | {} | {} |\n", life.key, life.holds, life.lives));
        format!("| key | holds | lives |\n|---|---|---|\n{}", rows.collect::<String>())
    }
}

/// Whether a name has a pattern's parts in order, the first at its start and the last at its end.
fn fits(pattern: &str, name: &str) -> bool {
    let (first, rest) = pattern.split_once('*').unwrap_or((pattern, ""));
    let Some(mut left) = name.strip_prefix(first) else { return false };
    if !pattern.contains('*') {
        return left.is_empty();
    }
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        match (parts.peek(), left.find(part)) {
            (None, _) => return left.ends_with(part),
            (Some(_), Some(at)) => left = &left[at + part.len()..],
            (Some(_), None) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_of_the_kind_that_names_it() {
        for (key, kind) in [
            ("phlo2fa:{0a}:v:00", "{*}:v:*"),
            ("phlo2fa:{0a}:n:00", "{*}:n:*"),
            ("phlo2fa:{0a}:due", "*due"),
            ("phlo2fa:due", "*due"),
            ("phlo2fa:{n:0123}:value", "{n:*}:value"),
            ("phlo2fa:{c:US}:value", "{*}:value"),
            ("phlo2fa:{number:0}:count", "{*}:count"),
            ("phlo2fa:from:0:1", "*from:*"),
        ] {
            assert_eq!(KeyLife::of(key).map(|life| life.key), Some(kind), "{key}");
        }
        for unknown in ["phlo2fa:{0a}:x:00", "other", "phlo2fa:{0a}:linked"] {
            assert_eq!(KeyLife::of(unknown), None, "{unknown}");
        }
    }
}
