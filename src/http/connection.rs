//! [`Connection`]: one open connection, what it did last, and how it is closed.

use std::cmp::Reverse;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use socket2::{SockRef, Socket};
use tokio::net::TcpStream;

/// How long it may take from one answer to the next complete request, whatever arrives meanwhile.
const IDLE_MAX: Duration = Duration::from_secs(27);
/// The same after a body took too long or was too large: actix still reads the rest of it, without a size limit.
const DISCARD_MAX: Duration = Duration::from_secs(5);
/// How long sent data may stay unacknowledged: ends streams whose reader is gone or does not read.
#[cfg(target_os = "linux")]
const UNREAD_MAX: Duration = Duration::from_secs(30);

/// An open connection. actix holds its socket, and this a second file descriptor of it.
pub struct Connection {
    socket: Socket,
    opened: Instant,
    /// The last request or answer, in milliseconds since `opened`.
    last_active_ms: AtomicU64,
    has_requested: AtomicBool,
    in_flight: AtomicUsize,
    /// What the client still sends belongs to a request that was refused.
    is_discarding: AtomicBool,
}

/// What a connection without a request in flight is waiting for. The first one is closed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waiting {
    /// For its first complete request, for this long.
    ForFirstRequest(Reverse<Duration>),
    /// For its next one, for this long since the last answer.
    ForNextRequest(Reverse<Duration>),
}

impl Waiting {
    /// Whether it never had a request.
    pub fn is_for_first(self) -> bool {
        matches!(self, Self::ForFirstRequest(_))
    }

    /// For how long.
    pub fn duration(self) -> Duration {
        let (Self::ForFirstRequest(duration) | Self::ForNextRequest(duration)) = self;
        duration.0
    }
}

impl Connection {
    /// Takes a second file descriptor of the socket; `None` where there is none left.
    pub fn open(stream: &TcpStream) -> Option<Arc<Self>> {
        let socket = SockRef::from(stream);
        #[cfg(target_os = "linux")]
        let _ = socket.set_tcp_user_timeout(Some(UNREAD_MAX));
        Some(Arc::new(Self {
            socket: socket.try_clone().ok()?,
            opened: Instant::now(),
            last_active_ms: AtomicU64::default(),
            has_requested: AtomicBool::default(),
            in_flight: AtomicUsize::default(),
            is_discarding: AtomicBool::default(),
        }))
    }

    /// Closes it in both directions; actix then drops it.
    pub fn close(&self) {
        // Fails only where the client was faster.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// What it is waiting for; `None` while a request is in flight.
    pub fn waiting(&self) -> Option<Waiting> {
        if self.in_flight.load(Ordering::Acquire) > 0 {
            return None;
        }
        let last_active = Duration::from_millis(self.last_active_ms.load(Ordering::Relaxed));
        let since = Reverse(self.opened.elapsed().saturating_sub(last_active));
        let has_requested = self.has_requested.load(Ordering::Relaxed);
        Some(if has_requested { Waiting::ForNextRequest(since) } else { Waiting::ForFirstRequest(since) })
    }

    /// Whether it has had no request for longer than any client needs.
    pub fn is_idle_for_too_long(&self) -> bool {
        let limit = if self.is_discarding.load(Ordering::Relaxed) { DISCARD_MAX } else { IDLE_MAX };
        self.waiting().is_some_and(|waiting| waiting.duration() > limit)
    }

    fn touch(&self) {
        let ms = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_active_ms.store(ms, Ordering::Relaxed);
    }
}

/// A request in flight: its connection is not idle until this is dropped.
pub struct InFlight(Arc<Connection>);

impl InFlight {
    /// Starts with a request; `None` where connections are not watched.
    pub fn begin(request: &HttpRequest) -> Option<Self> {
        let connection = Arc::clone(request.conn_data::<Arc<Connection>>()?);
        connection.in_flight.fetch_add(1, Ordering::AcqRel);
        connection.has_requested.store(true, Ordering::Relaxed);
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
