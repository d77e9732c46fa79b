//! Calls of HTTP servers, one after the other over one connection.

use std::{fmt, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time,
};
use tokio_rustls::TlsConnector;
use trellis_model::config::HttpEndpoint;

/// Longest wait for a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest time of a call: enough for the largest body, 8 MiB, over a slow line.
const CALL: Duration = Duration::from_secs(60);
/// Most bytes of an answer that are read; all that is asked for is shorter.
const ANSWER: usize = 1 << 20;
/// Most bytes of an answer's head.
const HEAD: usize = 64 << 10;

/// How a connection to a server is encrypted; made by whoever knows the authorities.
pub type TlsFor =
    Arc<dyn Fn(&HttpEndpoint) -> Result<Arc<rustls::ClientConfig>, String> + Send + Sync>;

/// A request with its whole body.
pub(super) type Call = Request<Full<Bytes>>;

/// An answer with its whole body.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    /// A field of the answer's head, when it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A server, and perhaps a connection to it.
pub(super) struct Client {
    endpoint: HttpEndpoint,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connection: Option<Connection>,
}

/// A connection. Dropping it closes it.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("authority", &self.endpoint.authority)
            .finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(endpoint: &HttpEndpoint, tls: &TlsFor) -> Result<Self, String> {
        let secured = if endpoint.tls {
            let name = ServerName::try_from(endpoint.host.to_string())
                .map_err(|_| format!("`{}` is not a name that TLS can verify", endpoint.host))?;
            Some((TlsConnector::from(tls(endpoint)?), name))
        } else {
            None
        };
        Ok(Self {
            endpoint: endpoint.clone(),
            tls: secured,
            connection: None,
        })
    }

    /// Host and port as `Host` has them.
    pub(super) fn authority(&self) -> &str {
        &self.endpoint.authority
    }

    /// The path that the endpoint was given with.
    pub(super) fn path(&self) -> &str {
        &self.endpoint.path
    }

    /// Makes a call. Whatever goes wrong, the connection is given up, and the server sees that nobody waits.
    pub(super) async fn send(&mut self, request: Call) -> Result<Reply, String> {
        let kept = self.connection.take();
        let answer = time::timeout(CALL, self.exchange(kept, request)).await;
        let (connection, reply) = answer.map_err(|_| "no answer in time".to_owned())??;
        // A server that wants to close the connection says so, or has done it by the next call.
        if reply.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Ok(reply)
    }

    async fn exchange(
        &self,
        kept: Option<Connection>,
        mut request: Call,
    ) -> Result<(Connection, Reply), String> {
        if let Some(mut connection) = kept
            && connection.sender.ready().await.is_ok()
        {
            match connection.sender.try_send_request(request).await {
                Ok(answer) => return Ok((connection, read(answer).await?)),
                // It was closed before the request was sent, which then goes over another connection.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().to_string()),
                },
            }
        }
        let mut connection = self.connect().await?;
        let answer = connection.sender.send_request(request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        Ok((connection, read(answer).await?))
    }

    async fn connect(&self) -> Result<Connection, String> {
        let failed = |error: io::Error| format!("no connection: {error}");
        let connecting = async {
            let endpoint = &self.endpoint;
            let stream = TcpStream::connect((&*endpoint.host, endpoint.port))
                .await
                .map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            match &self.tls {
                None => begin(stream).await,
                Some((connector, name)) => {
                    let stream = connector.connect(name.clone(), stream).await;
                    begin(stream.map_err(failed)?).await
                }
            }
        };
        time::timeout(CONNECT, connecting)
            .await
            .unwrap_or_else(|_| Err("no connection in time".to_owned()))
    }
}

async fn begin<S>(stream: S) -> Result<Connection, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let mut driver = JoinSet::new();
    driver.spawn(async {
        // How it ends is told to whoever waits for an answer.
        let _ = connection.await;
    });
    Ok(Connection {
        sender,
        _driver: driver,
    })
}

async fn read(answer: http::Response<hyper::body::Incoming>) -> Result<Reply, String> {
    let (head, mut body) = answer.into_parts();
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| error.to_string())?.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > ANSWER {
            return Err("an answer that is too long".to_owned());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Reply {
        status: head.status,
        headers: head.headers,
        body: bytes.freeze(),
    })
}

/// A request with what all requests carry.
pub(super) fn request(
    client: &Client,
    method: http::Method,
    target: &str,
    body: Bytes,
) -> Result<Call, String> {
    Request::builder()
        .method(method)
        .uri(target)
        .header(header::HOST, client.authority())
        .header(header::USER_AGENT, "trellis")
        .body(Full::new(body))
        .map_err(|error| error.to_string())
}
