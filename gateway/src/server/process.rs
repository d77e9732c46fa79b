//! What the gateway asks of the system for its process: descriptors, and memory given back.

use std::{panic, thread};

use rustix::process::{Resource, getrlimit, setrlimit};

/// Lets this process open as many files as its hard limit allows. Where the system says no, the soft limit stays.
///
/// Soft limits are low for the sake of programs that use `select`, which this one does not.
pub(super) fn allow_all_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the soft limit of open files stays as it is");
    }
}

/// Does `work` on a thread that ends with it, and waits.
///
/// Reading a configuration needs several times the memory that a snapshot keeps. mimalloc returns freed memory to the system once it
/// has been free for a second, but looks for it only when a thread that allocates much gives it occasion, or when a thread ends. So
/// the configuration is read on a thread that ends, and so are its files looked at every few seconds.
pub(super) fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(done) => done,
        Err(panicked) => panic::resume_unwind(panicked),
    })
}
