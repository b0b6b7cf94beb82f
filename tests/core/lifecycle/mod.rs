//! The lifecycle of a verification: properties over any events in any order (`properties.rs`), single stories
//! for one rule or one past bug each (`stories.rs`), requests to a Plivo that fails (`requests.rs`), the lessons of a
//! verification (`lessons.rs`), and what receivers of webhooks are told of it (`webhooks.rs`).

mod any;
mod lessons;
mod look_ups;
mod properties;
mod requests;
mod sessions;
mod stories;
mod webhooks;
