//! What only concerns Redis.
