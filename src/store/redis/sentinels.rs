//! Subscriptions to the sentinels: an announced failover makes all connections ask again which server is the master.
//!
//! Without them a connection to a demoted master stays until that refuses writes, which Sentinel lets happen ten seconds after
//! a planned failover.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_redis::redis::RedisResult;
use futures_util::StreamExt;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info};

use super::topology::{Sentinels, Topology};

/// The pause before a sentinel that does not answer is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// Subscribes to every sentinel of a topology. `epoch` advances when one of them announces another master.
pub(super) fn subscribe(
    topology: &Arc<Topology>,
    epoch: &Arc<AtomicU64>,
    runtime: &Handle,
) -> Vec<AbortOnDropHandle<()>> {
    let Topology::Sentinel(sentinels) = &**topology else { return Vec::new() };
    let listen = |index: usize| {
        let (topology, epoch) = (Arc::clone(topology), Arc::clone(epoch));
        AbortOnDropHandle::new(runtime.spawn(async move {
            let Topology::Sentinel(sentinels) = &*topology else { return };
            loop {
                let Err(error) = listen_to(sentinels, index, &epoch).await;
                debug!(category = error.category(), "a sentinel announces nothing to this process; it is asked again");
                tokio::time::sleep(RETRY).await;
            }
        }))
    };
    (0..sentinels.addresses.len()).map(listen).collect()
}

async fn listen_to(sentinels: &Sentinels, index: usize, epoch: &AtomicU64) -> RedisResult<Infallible> {
    let mut subscription = sentinels.client(index)?.get_async_pubsub().await?;
    subscription.subscribe("+switch-master").await?;
    let mut announced = subscription.on_message();
    while let Some(message) = announced.next().await {
        // `main 127.0.0.1 6379 127.0.0.1 6380`
        let payload: String = message.get_payload()?;
        if payload.split(' ').next() == Some(&sentinels.name) {
            sentinels.note_announcer(index);
            epoch.fetch_add(1, Ordering::AcqRel);
            info!(event = "redis_master_switched", "a sentinel announces another Redis master");
        }
    }
    Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into())
}
