//! [`QuietHours`]: when nobody is called who did not ask for a call, by the clocks where the number is.
//!
//! Where a number is, its first digits say: the area code where there is one, else the country. So it is about where
//! the number was handed out, and a mobile travels and a ported number moves; nothing here knows. A prefix may stand
//! for several zones. Then it is quiet when it is quiet in any of them, so that nobody among them is rung at night: two
//! zones an hour apart make nine quiet hours ten.
//!
//! That must not leave too little time for calls. So no list of zones spans more than three hours, and quiet hours
//! leave at least six: every number can be called every day. Numbers that may be anywhere in a wider country count as
//! being where most of its people are: Russian mobiles from Moscow to Yekaterinburg (one in Vladivostok may ring at
//! night), Australian ones from Sydney to Perth, American numbers of no area from New York to Los Angeles.
//!
//! Numbers of no country (`001`) and prefixes that are not known are never quiet: a call that never goes out is worse.
//!
//! It does not hold calls back; it says until when they should be.

mod zones;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::phone::PhoneNumber;
use crate::time::Timestamp;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// More than the widest list of zones spans, even while only some of its clocks are changed already.
const CALLABLE_MIN_MS: i64 = 6 * 60 * MINUTE_MS;

/// Hours of the day, over midnight or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// From midnight to where they begin.
    from_ms: i64,
    /// How long they are on a day of 24 hours.
    length_ms: i64,
}

impl QuietHours {
    /// Takes `22:00-07:00`: the first minute that is quiet, and the first that is not any more. Reads the table of zones
    /// too, so that no caller waits for it later.
    ///
    /// # Errors
    /// What is wrong with the text, as the end of a sentence that begins with the variable's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let times = text.split_once('-').and_then(|(from, to)| Some((time_of_day(from)?, time_of_day(to)?)));
        let (from_ms, to_ms) = times.ok_or("must be two times of day from 00:00 to 23:59, joined by a hyphen")?;
        let length_ms = (to_ms - from_ms).rem_euclid(DAY_MS);
        if length_ms == 0 {
            return Err("must begin and end at different times".into());
        }
        if length_ms > DAY_MS - CALLABLE_MIN_MS {
            return Err("must leave at least 6 hours of the day for calls".into());
        }
        zones::read();
        Ok(Self { from_ms, length_ms })
    }

    /// When the quiet hours that hold at the number's place at `now` end there; `None` when it is not quiet there.
    pub fn until(&self, to: &PhoneNumber, now: Timestamp) -> Option<Timestamp> {
        self.until_in(zones::of(to.digits()), now)
    }

    /// The first moment from `now` on that is quiet in none of the zones, unless that is `now`.
    fn until_in(self, zones: &[TimeZone], now: Timestamp) -> Option<Timestamp> {
        let now = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?;
        let mut at = now;
        // When it ends in one zone it may have begun in another. Each zone's night ends once.
        for _ in zones {
            at = zones.iter().map(|zone| self.end_in(zone, at)).max()?;
        }
        (at > now).then(|| Timestamp::from_millis(at.as_millisecond()))
    }

    /// The first moment from `at` on when the clocks of one zone show a time that is not quiet. Where they are changed
    /// in between it looks again: quiet hours end early when the clocks jump over their end.
    fn end_in(self, zone: &TimeZone, mut at: jiff::Timestamp) -> jiff::Timestamp {
        while let Some(left) = self.left(zone, at) {
            let Ok(end) = at.checked_add(left) else { break };
            at = zone.following(at).next().map_or(end, |change| end.min(change.timestamp()));
        }
        at
    }

    /// How long it is still quiet in one zone, if its clocks are not changed; `None` when it is not quiet.
    fn left(self, zone: &TimeZone, at: jiff::Timestamp) -> Option<SignedDuration> {
        let local_ms = at.as_millisecond() + i64::from(zone.to_offset(at).seconds()) * 1000;
        let quiet_for_ms = (local_ms - self.from_ms).rem_euclid(DAY_MS);
        (quiet_for_ms < self.length_ms).then(|| SignedDuration::from_millis(self.length_ms - quiet_for_ms))
    }
}

/// `HH:MM`, as milliseconds since midnight.
fn time_of_day(text: &str) -> Option<i64> {
    let two_digits = |text: &str| match text.as_bytes() {
        [b'0'..=b'9', b'0'..=b'9'] => text.parse::<i64>().ok(),
        _ => None,
    };
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    (hour < 24 && minute < 60).then_some((hour * 60 + minute) * MINUTE_MS)
}

#[cfg(test)]
mod tests;
