//! Active health checks: one request per interval to every target of every group in use.
//!
//! * [`Prober`] owns the one scheduler task (`probe/schedule.rs`), which keeps every target's next start in a heap and runs a
//!   bounded number of probes at a time, each a task of its own under the check's timeout.
//! * [`Checker`] is one probe; [`network::NetworkChecker`] makes them over HTTP, which is what VPC Lattice has, by the gRPC health
//!   protocol, TCP and TLS.
//! * [`dial::Dialer`] opens the connection, inside the VPC that the target lives in.
//!
//! A target at rest costs some hundred bytes and no timer, so ten thousand of them are cheap; what costs is the probe itself.
//!
//! What is found goes to the [`Registry`], which tells its listener about changes of status.

use std::{io, net::SocketAddr, num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use tokio::{runtime::Handle, sync::oneshot, task::JoinHandle};
use trellis_model::{config::HealthCheck, id::VpcId};

use crate::{registry::Registry, tls::TargetTls};

pub mod dial;
mod grpc;
mod http;
pub mod network;
mod schedule;

pub use grpc::GrpcError;

/// Random numbers, spread evenly over all 64 bits.
pub type Random = Box<dyn FnMut() -> u64 + Send>;

/// Who is probed, and how.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Where the address is.
    pub vpc: &'a VpcId,
    /// The target, at the port of the probe.
    pub address: SocketAddr,
    /// The check.
    pub check: &'a HealthCheck,
    /// How connections to the target are secured where its group says; what is secured without is not verified.
    pub tls: Option<&'a TargetTls>,
}

/// One probe.
#[async_trait]
pub trait Checker: Send + Sync {
    /// Asks a target whether it is well.
    ///
    /// The caller stops waiting after the check's timeout and drops the future; nothing may be left running then.
    async fn check(&self, asked: &Asked<'_>) -> Result<(), ProbeError>;
}

/// Why a probe failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(std::time::Duration),
    /// No connection.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// No TLS session.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// No proper HTTP answer.
    #[error("no proper answer")]
    Answer(#[source] hyper::Error),
    /// An answer, but not a wanted one.
    #[error("status {0} is not a success code")]
    Status(u16),
    /// An answer of a wanted status whose body says something else.
    #[error("the body is not the expected one")]
    Body,
    /// Not the answer of a gRPC server that is well.
    #[error(transparent)]
    Grpc(#[from] GrpcError),
    /// The check's path cannot be requested.
    #[error("the path cannot be requested")]
    Path(#[source] ::http::Error),
}

/// Owns the scheduler task. Dropping this stops it, and all probes, without waiting.
#[derive(Debug)]
pub struct Prober {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Prober {
    /// Probes that run at the same time, where nothing else is said.
    ///
    /// Enough for 10 000 targets at the default interval with half of them silent for the whole default timeout
    /// (5 000 × 5 s / 30 s ≈ 830); beyond it probes start late rather than all at once.
    pub const CONCURRENCY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

    /// Starts probing the groups of `registry` on `runtime`, and follows the registry from then on.
    ///
    /// At most `concurrency` probes run at a time. `random` spreads the probes of targets that appear together.
    pub fn start(
        runtime: &Handle,
        registry: Arc<Registry>,
        checker: Arc<dyn Checker>,
        concurrency: NonZeroUsize,
        random: Random,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let mut schedule = schedule::Schedule::new(registry, checker, concurrency, random);
        let task = runtime.spawn(async move {
            tokio::select! {
                // `run` leaves nothing half done at its one await; probes that still run are ended below.
                _ = stopped => {}
                () = schedule.run() => {}
            }
            schedule.stop().await;
        });
        Self { stop, task }
    }

    /// Stops all probes and waits for their end.
    pub async fn shutdown(self) {
        drop(self.stop);
        // An error says that the task panicked or its runtime is gone; either way it has ended.
        let _ended = self.task.await;
    }
}
