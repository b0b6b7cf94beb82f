//! The lifecycle of a verification: properties over any events in any order (`properties.rs`), single stories
//! that went wrong once or could (`stories.rs`), and the lessons of a verification (`lessons.rs`).

mod any;
mod lessons;
mod properties;
mod stories;
