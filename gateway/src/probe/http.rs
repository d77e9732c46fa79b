//! A probe over HTTP: one GET on a connection of its own, judged by the status of the answer and, where the check says so, its body.
//!
//! HTTP/1.1 and HTTP/2, in the clear (HTTP/2 with prior knowledge) or over TLS (with ALPN). The body is read as far as the check
//! needs to know, and not at all where it does not ask; redirects are answers like others. Of the parts that VPC Lattice does not
//! document we send `Host` with the target's address and port and a `User-Agent` that tells operators of targets who asks.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Weak},
};

use ::http::{Request, Response, Uri, header, uri::Scheme};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    body::{Body, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};
use trellis_model::config::{BodyMatch, HttpProbe, ProbeVersion, TargetProtocol};

use super::ProbeError;

/// Name under which probes introduce themselves.
pub(super) const USER_AGENT: &str = "Trellis-HealthChecker";

/// Largest head of an answer. Ordinary ones take some hundred bytes; more than this and the target is not well.
const HEAD_BYTES: u16 = 16 * 1024;

/// How far a body is searched. Source: the documents' reference, `matcher.body`.
const SEARCHED_BYTES: usize = 64 * 1024;

/// What a probe sends over.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection for S {}

/// Asks the target at `address`, over a connection to it.
pub(super) async fn ask(
    stream: impl Connection,
    address: SocketAddr,
    probe: &HttpProbe,
) -> Result<(), ProbeError> {
    let judge = |answer| judge(answer, probe);
    match probe.version {
        ProbeVersion::Http1 => ask_http1(stream, address, probe, judge).await,
        ProbeVersion::Http2 => {
            let uri = uri(address, probe.protocol, &probe.path)?;
            let request = Request::get(uri)
                .header(header::USER_AGENT, USER_AGENT)
                .header(header::ACCEPT, "*/*")
                .body(Empty::<Bytes>::new())
                .map_err(ProbeError::Path)?;
            ask_http2(stream, request, judge).await
        }
    }
}

/// Where a request over HTTP/2 goes.
pub(super) fn uri(
    address: SocketAddr,
    protocol: TargetProtocol,
    path: &str,
) -> Result<Uri, ProbeError> {
    let scheme = match protocol {
        TargetProtocol::Http => Scheme::HTTP,
        TargetProtocol::Https => Scheme::HTTPS,
    };
    Uri::builder()
        .scheme(scheme)
        .authority(address.to_string())
        .path_and_query(path)
        .build()
        .map_err(ProbeError::Path)
}

async fn ask_http1<F>(
    stream: impl Connection,
    address: SocketAddr,
    probe: &HttpProbe,
    judge: impl FnOnce(Response<Incoming>) -> F,
) -> Result<(), ProbeError>
where
    F: Future<Output = Result<(), ProbeError>>,
{
    let request = Request::get(&*probe.path)
        .header(header::HOST, address.to_string())
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(ProbeError::Path)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(usize::from(HEAD_BYTES))
        .handshake(TokioIo::new(stream))
        .await
        .map_err(ProbeError::Answer)?;
    answered(sender.send_request(request), connection, judge).await
}

/// Sends a request over HTTP/2 and has the answer judged.
pub(super) async fn ask_http2<B, F>(
    stream: impl Connection,
    request: Request<B>,
    judge: impl FnOnce(Response<Incoming>) -> F,
) -> Result<(), ProbeError>
where
    B: Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
    F: Future<Output = Result<(), ProbeError>>,
{
    let tasks = Arc::new(Mutex::new(JoinSet::new()));
    let (mut sender, connection) = http2::Builder::new(Attached(Arc::downgrade(&tasks)))
        .max_header_list_size(u32::from(HEAD_BYTES))
        // Little of a body is read, so let the target send as little of it as the protocol's defaults allow.
        .initial_connection_window_size(Some(65_535))
        .initial_stream_window_size(Some(65_535))
        .handshake(TokioIo::new(stream))
        .await
        .map_err(ProbeError::Answer)?;
    answered(sender.send_request(request), connection, judge).await
}

/// Drives the connection until the answer is judged.
async fn answered<F>(
    response: impl Future<Output = hyper::Result<Response<Incoming>>>,
    connection: impl Future<Output = hyper::Result<()>>,
    judge: impl FnOnce(Response<Incoming>) -> F,
) -> Result<(), ProbeError>
where
    F: Future<Output = Result<(), ProbeError>>,
{
    let judged = async { judge(response.await.map_err(ProbeError::Answer)?).await };
    let mut judged = pin!(judged);
    tokio::select! {
        // An answer that is there counts, whatever became of the connection.
        biased;
        judged = &mut judged => judged,
        // The connection is over: it has handed over the answer, or the error that the request now ends with.
        _ended = connection => judged.await,
    }
}

async fn judge(answer: Response<Incoming>, probe: &HttpProbe) -> Result<(), ProbeError> {
    let code = answer.status().as_u16();
    let mut successes = probe.success_codes.iter();
    if !successes.any(|codes| codes.contains(&code)) {
        return Err(ProbeError::Status(code));
    }
    let says = match &probe.body {
        None => true,
        Some(BodyMatch::Exact(text)) => is(answer.into_body(), text.as_bytes()).await?,
        Some(BodyMatch::Contains(text)) => contains(answer.into_body(), text.as_bytes()).await?,
    };
    if says { Ok(()) } else { Err(ProbeError::Body) }
}

/// Is this the whole body? Read to the first byte that says no.
async fn is(mut body: Incoming, mut text: &[u8]) -> Result<bool, ProbeError> {
    while let Some(frame) = body.frame().await {
        let Ok(part) = frame.map_err(ProbeError::Answer)?.into_data() else {
            continue;
        };
        match text.strip_prefix(&*part) {
            Some(rest) => text = rest,
            None => return Ok(false),
        }
    }
    Ok(text.is_empty())
}

/// Is this somewhere in the beginning of the body? Read until it is found.
async fn contains(mut body: Incoming, text: &[u8]) -> Result<bool, ProbeError> {
    let finder = memmem::Finder::new(text);
    let mut read = BytesMut::new();
    while read.len() < SEARCHED_BYTES
        && let Some(frame) = body.frame().await
    {
        let Ok(part) = frame.map_err(ProbeError::Answer)?.into_data() else {
            continue;
        };
        // What was searched before can only be the beginning of a match.
        let from = read.len().saturating_sub(text.len().saturating_sub(1));
        let room = SEARCHED_BYTES - read.len();
        read.extend_from_slice(part.get(..room).unwrap_or(&part));
        if finder.find(read.get(from..).unwrap_or_default()).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Runs what the HTTP/2 client spawns as part of the probe: it ends with the probe, however that ends.
#[derive(Clone)]
struct Attached(Weak<Mutex<JoinSet<()>>>);

impl<F> hyper::rt::Executor<F> for Attached
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        if let Some(tasks) = self.0.upgrade() {
            tasks.lock().spawn(task);
        }
    }
}
