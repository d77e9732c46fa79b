//! How many of everything there may be.
//!
//! Source: VPC Lattice user guide, "Quotas for Amazon VPC Lattice"; codes as Service Quotas has them.

use super::error::{ApiError, ResourceType};

/// Quotas of every account. What AWS adjusts on request is adjusted here by configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// Service networks of an account.
    pub service_networks: usize,
    /// Services of an account.
    pub services: usize,
    /// Services in a service network.
    pub service_associations: usize,
    /// VPCs in a service network.
    pub vpc_associations: usize,
    /// Listeners of a service.
    pub listeners: usize,
    /// Rules of a listener, the default rule not counted.
    pub rules: usize,
    /// Target groups of an account.
    pub target_groups: usize,
    /// Target groups that one service uses.
    pub target_groups_per_service: usize,
    /// Targets of a target group.
    pub targets: usize,
    /// Resource configurations of an account.
    pub resource_configurations: usize,
    /// Resource configurations in a service network.
    pub resource_associations: usize,
    /// Child configurations of a group.
    pub child_configurations: usize,
    /// Resource gateways in a VPC.
    pub resource_gateways: usize,
    /// Domain verifications of an account.
    pub domain_verifications: usize,
    /// Tags of a resource.
    pub tags: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            service_networks: 50,
            services: 2_000,
            service_associations: 500,
            vpc_associations: 500,
            listeners: 2,
            rules: 10,
            target_groups: 500,
            target_groups_per_service: 10,
            targets: 1_000,
            resource_configurations: 2_000,
            resource_associations: 500,
            child_configurations: 60,
            resource_gateways: 500,
            domain_verifications: 5,
            tags: 50,
        }
    }
}

/// Refuses what would be one too many.
pub(crate) fn within(
    quota: usize,
    there: usize,
    kind: ResourceType,
    code: &'static str,
    what: &str,
) -> Result<(), ApiError> {
    if there < quota {
        return Ok(());
    }
    Err(ApiError::Quota {
        kind,
        code,
        message: format!("The quota of {quota} {what} has been reached."),
    })
}
