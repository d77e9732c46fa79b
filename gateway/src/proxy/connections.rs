//! Connections to targets: those that are free, and new ones, over TLS where the group wants it.
//!
//! The engine makes connections and speaks HTTP over them, and keeps those of HTTP/2. Those of HTTP/1 are kept by us (`kept.rs`), for
//! less. TLS is ours as well (`tls/targets.rs`), since the engine's knows neither alternative names nor a minimum version, and makes a
//! verifier for each connection. What was made under other terms has another [`Key`], so it is never found again: connections of other
//! groups, and those made before a certificate authority was taken away.

mod counted;
mod kept;
mod secured;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use pingora_core::{
    connectors::{
        ConnectorOptions,
        http::v2::{self, Connector},
    },
    protocols::{
        ALPN, Stream,
        http::{client::HttpSession, v1::client::HttpSession as Http1},
    },
    upstreams::peer::{HttpPeer, Peer as _, Scheme},
};
use pingora_error::{Error, ErrorType, OkOrErr as _, OrErr as _, Result};
use rustls_pki_types::ServerName;
use trellis_model::name::DomainName;

use self::{
    counted::Counted,
    kept::{Kept, Key},
    secured::Secured,
};
use crate::{
    telemetry::{ConnectFailure, ZoneMetrics},
    tls::{Http, TargetTls},
};

/// Where a request is sent, and how.
pub(super) struct Destination {
    /// The group, by its number. Connections are shared with no other, even where addresses are the same.
    pub(super) group: u64,
    /// The target.
    pub(super) address: SocketAddr,
    /// The version of HTTP.
    pub(super) http: Http,
    /// How the connection is secured, if it is, and the name that is asked for where its terms name none.
    pub(super) tls: Option<(Arc<TargetTls>, DomainName)>,
    /// How long connecting may take.
    pub(super) connect: Duration,
    /// Requests on one HTTP/2 connection.
    pub(super) streams: u16,
    /// How long a connection is kept without a request, unless its target wants less.
    pub(super) keep_alive: Duration,
    /// Counts the connection.
    pub(super) metrics: Arc<ZoneMetrics>,
}

impl Destination {
    /// Which connections lead there.
    fn key(&self) -> Key {
        let tls = self.tls.as_ref();
        Key {
            group: self.group,
            tls: tls.map(|(tls, _)| tls.key()),
            address: self.address,
            http: self.http,
            name: tls.map(|(_, name)| name.clone()),
        }
    }

    /// The same as the engine wants to have it, where it is the engine that connects or keeps the connection.
    fn peer(&self, key: &Key) -> HttpPeer {
        let name = key.name.as_ref().map_or("", DomainName::as_str);
        let mut peer = HttpPeer::new(self.address, self.tls.is_some(), name.to_owned());
        peer.group_key = key.group ^ key.tls.unwrap_or(0);
        let options = &mut peer.options;
        options.connection_timeout = Some(self.connect);
        options.total_connection_timeout = Some(self.connect * 2);
        options.alpn = match self.http {
            Http::One => ALPN::H1,
            Http::Two => ALPN::H2,
        };
        options.max_h2_streams = usize::from(self.streams);
        peer
    }
}

/// The connections of one worker.
pub(super) struct Connections {
    http1: Kept,
    http2: Connector,
}

impl Connections {
    /// Keeps as many connections of each version of HTTP as the options say.
    pub(super) fn new(options: &ConnectorOptions) -> Self {
        Self {
            http1: Kept::new(options.keepalive_pool_size),
            http2: Connector::new(Some(options.clone())),
        }
    }

    /// A connection that is free, or a new one; tells which.
    pub(super) async fn get(&self, to: &Destination) -> Result<(HttpSession, bool)> {
        let key = to.key();
        // A target that was asked for HTTP/2 may have chosen HTTP/1.1.
        if let Some(kept) = self.http1.take(&key, Instant::now()) {
            return Ok((HttpSession::H1(Http1::new(kept)), true));
        }
        let peer = to.peer(&key);
        if to.http == Http::Two
            && let Some(kept) = self.http2.reused_http_session(&peer).await?
        {
            return Ok((HttpSession::H2(kept), true));
        }
        // Connecting is rare and takes ten kilobytes of state, which every request would otherwise have in its own.
        let made = Box::pin(self.connect(to, &peer)).await;
        if let Err(error) = &made {
            to.metrics.connection_failed(why(error));
        }
        Ok((made?, false))
    }

    /// A new connection, ready for a request.
    async fn connect(&self, to: &Destination, peer: &HttpPeer) -> Result<HttpSession> {
        let mut plain = peer.clone();
        plain.scheme = Scheme::HTTP;
        let stream = self.http2.transport().new_stream(&plain).await?;
        let stream: Stream = Box::new(Counted::new(stream, &to.metrics));
        let (stream, http2) = match &to.tls {
            None => (stream, to.http == Http::Two),
            Some((tls, _)) => {
                let secured = secure(stream, peer, to.http, tls).await;
                to.metrics.handshake(secured.is_ok());
                let secured = secured?;
                // One that chose none is taken to speak HTTP/1.1. Spec: RFC 9113 §3.2.
                let http2 = secured.chosen() == Some(b"h2");
                (Box::new(secured) as Stream, http2)
            }
        };
        to.metrics.connection_speaks(http2);
        self.speak(stream, http2, peer).await
    }

    /// Keeps a connection for the next request, if it can be used again, for this long.
    pub(super) async fn put(&self, session: HttpSession, to: &Destination, idle: Duration) {
        let key = to.key();
        match session {
            HttpSession::H1(mut session) => {
                session.respect_keepalive();
                let until = Instant::now().checked_add(idle);
                // Whether the exchange was whole, and nothing was read beyond it, is known to the engine.
                if let (Some(stream), Some(until)) = (session.reuse().await, until) {
                    self.http1.put(key, stream, until);
                }
            }
            HttpSession::H2(session) => {
                self.http2
                    .release_http_session(session, &to.peer(&key), Some(idle));
            }
            HttpSession::Custom(()) => {}
        }
    }

    /// HTTP over a new connection.
    async fn speak(&self, stream: Stream, http2: bool, peer: &HttpPeer) -> Result<HttpSession> {
        if !http2 {
            return Ok(HttpSession::H1(Http1::new(stream)));
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
            pool.insert(peer.reuse_hash(), connection);
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
