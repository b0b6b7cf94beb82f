//! Approximate prices of texts and calls by country, used until Plivo has billed one.
//!
//! A text is one unit; a call is one started minute to a mobile. The values are rounded and only of the right order of
//! magnitude: an error moves a call by seconds, and Plivo's bills replace them. `docs/escalation.md` names the sources.

use crate::phone::Country;

/// Prices in one country, in micro-dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// One unit of a text.
    pub text_u: u32,
    /// One started minute of a call.
    pub call_u: u32,
}

/// Prices of countries outside the table: high, so that calls are rare there and no budget is overrun.
pub const ELSEWHERE: Prices = Prices { text_u: 150_000, call_u: 150_000 };

/// How many times the starting price a report may tell.
const PLAUSIBLE_FACTOR: u64 = 10;

/// ISO code, text and call, in thousandths of a dollar; sorted by code.
const TABLE: [(&[u8; 2], u32, u32); 56] = [
    (b"AE", 100, 180),
    (b"AR", 90, 160),
    (b"AT", 90, 140),
    (b"AU", 60, 90),
    (b"BD", 250, 70),
    (b"BE", 100, 150),
    (b"BR", 50, 120),
    (b"CA", 8, 15),
    (b"CH", 70, 200),
    (b"CL", 70, 100),
    (b"CN", 50, 40),
    (b"CO", 20, 60),
    (b"CZ", 70, 120),
    (b"DE", 95, 100),
    (b"DK", 60, 60),
    (b"EG", 250, 130),
    (b"ES", 80, 70),
    (b"FI", 80, 120),
    (b"FR", 70, 100),
    (b"GB", 45, 60),
    (b"GH", 200, 250),
    (b"GR", 80, 120),
    (b"HK", 70, 40),
    (b"HU", 90, 120),
    (b"ID", 300, 100),
    (b"IE", 70, 120),
    (b"IL", 150, 60),
    (b"IN", 40, 40),
    (b"IT", 75, 140),
    (b"JP", 75, 120),
    (b"KE", 120, 180),
    (b"KR", 40, 50),
    (b"LB", 330, 200),
    (b"LK", 250, 200),
    (b"MX", 40, 40),
    (b"MY", 100, 60),
    (b"NG", 200, 200),
    (b"NL", 100, 130),
    (b"NO", 80, 80),
    (b"NZ", 110, 100),
    (b"PE", 50, 60),
    (b"PH", 200, 200),
    (b"PK", 250, 120),
    (b"PL", 40, 100),
    (b"PT", 60, 120),
    (b"RO", 70, 80),
    (b"SA", 120, 180),
    (b"SE", 55, 70),
    (b"SG", 45, 40),
    (b"TH", 25, 60),
    (b"TR", 30, 180),
    (b"TW", 80, 100),
    (b"UA", 160, 180),
    (b"US", 8, 12),
    (b"VN", 120, 80),
    (b"ZA", 30, 120),
];

/// The prices of a country by its ISO code, in capitals.
pub fn of(country: [u8; 2]) -> Prices {
    match TABLE.binary_search_by_key(&country, |(code, ..)| **code) {
        Ok(at) => Prices { text_u: TABLE[at].1 * 1000, call_u: TABLE[at].2 * 1000 },
        Err(_) => ELSEWHERE,
    }
}

/// The starting price of a call to this country, in micro-dollars.
pub fn call_price_u(country: &Country) -> u32 {
    by_country(country).call_u
}

/// The starting price of one text unit to this country, in micro-dollars.
pub fn text_price_u(country: &Country) -> u32 {
    by_country(country).text_u
}

/// The starting price of a text or call to this country, in micro-dollars.
pub fn expected_u(country: &Country, is_call: bool) -> u64 {
    if is_call { call_price_u(country).into() } else { text_price_u(country).into() }
}

/// The highest cost of a text or call that is believed, in micro-dollars. A text of several units or a call of several
/// minutes costs more than the starting price, but no report may claim any sum: it would use up the budget of all apps.
pub fn plausible_u(country: &Country, is_call: bool) -> u64 {
    expected_u(country, is_call) * PLAUSIBLE_FACTOR
}

fn by_country(country: &Country) -> Prices {
    // Numbers without a country (`001`) are satellite phones and the like.
    country.as_str().as_bytes().try_into().map_or(ELSEWHERE, of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_of_the_table_exists_and_is_found() {
        for (code, text, call) in TABLE {
            let country = Country::parse(std::str::from_utf8(code).unwrap()).unwrap();
            assert!(country.has_numbers(), "{country}");
            assert_eq!(text_price_u(&country), text * 1000, "{country}");
            assert_eq!(call_price_u(&country), call * 1000, "{country}");
            assert!((5..=500).contains(&text) && (10..=300).contains(&call), "{country}");
        }
        assert_eq!(call_price_u(&Country::parse("ZZ").unwrap()), ELSEWHERE.call_u);
    }
}
