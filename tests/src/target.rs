//! Targets: real servers that remember what reached them.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Version, request::Parts};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, watch},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    address::Address,
    message::{Payload, pieces, whole},
    raw::Raw,
    tls::{Issuer, TargetSide},
    wait::{eventually, within},
};

/// A request as it reached a target.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Path and query, as received.
    pub path: String,
    /// The authority of an HTTP/2 request, or `Host`.
    pub host: String,
    /// HTTP version.
    pub version: Version,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, or what came of it.
    pub body: Bytes,
    /// Its trailers.
    pub trailers: HeaderMap,
    /// Was the body complete?
    pub complete: bool,
    /// Which of the target's connections it came on, from one.
    pub connection: usize,
}

impl Seen {
    /// The only value of a header; `-` when there is none, all values joined by ` | ` when there are several.
    pub fn header(&self, name: &str) -> String {
        let values: Vec<_> = self
            .headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        if values.is_empty() {
            return "-".to_owned();
        }
        values.join(" | ")
    }
}

/// An answer of a target.
#[derive(Debug)]
pub struct Reply(Response<Payload>);

impl Reply {
    /// This status and body.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        let response = Response::builder().status(status).body(whole(body));
        Self(response.expect("a response"))
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header's name");
        let value = HeaderValue::from_str(value).expect("a header's value");
        self.0.headers_mut().append(name, value);
        self
    }

    /// A body that comes in pieces, through the sender.
    pub fn streaming(mut self) -> (Self, mpsc::Sender<std::io::Result<Frame<Bytes>>>) {
        let (sender, source) = mpsc::channel(4);
        *self.0.body_mut() = pieces(source);
        (self, sender)
    }

    /// The same with a body that ends in trailers.
    #[must_use]
    pub fn with_trailers(self, body: impl Into<Bytes>, trailers: &[(&str, &str)]) -> Self {
        let (this, sender) = self.streaming();
        let mut map = HeaderMap::new();
        for (name, value) in trailers {
            let name: HeaderName = name.parse().expect("a header's name");
            map.append(name, value.parse().expect("a header's value"));
        }
        for frame in [Frame::data(body.into()), Frame::trailers(map)] {
            sender.try_send(Ok(frame)).expect("room for two pieces");
        }
        this
    }
}

type Answering = Pin<Box<dyn Future<Output = Response<Payload>> + Send>>;
type Handler = Arc<dyn Fn(http::Request<Incoming>, usize) -> Answering + Send + Sync>;

/// What a target remembers.
#[derive(Debug, Default)]
struct Memory {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    open: AtomicUsize,
}

/// A server on loopback. It ends, with its connections, when this is dropped.
#[derive(Debug)]
pub struct Target {
    address: SocketAddr,
    memory: Arc<Memory>,
    gate: Arc<Semaphore>,
    serving: JoinHandle<()>,
    /// Those that can be started again.
    service: Option<Service>,
    /// Tells the running server to stop in order.
    stop: watch::Sender<bool>,
    /// Keeps the port free for the next start.
    _claim: Option<Address>,
}

/// What a target does on its connections.
#[derive(Clone)]
struct Service {
    tls: Option<TlsAcceptor>,
    memory: Arc<Memory>,
    handler: Handler,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

impl Target {
    /// Answers 200 with `name`.
    pub async fn named(name: &'static str) -> Self {
        Self::answering(move |_| Reply::new(200, name)).await
    }

    /// Answers each request, once it was read whole, with what `answer` makes of it.
    pub async fn answering(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, None, answer).await
    }

    /// The same over TLS, with a certificate for `domain`.
    pub async fn answering_over_tls(
        issuer: &Issuer,
        domain: &str,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(issuer.server(domain).into()), None, answer).await
    }

    /// The same over TLS on these terms.
    pub async fn over_tls(
        side: &TargetSide,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(Arc::clone(&side.0).into()), None, answer).await
    }

    /// Answers 200 with `name`, but each request waits for its turn: see [`Self::release`].
    pub async fn holding(name: &'static str) -> Self {
        let gate = closed_gate();
        Self::start(None, Some(gate), move |_| Reply::new(200, name)).await
    }

    /// Answers as `handler` says, which reads the request's body itself. What it saw is not remembered but for the head.
    pub async fn streaming<F>(
        handler: impl Fn(http::Request<Incoming>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let memory = Arc::new(Memory::default());
        let remembered = Arc::clone(&memory);
        let handler: Handler = Arc::new(move |request, connection| {
            let (head, body) = request.into_parts();
            let seen = describe(&head, connection);
            remembered.seen.lock().unwrap().push(seen);
            let answering = handler(http::Request::from_parts(head, body));
            Box::pin(async move { answering.await.0 })
        });
        Self::serve(None, memory, closed_gate(), handler).await
    }

    /// Does on each connection, the first, the second and so on, what `script` says.
    pub async fn scripted<F>(script: impl Fn(Raw, usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let memory = Arc::new(Memory::default());
        let remembered = Arc::clone(&memory);
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = remembered.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let running = script(Raw::new(stream), number);
                let memory = Arc::clone(&remembered);
                connections.spawn(async move {
                    memory.open.fetch_add(1, Ordering::SeqCst);
                    running.await;
                    memory.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            address,
            memory,
            gate: closed_gate(),
            serving,
            service: None,
            stop: watch::Sender::new(false),
            _claim: None,
        }
    }

    /// Reads each request's head and answers with exactly these bytes, then closes.
    pub async fn saying(bytes: &'static [u8]) -> Self {
        Self::scripted(move |mut raw, _| async move {
            raw.read_head().await;
            raw.send(bytes).await;
        })
        .await
    }

    async fn start(
        tls: Option<TlsAcceptor>,
        gate: Option<Arc<Semaphore>>,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let memory = Arc::new(Memory::default());
        let remembered = Arc::clone(&memory);
        let answer = Arc::new(answer);
        let waiting = gate.clone();
        let handler: Handler = Arc::new(move |request, connection| {
            let (memory, answer, gate) = (
                Arc::clone(&remembered),
                Arc::clone(&answer),
                waiting.clone(),
            );
            Box::pin(async move {
                let seen = read(request, connection).await;
                memory.seen.lock().unwrap().push(seen.clone());
                if let Some(gate) = gate {
                    gate.acquire().await.expect("an open gate").forget();
                }
                answer(&seen).0
            })
        });
        Self::serve(tls, memory, gate.unwrap_or_else(closed_gate), handler).await
    }

    async fn serve(
        tls: Option<TlsAcceptor>,
        memory: Arc<Memory>,
        gate: Arc<Semaphore>,
        handler: Handler,
    ) -> Self {
        // An address of its own: no client of another process gets the port while the target is away. One with a certificate may be
        // called by the name of the local host.
        let mut claim = tls.is_none().then(Address::claim);
        let localhost = SocketAddr::from(([127, 0, 0, 1], 0));
        let socket = claim.as_mut().map_or(localhost, Address::socket);
        let listener = TcpListener::bind(socket).await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = Service {
            tls,
            memory: Arc::clone(&memory),
            handler,
        };
        let stop = watch::Sender::new(false);
        let serving = tokio::spawn(serve(listener, service.clone(), stop.subscribe()));
        Self {
            address,
            memory,
            gate,
            serving,
            service: Some(service),
            stop,
            _claim: claim,
        }
    }

    /// Stops as well-behaved servers do: accepts nothing more, finishes what runs, closes each connection once it is idle, over HTTP/2
    /// after `GOAWAY`.
    pub async fn retire(&mut self) {
        self.stop.send_replace(true);
        within("the end of the target", &mut self.serving)
            .await
            .expect("a target that ends");
    }

    /// Begins again on the same port, after [`Self::retire`] or [`Self::die`].
    pub async fn resume(&mut self) {
        let service = self.service.clone().expect("a target that can start again");
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.stop = watch::Sender::new(false);
        self.serving = tokio::spawn(serve(listener, service, self.stop.subscribe()));
    }

    /// Moves to this port of its address, which nobody else has.
    pub async fn move_to(&mut self, port: u16) {
        self.retire().await;
        self.address.set_port(port);
        self.resume().await;
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests that reached it, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.memory.seen.lock().unwrap().clone()
    }

    /// How many requests reached it.
    pub fn count(&self) -> usize {
        self.memory.seen.lock().unwrap().len()
    }

    /// The only request that reached it.
    #[track_caller]
    pub fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "requests that reached the target: {seen:#?}");
        seen.remove(0)
    }

    /// How many connections it accepted.
    pub fn connections(&self) -> usize {
        self.memory.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.memory.open.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have reached it since it began.
    pub async fn arrived(&self, count: usize) {
        eventually("requests at the target", async || {
            (self.count() >= count).then_some(())
        })
        .await;
    }

    /// Lets so many waiting requests, or as many future ones, be answered.
    pub fn release(&self, count: usize) {
        self.gate.add_permits(count);
    }

    /// Stops listening and drops every connection.
    pub async fn die(&self) {
        self.serving.abort();
        eventually("the end of the target", async || {
            self.serving.is_finished().then_some(())
        })
        .await;
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Accepts connections until it is told to stop, and waits for those that are open.
async fn serve(listener: TcpListener, service: Service, stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut accept = |accepted: std::io::Result<(TcpStream, SocketAddr)>| {
        let (service, stop) = (service.clone(), stop.clone());
        let (stream, _) = accepted.expect("a connection");
        let number = service.memory.connections.fetch_add(1, Ordering::SeqCst) + 1;
        connections.spawn(async move {
            service.memory.open.fetch_add(1, Ordering::SeqCst);
            connection(stream, &service, number, stop).await;
            service.memory.open.fetch_sub(1, Ordering::SeqCst);
        });
    };
    let mut stop = stop.clone();
    loop {
        tokio::select! {
            // What waits to be accepted when a socket is closed would be reset.
            biased;
            accepted = listener.accept() => accept(accepted),
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(
    stream: TcpStream,
    service: &Service,
    number: usize,
    stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    match &service.tls {
        None => speak(stream, service, number, stop).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                speak(stream, service, number, stop).await;
            }
        }
    }
}

async fn speak<S>(stream: S, service: &Service, number: usize, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(|request| {
        let answering = (service.handler)(request, number);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The limits under test are the gateway's; what it adds must not exceed the target's.
    builder.http1().max_headers(200);
    let mut serving = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let told = async { stop.wait_for(|stop| *stop).await.is_ok() };
    // A connection that breaks is for the scenario to judge, by what the client sees.
    tokio::select! {
        _ = &mut serving => return,
        _ = told => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

fn describe(head: &Parts, connection: usize) -> Seen {
    let host = match head.uri.authority() {
        Some(authority) => authority.to_string(),
        None => head
            .headers
            .get("host")
            .map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned())
            .unwrap_or_default(),
    };
    Seen {
        method: head.method.clone(),
        path: head
            .uri
            .path_and_query()
            .map_or_else(|| head.uri.to_string(), ToString::to_string),
        host,
        version: head.version,
        headers: head.headers.clone(),
        body: Bytes::new(),
        trailers: HeaderMap::new(),
        complete: false,
        connection,
    }
}

async fn read(request: http::Request<Incoming>, connection: usize) -> Seen {
    let (head, mut body) = request.into_parts();
    let mut seen = describe(&head, connection);
    let mut bytes = Vec::new();
    seen.complete = loop {
        match body.frame().await {
            None => break true,
            Some(Err(_)) => break false,
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => seen.trailers = frame.into_trailers().unwrap_or_default(),
            },
        }
    };
    seen.body = bytes.into();
    seen
}

fn closed_gate() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}
