//! All that requests, connections and DNS can find out from a snapshot.

use std::fmt::Write as _;

use http::HeaderMap;
use trellis_policy::{Caller, PrincipalIndex, Request};
use trellis_routing::ServiceIndex;

use super::Running;
use crate::snapshot::{Action, Network, Rule, Service, Snapshot, Takers, TargetGroup, View};

/// As lines of text. Positions are those of the configuration; whatever differs from run to run is left out.
pub(super) fn dump(running: &Running<'_>) -> String {
    let snapshot = &running.snapshot;
    let mut out = String::new();
    writeln!(
        out,
        "{:?} {:?} {:?}",
        snapshot.limits, snapshot.names, snapshot.explain_to
    )
    .unwrap();
    let mut attachments: Vec<String> = Vec::new();
    for local in ["127.0.0.1", "127.0.0.2"] {
        for peer in ["10.0.0.1", "10.1.0.1", "10.2.0.1"] {
            let view = snapshot.attach(local.parse().unwrap(), peer.parse().unwrap());
            attachments.push(format!("{local} {peer} {:?}", view.map(|view| &view.vpc)));
        }
    }
    writeln!(out, "{attachments:?}").unwrap();
    for view in snapshot.views() {
        dump_view(&mut out, snapshot, view);
    }
    for network in &snapshot.networks {
        let Network {
            id,
            arn,
            name,
            auth_type,
            policy,
            destinations,
            ..
        } = network;
        let to = destinations.is_none();
        writeln!(out, "{id} {arn} {name} {auth_type:?} {policy:?} {to}").unwrap();
    }
    for (position, service) in (0..).zip(snapshot.services.iter()) {
        dump_service(&mut out, snapshot, ServiceIndex(position), service);
    }
    let principals = u32::try_from(snapshot.policies.principals()).unwrap();
    for principal in (0..principals).map(PrincipalIndex) {
        let who = snapshot.policies.principal(principal);
        let texts = snapshot.caller_texts(principal);
        writeln!(out, "{who:?} {texts:?}").unwrap();
    }
    decisions(&mut out, snapshot, principals);
    out
}

fn dump_view(out: &mut String, snapshot: &Snapshot, view: &View) {
    let found = snapshot.view(&view.vpc).map(|found| &found.vpc);
    let network = snapshot.network(view).map(|network| network.id);
    writeln!(
        out,
        "{} {found:?} {} {} {network:?} {:?} {:?} {:?} {:?}",
        view.vpc,
        view.vpc_arn,
        view.account,
        view.hosts,
        view.addresses,
        view.network_header,
        view.vpc_header
    )
    .unwrap();
    for port in [8080, 8081, 8443, 9443] {
        write!(out, "{port} {:?} ", view.protocols(port)).unwrap();
    }
    for service in snapshot.services.iter() {
        let name = service.domain.as_str();
        let trust = view.tls.trust(name).map(|trust| trust.id());
        writeln!(out, "{name} {} {trust:?}", view.tls.answers_for(name)).unwrap();
    }
}

fn dump_service(out: &mut String, snapshot: &Snapshot, index: ServiceIndex, service: &Service) {
    let clients = service.clients.as_ref();
    let clients = clients.map(|clients| (clients.trust.id(), clients.trust_store));
    writeln!(
        out,
        "{} {} {} {} {:?} {} {:?} {:?} {clients:?}",
        service.id,
        service.arn,
        service.name,
        service.account,
        service.auth_type,
        service.domain,
        service.idle,
        snapshot.service_policy(index),
    )
    .unwrap();
    for membership in &service.memberships {
        writeln!(out, "in {} {}", membership.network, membership.arn).unwrap();
    }
    for listener in &service.listeners {
        let (protocol, port, table) = (listener.protocol, listener.port, &listener.table);
        writeln!(out, "{} {protocol:?} {port} {table:?}", listener.id).unwrap();
        for rule in listener.rules.iter().chain([&listener.default]) {
            dump_rule(out, (snapshot, index), rule);
        }
    }
}

fn dump_rule(out: &mut String, service: (&Snapshot, ServiceIndex), rule: &Rule) {
    write!(out, "{} {:?} ", rule.id, rule.priority).unwrap();
    match &rule.action {
        Action::FixedResponse(status) => writeln!(out, "{status}").unwrap(),
        Action::Forward(forward) => {
            writeln!(out, "{:?} {:?}", forward.choice, forward.traffic).unwrap();
            for group in &forward.groups {
                dump_group(out, service, group);
            }
        }
    }
}

fn dump_group(
    out: &mut String,
    (snapshot, service): (&Snapshot, ServiceIndex),
    group: &TargetGroup,
) {
    write!(out, "{} {} {} ", group.id, group.arn, group.name).unwrap();
    for network in 0..snapshot.networks.len() {
        let header = snapshot.target_header(service, network, group);
        write!(out, "{header:?} ").unwrap();
    }
    match &group.takers {
        Takers::Targets(targets) => writeln!(
            out,
            "{:?} {:?} {:?} {} {} {:?} {} {:?} {:?}",
            targets.protocol,
            targets.version,
            targets.tls.as_ref().map(|tls| tls.key()),
            targets.vpc,
            targets.live.id(),
            targets.connections,
            targets.pool.is_some(),
            targets.hash,
            targets.stickiness,
        )
        .unwrap(),
        Takers::Function(function) => writeln!(out, "{function:?}").unwrap(),
    }
}

/// May everybody call every service through every network?
fn decisions(out: &mut String, snapshot: &Snapshot, principals: u32) {
    let vpc = "vpc-0123456789abcdef0".parse().unwrap();
    let account = "111122223333".parse().unwrap();
    let headers = HeaderMap::new();
    let known = (0..principals).map(|index| Caller::Principal(PrincipalIndex(index)));
    for caller in known.chain([Caller::Anonymous]) {
        for network in &snapshot.networks {
            for position in (0..).take(snapshot.services.len()) {
                let request = Request {
                    action: trellis_policy::Action::Invoke,
                    network: network.policy,
                    service: snapshot.service_policy(ServiceIndex(position)).unwrap(),
                    caller: &caller,
                    method: "GET",
                    path: b"/",
                    query: None,
                    authority: b"orders.shop.test",
                    headers: &headers,
                    port: 8080,
                    source_ip: "10.0.0.9".parse().unwrap(),
                    source_vpc: &vpc,
                    source_vpc_owner: &account,
                    secure_transport: false,
                    now: std::time::UNIX_EPOCH,
                };
                let decided = snapshot.policies.authorize(&request).map(drop);
                writeln!(out, "{caller:?} {position} {decided:?}").unwrap();
            }
        }
    }
}
