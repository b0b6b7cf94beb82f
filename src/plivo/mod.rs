//! Plivo's HTTP, in both directions: [`Plivo::trigger`] asks for a text or a call; [`callback`] reads what
//! comes back, once [`signature`] or [`reference`] has proved where from.
//!
//! There is no provider trait. The simulator and the tests speak Plivo's HTTP to this one client, through its
//! base URL.

pub mod answer;
mod breaker;
mod call;
pub mod callback;
pub mod client;
pub mod language;
mod message;
pub mod outcome;
pub mod phlo;
pub mod reference;
mod sender;
pub mod signature;
pub mod text;
pub mod units;

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use secrecy::SecretString;

use breaker::Breaker;
use client::Client;
pub use client::Reply;
use language::Languages;
pub use message::Dlt;
pub use sender::{Sender, Senders, SendersError};

use crate::keyring::Keyring;
use crate::phone::PhoneNumber;
use crate::verification::state::Details;
use crate::verification::{AttemptRef, Channel, Code, Verification, Via};
use reference::Purpose;

/// Where Plivo is and as whom we speak to it.
pub struct Settings {
    /// Account id.
    pub auth_id: String,
    /// Account token.
    pub auth_token: SecretString,
    /// Source number.
    pub from: PhoneNumber,
    /// Other sources, by country.
    pub senders: Senders,
    /// What texts to India carry.
    pub dlt: Dlt,
    /// The 2FA PHLO; without one the Message and Call APIs are used.
    pub phlo_id: Option<String>,
    /// Origin of the PHLO runner.
    pub phlo_url: String,
    /// Origin of the REST API.
    pub api_url: String,
    /// The base of our callback URLs, without a slash at the end.
    pub public_url: String,
    /// How long one request may take.
    pub timeout: Duration,
    /// The customer's name in texts and calls.
    pub brand: Option<String>,
    /// Whether a key must be pressed before a call speaks the code.
    pub voice_confirm: bool,
    /// What texts and calls say.
    pub languages: Languages,
}

/// One attempt, as Plivo is asked for it.
pub struct Trigger<'a> {
    /// Which.
    pub attempt: AttemptRef,
    /// Text or call.
    pub channel: Channel,
    /// The number.
    pub to: &'a PhoneNumber,
    /// The code.
    pub code: &'a Code,
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
    /// Whether Plivo was asked at all, and not turned away from by a breaker.
    pub was_asked: bool,
    /// Message or call UUID, where the answer told it.
    pub provider_id: Option<String>,
    /// The run of the PHLO.
    pub run_id: Option<String>,
}

/// The one client.
pub struct Plivo {
    client: Client,
    keys: Arc<Keyring>,
    from: PhoneNumber,
    senders: Senders,
    dlt: Dlt,
    phlo: Option<Phlo>,
    public_url: String,
    brand: Option<String>,
    voice_confirm: bool,
    languages: Languages,
    message_breaker: Breaker,
    call_breaker: Breaker,
}

struct Phlo {
    id: String,
    origin: String,
    breaker: Breaker,
}

impl Plivo {
    /// Sets the client up; nothing is sent.
    ///
    /// # Errors
    /// When the TLS provider cannot be set up.
    pub fn new(settings: Settings, keys: Arc<Keyring>) -> reqwest::Result<Self> {
        let origin = settings.phlo_url;
        Ok(Self {
            client: Client::new(settings.api_url, settings.auth_id, settings.auth_token, settings.timeout)?,
            keys,
            from: settings.from,
            senders: settings.senders,
            dlt: settings.dlt,
            phlo: settings.phlo_id.map(|id| Phlo { id, origin, breaker: Breaker::default() }),
            public_url: settings.public_url,
            brand: settings.brand,
            voice_confirm: settings.voice_confirm,
            languages: settings.languages,
            message_breaker: Breaker::default(),
            call_breaker: Breaker::default(),
        })
    }

    /// Asks with this auth token from now on.
    pub fn replace_token(&self, token: SecretString) {
        self.client.replace_token(token);
    }

    /// Asks for an attempt, once: the PHLO where there is one, unless it could not run this attempt
    /// (`is_passed_on`) or has not been answering; else the Message or the Call API.
    pub async fn trigger(&self, trigger: &Trigger<'_>, is_passed_on: bool) -> Triggered {
        if let Some(phlo) = self.phlo.as_ref().filter(|_| !is_passed_on)
            && phlo.breaker.admit(Instant::now()).is_ok()
        {
            let reply = self.run(phlo, trigger).await;
            phlo.breaker.heard(&reply, Instant::now());
            let (provider_id, run_id) = match &reply {
                Reply::Success(_, body) => (phlo::provider_id(body, trigger.channel), phlo::run_id(body)),
                _ => (None, None),
            };
            return Triggered { via: Via::Phlo, reply, was_asked: true, provider_id, run_id };
        }
        let breaker = self.breaker(trigger.channel);
        let admitted = breaker.admit(Instant::now());
        let reply = match admitted {
            Ok(()) => {
                let reply = self.ask_directly(trigger).await;
                breaker.heard(&reply, Instant::now());
                reply
            }
            Err(retry_after) => Reply::NotNow(None, Some(retry_after)),
        };
        let provider_id = match (&reply, trigger.channel) {
            (Reply::Success(_, body), Channel::Sms) => message::provider_id(body),
            (Reply::Success(_, body), Channel::Call) => call::provider_id(body),
            _ => None,
        };
        Triggered { via: Via::Api, reply, was_asked: admitted.is_ok(), provider_id, run_id: None }
    }

    /// Whether the door that is asked first has not been answering: whoever waits should not wait long.
    pub fn is_troubled(&self, channel: Channel) -> bool {
        self.phlo.as_ref().map_or(self.breaker(channel), |phlo| &phlo.breaker).is_open()
    }

    /// Asks what a run of the PHLO made.
    pub async fn find(&self, run_id: &str, channel: Channel) -> Option<String> {
        let Phlo { id, origin, .. } = self.phlo.as_ref()?;
        phlo::find(&self.client, origin, id, run_id, channel).await
    }

    /// Takes a call back while it rings, by either of its ids.
    pub async fn take_back(&self, uuid: &str) -> Reply {
        call::take_back(&self.client, uuid).await
    }

    /// Whether a key must be pressed before a call speaks the code.
    pub fn asks_for_a_key(&self) -> bool {
        self.voice_confirm
    }

    /// What a call says that is answered: the code of a verification that is pending, and else good-bye.
    pub fn speak(&self, v: &Verification, to: AttemptRef) -> String {
        let language = self.languages.of(&v.details.locale);
        match &v.code {
            Some(code) => answer::speak(language, self.brand.as_deref(), code, &self.answer_url(to)),
            None => answer::goodbye(language),
        }
    }

    /// What a call says before it speaks the code, where a key must be pressed first.
    pub fn ask_for_a_key(&self, v: &Verification, to: AttemptRef) -> String {
        answer::confirm(self.languages.of(&v.details.locale), self.brand.as_deref(), &self.answer_url(to))
    }

    /// What a call says that has nothing to say, in the language of the verification if that is known.
    pub fn goodbye(&self, v: Option<&Verification>) -> String {
        answer::goodbye(self.languages.of(v.map_or("", |v| &v.details.locale)))
    }

    /// Where a call of the Call API asks what to say. It holds a ref, and no code.
    fn answer_url(&self, to: AttemptRef) -> String {
        self.callback_url("answer", to, Purpose::Answer)
    }

    fn callback_url(&self, path: &str, to: AttemptRef, purpose: Purpose) -> String {
        format!("{}/plivo/{path}/{}", self.public_url, reference::issue(&self.keys, to, purpose))
    }

    fn breaker(&self, channel: Channel) -> &Breaker {
        match channel {
            Channel::Sms => &self.message_breaker,
            Channel::Call => &self.call_breaker,
        }
    }

    async fn run(&self, phlo: &Phlo, trigger: &Trigger<'_>) -> Reply {
        let text = self.text(trigger);
        let run = phlo::Run {
            from: self.source_of_run(trigger),
            to: trigger.to.e164(),
            otp: trigger.code.reveal(),
            mode: trigger.channel.as_str(),
            reference: &reference::issue(&self.keys, trigger.attempt, Purpose::Phlo),
            text: &text,
            language: self.languages.of(&trigger.details.locale).speech_tag(),
        };
        phlo::run(&self.client, &phlo.origin, &phlo.id, &run).await
    }

    async fn ask_directly(&self, trigger: &Trigger<'_>) -> Reply {
        let (to, country) = (trigger.attempt, trigger.to.country());
        match trigger.channel {
            Channel::Sms => {
                let usual = Sender::Source(self.from.e164().to_owned());
                let sender = self.senders.of_text(country).unwrap_or(&usual);
                let text = self.text(trigger);
                let report_url = self.callback_url("message", to, Purpose::Message);
                let dlt = message::dlt_for(country, &self.dlt);
                let message = message::Message::new(sender, trigger.to.e164(), &text, &report_url, dlt);
                message::send(&self.client, &message).await
            }
            Channel::Call => {
                let from = self.senders.of_call(country).unwrap_or(self.from.e164());
                let (answer_url, report_url) = (self.answer_url(to), self.callback_url("call", to, Purpose::Call));
                call::place(&self.client, &call::Call::new(from, trigger.to.e164(), &answer_url, &report_url)).await
            }
        }
    }

    fn text(&self, trigger: &Trigger<'_>) -> String {
        let language = self.languages.of(&trigger.details.locale);
        text::message(language, trigger.code, self.brand.as_deref(), trigger.details)
    }

    /// The flow's nodes take a number or a name, and no pool of numbers.
    fn source_of_run(&self, trigger: &Trigger<'_>) -> &str {
        let country = trigger.to.country();
        let source = match trigger.channel {
            Channel::Sms => self.senders.of_text(country).and_then(Sender::source),
            Channel::Call => self.senders.of_call(country),
        };
        source.unwrap_or(self.from.e164())
    }
}

/// Whether a text could be one of Plivo's ids. They stand in URLs of ours and of Plivo's.
fn is_id(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(is_part)
}
