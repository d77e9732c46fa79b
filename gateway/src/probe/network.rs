//! Probes over the network: a connection of its own for each, TLS where the check wants it, then the question.

use std::{fmt, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use trellis_model::config::{HttpProbe, Probe, ProbeVersion, TargetProtocol};

use super::{Asked, Checker, ProbeError, dial::Dialer, grpc, http, tls::Unverified};

/// Probes targets over connections.
#[derive(Clone)]
pub struct NetworkChecker {
    dialer: Arc<dyn Dialer>,
    tls: Unverified,
}

impl NetworkChecker {
    /// Probes over connections from `dialer`. Fails when the cryptography library supports no version of TLS.
    pub fn new(dialer: Arc<dyn Dialer>) -> Result<Self, rustls::Error> {
        let tls = Unverified::new()?;
        Ok(Self { dialer, tls })
    }

    async fn secure(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        version: ProbeVersion,
    ) -> Result<TlsStream<TcpStream>, ProbeError> {
        let secured = match version {
            ProbeVersion::Http1 => self.tls.http1(stream, address.ip()).await,
            ProbeVersion::Http2 => self.tls.http2(stream, address.ip()).await,
        };
        secured.map_err(ProbeError::Tls)
    }

    async fn ask_http(
        &self,
        stream: TcpStream,
        asked: &Asked<'_>,
        probe: &HttpProbe,
    ) -> Result<(), ProbeError> {
        match probe.protocol {
            TargetProtocol::Http => http::ask(stream, asked.address, probe).await,
            TargetProtocol::Https => {
                let stream = self.secure(stream, asked.address, probe.version).await?;
                http::ask(stream, asked.address, probe).await
            }
        }
    }

    async fn ask_grpc(
        &self,
        stream: TcpStream,
        asked: &Asked<'_>,
        protocol: TargetProtocol,
        service: &str,
    ) -> Result<(), ProbeError> {
        let question = grpc::Question {
            address: asked.address,
            protocol,
            service,
            timeout: asked.check.timeout,
        };
        match protocol {
            TargetProtocol::Http => grpc::ask(stream, &question).await,
            TargetProtocol::Https => {
                let version = ProbeVersion::Http2;
                let stream = self.secure(stream, asked.address, version).await?;
                grpc::ask(stream, &question).await
            }
        }
    }
}

#[async_trait]
impl Checker for NetworkChecker {
    async fn check(&self, asked: &Asked<'_>) -> Result<(), ProbeError> {
        let stream = self.dialer.dial(asked.vpc, asked.address).await;
        let stream = stream.map_err(ProbeError::Connect)?;
        match &asked.check.probe {
            Probe::Http(probe) => self.ask_http(stream, asked, probe).await,
            Probe::Grpc { protocol, service } => {
                self.ask_grpc(stream, asked, *protocol, service).await
            }
            Probe::Tcp => Ok(()),
            Probe::Tls => {
                let version = ProbeVersion::Http1;
                self.secure(stream, asked.address, version).await.map(drop)
            }
        }
    }
}

impl fmt::Debug for NetworkChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkChecker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
