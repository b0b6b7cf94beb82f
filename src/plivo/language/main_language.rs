//! [`locale_or_main`]: the language of a creation, which may name none.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use crate::phone::Country;

/// Languages other than English, each with the countries where it comes first.
///
/// Source: Unicode CLDR 49, `likelySubtags`: the language of `und-<country>`, with the script of Chinese (Unicode License v3).
const MAIN_LANGUAGES: &[(&str, &str)] = &[
    ("af", "NA"),
    ("ak", "GH"),
    ("am", "ET"),
    ("ar", "AE BH DZ EG EH IQ JO KM KW LB LY MA MR OM PS QA SA SD SS SY TD TN YE"),
    ("az", "AZ"),
    ("bg", "BG"),
    ("bi", "VU"),
    ("bm", "ML"),
    ("bn", "BD"),
    ("bs", "BA"),
    ("ca", "AD"),
    ("cs", "CZ"),
    ("da", "DK"),
    ("de", "AT CH DE LI"),
    ("dv", "MV"),
    ("dz", "BT"),
    ("el", "CY GR"),
    ("es", "AR BO CL CO CR CU DO EC ES GQ GT HN MX NI PA PE PR SV UY VE"),
    ("et", "EE"),
    ("fa", "AF IR"),
    ("fi", "FI"),
    ("fil", "PH"),
    ("fo", "FO"),
    ("fr", "BF BJ BL CD CG CI CM DJ FR GA GF GN GP LU MC MF MQ MU NC PF PM RE SC TG WF YT"),
    ("gn", "PY"),
    ("ha", "NE"),
    ("he", "IL"),
    ("hi", "IN"),
    ("hr", "HR"),
    ("ht", "HT"),
    ("hu", "HU"),
    ("hy", "AM"),
    ("id", "ID"),
    ("is", "IS"),
    ("it", "IT SM VA"),
    ("ja", "JP"),
    ("ka", "GE"),
    ("kl", "GL"),
    ("km", "KH"),
    ("ko", "KP KR"),
    ("ky", "KG"),
    ("lo", "LA"),
    ("lt", "LT"),
    ("lv", "LV"),
    ("mg", "MG"),
    ("mk", "MK"),
    ("mn", "MN"),
    ("ms", "BN CC MY"),
    ("mt", "MT"),
    ("my", "MM"),
    ("nb", "NO SJ"),
    ("ne", "NP"),
    ("nl", "AW BE NL SR"),
    ("pap", "BQ CW"),
    ("pau", "PW"),
    ("pl", "PL"),
    ("pt", "AO BR CV GW MZ PT ST TL"),
    ("rn", "BI"),
    ("ro", "MD RO"),
    ("ru", "BY KZ RU"),
    ("rw", "RW"),
    ("sg", "CF"),
    ("si", "LK"),
    ("sk", "SK"),
    ("sl", "SI"),
    ("sm", "AS WS"),
    ("sn", "ZW"),
    ("so", "SO"),
    ("sq", "AL XK"),
    ("sr", "ME RS"),
    ("st", "LS"),
    ("sv", "AX SE"),
    ("sw", "KE TZ UG"),
    ("tg", "TJ"),
    ("th", "TH"),
    ("ti", "ER"),
    ("tk", "TM"),
    ("tkl", "TK"),
    ("to", "TO"),
    ("tpi", "PG"),
    ("tr", "TR"),
    ("tvl", "TV"),
    ("uk", "UA"),
    ("ur", "PK"),
    ("uz", "UZ"),
    ("vi", "VN"),
    ("wo", "SN"),
    ("zh", "CN"),
    ("zh-Hant", "HK MO TW"),
];

/// The language of each country whose main language is not English.
static LANGUAGE_OF: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let each = |(language, countries): &(&'static str, &'static str)| {
        let language = *language;
        countries.split(' ').map(move |country| (country, language))
    };
    MAIN_LANGUAGES.iter().flat_map(each).collect()
});

/// The locale that a creation names; without one that of the number's country.
pub fn locale_or_main<'a>(locale: &'a str, country: &Country) -> Cow<'a, str> {
    if locale.is_empty() { main_locale(country).into() } else { locale.into() }
}

/// The main language of a country, as a locale such as `de-CH`; English for numbers of no country.
fn main_locale(country: &Country) -> String {
    let code = country.as_str();
    let language = LANGUAGE_OF.get(code).copied().unwrap_or(super::ENGLISH);
    if code.len() == 2 { format!("{language}-{code}") } else { language.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::PhoneNumber;
    use crate::plivo::language::Languages;

    #[test]
    fn a_number_is_texted_in_the_main_language_of_its_country() {
        let languages = Languages::built_in();
        for (number, locale, tag) in [
            ("+14155550112", "en-US", "en"),
            ("+447400123456", "en-GB", "en-GB"),
            ("+4915123456789", "de-DE", "de"),
            ("+33612345678", "fr-FR", "fr"),
            ("+818012345678", "ja-JP", "ja"),
            ("+5511912345678", "pt-BR", "pt"),
            ("+351912345678", "pt-PT", "pt-PT"),
            ("+525512345678", "es-MX", "es-MX"),
            ("+886912345678", "zh-Hant-TW", "zh-Hant"),
            ("+8613581234567", "zh-CN", "zh"),
            // Several languages: the first of CLDR.
            ("+41781234567", "de-CH", "de"),
            ("+32470123456", "nl-BE", "nl"),
            ("+919876543210", "hi-IN", "hi"),
            ("+4741234567", "nb-NO", "nb"),
            // A language without texts, and a number of no country.
            ("+998901234567", "uz-UZ", "en"),
            ("+881612345678", "en", "en"),
        ] {
            let found = main_locale(PhoneNumber::parse(number).unwrap().country());
            assert_eq!((found.as_str(), languages.of(&found).tag()), (locale, tag), "{number}");
        }
    }

    #[test]
    fn no_country_is_listed_twice() {
        let mut countries: Vec<_> = MAIN_LANGUAGES.iter().flat_map(|(_, countries)| countries.split(' ')).collect();
        let all = countries.len();
        countries.sort_unstable();
        countries.dedup();
        assert_eq!(countries.len(), all);
        assert!(countries.iter().all(|code| Country::parse(code).is_some_and(|country| country.has_numbers())));
    }
}
