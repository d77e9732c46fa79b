//! Connections to targets: those that are free, and new ones, over TLS where the group wants it.
//!
//! The engine keeps connections and speaks HTTP over them; TLS is ours (`tls/targets.rs`), since the engine's knows neither alternative
//! names nor a minimum version, and makes a verifier for each connection. What was made under other terms has another
//! [`HttpPeer::group_key`], so it is never found again: connections of other groups, and those made before a certificate authority was
//! taken away.

mod counted;
mod secured;

use std::{sync::Arc, time::Duration};

use pingora_core::{
    connectors::{
        ConnectorOptions,
        http::{v1, v2},
    },
    protocols::{
        Stream,
        http::{client::HttpSession, v1::client::HttpSession as Http1},
    },
    upstreams::peer::{HttpPeer, Scheme},
};
use pingora_error::{Error, ErrorType, OkOrErr as _, OrErr as _, Result};
use rustls_pki_types::ServerName;

use self::{counted::Counted, secured::Secured};
use crate::{
    telemetry::{ConnectFailure, ZoneMetrics},
    tls::{Http, TargetTls},
};

/// Where a request is sent, and how.
pub(super) struct Destination {
    pub(super) peer: HttpPeer,
    pub(super) http: Http,
    /// How the connection is secured, if it is.
    pub(super) tls: Option<Arc<TargetTls>>,
    /// Counts the connection.
    pub(super) metrics: Arc<ZoneMetrics>,
}

/// The connections of one worker.
pub(super) struct Connections {
    http1: v1::Connector,
    http2: v2::Connector,
}

impl Connections {
    pub(super) fn new(options: &ConnectorOptions) -> Self {
        Self {
            http1: v1::Connector::new(Some(options.clone())),
            http2: v2::Connector::new(Some(options.clone())),
        }
    }

    /// A connection that is free, or a new one; tells which.
    pub(super) async fn get(&self, to: &Destination) -> Result<(HttpSession, bool)> {
        let kept = match to.http {
            Http::One => {
                let kept = self.http1.reused_http_session(&to.peer).await;
                kept.map(HttpSession::H1)
            }
            Http::Two => {
                let kept = self.http2.reused_http_session(&to.peer).await?;
                kept.map(HttpSession::H2)
            }
        };
        if let Some(kept) = kept {
            return Ok((kept, true));
        }
        let made = self.connect(to).await;
        if let Err(error) = &made {
            to.metrics.connection_failed(why(error));
        }
        Ok((made?, false))
    }

    /// A new connection, ready for a request.
    async fn connect(&self, to: &Destination) -> Result<HttpSession> {
        let mut plain = to.peer.clone();
        plain.scheme = Scheme::HTTP;
        let stream = self.http2.transport().new_stream(&plain).await?;
        let stream: Stream = Box::new(Counted::new(stream, &to.metrics));
        let (stream, http2) = match &to.tls {
            None => (stream, matches!(to.http, Http::Two)),
            Some(tls) => {
                let secured = secure(stream, &to.peer, to.http, tls).await;
                to.metrics.handshake(secured.is_ok());
                let secured = secured?;
                // One that chose none is taken to speak HTTP/1.1. Spec: RFC 9113 §3.2.
                let http2 = secured.chosen() == Some(b"h2");
                (Box::new(secured) as Stream, http2)
            }
        };
        to.metrics.connection_speaks(http2);
        self.speak(stream, http2, &to.peer).await
    }

    /// Keeps a connection for the next request, if it can be used again, for this long.
    pub(super) async fn put(&self, session: HttpSession, to: &Destination, idle: Duration) {
        let idle = Some(idle);
        match session {
            HttpSession::H1(session) => {
                self.http1
                    .release_http_session(session, &to.peer, idle)
                    .await;
            }
            HttpSession::H2(session) => self.http2.release_http_session(session, &to.peer, idle),
            HttpSession::Custom(()) => {}
        }
    }

    /// HTTP over a new connection.
    async fn speak(&self, stream: Stream, http2: bool, peer: &HttpPeer) -> Result<HttpSession> {
        if !http2 {
            return Ok(HttpSession::H1(Http1::new_with_options(stream, peer)));
        }
        let mut settings = v2::H2HandshakeSettings::new();
        settings.max_streams = peer.options.max_h2_streams;
        let connection = v2::handshake(stream, settings).await?;
        let session = connection
            .spawn_stream()
            .await?
            .or_err(ErrorType::H2Error, "a new connection takes no streams")?;
        if connection.more_streams_allowed() {
            let pool = self.http2.in_use_pool();
            pool.insert(
                pingora_core::upstreams::peer::Peer::reuse_hash(peer),
                connection,
            );
        }
        Ok(HttpSession::H2(session))
    }
}

/// The handshake over a new connection, which has as long as connecting has.
async fn secure(stream: Stream, peer: &HttpPeer, http: Http, tls: &TargetTls) -> Result<Secured> {
    let name = ServerName::try_from(peer.sni.clone())
        .or_err(ErrorType::InternalError, "a name that cannot be asked for")?;
    let limit = peer.options.connection_timeout.unwrap_or(Duration::MAX);
    let secured = tokio::time::timeout(limit, tls.connect(stream, http, name)).await;
    secured
        .or_err(ErrorType::TLSHandshakeTimedout, "with a target")?
        .or_err(ErrorType::TLSHandshakeFailure, "with a target")
        .map(Secured::from)
}

/// What a connection that was not made is counted as.
fn why(error: &Error) -> ConnectFailure {
    match error.etype() {
        ErrorType::ConnectTimedout => ConnectFailure::Timeout,
        ErrorType::TLSHandshakeTimedout | ErrorType::TLSHandshakeFailure => ConnectFailure::Tls,
        _ => ConnectFailure::Refused,
    }
}
