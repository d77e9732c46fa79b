//! The running configuration as JSON, without secrets.
//!
//! Members are spelled as in documents, defaults are filled in, references are ids, and what the gateway derived (ids, ARNs,
//! domain names) is there. It is for reading: it is not a document.

#[cfg(test)]
mod tests;

mod balancing;
mod discovery;
mod functions;
mod health;
mod identities;
mod logs;
mod target_tls;
mod telemetry;

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use trellis_model::config::{
    Action, AuthPolicyMode, AuthType, Case, ClientCertificateMode, Config, DnsSettings,
    GatewaySettings, HeaderMatchKind, HttpMatch, Limits, Listener, ListenerProtocol, PathMatchKind,
    PolicyLanguage, PolicyText, ProtocolVersion, Role, Service, ServiceNetwork, TargetGroup,
    TargetGroupType, TargetProtocol, Traffic, Upgrades, User, Vpc,
};
use trellis_model::name::DomainName;

/// What stands in the place of a secret.
const REDACTED: &str = "(redacted)";

/// The configuration as JSON, without secrets.
pub fn redacted(config: &Config) -> Value {
    let organizations: Map<String, Value> = config
        .organizations
        .iter()
        .map(|(account, of)| (account.to_string(), json!({"id": of.id, "paths": of.paths})))
        .collect();
    json!({
        "region": config.region.as_str(),
        "gateway": gateway(&config.gateway),
        "vpcs": shared(&config.vpcs, vpc),
        "serviceNetworks": shared(&config.service_networks, service_network),
        "services": shared(&config.services, |of| service(of, config)),
        "targetGroups": config
            .target_groups
            .iter()
            .map(|group| target_group(group))
            .chain(config.function_groups.iter().map(|group| functions::group(group)))
            .collect::<Value>(),
        "principals": {
            "users": shared(&config.users, user),
            "roles": shared(&config.roles, role),
            "identityProviders": list(&config.identity_providers, identities::provider),
            "trustStores": list(&config.trust_stores, identities::trust_store),
            "mappings": list(&config.mappings, |mapping| identities::mapping(mapping, config)),
        },
        "organizations": organizations,
        "accessLogSubscriptions": shared(&config.access_log_subscriptions, logs::subscription),
    })
}

fn list<T>(items: &[T], show: impl Fn(&T) -> Value) -> Value {
    items.iter().map(show).collect()
}

fn shared<T>(items: &[Arc<T>], show: impl Fn(&T) -> Value) -> Value {
    items.iter().map(|item| show(item)).collect()
}

fn gateway(settings: &GatewaySettings) -> Value {
    json!({
        "admin": settings.admin,
        "control": settings.control,
        "sessionKeys": list(&settings.session_keys, |key| json!({"id": key.id, "secret": REDACTED})),
        "dns": settings.dns.as_ref().map(dns),
        "discovery": discovery::settings(&settings.discovery),
        "dataDir": settings.data_dir,
        "spool": {
            "megabytes": settings.spool.bytes >> 20,
            "syncMilliseconds": settings.spool.sync.as_millis(),
            "keepShippedMinutes": settings.spool.keep.as_secs() / 60,
            "deadLetterMegabytes": settings.spool.dead_letter_bytes >> 20,
        },
        "workers": settings.workers,
        "limits": limits(&settings.limits),
        "zone": settings.zone,
        "stickinessKey": settings.stickiness_key.as_ref().map(|_| REDACTED),
        "quotas": settings.quotas.all().collect::<std::collections::BTreeMap<_, _>>(),
        "explain": {"principals": settings.explain_to},
        "telemetry": telemetry::telemetry(&settings.telemetry),
    })
}

fn dns(settings: &DnsSettings) -> Value {
    json!({
        "listen": settings.listen,
        "answers": settings.answers,
        "forward": settings.forward,
        "ttlSeconds": settings.ttl.as_secs(),
    })
}

fn limits(limits: &Limits) -> Value {
    json!({
        "headerBytes": limits.header_bytes,
        "headers": limits.headers,
        "connectionLifetimeSeconds": limits.connection_lifetime.as_ref().map(Duration::as_secs),
        "windDownSeconds": limits.wind_down.as_ref().map(Duration::as_secs),
        "headerTimeoutSeconds": limits.header_timeout.as_secs(),
        "connectTimeoutSeconds": limits.connect_timeout.as_secs(),
        "connections": limits.connections,
        "connectionsPerVpc": limits.connections_per_vpc.unwrap_or(0),
        "connectionsPerClient": limits.connections_per_client.unwrap_or(0),
        "idleTargetConnections": limits.idle_target_connections,
        "stopGraceSeconds": limits.stop_grace.as_secs(),
        "upgrades": match limits.upgrades {
            Upgrades::Pass => "PASS",
            Upgrades::Drop => "DROP",
        },
        "clockSkewSeconds": limits.clock_skew.as_secs(),
        "authPolicyBytes": limits.auth_policy_bytes,
    })
}

fn vpc(vpc: &Vpc) -> Value {
    json!({
        "id": vpc.id.as_str(),
        "arn": vpc.arn.as_str(),
        "name": vpc.name.as_str(),
        "account": vpc.account.as_str(),
        "cidrs": vpc.cidrs,
        "resolvers": *vpc.resolvers,
        "attachments": list(&vpc.attachments, |attachment| {
            json!({"listen": attachment.listen, "sources": attachment.sources})
        }),
    })
}

fn service_network(network: &ServiceNetwork) -> Value {
    json!({
        "id": network.id.to_string(),
        "arn": network.arn.as_str(),
        "name": network.name.as_str(),
        "account": network.account.as_str(),
        "authType": auth_type(network.auth_type),
        "authPolicy": network.auth_policy.as_ref().map(policy),
        "authPolicyMode": auth_policy_mode(network.auth_policy_mode),
        "shadowAuthPolicy": network.shadow_auth_policy.as_ref().map(policy),
        "vpcAssociations": list(&network.vpcs, |association| {
            json!({"id": association.id.to_string(), "vpcIdentifier": association.vpc.as_str()})
        }),
        "serviceAssociations": list(&network.services, |association| {
            json!({
                "id": association.id.to_string(),
                "serviceIdentifier": association.service.to_string(),
            })
        }),
        "tags": network.tags,
    })
}

fn service(service: &Service, config: &Config) -> Value {
    json!({
        "id": service.id.to_string(),
        "arn": service.arn.as_str(),
        "name": service.name.as_str(),
        "account": service.account.as_str(),
        "dnsEntry": {"domainName": service.generated_domain.as_str()},
        "customDomainName": service.custom_domain.as_ref().map(DomainName::as_str),
        "clientCertificates": service.client_certificates.map(|asked| {
            json!({
                "trustStore": config.trust_stores.get(asked.trust_store).map(|of| &of.name),
                "mode": match asked.mode {
                    ClientCertificateMode::Request => "REQUEST",
                    ClientCertificateMode::Require => "REQUIRE",
                },
            })
        }),
        "certificate": service.certificate.as_ref().map(|files| {
            json!({"certificateFile": files.certificate, "privateKeyFile": files.private_key})
        }),
        "authType": auth_type(service.auth_type),
        "authPolicy": service.auth_policy.as_ref().map(policy),
        "authPolicyMode": auth_policy_mode(service.auth_policy_mode),
        "shadowAuthPolicy": service.shadow_auth_policy.as_ref().map(policy),
        "idleTimeoutSeconds": service.idle_timeout.as_ref().map(Duration::as_secs_f64),
        "tags": service.tags,
        "listeners": list(&service.listeners, listener),
    })
}

fn listener(listener: &Listener) -> Value {
    json!({
        "id": listener.id.to_string(),
        "arn": listener.arn.as_str(),
        "name": listener.name.as_str(),
        "protocol": match listener.protocol {
            ListenerProtocol::Http => "HTTP",
            ListenerProtocol::Https => "HTTPS",
        },
        "port": listener.port,
        "defaultRule": listener.default_rule.to_string(),
        "defaultAction": action(&listener.default_action),
        "rules": list(&listener.rules, |rule| json!({
            "id": rule.id.to_string(),
            "name": rule.name.as_str(),
            "priority": rule.priority.get(),
            "match": {"httpMatch": http_match(&rule.condition)},
            "action": action(&rule.action),
        })),
    })
}

fn http_match(condition: &HttpMatch) -> Value {
    let path = condition.path.as_ref().map(|path| {
        let kind = match path.kind {
            PathMatchKind::Exact => "exact",
            PathMatchKind::Prefix => "prefix",
        };
        json!({"match": {kind: path.value}, "caseSensitive": path.case == Case::Sensitive})
    });
    let headers = list(&condition.headers, |header| {
        let kind = match header.kind {
            HeaderMatchKind::Exact => "exact",
            HeaderMatchKind::Prefix => "prefix",
            HeaderMatchKind::Contains => "contains",
        };
        json!({
            "name": header.name,
            "match": {kind: header.value},
            "caseSensitive": header.case == Case::Sensitive,
        })
    });
    json!({"method": condition.method, "pathMatch": path, "headerMatches": headers})
}

fn action(action: &Action) -> Value {
    match action {
        Action::Forward(forward) => {
            let groups = list(&forward.groups, |weighted| {
                json!({
                    "targetGroupIdentifier": weighted.group.to_string(),
                    "weight": weighted.weight.get(),
                })
            });
            let mut members = traffic(&forward.traffic);
            members.insert("targetGroups".to_owned(), groups);
            json!({"forward": members})
        }
        Action::FixedResponse(status) => json!({"fixedResponse": {"statusCode": status}}),
    }
}

/// What was settled for a rule, whether it stands there or at the service; zero is no limit.
fn traffic(traffic: &Traffic) -> serde_json::Map<String, Value> {
    let millis = |time: Option<Duration>| time.map_or(0, |time| time.as_millis());
    let mut members = serde_json::Map::new();
    let timeouts = &traffic.timeouts;
    let timeouts = json!({
        "requestMillis": millis(timeouts.request),
        "perTryMillis": millis(timeouts.per_try),
        "idleMillis": millis(timeouts.idle),
        "streamMillis": millis(timeouts.stream),
    });
    members.insert("timeouts".to_owned(), timeouts);
    if let Some(retry) = &traffic.retry {
        let policy = json!({
            "maxRetries": retry.max_retries,
            "on": retry.events.names().collect::<Vec<_>>(),
            "statuses": retry.statuses,
            "backOff": {
                "baseMillis": millis(Some(retry.back_off)),
                "maxMillis": millis(Some(retry.max_back_off)),
            },
            "budget": {"percent": retry.budget_percent, "minConcurrency": retry.budget_min},
        });
        members.insert("retryPolicy".to_owned(), policy);
    }
    if let Some(after) = traffic.hedge_after {
        let hedging = json!({"afterMillis": millis(Some(after))});
        members.insert("hedging".to_owned(), hedging);
    }
    members
}

fn connection_pool(group: &TargetGroup) -> Value {
    let pool = &group.connection_pool;
    let most = pool.places.map(|places| places.most);
    let pending = pool.places.map(|places| places.pending);
    let keep_alive = pool.keep_alive.as_secs();
    if group.version == ProtocolVersion::Http1 {
        return json!({
            "maxConnections": most,
            "maxPendingRequests": pending,
            "keepAliveSeconds": keep_alive,
        });
    }
    json!({
        "maxRequests": most,
        "maxStreamsPerConnection": pool.streams,
        "maxPendingRequests": pending,
        "keepAliveSeconds": keep_alive,
    })
}

fn target_group(group: &TargetGroup) -> Value {
    json!({
        "id": group.id.to_string(),
        "arn": group.arn.as_str(),
        "name": group.name.as_str(),
        "account": group.account.as_str(),
        "type": match group.kind {
            TargetGroupType::Ip => "IP",
            TargetGroupType::Instance => "INSTANCE",
            TargetGroupType::Alb => "ALB",
        },
        "config": {
            "protocol": protocol(group.protocol),
            "protocolVersion": version(group.version),
            "vpcIdentifier": group.vpc.as_str(),
            "healthCheck": group.health_check.as_deref().map(health::health_check),
        },
        "balancing": balancing::balancing(&group.balancing),
        "outlierDetection": group.outlier_detection.as_deref().map(balancing::outlier_detection),
        "connectionPool": connection_pool(group),
        "tls": group.tls.as_deref().map(target_tls::target_tls),
        "discovery": group.discovery.as_ref().map(discovery::discovery),
        "targets": list(&group.targets, |target| {
            json!({
                "id": target.id,
                "address": target.address,
                "weight": target.weight,
                "zone": target.zone,
            })
        }),
        "tags": group.tags,
    })
}

fn user(user: &User) -> Value {
    json!({
        "arn": user.arn.as_str(),
        "name": user.name,
        "account": user.account.as_str(),
        "policies": list(&user.policies, policy),
        "permissionsBoundary": user.permissions_boundary.as_ref().map(policy),
        "accessKeys": list(&user.access_keys, |key| json!({"id": key.id, "secret": REDACTED})),
        "tags": user.tags,
    })
}

fn role(role: &Role) -> Value {
    json!({
        "arn": role.arn.as_str(),
        "name": role.name,
        "account": role.account.as_str(),
        "trustPolicy": role.trust_policy.as_ref().map(policy),
        "maxSessionDurationSeconds": role.max_session_duration.as_secs(),
        "policies": list(&role.policies, policy),
        "permissionsBoundary": role.permissions_boundary.as_ref().map(policy),
        "accessKeys": list(&role.access_keys, |key| json!({
            "id": key.key.id,
            "secret": REDACTED,
            "sessionName": key.session_name,
        })),
        "tags": role.tags,
    })
}

/// A policy as its author wrote it: JSON as JSON, Cedar as text.
fn policy(policy: &PolicyText) -> Value {
    match policy.language {
        PolicyLanguage::Iam => {
            serde_json::from_str(&policy.text).unwrap_or_else(|_| Value::from(policy.text.as_ref()))
        }
        PolicyLanguage::Cedar => json!({"cedar": policy.text.as_ref()}),
    }
}

fn auth_policy_mode(mode: AuthPolicyMode) -> &'static str {
    match mode {
        AuthPolicyMode::Enforce => "ENFORCE",
        AuthPolicyMode::Audit => "AUDIT",
    }
}

fn auth_type(auth_type: AuthType) -> &'static str {
    match auth_type {
        AuthType::None => "NONE",
        AuthType::AwsIam => "AWS_IAM",
    }
}

fn protocol(protocol: TargetProtocol) -> &'static str {
    match protocol {
        TargetProtocol::Http => "HTTP",
        TargetProtocol::Https => "HTTPS",
    }
}

fn version(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::Http1 => "HTTP1",
        ProtocolVersion::Http2 => "HTTP2",
        ProtocolVersion::Grpc => "GRPC",
    }
}
