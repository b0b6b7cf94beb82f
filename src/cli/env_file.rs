//! The `.env` file of the working directory.

use tracing::{info, warn};

/// What became of the `.env` file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum EnvFile {
    /// Its variables are set, unless the environment had them.
    Read,
    /// There is none.
    Absent,
    /// It cannot be opened, or its syntax is wrong.
    Unreadable,
}

/// What to do about [`EnvFile::Unreadable`].
pub const UNREADABLE: &str = "the .env file in the working directory cannot be read; check its syntax";

impl EnvFile {
    /// Loads `.env` from the working directory alone: a file further up may belong to another program.
    pub fn load() -> Self {
        match dotenvy::from_path(".env") {
            Ok(_) => Self::Read,
            Err(error) if error.not_found() => Self::Absent,
            Err(_) => Self::Unreadable,
        }
    }

    /// Logs what became of it, and where it was looked for.
    pub fn log(self) {
        let directory = std::env::current_dir().map_or_else(|_| ".".into(), |path| path.display().to_string());
        match self {
            Self::Read => {
                info!(event = "env_file", directory, "settings are also read from .env in the working directory")
            }
            Self::Absent => info!(event = "env_file", directory, "there is no .env in the working directory"),
            Self::Unreadable => warn!(event = "env_file", directory, "{UNREADABLE}"),
        }
    }
}
