//! The commands of the program, one file each.

pub mod doctor;
pub mod env_file;
pub mod export;
pub mod health;
pub mod init;
pub mod local_plivo;
pub mod output;
mod process;
pub mod replay;
pub mod serve;
mod terminal;

/// The environment, without names and values that are not UTF-8.
pub fn env() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
