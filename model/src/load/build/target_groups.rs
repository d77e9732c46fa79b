//! Target groups and targets.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;

use super::{
    Builder,
    gateway::given,
    references::Declared,
    vpcs::{AddressBook, is_instance_id, is_load_balancer_arn},
};
use crate::{
    arn::Arn,
    config::{
        HealthCheck, ProtocolVersion, Target, TargetGroup, TargetGroupType, TargetProtocol, Vpc,
    },
    document::{self, IpAddressType},
    id::{TargetGroupId, VpcId},
    load::path::At,
    ranges,
};

/// What targets are checked against.
pub(super) struct Home<'h> {
    pub(super) kind: TargetGroupType,
    pub(super) family: IpAddressType,
    pub(super) port: u16,
    /// `None` when the VPC is not known, which was reported.
    pub(super) vpc: Option<HomeVpc<'h>>,
}

/// The VPC that targets live in.
#[derive(Clone, Copy)]
pub(super) struct HomeVpc<'h> {
    pub(super) cidrs: &'h [IpNet],
    pub(super) resolvers: &'h Arc<[SocketAddr]>,
    book: &'h AddressBook<'h>,
}

impl<'h> HomeVpc<'h> {
    fn of(vpc: &'h Vpc, books: &'h HashMap<VpcId, AddressBook<'_>>) -> Option<Self> {
        Some(Self {
            cidrs: &vpc.cidrs,
            resolvers: &vpc.resolvers,
            book: books.get(&vpc.id)?,
        })
    }
}

impl<'a> Builder<'a> {
    pub(super) fn declare_target_groups(&mut self, position: usize) {
        let Some(file) = self.files.get(position) else {
            return;
        };
        for (index, group) in file.document.target_groups.iter().enumerate() {
            let id = TargetGroupId::derive(self.account(position), &self.region, &[&group.name]);
            let declared = Declared {
                id,
                file: position,
                index,
            };
            if let Some(first) =
                self.target_groups
                    .declare(self.owner(position), &group.name, declared)
            {
                let first = (first.file, first.index);
                let root = At::file(position);
                let at = root.member("targetGroups");
                self.taken(
                    &at.index(index).member("name"),
                    &group.name,
                    "targetGroups",
                    first,
                );
            }
        }
    }

    pub(super) fn build_target_groups(
        &mut self,
        vpcs: &[Arc<Vpc>],
        books: &HashMap<VpcId, AddressBook<'a>>,
    ) -> Vec<Arc<TargetGroup>> {
        let vpcs: HashMap<_, _> = vpcs
            .iter()
            .filter_map(|vpc| Some((vpc.id.clone(), HomeVpc::of(vpc, books)?)))
            .collect();
        let mut groups = Vec::new();
        for (position, file) in self.files.iter().enumerate() {
            let root = At::file(position);
            let list = root.member("targetGroups");
            for (index, written) in file.document.target_groups.iter().enumerate() {
                let at = list.index(index);
                let group = self.target_group(&at, position, index, written, &vpcs);
                groups.extend(group.map(Arc::new));
            }
        }
        groups
    }

    fn target_group(
        &mut self,
        at: &At<'_>,
        file: usize,
        index: usize,
        written: &'a document::TargetGroup,
        vpcs: &HashMap<VpcId, HomeVpc<'_>>,
    ) -> Option<TargetGroup> {
        let kind = located(written.kind)?;
        let account = self.account(file).clone();
        let name = self.name(
            &at.member("name"),
            &written.name,
            &ranges::TARGET_GROUP_NAME,
            TargetGroupId::PREFIX,
        );
        let absent = document::TargetGroupConfig::default();
        let (config, in_config) = (written.config.as_ref(), at.member("config"));
        self.required_members(at, written);
        self.function_members(at, written);
        let config = config.unwrap_or(&absent);
        let protocol = config.protocol.map_or(TargetProtocol::Http, Into::into);
        let default_port = if protocol == TargetProtocol::Http {
            80
        } else {
            443
        };
        let port = self.number(
            &in_config.member("port"),
            config.port,
            &ranges::PORT,
            default_port,
        );
        let version = self.version(&in_config, kind, config);
        let family = self.family(&in_config, kind, config);
        let vpc = config.vpc_identifier.as_ref().and_then(|identifier| {
            self.resolve_vpc(file, &in_config.member("vpcIdentifier"), identifier)
        });
        let health_check = self.group_health_check(&in_config, kind, config, version);
        let balancing = self.balancing(&at.member("balancing"), written.balancing.as_ref());
        let in_outliers = at.member("outlierDetection");
        let outliers = written.outlier_detection.as_ref();
        let outliers = outliers.map(|written| self.outlier_detection(&in_outliers, written));
        let in_pool = at.member("connectionPool");
        let pool = written.connection_pool.as_ref();
        let pool = pool.map(|written| self.connection_pool(&in_pool, written, version));
        let in_tls = at.member("tls");
        let tls = written.tls.as_ref();
        let tls = tls.map(|written| self.target_tls(&in_tls, file, protocol, written));
        let tags = self.tags(&at.member("tags"), &written.tags);
        let home = Home {
            kind,
            family,
            port: port.unwrap_or(default_port),
            vpc: vpc.as_ref().and_then(|vpc| vpcs.get(vpc).copied()),
        };
        let found = written.discovery.as_ref();
        let discovery = found.map(|_| self.discovery(at, written, &home));
        let targets = self.targets(&at.member("targets"), &written.targets, &home);
        if !self
            .target_groups
            .is_first(self.owner(file), &written.name, file, index)
        {
            return None;
        }
        let id = TargetGroupId::derive(&account, &self.region, &[&written.name]);
        port?;
        config.protocol?;
        Some(TargetGroup {
            id,
            arn: Arn::lattice(&account, &self.region, format_args!("targetgroup/{id}")),
            name: name?,
            account,
            kind: home.kind,
            protocol,
            version,
            vpc: vpc?,
            health_check: health_check?.map(|check| self.alike.health_check.share(check)),
            balancing: self.alike.balancing.share(balancing?),
            outlier_detection: given(outliers)?.map(Box::new),
            connection_pool: given(pool)?.unwrap_or_default(),
            tls: given(tls)?.map(Box::new),
            discovery: given(discovery)?,
            targets: targets?,
            tags,
            place: self.place(at),
        })
    }

    /// What every group with addresses has to say.
    fn required_members(&mut self, at: &At<'_>, written: &document::TargetGroup) {
        let Some(config) = &written.config else {
            self.error(at, "`config` is missing")
                .hint("protocol, port, VPC and health check");
            return;
        };
        let at = at.member("config");
        if config.protocol.is_none() {
            self.error(&at, "`protocol` is missing")
                .hint("one of `HTTP`, `HTTPS`");
        }
        if config.vpc_identifier.is_none() {
            self.error(&at, "`vpcIdentifier` is missing")
                .hint("name, id or ARN of the VPC that the targets live in");
        }
    }

    /// What only a function has.
    fn function_members(&mut self, at: &At<'_>, written: &document::TargetGroup) {
        let message = "only target groups of type LAMBDA have this";
        if written.function.is_some() {
            self.error(&at.member("function"), message)
                .hint("leave it out");
        }
        let config = written.config.as_ref();
        if config.is_some_and(|config| config.lambda_event_structure_version.is_some()) {
            let at = at.member("config");
            self.error(&at.member("lambdaEventStructureVersion"), message)
                .hint("leave it out");
        }
    }

    fn version(
        &mut self,
        at: &At<'_>,
        kind: TargetGroupType,
        written: &document::TargetGroupConfig,
    ) -> ProtocolVersion {
        let version = written
            .protocol_version
            .map_or(ProtocolVersion::Http1, Into::into);
        if kind == TargetGroupType::Alb && version != ProtocolVersion::Http1 {
            self.error(
                &at.member("protocolVersion"),
                "a target group of type ALB speaks HTTP1 only",
            )
            .hint("HTTP2 and GRPC need type IP or INSTANCE");
        }
        version
    }

    fn family(
        &mut self,
        at: &At<'_>,
        kind: TargetGroupType,
        written: &document::TargetGroupConfig,
    ) -> IpAddressType {
        if kind != TargetGroupType::Ip && written.ip_address_type.is_some() {
            self.error(
                &at.member("ipAddressType"),
                "only target groups of type IP have an address type",
            )
            .hint("leave it out");
        }
        written.ip_address_type.unwrap_or(IpAddressType::Ipv4)
    }

    /// The health check of a group: `Some(None)` for a type that has none, `None` when it is wrong.
    #[expect(
        clippy::option_option,
        reason = "the outer layer is consumed at once by `?`"
    )]
    fn group_health_check(
        &mut self,
        at: &At<'_>,
        kind: TargetGroupType,
        config: &document::TargetGroupConfig,
        version: ProtocolVersion,
    ) -> Option<Option<HealthCheck>> {
        let at = at.member("healthCheck");
        let written = config.health_check.as_ref();
        if kind == TargetGroupType::Alb {
            if written.is_some() {
                self.error(&at, "a target group of type ALB has no health check")
                    .hint("the load balancer checks its own targets");
            }
            return Some(None);
        }
        let defaults = document::HealthCheck::default();
        self.health_check(&at, written.unwrap_or(&defaults), version)
            .map(Some)
    }

    fn targets(
        &mut self,
        at: &At<'_>,
        written: &[document::Target],
        home: &Home<'_>,
    ) -> Option<Vec<Target>> {
        if home.kind == TargetGroupType::Alb && written.len() != 1 {
            self.error(
                at,
                format!(
                    "{} targets in a target group of type ALB, which has exactly one",
                    written.len()
                ),
            );
        }
        let mut seen = HashSet::with_capacity(written.len());
        let mut targets = Some(Vec::with_capacity(written.len()));
        for (index, target) in written.iter().enumerate() {
            let at = at.index(index);
            let built = self.target(&at, target, home);
            if let Some(built) = &built
                && !seen.insert((built.id.clone(), built.address.port()))
            {
                self.error(
                    &at,
                    format!(
                        "`{}` with port {} appears twice",
                        target.id,
                        built.address.port()
                    ),
                );
            }
            match (built, &mut targets) {
                (Some(built), Some(all)) => all.push(built),
                _ => targets = None,
            }
        }
        targets
    }

    fn target(
        &mut self,
        at: &At<'_>,
        written: &document::Target,
        home: &Home<'_>,
    ) -> Option<Target> {
        let port = self.number(&at.member("port"), written.port, &ranges::PORT, home.port);
        let weight = self.number(
            &at.member("weight"),
            written.weight,
            &ranges::TARGET_WEIGHT,
            1,
        );
        let in_zone = at.member("zone");
        let zone = written.zone.as_deref();
        let zone = zone.map(|zone| self.zone(&in_zone, zone));
        let at = at.member("id");
        if !self.length(&at, &written.id, &ranges::TARGET_ID) {
            return None;
        }
        let (id, address) = match home.kind {
            TargetGroupType::Ip => self.ip_target(&at, &written.id, home)?,
            TargetGroupType::Instance => {
                if !is_instance_id(&written.id) {
                    self.error(&at, format!("`{}` is not an instance id", written.id))
                        .hint("such as `i-0123456789abcdef0`");
                    return None;
                }
                (
                    written.id.as_str().into(),
                    self.look_up(&at, &written.id, home)?,
                )
            }
            TargetGroupType::Alb => {
                if !is_load_balancer_arn(&written.id) {
                    self.error(
                        &at,
                        format!(
                            "`{}` is not the ARN of an application load balancer",
                            written.id
                        ),
                    );
                    return None;
                }
                (
                    written.id.as_str().into(),
                    self.look_up(&at, &written.id, home)?,
                )
            }
        };
        Some(Target {
            id,
            address: SocketAddr::new(address, port?),
            weight: weight?,
            zone: given(zone)?,
        })
    }

    fn ip_target(
        &mut self,
        at: &At<'_>,
        text: &str,
        home: &Home<'_>,
    ) -> Option<(Box<str>, IpAddr)> {
        let address = self.ip(at, text)?;
        let fits = match home.family {
            IpAddressType::Ipv4 => address.is_ipv4(),
            IpAddressType::Ipv6 => address.is_ipv6(),
        };
        if !fits {
            let family = if address.is_ipv4() { "IPV4" } else { "IPV6" };
            self.error(
                at,
                format!("`{address}` is not of the group's address type"),
            )
            .hint(format!("`ipAddressType: {family}` in `config`"));
        }
        let inside = home
            .vpc
            .is_none_or(|vpc| self.inside(at, address, vpc.cidrs));
        // The canonical form, so that one address written in two ways is one target.
        (fits && inside).then(|| (address.to_string().into(), address))
    }

    fn look_up(&mut self, at: &At<'_>, id: &str, home: &Home<'_>) -> Option<IpAddr> {
        let address = home.vpc?.book.get(id).copied();
        if address.is_none() {
            self.error(at, format!("`{id}` is not in the VPC's address book"))
                .hint("add it to the VPC's `addressBook` with its IP address");
        }
        address
    }
}

impl From<document::TargetProtocol> for TargetProtocol {
    fn from(written: document::TargetProtocol) -> Self {
        match written {
            document::TargetProtocol::Http => Self::Http,
            document::TargetProtocol::Https => Self::Https,
        }
    }
}

impl From<document::ProtocolVersion> for ProtocolVersion {
    fn from(written: document::ProtocolVersion) -> Self {
        match written {
            document::ProtocolVersion::Http1 => Self::Http1,
            document::ProtocolVersion::Http2 => Self::Http2,
            document::ProtocolVersion::Grpc => Self::Grpc,
        }
    }
}

/// The kind of targets that have addresses; functions have none.
fn located(written: document::TargetGroupType) -> Option<TargetGroupType> {
    match written {
        document::TargetGroupType::Ip => Some(TargetGroupType::Ip),
        document::TargetGroupType::Instance => Some(TargetGroupType::Instance),
        document::TargetGroupType::Alb => Some(TargetGroupType::Alb),
        document::TargetGroupType::Lambda => None,
    }
}
