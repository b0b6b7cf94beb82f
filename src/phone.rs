//! [`PhoneNumber`]: a valid number in strict E.164, which shows itself only masked.
//!
//! Validity and line types are libphonenumber's. Its own parser is generous (blanks, extensions,
//! letters); ours is not: what is limited, hashed and sent must have exactly one spelling.

use std::fmt;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType};
use serde::{Deserialize, Serialize};

/// A valid number in E.164. `Display` and `Debug` mask it: `+1••••••••12`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PhoneNumber {
    e164: String,
    calling_code: u16,
    country: Country,
    fixed_line: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    range: Option<Range>,
}

/// Ranges that nobody has a phone in who only wants to sign in, and that whoever owns such a number earns with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Range {
    /// Premium rate.
    Premium,
    /// Shared cost.
    SharedCost,
    /// Satellites and networks of no country.
    Satellite,
    /// Personal numbers, which lead anywhere.
    Personal,
    /// Pagers.
    Pager,
    /// Voicemail boxes.
    Voicemail,
    /// Companies' universal access numbers.
    Uan,
}

impl Range {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Premium, Self::SharedCost, Self::Satellite, Self::Personal, Self::Pager, Self::Voicemail, Self::Uan];

    /// As `BLOCKED_RANGES` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Premium => "premium",
            Self::SharedCost => "shared_cost",
            Self::Satellite => "satellite",
            Self::Personal => "personal",
            Self::Pager => "pager",
            Self::Voicemail => "voicemail",
            Self::Uan => "uan",
        }
    }

    fn of(kind: PhoneNumberType, country: &Country) -> Option<Self> {
        match kind {
            PhoneNumberType::PremiumRate => Some(Self::Premium),
            PhoneNumberType::SharedCost => Some(Self::SharedCost),
            PhoneNumberType::PersonalNumber => Some(Self::Personal),
            PhoneNumberType::Pager => Some(Self::Pager),
            PhoneNumberType::VoiceMail => Some(Self::Voicemail),
            PhoneNumberType::UAN => Some(Self::Uan),
            _ => (country.as_str() == "001").then_some(Self::Satellite),
        }
    }
}

/// Why a text is not a number we can send to. The text itself is never part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNumber {
    /// Not `+` and 7 to 15 ASCII digits, the first not zero.
    #[error("must be E.164: '+', then 7 to 15 digits, without blanks or separators, as +14155550112")]
    NotE164,
    /// Written correctly, but no country's numbering plan has such a number.
    #[error("is not a number that exists in any country's numbering plan")]
    Unassigned,
}

/// ISO 3166 code of the country a number belongs to, or `001` for numbers of no country.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Country(String);

impl Country {
    /// Takes two ASCII letters, in either case; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic())).then(|| Self(text.to_ascii_uppercase()))
    }

    /// Whether there are numbers of it: the United Kingdom's code is GB, and UK is none.
    pub fn has_numbers(&self) -> bool {
        PHONE_NUMBER_UTIL.get_supported_regions().any(|region| region.to_string() == self.0)
    }

    /// The two letters, or `001`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The network a number is in: mobile country code and mobile network code, as one number. An MCC has three digits
/// and does not begin with zero, so both can be told apart again. `Display` is `310-150`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Carrier(u32);

impl Carrier {
    /// Takes both codes as Plivo writes them.
    pub fn parse(mcc: &str, mnc: &str) -> Option<Self> {
        let is_code = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let fits = mcc.len() == 3 && !mcc.starts_with('0') && (2..=3).contains(&mnc.len());
        if fits && is_code(mcc) && is_code(mnc) { format!("{mcc}{mnc}").parse().ok().map(Self) } else { None }
    }

    /// The reverse of [`Self::code`].
    pub fn from_code(code: u32) -> Option<Self> {
        let digits = code.to_string();
        let (mcc, mnc) = digits.split_at_checked(3)?;
        Self::parse(mcc, mnc)
    }

    /// Both codes in one number.
    pub fn code(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let (mcc, mnc) = digits.split_at(digits.len().min(3));
        write!(f, "{mcc}-{mnc}")
    }
}

impl PhoneNumber {
    /// Takes strict E.164 and nothing else.
    ///
    /// # Errors
    /// [`InvalidNumber`] says which half failed: the spelling, or the numbering plan.
    pub fn parse(text: &str) -> Result<Self, InvalidNumber> {
        let digits = text.strip_prefix('+').ok_or(InvalidNumber::NotE164)?;
        if !(7..=15).contains(&digits.len()) || digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidNumber::NotE164);
        }
        let parsed = read(text)?;
        if !parsed.is_valid() {
            return Err(InvalidNumber::Unassigned);
        }
        let region = parsed.get_region_code().ok_or(InvalidNumber::Unassigned)?;
        let (country, kind) = (Country(region.to_string()), PHONE_NUMBER_UTIL.get_number_type(&parsed));
        Ok(Self {
            e164: text.to_owned(),
            calling_code: u16::try_from(parsed.country_code).map_err(|_| InvalidNumber::Unassigned)?,
            range: Range::of(kind, &country),
            country,
            fixed_line: kind == PhoneNumberType::FixedLine,
        })
    }

    /// Takes strict E.164 whether or not the number exists: for numbers that nothing is ever sent to. Its
    /// country is the first that has its calling code.
    ///
    /// # Errors
    /// [`InvalidNumber::NotE164`], or [`InvalidNumber::Unassigned`] when no country has its calling code.
    pub fn fictional(text: &str) -> Result<Self, InvalidNumber> {
        match Self::parse(text) {
            Err(InvalidNumber::Unassigned) => {}
            parsed => return parsed,
        }
        let parsed = read(text)?;
        let country =
            PHONE_NUMBER_UTIL.get_region_for_country_code(parsed.country_code).ok_or(InvalidNumber::Unassigned)?;
        let calling_code = u16::try_from(parsed.country_code).map_err(|_| InvalidNumber::Unassigned)?;
        let country = Country(country.to_string());
        Ok(Self { e164: text.to_owned(), calling_code, country, fixed_line: false, range: None })
    }

    /// The number in full, with `+`. For Plivo and for keyed hashes; never for a person or a log.
    pub fn e164(&self) -> &str {
        &self.e164
    }

    /// The number in full, digits only, as Plivo's callbacks write it.
    pub fn digits(&self) -> &str {
        &self.e164[1..]
    }

    /// The country whose numbering plan it is in.
    pub fn country(&self) -> &Country {
        &self.country
    }

    /// The range it is in, if that is one of those.
    pub fn range(&self) -> Option<Range> {
        self.range
    }

    /// Whether it certainly cannot take a text. Where plans do not tell the two apart (as in North
    /// America) the answer is no.
    pub fn is_fixed_line(&self) -> bool {
        self.fixed_line
    }
}

/// What libphonenumber makes of it, if that is written as it stands: prefixes that are dialed within a country (`+1 1…`,
/// `+44 0…`) would give a number further spellings.
fn read(text: &str) -> Result<rlibphonenumber::PhoneNumber, InvalidNumber> {
    let parsed = PHONE_NUMBER_UTIL.parse(text, None).map_err(|_| InvalidNumber::Unassigned)?;
    if parsed.format_as(PhoneNumberFormat::E164) == text { Ok(parsed) } else { Err(InvalidNumber::NotE164) }
}

/// Calling code, a dot for each hidden digit, the last two digits.
impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.calling_code.to_string();
        let (shown, last) = (code.len(), self.digits().len().saturating_sub(2));
        write!(f, "+{code}")?;
        for _ in shown..last {
            f.write_str("•")?;
        }
        f.write_str(&self.digits()[last..])
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Loads the number plans (tens of milliseconds), so that the first caller does not wait for it.
pub fn warm_up() {
    debug_assert!(PhoneNumber::parse("+14155550112").is_ok());
    let _ = PhoneNumber::parse("+14155550112");
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
    fn a_carrier_keeps_the_zeros_of_its_codes() {
        for (mcc, mnc, shown) in [("310", "150", "310-150"), ("262", "01", "262-01"), ("310", "004", "310-004")] {
            assert_eq!(Carrier::parse(mcc, mnc).unwrap().to_string(), shown);
        }
        assert_ne!(Carrier::parse("310", "04"), Carrier::parse("310", "004"));
        for (mcc, mnc) in [("", ""), ("31", "150"), ("010", "15"), ("310", "1"), ("310", "1500"), ("3l0", "15")] {
            assert_eq!(Carrier::parse(mcc, mnc), None, "{mcc} {mnc}");
        }
    }

    #[test]
    fn only_one_spelling_of_a_number_is_taken() {
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
    fn a_number_of_no_plan_is_refused_and_a_fixed_line_is_known() {
        assert_eq!(PhoneNumber::parse("+19999999999"), Err(InvalidNumber::Unassigned));
        assert!(PhoneNumber::parse("+442079460000").unwrap().is_fixed_line());
        assert!(!PhoneNumber::parse("+14155550112").unwrap().is_fixed_line());
        assert_eq!(PhoneNumber::parse("+447400123456").unwrap().country().to_string(), "GB");
    }

    #[test]
    fn ranges_that_somebody_earns_with_are_known() {
        for (number, range) in [
            ("+19002345678", Some(Range::Premium)),
            ("+449012345678", Some(Range::Premium)),
            ("+80812345678", Some(Range::SharedCost)),
            ("+447012345678", Some(Range::Personal)),
            ("+881612345678", Some(Range::Satellite)),
            ("+870773111632", Some(Range::Satellite)),
            ("+979123456789", Some(Range::Premium)),
            ("+14155550112", None),
            ("+447400123456", None),
        ] {
            assert_eq!(PhoneNumber::parse(number).unwrap().range(), range, "{number}");
        }
    }
}
