//! `/widget.js`: the script of `<phlo-verify>`, which asks for a number and a code on the page of any site.
//!
//! The script is the files of this folder, joined. Comments and indentation are left out of what is served; nothing else is
//! changed, so a browser's debugger shows the lines of the sources.

use std::io::Write;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, ETag, Encoding, EntityTag,
    HeaderName, IfNoneMatch, VARY,
};
use actix_web::web::{Bytes, Header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// In the order in which one needs the other.
const PARTS: [&str; 7] = [
    include_str!("../fold.js"),
    include_str!("page.js"),
    include_str!("countries.js"),
    include_str!("words.js"),
    include_str!("style.js"),
    include_str!("follower.js"),
    include_str!("widget.js"),
];

/// Seconds. Afterwards a browser asks with the entity tag, and a new version is there within the hour.
const CACHED: &str = "public, max-age=3600";

/// Pages that isolate themselves (COEP) load only what allows it.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The script as it is sent.
struct Script {
    plain: Bytes,
    gzip: Bytes,
    tag: EntityTag,
}

static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let plain = joined();
    let tag = EntityTag::new_weak(URL_SAFE_NO_PAD.encode(Sha256::digest(&plain)));
    Script { gzip: compressed(plain.as_bytes()).into(), plain: plain.into(), tag }
});

/// Sends the script, or 304 to a browser that has it.
pub async fn script(known: Option<Header<IfNoneMatch>>, accepted: Option<Header<AcceptEncoding>>) -> HttpResponse {
    let script = &*SCRIPT;
    let is_known = known.is_some_and(|Header(known)| match known {
        IfNoneMatch::Any => true,
        IfNoneMatch::Items(tags) => tags.iter().any(|tag| tag.weak_eq(&script.tag)),
    });
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header(ETag(script.tag.clone()))
        .insert_header((CACHE_CONTROL, CACHED))
        .insert_header((VARY, "Accept-Encoding"))
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((RESOURCE_POLICY, "cross-origin"));
    if is_known {
        return response.finish();
    }
    response.content_type("text/javascript; charset=utf-8");
    let encodings = [Encoding::identity(), Encoding::gzip()];
    match accepted.and_then(|Header(accepted)| accepted.negotiate(encodings.iter())) {
        Some(encoding) if encoding == Encoding::gzip() => {
            response.insert_header((CONTENT_ENCODING, "gzip")).body(script.gzip.clone())
        }
        _ => response.body(script.plain.clone()),
    }
}

/// The parts as one script, whose names are its own.
fn joined() -> String {
    let lines = PARTS.iter().flat_map(|part| part.lines()).map(str::trim_start);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    let code: Vec<&str> = lines.collect();
    format!("\"use strict\";\n{{\n{}\n}}\n", code.join("\n"))
}

fn compressed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Memory takes all of it.
    let written = encoder.write_all(text).and_then(|()| encoder.finish());
    written.unwrap_or_else(|error| unreachable!("{error}"))
}
