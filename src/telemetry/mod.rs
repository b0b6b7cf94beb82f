//! Logging: its set-up, its writer, and the log line of each timeline note. One JSON object per line, UTC.
//!
//! Numbers appear masked; codes, keys, refs and bodies never appear. A log line waits in a bounded queue for a thread that
//! writes to standard error, so that a slow reader of the log never slows a request down.

mod json;
mod note;
mod queue;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;
pub use json::JsonLines;
pub use note::log;
pub use queue::{LogWriter, dropped_lines};

/// Dependencies that log full numbers or request headers. `RUST_LOG` cannot enable them.
const SILENT: &[&str] = &["rlibphonenumber", "actix_http::h1::decoder"];

/// What is logged without `RUST_LOG`. The server's own lines at the start say less than `started`.
const DEFAULT_FILTER: &str = "info,actix_server=warn";

/// Sets up logging to standard error; `RUST_LOG` selects what is logged.
///
/// Without a format it is `pretty` on a terminal, else `json`. The lines that wait are written when the returned value is
/// dropped. A second call in one process changes nothing.
pub fn init(format: Option<LogFormat>) -> LogWriter {
    let by_terminal = || if std::io::stderr().is_terminal() { LogFormat::Pretty } else { LogFormat::Json };
    let format = format.unwrap_or_else(by_terminal);
    let chosen = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let is_allowed = filter_fn(|event| !SILENT.iter().any(|name| event.target().starts_with(name)));
    let (queue, writer) = queue::start(std::io::stderr(), format);
    let subscriber = tracing_subscriber::registry().with(chosen).with(is_allowed);
    let lines = tracing_subscriber::fmt::layer().with_writer(queue).with_target(false);
    let _ = match format {
        LogFormat::Json => subscriber.with(lines.event_format(JsonLines).fmt_fields(JsonLines)).try_init(),
        LogFormat::Pretty => subscriber.with(lines.compact()).try_init(),
    };
    writer
}
