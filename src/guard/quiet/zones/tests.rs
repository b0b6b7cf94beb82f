//! The table against IANA's `zone.tab`, by offsets from UTC over 2026 and 2027.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType, Region};

use super::*;

const ZONE_TAB: &str = include_str!("../../../../tests/data/zone.tab");
const AREAS: &str = include_str!("../../../../tests/data/areas.txt");

/// Mobile numbers of Brazil have the area code of their place.
const BRAZIL: &str = "BR";

#[test]
fn every_country_has_its_zones_of_iana() {
    let mut wrong = Vec::new();
    for (country, zones) in zones_by_country() {
        let Some(region) = region(country) else { continue };
        for kind in [PhoneNumberType::Mobile, PhoneNumberType::FixedLine] {
            let Ok(example) = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, kind) else { continue };
            let number = example.format_as(PhoneNumberFormat::E164);
            let listed: BTreeSet<_> = of(&number[1..]).iter().map(offsets).collect();
            // A mobile may be anywhere in its country; other numbers tell their area.
            let is_mobile = PHONE_NUMBER_UTIL.get_number_type(&example) == PhoneNumberType::Mobile;
            let is_right = |zone: &&str| listed.contains(&offsets_of(zone));
            let is_anywhere = is_mobile && country != BRAZIL;
            let good = if is_anywhere { zones.iter().all(is_right) } else { zones.iter().any(is_right) };
            if !good {
                wrong.push(format!("{country} {number}: {zones:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_area_has_its_zone_of_iana() {
    let known: BTreeSet<&str> = zones_by_country().into_values().flatten().collect();
    let mut wrong = Vec::new();
    for (prefix, zone, place) in areas() {
        assert!(known.contains(zone), "{zone} is not in zone.tab");
        // The area's own list, and those of longer prefixes unless they have lines of their own.
        let within = TABLE.prefixes.keys().copied().filter(|longer| longer.starts_with(prefix));
        let within = within.filter(|longer| areas().all(|(own, ..)| own == prefix || !longer.starts_with(own)));
        for one in within.chain([prefix]) {
            if !of(one).iter().any(|listed| offsets(listed) == offsets_of(zone)) {
                wrong.push(format!("{one} ({place}) lacks {zone}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_area_of_a_country_with_several_zones_is_compared() {
    let mut calling_codes = BTreeMap::<String, BTreeSet<Offsets>>::new();
    for (country, zones) in zones_by_country() {
        let offsets: BTreeSet<_> = zones.into_iter().map(offsets_of).collect();
        if let Some(region) = region(country).filter(|_| offsets.len() > 1) {
            let code = PHONE_NUMBER_UTIL.get_country_code_for_region(region).unwrap();
            calling_codes.insert(code.to_string(), offsets);
        }
    }
    let mut missing = Vec::new();
    for prefix in TABLE.prefixes.keys() {
        let Some((code, all)) = calling_codes.iter().find(|(code, _)| prefix.starts_with(*code)) else { continue };
        let is_whole = code == prefix || of(prefix).iter().map(offsets).collect::<BTreeSet<_>>() == *all;
        if !is_whole && !areas().any(|(area, ..)| area.starts_with(prefix) || prefix.starts_with(area)) {
            missing.push(*prefix);
        }
    }
    assert_eq!(missing, Vec::<&str>::new());
}

/// Every change of the offset from UTC, as seconds since the start of 2026 and seconds of offset.
type Offsets = Vec<(i64, i32)>;

fn offsets(zone: &TimeZone) -> Offsets {
    let (start, end): (Timestamp, Timestamp) =
        ("2026-01-01T00:00:00Z".parse().unwrap(), "2028-01-01T00:00:00Z".parse().unwrap());
    let mut found = vec![(0, zone.to_offset(start).seconds())];
    for change in zone.following(start).take_while(|change| change.timestamp() < end) {
        let offset = change.offset().seconds();
        if found.last().is_none_or(|last| last.1 != offset) {
            found.push((change.timestamp().as_second() - start.as_second(), offset));
        }
    }
    found
}

fn offsets_of(zone: &str) -> Offsets {
    offsets(&TABLE.known.get(zone).unwrap())
}

fn region(country: &str) -> Option<Region> {
    PHONE_NUMBER_UTIL.get_supported_regions().find(|region| region.to_string() == country)
}

fn zones_by_country() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut zones = BTreeMap::<_, Vec<_>>::new();
    for line in ZONE_TAB.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t');
        let (country, _, zone) = (fields.next().unwrap(), fields.next(), fields.next().unwrap());
        zones.entry(country).or_default().push(zone);
    }
    assert!(zones.len() > 240);
    zones
}

/// Prefix, zone, place.
fn areas() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    AREAS.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut fields = line.splitn(3, ' ');
        (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap())
    })
}
