//! Pages that are one file each. The browser may run only the scripts and styles that the file contains.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType};
use actix_web::web::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use sha2::{Digest, Sha256};

/// What loads the widget. It is the only script that this service serves.
const WIDGET: &str = "<script src=\"/widget.js\">";

/// The line of a page's script that stands for the functions shared by the pages.
const FOLD_MARK: &str = "//= fold.js\n";
const FOLD: &str = include_str!("fold.js");

/// The style of the pages that are filled in from data.
const CSS: &str = include_str!("page.css");

/// Fills in a template. Values are escaped as HTML.
///
/// # Panics
/// When a built-in template is faulty, which the tests of its page rule out.
pub fn render(template: &str, values: Value) -> String {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.add_filter("prose", |text: String| Value::from_safe_string(prose(&text)));
    environment.add_filter("prose_line", |text: String| Value::from_safe_string(with_code(text.trim_end_matches('.'))));
    let values = context! { css => Value::from_safe_string(CSS.to_owned()), ..values };
    environment.render_str(template, values).unwrap_or_else(|error| unreachable!("a page: {error:#}"))
}

/// Sentences as HTML: an empty line ends a paragraph, and what stands in backticks is code.
fn prose(text: &str) -> String {
    text.split("\n\n").filter(|part| !part.is_empty()).map(|part| format!("<p>{}</p>", with_code(part))).collect()
}

/// A line as HTML, with what stands in backticks as code.
fn with_code(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let parts = escaped.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}

/// A page, and the policy that allows its own scripts and styles by hash.
pub struct HtmlPage {
    html: Bytes,
    policy: String,
}

impl HtmlPage {
    /// Fills in the shared functions, and hashes each `<script>` and `<style>` of the page.
    pub fn new(html: &str) -> Self {
        let html = html.replace(FOLD_MARK, FOLD);
        let policy = format!(
            "default-src 'none'; style-src {}; script-src {}{}; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            hashes(&html, "style"),
            hashes(&html, "script"),
            if html.contains(WIDGET) { " 'self'" } else { "" }
        );
        Self { html: html.into(), policy }
    }

    /// The page with its headers.
    pub fn response(&self) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header(ContentType::html())
            .insert_header((CONTENT_SECURITY_POLICY, self.policy.as_str()))
            .body(self.html.clone())
    }
}

/// The hash of the content of each such element, as a policy lists them.
fn hashes(html: &str, tag: &str) -> String {
    let (open, close) = (format!("<{tag}"), format!("</{tag}>"));
    let parts = html.split(&open).skip(1).filter_map(|after| Some(after.split_once('>')?.1.split_once(&close)?.0));
    let hashed = parts
        .filter(|part| !part.is_empty())
        .map(|part| format!("'sha256-{}'", BASE64.encode(Sha256::digest(part.as_bytes()))));
    hashed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_pages_own_script_and_style_by_hash() {
        let page = HtmlPage::new("<style>a{}</style><script type=\"module\">1</script>");
        assert!(
            page.policy.contains("script-src 'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='"),
            "{}",
            page.policy
        );
        assert_eq!(page.policy.matches("'sha256-").count(), 2);
        assert!(!page.policy.contains("unsafe"));
    }
}
