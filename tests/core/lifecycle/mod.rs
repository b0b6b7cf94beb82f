//! The lifecycle of a verification: properties over any events in any order (`properties.rs`), single stories
//! for one rule or one past bug each (`stories.rs`), and the lessons of a verification (`lessons.rs`).

mod any;
mod lessons;
mod properties;
mod sessions;
mod stories;
