//! Which certificate answers for which name, within one VPC's view; and what of TLS outlives snapshots.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use parking_lot::Mutex;
use rustls::sign::CertifiedKey;
use trellis_model::{
    config::{self, Config},
    id::VpcId,
};

use super::build::World;
use crate::tls::{CertificateFor, Resumption, Terminator, TicketError, Trust, ca::InternalCa};

/// What of TLS outlives snapshots: the internal CA, and for each VPC the keys that seal session tickets.
#[derive(Debug)]
pub struct TlsTerms {
    /// The internal CA.
    pub ca: Arc<InternalCa>,
    resumption: Mutex<HashMap<VpcId, Resumption>>,
}

impl TlsTerms {
    /// Terms with this CA, and no session yet to resume.
    pub fn new(ca: Arc<InternalCa>) -> Self {
        Self {
            ca,
            resumption: Mutex::default(),
        }
    }

    /// What would let sessions of each VPC resume, in the order of the configuration: what it has, or new keys. Kept with
    /// [`Self::keep`] once the configuration runs.
    pub(super) fn resumption(&self, config: &Config) -> Result<Vec<Resumption>, TicketError> {
        let known = self.resumption.lock();
        let of_vpc =
            |vpc: &Arc<config::Vpc>| known.get(&vpc.id).cloned().map_or_else(Resumption::new, Ok);
        config.vpcs.iter().map(of_vpc).collect()
    }

    /// Keeps what lets sessions of each VPC resume, and forgets VPCs that are gone.
    pub(super) fn keep(&self, config: &Config, resumption: &[Resumption]) {
        let ids = config.vpcs.iter().map(|vpc| vpc.id.clone());
        *self.resumption.lock() = ids.zip(resumption.iter().cloned()).collect();
    }
}

/// The certificates that one VPC's clients may be shown: from files for custom domains, from the internal CA for the rest.
#[derive(Debug)]
struct ViewCertificates {
    world: Arc<World>,
    ca: Arc<InternalCa>,
}

impl CertificateFor for ViewCertificates {
    fn certificate(&self, server_name: &str) -> Option<Arc<CertifiedKey>> {
        let service = self.world.hosts.find(server_name.as_bytes())?;
        let secured = self.world.secured.get(&service);
        // Its generated name is no matter of the files.
        if let Some((domain, file)) = secured.and_then(|secured| secured.certificate.as_ref())
            && domain.as_str() == server_name
        {
            return Some(file.key());
        }
        match self.ca.certificate(server_name, SystemTime::now()) {
            Ok(key) => Some(key),
            Err(error) => {
                tracing::error!(name = server_name, %error, "the internal CA cannot issue");
                None
            }
        }
    }

    fn trust(&self, server_name: &str) -> Option<&Arc<Trust>> {
        if self.world.secured.is_empty() {
            return None;
        }
        let service = self.world.hosts.find(server_name.as_bytes())?;
        self.world.secured.get(&service)?.trust.as_ref()
    }
}

/// The terminator of a view over `world`.
pub(super) fn terminator(
    world: &Arc<World>,
    resumption: &Resumption,
    ca: &Arc<InternalCa>,
) -> Terminator {
    let certificates = ViewCertificates {
        world: Arc::clone(world),
        ca: Arc::clone(ca),
    };
    Terminator::new(Arc::new(certificates), resumption)
}
