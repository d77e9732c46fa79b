//! The bytes that calls of functions hold: requests are read whole before a function is called, and answers before they are sent.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Most bytes that all calls hold together. Forty of the largest requests with their events and answers fit, and thousands of
/// usual ones.
const MOST: usize = 1024 * 1024 * 1024;

/// The bytes that all calls of the gateway hold.
#[derive(Debug, Clone)]
pub struct Memory {
    held: Arc<AtomicUsize>,
    most: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self::of(MOST)
    }
}

impl Memory {
    /// A memory of this many bytes.
    pub fn of(most: usize) -> Self {
        Self {
            held: Arc::default(),
            most,
        }
    }

    /// The share of one call, nothing as yet.
    pub fn share(&self) -> Held {
        Held {
            memory: self.clone(),
            bytes: 0,
        }
    }
}

/// What one call holds; given back when dropped.
#[derive(Debug)]
pub struct Held {
    memory: Memory,
    bytes: usize,
}

impl Held {
    /// Takes this many bytes more. `false` when there are not so many left; then nothing changes.
    #[must_use]
    pub fn take(&mut self, bytes: usize) -> bool {
        let most = self.memory.most;
        let more = |held: usize| held.checked_add(bytes).filter(|held| *held <= most);
        let taken = self
            .memory
            .held
            .fetch_update(Relaxed, Relaxed, more)
            .is_ok();
        if taken {
            self.bytes += bytes;
        }
        taken
    }

    /// Gives this many bytes back, or all that are held.
    pub fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.memory.held.fetch_sub(bytes, Relaxed);
        self.bytes -= bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes, Relaxed);
    }
}
