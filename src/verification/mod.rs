//! A verification: one number being proved.

pub mod event;
