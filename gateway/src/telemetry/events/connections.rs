//! Sockets and the connections of clients.

use std::{io, net::SocketAddr};

use super::Event;
use crate::{reason::Chain, telemetry::Telemetry, tls::HandshakeError};

/// A socket listens.
#[derive(Debug)]
pub struct ListenerOpened {
    /// Its address.
    pub address: SocketAddr,
}

impl Event for ListenerOpened {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.listeners.increment(1.0);
        tracing::info!(address = %self.address, "listening");
    }
}

/// A socket that listened was closed, because no service wants it any more. Its connections go on.
#[derive(Debug)]
pub struct ListenerClosed {
    /// Its address.
    pub address: SocketAddr,
}

impl Event for ListenerClosed {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.listeners.decrement(1.0);
        tracing::info!(address = %self.address, "no longer listening");
    }
}

/// An address cannot be listened on, so the configuration that wants it is refused. Only counted: the report of the refusal tells the
/// address and why.
#[derive(Debug)]
pub struct ListenerFailed;

impl Event for ListenerFailed {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.listener_failures.increment(1);
    }
}

/// Why a connection was closed unserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its source belongs to no VPC that is attached where it arrived.
    UnknownVpc,
    /// The gateway has as many connections as it may.
    TooMany,
    /// Its VPC has as many as it may.
    TooManyOfVpc,
    /// The client has as many as it may.
    TooManyOfClient,
}

/// A connection was closed unserved.
#[derive(Debug)]
pub struct ConnectionRefused {
    /// The client.
    pub peer: SocketAddr,
    /// Where it arrived.
    pub local: SocketAddr,
    /// Why.
    pub reason: Refused,
}

impl Event for ConnectionRefused {
    fn emit(&self, telemetry: &Telemetry) {
        let (counter, why) = match self.reason {
            Refused::UnknownVpc => (
                &telemetry.gateway.refused_unknown_vpc,
                "its source belongs to no VPC attached there",
            ),
            Refused::TooMany => (
                &telemetry.gateway.refused_too_many,
                "the limit of connections is reached",
            ),
            Refused::TooManyOfVpc => (
                &telemetry.gateway.refused_too_many_of_vpc,
                "the limit of connections of its VPC is reached",
            ),
            Refused::TooManyOfClient => (
                &telemetry.gateway.refused_too_many_of_client,
                "the limit of connections of one client is reached",
            ),
        };
        counter.increment(1);
        tracing::debug!(peer = %self.peer, local = %self.local, why, "connection refused");
    }
}

/// The system could not hand over a connection: out of descriptors or memory, mostly.
#[derive(Debug)]
pub struct AcceptFailed<'a> {
    /// The listening address.
    pub address: SocketAddr,
    /// Why.
    pub error: &'a io::Error,
    /// How many failures the log line stands for; none when there is to be no line yet.
    pub failures: Option<u64>,
}

impl Event for AcceptFailed<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        telemetry.gateway.refused_accept_failed.increment(1);
        if let Some(failures) = self.failures {
            tracing::error!(
                address = %self.address,
                error = %Chain(self.error),
                failures,
                "cannot accept connections"
            );
        }
    }
}

/// How a TLS handshake with a client ended.
#[derive(Debug)]
pub enum Handshake<'a> {
    /// Well.
    Ok,
    /// Badly.
    Failed {
        /// The client.
        peer: SocketAddr,
        /// What went wrong.
        error: &'a HandshakeError,
    },
    /// Not in time.
    Timeout {
        /// The client.
        peer: SocketAddr,
    },
}

impl Event for Handshake<'_> {
    fn emit(&self, telemetry: &Telemetry) {
        match self {
            Self::Ok => telemetry.gateway.handshakes_ok.increment(1),
            Self::Failed { peer, error } => {
                let metrics = &telemetry.gateway;
                match error {
                    HandshakeError::UnrecognizedName { .. } => &metrics.handshakes_unknown_name,
                    HandshakeError::ClientCertificate(_) => &metrics.handshakes_no_certificate,
                    HandshakeError::Protocol(_) => &metrics.handshakes_refused,
                    HandshakeError::Connection(_) => &metrics.handshakes_lost,
                }
                .increment(1);
                tracing::debug!(%peer, error = %Chain(*error), "TLS handshake failed");
            }
            Self::Timeout { peer } => {
                telemetry.gateway.handshakes_timeout.increment(1);
                tracing::debug!(%peer, "TLS handshake took too long");
            }
        }
    }
}
