//! Pages that stand whole in one file: they may run their own script and wear their own style, nothing else.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

/// One such page.
pub struct Page {
    html: &'static str,
    policy: String,
}

impl Page {
    /// Of its text, in which each `<script>` and `<style>` is named to the browser by its hash.
    pub fn new(html: &'static str) -> Self {
        let policy = format!(
            "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            hashes(html, "style"),
            hashes(html, "script")
        );
        Self { html, policy }
    }

    /// The page as it is sent.
    pub fn response(&self) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header(ContentType::html())
            .insert_header((CONTENT_SECURITY_POLICY, self.policy.as_str()))
            .body(self.html)
    }
}

/// What stands between each pair of such tags, hashed.
fn hashes(html: &str, tag: &str) -> String {
    let (open, close) = (format!("<{tag}"), format!("</{tag}>"));
    let parts = html.split(&open).skip(1).filter_map(|after| Some(after.split_once('>')?.1.split_once(&close)?.0));
    let hashed = parts.map(|part| format!("'sha256-{}'", BASE64.encode(Sha256::digest(part.as_bytes()))));
    hashed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_s_own_script_and_style_are_named_by_hash() {
        let page = Page::new("<style>a{}</style><script type=\"module\">1</script>");
        assert!(
            page.policy.contains("script-src 'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='"),
            "{}",
            page.policy
        );
        assert_eq!(page.policy.matches("'sha256-").count(), 2);
        assert!(!page.policy.contains("unsafe"));
    }
}
