//! A client that sends a supposed request for real.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::TlsConnector;

use crate::proxy::walk::Supposed;

/// What a client gets: status and body, or no answer at all.
pub(super) type Answer = Option<(u16, String)>;

/// Sends a request as a client would.
pub(super) async fn send(supposed: &Supposed, root: &[u8]) -> Answer {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(supposed.peer, 0)).unwrap();
    let stream = socket.connect(supposed.local).await.ok()?;
    match &supposed.tls {
        None => exchange(stream, supposed).await,
        Some(name) => {
            let name = name.as_deref().unwrap().to_owned();
            exchange(
                encrypted(stream, name, supposed.version, root).await?,
                supposed,
            )
            .await
        }
    }
}

async fn encrypted(
    stream: TcpStream,
    name: String,
    version: Version,
    root: &[u8],
) -> Option<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(root.to_vec())).unwrap();
    let provider = crate::tls::provider();
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![if version == Version::HTTP_2 {
        b"h2".to_vec()
    } else {
        b"http/1.1".to_vec()
    }];
    let name = ServerName::try_from(name).ok()?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .ok()
}

async fn exchange<S>(stream: S, supposed: &Supposed) -> Answer
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if supposed.version == Version::HTTP_2 {
        exchange_http2(stream, supposed).await
    } else {
        exchange_http1(stream, supposed).await
    }
}

async fn exchange_http1<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    supposed: &Supposed,
) -> Answer {
    let Supposed {
        method,
        target,
        version,
        authority,
        ..
    } = supposed;
    let mut head = format!("{method} {target} {version:?}\r\nhost: {authority}\r\n");
    for (name, value) in &supposed.fields {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    // An end without a goodbye is an end all the same.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some((status, body.to_owned()))
}

async fn exchange_http2<S>(stream: S, supposed: &Supposed) -> Answer
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .ok()?;
    let connection = tokio::spawn(connection);
    let scheme = if supposed.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let uri = format!("{scheme}://{}{}", supposed.authority, supposed.target);
    let mut request = Request::builder()
        .method(supposed.method.as_str())
        .uri(uri)
        .version(Version::HTTP_2);
    for (name, value) in &supposed.fields {
        request = request.header(name, value);
    }
    let answer = async {
        let answer = client
            .send_request(request.body(Empty::<Bytes>::new()).ok()?)
            .await
            .ok()?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    }
    .await;
    drop(client);
    connection.abort();
    answer
}
