//! How many of everything an account may have, as the API enforces it.
//!
//! Source: VPC Lattice user guide, "Quotas for Amazon VPC Lattice". What AWS adjusts on request is adjusted by configuration.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::document::object::objects;

/// Each quota once: its name in code, its name in documents, what it bounds, and AWS's default.
macro_rules! quotas {
    ($($(#[doc = $doc:literal])+ $name:ident, $member:literal = $default:literal;)*) => {
        /// How many of everything there may be.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Quotas {
            $($(#[doc = $doc])+ pub $name: usize,)*
        }

        impl Default for Quotas {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// How many of everything the control API lets an account have. Absent: what VPC Lattice has by default.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
        #[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields, default)]
        #[schemars(rename = "Quotas")]
        pub struct WrittenQuotas {
            $(
                $(#[doc = $doc])+
                #[schemars(
                    range(min = *crate::ranges::QUOTA.start(), max = *crate::ranges::QUOTA.end()),
                    extend("default" = $default)
                )]
                pub $name: Option<i64>,
            )*
        }

        impl Quotas {
            /// Every quota by its name in documents.
            pub fn all(&self) -> impl Iterator<Item = (&'static str, usize)> {
                [$(($member, self.$name),)*].into_iter()
            }

            /// The quotas that are written, and the defaults of the others; `number` checks one, and is given the name of its member, what
            /// is written and the default.
            pub(crate) fn read(
                written: &WrittenQuotas,
                mut number: impl FnMut(&'static str, Option<i64>, usize) -> Option<usize>,
            ) -> Option<Self> {
                let defaults = Self::default();
                $(let $name = number($member, written.$name, defaults.$name);)*
                Some(Self { $($name: $name?,)* })
            }
        }
    };
}

quotas! {
    /// Service networks of an account.
    service_networks, "serviceNetworks" = 50;
    /// Services of an account.
    services, "services" = 2_000;
    /// Services in a service network.
    service_associations, "serviceAssociations" = 500;
    /// VPCs in a service network.
    vpc_associations, "vpcAssociations" = 500;
    /// Listeners of a service.
    listeners, "listeners" = 2;
    /// Rules of a listener, the default rule not counted.
    rules, "rules" = 10;
    /// Target groups of an account.
    target_groups, "targetGroups" = 500;
    /// Target groups that one service uses.
    target_groups_per_service, "targetGroupsPerService" = 10;
    /// Targets of a target group.
    targets, "targets" = 1_000;
    /// Resource configurations of an account.
    resource_configurations, "resourceConfigurations" = 2_000;
    /// Resource configurations in a service network.
    resource_associations, "resourceAssociations" = 500;
    /// Child configurations of a group.
    child_configurations, "childConfigurations" = 60;
    /// Resource gateways in a VPC.
    resource_gateways, "resourceGateways" = 500;
    /// Domain verifications of an account.
    domain_verifications, "domainVerifications" = 5;
    /// Tags of a resource.
    tags, "tags" = 50;
}

objects!(WrittenQuotas);
