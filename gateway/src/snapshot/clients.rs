//! Which services ask clients for certificates, and of whom.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use foldhash::fast::RandomState;
use trellis_model::{
    config::{self, ClientCertificateMode, Config},
    id::ServiceId,
    problem::{Problem, Problems},
};

use super::Change;
use crate::tls::{Authorities, AuthoritiesError, Trust};

/// What a service demands of certificates of clients.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Whose certificates, and of whom; shared by services that demand the same.
    pub trust: Arc<Trust>,
    /// Its trust store, as a position in the configuration: whose mappings count.
    pub trust_store: usize,
}

impl Clients {
    /// Is it the same demand?
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.trust, &other.trust) && self.trust_store == other.trust_store
    }
}

/// The services that ask, with whatever the next configuration may ask with.
#[derive(Debug, Clone, Default)]
pub(super) struct Asking {
    stores: Arc<Vec<Authorities>>,
    shared: HashMap<(usize, ClientCertificateMode), Arc<Trust>>,
    services: Arc<HashMap<ServiceId, Clients, RandomState>>,
}

impl Asking {
    /// Do the same services ask for the same?
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.services, &other.services)
    }

    /// What a service demands, if it asks.
    pub(super) fn of(&self, service: ServiceId) -> Option<&Clients> {
        self.services.get(&service)
    }

    fn demand(&mut self, service: &config::Service) -> Result<(), AuthoritiesError> {
        let asked = service.client_certificates;
        let Some((asked, store)) =
            asked.and_then(|asked| Some((asked, self.stores.get(asked.trust_store)?)))
        else {
            return Ok(());
        };
        let key = (asked.trust_store, asked.mode);
        let trust = if let Some(trust) = self.shared.get(&key) {
            Arc::clone(trust)
        } else {
            let trust = Arc::new(Trust::new(store, asked.mode)?);
            Arc::clone(self.shared.entry(key).or_insert(trust))
        };
        let clients = Clients {
            trust,
            trust_store: asked.trust_store,
        };
        Arc::make_mut(&mut self.services).insert(service.id, clients);
        Ok(())
    }

    fn forget(&mut self, service: ServiceId) {
        if self.services.contains_key(&service) {
            Arc::make_mut(&mut self.services).remove(&service);
        }
    }
}

/// Reads the authorities of every trust store, used or not, unless they are those of the running snapshot. Gives what their authors
/// should look at as well.
pub(super) fn compile(change: &Change<'_>) -> Result<(Asking, Vec<Problem>), Problems> {
    let config = change.config;
    let carried = &change.difference().services;
    let same_stores = change.difference().same_trust_stores;
    let running = change.running().zip(change.running_config());
    let kept = running.filter(|_| same_stores);
    let every = kept.is_none();
    let (mut asking, warnings) = if let Some((running, before)) = kept {
        let mut asking = running.pieces.asking.clone();
        let gone = carried.gone();
        let gone = gone.filter_map(|position| before.services.get(position));
        gone.for_each(|service| asking.forget(service.id));
        (asking, Vec::new())
    } else {
        let (stores, warnings) = read(config)?;
        let asking = Asking {
            stores: Arc::new(stores),
            ..Asking::default()
        };
        (asking, warnings)
    };
    let mut problems = Vec::new();
    let services = config.services.iter().enumerate();
    for (_, service) in services.filter(|(at, _)| every || carried.from(*at).is_none()) {
        if let Err(error) = asking.demand(service) {
            let store = service.client_certificates.map(|asked| asked.trust_store);
            let store = store.and_then(|store| config.trust_stores.get(store));
            problems.extend(store.map(|store| refused(store, &error)));
        }
    }
    if problems.is_empty() {
        Ok((asking, warnings))
    } else {
        Err(problems.into_iter().collect())
    }
}

fn read(config: &Config) -> Result<(Vec<Authorities>, Vec<Problem>), Problems> {
    let now = SystemTime::now();
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut stores = Vec::with_capacity(config.trust_stores.len());
    for store in &config.trust_stores {
        let authorities = match Authorities::read(&store.authorities, now) {
            Ok(authorities) => authorities,
            Err(error) => {
                problems.push(refused(store, &error));
                continue;
            }
        };
        warnings.extend(authorities.ended().iter().map(|number| {
            let message = format!("the certificate of authority {number} has expired");
            Problem::warning(store.place.clone(), message)
                .hint("authorities are trusted as long as they are in the file")
        }));
        stores.push(authorities);
    }
    if problems.is_empty() {
        Ok((stores, warnings))
    } else {
        Err(problems.into_iter().collect())
    }
}

/// What is wrong with the trust stores of a configuration, and what their authors should look at.
pub fn authorities(config: &Config) -> Problems {
    match compile(&Change::first(config)) {
        Ok((_, warnings)) => warnings.into_iter().collect(),
        Err(problems) => problems,
    }
}

fn refused(store: &config::TrustStore, error: &AuthoritiesError) -> Problem {
    Problem::error(store.place.clone(), format!("the file {error}")).hint(error.hint())
}
