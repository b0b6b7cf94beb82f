//! [`PerThread`]: one of something for each thread that serves requests, and one for all other threads.
//!
//! A connection is driven by the runtime that opened it. With a connection of another thread each answer wakes two threads,
//! which costs more than all else in a request.

use std::thread::{self, ThreadId};

use thread_local::ThreadLocal;

/// One `T` for each thread that has asked for one of its own, and a shared one.
pub struct PerThread<T: Send> {
    shared: T,
    own: ThreadLocal<Own<T>>,
}

struct Own<T> {
    /// Slots of a `ThreadLocal` are used again by later threads.
    thread: ThreadId,
    value: T,
}

impl<T: Send> PerThread<T> {
    /// All threads use `shared` at first.
    pub fn new(shared: T) -> Self {
        Self { shared, own: ThreadLocal::new() }
    }

    /// Gives the current thread one of its own.
    ///
    /// # Errors
    /// What `make` returns; then the thread goes on with the shared one.
    pub fn serve_this_thread<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<(), E> {
        self.own.get_or_try(|| Ok(Own { thread: thread::current().id(), value: make()? })).map(|_| ())
    }

    /// The current thread's own, or else the shared one.
    pub fn get(&self) -> &T {
        let own = self.own.get().filter(|own| own.thread == thread::current().id());
        own.map_or(&self.shared, |own| &own.value)
    }
}

impl<T: Send + Sync> PerThread<T> {
    /// The shared one, and those of threads.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.own.iter().map(|own| &own.value).chain([&self.shared])
    }
}
