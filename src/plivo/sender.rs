//! [`Senders`]: the source of texts and calls, by country.
//!
//! A call needs a number. A text may also come from a name, a short code or a Powerpack, Plivo's pool of numbers.
//! Source: plivo.com/docs/messaging/api/message/send-a-message.

use std::collections::BTreeMap;
use std::fmt;

use uuid::Uuid;

use crate::phone::{Country, PhoneNumber};

/// The source of a text.
#[derive(Clone, PartialEq, Eq)]
pub enum SenderId {
    /// A number in E.164, a short code, or a name of up to 11 letters and digits (`src`).
    Source(String),
    /// A pool from which Plivo chooses a number (`powerpack_uuid`).
    Powerpack(Uuid),
}

/// Shows only the kind: a number must not be printed in full.
impl fmt::Debug for SenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source(_) => "Source",
            Self::Powerpack(_) => "Powerpack",
        })
    }
}

impl SenderId {
    /// Parses `+14155550100`, `12345`, `SHOP` or `powerpack:<uuid>`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(uuid) = text.strip_prefix("powerpack:") {
            return Uuid::try_parse(uuid).ok().map(Self::Powerpack);
        }
        let is_number = PhoneNumber::parse(text).is_ok();
        let is_short_code = (3..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        // A longer text of digits is more likely a number whose plus is missing.
        let is_name = (1..=11).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric())
            && text.bytes().any(|b| b.is_ascii_alphabetic());
        (is_number || is_short_code || is_name).then(|| Self::Source(text.to_owned()))
    }

    /// The source, unless it is a Powerpack.
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::Source(source) => Some(source),
            Self::Powerpack(_) => None,
        }
    }

    fn number(&self) -> Option<&str> {
        self.source().filter(|source| source.starts_with('+'))
    }
}

/// A fault in a list of senders. Names the entry by its position, never by its text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendersError {
    /// The entry's country does not exist.
    #[error("entry {0} does not begin with the two letters of a country that has numbers (the United Kingdom is GB)")]
    Country(usize),
    /// The entry's source has no known form.
    #[error(
        "entry {0} is not an E.164 number, a short code, a name of up to 11 letters and digits, or powerpack:<uuid>"
    )]
    Source(usize),
    /// The entry repeats the country of an earlier one.
    #[error("entry {0} is for the same country as an earlier entry, or is a second one without a country")]
    Twice(usize),
}

/// The sources, by the country of the destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Senders {
    by_country: BTreeMap<Country, SenderId>,
    others: Option<SenderId>,
}

impl Senders {
    /// Parses `IN=PLIVOX,GB=+44…,powerpack:<uuid>`; an entry without a country is for all others.
    ///
    /// # Errors
    /// [`SendersError`] for the first faulty entry.
    pub fn parse(text: &str) -> Result<Self, SendersError> {
        let mut senders = Self::default();
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        for (entry, i) in entries.zip(1..) {
            let (country, source) = match entry.split_once('=') {
                Some((country, source)) => (
                    Some(Country::parse(country.trim()).filter(Country::has_numbers).ok_or(SendersError::Country(i))?),
                    source.trim(),
                ),
                None => (None, entry),
            };
            let sender = SenderId::parse(source).ok_or(SendersError::Source(i))?;
            let before = match country {
                Some(country) => senders.by_country.insert(country, sender),
                None => senders.others.replace(sender),
            };
            if before.is_some() {
                return Err(SendersError::Twice(i));
            }
        }
        Ok(senders)
    }

    /// The source of a text to this country; `None` means the default number.
    pub fn of_text(&self, country: &Country) -> Option<&SenderId> {
        self.by_country.get(country).or(self.others.as_ref())
    }

    /// The number that calls to this country come from; `None` means the default number.
    pub fn of_call(&self, country: &Country) -> Option<&str> {
        self.of_text(country)?.number()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: &str = "powerpack:2b1c7f0e-0000-4000-8000-000000000001";

    fn country(code: &str) -> Country {
        Country::parse(code).unwrap()
    }

    #[test]
    fn each_country_has_its_sender_and_the_others_the_default() {
        let senders = Senders::parse(&format!("IN=PLIVOX, GB=+447400123456,us=12345,{POOL}")).unwrap();
        let text = |code| senders.of_text(&country(code)).cloned();
        assert_eq!(text("IN"), SenderId::parse("PLIVOX"));
        assert_eq!(text("US"), SenderId::parse("12345"));
        assert_eq!(text("FR"), SenderId::parse(POOL));
        assert_eq!(senders.of_call(&country("GB")), Some("+447400123456"));
        for code in ["IN", "US", "FR"] {
            assert_eq!(senders.of_call(&country(code)), None, "{code} cannot be called from a name or a pool");
        }
        assert_eq!(Senders::parse("GB=SHOP").unwrap().of_text(&country("FR")), None);
        assert_eq!(format!("{senders:?}").matches(char::is_numeric).count(), 0, "{senders:?}");
    }

    #[test]
    fn a_faulty_entry_is_named_by_its_position() {
        for (text, error) in [
            ("GB=SHOP,UKX=SHOP", SendersError::Country(2)),
            ("UK=SHOP", SendersError::Country(1)),
            ("=SHOP", SendersError::Country(1)),
            ("GB=", SendersError::Source(1)),
            ("GB=447400123456", SendersError::Source(1)),
            ("GB=TWELVELETTERS", SendersError::Source(1)),
            ("GB=MY SHOP", SendersError::Source(1)),
            ("powerpack:1", SendersError::Source(1)),
            ("GB=A,gb=B", SendersError::Twice(2)),
            ("A,B", SendersError::Twice(2)),
        ] {
            assert_eq!(Senders::parse(text), Err(error), "{text}");
        }
    }
}
