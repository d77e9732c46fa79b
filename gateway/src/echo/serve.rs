//! The echo's accept loop: connections in, requests to [`answer`], until told to stop.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

use super::{
    EchoError, Shared,
    answer::{self, ConnectionFacts, TlsFacts},
};

/// Most request headers: the gateway adds its own to a client's hundred.
const MAX_HEADERS: usize = 256;

/// Largest HTTP/2 header list in bytes; the gateway passes 60 KiB and adds its own.
const MAX_HEADER_LIST: u32 = 256 * 1024;

/// Pause after a failed `accept`, so that running out of file descriptors does not turn into a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A certificate in PEM and the acceptor that shows it.
pub(super) struct Identity {
    pub(super) certificate: String,
    pub(super) acceptor: TlsAcceptor,
}

/// Makes a key and a certificate for `localhost`, the loopback addresses and `name`.
pub(super) fn self_signed(name: &str) -> Result<Identity, EchoError> {
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    // A name that no certificate can hold is still a fine name for an echo.
    if rcgen::string::Ia5String::try_from(name).is_ok() {
        names.push(name.to_owned());
    }
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(names).map_err(EchoError::Certificate)?;
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .map_err(EchoError::Tls)?
    .with_no_client_auth()
    .with_single_cert(vec![cert.der().clone()], key.into())
    .map_err(EchoError::Tls)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Identity {
        certificate: cert.pem(),
        acceptor: TlsAcceptor::from(Arc::new(config)),
    })
}

/// Accepts connections until `stopped` resolves. The tasks it spawned die with the runtime that runs this.
pub(super) async fn serve(
    listener: std::net::TcpListener,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the echo cannot use its listening socket");
            return;
        }
    };
    tokio::select! {
        // Lost branch: the accept loop, which holds nothing that outlives it.
        _ = stopped => {}
        () = accept(&listener, acceptor.as_ref(), &shared) => {}
    }
}

async fn accept(listener: &TcpListener, acceptor: Option<&TlsAcceptor>, shared: &Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(connection(
                    stream,
                    peer,
                    acceptor.cloned(),
                    Arc::clone(shared),
                ));
            }
            Err(error) => {
                tracing::warn!(%error, "the echo could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
) {
    // Small answers should leave at once; without the option they only leave later.
    let _ = stream.set_nodelay(true);
    let mut facts = ConnectionFacts {
        peer,
        local: stream.local_addr().ok(),
        tls: None,
    };
    let Some(acceptor) = acceptor else {
        return requests(stream, facts, shared).await;
    };
    match acceptor.accept(stream).await {
        Ok(stream) => {
            facts.tls = Some(TlsFacts::of(stream.get_ref().1));
            requests(stream, facts, shared).await;
        }
        Err(error) => tracing::debug!(%peer, %error, "the echo could not finish a TLS handshake"),
    }
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    facts: ConnectionFacts,
    shared: Arc<Shared>,
) {
    let facts = Arc::new(facts);
    let peer = facts.peer;
    let service =
        service_fn(move |request| answer::answer(Arc::clone(&shared), Arc::clone(&facts), request));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().half_close(true).max_headers(MAX_HEADERS);
    builder.http2().max_header_list_size(MAX_HEADER_LIST);
    if let Err(error) = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await
    {
        // Clients leave and answers die on request: both end here, and neither is news.
        tracing::debug!(%peer, %error, "an echo connection ended early");
    }
}
