//! One message to the collector, and what its answer means.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time,
};
use tokio_rustls::TlsConnector;
use trellis_model::config::OtlpSettings;

use super::messages::Answer;
use crate::{functions, reason::reason};

/// Most bytes of an answer.
const ANSWER: usize = 64 * 1024;

/// Longest wait that a collector may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It may be taken later, perhaps not before so long.
    Later(String, Option<Duration>),
    /// It will not be.
    Never(String),
}

/// Sends messages to one collector.
pub(super) struct Client {
    settings: Arc<OtlpSettings>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Client {
    /// Blocks on the files of the system's roots, where they are wanted.
    pub(super) fn new(settings: Arc<OtlpSettings>) -> Result<Self, String> {
        let endpoint = &settings.endpoint;
        let tls = if endpoint.tls {
            let name = ServerName::try_from(endpoint.host.to_string())
                .map_err(|_| format!("`{}` is not a name that TLS can verify", endpoint.host))?;
            let connector = functions::connector(endpoint.authorities.as_deref())?;
            Some((connector, name))
        } else {
            None
        };
        Ok(Self { settings, tls })
    }

    /// Does it send as these settings say?
    pub(super) fn is_for(&self, settings: &OtlpSettings) -> bool {
        *self.settings == *settings
    }

    /// Posts a message; gives how much of it the collector rejected.
    pub(super) async fn post(&self, path: &str, message: Bytes) -> Result<u64, Refusal> {
        let posted = time::timeout(self.settings.timeout, self.exchange(path, message)).await;
        posted.unwrap_or_else(|_| Err(Refusal::Later("no answer in time".to_owned(), None)))
    }

    async fn exchange(&self, path: &str, message: Bytes) -> Result<u64, Refusal> {
        let failed = |error: io::Error| Refusal::Later(reason(&error), None);
        let endpoint = &self.settings.endpoint;
        let request = self.request(path, message)?;
        let stream = TcpStream::connect((&*endpoint.host, endpoint.port));
        let stream = stream.await.map_err(failed)?;
        match &self.tls {
            None => ask(stream, request).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                ask(stream.map_err(failed)?, request).await
            }
        }
    }

    fn request(&self, path: &str, message: Bytes) -> Result<Request<Full<Bytes>>, Refusal> {
        let endpoint = &self.settings.endpoint;
        let mut request = Request::post(format!("{}{path}", endpoint.path))
            .header(header::HOST, &*endpoint.authority)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::USER_AGENT, "trellis")
            .header(header::CONNECTION, "close");
        for (name, value) in &self.settings.headers {
            let value = HeaderValue::from_str(value.expose()).map(|mut value| {
                value.set_sensitive(true);
                value
            });
            if let Ok(value) = value {
                request = request.header(&**name, value);
            }
        }
        request
            .body(Full::new(message))
            .map_err(|error| Refusal::Never(error.to_string()))
    }
}

async fn ask<S>(stream: S, request: Request<Full<Bytes>>) -> Result<u64, Refusal>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: hyper::Error| Refusal::Later(error.to_string(), None);
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(ANSWER)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // Dropped with this future, and the connection with it.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await.map_err(broken)?;
    read(answer).await
}

/// Source: OTLP specification, "OTLP/HTTP Response".
async fn read(answer: Response<Incoming>) -> Result<u64, Refusal> {
    let status = answer.status();
    let wait = answer.headers().get(header::RETRY_AFTER);
    let wait = wait.and_then(|value| value.to_str().ok()?.parse().ok());
    let wait = wait.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
    let what = format!("the collector answered {}", status.as_u16());
    match status {
        StatusCode::OK => {}
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => return Err(Refusal::Later(what, wait)),
        _ => return Err(Refusal::Never(what)),
    }
    let body = Limited::new(answer.into_body(), ANSWER).collect().await;
    // It has taken the message; what it says besides is of use if it can be read.
    let Ok(body) = body.map(http_body_util::Collected::to_bytes) else {
        return Ok(0);
    };
    let partial = Answer::decode(body)
        .ok()
        .and_then(|answer| answer.partial_success);
    Ok(partial.map_or(0, |partial| u64::try_from(partial.rejected).unwrap_or(0)))
}
