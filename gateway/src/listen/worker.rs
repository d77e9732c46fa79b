//! A worker: one thread with a runtime of its own, its share of every listening socket, its own HTTP engine and target
//! connections. Workers share nothing that a request has to wait for.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use super::connection::{self, Phase};
use crate::{
    proxy::{Engine, engine},
    shared::Shared,
    telemetry::{events::AcceptFailed, log},
};

/// Pause after the kernel refused to accept, for want of descriptors or memory: trying again at once would only burn the
/// processor that could close some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a worker is started with.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Its number, from zero.
    pub index: usize,
    /// Longest wait for running requests once it is told to stop.
    pub grace: Duration,
}

/// A handle to a running worker.
#[derive(Debug)]
pub struct Worker {
    commands: mpsc::UnboundedSender<Command>,
    thread: thread::JoinHandle<()>,
}

#[derive(Debug)]
enum Command {
    Listen(SocketAddr, TcpListener),
    Close(SocketAddr),
    Stop,
}

impl Worker {
    /// Starts a worker thread.
    pub fn start(settings: WorkerSettings, shared: Arc<Shared>) -> io::Result<Self> {
        // Unbounded, but fed by configuration changes only, a few entries each.
        let (commands, received) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = thread::Builder::new()
            .name(format!("worker-{}", settings.index))
            .spawn(log::inherit(move || {
                runtime.block_on(run(settings, shared, received));
            }))?;
        Ok(Self { commands, thread })
    }

    /// Accepts connections from this socket too.
    pub fn listen(&self, address: SocketAddr, socket: TcpListener) {
        self.send(Command::Listen(address, socket));
    }

    /// Closes the socket of this address; its connections go on.
    pub fn close(&self, address: SocketAddr) {
        self.send(Command::Close(address));
    }

    /// Stops accepting and begins to drain.
    pub fn stop(&self) {
        self.send(Command::Stop);
    }

    /// Waits for the thread: until the last connection has ended, or was cut after the grace period.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("a worker thread panicked");
        }
    }

    fn send(&self, command: Command) {
        if self.commands.send(command).is_err() {
            tracing::error!("a worker thread has ended early");
        }
    }
}

async fn run(
    settings: WorkerSettings,
    shared: Arc<Shared>,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let engine = Arc::new(engine(Arc::clone(&shared), settings.index));
    let (phase, _) = watch::channel(Phase::Running);
    let mut sockets: HashMap<SocketAddr, AbortHandle> = HashMap::new();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Listen(address, socket) => {
                let accepting = accept(
                    address,
                    socket,
                    Arc::clone(&shared),
                    Arc::clone(&engine),
                    phase.subscribe(),
                );
                sockets.insert(address, tokio::spawn(accepting).abort_handle());
            }
            Command::Close(address) => {
                if let Some(task) = sockets.remove(&address) {
                    task.abort();
                }
            }
            Command::Stop => break,
        }
    }
    for task in sockets.into_values() {
        task.abort();
    }
    drain(&settings, &phase).await;
}

/// Ends all connections: those idle at once, those in use when their request is done, the rest when the grace period is over.
async fn drain(settings: &WorkerSettings, phase: &watch::Sender<Phase>) {
    phase.send_replace(Phase::Draining);
    if tokio::time::timeout(settings.grace, phase.closed())
        .await
        .is_ok()
    {
        return;
    }
    tracing::warn!(
        worker = settings.index,
        connections = phase.receiver_count(),
        "grace period over, cutting connections"
    );
    phase.send_replace(Phase::Cut);
    // Enough for the records of what was cut; a connection that ignores even this is dropped with the runtime.
    let _ = tokio::time::timeout(Duration::from_secs(2), phase.closed()).await;
}

/// Accepts connections until the task is aborted.
async fn accept(
    address: SocketAddr,
    socket: TcpListener,
    shared: Arc<Shared>,
    engine: Arc<Engine>,
    phase: watch::Receiver<Phase>,
) {
    let listener = match tokio::net::TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%address, %error, "cannot listen");
            return;
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some(connection) = connection::admit(stream, peer, address, &shared) {
                    tokio::spawn(connection.run(Arc::clone(&engine), phase.clone()));
                }
            }
            Err(error) => {
                shared.telemetry.emit(&AcceptFailed {
                    address,
                    error: &error,
                });
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
