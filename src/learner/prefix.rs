//! [`PrefixNetwork`]: the network of a number prefix, which two numbers must have reported.
//!
//! A report names the network of one number, which may have been ported. A visitor who owns one number must not choose
//! the route by which its neighbours are judged.

use crate::phone::Carrier;

/// What is known of a prefix's network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PrefixNetwork {
    /// The network that two numbers have reported.
    confirmed: Option<Carrier>,
    /// Another network, and the hash of the one number that has reported it.
    candidate: Option<(Carrier, u32)>,
}

impl PrefixNetwork {
    /// The network to assume of a number: the prefix's, or else what this number itself has reported. `witness` is the number's
    /// hash, which is costly and seldom needed.
    pub(super) fn of_number(self, witness: impl FnOnce() -> u32) -> Option<Carrier> {
        let of_itself = || self.candidate.filter(|(_, first)| *first == witness()).map(|(carrier, _)| carrier);
        self.confirmed.or_else(of_itself)
    }

    /// A number reports its network: a second witness confirms it, a first one makes it the candidate.
    pub(super) fn witnessed(self, carrier: Carrier, witness: u32) -> Self {
        match self.candidate {
            _ if self.confirmed == Some(carrier) => Self { candidate: None, ..self },
            Some((known, first)) if known == carrier && first != witness => {
                Self { confirmed: Some(carrier), candidate: None }
            }
            _ => Self { candidate: Some((carrier, witness)), ..self },
        }
    }

    /// What this process knows, with the stored witnesses of other processes.
    pub(super) fn merged_with(self, stored: Self) -> Self {
        match self.candidate {
            Some((carrier, witness)) => {
                let confirmed = self.confirmed.or(stored.confirmed);
                Self { confirmed, ..stored }.witnessed(carrier, witness)
            }
            None => self,
        }
    }

    /// Reads the stored form: `310150`, `310150 310260 1a2b3c4d`, or `- 310260 1a2b3c4d`.
    pub(super) fn parse(stored: &[u8]) -> Self {
        let text = String::from_utf8_lossy(stored);
        let mut words = text.split(' ');
        let carrier = |word: Option<&str>| word.and_then(|word| word.parse().ok()).and_then(Carrier::from_code);
        let confirmed = carrier(words.next());
        let candidate = carrier(words.next()).zip(words.next().and_then(|word| u32::from_str_radix(word, 16).ok()));
        Self { confirmed, candidate }
    }

    /// The stored form.
    pub(super) fn to_text(self) -> String {
        let confirmed = self.confirmed.map_or_else(|| "-".to_owned(), |carrier| carrier.code().to_string());
        match self.candidate {
            None => confirmed,
            Some((carrier, witness)) => format!("{confirmed} {} {witness:08x}", carrier.code()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carrier(code: u32) -> Carrier {
        Carrier::from_code(code).unwrap()
    }

    #[test]
    fn a_network_needs_two_witnesses_and_one_other_number_does_not_replace_it() {
        let one = PrefixNetwork::default().witnessed(carrier(310_150), 1);
        assert_eq!((one.of_number(|| 1), one.of_number(|| 2)), (Some(carrier(310_150)), None));
        assert_eq!((one.confirmed, one.witnessed(carrier(310_150), 1)), (None, one), "the same number again");
        let two = one.witnessed(carrier(310_150), 2);
        assert_eq!(two.confirmed, Some(carrier(310_150)));
        let ported = two.witnessed(carrier(310_260), 3);
        assert_eq!(ported.confirmed, two.confirmed);
        assert_eq!(ported.witnessed(carrier(310_260), 4).confirmed, Some(carrier(310_260)));
        for known in [one, two, ported] {
            assert_eq!(PrefixNetwork::parse(known.to_text().as_bytes()), known);
        }
        // Two processes have seen one number each.
        let other = PrefixNetwork::default().witnessed(carrier(310_150), 9);
        assert_eq!(one.merged_with(other), two);
        assert_eq!((one.merged_with(one), two.merged_with(ported)), (one, two));
        // An earlier version stored the network alone.
        assert_eq!(PrefixNetwork::parse(b"310150").confirmed, Some(carrier(310_150)));
        assert_eq!(PrefixNetwork::parse(b"rubbish"), PrefixNetwork::default());
    }
}
