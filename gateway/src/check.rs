//! What can be found wrong with a configuration besides its documents, without starting anything: policies, keys of identity
//! providers, certificate authorities, certificate files, and what servers of functions are verified with.

use std::time::SystemTime;

use trellis_model::{
    config::Config,
    problem::{Problem, Problems},
};
use trellis_policy::{Identities, jwt::KeySource};

use crate::{functions, snapshot, tls::store::Certificates};

/// Every problem of the policies, of certificate authorities, of the certificate files and of the way to functions. Reads files.
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
    let calls = functions::compile(config).err();
    let calls = calls.into_iter().flatten();
    policies
        .into_iter()
        .chain(authorities)
        .chain(snapshot::target_certificates(config))
        .chain(certificates)
        .chain(calls)
        .collect()
}
