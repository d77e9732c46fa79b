//! What the members of a service network meet: hosts, ports, and what each host shows and asks for in a TLS handshake.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use foldhash::fast::RandomState;
use trellis_model::{
    config::{self, ServiceAssociation},
    id::ServiceId,
    name::DomainName,
};
use trellis_policy::Policies;
use trellis_routing::{DuplicateHost, HostTable, ServiceIndex};

use crate::{
    snapshot::{Change, PortProtocols, clients::Asking},
    tls::{
        Trust,
        store::{Certificates, FileCertificate},
    },
};

/// What the members of a service network meet.
///
/// It depends on the network, on the positions of its services, and of these on what [`meets_alike`] compares.
#[derive(Debug)]
pub(in crate::snapshot) struct World {
    pub(in crate::snapshot) hosts: Arc<HostTable>,
    pub(in crate::snapshot) ports: Arc<Ports>,
    /// Services that have a certificate of their own, or ask for one.
    pub(in crate::snapshot) secured: Arc<HashMap<ServiceIndex, Secured, RandomState>>,
}

/// Kinds of listeners by port.
pub(in crate::snapshot) type Ports = HashMap<u16, PortProtocols, RandomState>;

/// What is particular about a service's handshakes.
#[derive(Debug)]
pub(in crate::snapshot) struct Secured {
    /// The certificate from files, and the name that it is for.
    pub(in crate::snapshot) certificate: Option<(DomainName, Arc<FileCertificate>)>,
    /// Whose certificates clients are asked for.
    pub(in crate::snapshot) trust: Option<Arc<Trust>>,
}

/// What services bring to worlds besides what is configured.
pub(super) struct Sources<'a> {
    pub(super) policies: &'a Policies,
    pub(super) asking: &'a Asking,
    pub(super) certificates: &'a Certificates,
}

/// The world of every service network in the order of the configuration, and that of VPCs without a network.
pub(super) fn worlds(
    change: &Change<'_>,
    sources: &Sources<'_>,
) -> Result<(Vec<Arc<World>>, Arc<World>), DuplicateHost> {
    let config = change.config;
    let running = change.running().filter(|_| change.services_in_place());
    let different = different(change, sources);
    let carried = &change.difference().service_networks;
    let worlds = config.service_networks.iter().enumerate();
    let worlds = worlds.map(|(position, network)| {
        let known = running.zip(carried.from(position));
        let known = known.and_then(|(running, from)| running.pieces.worlds.get(from));
        let met = |member: &ServiceAssociation| different.contains(&member.service);
        match known.filter(|_| different.is_empty() || !network.services.iter().any(met)) {
            Some(known) => Ok(Arc::clone(known)),
            None => World::new(&network.services, change, sources).map(Arc::new),
        }
    });
    let worlds = worlds.collect::<Result<_, _>>()?;
    let nothing = match change.running() {
        Some(running) => Arc::clone(&running.pieces.nothing),
        None => Arc::new(World::new(&[], change, sources)?),
    };
    Ok((worlds, nothing))
}

/// The services that are met otherwise than in the running snapshot. Meaningless where they have other positions.
fn different(change: &Change<'_>, sources: &Sources<'_>) -> HashSet<ServiceId, RandomState> {
    let (Some(running), Some(before)) = (change.running(), change.running_config()) else {
        return HashSet::default();
    };
    let services = &change.config.services;
    let positions: Box<dyn Iterator<Item = usize>> = if change.difference().same_trust_stores {
        Box::new(change.difference().services.newcomers())
    } else {
        Box::new(0..services.len())
    };
    let pairs = positions
        .filter_map(|position| Some((before.services.get(position)?, services.get(position)?)));
    let different = pairs.filter(|(one, other)| {
        let trust = |asking: &Asking| {
            asking
                .of(other.id)
                .map(|clients| Arc::as_ptr(&clients.trust))
        };
        let file = |files: &Certificates| files.of(other.id).map(Arc::as_ptr);
        !meets_alike(one, other)
            || trust(&running.pieces.asking) != trust(sources.asking)
            || file(&running.pieces.certificates) != file(sources.certificates)
    });
    different.map(|(_, service)| service.id).collect()
}

/// Do clients find the two under the same names and ports?
fn meets_alike(one: &config::Service, other: &config::Service) -> bool {
    let ports = |service: &config::Service| -> Vec<_> {
        let listeners = service.listeners.iter();
        listeners
            .map(|listener| (listener.port, listener.protocol))
            .collect()
    };
    one.generated_domain == other.generated_domain
        && one.custom_domain == other.custom_domain
        && ports(one) == ports(other)
}

impl World {
    fn new(
        associations: &[ServiceAssociation],
        change: &Change<'_>,
        sources: &Sources<'_>,
    ) -> Result<Self, DuplicateHost> {
        let members: Vec<(ServiceIndex, &config::Service)> = associations
            .iter()
            .filter_map(|association| {
                let position = sources.policies.service(association.service)?.position();
                let service = change.config.services.get(position as usize)?;
                Some((ServiceIndex(position), &**service))
            })
            .collect();
        let mut ports = Ports::default();
        for listener in members.iter().flat_map(|(_, service)| &service.listeners) {
            let entry = ports.entry(listener.port).or_insert(PortProtocols::None);
            *entry = entry.with(listener.protocol);
        }
        let names = members.iter().flat_map(|(position, service)| {
            let domains = [
                Some(&service.generated_domain),
                service.custom_domain.as_ref(),
            ];
            domains
                .into_iter()
                .flatten()
                .map(|domain| (domain.clone(), *position))
        });
        let hosts = Arc::new(HostTable::build(names)?);
        let secured = members.iter().filter_map(|(position, service)| {
            let file = sources.certificates.of(service.id);
            let secured = Secured {
                certificate: service.custom_domain.clone().zip(file.cloned()),
                trust: sources
                    .asking
                    .of(service.id)
                    .map(|clients| Arc::clone(&clients.trust)),
            };
            let any = secured.certificate.is_some() || secured.trust.is_some();
            any.then_some((*position, secured))
        });
        Ok(Self {
            hosts,
            ports: Arc::new(ports),
            secured: Arc::new(secured.collect()),
        })
    }
}
