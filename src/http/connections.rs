//! Connections: how many are served at once, and how long one may be idle.
//!
//! actix bounds the first head of a connection and the silence between two requests. It does not bound a later head
//! that arrives byte by byte, a refused body that never ends, or an answer that the client does not read. So every
//! connection is looked at once a second. It is closed when it has had no request and no pending answer for too long.

use std::any::Any;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Extensions;
use actix_web::web::Bytes;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{SockRef, Socket};
use tokio::net::TcpStream;
use tracing::debug;

/// How long the first head of a connection may take to arrive.
pub const HEAD_MAX: Duration = Duration::from_secs(10);
/// How long a connection may be silent between two requests.
pub const KEEP_ALIVE: Duration = Duration::from_secs(25);
/// How long it may take from one answer to the next complete request, whatever arrives meanwhile.
const IDLE_MAX: Duration = Duration::from_secs(27);
/// The same after a body took too long or was too large: actix still reads the rest of it, without a size limit.
const DISCARD_MAX: Duration = Duration::from_secs(5);
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How long sent data may stay unacknowledged: ends streams whose reader is gone or does not read.
#[cfg(target_os = "linux")]
const UNREAD_MAX: Duration = Duration::from_secs(30);
/// How many connections are served at once, if the process may open enough files. More wait in the kernel's queue.
/// The HTTP library may hold 128 KiB of unread data for each.
const CONNECTIONS_MAX: u64 = 4096;
/// File descriptors kept for the store, for Plivo and for the program itself.
const OTHER_FILES: u64 = 256;
/// A connection has two file descriptors: actix holds one, and [`Connections`] the one that it closes.
const FILES_PER_CONNECTION: u64 = 2;

/// Every open connection.
#[derive(Default)]
pub struct Connections(Mutex<Vec<Weak<Connection>>>);

struct Connection {
    socket: Socket,
    opened: Instant,
    /// The last request or answer, in milliseconds since `opened`.
    last_active_ms: AtomicU64,
    in_flight: AtomicUsize,
    /// What the client still sends belongs to a request that was refused.
    is_discarding: AtomicBool,
}

impl Connections {
    /// How many connections each of `workers` may serve.
    ///
    /// Raises the process' limit of open files as far as that needs and the system allows.
    pub fn for_each_of(workers: usize) -> usize {
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
        (usize::try_from(connections).unwrap_or(usize::MAX) / workers.max(1)).max(16)
    }

    /// Starts to watch a new connection; for `HttpServer::on_connect`.
    pub fn watch(&self, io: &dyn Any, extensions: &mut Extensions) {
        let Some(stream) = io.downcast_ref::<TcpStream>() else { return };
        let socket = SockRef::from(stream);
        #[cfg(target_os = "linux")]
        let _ = socket.set_tcp_user_timeout(Some(UNREAD_MAX));
        let Ok(held) = socket.try_clone() else {
            // A connection that could not be closed later is not served.
            let _ = socket.shutdown(Shutdown::Both);
            return;
        };
        let connection = Arc::new(Connection {
            socket: held,
            opened: Instant::now(),
            last_active_ms: AtomicU64::default(),
            in_flight: AtomicUsize::default(),
            is_discarding: AtomicBool::default(),
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&connection));
        extensions.insert(connection);
    }

    /// Closes idle connections; never returns.
    pub async fn close_idle(&self) {
        let mut checks = tokio::time::interval(CHECK_EVERY);
        loop {
            checks.tick().await;
            self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|one| match one.upgrade() {
                Some(connection) if connection.is_idle_for_too_long() => {
                    debug!(event = "connection_closed", "the connection had no request for too long");
                    let _ = connection.socket.shutdown(Shutdown::Both);
                    false
                }
                Some(_) => true,
                None => false,
            });
        }
    }
}

impl Connection {
    fn touch(&self) {
        let ms = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_active_ms.store(ms, Ordering::Relaxed);
    }

    fn is_idle_for_too_long(&self) -> bool {
        if self.in_flight.load(Ordering::Acquire) > 0 {
            return false;
        }
        let last_active = Duration::from_millis(self.last_active_ms.load(Ordering::Relaxed));
        let limit = if self.is_discarding.load(Ordering::Relaxed) { DISCARD_MAX } else { IDLE_MAX };
        self.opened.elapsed().saturating_sub(last_active) > limit
    }
}

/// A request in flight: its connection is not idle until this is dropped.
pub struct InFlight(Arc<Connection>);

impl InFlight {
    /// Starts with a request; `None` where connections are not watched.
    pub fn begin(request: &HttpRequest) -> Option<Self> {
        let connection = Arc::clone(request.conn_data::<Arc<Connection>>()?);
        connection.in_flight.fetch_add(1, Ordering::AcqRel);
        connection.is_discarding.store(false, Ordering::Relaxed);
        connection.touch();
        Some(Self(connection))
    }

    /// Notes that the answer refuses the rest of the request's body.
    pub fn discard_rest_of_body(&self) {
        self.0.is_discarding.store(true, Ordering::Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.touch();
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A body that keeps its request in flight while it streams.
///
/// A body that is complete from the start does not: the client has the idle limit to read it.
pub struct TrackedBody {
    body: BoxBody,
    _in_flight: Option<InFlight>,
}

impl TrackedBody {
    /// Wraps the answer to the request of `in_flight`.
    pub fn new(body: impl MessageBody + 'static, in_flight: Option<InFlight>) -> Self {
        let is_streaming = body.size() == BodySize::Stream;
        Self { body: body.boxed(), _in_flight: in_flight.filter(|_| is_streaming) }
    }
}

impl MessageBody for TrackedBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}
