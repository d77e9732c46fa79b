//! The task that lets drained targets go, ejects targets that fail requests and lets them back in.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use super::{Drains, Registry};

/// Between two looks while anything drains: a target whose last request has ended is listed that much longer at most.
const PERIOD: Duration = Duration::from_millis(500);

/// Least time between two looks, whoever calls for the next: requests can, and as often as targets fail them.
const REST: Duration = Duration::from_millis(5);

/// Owns the task. It sleeps while there is nothing to do. Dropping this stops the task without waiting.
#[derive(Debug)]
pub struct Sweep {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Sweep {
    /// Starts the task on `runtime`.
    pub fn start(runtime: &Handle, registry: Arc<Registry>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = runtime.spawn(async move {
            tokio::select! {
                // Nothing is lost with the other branch: what it does to the registry has no await.
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
        let now = Instant::now();
        let drains = registry.expire_drains(now.into_std());
        let drained = (drains == Drains::Pending).then(|| now + PERIOD);
        let next = registry.tick(now.into_std()).map(Instant::from_std);
        let next = drained.into_iter().chain(next).min();
        tokio::select! {
            // Whichever comes first, the loop looks at everything again.
            () = until(next) => {}
            () = registry.alarm().notified() => {}
            changed = generation.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
        sleep(REST).await;
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
