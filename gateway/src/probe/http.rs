//! A probe over HTTP: one GET on a connection of its own, judged by the status of the answer.
//!
//! HTTP/1.1 and HTTP/2, in the clear (HTTP/2 with prior knowledge) or over TLS (with ALPN). Only the head of the answer is
//! read; redirects are answers like others. Of the parts that VPC Lattice does not document we send `Host` with the target's
//! address and port and a `User-Agent` that tells operators of targets who asks.

use std::{
    fmt,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Weak},
};

use ::http::{Request, StatusCode, Uri, header, uri::Scheme};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};
use trellis_model::{
    config::{HealthCheck, ProtocolVersion, TargetProtocol},
    id::VpcId,
};

use super::{Checker, ProbeError, dial::Dialer, tls::Unverified};

/// Name under which probes introduce themselves.
pub const USER_AGENT: &str = "Trellis-HealthChecker";

/// Largest head of an answer. Ordinary ones take some hundred bytes; more than this and the target is not well.
const HEAD_BYTES: u16 = 16 * 1024;

/// Probes over HTTP.
#[derive(Clone)]
pub struct HttpChecker {
    dialer: Arc<dyn Dialer>,
    tls: Unverified,
}

impl HttpChecker {
    /// Probes over connections from `dialer`. Fails when the cryptography library supports no version of TLS.
    pub fn new(dialer: Arc<dyn Dialer>) -> Result<Self, rustls::Error> {
        let tls = Unverified::new()?;
        Ok(Self { dialer, tls })
    }
}

#[async_trait]
impl Checker for HttpChecker {
    async fn check(
        &self,
        vpc: &VpcId,
        address: SocketAddr,
        check: &HealthCheck,
    ) -> Result<(), ProbeError> {
        let stream = self.dialer.dial(vpc, address).await;
        let stream = stream.map_err(ProbeError::Connect)?;
        let status = match (check.protocol, Version::of(check)) {
            (TargetProtocol::Http, Version::Http1) => ask_http1(stream, address, check).await?,
            (TargetProtocol::Http, Version::Http2) => ask_http2(stream, address, check).await?,
            (TargetProtocol::Https, Version::Http1) => {
                let stream = self.tls.http1(stream, address.ip()).await;
                ask_http1(stream.map_err(ProbeError::Tls)?, address, check).await?
            }
            (TargetProtocol::Https, Version::Http2) => {
                let stream = self.tls.http2(stream, address.ip()).await;
                ask_http2(stream.map_err(ProbeError::Tls)?, address, check).await?
            }
        };
        let code = status.as_u16();
        if check
            .success_codes
            .iter()
            .any(|codes| codes.contains(&code))
        {
            Ok(())
        } else {
            Err(ProbeError::Status(code))
        }
    }
}

impl fmt::Debug for HttpChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpChecker").finish_non_exhaustive()
    }
}

/// HTTP version of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Http1,
    Http2,
}

impl Version {
    fn of(check: &HealthCheck) -> Self {
        match check.version {
            ProtocolVersion::Http1 => Self::Http1,
            // There is no gRPC probe; what a gRPC target surely speaks is HTTP/2.
            ProtocolVersion::Http2 | ProtocolVersion::Grpc => Self::Http2,
        }
    }
}

async fn ask_http1<S>(
    stream: S,
    address: SocketAddr,
    check: &HealthCheck,
) -> Result<StatusCode, ProbeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = Request::get(&*check.path)
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
    answered(sender.send_request(request), connection).await
}

async fn ask_http2<S>(
    stream: S,
    address: SocketAddr,
    check: &HealthCheck,
) -> Result<StatusCode, ProbeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let scheme = match check.protocol {
        TargetProtocol::Http => Scheme::HTTP,
        TargetProtocol::Https => Scheme::HTTPS,
    };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(address.to_string())
        .path_and_query(&*check.path)
        .build()
        .map_err(ProbeError::Path)?;
    let request = Request::get(uri)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .body(Empty::<Bytes>::new())
        .map_err(ProbeError::Path)?;
    let tasks = Arc::new(Mutex::new(JoinSet::new()));
    let (mut sender, connection) = http2::Builder::new(Attached(Arc::downgrade(&tasks)))
        .max_header_list_size(u32::from(HEAD_BYTES))
        // No body is read, so let the target send as little of it as the protocol's defaults allow.
        .initial_connection_window_size(Some(65_535))
        .initial_stream_window_size(Some(65_535))
        .handshake(TokioIo::new(stream))
        .await
        .map_err(ProbeError::Answer)?;
    answered(sender.send_request(request), connection).await
}

/// Drives the connection until the head of the answer is there.
async fn answered<B>(
    response: impl Future<Output = hyper::Result<::http::Response<B>>>,
    connection: impl Future<Output = hyper::Result<()>>,
) -> Result<StatusCode, ProbeError> {
    let mut response = pin!(response);
    let answer = tokio::select! {
        // An answer that is there counts, whatever became of the connection.
        biased;
        answer = &mut response => answer,
        // The connection is over: it has handed over the answer, or the error that the request now ends with.
        _ended = connection => response.await,
    };
    answer
        .map(|answer| answer.status())
        .map_err(ProbeError::Answer)
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

#[cfg(test)]
mod tests;
