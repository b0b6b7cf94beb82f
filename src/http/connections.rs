//! Connections: how many there are at most, and how long one may go without asking for anything.
//!
//! actix bounds the first head of a connection and the silence between two requests. It does not bound a later head
//! that comes byte by byte, a refused body that never ends, or an answer that nobody fetches. So every connection is
//! looked at once a second, and closed when it has been owed nothing for too long without a request of its own.

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
/// How long it may take from one answer to the next request that is complete, whatever is sent meanwhile.
const SILENCE_MAX: Duration = Duration::from_secs(27);
/// The same once a body took too long or was too large: actix reads what is left of it, however much that is.
const LINGER_MAX: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long what was sent may stay unfetched: ends streams whose reader is gone or does not read.
const UNREAD_MAX: Duration = Duration::from_secs(30);
/// How many connections are served at once, unless the process may open fewer files. More wait in the kernel's queue.
/// The HTTP library may hold 128 KiB of each that has not been read yet.
const CONNECTIONS_MAX: u64 = 4096;
/// Files that are no connections: the store's, Plivo's, the program's own.
const OTHER_FILES: u64 = 256;
/// A connection is held twice: by actix, and here to close it by.
const FILES_EACH: u64 = 2;

/// Every connection there is.
#[derive(Default)]
pub struct Connections(Mutex<Vec<Weak<Connection>>>);

struct Connection {
    socket: Socket,
    opened: Instant,
    /// When it last asked for something or was answered, in milliseconds since then.
    moved_ms: AtomicU64,
    answering: AtomicUsize,
    /// What it sends now belongs to a request that was given up.
    is_given_up: AtomicBool,
}

impl Connections {
    /// How many each of `workers` may serve, after the process' limit of open files has been raised as far as
    /// that takes and the system lets it.
    pub fn for_each_of(workers: usize) -> usize {
        let wanted = CONNECTIONS_MAX * FILES_EACH + OTHER_FILES;
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let mut files = current.unwrap_or(u64::MAX);
        if files < wanted {
            let more = wanted.min(maximum.unwrap_or(u64::MAX));
            if setrlimit(Resource::Nofile, Rlimit { current: Some(more), maximum }).is_ok() {
                files = more;
            }
        }
        let connections = (files.saturating_sub(OTHER_FILES) / FILES_EACH).clamp(64, CONNECTIONS_MAX);
        (usize::try_from(connections).unwrap_or(usize::MAX) / workers.max(1)).max(16)
    }

    /// Begins to look after a connection; for `HttpServer::on_connect`.
    pub fn watch(&self, io: &dyn Any, extensions: &mut Extensions) {
        let Some(stream) = io.downcast_ref::<TcpStream>() else { return };
        let socket = SockRef::from(stream);
        #[cfg(target_os = "linux")]
        let _ = socket.set_tcp_user_timeout(Some(UNREAD_MAX));
        let Ok(held) = socket.try_clone() else {
            // One that cannot be closed later is not begun.
            let _ = socket.shutdown(Shutdown::Both);
            return;
        };
        let connection = Arc::new(Connection {
            socket: held,
            opened: Instant::now(),
            moved_ms: AtomicU64::default(),
            answering: AtomicUsize::default(),
            is_given_up: AtomicBool::default(),
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&connection));
        extensions.insert(connection);
    }

    /// Closes those that have been idle for too long, for ever.
    pub async fn look_after(&self) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            every.tick().await;
            self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|one| match one.upgrade() {
                Some(connection) if connection.is_useless() => {
                    debug!(event = "connection_closed", "it asked for nothing for too long");
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
    fn moved(&self) {
        let ms = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(ms, Ordering::Relaxed);
    }

    /// Whether it has neither asked nor been owed an answer for too long.
    fn is_useless(&self) -> bool {
        if self.answering.load(Ordering::Acquire) > 0 {
            return false;
        }
        let idle = self.opened.elapsed().saturating_sub(Duration::from_millis(self.moved_ms.load(Ordering::Relaxed)));
        idle > if self.is_given_up.load(Ordering::Relaxed) { LINGER_MAX } else { SILENCE_MAX }
    }
}

/// A request under way: while there is one its connection is not idle.
pub struct Answering(Arc<Connection>);

impl Answering {
    /// Begins with a request; `None` where nobody watches connections.
    pub fn begin(request: &HttpRequest) -> Option<Self> {
        let connection = Arc::clone(request.conn_data::<Arc<Connection>>()?);
        connection.answering.fetch_add(1, Ordering::AcqRel);
        connection.is_given_up.store(false, Ordering::Relaxed);
        connection.moved();
        Some(Self(connection))
    }

    /// The answer says that the rest of the request is not wanted.
    pub fn gives_up(&self) {
        self.0.is_given_up.store(true, Ordering::Relaxed);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.moved();
        self.0.answering.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A body that keeps its connection busy while it is being made. One that is whole already does not: whoever wants it
/// has so long to fetch it.
pub struct Busy {
    body: BoxBody,
    _answering: Option<Answering>,
}

impl Busy {
    /// Of a body and what began with its request.
    pub fn with(body: impl MessageBody + 'static, answering: Option<Answering>) -> Self {
        let is_made_on_the_way = body.size() == BodySize::Stream;
        Self { body: body.boxed(), _answering: answering.filter(|_| is_made_on_the_way) }
    }
}

impl MessageBody for Busy {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}
