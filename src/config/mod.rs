//! The settings: read once from the environment (envy), checked once, with secrets hidden in `Debug`.
//!
//! The caller passes the environment in, so that nothing here depends on the process. It has loaded a `.env` file and left
//! out values that are not UTF-8, on which `std::env::vars` panics. Only files named by `<NAME>_FILE` are opened here.
//!
//! The checks collect every fault: one line each, with the variable, the fault and an example. A line never contains the
//! value, because the wrong value of one variable is often the secret of another.

mod apps;
mod assemble;
mod assignment;
mod check;
mod demo;
mod export;
mod faults;
mod fresh;
mod limits;
mod new_file;
mod read;
mod risks;
mod sending;
mod service;
mod simulator;
mod summary;
mod types;
mod unread;
mod variables;

#[cfg(test)]
mod tests;

pub use apps::AppConfig;
pub use check::is_loopback;
pub use demo::local_url;
pub use export::ExportConfig;
pub use faults::{ConfigErrors, Fault};
pub use new_file::{FRESH_SECRETS, QUESTIONS, Question, settings_file};
pub use sending::dollars;
pub use service::Config;
pub use simulator::SimulatorConfig;
pub use summary::Summary;
pub use types::{ApiKey, BlockedNumbers, Countries, LogFormat, TestNumbers};
pub use variables::VARIABLES;
