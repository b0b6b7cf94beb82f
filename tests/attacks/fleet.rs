//! Several replicas on one Redis and one local Plivo, and statistics of latencies.

use std::time::Duration;

use crate::support::redis_server::RedisServer;
use crate::world::{API_KEY, Plivo, Service, plivo_listener};

/// The settings of every attack, which may replace them. Limits only count, because most attacks are not about them.
const SETTINGS: &[(&str, &str)] =
    &[("RUST_LOG", "warn"), ("GUARD", "monitor"), ("DAILY_BUDGET", "1000000"), ("COUNTRIES", "US,GB")];

/// Replicas with the Redis and the Plivo that they share. They end when it is dropped.
pub struct Fleet {
    pub services: Vec<Service>,
    pub plivo: Plivo,
    pub redis: RedisServer,
}

impl Fleet {
    /// Starts replicas with more or other settings, and waits until all are ready.
    pub async fn start(replicas: usize, settings: &[(&str, &str)]) -> Self {
        // `ATTACKED=cluster make test-attacks`: the same against a cluster, where no script spans two slots.
        let redis = match std::env::var("ATTACKED").as_deref() {
            Ok("cluster") => RedisServer::start_cluster(),
            _ => RedisServer::start(),
        };
        let (listener, plivo_url) = plivo_listener();
        let redis_url = redis.url();
        let mut all = vec![("REDIS_URL", &*redis_url), ("PLIVO_API_URL", &*plivo_url), ("PLIVO_PHLO_URL", &*plivo_url)];
        for (name, value) in SETTINGS.iter().chain(settings) {
            all.retain(|(known, _)| known != name);
            all.push((name, value));
        }
        let first = Service::start(&all).await;
        let plivo = Plivo::serve(listener, &first.url, 50.0);
        let public_url = first.url.clone();
        all.push(("PUBLIC_URL", &public_url));
        let mut services = vec![first];
        while services.len() < replicas {
            services.push(Service::start(&all).await);
        }
        for service in &services {
            service.until_ready().await;
        }
        Self { services, plivo, redis }
    }

    /// The replica with this number, modulo their count.
    pub fn service(&self, n: usize) -> &Service {
        &self.services[n % self.services.len()]
    }
}

/// The header line with the app's key.
pub fn authorization() -> String {
    format!("Authorization: Bearer {API_KEY}\r\n")
}

/// Latencies in ascending order.
pub struct Times(Vec<Duration>);

impl Times {
    pub fn of(mut times: Vec<Duration>) -> Self {
        assert!(!times.is_empty());
        times.sort_unstable();
        Self(times)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The latency at this percentile.
    pub fn percentile(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }

    pub fn median(&self) -> Duration {
        self.percentile(50)
    }
}

/// `one` divided by `other`.
pub fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
