//! [`PhoneNumber`]: a valid number in strict E.164, shown only masked.
//!
//! libphonenumber decides on validity and line types. Its parser also accepts blanks, extensions and letters. This one
//! does not: numbers are limited, hashed and sent, so each must have exactly one spelling.

mod carrier;
mod country;
mod range;

use std::borrow::Cow;
use std::fmt;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType};
use serde::{Deserialize, Serialize};

pub use carrier::Carrier;
pub use country::Country;
pub use range::SpecialRange;

const ARGENTINA: &str = "AR";

/// One for each digit of the longest number.
const DOTS: &str = "•••••••••••••••";

/// A valid number in E.164. `Display` and `Debug` mask it: `+1••••••••12`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PhoneNumber {
    e164: String,
    calling_code: u16,
    country: Country,
    fixed_line: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    range: Option<SpecialRange>,
}

/// Why a text is not a usable number. Never contains the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNumber {
    /// Not `+` and 7 to 15 ASCII digits, or with a leading zero.
    #[error("must be E.164: '+', then 7 to 15 digits, without blanks or separators, such as +14155550112")]
    NotE164,
    /// Written correctly, but in no numbering plan.
    #[error("is not a number that exists in any country's numbering plan")]
    Unassigned,
}

impl PhoneNumber {
    /// Parses strict E.164.
    ///
    /// # Errors
    /// [`InvalidNumber`]: the spelling is wrong, or no numbering plan has the number.
    pub fn parse(text: &str) -> Result<Self, InvalidNumber> {
        let digits = text.strip_prefix('+').ok_or(InvalidNumber::NotE164)?;
        if !(7..=15).contains(&digits.len()) || digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidNumber::NotE164);
        }
        let parsed = parse_canonical(text)?;
        let region = parsed.get_region_code().ok_or(InvalidNumber::Unassigned)?;
        let (country, kind) = (Country(region.to_string()), PHONE_NUMBER_UTIL.get_number_type(&parsed));
        // To libphonenumber a number is valid when its region knows its type.
        if kind == PhoneNumberType::Unknown {
            return Err(InvalidNumber::Unassigned);
        }
        Ok(Self {
            e164: text.to_owned(),
            calling_code: u16::try_from(parsed.country_code).map_err(|_| InvalidNumber::Unassigned)?,
            range: SpecialRange::of(text, kind, &country),
            // An Argentine mobile written without its 9 reads as a fixed line.
            fixed_line: kind == PhoneNumberType::FixedLine && country.as_str() != ARGENTINA,
            country,
        })
    }

    /// Parses strict E.164, also when the number does not exist. For numbers that nothing is ever sent to.
    ///
    /// The country is then the first with that calling code.
    ///
    /// # Errors
    /// [`InvalidNumber::NotE164`], or [`InvalidNumber::Unassigned`] when no country has its calling code.
    pub fn fictional(text: &str) -> Result<Self, InvalidNumber> {
        match Self::parse(text) {
            Err(InvalidNumber::Unassigned) => {}
            parsed => return parsed,
        }
        let parsed = parse_canonical(text)?;
        let country =
            PHONE_NUMBER_UTIL.get_region_for_country_code(parsed.country_code).ok_or(InvalidNumber::Unassigned)?;
        let calling_code = u16::try_from(parsed.country_code).map_err(|_| InvalidNumber::Unassigned)?;
        let country = Country(country.to_string());
        Ok(Self { e164: text.to_owned(), calling_code, country, fixed_line: false, range: None })
    }

    /// The number in full, with `+`: for Plivo and for keyed hashes, never for a log or a reply.
    pub fn e164(&self) -> &str {
        &self.e164
    }

    /// The number in full without `+`, as Plivo's callbacks write it.
    pub fn digits(&self) -> &str {
        &self.e164[1..]
    }

    /// The spelling by which limits, joins and store keys know the number.
    ///
    /// It differs from [`Self::e164`] only in Argentina, where a mobile may be written with or without a 9: it has the 9.
    pub fn identity(&self) -> Cow<'_, str> {
        // Areas begin with 1, 2 or 3, and have ten digits with the subscriber's number.
        match self.e164.strip_prefix("+54") {
            Some(national) if national.len() == 10 && national.starts_with(['1', '2', '3']) => {
                Cow::Owned(format!("+549{national}"))
            }
            _ => Cow::Borrowed(&self.e164),
        }
    }

    /// The country whose numbering plan it is in.
    pub fn country(&self) -> &Country {
        &self.country
    }

    /// The special range that the number is in.
    pub fn range(&self) -> Option<SpecialRange> {
        self.range
    }

    /// Whether the number is certainly a fixed line, which cannot receive a text.
    ///
    /// `false` where the number does not tell a fixed line from a mobile, as in North America and Argentina.
    pub fn is_fixed_line(&self) -> bool {
        self.fixed_line
    }
}

/// Parses with libphonenumber, and refuses a text that it would write differently.
///
/// It accepts national prefixes (`+1 1…`, `+44 0…`), which would give a number a second spelling.
fn parse_canonical(text: &str) -> Result<rlibphonenumber::PhoneNumber, InvalidNumber> {
    let parsed = PHONE_NUMBER_UTIL.parse(text, None).map_err(|_| InvalidNumber::Unassigned)?;
    if parsed.format_as(PhoneNumberFormat::E164) == text { Ok(parsed) } else { Err(InvalidNumber::NotE164) }
}

/// Masked: calling code, a dot for each hidden digit, the last two digits.
impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // E.164 begins with the calling code.
        let shown = 1 + self.calling_code.checked_ilog10().unwrap_or(0) as usize;
        let last = self.digits().len().saturating_sub(2);
        let hidden = last.saturating_sub(shown);
        f.write_str(&self.e164[..=shown])?;
        f.write_str(&DOTS[..hidden * '•'.len_utf8()])?;
        f.write_str(&self.digits()[last..])
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Loads the numbering plans of these countries, so that no request waits for its country's.
///
/// libphonenumber loads each plan at its first number, in 5 to 60 ms.
pub fn warm_up<'a>(countries: impl IntoIterator<Item = &'a Country>) {
    for country in countries {
        let Some(region) = PHONE_NUMBER_UTIL.get_supported_regions().find(|region| region.to_string() == country.0)
        else {
            continue;
        };
        // The type of a mobile number is tried last, so that its number needs every pattern.
        let mobile = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, PhoneNumberType::Mobile);
        if let Ok(example) = mobile.or_else(|_| PHONE_NUMBER_UTIL.get_example_number(region)) {
            let _ = PhoneNumber::parse(&example.format_as(PhoneNumberFormat::E164));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_shows_only_its_calling_code_and_last_two_digits() {
        let number = PhoneNumber::parse("+14155550112").unwrap();
        assert_eq!(number.to_string(), "+1••••••••12");
        assert_eq!(format!("{number:?}"), "+1••••••••12");
        assert_eq!(PhoneNumber::parse("+442079460000").unwrap().to_string(), "+44••••••••00");
    }

    #[test]
    fn only_one_spelling_of_a_number_is_accepted() {
        for text in [
            "",
            "+",
            "14155550112",
            "+1 415 555 0112",
            "+1-415-555-0112",
            "+1(415)5550112",
            "0014155550112",
            "tel:+14155550112",
            "+14155550112;ext=1",
            "+14155550112,",
            "+14155550112<+14155550113",
            "+04155550112",
            "+١٤١٥٥٥٥٠١١٢",
            "+1415555０112",
            " +14155550112",
            "+14155550112\n",
            "+1415555011212345",
            "+123456",
            "+1415555\u{200b}0112",
            "+1415555011a",
            "+114155550112",
            "+4407400123456",
            "+330612345678",
            "+49015123456789",
            "+9109876543210",
            "+55011912345678",
            "+559011912345678",
            "+789161234567",
            "+3606201234567",
            "+370861234567",
        ] {
            assert_eq!(PhoneNumber::parse(text), Err(InvalidNumber::NotE164), "{text:?}");
            assert_eq!(PhoneNumber::fictional(text), Err(InvalidNumber::NotE164), "{text:?}");
        }
    }

    #[test]
    fn a_number_of_no_numbering_plan_is_refused_and_a_fixed_line_is_recognized() {
        assert_eq!(PhoneNumber::parse("+19999999999"), Err(InvalidNumber::Unassigned));
        assert!(PhoneNumber::parse("+442079460000").unwrap().is_fixed_line());
        assert!(!PhoneNumber::parse("+14155550112").unwrap().is_fixed_line());
        assert_eq!(PhoneNumber::parse("+447400123456").unwrap().country().to_string(), "GB");
    }

    #[test]
    fn special_ranges_are_recognized() {
        for (number, range) in [
            ("+19002345678", Some(SpecialRange::Premium)),
            ("+449012345678", Some(SpecialRange::Premium)),
            ("+80812345678", Some(SpecialRange::SharedCost)),
            ("+447012345678", Some(SpecialRange::Personal)),
            ("+881612345678", Some(SpecialRange::Satellite)),
            ("+870773111632", Some(SpecialRange::Satellite)),
            ("+979123456789", Some(SpecialRange::Premium)),
            ("+442079460000", None),
            ("+445612345678", Some(SpecialRange::Voip)),
            ("+14155550112", None),
            ("+447400123456", None),
        ] {
            assert_eq!(PhoneNumber::parse(number).unwrap().range(), range, "{number}");
        }
    }

    #[test]
    fn satellite_phones_with_numbers_of_a_country_are_recognized() {
        for number in [
            "+61147101234",
            "+61145101234",
            "+16007012345",
            "+8613491234567",
            "+8617400123456",
            "+628681234567",
            "+79541234567",
        ] {
            assert_eq!(PhoneNumber::parse(number).unwrap().range(), Some(SpecialRange::Satellite), "{number}");
        }
        for number in ["+61412345678", "+8613581234567", "+79161234567"] {
            assert_eq!(PhoneNumber::parse(number).unwrap().range(), None, "{number}");
        }
    }

    #[test]
    fn an_argentine_number_has_one_identity_with_and_without_its_9() {
        let (with, without) = (PhoneNumber::parse("+5491123456789"), PhoneNumber::parse("+541123456789"));
        let (with, without) = (with.unwrap(), without.unwrap());
        assert_eq!(with.identity(), "+5491123456789");
        assert_eq!(without.identity(), with.identity());
        assert_eq!((without.e164(), without.is_fixed_line(), with.is_fixed_line()), ("+541123456789", false, false));
        for number in ["+543434123456", "+548001234567", "+14155550112", "+442079460000"] {
            let number = PhoneNumber::parse(number).unwrap();
            let expected = if number.e164() == "+543434123456" { "+5493434123456" } else { number.e164() };
            assert_eq!(number.identity(), expected);
        }
    }
}
