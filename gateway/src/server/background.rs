//! What runs beside the workers, on a runtime of its own: probes, drains, admin pages, DNS.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
};

use tokio::{runtime::Handle, sync::oneshot};

use super::State;
use crate::{
    admin,
    otlp::{self, Exporter},
    probe::{Prober, dial::OwnNetwork, network::NetworkChecker},
    registry::{Registry, sweep::Sweep},
    telemetry::{Telemetry, log},
};

/// The thread of everything that is not a request.
#[derive(Debug)]
pub struct Background {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
    runtime: Handle,
    admin: Option<SocketAddr>,
}

impl Background {
    /// Starts it.
    pub(super) fn start(
        (admin, spans): (Option<TcpListener>, otlp::Outlet),
        state: &Arc<State>,
        registry: &Arc<Registry>,
        telemetry: &Arc<Telemetry>,
        seed: u64,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let checker = NetworkChecker::new(Arc::new(OwnNetwork)).map_err(io::Error::other)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let address = admin.as_ref().map(TcpListener::local_addr).transpose()?;
        let site = admin::Site::new(Arc::clone(state) as _, Arc::clone(telemetry));
        let registry = Arc::clone(registry);
        let (introspect, counted) = (Arc::clone(state) as _, Arc::clone(telemetry));
        let handle = runtime.handle().clone();
        let thread = thread::Builder::new()
            .name("background".to_owned())
            .spawn(log::inherit(move || {
                runtime.block_on(async move {
                    let handle = Handle::current();
                    let random = splitmix(seed);
                    let prober = Prober::start(
                        &handle,
                        Arc::clone(&registry),
                        Arc::new(checker),
                        Prober::CONCURRENCY,
                        Box::new(random),
                    );
                    let sweep = Sweep::start(&handle, registry);
                    let exporter = Exporter::start(&handle, &introspect, &counted, spans, seed);
                    // An error means that the owner is gone, which is a reason to stop as well.
                    let stopping = async { drop(stopped.await) };
                    match admin {
                        None => stopping.await,
                        Some(listener) => {
                            if let Err(error) = admin::serve(listener, site, stopping).await {
                                tracing::error!(%error, "the admin pages cannot be served");
                            }
                        }
                    }
                    prober.shutdown().await;
                    sweep.shutdown().await;
                    exporter.shutdown().await;
                });
            }))?;
        Ok(Self {
            stop,
            thread,
            runtime: handle,
            admin: address,
        })
    }

    /// Address of the admin pages.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The runtime, for what else runs beside the workers.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Runs something to its end on the background runtime and waits for it, wherever the caller runs: a thread that is part of a
    /// runtime may block, but not run another one.
    pub(super) fn finish(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (done, finished) = std::sync::mpsc::sync_channel::<()>(1);
        self.runtime.spawn(async move {
            work.await;
            drop(done);
        });
        // Nothing is ever sent: the sender's end is the message, which comes also when the runtime ends first.
        let _ = finished.recv();
    }

    /// Stops everything and waits for it.
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the background thread panicked");
        }
    }
}

/// Spreads probes in time; see [`crate::proxy`] for the generator.
fn splitmix(seed: u64) -> impl FnMut() -> u64 + Send {
    let dice = crate::proxy::Dice::new(seed, usize::MAX);
    move || dice.roll()
}
