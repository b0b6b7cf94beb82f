//! [`QuietHours`]: the hours without automatic calls, on the clock at the number's place.
//!
//! The place is derived from the number's first digits: the area code where there is one, else the country. It is where
//! the number was assigned: a mobile that travels and a ported number are not tracked. A prefix may stand for several time
//! zones. It is then quiet while any of them is quiet: two zones an hour apart make nine quiet hours ten. A Russian mobile
//! may be in eleven zones, which leave five hours of the day for calls.
//!
//! Every number must stay callable every day. So quiet hours leave at least six hours, and if no moment of the next day is
//! free in all zones of a prefix, its first zone alone counts, where most of its people live.
//!
//! Numbers of no country (`001`) and unknown prefixes are never quiet: a call that is never made would be worse.
//!
//! This module does not defer calls; it only tells until when to defer them.

mod zones;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::phone::PhoneNumber;
use crate::time::Timestamp;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// The hours of every day that quiet hours leave in one zone.
const CALLABLE_MIN_MS: i64 = 6 * 60 * MINUTE_MS;

/// A range of hours, which may include midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// Milliseconds from midnight to the start.
    from_ms: i64,
    /// Their length on a day of 24 hours.
    length_ms: i64,
}

impl QuietHours {
    /// Parses `22:00-07:00`: the first quiet minute, then the first that is not.
    ///
    /// Also loads the zone table, so that no later caller waits for it.
    ///
    /// # Errors
    /// The fault in the text, worded to follow the variable's name.
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
        zones::load();
        Ok(Self { from_ms, length_ms })
    }

    /// The end of the quiet hours that hold at the number's place at `now`.
    ///
    /// `None` when it is not quiet there.
    pub fn until(&self, to: &PhoneNumber, now: Timestamp) -> Option<Timestamp> {
        self.until_in(zones::of(to.digits()), now)
    }

    /// The first moment after `now` that is quiet in no zone; `None` when `now` is such a moment.
    ///
    /// Where there is none within a day, the first zone alone decides.
    fn until_in(self, zones: &[TimeZone], now: Timestamp) -> Option<Timestamp> {
        let now = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?;
        let end = self.common_end(zones, now).or_else(|| Some(self.end_in(zones.first()?, now)))?;
        (end > now).then(|| Timestamp::from_millis(end.as_millisecond()))
    }

    /// The first moment from `now` on that is quiet in no zone; `None` when there is none within a day.
    fn common_end(self, zones: &[TimeZone], now: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let mut at = now;
        // Quiet hours that end in one zone may have begun in another.
        while let Some(end) = zones.iter().map(|zone| self.end_in(zone, at)).max().filter(|end| *end > at) {
            at = end;
            if at.as_millisecond() - now.as_millisecond() > DAY_MS {
                return None;
            }
        }
        Some(at)
    }

    /// The first moment from `at` on that is not quiet in one zone.
    ///
    /// Evaluated again at each clock change: quiet hours end early when the clocks skip over their end.
    fn end_in(self, zone: &TimeZone, mut at: jiff::Timestamp) -> jiff::Timestamp {
        while let Some(left) = self.left(zone, at) {
            let Ok(end) = at.checked_add(left) else { break };
            at = zone.following(at).next().map_or(end, |change| end.min(change.timestamp()));
        }
        at
    }

    /// The rest of the quiet hours in one zone, assuming no clock change; `None` when it is not quiet.
    fn left(self, zone: &TimeZone, at: jiff::Timestamp) -> Option<SignedDuration> {
        let local_ms = at.as_millisecond() + i64::from(zone.to_offset(at).seconds()) * 1000;
        let quiet_for_ms = (local_ms - self.from_ms).rem_euclid(DAY_MS);
        (quiet_for_ms < self.length_ms).then(|| SignedDuration::from_millis(self.length_ms - quiet_for_ms))
    }
}

/// Parses `HH:MM` into milliseconds since midnight.
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
