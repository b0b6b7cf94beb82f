//! Plivo's HTTP, in both directions: [`Plivo::trigger`] asks for a text or a call; [`callback`] reads what
//! comes back, once [`signature`] or [`reference`] has proved where from.
//!
//! There is no provider trait. The simulator and the tests speak Plivo's HTTP to this one client, through its
//! base URL.

pub mod callback;
pub mod client;
pub mod outcome;
pub mod phlo;
pub mod reference;
mod sender;
pub mod signature;
mod text;

use std::time::Duration;

use secrecy::SecretString;

use client::Client;
pub use client::Reply;
pub use sender::{Sender, Senders, SendersError};

use crate::phone::PhoneNumber;
use crate::verification::Via;
use crate::verification::state::Details;
use crate::verification::{Channel, Code};

/// Where Plivo is and as whom we speak to it.
pub struct Settings {
    /// Account id.
    pub auth_id: String,
    /// Account token.
    pub auth_token: SecretString,
    /// Source number.
    pub from: PhoneNumber,
    /// The 2FA PHLO.
    pub phlo_id: String,
    /// Origin of the PHLO runner.
    pub phlo_url: String,
    /// How long one request may take.
    pub timeout: Duration,
    /// The customer's name in a text.
    pub brand: Option<String>,
}

/// One attempt, as Plivo is asked for it.
pub struct Trigger<'a> {
    /// Text or call.
    pub channel: Channel,
    /// The number.
    pub to: &'a PhoneNumber,
    /// The code.
    pub code: &'a Code,
    /// Our ref to the attempt, for the flow's reports.
    pub reference: String,
    /// What else is known.
    pub details: &'a Details,
}

/// What came of it.
#[derive(Debug, PartialEq)]
pub struct Triggered {
    /// The door it went through.
    pub via: Via,
    /// How it was taken.
    pub reply: Reply,
    /// Message or call UUID, where the answer told it.
    pub provider_id: Option<String>,
}

/// The language our texts and calls are in.
const LANGUAGE: &str = "en-US";

/// The one client.
pub struct Plivo {
    client: Client,
    from: PhoneNumber,
    phlo_id: String,
    phlo_url: String,
    brand: Option<String>,
}

impl Plivo {
    /// Sets the client up; nothing is sent.
    ///
    /// # Errors
    /// When the TLS provider cannot be set up.
    pub fn new(settings: Settings) -> reqwest::Result<Self> {
        let Settings { auth_id, auth_token, from, phlo_id, phlo_url, timeout, brand } = settings;
        let client = Client::new(auth_id, auth_token, timeout)?;
        Ok(Self { client, from, phlo_id, phlo_url, brand })
    }

    /// Asks for an attempt, once.
    pub async fn trigger(&self, trigger: &Trigger<'_>) -> Triggered {
        let Self { client, from, phlo_id, phlo_url, brand } = self;
        let run = phlo::Run {
            from: from.e164(),
            to: trigger.to.e164(),
            otp: trigger.code.reveal(),
            mode: trigger.channel.as_str(),
            reference: &trigger.reference,
            text: &text::message(trigger.code, brand.as_deref(), trigger.details),
            language: LANGUAGE,
        };
        let reply = phlo::run(client, phlo_url, phlo_id, &run).await;
        let provider_id = match &reply {
            Reply::Success(_, body) => phlo::provider_id(body, trigger.channel),
            _ => None,
        };
        Triggered { via: Via::Phlo, reply, provider_id }
    }
}
