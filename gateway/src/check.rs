//! What can be found wrong with a configuration besides its documents, without starting anything: policies and certificate files.

use std::time::SystemTime;

use trellis_model::{config::Config, problem::Problem};

use crate::tls::store::Certificates;

/// Every problem of the policies and of the certificate files. Reads files.
pub(crate) fn check(config: &Config) -> Vec<Problem> {
    let (_, certificates) = Certificates::load(config, &Certificates::default(), SystemTime::now());
    let policies = match trellis_policy::compile(config) {
        Ok(policies) => policies.warnings().iter().cloned().collect(),
        Err(problems) => problems,
    };
    policies.into_iter().chain(certificates).collect()
}
