//! The process's listening socket and its signals.

use std::net::{SocketAddr, TcpListener};

use anyhow::Context;
use socket2::{Domain, Socket, Type};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Connections that may wait to be accepted. A burst of clients exceeds the standard library's 128 at once, and the kernel
/// drops the excess without an error.
const BACKLOG: i32 = 1024;

/// Listens on the address of `BIND`.
pub fn listen(bind: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = || {
        let socket = Socket::new(Domain::for_address(bind), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&bind.into())?;
        socket.listen(BACKLOG)?;
        Ok::<_, std::io::Error>(socket.into())
    };
    socket().with_context(|| format!("BIND: cannot listen on {bind}, set another, such as 127.0.0.1:8090"))
}

/// Resolve on the first and on the second SIGTERM or Ctrl-C.
///
/// They count signals from the call on, so that one during the start is not lost.
pub fn stop_signals() -> (impl Future<Output = ()>, impl Future<Output = ()>) {
    let [mut terminated, mut interrupted] = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let (first, second) = (CancellationToken::new(), CancellationToken::new());
    let each = [first.clone(), second.clone()];
    tokio::spawn(async move {
        for token in each {
            tokio::select! {
                () = next(&mut terminated) => {}
                () = next(&mut interrupted) => {}
            }
            token.cancel();
        }
    });
    (first.cancelled_owned(), second.cancelled_owned())
}

/// The next signal of a kind; never, if the kind could not be registered.
async fn next(registered: &mut std::io::Result<Signal>) {
    match registered {
        Ok(signal) => _ = signal.recv().await,
        Err(_) => std::future::pending().await,
    }
}

/// Receives SIGHUP from the call on; it then no longer ends the process.
pub fn reload_signal() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}
