//! Connections: how many are served at once, how many of one peer, and how long one may be idle.
//!
//! actix bounds the first head of a connection and the silence between two requests. It does not bound a later head
//! that arrives byte by byte, a refused body that never ends, or an answer that the client does not read. So every
//! connection is looked at once a second. It is closed when it has had no request and no pending answer for too long.
//!
//! A peer at its maximum closes its own oldest silent connection with each new one, so that silent ones starve neither
//! other peers nor the peer itself.

use std::any::Any;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, Shutdown};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use actix_web::dev::Extensions;
use ipnet::IpNet;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;
use tokio::net::TcpStream;
use tracing::{debug, warn};

use super::connection::Connection;

/// How long the first head of a connection may take to arrive.
pub const HEAD_MAX: Duration = Duration::from_secs(10);
/// How long a connection may be silent between two requests.
pub const KEEP_ALIVE: Duration = Duration::from_secs(25);
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How long a connection may be silent once places run short.
const SILENT_MAX: Duration = Duration::from_secs(2);
/// How many connections are served at once, if the process may open enough files. More wait in the kernel's queue.
/// The HTTP library may hold 128 KiB of unread data for each.
const CONNECTIONS_MAX: u64 = 4096;
/// File descriptors kept for the store, for Plivo and for the program itself.
const OTHER_FILES: u64 = 256;
/// A connection has two file descriptors: actix holds one, and [`Connection`] the one that it closes.
const FILES_PER_CONNECTION: u64 = 2;

/// Every open connection.
pub struct Connections {
    /// How many each worker serves.
    places_per_worker: usize,
    /// How many all workers serve.
    places: usize,
    per_peer: usize,
    /// Proxies, which connect for many clients.
    trusted: Vec<IpNet>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    by_peer: HashMap<IpAddr, Vec<Weak<Connection>>>,
    /// New connections since the last check that replaced a silent one of their peer, or were closed themselves.
    over_maximum: usize,
    last_over_maximum: Option<IpAddr>,
}

impl Connections {
    /// Divides the places among `workers`, and gives each peer that is not `trusted` at most `per_peer`, and half of all.
    ///
    /// Raises the process' limit of open files as far as that needs and the system allows.
    pub fn new(workers: usize, per_peer: usize, trusted: Vec<IpNet>) -> Self {
        let workers = workers.max(1);
        let places_per_worker = (places() / workers).max(16);
        let places = places_per_worker * workers;
        Self { places_per_worker, places, per_peer: per_peer.min(places / 2), trusted, open: Mutex::default() }
    }

    /// How many connections each worker may serve.
    pub fn places_per_worker(&self) -> usize {
        self.places_per_worker
    }

    /// Starts to watch a new connection; for `HttpServer::on_connect`.
    pub fn watch(&self, io: &dyn Any, extensions: &mut Extensions) {
        let Some(stream) = io.downcast_ref::<TcpStream>() else { return };
        match self.admit(stream) {
            Some(connection) => drop(extensions.insert(connection)),
            // A connection that could not be closed later is not served either.
            None => drop(SockRef::from(stream).shutdown(Shutdown::Both)),
        }
    }

    /// Registers a connection; `None` if its peer is gone, or has too many that are in use.
    fn admit(&self, stream: &TcpStream) -> Option<Arc<Connection>> {
        let address = stream.peer_addr().ok()?.ip().to_canonical();
        let (peer, is_trusted) = (peer(address), self.trusted.iter().any(|network| network.contains(&address)));
        let mut open = self.open();
        let of_peer = open.by_peer.entry(peer).or_default();
        let mut is_admitted = true;
        if !is_trusted && of_peer.len() >= self.per_peer {
            of_peer.retain(|one| one.strong_count() > 0);
            if of_peer.len() >= self.per_peer {
                is_admitted = close_most_silent(of_peer);
                (open.over_maximum, open.last_over_maximum) = (open.over_maximum + 1, Some(address));
            }
        }
        let connection = Connection::open(stream).filter(|_| is_admitted)?;
        open.by_peer.entry(peer).or_default().push(Arc::downgrade(&connection));
        Some(connection)
    }

    /// Closes idle connections; never returns.
    pub async fn close_idle(&self) {
        let mut checks = tokio::time::interval(CHECK_EVERY);
        loop {
            checks.tick().await;
            self.check();
        }
    }

    fn check(&self) {
        let mut open = self.open();
        let mut waiting = Vec::new();
        let mut count = 0_usize;
        open.by_peer.retain(|_, of_peer| {
            of_peer.retain(|one| match one.upgrade() {
                Some(connection) if connection.is_idle_for_too_long() => {
                    debug!(event = "connection_closed", "the connection had no request for too long");
                    connection.close();
                    false
                }
                Some(connection) => {
                    count += 1;
                    waiting.extend(connection.waiting().map(|waiting| (waiting, connection)));
                    true
                }
                None => false,
            });
            !of_peer.is_empty()
        });
        let (over_maximum, peer) = (std::mem::take(&mut open.over_maximum), open.last_over_maximum.take());
        drop(open);
        if let Some(peer) = peer {
            warn!(event = "peer_at_connections_maximum", %peer, over_maximum,
                "a peer opens more connections than CONNECTIONS_PER_PEER; if it is a proxy, add it to TRUSTED_PROXIES");
        }
        // Some places stay free, so that a client does not wait for the next check.
        let excess = count.saturating_sub(self.places / 4 * 3);
        if excess == 0 {
            return;
        }
        waiting.retain(|(waiting, _)| waiting.duration() > SILENT_MAX);
        waiting.sort_unstable_by_key(|(waiting, _)| *waiting);
        // Of those without any request all: as many may wait in the kernel's queue, before the next client.
        let without_request = waiting.partition_point(|(waiting, _)| waiting.is_for_first());
        let closed = waiting.iter().take(excess.max(without_request)).map(|(_, connection)| connection.close()).count();
        if closed > 0 {
            warn!(event = "silent_connections_closed", closed, open = count, "places for connections run short");
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the connection that has waited longest for a request, first of those that never had one.
///
/// One that had a request is kept for [`SILENT_MAX`]. Returns whether there was one to close.
fn close_most_silent(of_peer: &mut Vec<Weak<Connection>>) -> bool {
    let waiting = of_peer.iter().enumerate().filter_map(|(i, one)| Some((one.upgrade()?.waiting()?, i)));
    let closable = waiting.filter(|(waiting, _)| waiting.is_for_first() || waiting.duration() > SILENT_MAX);
    let Some((_, i)) = closable.min() else { return false };
    let closed = of_peer.swap_remove(i).upgrade();
    closed.iter().for_each(|connection| connection.close());
    true
}

/// The addresses of one subscriber: an IPv4 address, or the 64-bit prefix of an IPv6 site.
fn peer(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// How many connections the process can serve.
fn places() -> usize {
    let wanted = CONNECTIONS_MAX * FILES_PER_CONNECTION + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let mut files = current.unwrap_or(u64::MAX);
    if files < wanted {
        let more = wanted.min(maximum.unwrap_or(u64::MAX));
        if setrlimit(Resource::Nofile, Rlimit { current: Some(more), maximum }).is_ok() {
            files = more;
        }
    }
    let connections = (files.saturating_sub(OTHER_FILES) / FILES_PER_CONNECTION).clamp(64, CONNECTIONS_MAX);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    /// A connection of this process, as server and client hold it.
    async fn connected(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, client)
    }

    async fn is_closed(client: &mut TcpStream) -> bool {
        tokio::time::timeout(Duration::from_millis(50), client.read(&mut [0])).await.is_ok()
    }

    fn connections(places: usize, per_peer: usize, trusted: &str) -> Connections {
        let trusted = trusted.split_whitespace().map(|network| network.parse().unwrap()).collect();
        Connections { places_per_worker: places, places, per_peer, trusted, open: Mutex::default() }
    }

    #[tokio::test]
    async fn a_peer_at_its_maximum_replaces_its_oldest_silent_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (connections, mut kept, mut clients) = (connections(100, 3, ""), Vec::new(), Vec::new());
        for n in 0..4 {
            let (server, client) = connected(&listener).await;
            let connection = connections.admit(&server);
            assert!(connection.is_some(), "{n}");
            kept.push((server, connection));
            clients.push(client);
        }
        assert!(is_closed(&mut clients[0]).await, "the oldest is closed");
        assert!(!is_closed(&mut clients[1]).await && !is_closed(&mut clients[3]).await);
    }

    #[tokio::test]
    async fn the_maximum_per_peer_does_not_hold_for_a_trusted_proxy() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (connections, mut kept) = (connections(100, 3, "127.0.0.0/8"), Vec::new());
        for _ in 0..20 {
            let (server, client) = connected(&listener).await;
            kept.push((connections.admit(&server).unwrap(), server, client));
        }
        for (.., client) in &mut kept {
            assert!(!is_closed(client).await);
        }
    }

    #[test]
    fn addresses_of_one_ipv6_site_are_one_peer() {
        let parsed = |text: &str| peer(text.parse().unwrap());
        assert_eq!(parsed("2001:db8:1:2::9"), parsed("2001:db8:1:2:ffff::1"));
        assert_ne!(parsed("2001:db8:1:2::9"), parsed("2001:db8:1:3::9"));
        assert_ne!(parsed("192.0.2.1"), parsed("192.0.2.2"));
    }
}
