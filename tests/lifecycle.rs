//! The lifecycle of a verification: properties over any events in any order (`lifecycle/properties.rs`), single stories
//! that went wrong once or could (`lifecycle/stories.rs`), and the lessons of a verification (`lifecycle/lessons.rs`).

#![allow(clippy::unwrap_used, reason = "a story that cannot be told fails the test")]

#[path = "lifecycle/any.rs"]
mod any;
#[path = "lifecycle/lessons.rs"]
mod lessons;
#[path = "lifecycle/properties.rs"]
mod properties;
#[path = "lifecycle/stories.rs"]
mod stories;
#[path = "support/story.rs"]
mod story;
