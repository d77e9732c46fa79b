//! What each account owns in the running configuration.

use std::collections::BTreeMap;

use trellis_model::{config::Config, name::AccountId};

use crate::telemetry::{Samples, names};

/// Kinds of resources, in the order of the numbers below.
const KINDS: [&str; 5] = [
    "vpc",
    "service_network",
    "service",
    "target_group",
    "target",
];

/// Adds the resources of each account.
pub(super) fn collect(config: &Config, samples: &mut Samples) {
    let mut owned: BTreeMap<&AccountId, [u32; KINDS.len()]> = BTreeMap::new();
    let mut count = |account, [vpc, network, service, group, target]: [usize; KINDS.len()]| {
        let added = [vpc, network, service, group, target];
        let numbers = owned.entry(account).or_default();
        for (number, more) in numbers.iter_mut().zip(added) {
            *number = number.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        }
    };
    for vpc in &config.vpcs {
        count(&vpc.account, [1, 0, 0, 0, 0]);
    }
    for network in &config.service_networks {
        count(&network.account, [0, 1, 0, 0, 0]);
    }
    for service in &config.services {
        count(&service.account, [0, 0, 1, 0, 0]);
    }
    for group in &config.target_groups {
        count(&group.account, [0, 0, 0, 1, group.targets.len()]);
    }
    for group in &config.function_groups {
        count(&group.account, [0, 0, 0, 1, 1]);
    }
    samples.family(&names::ACCOUNT_RESOURCES, |family| {
        for (account, numbers) in &owned {
            for (kind, number) in KINDS.iter().zip(numbers) {
                family.sample(&[account.as_str(), kind], f64::from(*number));
            }
        }
    });
}
