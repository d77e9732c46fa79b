//! What can be found wrong with a configuration besides its documents, without starting anything: policies, keys of identity
//! providers, certificate authorities, and certificate files.

use std::time::SystemTime;

use trellis_model::{
    config::Config,
    problem::{Problem, Problems},
};
use trellis_policy::{Identities, jwt::KeySource};

use crate::{snapshot, tls::store::Certificates};

/// Every problem of the policies, of certificate authorities and of the certificate files. Reads files.
pub(crate) fn check(config: &Config) -> Vec<Problem> {
    let (_, certificates) = Certificates::load(config, &Certificates::default(), SystemTime::now());
    let policies = match trellis_policy::compile(config) {
        Ok(policies) => {
            let mut found: Problems = policies.warnings().iter().cloned().collect();
            let identities = Identities::compile(config, &policies, |_| KeySource::default());
            found.extend(identities.err().into_iter().flatten());
            found
        }
        Err(problems) => problems,
    };
    let authorities = snapshot::authorities(config);
    policies
        .into_iter()
        .chain(authorities)
        .chain(certificates)
        .collect()
}
