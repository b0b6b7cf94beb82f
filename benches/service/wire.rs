//! Just enough of HTTP/1.1 for a load generator: it shares the processors with what it measures.

use std::io::{Read, Write};
use std::net::TcpStream;

/// A kept-alive connection that reads messages with a `Content-Length`.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// A request or a response.
pub struct Message<'a> {
    /// The first line, such as `HTTP/1.1 200 OK`.
    pub first_line: &'a str,
    pub body: &'a str,
}

impl Message<'_> {
    /// The status of a response.
    pub fn status(&self) -> u16 {
        let status = self.first_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no HTTP response: {}", self.first_line))
    }
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket without delay");
        Self { stream, buffer: vec![0; 16 * 1024], filled: 0 }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the peer reads");
    }

    /// Reads one message and hands it to `read`; `None` if the peer has closed the connection.
    pub fn receive<T>(&mut self, read: impl FnOnce(&Message<'_>) -> T) -> Option<T> {
        let (head, end) = loop {
            if let Some(bounds) = bounds(&self.buffer[..self.filled]) {
                break bounds;
            }
            if self.filled == self.buffer.len() {
                self.buffer.resize(self.filled * 2, 0);
            }
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) | Err(_) => return None,
                Ok(bytes) => self.filled += bytes,
            }
        };
        let text = std::str::from_utf8(&self.buffer[..end]).expect("text");
        let first_line = text.lines().next().unwrap_or_default();
        let result = read(&Message { first_line, body: &text[head..] });
        self.buffer.copy_within(end..self.filled, 0);
        self.filled -= end;
        Some(result)
    }
}

/// The ends of the head and of the body, if the message is complete.
fn bounds(bytes: &[u8]) -> Option<(usize, usize)> {
    const NAME: &[u8] = b"\r\ncontent-length:";
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let at = bytes[..head].windows(NAME.len()).position(|name| name.eq_ignore_ascii_case(NAME));
    let length = at.map_or(0, |at| {
        let digits = bytes[at + NAME.len()..head].iter().skip_while(|b| **b == b' ').take_while(|b| b.is_ascii_digit());
        digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
    });
    (bytes.len() >= head + length).then_some((head, head + length))
}
