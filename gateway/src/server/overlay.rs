//! Changes that do not come from files: the seam for whoever keeps resources beside them, such as the control API.
//!
//! The main thread alone decides what runs. It owns what the files say, asks the [`Overlay`] for the whole whenever either has changed,
//! and applies it; so changes of both kinds come one after the other, and nothing is put together from two halves of different age.
//! Whoever changes the overlay rings a [`Bell`]. While one change is applied others may come: the next round takes all of them.

#[cfg(test)]
mod tests;

use std::{fmt, mem, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use trellis_model::{config::Config, problem::Problems};

/// Keeps resources beside those of the files.
pub trait Overlay: fmt::Debug + Send + Sync {
    /// The configuration that should run: what the files say, and what is kept beside it. Whatever did not change since the last time should
    /// be the same allocation; only the rest is compiled.
    ///
    /// Called by the main thread. It must not wait for anybody who may be waiting for the gateway.
    fn over(&self, files: &Arc<Config>) -> Result<Arc<Config>, Problems>;
}

/// Tells the main thread of a running gateway that the overlay has changed.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Rung>);

#[derive(Debug, Default)]
struct Rung {
    notify: Notify,
    /// Those who wait for what comes of it.
    waiting: Mutex<Vec<oneshot::Sender<Outcome>>>,
}

/// What came of a change: the generation that runs since, or why it was refused.
pub type Outcome = Result<u64, Arc<Problems>>;

/// The gateway stopped before it looked at the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the gateway is stopping")]
pub struct Stopping;

impl Bell {
    /// The overlay has changed. Returns at once.
    pub fn ring(&self) {
        self.0.notify.notify_one();
    }

    /// The overlay has changed: gives what came of the first configuration that was put together after this call. Refused means that
    /// the configuration as a whole was, whoever's part in it is wrong; what ran before runs on.
    pub fn follow(&self) -> impl Future<Output = Result<Outcome, Stopping>> + Send + use<> {
        let (told, outcome) = oneshot::channel();
        self.0.waiting.lock().push(told);
        self.ring();
        async { outcome.await.map_err(|_| Stopping) }
    }

    /// The same for a thread that may block.
    pub fn wait(&self) -> Result<Outcome, Stopping> {
        let (told, outcome) = oneshot::channel();
        self.0.waiting.lock().push(told);
        self.ring();
        outcome.blocking_recv().map_err(|_| Stopping)
    }

    /// Waits for somebody to ring. Nothing is lost when this is dropped and asked again.
    pub(super) async fn rung(&self) {
        self.0.notify.notified().await;
    }

    /// Those who wait for a configuration that is put together from now on.
    pub(super) fn take_waiting(&self) -> Waiting {
        Waiting(mem::take(&mut *self.0.waiting.lock()))
    }
}

/// Those who wait for the same configuration.
#[derive(Debug)]
pub(super) struct Waiting(Vec<oneshot::Sender<Outcome>>);

impl Waiting {
    pub(super) fn tell(self, outcome: Result<u64, Problems>) {
        let outcome: Outcome = outcome.map_err(Arc::new);
        for waiting in self.0 {
            // Who gave up waiting has no use for it.
            let _ = waiting.send(outcome.clone());
        }
    }
}
