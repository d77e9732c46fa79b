//! A target that answers with what it received: the diagnosis tool behind `trellis echo`, the sample targets of the demo, and
//! the targets of the end-to-end tests.
//!
//! One port speaks HTTP/1.1, HTTP/2 with prior knowledge (or both by ALPN, with TLS), gRPC and WebSocket. An ordinary request is
//! answered with a JSON description of itself; switches in its query or headers let the caller ask for trouble: a status, a
//! delay, a large body, a connection that dies in the middle of the answer. A call of the Lambda Invoke API is answered with its event.
//!
//! Each echo runs on a thread of its own with its own single-threaded runtime, so that a test can start one from anywhere. That
//! runtime owns every task; stopping the echo drops it, which cuts all connections at once: the abrupt death that tests of a
//! failing target need.

mod answer;
mod body;
mod function;
mod grpc;
mod readable;
mod serve;
mod switches;
mod websocket;

#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use tokio::sync::{oneshot, watch};

/// Path whose answer says whether the echo is healthy, unless told otherwise.
pub const DEFAULT_HEALTHY_PATH: &str = "/healthz";

/// What an echo is told at its start.
#[derive(Debug, Clone)]
pub struct EchoOptions {
    /// Its name, given in every answer (`"name"` and the header `x-echo-name`).
    pub name: String,
    /// Where it listens; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Does it speak TLS?
    pub transport: Transport,
    /// The path answered with 200 `healthy`, or 503 `unhealthy` after [`EchoHandle::set_healthy`].
    pub healthy_path: String,
}

impl EchoOptions {
    /// An echo without TLS on a free loopback port.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            transport: Transport::Plain,
            healthy_path: DEFAULT_HEALTHY_PATH.to_owned(),
        }
    }

    /// The same echo, with TLS.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.transport = Transport::Tls;
        self
    }

    /// The same echo, listening elsewhere.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }
}

/// What the connections of an echo carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP in the clear.
    Plain,
    /// HTTP over TLS, with a certificate signed by itself for `localhost`, the loopback addresses and the echo's name.
    Tls,
}

/// Why an echo could not start.
#[derive(Debug, thiserror::Error)]
pub enum EchoError {
    /// The address is taken, or not ours.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The wanted address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The thread or its runtime could not be made.
    #[error("cannot start the echo's thread")]
    Start(#[source] io::Error),
    /// No certificate could be made.
    #[error("cannot make a certificate for the echo")]
    Certificate(#[source] rcgen::Error),
    /// The certificate made was not accepted by the TLS library.
    #[error("cannot set up TLS for the echo")]
    Tls(#[source] rustls::Error),
}

/// Is the echo well?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// The healthy path answers 200, the gRPC health service `SERVING`.
    Healthy,
    /// The healthy path answers 503, the gRPC health service `NOT_SERVING`.
    Unhealthy,
}

/// What every connection of one echo sees.
struct Shared {
    name: String,
    healthy_path: String,
    health: watch::Sender<Health>,
    requests: AtomicU64,
}

/// A running echo; dropping it stops it.
pub struct EchoHandle {
    address: SocketAddr,
    certificate: Option<String>,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts an echo; it listens when this returns.
pub fn spawn(options: EchoOptions) -> Result<EchoHandle, EchoError> {
    let listen_error = |source| EchoError::Listen {
        address: options.listen,
        source,
    };
    let listener = TcpListener::bind(options.listen).map_err(listen_error)?;
    listener.set_nonblocking(true).map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let identity = match options.transport {
        Transport::Plain => None,
        Transport::Tls => Some(serve::self_signed(&options.name)?),
    };
    let (certificate, acceptor) = match identity {
        None => (None, None),
        Some(identity) => (Some(identity.certificate), Some(identity.acceptor)),
    };
    let shared = Arc::new(Shared {
        name: options.name,
        healthy_path: options.healthy_path,
        health: watch::Sender::new(Health::Healthy),
        requests: AtomicU64::new(0),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(EchoError::Start)?;
    let (stop, stopped) = oneshot::channel();
    let seen = Arc::clone(&shared);
    let thread = std::thread::Builder::new()
        .name("echo".to_owned())
        .spawn(move || runtime.block_on(serve::serve(listener, acceptor, seen, stopped)))
        .map_err(EchoError::Start)?;
    Ok(EchoHandle {
        address,
        certificate,
        shared,
        stop: Some(stop),
        thread: Some(thread),
    })
}

impl EchoHandle {
    /// The bound address.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The certificate in PEM, when the echo speaks TLS.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Requests received so far, those to the healthy path not counted.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Changes what the healthy path and the gRPC health service answer.
    pub fn set_healthy(&self, health: Health) {
        self.shared.health.send_replace(health);
    }

    /// Stops listening and cuts every connection, as a crash would.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for EchoHandle {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in that thread has already been printed; here there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for EchoHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EchoHandle")
            .field("name", &self.shared.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
