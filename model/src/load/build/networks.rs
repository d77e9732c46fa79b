//! Service networks and their associations.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Builder, references::Declared};
use crate::{
    arn::Arn,
    config::{AuthType, Service, ServiceAssociation, ServiceNetwork, VpcAssociation},
    document,
    id::{ServiceAssociationId, ServiceId, ServiceNetworkId, VpcAssociationId, VpcId},
    load::path::At,
    name::DomainName,
    ranges,
};

/// What associations are checked against: who is where already.
struct Members<'s> {
    /// Network of each VPC, by name.
    vpcs: HashMap<VpcId, String>,
    /// Custom domain of each service.
    domains: HashMap<ServiceId, &'s DomainName>,
}

impl<'a> Builder<'a> {
    pub(super) fn declare_networks(&mut self, position: usize) {
        let Some(file) = self.files.get(position) else {
            return;
        };
        for (index, network) in file.document.service_networks.iter().enumerate() {
            let id =
                ServiceNetworkId::derive(self.account(position), &self.region, &[&network.name]);
            let declared = Declared {
                id,
                file: position,
                index,
            };
            if let Some(first) =
                self.networks
                    .declare(self.owner(position), &network.name, declared)
            {
                let first = (first.file, first.index);
                let root = At::file(position);
                let at = root.member("serviceNetworks");
                self.taken(
                    &at.index(index).member("name"),
                    &network.name,
                    "serviceNetworks",
                    first,
                );
            }
        }
    }

    pub(super) fn build_networks(&mut self, services: &[Arc<Service>]) -> Vec<Arc<ServiceNetwork>> {
        let domains = services
            .iter()
            .filter_map(|service| Some((service.id, service.custom_domain.as_ref()?)))
            .collect();
        let mut members = Members {
            vpcs: HashMap::new(),
            domains,
        };
        let mut networks = Vec::new();
        for (position, file) in self.files.iter().enumerate() {
            let root = At::file(position);
            let list = root.member("serviceNetworks");
            for (index, written) in file.document.service_networks.iter().enumerate() {
                let at = list.index(index);
                let network = self.network_of(&at, position, index, written, &mut members);
                networks.extend(network.map(Arc::new));
            }
        }
        networks
    }

    fn network_of(
        &mut self,
        at: &At<'_>,
        file: usize,
        index: usize,
        written: &'a document::ServiceNetwork,
        members: &mut Members<'_>,
    ) -> Option<ServiceNetwork> {
        let account = self.account(file).clone();
        let name = self.name(
            &at.member("name"),
            &written.name,
            &ranges::SERVICE_NETWORK_NAME,
            "",
        );
        let auth_type = written.auth_type.unwrap_or_default();
        let auth_policy = self.auth_policy(at, auth_type, written.auth_policy.as_ref());
        let auth_policy_mode = self.auth_policy_mode(at, auth_type, written.auth_policy_mode);
        let shadow_auth_policy = self.sized_policy(
            &at.member("shadowAuthPolicy"),
            written.shadow_auth_policy.as_ref(),
        );
        let tags = self.tags(&at.member("tags"), &written.tags);
        let vpcs = self.vpc_associations(at, file, written, members);
        let services = self.service_associations(at, file, written, members);
        let id = ServiceNetworkId::derive(&account, &self.region, &[&written.name]);
        let arn = Arn::lattice(&account, &self.region, format_args!("servicenetwork/{id}"));
        if !self
            .networks
            .is_first(self.owner(file), &written.name, file, index)
        {
            return None;
        }
        Some(ServiceNetwork {
            id,
            arn,
            name: name?,
            account,
            auth_type: auth_type.into(),
            auth_policy,
            auth_policy_mode,
            shadow_auth_policy,
            vpcs,
            services,
            tags,
            place: self.place(at),
        })
    }

    fn vpc_associations(
        &mut self,
        at: &At<'_>,
        file: usize,
        written: &document::ServiceNetwork,
        members: &mut Members<'_>,
    ) -> Vec<VpcAssociation> {
        let list = at.member("vpcAssociations");
        let mut associations = Vec::new();
        for (index, association) in written.vpc_associations.iter().enumerate() {
            let at = list.index(index);
            let at = at.member("vpcIdentifier");
            let Some(vpc) = self.resolve_vpc(file, &at, &association.vpc_identifier) else {
                continue;
            };
            if let Some(other) = members.vpcs.get(&vpc) {
                let message = format!(
                    "VPC `{}` is in service network `{other}` already",
                    association.vpc_identifier
                );
                self.error(&at, message)
                    .hint("a VPC is in one service network at most");
                continue;
            }
            members.vpcs.insert(vpc.clone(), written.name.clone());
            let account = self.account(file);
            let id =
                VpcAssociationId::derive(account, &self.region, &[&written.name, vpc.as_str()]);
            associations.push(VpcAssociation { id, vpc });
        }
        associations
    }

    fn service_associations(
        &mut self,
        at: &At<'_>,
        file: usize,
        written: &document::ServiceNetwork,
        members: &Members<'_>,
    ) -> Vec<ServiceAssociation> {
        let list = at.member("serviceAssociations");
        let mut seen = HashSet::new();
        let mut domains: HashMap<&DomainName, &str> = HashMap::new();
        let mut associations = Vec::new();
        for (index, association) in written.service_associations.iter().enumerate() {
            let at = list.index(index);
            let at = at.member("serviceIdentifier");
            let identifier = association.service_identifier.as_str();
            let Some(service) = self.resolve_service(file, &at, identifier) else {
                continue;
            };
            if !seen.insert(service) {
                self.error(
                    &at,
                    format!("service `{identifier}` is associated with this network already"),
                );
                continue;
            }
            if let Some(domain) = members.domains.get(&service)
                && let Some(other) = domains.insert(domain, identifier)
            {
                self.error(&at, format!("services `{other}` and `{identifier}` both have the custom domain name `{domain}`"))
                    .hint("a custom domain name is unique within a service network");
                continue;
            }
            let id = ServiceAssociationId::derive(
                self.account(file),
                &self.region,
                &[&written.name, &service.to_string()],
            );
            associations.push(ServiceAssociation { id, service });
        }
        associations
    }
}

impl From<document::AuthType> for AuthType {
    fn from(written: document::AuthType) -> Self {
        match written {
            document::AuthType::None => Self::None,
            document::AuthType::AwsIam => Self::AwsIam,
        }
    }
}
