//! Which services ask clients for certificates, and of whom.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use trellis_model::{
    config::{ClientCertificateMode, Config},
    problem::{Problem, Problems},
};
use trellis_routing::ServiceIndex;

use crate::tls::{Authorities, AuthoritiesError, Trust};

/// What a service demands of certificates of clients.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Whose certificates, and of whom; shared by services that demand the same.
    pub trust: Arc<Trust>,
    /// Its trust store, as a position in the configuration: whose mappings count.
    pub trust_store: usize,
}

/// The services that ask.
pub(super) type Trusts = HashMap<ServiceIndex, Clients, foldhash::fast::RandomState>;

/// Reads the authorities of every trust store, used or not. Gives what their authors should look at as well.
pub(super) fn compile(config: &Config) -> Result<(Trusts, Vec<Problem>), Problems> {
    let now = SystemTime::now();
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut stores = Vec::with_capacity(config.trust_stores.len());
    for store in &config.trust_stores {
        let authorities = Authorities::read(&store.authorities, now)
            .map_err(|error| problems.push(refused(store, &error)))
            .ok();
        let ended = authorities.iter().flat_map(Authorities::ended);
        warnings.extend(ended.map(|number| {
            let message = format!("the certificate of authority {number} has expired");
            Problem::warning(store.place.clone(), message)
                .hint("authorities are trusted as long as they are in the file")
        }));
        stores.push(authorities);
    }
    let mut shared: HashMap<(usize, ClientCertificateMode), Arc<Trust>> = HashMap::new();
    let mut trusts = Trusts::default();
    for (index, service) in (0..).zip(&config.services) {
        let Some(asked) = service.client_certificates else {
            continue;
        };
        let Some(Some(authorities)) = stores.get(asked.trust_store) else {
            continue;
        };
        let key = (asked.trust_store, asked.mode);
        let trust = match shared.get(&key) {
            Some(trust) => Arc::clone(trust),
            None => match Trust::new(authorities, asked.mode) {
                Ok(trust) => Arc::clone(shared.entry(key).or_insert(Arc::new(trust))),
                Err(error) => {
                    let store = config.trust_stores.get(asked.trust_store);
                    problems.extend(store.map(|store| refused(store, &error)));
                    continue;
                }
            },
        };
        let clients = Clients {
            trust,
            trust_store: asked.trust_store,
        };
        trusts.insert(ServiceIndex(index), clients);
    }
    if problems.is_empty() {
        Ok((trusts, warnings))
    } else {
        Err(problems.into_iter().collect())
    }
}

/// What is wrong with the trust stores of a configuration, and what their authors should look at.
pub fn authorities(config: &Config) -> Problems {
    match compile(config) {
        Ok((_, warnings)) => warnings.into_iter().collect(),
        Err(problems) => problems,
    }
}

fn refused(store: &trellis_model::config::TrustStore, error: &AuthoritiesError) -> Problem {
    Problem::error(store.place.clone(), format!("the file {error}")).hint(error.hint())
}
