//! Reads lines from a terminal, with and without showing them.

use std::io;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The terminal on standard input, as it was found; dropping this restores it.
pub struct Terminal(Termios);

impl Terminal {
    /// Takes note of the terminal's modes; `None` if standard input is no terminal.
    pub fn of_stdin() -> Option<Self> {
        tcgetattr(io::stdin()).ok().map(Self)
    }

    /// The same, and what is typed is not shown from now on.
    ///
    /// # Errors
    /// When standard input is no terminal.
    pub fn hide_input() -> io::Result<Self> {
        let found = Self(tcgetattr(io::stdin())?);
        let mut hidden = found.0.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // The line feed is still shown, so that the next question has a line of its own.
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Now, &hidden)?;
        Ok(found)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Reads a line, without blanks around it.
///
/// # Errors
/// When standard input has ended.
pub fn read_line() -> io::Result<String> {
    let mut line = String::new();
    match io::stdin().read_line(&mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim().to_owned()),
    }
}
