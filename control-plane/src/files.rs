//! What files declare, as the API shows it: read only, with its owner's name.

mod principals;

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use trellis_model::{
    config::{self, Config},
    id::{ListenerId, ServiceId},
    name::{AccountId, Name},
    problem::Place,
};

use crate::{
    catalog::Catalog,
    resource::{
        Action, AuthType, FixedResponse, Forward, HeaderMatch, HeaderMatchType, HealthCheck,
        HttpMatch, IpAddressType, LambdaEventStructureVersion, Listener, ListenerProtocol, Matcher,
        PathMatch, PathMatchType, Rule, RuleMatch, Service, ServiceAssociation, ServiceNetwork,
        Sharing, Stamp, Tags, Target, TargetGroup, TargetGroupConfig, TargetGroupType,
        TargetProtocol, TargetProtocolVersion, Targets, VpcAssociation, WeightedTargetGroup,
    },
};

/// Lays what a configuration of files declares over the catalog, in place of what files declared before.
pub(crate) fn declare(catalog: &mut Catalog, config: &Config, now: Stamp) {
    catalog.forget_files();
    catalog.set_vpcs(config.vpcs.iter().map(Arc::clone));
    for group in &config.target_groups {
        declare_group(catalog, group, now);
    }
    for group in &config.function_groups {
        declare_function(catalog, group, now);
    }
    for service in &config.services {
        declare_service(catalog, service, now);
    }
    for network in &config.service_networks {
        declare_network(catalog, network, now);
    }
    principals::declare(catalog, config, now);
}

/// The file of a place, as operators know it.
fn file(place: &Place) -> String {
    place.file.as_ref().map_or_else(
        || "the configuration".to_owned(),
        |file| file.display().to_string(),
    )
}

fn auth_type(given: config::AuthType) -> AuthType {
    match given {
        config::AuthType::None => AuthType::None,
        config::AuthType::AwsIam => AuthType::AwsIam,
    }
}

fn policy_text(policy: Option<&config::PolicyText>) -> Option<String> {
    policy.map(|policy| policy.text.to_string())
}

fn declare_network(catalog: &mut Catalog, network: &config::ServiceNetwork, now: Stamp) {
    let file = file(&network.place);
    let account = &network.account;
    for member in &network.services {
        let association = ServiceAssociation {
            id: member.id,
            account: account.clone(),
            created_at: now,
            tags: Tags::new(),
            service: member.service,
            network: network.id,
        };
        catalog.declare(association, &file);
    }
    for member in &network.vpcs {
        let association = VpcAssociation {
            id: member.id,
            account: account.clone(),
            created_at: now,
            last_updated_at: now,
            tags: Tags::new(),
            network: network.id,
            vpc: member.vpc.clone(),
            security_group_ids: None,
            private_dns_enabled: None,
            dns_options: None,
        };
        catalog.declare(association, &file);
    }
    let network = ServiceNetwork {
        id: network.id,
        account: account.clone(),
        name: network.name.clone(),
        created_at: now,
        last_updated_at: now,
        tags: network.tags.clone(),
        auth_type: auth_type(network.auth_type),
        sharing_config: None,
        auth_policy: policy_text(network.auth_policy.as_ref()),
        sharing: Sharing::default(),
    };
    catalog.declare(network, &file);
}

fn declare_service(catalog: &mut Catalog, service: &config::Service, now: Stamp) {
    let file = file(&service.place);
    for listener in &service.listeners {
        declare_listener(catalog, service, listener, (&file, now));
    }
    let shown = Service {
        id: service.id,
        account: service.account.clone(),
        name: service.name.clone(),
        created_at: now,
        last_updated_at: now,
        tags: service.tags.clone(),
        custom_domain_name: service.custom_domain.clone(),
        certificate_arn: None,
        auth_type: auth_type(service.auth_type),
        idle_timeout_seconds: seconds(service.idle_timeout.unwrap_or_default()),
        auth_policy: policy_text(service.auth_policy.as_ref()),
        sharing: Sharing::default(),
    };
    catalog.declare(shown, &file);
}

fn seconds<T: TryFrom<u64> + Default>(duration: Duration) -> T {
    T::try_from(duration.as_secs()).unwrap_or_default()
}

/// Where a rule stands.
struct Home<'a> {
    account: &'a AccountId,
    service: ServiceId,
    listener: ListenerId,
    now: Stamp,
}

fn declare_listener(
    catalog: &mut Catalog,
    service: &config::Service,
    listener: &config::Listener,
    (file, now): (&str, Stamp),
) {
    let home = Home {
        account: &service.account,
        service: service.id,
        listener: listener.id,
        now,
    };
    let default_action = action(&listener.default_action);
    if let Ok(name) = "default".parse::<Name>() {
        let default = home.rule(listener.default_rule, name, default_action.clone());
        let default = Rule {
            is_default: true,
            ..default
        };
        catalog.declare(default, file);
    }
    for rule in &listener.rules {
        let declared = Rule {
            priority: Some(rule.priority.get()),
            condition: Some(RuleMatch::HttpMatch(condition(&rule.condition))),
            ..home.rule(rule.id, rule.name.clone(), action(&rule.action))
        };
        catalog.declare(declared, file);
    }
    let listener = Listener {
        id: listener.id,
        account: service.account.clone(),
        service: service.id,
        name: listener.name.clone(),
        created_at: now,
        last_updated_at: now,
        tags: Tags::new(),
        protocol: match listener.protocol {
            config::ListenerProtocol::Http => ListenerProtocol::Http,
            config::ListenerProtocol::Https => ListenerProtocol::Https,
        },
        port: listener.port,
        default_action,
        default_rule: listener.default_rule,
    };
    catalog.declare(listener, file);
}

impl Home<'_> {
    fn rule(&self, id: trellis_model::id::RuleId, name: Name, action: Action) -> Rule {
        Rule {
            id,
            account: self.account.clone(),
            service: self.service,
            listener: self.listener,
            name,
            is_default: false,
            created_at: self.now,
            last_updated_at: self.now,
            tags: Tags::new(),
            priority: None,
            condition: None,
            action,
        }
    }
}

fn action(given: &config::Action) -> Action {
    match given {
        config::Action::FixedResponse(status) => Action::FixedResponse(FixedResponse {
            status_code: *status,
        }),
        config::Action::Forward(forward) => Action::Forward(Forward {
            target_groups: forward
                .groups
                .iter()
                .map(|group| WeightedTargetGroup {
                    target_group_identifier: group.group.to_string(),
                    weight: Some(group.weight.get()),
                })
                .collect(),
        }),
    }
}

fn condition(given: &config::HttpMatch) -> HttpMatch {
    let sensitive = |case: config::Case| Some(case == config::Case::Sensitive);
    let headers = given.headers.iter().map(|header| HeaderMatch {
        name: header.name.to_string(),
        kind: match header.kind {
            config::HeaderMatchKind::Exact => HeaderMatchType::Exact(header.value.to_string()),
            config::HeaderMatchKind::Prefix => HeaderMatchType::Prefix(header.value.to_string()),
            config::HeaderMatchKind::Contains => {
                HeaderMatchType::Contains(header.value.to_string())
            }
        },
        case_sensitive: sensitive(header.case),
    });
    let headers: Vec<HeaderMatch> = headers.collect();
    HttpMatch {
        method: given.method.as_deref().map(str::to_owned),
        path_match: given.path.as_ref().map(|path| PathMatch {
            kind: match path.kind {
                config::PathMatchKind::Exact => PathMatchType::Exact(path.value.to_string()),
                config::PathMatchKind::Prefix => PathMatchType::Prefix(path.value.to_string()),
            },
            case_sensitive: sensitive(path.case),
        }),
        header_matches: (!headers.is_empty()).then_some(headers),
    }
}

fn protocol(given: config::TargetProtocol) -> TargetProtocol {
    match given {
        config::TargetProtocol::Http => TargetProtocol::Http,
        config::TargetProtocol::Https => TargetProtocol::Https,
    }
}

fn declare_group(catalog: &mut Catalog, group: &config::TargetGroup, now: Stamp) {
    let file = file(&group.place);
    let kind = match group.kind {
        config::TargetGroupType::Ip => TargetGroupType::Ip,
        config::TargetGroupType::Instance => TargetGroupType::Instance,
        config::TargetGroupType::Alb => TargetGroupType::Alb,
    };
    let v6 = group.targets.iter().any(|target| target.address.is_ipv6());
    let family = if v6 {
        IpAddressType::Ipv6
    } else {
        IpAddressType::Ipv4
    };
    let shown = TargetGroup {
        id: group.id,
        account: group.account.clone(),
        name: group.name.clone(),
        created_at: now,
        last_updated_at: now,
        tags: group.tags.clone(),
        kind,
        config: Some(TargetGroupConfig {
            port: group.targets.first().map(|target| target.address.port()),
            protocol: Some(protocol(group.protocol)),
            protocol_version: Some(match group.version {
                config::ProtocolVersion::Http1 => TargetProtocolVersion::Http1,
                config::ProtocolVersion::Http2 => TargetProtocolVersion::Http2,
                config::ProtocolVersion::Grpc => TargetProtocolVersion::Grpc,
            }),
            ip_address_type: (kind == TargetGroupType::Ip).then_some(family),
            vpc_identifier: Some(group.vpc.clone()),
            health_check: group.health_check.as_deref().map(health_check),
            lambda_event_structure_version: None,
        }),
    };
    let targets = Targets {
        group: group.id,
        account: group.account.clone(),
        registered: group
            .targets
            .iter()
            .map(|target| Target {
                id: target.id.to_string(),
                port: Some(target.address.port()),
            })
            .collect(),
    };
    catalog.declare(shown, &file);
    catalog.declare(targets, &file);
}

/// A health check in the API's words; what it has no words for (other probes, milliseconds) comes as near as it can.
fn health_check(given: &config::HealthCheck) -> HealthCheck {
    let (probe_protocol, version, path, codes) = match &given.probe {
        config::Probe::Http(probe) => (
            protocol(probe.protocol),
            match probe.version {
                config::ProbeVersion::Http1 => TargetProtocolVersion::Http1,
                config::ProbeVersion::Http2 => TargetProtocolVersion::Http2,
            },
            Some(probe.path.to_string()),
            Some(Matcher::HttpCode(codes(&probe.success_codes))),
        ),
        config::Probe::Grpc { protocol: of, .. } => {
            (protocol(*of), TargetProtocolVersion::Grpc, None, None)
        }
        config::Probe::Tcp | config::Probe::Tls => (
            TargetProtocol::Tcp,
            TargetProtocolVersion::Http1,
            None,
            None,
        ),
    };
    HealthCheck {
        enabled: Some(given.enabled),
        protocol: Some(probe_protocol),
        protocol_version: Some(version),
        port: given.port,
        path,
        health_check_interval_seconds: Some(seconds(given.interval)),
        health_check_timeout_seconds: Some(seconds(given.timeout)),
        healthy_threshold_count: Some(given.healthy_threshold.into()),
        unhealthy_threshold_count: Some(given.unhealthy_threshold.into()),
        matcher: codes,
    }
}

fn codes(ranges: &[RangeInclusive<u16>]) -> String {
    let texts: Vec<String> = ranges
        .iter()
        .map(|range| {
            if range.start() == range.end() {
                range.start().to_string()
            } else {
                format!("{}-{}", range.start(), range.end())
            }
        })
        .collect();
    texts.join(",")
}

fn declare_function(catalog: &mut Catalog, group: &config::FunctionGroup, now: Stamp) {
    let file = file(&group.place);
    let version = match group.event {
        config::EventVersion::V1 => LambdaEventStructureVersion::V1,
        config::EventVersion::V2 => LambdaEventStructureVersion::V2,
    };
    let shown = TargetGroup {
        id: group.id,
        account: group.account.clone(),
        name: group.name.clone(),
        created_at: now,
        last_updated_at: now,
        tags: group.tags.clone(),
        kind: TargetGroupType::Lambda,
        config: Some(TargetGroupConfig {
            lambda_event_structure_version: Some(version),
            ..TargetGroupConfig::default()
        }),
    };
    let target = Target {
        id: group.function.to_string(),
        port: None,
    };
    let targets = Targets {
        group: group.id,
        account: group.account.clone(),
        registered: vec![target],
    };
    catalog.declare(shown, &file);
    catalog.declare(targets, &file);
}
