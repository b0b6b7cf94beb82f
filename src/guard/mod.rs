//! What stands between a wish to send or call and the person at the far end.

pub mod quiet;
