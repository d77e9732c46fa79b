//! One `GET` of a JSON Web Key Set, over HTTP/1.1 and, but for loopback addresses, TLS with the roots of the system.

use std::{fmt, io, sync::Arc};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::TlsConnector;
use trellis_policy::jwt::{KeySet, KeySetError, MAX_KEY_SET_BYTES};

use crate::reason::reason;

/// Why there is no new set of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The address cannot be read.
    #[error("not an address to read keys from")]
    Address,
    /// The system's roots, or the cryptography, cannot be used.
    #[error("no roots to verify the server with: {0}")]
    Roots(String),
    /// There is no connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// The answer broke off, or is no HTTP.
    #[error("no answer: {0}")]
    Answer(String),
    /// The answer is none of keys.
    #[error("the answer has status {0}")]
    Status(u16),
    /// It took too long.
    #[error("no answer in time")]
    Deadline,
    /// The answer is not a set of keys.
    #[error(transparent)]
    Keys(#[from] KeySetError),
}

/// Reads one address.
pub struct Fetcher {
    host: String,
    port: u16,
    authority: String,
    target: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher")
            .field("authority", &self.authority)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Fetcher {
    /// What is needed to read `url`. Blocks on the files of the system's roots.
    pub fn new(url: &str) -> Result<Self, FetchError> {
        let uri: Uri = url.parse().map_err(|_| FetchError::Address)?;
        let authority = uri.authority().ok_or(FetchError::Address)?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(FetchError::Address),
        };
        let tls = if encrypted {
            let name = ServerName::try_from(host.clone()).map_err(|_| FetchError::Address)?;
            Some((connector()?, name))
        } else {
            None
        };
        Ok(Self {
            port: authority
                .port_u16()
                .unwrap_or(if encrypted { 443 } else { 80 }),
            authority: authority.to_string(),
            target: uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
            host,
            tls,
        })
    }

    /// Reads the keys. The caller bounds the time.
    pub async fn fetch(&self) -> Result<KeySet, FetchError> {
        let connect = |error: io::Error| FetchError::Connect(reason(&error));
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(connect)?;
        let body = match &self.tls {
            None => self.ask(stream).await?,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                self.ask(stream.map_err(connect)?).await?
            }
        };
        Ok(KeySet::parse(&body)?)
    }

    async fn ask<S>(&self, stream: S) -> Result<Bytes, FetchError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let broken = |error: hyper::Error| FetchError::Answer(error.to_string());
        let request = Request::get(&self.target)
            .header(header::HOST, &self.authority)
            .header(header::ACCEPT, "application/json")
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|_| FetchError::Address)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // Dropped with this future, and the connection with it.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let answer = sender.send_request(request).await.map_err(broken)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        let body = Limited::new(answer.into_body(), MAX_KEY_SET_BYTES)
            .collect()
            .await;
        body.map(http_body_util::Collected::to_bytes)
            .map_err(|error| match error.downcast::<hyper::Error>() {
                Ok(error) => broken(*error),
                Err(_) => KeySetError::TooLarge.into(),
            })
    }
}

/// Spec: RFC 8725 §3.10 and `OpenID` Connect Core 1.0 §10.1.1: keys come over verified TLS.
fn connector() -> Result<TlsConnector, FetchError> {
    let found = rustls_native_certs::load_native_certs()
        .map_err(|error| FetchError::Roots(reason(&error)))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Roots(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
