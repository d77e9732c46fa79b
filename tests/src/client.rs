//! Clients that speak HTTP properly.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, Version, response::Parts};
use http_body_util::BodyExt as _;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    message::{Payload, Request},
    tls::Trust,
    wait::within,
};

/// How a client speaks to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// HTTP/1.1 in the clear.
    Http1,
    /// HTTP/2 in the clear, by prior knowledge.
    Http2,
    /// HTTP/1.1 over TLS.
    Http1Tls,
    /// HTTP/2 over TLS, by ALPN.
    Http2Tls,
}

impl Via {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Http1, Self::Http2, Self::Http1Tls, Self::Http2Tls];

    /// Over TLS?
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Http1Tls | Self::Http2Tls)
    }

    /// The HTTP version.
    pub fn version(self) -> Version {
        match self {
            Self::Http1 | Self::Http1Tls => Version::HTTP_11,
            Self::Http2 | Self::Http2Tls => Version::HTTP_2,
        }
    }

    fn alpn(self) -> &'static str {
        match self.version() {
            Version::HTTP_2 => "h2",
            _ => "http/1.1",
        }
    }
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// HTTP version.
    pub version: Version,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Its trailers.
    pub trailers: HeaderMap,
}

impl Answer {
    /// Its body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, `-` when there is none.
    pub fn header(&self, name: &str) -> String {
        self.headers
            .get(name)
            .map_or("-".into(), |value| {
                String::from_utf8_lossy(value.as_bytes())
            })
            .into_owned()
    }

    /// Checks status and body.
    #[track_caller]
    pub fn is(&self, status: u16, text: &str) -> &Self {
        assert_eq!((self.status, &*self.text()), (status, text));
        self
    }

    /// Checks the status.
    #[track_caller]
    pub fn has_status(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{:?}", self.text());
        self
    }
}

/// An answer that did not come, or did not come whole.
#[derive(Debug)]
pub struct Broken {
    /// Its head, if that came.
    pub head: Option<Parts>,
    /// What came of its body.
    pub body: Vec<u8>,
    /// What the client library says.
    pub error: hyper::Error,
}

impl Broken {
    /// The status, if the head came.
    pub fn status(&self) -> Option<u16> {
        self.head.as_ref().map(|head| head.status.as_u16())
    }
}

/// An answer whose body is still coming.
#[derive(Debug)]
pub struct Streaming {
    /// Its head.
    pub head: Parts,
    body: Incoming,
    read: Vec<u8>,
    trailers: HeaderMap,
}

impl Streaming {
    /// The next piece of the body; `None` at its end.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.try_next()
            .await
            .expect("an answer that is not broken off")
    }

    async fn try_next(&mut self) -> hyper::Result<Option<Bytes>> {
        within("the next piece of an answer", async {
            while let Some(frame) = self.body.frame().await.transpose()? {
                match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Ok(Some(data)),
                    Err(frame) => self.trailers = frame.into_trailers().unwrap_or_default(),
                }
            }
            Ok(None)
        })
        .await
    }

    /// Reads the rest.
    pub async fn finish(mut self) -> Result<Answer, Broken> {
        loop {
            match self.try_next().await {
                Ok(Some(data)) => self.read.extend_from_slice(&data),
                Ok(None) => break,
                Err(error) => {
                    return Err(Broken {
                        head: Some(self.head),
                        body: self.read,
                        error,
                    });
                }
            }
        }
        Ok(Answer {
            status: self.head.status.as_u16(),
            version: self.head.version,
            headers: self.head.headers,
            body: self.read.into(),
            trailers: self.trailers,
        })
    }
}

/// A request that was sent and is not answered yet. Dropping it abandons the request.
#[derive(Debug)]
pub struct Pending(JoinHandle<Result<Streaming, Broken>>);

impl Pending {
    /// Waits for the head of the answer.
    pub async fn head(mut self) -> Result<Streaming, Broken> {
        within("the head of an answer", &mut self.0)
            .await
            .expect("a client that does not panic")
    }

    /// Waits for the whole answer.
    pub async fn answer(self) -> Result<Answer, Broken> {
        self.head().await?.finish().await
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Debug)]
enum Sender {
    One(http1::SendRequest<Payload>),
    Two(http2::SendRequest<Payload>),
}

/// An open connection to the gateway. Dropping it closes it at once.
#[derive(Debug)]
pub struct Connection {
    sender: Sender,
    driver: JoinHandle<hyper::Result<()>>,
    /// The certificate that the gateway showed, in DER.
    pub certificate: Option<Vec<u8>>,
    /// Was a TLS session resumed?
    pub resumed: bool,
    /// Our end of the connection.
    pub local: SocketAddr,
}

impl Connection {
    /// Over this socket.
    pub(crate) async fn over(
        stream: TcpStream,
        via: Via,
        host: &str,
        trust: &Trust,
    ) -> Result<Self, std::io::Error> {
        let local = stream.local_addr()?;
        if !via.is_tls() {
            let (sender, driver) = speak(stream, via.version()).await;
            return Ok(Self {
                sender,
                driver,
                certificate: None,
                resumed: false,
                local,
            });
        }
        let stream = handshake(stream, host, &[via.alpn()], trust).await?;
        let session = stream.get_ref().1;
        assert_eq!(session.alpn_protocol(), Some(via.alpn().as_bytes()));
        let certificate = session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|leaf| leaf.to_vec());
        let resumed = session.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        let (sender, driver) = speak(stream, via.version()).await;
        Ok(Self {
            sender,
            driver,
            certificate,
            resumed,
            local,
        })
    }

    /// Sends a request and does not wait.
    pub fn start(&mut self, request: Request) -> Pending {
        let broken = |error| Broken {
            head: None,
            body: Vec::new(),
            error,
        };
        let answered = |response: http::Response<Incoming>| {
            let (head, body) = response.into_parts();
            Streaming {
                head,
                body,
                read: Vec::new(),
                trailers: HeaderMap::new(),
            }
        };
        let task = match &mut self.sender {
            Sender::One(sender) => {
                let sending = sender.send_request(request.build(Version::HTTP_11));
                tokio::spawn(async move { sending.await.map(answered).map_err(broken) })
            }
            Sender::Two(sender) => {
                let sending = sender.send_request(request.build(Version::HTTP_2));
                tokio::spawn(async move { sending.await.map(answered).map_err(broken) })
            }
        };
        Pending(task)
    }

    /// Sends a request and waits for the whole answer, which must come.
    pub async fn send(&mut self, request: Request) -> Answer {
        self.try_send(request).await.expect("a whole answer")
    }

    /// Sends a request and waits for the whole answer, or for its failure.
    pub async fn try_send(&mut self, request: Request) -> Result<Answer, Broken> {
        self.ready().await;
        self.start(request).answer().await
    }

    /// Waits until another request can be sent, or never again.
    async fn ready(&mut self) {
        let _ = match &mut self.sender {
            Sender::One(sender) => within("the connection", sender.ready()).await,
            Sender::Two(sender) => within("the connection", sender.ready()).await,
        };
    }

    /// Waits until the gateway closes the connection.
    pub async fn closed(&mut self) {
        // Broken off or closed in order: a client sees little difference, and hyper has its own opinion.
        let _ = within("the end of the connection", &mut self.driver).await;
    }

    /// Will the connection take another request?
    pub fn is_open(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => !sender.is_closed(),
            Sender::Two(sender) => !sender.is_closed(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn speak<S>(stream: S, version: Version) -> (Sender, JoinHandle<hyper::Result<()>>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let io = TokioIo::new(stream);
    if version == Version::HTTP_2 {
        let (sender, driver) = http2::handshake(TokioExecutor::new(), io)
            .await
            .expect("HTTP/2");
        return (Sender::Two(sender), tokio::spawn(driver));
    }
    let (sender, driver) = http1::handshake(io).await.expect("HTTP/1.1");
    (Sender::One(sender), tokio::spawn(driver.with_upgrades()))
}

/// A TLS handshake that offers these protocols.
pub(crate) async fn handshake(
    stream: TcpStream,
    host: &str,
    alpn: &[&str],
    trust: &Trust,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).expect("a server name");
    let connecting = TlsConnector::from(trust.client(alpn)).connect(name, stream);
    within("the TLS handshake", connecting).await
}

/// A TCP connection, from this address if it matters.
pub(crate) async fn dial(to: SocketAddr, from: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(from) = from {
        socket.bind((from, 0).into())?;
    }
    let stream = within("a connection", socket.connect(to)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
