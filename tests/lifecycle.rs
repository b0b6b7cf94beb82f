//! What holds whatever happens, in any order and as often as it likes (`lifecycle/properties.rs`), and single
//! stories that once went wrong or easily could (`lifecycle/stories.rs`); and what they teach (`lifecycle/lessons.rs`).

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
