//! ARNs of resources, and ids out of ARNs.

use trellis_model::{
    arn::Arn,
    id::{ListenerId, RuleId, ServiceId},
    name::{AccountId, Region},
};

use crate::resource::{
    AccessLogSubscription, DomainVerification, Listener, Resource, ResourceAssociation,
    ResourceConfiguration, ResourceGateway, Rule, Service, ServiceAssociation, ServiceNetwork,
    TargetGroup, VpcAssociation,
};

/// A resource that has an ARN of its own.
pub(crate) trait Named: Resource {
    /// Its ARN.
    fn arn(&self, region: &Region) -> Arn;
}

/// Runs `$do!(Type)` for every kind of resource that has an ARN of its own.
macro_rules! for_each_named {
    ($do:ident) => {
        $do!(crate::resource::ServiceNetwork);
        $do!(crate::resource::Service);
        $do!(crate::resource::Listener);
        $do!(crate::resource::Rule);
        $do!(crate::resource::TargetGroup);
        $do!(crate::resource::ServiceAssociation);
        $do!(crate::resource::VpcAssociation);
        $do!(crate::resource::ResourceGateway);
        $do!(crate::resource::ResourceConfiguration);
        $do!(crate::resource::ResourceAssociation);
        $do!(crate::resource::DomainVerification);
        $do!(crate::resource::AccessLogSubscription);
    };
}
pub(crate) use for_each_named;

macro_rules! named {
    ($($kind:ty = $path:literal;)*) => {$(
        impl Named for $kind {
            fn arn(&self, region: &Region) -> Arn {
                Arn::lattice(self.account(), region, format_args!(concat!($path, "/{}"), self.id()))
            }
        }
    )*};
}

named! {
    ServiceNetwork = "servicenetwork";
    Service = "service";
    TargetGroup = "targetgroup";
    ServiceAssociation = "servicenetworkserviceassociation";
    VpcAssociation = "servicenetworkvpcassociation";
    ResourceGateway = "resourcegateway";
    ResourceConfiguration = "resourceconfiguration";
    ResourceAssociation = "servicenetworkresourceassociation";
    DomainVerification = "domainverification";
    AccessLogSubscription = "accesslogsubscription";
}

impl Named for Listener {
    fn arn(&self, region: &Region) -> Arn {
        listener(&self.account, region, self.service, self.id)
    }
}

impl Named for Rule {
    fn arn(&self, region: &Region) -> Arn {
        rule(
            &self.account,
            region,
            (self.service, self.listener),
            self.id,
        )
    }
}

fn listener(account: &AccountId, region: &Region, service: ServiceId, id: ListenerId) -> Arn {
    Arn::lattice(
        account,
        region,
        format_args!("service/{service}/listener/{id}"),
    )
}

fn rule(
    account: &AccountId,
    region: &Region,
    (service, listener): (ServiceId, ListenerId),
    id: RuleId,
) -> Arn {
    Arn::lattice(
        account,
        region,
        format_args!("service/{service}/listener/{listener}/rule/{id}"),
    )
}

/// The id that an identifier is or ends with.
pub(crate) fn id_of(identifier: &str) -> &str {
    if identifier.starts_with("arn:") {
        identifier.rsplit('/').next().unwrap_or(identifier)
    } else {
        identifier
    }
}
