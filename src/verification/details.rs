//! The optional fields of a creation that concern what is sent.

use serde::{Deserialize, Serialize};

/// What a creation may say of its texts and calls besides number and channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// What the code is for. Only creations of one purpose share what is sent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    /// BCP 47 tag of the person's language.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub locale: String,
    /// The person's address, as the customer saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<std::net::IpAddr>,
    /// Android's SMS Retriever hash, the last line of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_hash: Option<String>,
    /// The site for which a browser may fill in the code (WebOTP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_origin: Option<String>,
    /// Whether the code is checked by the customer: routes learn from feedback alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_checked_elsewhere: bool,
    /// Whether the number is one of `TEST_NUMBERS`: nothing is ever sent to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_test: bool,
}
