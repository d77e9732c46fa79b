//! The task that lets drained targets go.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{Drains, Registry};

/// Between two looks while anything drains: a target whose last request has ended is listed that much longer at most.
const PERIOD: Duration = Duration::from_millis(500);

/// Owns the task that lets drained targets go. It sleeps while nothing drains. Dropping this stops the task without waiting.
#[derive(Debug)]
pub struct DrainSweep {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl DrainSweep {
    /// Starts the task on `runtime`.
    pub fn start(runtime: &Handle, registry: Arc<Registry>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = runtime.spawn(async move {
            tokio::select! {
                // Nothing is lost with the other branch: `expire_drains` has no await.
                _ = stopped => {}
                () = sweep(&registry) => {}
            }
        });
        Self { stop, task }
    }

    /// Stops the task and waits for its end.
    pub async fn shutdown(self) {
        drop(self.stop);
        // An error says that the task panicked or its runtime is gone; either way it has ended.
        let _ended = self.task.await;
    }
}

async fn sweep(registry: &Registry) {
    let mut generation = registry.generation();
    loop {
        let drains = registry.expire_drains(Instant::now().into_std());
        if drains == Drains::Pending {
            sleep(PERIOD).await;
        } else if generation.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
