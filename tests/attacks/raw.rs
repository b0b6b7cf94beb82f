//! Requests as raw bytes, for those that no HTTP client makes.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An HTTP response, as far as it can be read.
pub struct Response {
    /// 0 if no status line arrived.
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head, body: bytes.get(end + 4..).unwrap_or_default().to_vec() }
    }

    /// A header; empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }
}

pub async fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.trim_start_matches("http://")).await.unwrap()
}

/// Connects, sends the request, closes the sending side, and reads to the end; `None` if the end does not come in time.
pub async fn ask(url: &str, request: &[u8], patience: Duration) -> Option<Response> {
    exchange(&mut connect(url).await, request, patience).await
}

/// The same on a connection.
pub async fn exchange(stream: &mut TcpStream, request: &[u8], patience: Duration) -> Option<Response> {
    let (mut from, mut to) = stream.split();
    let mut answer = Vec::new();
    let exchange = async {
        // The service may refuse the request before all of it is written.
        let writing = async {
            let _ = to.write_all(request).await;
            let _ = to.shutdown().await;
        };
        let (_, _) = tokio::join!(writing, from.read_to_end(&mut answer));
    };
    tokio::time::timeout(patience, exchange).await.ok()?;
    Some(Response::read(&answer))
}
