//! A worker: one thread with a runtime of its own, its share of every listening socket, its own HTTP engine and target
//! connections. Workers share nothing that a request has to wait for.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::{Duration, Instant},
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

/// Shortest time between two log lines about it: clients that hold connections open can make it last, and must not fill a disk.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(10);

/// Longest wait for connections that were cut, which write the records of their requests meanwhile.
const CUT_TIME: Duration = Duration::from_secs(2);

/// A handle to a running worker.
#[derive(Debug)]
pub struct Worker {
    commands: mpsc::UnboundedSender<Command>,
    thread: thread::JoinHandle<Cut>,
}

/// How many connections were cut, because their requests did not end within the grace period.
type Cut = usize;

#[derive(Debug)]
enum Command {
    Listen(SocketAddr, TcpListener),
    Close(SocketAddr),
    /// The longest wait for running requests.
    Stop(Duration),
}

impl Worker {
    /// Starts the worker thread with this number, counted from zero. It keeps up to `idle_targets` connections to targets open between
    /// requests.
    pub fn start(index: usize, idle_targets: usize, shared: Arc<Shared>) -> io::Result<Self> {
        // Unbounded, but fed by configuration changes only, a few entries each.
        let (commands, received) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(log::inherit(move || {
                runtime.block_on(run(index, idle_targets, shared, received))
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

    /// Stops accepting and begins to drain; running requests may finish within `grace`.
    pub fn stop(&self, grace: Duration) {
        self.send(Command::Stop(grace));
    }

    /// Waits for the thread: until the last connection has ended, or was cut after the grace period. Gives the number of those cut.
    pub fn join(self) -> usize {
        self.thread.join().unwrap_or_else(|_| {
            tracing::error!("a worker thread panicked");
            0
        })
    }

    fn send(&self, command: Command) {
        if self.commands.send(command).is_err() {
            tracing::error!("a worker thread has ended early");
        }
    }
}

async fn run(
    index: usize,
    idle_targets: usize,
    shared: Arc<Shared>,
    mut commands: mpsc::UnboundedReceiver<Command>,
) -> Cut {
    let engine = Arc::new(engine(Arc::clone(&shared), index, idle_targets));
    let (phase, _) = watch::channel(Phase::Running);
    let mut sockets: HashMap<SocketAddr, AbortHandle> = HashMap::new();
    // A handle that is gone without a word leaves nobody to wait for the requests.
    let mut grace = Duration::ZERO;
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
            Command::Stop(longest) => {
                grace = longest;
                break;
            }
        }
    }
    for task in sockets.into_values() {
        task.abort();
    }
    drain(grace, &phase).await
}

/// Ends all connections: those idle at once, those in use when their request is done, the rest when the grace period is over.
async fn drain(grace: Duration, phase: &watch::Sender<Phase>) -> Cut {
    phase.send_replace(Phase::Draining);
    if tokio::time::timeout(grace, phase.closed()).await.is_ok() {
        return 0;
    }
    // Sockets are closed by now: who still listens to the phase is a connection.
    let cut = phase.receiver_count();
    phase.send_replace(Phase::Cut);
    // Enough for the records of what was cut; a connection that ignores even this is dropped with the runtime.
    let _ = tokio::time::timeout(CUT_TIME, phase.closed()).await;
    cut
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
    let mut complaints = Complaints::default();
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
                    failures: complaints.count(Instant::now()),
                });
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Failures that repeat themselves, and when they are worth a line in the log: the first at once, later ones together.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    last: Option<Instant>,
    since: u64,
}

impl Complaints {
    /// Counts a failure. Gives how many a log line is to stand for, when it is time for one.
    pub(super) fn count(&mut self, now: Instant) -> Option<u64> {
        self.since += 1;
        if self.last.is_some_and(|last| now < last + COMPLAINT_PAUSE) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}
