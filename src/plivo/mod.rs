//! Plivo's HTTP in both directions: requests for texts and calls, and the callbacks about them.
//!
//! [`Plivo::trigger`] requests an attempt. [`callback`] parses callbacks; [`signature`] and [`reference`] prove their
//! origin. There is no provider trait: the simulator and the tests speak Plivo's HTTP to this one client, through its base
//! URL.

pub mod answer;
pub mod body;
mod breaker;
mod call;
pub mod callback;
mod cause;
pub mod client;
pub mod fold;
pub mod language;
mod list;
mod message;
pub mod outcome;
pub mod phlo;
pub mod probe;
mod rate;
pub mod reference;
mod sender;
mod settings;
pub mod signature;
pub mod text;
mod trigger;
pub mod units;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use secrecy::SecretString;

use breaker::Breaker;
use client::{Client, is_id};
pub use client::{Proxy, Reply};
use language::{Language, Languages, locale_or_main};
pub use message::Dlt;
pub use rate::{InvalidRate, Rate};
pub use sender::{SenderId, Senders, SendersError};
pub use settings::{AppSettings, Settings};
pub use trigger::{Trigger, Triggered};

use crate::keyring::Keyring;
use crate::phone::PhoneNumber;
use crate::verification::{AttemptRef, Channel, Details, Verification, Via};
use reference::Purpose;

/// The client for one Plivo account.
pub struct Plivo {
    client: Client,
    keys: Arc<Keyring>,
    from: PhoneNumber,
    senders: Senders,
    dlt: Dlt,
    phlo: Option<Phlo>,
    /// The PHLOs of single apps.
    phlos: HashMap<String, Phlo>,
    public_url: String,
    brand: Option<String>,
    /// The names of single apps.
    brands: HashMap<String, String>,
    voice_confirm: bool,
    languages: Languages,
    message_breaker: Breaker,
    call_breaker: Breaker,
    list_reads: list::Reads,
}

struct Phlo {
    id: String,
    origin: String,
    breaker: Breaker,
}

impl Plivo {
    /// Creates the client; sends nothing.
    ///
    /// # Errors
    /// When the TLS provider or the proxy cannot be set up.
    pub fn new(settings: Settings, keys: Arc<Keyring>) -> reqwest::Result<Self> {
        let (origin, api) = (settings.phlo_url, settings.api_url);
        let phlo = |id| Phlo { id, origin: origin.clone(), breaker: Breaker::default() };
        let (mut phlos, mut brands) = (HashMap::new(), HashMap::new());
        for (app, own) in settings.apps {
            phlos.extend(own.phlo_id.map(|id| (app.clone(), phlo(id))));
            brands.extend(own.brand.map(|brand| (app, brand)));
        }
        Ok(Self {
            client: Client::new(api, settings.auth_id, settings.auth_token, settings.timeout, &settings.proxy)?,
            keys,
            from: settings.from,
            senders: settings.senders,
            dlt: settings.dlt,
            phlo: settings.phlo_id.map(phlo),
            phlos,
            public_url: settings.public_url,
            brand: settings.brand,
            brands,
            voice_confirm: settings.voice_confirm,
            languages: settings.languages,
            message_breaker: Breaker::default(),
            call_breaker: Breaker::default(),
            list_reads: list::Reads::default(),
        })
    }

    /// Gives the current thread connections of its own, which its runtime drives.
    pub fn serve_this_thread(&self) {
        self.client.serve_this_thread();
    }

    /// Uses this auth token for all requests from now on.
    pub fn replace_token(&self, token: SecretString) {
        self.client.replace_token(token);
    }

    /// Requests an attempt, once.
    ///
    /// Uses the PHLO if one is configured, unless `skip_phlo` is set or the PHLO's circuit breaker is open; otherwise the
    /// Message or the Call API.
    pub async fn trigger(&self, trigger: &Trigger<'_>, skip_phlo: bool) -> Triggered {
        if let Some(phlo) = self.phlo_of(trigger.app).filter(|_| !skip_phlo)
            && phlo.breaker.admit(Instant::now()).is_ok()
        {
            let reply = self.run(phlo, trigger).await;
            phlo.breaker.record(&reply, Instant::now());
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
                let reply = self.trigger_directly(trigger).await;
                breaker.record(&reply, Instant::now());
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

    /// Whether the API that is tried first has been failing, so that waiting for it is not worthwhile.
    pub fn is_failing(&self, app: &str, channel: Channel) -> bool {
        self.phlo_of(app).map_or(self.breaker(channel), |phlo| &phlo.breaker).is_open()
    }

    /// Looks up the message or call UUID of a PHLO run.
    pub async fn find_provider_id(&self, app: &str, run_id: &str, channel: Channel) -> Option<String> {
        let Phlo { id, origin, .. } = self.phlo_of(app)?;
        phlo::find_provider_id(&self.client, origin, id, run_id, channel).await
    }

    /// Cancels a call that is queued or ringing, by its request or call UUID.
    pub async fn cancel_call(&self, uuid: &str) -> Reply {
        call::cancel(&self.client, uuid).await
    }

    /// Whether a key must be pressed before a call speaks the code.
    pub fn requires_key_press(&self) -> bool {
        self.voice_confirm
    }

    /// The XML for an answered call: the code while the verification is pending, else a good-bye.
    pub fn spoken_code(&self, v: &Verification, to: AttemptRef) -> String {
        let language = self.language_of(&v.details, &v.to);
        match v.pending() {
            Some(pending) => answer::spoken_code(language, self.brand_of(&v.app), &pending.code, &self.answer_url(to)),
            None => answer::goodbye(language),
        }
    }

    /// The XML that asks for a key press before the code is spoken.
    pub fn key_press_prompt(&self, v: &Verification, to: AttemptRef) -> String {
        answer::key_press_prompt(self.language_of(&v.details, &v.to), self.brand_of(&v.app), &self.answer_url(to))
    }

    /// The XML for a call without a code to speak, in the verification's language if it is known.
    pub fn goodbye(&self, v: Option<&Verification>) -> String {
        answer::goodbye(v.map_or_else(|| self.languages.of(""), |v| self.language_of(&v.details, &v.to)))
    }

    /// The URL at which Plivo fetches the XML of a call. It contains a ref, never a code.
    fn answer_url(&self, to: AttemptRef) -> String {
        self.callback_url("answer", to, Purpose::Answer)
    }

    fn callback_url(&self, path: &str, to: AttemptRef, purpose: Purpose) -> String {
        format!("{}/plivo/{path}/{}", self.public_url, reference::issue(&self.keys, to, purpose))
    }

    /// The language that was asked for, or the main one of the number's country.
    fn language_of(&self, details: &Details, to: &PhoneNumber) -> &Language {
        self.languages.of(&locale_or_main(&details.locale, to.country()))
    }

    fn phlo_of(&self, app: &str) -> Option<&Phlo> {
        self.phlos.get(app).or(self.phlo.as_ref())
    }

    fn brand_of(&self, app: &str) -> Option<&str> {
        self.brands.get(app).or(self.brand.as_ref()).map(String::as_str)
    }

    fn breaker(&self, channel: Channel) -> &Breaker {
        match channel {
            Channel::Sms => &self.message_breaker,
            Channel::Call => &self.call_breaker,
        }
    }

    async fn run(&self, phlo: &Phlo, trigger: &Trigger<'_>) -> Reply {
        let text = self.text(trigger);
        let run = phlo::RunRequest {
            from: self.source_of_run(trigger),
            to: trigger.to.e164(),
            otp: trigger.code.reveal(),
            mode: trigger.channel.as_str(),
            reference: &reference::issue(&self.keys, trigger.attempt, Purpose::Phlo),
            text: &text,
            language: self.language_of(trigger.details, trigger.to).speech_tag(),
        };
        phlo::run(&self.client, &phlo.origin, &phlo.id, &run).await
    }

    async fn trigger_directly(&self, trigger: &Trigger<'_>) -> Reply {
        let (to, country) = (trigger.attempt, trigger.to.country());
        match trigger.channel {
            Channel::Sms => {
                let usual = SenderId::Source(self.from.e164().to_owned());
                let sender = self.senders.of_text(country).unwrap_or(&usual);
                let text = self.text(trigger);
                let report_url = self.callback_url("message", to, Purpose::Message);
                let dlt = message::dlt_for(country, &self.dlt);
                let message = message::MessageRequest::new(sender, trigger.to.e164(), &text, &report_url, dlt);
                message::send(&self.client, &message).await
            }
            Channel::Call => {
                let from = self.senders.of_call(country).unwrap_or(self.from.e164());
                let (answer_url, report_url) = (self.answer_url(to), self.callback_url("call", to, Purpose::Call));
                let call = call::CallRequest::new(from, trigger.to.e164(), &answer_url, &report_url);
                call::place(&self.client, &call).await
            }
        }
    }

    fn text(&self, trigger: &Trigger<'_>) -> String {
        let language = self.language_of(trigger.details, trigger.to);
        text::message(language, trigger.code, self.brand_of(trigger.app), trigger.details)
    }

    /// The source of a run: the nodes of the flow accept a number or a name, but no Powerpack.
    fn source_of_run(&self, trigger: &Trigger<'_>) -> &str {
        let country = trigger.to.country();
        let source = match trigger.channel {
            Channel::Sms => self.senders.of_text(country).and_then(SenderId::source),
            Channel::Call => self.senders.of_call(country),
        };
        source.unwrap_or(self.from.e164())
    }
}
