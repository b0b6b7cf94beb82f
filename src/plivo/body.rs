//! Reads the bodies of Plivo's answers up to a bound.
//!
//! What answers may be a gateway or a proxy, and several answers are awaited at once: none may take the memory of the
//! process.

use reqwest::Response;

/// The largest body that is read. Plivo's largest answers, lists of 20 messages, have about 20 KB.
const BODY_MAX: usize = 256 * 1024;

/// The whole body; `None` when it breaks off or is larger than 256 KiB.
pub async fn read(mut response: Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > BODY_MAX {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}
