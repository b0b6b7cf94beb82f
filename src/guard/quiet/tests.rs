use std::time::Duration;

use jiff::tz::TimeZoneDatabase;
use proptest::prelude::*;

use super::*;

const NEW_YORK: &str = "+12125550123";
const LOS_ANGELES: &str = "+13235550123";
const HONOLULU: &str = "+18085550123";
const PHOENIX: &str = "+16025550123";
const TOLL_FREE: &str = "+18002345678";
const LONDON: &str = "+442079460000";
const BRITISH_MOBILE: &str = "+447400123456";
const INDIAN_MOBILE: &str = "+919876543210";
const SYDNEY: &str = "+61291234567";
const BRISBANE: &str = "+61732123456";
const ADELAIDE_OR_PERTH: &str = "+61882123456";
const AUSTRALIAN_MOBILE: &str = "+61412345678";
const RUSSIAN_MOBILE: &str = "+79123456789";
const INMARSAT: &str = "+870773111632";

const NIGHT: &str = "22:00-07:00";

#[test]
fn quiet_hours_need_two_different_times_and_leave_six_hours_for_calls() {
    for text in [NIGHT, "00:00-06:30", "20:00-00:00", "23:59-00:00", "12:00-06:00"] {
        assert!(QuietHours::parse(text).is_ok(), "{text}");
    }
    for text in ["", "-", "22:00", "22-7", "22:00-7:00", "22:00 - 07:00", "24:00-07:00", "22:60-07:00", "22:00–07:00"]
    {
        assert!(QuietHours::parse(text).unwrap_err().starts_with("must be two times of day"), "{text}");
    }
    for text in ["+1:00-07:00", "22:00-07:00-08:00", "22:00-07:00 ", "٢٢:00-07:00", "10:00:00-11:00:00"] {
        assert!(QuietHours::parse(text).is_err(), "{text}");
    }
    assert_eq!(QuietHours::parse("22:00-22:00").unwrap_err(), "must begin and end at different times");
    assert!(QuietHours::parse("12:00-06:01").unwrap_err().contains("at least 6 hours"));
}

#[test]
fn the_first_minute_is_quiet_and_the_end_minute_is_not() {
    assert_quiet(NIGHT, NEW_YORK, "2026-07-01T21:59:59-04:00", None);
    assert_quiet(NIGHT, NEW_YORK, "2026-07-01T22:00:00-04:00", Some("2026-07-02T07:00:00-04:00"));
    assert_quiet(NIGHT, NEW_YORK, "2026-07-02T00:00:00-04:00", Some("2026-07-02T07:00:00-04:00"));
    assert_quiet(NIGHT, NEW_YORK, "2026-07-02T06:59:59-04:00", Some("2026-07-02T07:00:00-04:00"));
    assert_quiet(NIGHT, NEW_YORK, "2026-07-02T07:00:00-04:00", None);
}

#[test]
fn quiet_hours_may_lie_within_a_day_or_end_at_midnight() {
    assert_quiet("13:00-15:00", NEW_YORK, "2026-07-01T12:59:59-04:00", None);
    assert_quiet("13:00-15:00", NEW_YORK, "2026-07-01T14:30:00-04:00", Some("2026-07-01T15:00:00-04:00"));
    assert_quiet("13:00-15:00", NEW_YORK, "2026-07-01T23:00:00-04:00", None);
    assert_quiet("20:00-00:00", NEW_YORK, "2026-07-01T23:30:00-04:00", Some("2026-07-02T00:00:00-04:00"));
    assert_quiet("20:00-00:00", NEW_YORK, "2026-07-02T00:00:00-04:00", None);
}

#[test]
fn a_number_is_quiet_by_the_clock_of_its_area_code() {
    // Midnight in New York.
    let (winter, summer) = ("2026-01-15T05:00:00Z", "2026-07-15T04:00:00Z");
    for (number, winter_end, summer_end) in [
        (NEW_YORK, Some("2026-01-15T07:00:00-05:00"), Some("2026-07-15T07:00:00-04:00")),
        (LOS_ANGELES, None, None),
        (HONOLULU, None, None),
        // Arizona has no summer time.
        (PHOENIX, Some("2026-01-15T07:00:00-07:00"), None),
    ] {
        assert_quiet(NIGHT, number, winter, winter_end);
        assert_quiet(NIGHT, number, summer, summer_end);
    }
    assert_quiet(NIGHT, LOS_ANGELES, "2026-07-15T06:00:00Z", Some("2026-07-15T07:00:00-07:00"));
    assert_quiet(NIGHT, PHOENIX, "2026-07-15T06:00:00Z", Some("2026-07-15T07:00:00-07:00"));
    assert_quiet(NIGHT, HONOLULU, "2026-07-15T08:00:00Z", Some("2026-07-15T07:00:00-10:00"));
}

#[test]
fn british_quiet_hours_move_by_an_hour_in_summer() {
    for number in [LONDON, BRITISH_MOBILE] {
        assert_quiet(NIGHT, number, "2026-07-01T21:00:00Z", Some("2026-07-02T06:00:00Z"));
        assert_quiet(NIGHT, number, "2026-07-02T06:30:00Z", None);
        assert_quiet(NIGHT, number, "2026-01-01T21:00:00Z", None);
        assert_quiet(NIGHT, number, "2026-01-02T06:30:00Z", Some("2026-01-02T07:00:00Z"));
    }
}

#[test]
fn india_is_half_an_hour_off_the_full_hour() {
    assert_quiet(NIGHT, INDIAN_MOBILE, "2026-07-01T16:29:00Z", None);
    assert_quiet(NIGHT, INDIAN_MOBILE, "2026-07-01T16:30:00Z", Some("2026-07-02T01:30:00Z"));
}

#[test]
fn australian_states_differ_and_have_summer_time_in_january() {
    assert_quiet(NIGHT, SYDNEY, "2026-01-15T22:30:00+11:00", Some("2026-01-16T07:00:00+11:00"));
    assert_quiet(NIGHT, BRISBANE, "2026-01-15T22:30:00+11:00", None);
    assert_quiet(NIGHT, BRISBANE, "2026-01-16T06:30:00+10:00", Some("2026-01-16T07:00:00+10:00"));
    assert_quiet(NIGHT, SYDNEY, "2026-07-15T22:30:00+10:00", Some("2026-07-16T07:00:00+10:00"));
    assert_quiet(NIGHT, ADELAIDE_OR_PERTH, "2026-07-15T22:00:00+09:30", Some("2026-07-16T07:00:00+08:00"));
}

#[test]
fn a_number_of_several_zones_is_quiet_from_the_first_start_to_the_last_end() {
    for (number, before, begins, ends) in [
        // From Sydney to the Cocos Islands.
        (AUSTRALIAN_MOBILE, "2026-01-15T21:59:00+11:00", "2026-01-15T22:00:00+11:00", "2026-01-16T07:00:00+06:30"),
        (TOLL_FREE, "2026-01-15T21:59:00-05:00", "2026-01-15T22:00:00-05:00", "2026-01-16T07:00:00-08:00"),
        // From Kamchatka to Kaliningrad.
        (RUSSIAN_MOBILE, "2026-01-15T21:59:00+12:00", "2026-01-15T22:00:00+12:00", "2026-01-16T07:00:00+02:00"),
    ] {
        assert_quiet(NIGHT, number, before, None);
        assert_quiet(NIGHT, number, begins, Some(ends));
    }
    // The quiet hours end in Adelaide before, or after, they have begun in Eucla and in Perth.
    assert_quiet("13:00-13:30", ADELAIDE_OR_PERTH, "2026-07-15T13:15:00+09:30", Some("2026-07-15T13:30:00+09:30"));
    assert_quiet("13:00-15:00", ADELAIDE_OR_PERTH, "2026-07-15T13:30:00+09:30", Some("2026-07-15T15:00:00+08:00"));
}

#[test]
fn numbers_are_not_called_at_night_where_the_source_had_the_wrong_zone() {
    for (number, night, until) in [
        // Juba, two hours ahead of UTC since 2021
        ("+211977123456", "2026-07-15T06:59:00+02:00", "2026-07-15T07:00:00+02:00"),
        // Recife, whose area is Fernando de Noronha's too
        ("+5581991234567", "2026-07-15T06:59:00-03:00", "2026-07-15T07:00:00-03:00"),
        ("+5581991234567", "2026-07-15T22:00:00-02:00", "2026-07-16T07:00:00-03:00"),
        // Without summer time: Kaliningrad, Tripoli, Algiers, Managua
        ("+74012123456", "2026-07-15T06:59:00+02:00", "2026-07-15T07:00:00+02:00"),
        ("+218912345678", "2026-07-15T06:59:00+02:00", "2026-07-15T07:00:00+02:00"),
        ("+213551234567", "2026-07-15T06:59:00+01:00", "2026-07-15T07:00:00+01:00"),
        ("+50581234567", "2026-07-15T06:59:00-06:00", "2026-07-15T07:00:00-06:00"),
        // Saratov, and the overlays of Newfoundland and of western Kentucky
        ("+78452123456", "2026-07-15T22:00:00+04:00", "2026-07-16T07:00:00+04:00"),
        ("+18795550123", "2026-07-15T22:00:00-02:30", "2026-07-16T07:00:00-03:00"),
        ("+13645550123", "2026-07-15T06:59:00-05:00", "2026-07-15T07:00:00-05:00"),
        // A mobile does not tell Madrid from the Canary Islands.
        ("+34612345678", "2026-07-15T06:59:00+01:00", "2026-07-15T07:00:00+01:00"),
    ] {
        assert_quiet(NIGHT, number, night, Some(until));
    }
}

#[test]
fn a_number_whose_zones_leave_no_free_hour_is_called_by_the_clock_of_most_people() {
    let long = "20:00-12:00";
    assert_quiet(long, RUSSIAN_MOBILE, "2026-01-15T11:59:00+03:00", Some("2026-01-15T12:00:00+03:00"));
    assert_quiet(long, RUSSIAN_MOBILE, "2026-01-15T12:00:00+03:00", None);
}

#[test]
fn a_night_with_a_clock_change_is_an_hour_shorter_or_longer() {
    assert_quiet(NIGHT, NEW_YORK, "2026-03-07T22:00:00-05:00", Some("2026-03-08T07:00:00-04:00"));
    assert_quiet(NIGHT, NEW_YORK, "2026-10-31T22:00:00-04:00", Some("2026-11-01T07:00:00-05:00"));
    assert_quiet(NIGHT, LONDON, "2026-03-28T22:00:00Z", Some("2026-03-29T06:00:00Z"));
    assert_quiet(NIGHT, SYDNEY, "2026-04-04T22:00:00+11:00", Some("2026-04-05T07:00:00+10:00"));
}

#[test]
fn quiet_hours_that_start_or_end_in_a_skipped_or_repeated_hour_follow_the_clock() {
    // 02:00 becomes 03:00: an end in the skipped hour comes at once, and hours within it do not occur.
    assert_quiet("01:00-02:30", NEW_YORK, "2026-03-08T01:30:00-05:00", Some("2026-03-08T03:00:00-04:00"));
    assert_quiet("02:10-02:50", NEW_YORK, "2026-03-08T03:00:00-04:00", None);
    assert_quiet("02:30-04:00", NEW_YORK, "2026-03-08T03:00:00-04:00", Some("2026-03-08T04:00:00-04:00"));
    // 02:00 becomes 01:00: the repeated hour is quiet both times.
    assert_quiet("00:00-01:30", NEW_YORK, "2026-11-01T00:30:00-04:00", Some("2026-11-01T01:30:00-04:00"));
    assert_quiet("00:00-01:30", NEW_YORK, "2026-11-01T01:45:00-04:00", None);
    assert_quiet("00:00-01:30", NEW_YORK, "2026-11-01T01:10:00-05:00", Some("2026-11-01T01:30:00-05:00"));
    assert_quiet("01:30-02:30", NEW_YORK, "2026-11-01T01:45:00-04:00", Some("2026-11-01T01:00:00-05:00"));
}

#[test]
fn numbers_of_no_country_and_unknown_prefixes_are_never_quiet() {
    assert_eq!(PhoneNumber::parse(INMARSAT).unwrap().country().as_str(), "001");
    for hour in 0..24 {
        assert_quiet(NIGHT, INMARSAT, &format!("2026-07-15T{hour:02}:00:00Z"), None);
    }
    for digits in ["", "0", "999123456", "21", "8881234567"] {
        assert!(zones::of(digits).is_empty(), "{digits}");
    }
}

#[test]
fn a_time_outside_the_calendar_is_never_quiet() {
    let night = QuietHours::parse(NIGHT).unwrap();
    let number = PhoneNumber::parse(NEW_YORK).unwrap();
    for now in [i64::MIN, i64::MAX] {
        assert_eq!(night.until(&number, Timestamp::from_millis(now)), None);
    }
    // The last moment of the calendar, during a night.
    let last = Timestamp::from_millis(jiff::Timestamp::MAX.as_millisecond());
    assert_eq!(QuietHours::parse("12:00-06:00").unwrap().until(&number, last), None);
}

#[test]
fn every_calling_code_has_a_time_zone() {
    let none: Vec<String> = rlibphonenumber::PHONE_NUMBER_UTIL
        .get_supported_regions()
        .filter_map(|region| rlibphonenumber::PHONE_NUMBER_UTIL.get_country_code_for_region(region))
        .map(|code| code.to_string())
        .filter(|code| zones::of(code).is_empty())
        .collect();
    assert_eq!(none, Vec::<String>::new());
}

#[test]
fn every_zone_in_the_table_exists_and_every_prefix_is_listed_once() {
    let known = TimeZoneDatabase::bundled();
    let mut prefixes = Vec::new();
    for line in lines() {
        let (names, these) = line.split_once(": ").unwrap();
        for name in names.split(',') {
            assert!(known.get(name).is_ok(), "{name}");
        }
        prefixes.extend(these.split(' '));
    }
    let unique = std::collections::BTreeSet::from_iter(&prefixes);
    assert_eq!(unique.len(), prefixes.len());
    assert!(prefixes.len() > 1000 && prefixes.iter().all(|prefix| prefix.bytes().all(|b| b.is_ascii_digit())));
}

proptest! {
    #[test]
    fn every_moment_until_the_end_is_quiet_and_the_end_comes_within_a_day(
        line in 0..lines().count(),
        now in 1_767_225_600_000..2_082_758_400_000_i64,
        from in 0..24 * 60_i64,
        length in 1..=18 * 60_i64,
    ) {
        let hours = QuietHours { from_ms: from * MINUTE_MS, length_ms: length * MINUTE_MS };
        let zones = zones::of(lines().nth(line).unwrap().split(' ').nth(1).unwrap());
        let now = Timestamp::from_millis(now);
        let jiff = |at: Timestamp| jiff::Timestamp::from_millisecond(at.as_millis()).unwrap();
        let zones = if hours.common_end(zones, jiff(now)).is_some() { zones } else { &zones[..1] };
        let is_quiet = |at: Timestamp| {
            let at = jiff(at);
            zones.iter().any(|zone| hours.left(zone, at).is_some())
        };
        match hours.until_in(zones, now) {
            None => prop_assert!(!is_quiet(now)),
            Some(end) => {
                prop_assert!(end > now && !is_quiet(end) && hours.until_in(zones, end).is_none());
                prop_assert!(end.since(now) <= Duration::from_hours(24));
                let mut at = now;
                while at < end {
                    prop_assert!(is_quiet(at), "{at} is not quiet");
                    at = at + Duration::from_mins(7);
                }
                prop_assert!(is_quiet(end - Duration::from_millis(1)));
            }
        }
    }
}

fn lines() -> impl Iterator<Item = &'static str> {
    include_str!("zones.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

#[track_caller]
fn assert_quiet(hours: &str, number: &str, now: &str, until: Option<&str>) {
    let at = |text: &str| Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    let number = PhoneNumber::parse(number).unwrap();
    let found = QuietHours::parse(hours).unwrap().until(&number, at(now));
    assert_eq!(found.map(|at| at.to_string()), until.map(|text| at(text).to_string()), "{hours} {number:?} {now}");
}
