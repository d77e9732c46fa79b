//! Sockets and tasks of the DNS server.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use hickory_proto::op::ResponseCode;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
    task::JoinHandle,
};

use super::{
    Directory, Observer, Settings,
    answer::{Decision, decide},
    forward::forward,
    query::{Question, Reading, Transport, read},
    tcp, udp,
};
use crate::telemetry::events::DnsOutcome;

/// Foreign questions being forwarded at once, each with a socket of its own; further ones get SERVFAIL.
const FORWARDED_AT_ONCE: usize = 512;
/// Tries to find a port that is free for both UDP and TCP, when any port will do.
const PORT_TRIES: usize = 16;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot answer DNS on {address}/{transport}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// `udp` or `tcp`.
    pub transport: &'static str,
    /// What the system said.
    pub source: io::Error,
}

/// Sockets that are bound but not yet served.
#[derive(Debug)]
pub struct Bound {
    sockets: Vec<(SocketAddr, UdpSocket, TcpListener)>,
}

impl Bound {
    /// Binds UDP and TCP on each address. Port 0 gives a port that is the same for both.
    ///
    /// Where VPCs are told apart by the address their clients ask, list each address: on a wildcard a datagram does not tell
    /// which of the machine's addresses it was sent to.
    pub fn bind(listen: &[SocketAddr]) -> Result<Self, BindError> {
        let sockets = listen.iter().map(|address| bind_pair(*address));
        Ok(Self {
            sockets: sockets.collect::<Result<_, _>>()?,
        })
    }

    /// The addresses as bound.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().map(|(address, ..)| *address)
    }

    /// Starts to answer, with tasks on `runtime`.
    pub fn serve(
        self,
        runtime: &Handle,
        settings: Settings,
        directory: Arc<dyn Directory>,
        observer: Arc<dyn Observer>,
    ) -> io::Result<Server> {
        let addresses = self.addresses().collect();
        let (stop, stopped) = watch::channel(false);
        let core = Arc::new(Core::new(settings, directory, observer));
        // Tokio's sockets register with the runtime that is entered.
        let _entered = runtime.enter();
        let mut tasks = Vec::new();
        for (_, datagrams, connections) in self.sockets {
            let datagrams = tokio::net::UdpSocket::from_std(datagrams)?;
            let connections = tokio::net::TcpListener::from_std(connections)?;
            tasks.push(runtime.spawn(udp::serve(datagrams, Arc::clone(&core), stopped.clone())));
            tasks.push(runtime.spawn(tcp::serve(connections, Arc::clone(&core), stopped.clone())));
        }
        Ok(Server {
            addresses,
            core,
            stop,
            tasks,
        })
    }
}

fn bind_pair(address: SocketAddr) -> Result<(SocketAddr, UdpSocket, TcpListener), BindError> {
    let failed = |transport, source| BindError {
        address,
        transport,
        source,
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let connections = bind_tcp(address).map_err(|error| failed("tcp", error))?;
        let bound = connections
            .local_addr()
            .map_err(|error| failed("tcp", error))?;
        match bind_udp(bound) {
            Ok(datagrams) => return Ok((bound, datagrams, connections)),
            Err(_) if address.port() == 0 && tries < PORT_TRIES => {}
            Err(error) => return Err(failed("udp", error)),
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = new_socket(address, Type::STREAM, Protocol::TCP)?;
    // Connections of an earlier process that are still closing must not keep the port.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = new_socket(address, Type::DGRAM, Protocol::UDP)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn new_socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` are two addresses, and clients keep their own kind.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A running DNS server. Dropped, it stops at once, but its sockets may live a moment longer; [`Server::stop`] waits for them.
pub struct Server {
    addresses: Vec<SocketAddr>,
    core: Arc<Core>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// The addresses it answers on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Uses other settings from the next question on.
    pub fn configure(&self, settings: Settings) {
        self.core.settings.store(Arc::new(settings));
    }

    /// Takes no more questions, lets those being answered finish within `grace`, and closes the sockets.
    pub async fn stop(mut self, grace: Duration) {
        // Without receivers there is nobody left to tell.
        let _ = self.stop.send(true);
        let deadline = tokio::time::Instant::now() + grace;
        for mut task in std::mem::take(&mut self.tasks) {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
                let _ = task.await;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// What all tasks share: from a message to what becomes of it, without a socket.
pub struct Core {
    settings: ArcSwap<Settings>,
    directory: Arc<dyn Directory>,
    pub(super) observer: Arc<dyn Observer>,
    forwarding: Arc<Semaphore>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// What to do after looking at a message.
#[derive(Debug)]
pub enum Step {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Ask another resolver first, with [`Core::forward`].
    Forward(Forwarding),
    /// Say nothing.
    Silence,
}

/// A foreign question with the right to be forwarded.
#[derive(Debug)]
pub struct Forwarding {
    question: Box<Question>,
    resolvers: Arc<Settings>,
    client: IpAddr,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Core {
    /// Answers with what `directory` knows.
    pub fn new(
        settings: Settings,
        directory: Arc<dyn Directory>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self {
            settings: ArcSwap::from_pointee(settings),
            directory,
            observer,
            forwarding: Arc::new(Semaphore::new(FORWARDED_AT_ONCE)),
        }
    }

    /// Answers from memory what can be answered so. Never waits.
    pub fn handle(
        &self,
        bytes: &[u8],
        transport: Transport,
        client: SocketAddr,
        local: IpAddr,
    ) -> Step {
        let question = match read(bytes, transport) {
            Reading::Ignored => return Step::Silence,
            Reading::Rejected(answer, name) => {
                let outcome = match answer.metadata.response_code {
                    ResponseCode::Refused => DnsOutcome::Refused,
                    _ => DnsOutcome::Malformed,
                };
                self.observer.query(client.ip(), name.as_deref(), outcome);
                return answer.to_vec().map_or(Step::Silence, Step::Send);
            }
            Reading::Question(question) => question,
        };
        let settings = self.settings.load();
        let found = self.directory.lookup(client, local, &question.name);
        match decide(&question, found, settings.ttl) {
            Decision::Answer(mut answer, outcome) => {
                answer.metadata.recursion_available = !settings.forward.is_empty();
                self.observer
                    .query(client.ip(), Some(&question.name), outcome);
                question.encode(&answer).map_or(Step::Silence, Step::Send)
            }
            Decision::Forward => self.admit(question, &settings, client.ip()),
        }
    }

    /// May a foreign question be forwarded?
    fn admit(&self, question: Box<Question>, settings: &Arc<Settings>, client: IpAddr) -> Step {
        let (code, outcome) = if settings.forward.is_empty() || !question.metadata.recursion_desired
        {
            (ResponseCode::Refused, DnsOutcome::Refused)
        } else if let Ok(permit) = Arc::clone(&self.forwarding).try_acquire_owned() {
            return Step::Forward(Forwarding {
                question,
                resolvers: Arc::clone(settings),
                client,
                _permit: permit,
            });
        } else {
            (ResponseCode::ServFail, DnsOutcome::Failed)
        };
        self.observer.query(client, Some(&question.name), outcome);
        let mut answer = question.respond(code);
        answer.metadata.recursion_available = !settings.forward.is_empty();
        question.encode(&answer).map_or(Step::Silence, Step::Send)
    }

    /// Asks the other resolvers; SERVFAIL when none of them answers.
    pub(super) async fn forward(&self, forwarding: Forwarding) -> Option<Vec<u8>> {
        let Forwarding {
            question,
            resolvers,
            client,
            _permit,
        } = forwarding;
        let answer = forward(&question, &resolvers.forward, &*self.observer).await;
        let outcome = match &answer {
            Some(_) => DnsOutcome::Forwarded,
            None => DnsOutcome::Failed,
        };
        self.observer.query(client, Some(&question.name), outcome);
        answer.or_else(|| {
            let mut failed = question.respond(ResponseCode::ServFail);
            failed.metadata.recursion_available = true;
            question.encode(&failed)
        })
    }
}
