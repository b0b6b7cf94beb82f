//! Rolling restarts behind a proxy that never retries: no request fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::fleet::Fleet;
use crate::support::client;
use crate::world::API_KEY;

/// How often the proxy asks for `/readyz`.
const PROBE_EVERY: Duration = Duration::from_millis(500);
const SETTINGS: &[(&str, &str)] = &[("ESCALATION", "never"), ("DRAIN_SECONDS", "2")];

/// Connects each client to the next replica that was ready at its last probe.
struct Proxy {
    replicas: Vec<(SocketAddr, AtomicBool)>,
    next: AtomicUsize,
}

impl Proxy {
    async fn start(replicas: Vec<SocketAddr>) -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let replicas = replicas.into_iter().map(|replica| (replica, AtomicBool::new(true))).collect();
        let proxy = Arc::new(Self { replicas, next: AtomicUsize::new(0) });
        for n in 0..proxy.replicas.len() {
            let proxy = Arc::clone(&proxy);
            tokio::spawn(async move { proxy.probe(n).await });
        }
        let accepting = Arc::clone(&proxy);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let proxy = Arc::clone(&accepting);
                tokio::spawn(async move {
                    // A connection that fails is not tried elsewhere.
                    if let Ok(mut replica) = TcpStream::connect(proxy.choose()).await {
                        let _ = copy_bidirectional(&mut client, &mut replica).await;
                    }
                });
            }
        });
        (proxy, url)
    }

    async fn probe(&self, n: usize) {
        let (replica, is_ready) = &self.replicas[n];
        let http = client();
        loop {
            let answer = http.get(format!("http://{replica}/readyz")).send().await;
            is_ready.store(answer.is_ok_and(|answer| answer.status() == 200), Ordering::SeqCst);
            tokio::time::sleep(PROBE_EVERY).await;
        }
    }

    fn choose(&self) -> SocketAddr {
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed) % self.replicas.len();
            if self.replicas[n].1.load(Ordering::SeqCst) {
                return self.replicas[n].0;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn twenty_rolling_restarts_fail_no_request() {
    const RESTARTS: usize = 20;
    let mut fleet = Fleet::start(3, SETTINGS).await;
    let replicas = fleet.services.iter().map(|s| s.url.trim_start_matches("http://").parse().unwrap()).collect();
    let (proxy, url) = Proxy::start(replicas).await;

    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for client_number in 0..4 {
        let (url, is_over) = (url.clone(), Arc::clone(&is_over));
        clients.spawn(async move {
            // It keeps its connections, as a back end does.
            let (http, mut failed, mut sent) = (client(), Vec::new(), 0_usize);
            while !is_over.load(Ordering::SeqCst) {
                let to = format!("+1{}{:03}0100", [212, 305, 415, 617][client_number], 220 + sent % 700);
                let request = http.post(format!("{url}/v1/verifications")).bearer_auth(API_KEY);
                match request.json(&json!({ "to": to })).send().await {
                    Ok(answer) if answer.status().is_success() => {}
                    Ok(answer) => failed.push(answer.status().to_string()),
                    Err(error) => failed.push(format!("{error:?}")),
                }
                sent += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            (sent, failed)
        });
    }
    for n in 0..RESTARTS {
        let service = &mut fleet.services[n % 3];
        service.process.terminate();
        assert!(service.process.end().await.success(), "{}", service.process.log());
        service.start_again().await;
        service.until_ready().await;
        while !proxy.replicas[n % 3].1.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    is_over.store(true, Ordering::SeqCst);
    let (mut sent, mut failed) = (0, Vec::new());
    while let Some(client) = clients.join_next().await {
        let (of_client, failed_of_client) = client.unwrap();
        sent += of_client;
        failed.extend(failed_of_client);
    }
    println!("restarts: {RESTARTS} behind a proxy that does not retry: {sent} requests, {} failed", failed.len());
    assert_eq!(failed, Vec::<String>::new());
}
