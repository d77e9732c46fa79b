//! Probes over the network: a connection of its own for each, TLS where the check wants it, then the question.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use trellis_model::config::{HttpProbe, Probe, ProbeVersion, TargetProtocol};

use super::{Asked, Checker, ProbeError, dial::Dialer, grpc, http};
use crate::tls::{Http, TargetTls};

/// Probes targets over connections.
#[derive(Clone)]
pub struct NetworkChecker {
    dialer: Arc<dyn Dialer>,
    unverified: Arc<TargetTls>,
}

impl NetworkChecker {
    /// Probes over connections from `dialer`. Fails when the cryptography library supports no version of TLS.
    pub fn new(dialer: Arc<dyn Dialer>) -> Result<Self, rustls::Error> {
        let unverified = Arc::new(TargetTls::unverified()?);
        Ok(Self { dialer, unverified })
    }

    /// Where the group does not say whom to ask for, the target is named by its address, so no SNI is sent.
    async fn secure(
        &self,
        stream: TcpStream,
        asked: &Asked<'_>,
        http: Http,
    ) -> Result<TlsStream<TcpStream>, ProbeError> {
        let tls = asked.tls.unwrap_or(&self.unverified);
        let name = ServerName::IpAddress(asked.address.ip().into());
        let secured = tls.connect(stream, http, name).await;
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
                let stream = self.secure(stream, asked, probe.version.into()).await?;
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
                // A target that does not take part in ALPN is taken to speak it all the same.
                let stream = self.secure(stream, asked, Http::Two).await?;
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
            Probe::Tls => self.secure(stream, asked, Http::One).await.map(drop),
        }
    }
}

impl From<ProbeVersion> for Http {
    fn from(version: ProbeVersion) -> Self {
        match version {
            ProbeVersion::Http1 => Self::One,
            ProbeVersion::Http2 => Self::Two,
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
