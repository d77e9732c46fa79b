//! What the certificate of a connection is worth to the service that a request is for.
//!
//! The handshake asked as the configuration of that moment said, and the connection may outlive it. So each generation of the
//! configuration looks once: the same trust takes the handshake's word, another one verifies the certificate itself. After that a
//! request costs a comparison of numbers and of the time.

#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use trellis_model::config::ClientCertificateMode;
use trellis_policy::{Given, Principal, certificate::ClientCertificate};

use super::Facts;
use crate::{
    snapshot::{CallerTexts, Clients, Service, Snapshot},
    tls::Client,
};

/// What the certificate of a connection is worth to the service that its server name is of.
#[derive(Debug)]
pub struct Standing {
    generation: u64,
    found: Result<Option<Certified>, Unfounded>,
}

/// An accepted certificate.
#[derive(Debug)]
struct Certified {
    given: Option<Arc<Given>>,
    texts: OnceLock<CallerTexts>,
}

/// Why a connection does not do for a service that asks for certificates. A new connection might.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfounded {
    /// It was made when the service did not ask.
    #[error("the TLS connection was made without asking for the client's certificate")]
    NotAsked,
    /// It was made without one when the service did not require it.
    #[error("the TLS connection was made without a certificate, which the service requires now")]
    None,
    /// The authorities that stood for it are not those of the service any more.
    #[error("the service does not accept the certificate of the TLS connection any more")]
    Rejected,
    /// It was valid.
    #[error("the certificate of the TLS connection has expired")]
    Expired,
}

impl Standing {
    /// Who the mappings say that the certificate is of.
    pub fn given(&self) -> Option<&Given> {
        self.found.as_ref().ok()?.as_ref()?.given.as_deref()
    }

    /// What targets and records are told about its principal, put together once. `None` when there is no certificate.
    pub fn texts(
        &self,
        principal: &Principal,
        certificate: &ClientCertificate,
    ) -> Option<&CallerTexts> {
        let certified = self.found.as_ref().ok()?.as_ref()?;
        let texts = || CallerTexts::certified(principal, certificate);
        Some(certified.texts.get_or_init(texts))
    }
}

impl Facts {
    /// The client's certificate, whether a service accepts it or not.
    pub fn certificate(&self) -> Option<&ClientCertificate> {
        let client = self.tls.as_ref()?.client.as_ref()?;
        Some(&client.shown.as_ref()?.certificate)
    }

    /// What the client's certificate is worth to the service of its server name; nothing where there is none and none is needed.
    ///
    /// In the clear there are no certificates: a service that requires them has no such listener.
    ///
    /// # Errors
    ///
    /// The service asks for what this connection does not have.
    pub fn standing(
        &self,
        snapshot: &Snapshot,
        service: &Service,
        now: SystemTime,
    ) -> Result<Option<Arc<Standing>>, Unfounded> {
        let (Some(clients), Some(tls)) = (&service.clients, &self.tls) else {
            return Ok(None);
        };
        let client = tls.client.as_ref().ok_or(Unfounded::NotAsked)?;
        if self
            .certificate()
            .is_some_and(|shown| shown.valid_until < now)
        {
            return Err(Unfounded::Expired);
        }
        let mut known = self.standing.lock();
        let standing = match &*known {
            Some(standing) if standing.generation == snapshot.generation => Arc::clone(standing),
            _ => {
                let standing = Arc::new(Standing {
                    generation: snapshot.generation,
                    found: look(snapshot, clients, client, now),
                });
                *known = Some(Arc::clone(&standing));
                standing
            }
        };
        match &standing.found {
            Ok(Some(_)) => Ok(Some(standing)),
            Ok(None) => Ok(None),
            Err(unfounded) => Err(*unfounded),
        }
    }
}

fn look(
    snapshot: &Snapshot,
    clients: &Clients,
    client: &Client,
    now: SystemTime,
) -> Result<Option<Certified>, Unfounded> {
    let same = client.trust == clients.trust.id();
    let Some(shown) = &client.shown else {
        return match clients.trust.mode() {
            ClientCertificateMode::Require => Err(Unfounded::None),
            ClientCertificateMode::Request => Ok(None),
        };
    };
    if !same && clients.trust.verify(&shown.chain, now).is_err() {
        return Err(Unfounded::Rejected);
    }
    let given = snapshot
        .identities
        .by_certificate(clients.trust_store, &shown.certificate);
    Ok(Some(Certified {
        given: given.cloned(),
        texts: OnceLock::new(),
    }))
}
