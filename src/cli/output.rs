//! Writes results to standard output and errors to standard error.

use std::io::Write;

/// Prints an error to standard error.
#[expect(clippy::print_stderr, reason = "logging may not be set up yet, and a person reads this")]
pub fn print_error(error: &anyhow::Error) {
    eprintln!("{error:#}");
}

/// Prints a line for a person to standard error, where it stays apart from results.
#[expect(clippy::print_stderr, reason = "a person reads this")]
pub fn print_note(text: &str) {
    eprintln!("{text}");
}

/// Prints a question to standard error; the answer follows on the same line.
pub fn print_question(text: &str) {
    let _ = write!(std::io::stderr(), "{text}: ");
}

/// Prints a line to standard output. A reader that closes the pipe early is no error.
pub fn print_line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints notes to standard error, then the text to standard output.
///
/// # Errors
/// When standard output cannot be written, except when its reader has closed the pipe.
pub fn print_with_notes(text: &str, notes: &[String]) -> anyhow::Result<()> {
    for note in notes {
        print_error(&anyhow::anyhow!("note: {note}"));
    }
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
