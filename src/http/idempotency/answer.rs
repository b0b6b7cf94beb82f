//! [`StoredAnswer`]: an answer as the store keeps it for a repetition.

use std::io::{Read, Write};

use actix_web::HttpResponse;
use actix_web::body::{BoxBody, to_bytes};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use crate::keyring::Keyring;
use crate::store::StoreError;

/// Marks an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The parts of an answer that a repetition gets.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredAnswer {
    status: u16,
    media: String,
    location: Option<String>,
    body: String,
}

impl StoredAnswer {
    /// Copies a response; `None` if its body is not text.
    pub(super) async fn of(response: &mut HttpResponse) -> Option<Self> {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (status, media, location) = (response.status().as_u16(), header(CONTENT_TYPE), header(LOCATION));
        let taken = std::mem::replace(response, HttpResponse::new(response.status()));
        let (head, body) = taken.into_parts();
        let body = to_bytes(body).await.ok()?;
        *response = head.set_body(BoxBody::new(body.clone()));
        Some(Self { status, media: media.unwrap_or_default(), location, body: String::from_utf8(body.to_vec()).ok()? })
    }

    /// The same answer, marked as a repetition.
    pub(super) fn replay(self) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or_default());
        if let Some(location) = self.location {
            response.insert_header((LOCATION, location));
        }
        response.insert_header((CONTENT_TYPE, self.media)).insert_header((REPLAYED, "true")).body(self.body)
    }

    /// Compresses it and seals it under the name of its value.
    ///
    /// Half of an answer are the names of its fields: deflated, a creation's answer takes 616 bytes in Redis, not 1000.
    pub(super) fn seal(&self, keyring: &Keyring, name: &str) -> Vec<u8> {
        let plain = rmp_serde::to_vec(self).unwrap_or_default();
        let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
        // Writing to memory cannot fail.
        let _ = deflated.write_all(&plain);
        keyring.seal(&deflated.finish().unwrap_or_default(), name.as_bytes())
    }

    /// Reads a sealed answer.
    ///
    /// # Errors
    /// When no key opens it, or another version wrote it.
    pub(super) fn open(sealed: &[u8], keyring: &Keyring, name: &str) -> Result<Self, StoreError> {
        let opened = keyring.open(sealed, name.as_bytes());
        let deflated = opened.map_err(|_| StoreError::Unreadable("no SECRET_KEY opens it"))?;
        let mut plain = Vec::new();
        let is_read = DeflateDecoder::new(&deflated[..]).read_to_end(&mut plain).is_ok();
        let answer = rmp_serde::from_slice(&plain).ok().filter(|_| is_read);
        answer.ok_or(StoreError::Unreadable("is of a shape this version does not know"))
    }
}
