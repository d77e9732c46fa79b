//! What meets nobody: VPCs and services that are in no service network, services that listen nowhere.

use std::collections::HashSet;

use super::Builder;
use crate::{
    config::Config,
    id::{ServiceId, VpcId},
    load::path::At,
    problem::Code,
};

impl Builder<'_> {
    /// Warns of VPCs that clients connect from and of services that no service network has, and of services without listeners. Either
    /// may be meant for a while.
    ///
    /// For a configuration without errors: otherwise the network may be what is missing.
    pub(super) fn warn_of_strays(&mut self, config: &Config) {
        let callers: HashSet<&VpcId> = config
            .service_networks
            .iter()
            .flat_map(|network| &network.vpcs)
            .map(|member| &member.vpc)
            .collect();
        let served: HashSet<ServiceId> = config
            .service_networks
            .iter()
            .flat_map(|network| &network.services)
            .map(|member| member.service)
            .collect();
        // Without errors there is one VPC and one service for each that a document declares, in the same order.
        let (mut vpcs, mut services) = (config.vpcs.iter(), config.services.iter());
        for (position, file) in self.files.iter().enumerate() {
            let root = At::file(position);
            let list = root.member("vpcs");
            for (index, vpc) in vpcs.by_ref().take(file.document.vpcs.len()).enumerate() {
                if !vpc.attachments.is_empty() && !callers.contains(&vpc.id) {
                    self.warning(
                        &list.index(index),
                        format!(
                            "VPC `{}` is in no service network: its clients meet no service",
                            vpc.name
                        ),
                    )
                    .hint("name it in `vpcAssociations` of a service network");
                }
            }
            let list = root.member("services");
            let declared = file.document.services.len();
            for (index, service) in services.by_ref().take(declared).enumerate() {
                if service.listeners.is_empty() {
                    let message = format!(
                        "service `{}` has no `listeners`: nobody can call it",
                        service.name
                    );
                    self.warning(&list.index(index), message)
                        .hint("at least one, with `protocol` and `defaultAction`");
                }
                if !served.contains(&service.id) {
                    self.warning(
                        &list.index(index),
                        format!(
                            "service `{}` is in no service network: nobody can call it",
                            service.name
                        ),
                    )
                    .code(Code::NeverConsulted)
                    .hint("name it in `serviceAssociations` of a service network");
                }
            }
        }
    }
}
