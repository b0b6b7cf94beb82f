//! The queue between the threads that log and standard error.
//!
//! A request never waits for the reader of the log: when [`LINES_MAX`] lines wait, further ones are dropped and counted. The
//! log itself says how many, as soon as it can be written again. One thread writes what waits in batches.

use std::io::{self, BufWriter, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

use super::json::Now;
use crate::config::LogFormat;

/// How many lines may wait: at 20,000 a second the reader of the log may pause for 0.8 s.
const LINES_MAX: usize = 16_384;
/// How many bytes are written at once at most.
const BATCH_BYTES: usize = 64 * 1024;
/// The pause after a batch. Lines that arrive meanwhile wake no thread and are written together.
const PAUSE: Duration = Duration::from_millis(20);

/// Lines that found the queue full.
static OVERFLOWED: OnceLock<ErrorCounter> = OnceLock::new();
/// Lines that standard error did not take.
static UNWRITTEN: AtomicU64 = AtomicU64::new(0);

/// Writes the lines that still wait when it is dropped.
#[must_use]
pub struct LogWriter(#[expect(dead_code, reason = "its drop ends the thread")] WorkerGuard);

/// How many lines this process has dropped, because its log was read too slowly or could not be written.
pub fn dropped_lines() -> u64 {
    let overflowed = OVERFLOWED.get().map_or(0, ErrorCounter::dropped_lines);
    overflowed as u64 + UNWRITTEN.load(Ordering::Relaxed)
}

/// Starts the thread that writes to `out`.
pub(super) fn start(out: impl Write + Send + 'static, format: LogFormat) -> (NonBlocking, LogWriter) {
    let batches = Batches { out: BufWriter::with_capacity(BATCH_BYTES, out), format, reported: 0 };
    let (queue, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_MAX).thread_name("log").finish(batches);
    let _ = OVERFLOWED.set(queue.error_counter());
    (queue, LogWriter(guard))
}

/// Collects lines into batches. The thread calls `write` for each line, and `flush` when no line waits.
struct Batches<W: Write> {
    out: BufWriter<W>,
    format: LogFormat,
    /// How many of the dropped lines the log has reported.
    reported: u64,
}

impl<W: Write> Batches<W> {
    fn report_dropped_lines(&mut self) -> io::Result<()> {
        let lines = dropped_lines() - self.reported;
        if lines == 0 {
            return Ok(());
        }
        match self.format {
            LogFormat::Json => writeln!(
                self.out,
                "{{\"timestamp\":\"{Now}\",\"level\":\"WARN\",\"event\":\"log_lines_dropped\",\"lines\":{lines}}}"
            )?,
            LogFormat::Pretty => writeln!(self.out, "{Now}  WARN event=\"log_lines_dropped\" lines={lines}")?,
        }
        self.reported += lines;
        Ok(())
    }
}

impl<W: Write> Write for Batches<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let is_full = self.out.buffer().len() + line.len() > BATCH_BYTES;
        let written = self.out.write_all(line);
        if written.is_err() {
            UNWRITTEN.fetch_add(1, Ordering::Relaxed);
        } else if is_full {
            self.report_dropped_lines()?;
        }
        written.map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.report_dropped_lines()?;
        self.out.flush()?;
        std::thread::sleep(PAUSE);
        Ok(())
    }
}
