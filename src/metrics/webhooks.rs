//! The metrics of webhooks.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::webhook::{DeliveryFailure, WebhookReceipt};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookLabels {
    event: &'static str,
    result: &'static str,
}

/// Requests to receivers of webhooks.
pub struct WebhookMetrics {
    requests: Family<WebhookLabels, Counter>,
    took: Histogram,
    given_up: Counter,
}

impl Default for WebhookMetrics {
    fn default() -> Self {
        Self { requests: Family::default(), took: Histogram::new(super::MACHINE_SECONDS), given_up: Counter::default() }
    }
}

impl WebhookMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Requests to receivers of webhooks, by event and result";
        registry.register("webhook_requests", help, self.requests.clone());
        let help = "Duration of requests to receivers of webhooks";
        registry.register("webhook_request_duration_seconds", help, self.took.clone());
        let help = "Events that no receiver has taken for a day";
        registry.register("webhooks_given_up", help, self.given_up.clone());
    }

    /// Counts one event that was given up.
    pub fn given_up(&self) {
        self.given_up.inc();
    }

    /// Records one request; `event` comes from a fixed list.
    pub fn request(&self, event: &'static str, receipt: &WebhookReceipt) {
        let result = receipt.failure.map_or("delivered", DeliveryFailure::as_str);
        self.requests.get_or_create(&WebhookLabels { event, result }).inc();
        self.took.observe(receipt.took.as_secs_f64());
    }
}
