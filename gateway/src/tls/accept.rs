//! Handshakes with clients.
//!
//! The client's first message is read before a configuration is chosen, which lets the gateway do two things that rustls alone
//! does not: refuse an unknown server name with the alert made for it, and serve HTTP/1.1 to a client whose list of protocols
//! holds nothing we know.

use std::{io, sync::Arc};

use rustls::{HandshakeKind, ServerConfig, ServerConnection, server::Acceptor};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use super::{
    cipher::{cipher_name, group_name, version_name},
    client::{Client, Inquiry, Trust},
    parameters::{CertificateFor, Resumption, asking_config, canonical, server_config},
};

/// The alert `unrecognized_name`, fatal, as it stands on the wire before any key exists.
///
/// Spec: RFC 6066 §3; RFC 8446 §6.2, "`unrecognized_name`".
const UNRECOGNIZED_NAME: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70];

/// Does the handshakes of one VPC's clients over one snapshot's certificates. Cheap to make: a snapshot may hold thousands.
#[derive(Debug, Clone)]
pub struct Terminator {
    certificates: Arc<dyn CertificateFor>,
    resumption: Resumption,
    with_protocols: Arc<ServerConfig>,
    without_protocols: Arc<ServerConfig>,
}

impl Terminator {
    /// A terminator that answers for the names that `certificates` knows.
    ///
    /// `resumption` belongs to the VPC and is handed from one snapshot's terminator to the next.
    pub fn new(certificates: Arc<dyn CertificateFor>, resumption: &Resumption) -> Self {
        let with_protocols = server_config(&certificates, resumption);
        let mut without_protocols = with_protocols.clone();
        without_protocols.alpn_protocols.clear();
        Self {
            certificates,
            resumption: resumption.clone(),
            with_protocols: Arc::new(with_protocols),
            without_protocols: Arc::new(without_protocols),
        }
    }

    /// Is there a certificate for this server name (lower case, no trailing dot)?
    pub fn answers_for(&self, server_name: &str) -> bool {
        self.certificates.certificate(server_name).is_some()
    }

    /// Whose certificates clients of this server name are asked for, if they are asked.
    pub fn trust(&self, server_name: &str) -> Option<&Arc<Trust>> {
        self.certificates.trust(server_name)
    }

    /// Does one handshake. The deadline is the caller's: dropping the future closes the connection.
    ///
    /// On failure the client has been sent the fitting alert, as far as it takes it, and the connection is gone.
    pub async fn accept<S>(&self, stream: S) -> Result<(TlsStream<S>, Negotiated), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut start = LazyConfigAcceptor::new(Acceptor::default(), stream)
            .await
            .map_err(HandshakeError::from)?;
        let hello = start.client_hello();
        let server_name: Option<Box<str>> = hello.server_name().map(|name| canonical(name).into());
        let shares_protocol = hello
            .alpn()
            .is_some_and(|mut offered| offered.any(|name| matches!(name, b"h2" | b"http/1.1")));
        let known = server_name
            .as_deref()
            .is_some_and(|name| self.answers_for(name));
        let (true, Some(server_name)) = (known, server_name.clone()) else {
            // The refusal stands whether or not the client reads about it.
            let _ = start.io.write_all(&UNRECOGNIZED_NAME).await;
            let _ = start.io.shutdown().await;
            return Err(HandshakeError::UnrecognizedName { server_name });
        };
        let inquiry = self
            .trust(&server_name)
            .map(|trust| self.resumption.inquiry(trust));
        let config = self.config(inquiry.as_ref(), shares_protocol);
        let stream = start.into_stream(config).await?;
        let connection = stream.get_ref().1;
        let client = inquiry
            .map(|inquiry| inquiry.finish(connection.peer_certificates()))
            .transpose()
            .map_err(|rejected| HandshakeError::ClientCertificate(rejected.into()))?;
        let negotiated = Negotiated::new(server_name, connection, client);
        Ok((stream, negotiated))
    }

    fn config(&self, inquiry: Option<&Arc<Inquiry>>, shares_protocol: bool) -> Arc<ServerConfig> {
        match inquiry {
            None if shares_protocol => Arc::clone(&self.with_protocols),
            None => Arc::clone(&self.without_protocols),
            Some(inquiry) => {
                let mut config = asking_config(&self.certificates, &self.resumption, inquiry);
                if !shares_protocol {
                    config.alpn_protocols.clear();
                }
                Arc::new(config)
            }
        }
    }
}

/// The HTTP version that client and gateway agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Http {
    /// HTTP/1.1, also when the client asked for no protocol or for unknown ones only.
    One,
    /// HTTP/2.
    Two,
}

/// What a handshake established, for routing and for the access record.
#[derive(Debug, Clone)]
pub struct Negotiated {
    /// The name the client asked for, lower case, no trailing dot.
    pub server_name: Box<str>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The OpenSSL name of the cipher suite.
    pub cipher: &'static str,
    /// The agreed protocol.
    pub http: Http,
    /// Did the client resume an earlier session?
    pub resumed: bool,
    /// The group of the key exchange.
    pub group: Option<&'static str>,
    /// The protocol that was agreed on by name.
    pub alpn: Option<&'static str>,
    /// What came of asking for the client's certificate, where it was asked for.
    pub client: Option<Arc<Client>>,
}

impl Negotiated {
    fn new(server_name: Box<str>, connection: &ServerConnection, client: Option<Client>) -> Self {
        Self {
            server_name,
            version: connection.protocol_version().map_or("-", version_name),
            cipher: connection
                .negotiated_cipher_suite()
                .map_or("-", |suite| cipher_name(suite.suite())),
            http: match connection.alpn_protocol() {
                Some(b"h2") => Http::Two,
                _ => Http::One,
            },
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            group: connection
                .negotiated_key_exchange_group()
                .and_then(|group| group_name(group.name())),
            alpn: match connection.alpn_protocol() {
                Some(b"h2") => Some("h2"),
                Some(b"http/1.1") => Some("http/1.1"),
                _ => None,
            },
            client: client.map(Arc::new),
        }
    }
}

/// Why a handshake failed. The client, or what lies between it and us, has to act.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// No server name, or one that nobody in the VPC's view has.
    #[error("no certificate for server name `{}`", server_name.as_deref().unwrap_or_default())]
    UnrecognizedName {
        /// The name as sent, in lower case; `None` when the client sent none.
        server_name: Option<Box<str>>,
    },
    /// The client has no certificate and the service requires one, or it has one that is not accepted.
    #[error("no acceptable certificate of the client")]
    ClientCertificate(#[source] rustls::Error),
    /// What came was not acceptable as TLS 1.2 or 1.3, or the client said that ours was not.
    #[error("handshake refused")]
    Protocol(#[source] rustls::Error),
    /// The connection broke.
    #[error("connection lost during the handshake")]
    Connection(#[source] io::Error),
}

impl From<io::Error> for HandshakeError {
    /// tokio-rustls carries the errors of rustls inside I/O errors.
    fn from(error: io::Error) -> Self {
        match error.downcast::<rustls::Error>() {
            // Only clients show certificates to us.
            Ok(
                error @ (rustls::Error::InvalidCertificate(_)
                | rustls::Error::NoCertificatesPresented),
            ) => Self::ClientCertificate(error),
            Ok(error) => Self::Protocol(error),
            Err(error) => Self::Connection(error),
        }
    }
}
