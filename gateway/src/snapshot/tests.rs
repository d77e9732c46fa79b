//! A snapshot that follows another is what it would be if it had been built alone, whatever changed in between.

mod dump;
mod steps;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Instant, SystemTime},
};

use arc_swap::ArcSwap;
use proptest::prelude::*;
use trellis_access_logs::{Settings, Writer};
use trellis_model::{
    config::Config,
    load::{Inputs, Source, load},
};
use trellis_target_groups::TargetStatus;

use self::{
    dump::dump,
    steps::{Step, step},
};
use super::*;
use crate::{
    jwks::{Pace, PublishedKeys},
    registry::Registry,
    session_keys,
    telemetry::Telemetry,
    tls::{ca::InternalCa, store::Certificates},
};

const WORLD: &str = r#"
region: us-west-2
account: "111122223333"
vpcs:
  - {name: shop, cidrs: [10.0.0.0/16], attachments: [{listen: [127.0.0.1]}]}
  - {name: office, cidrs: [10.1.0.0/16], attachments: [{listen: [127.0.0.2], sources: [10.1.0.0/16]}]}
serviceNetworks:
  - name: commerce
    authType: AWS_IAM
    authPolicy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: "*", Action: "*", Resource: "*"}]}
    vpcAssociations: [{vpcIdentifier: shop}]
    serviceAssociations: [{serviceIdentifier: orders}, {serviceIdentifier: cart}, {serviceIdentifier: static}]
  - name: back-office
    vpcAssociations: [{vpcIdentifier: office}]
    serviceAssociations: [{serviceIdentifier: orders}]
services:
  - name: orders
    customDomainName: orders.shop.test
    listeners:
      - name: http
        protocol: HTTP
        port: 8080
        defaultAction: {forward: {targetGroups: [{targetGroupIdentifier: orders-v1, weight: 90}, {targetGroupIdentifier: orders-v2, weight: 10}]}}
        rules:
          - {name: health, priority: 10, match: {httpMatch: {method: GET, pathMatch: {match: {exact: /healthz}}}}, action: {fixedResponse: {statusCode: 404}}}
          - {name: call, priority: 20, match: {httpMatch: {pathMatch: {match: {prefix: /call}}}}, action: {forward: {targetGroups: [{targetGroupIdentifier: call}]}}}
  - name: cart
    customDomainName: cart.shop.test
    clientCertificates: {trustStore: workloads, mode: REQUEST}
    listeners: [{name: https, protocol: HTTPS, port: 8443, defaultAction: {forward: {targetGroups: [{targetGroupIdentifier: cart}]}}}]
  - name: static
    listeners: [{name: http, protocol: HTTP, port: 8080, defaultAction: {fixedResponse: {statusCode: 500}}}]
targetGroups:
  - {name: orders-v1, type: IP, config: {protocol: HTTP, port: 9101, vpcIdentifier: shop}, targets: [{id: 10.0.0.1}]}
  - {name: orders-v2, type: IP, config: {protocol: HTTP, port: 9102, vpcIdentifier: shop}, targets: [{id: 10.0.0.1}, {id: 10.0.0.2}]}
  - {name: cart, type: IP, config: {protocol: HTTPS, port: 9103, vpcIdentifier: shop}, tls: {caFile: ca.pem}, targets: [{id: 10.0.0.3}]}
  - {name: spare, type: IP, config: {protocol: HTTPS, port: 9104, vpcIdentifier: shop}, targets: [{id: 10.0.0.4}]}
  - {name: call, type: LAMBDA, targets: [{id: "arn:aws:lambda:us-west-2:111122223333:function:call"}], function: {endpoint: "http://127.0.0.1:9001"}}
principals:
  users:
    - {name: checkout, policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "*", Resource: "*"}]}], accessKeys: [{id: AKIACHECKOUT00000000, secret: {env: SECRET}}]}
    - {name: auditor, accessKeys: [{id: AKIAAUDITOR000000000, secret: {env: SECRET}}]}
  roles: [{name: reader, accessKeys: [{id: AKIAREADER0000000000, secret: {env: SECRET}, sessionName: night}]}]
  trustStores: [{name: workloads, caFile: ca.pem}]
accessLogSubscriptions:
  - {resourceIdentifier: commerce, destination: {file: commerce.jsonl}}
"#;

/// Every file holds the same authority.
struct Files {
    authority: String,
}

impl Inputs for Files {
    fn read(&self, _: &Path) -> Result<String, String> {
        Ok(self.authority.clone())
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "SECRET").then(|| "0123456789012345678901234567890123456789".to_owned())
    }
}

fn world() -> Config {
    let authority = InternalCa::unkept(SystemTime::now()).unwrap();
    let files = Files {
        authority: authority.root_pem().to_owned(),
    };
    let source = Source {
        path: "trellis.yaml".into(),
        text: Ok(WORLD.to_owned()),
    };
    match load(&[source], &files) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{problems}"),
    }
}

/// What a gateway has besides snapshots.
struct Ground {
    tls: TlsTerms,
    session_keys: session_keys::Shared,
    published: PublishedKeys,
    telemetry: Arc<Telemetry>,
    writer: Writer,
}

impl Ground {
    fn new() -> Self {
        let telemetry = Telemetry::new(SystemTime::now());
        let writer = Writer::start(Settings::default(), Arc::clone(&telemetry) as _);
        Self {
            tls: TlsTerms::new(Arc::new(InternalCa::unkept(SystemTime::now()).unwrap())),
            session_keys: Arc::new(ArcSwap::from_pointee(session_keys::configured(&[]))),
            published: PublishedKeys::new(Pace::default()),
            telemetry,
            writer: writer.unwrap(),
        }
    }
}

/// A gateway without sockets.
struct Running<'g> {
    ground: &'g Ground,
    config: Config,
    snapshot: Snapshot,
    registry: Registry,
    sockets: BTreeSet<std::net::SocketAddr>,
}

impl<'g> Running<'g> {
    fn start(ground: &'g Ground, config: Config) -> Self {
        let registry = Registry::new(Arc::new(|_| {}));
        let change = Change::first(&config);
        let (snapshot, sockets) = run(ground, &registry, &change, 1);
        Self {
            ground,
            config,
            snapshot,
            registry,
            sockets,
        }
    }

    fn change(&mut self, config: Config) {
        let change = Change::after(&config, (&self.config, &self.snapshot));
        let generation = self.snapshot.generation + 1;
        let (snapshot, sockets) = run(self.ground, &self.registry, &change, generation);
        (self.snapshot, self.sockets) = (snapshot, sockets);
        self.config = config;
    }
}

fn run(
    ground: &Ground,
    registry: &Registry,
    change: &Change<'_>,
    generation: u64,
) -> (Snapshot, BTreeSet<std::net::SocketAddr>) {
    let with = Ingredients {
        tls: &ground.tls,
        certificates: &Certificates::default(),
        session_keys: &ground.session_keys,
        published: &ground.published,
    };
    let compiled = match compile(change, &with) {
        Ok(compiled) => compiled,
        Err(problems) => panic!("{problems}"),
    };
    let sockets = compiled.sockets(change.config);
    assert_eq!(sockets, super::sockets(change.config));
    compiled.hand_over(change, registry, Instant::now());
    let around = Surroundings {
        registry,
        telemetry: &ground.telemetry,
        tls: &ground.tls,
        writer: Some(&ground.writer),
    };
    (compiled.build(change, generation, &around), sockets)
}

/// The registered targets of every group, whether it is probed, and every function.
fn live(registry: &Registry) -> Vec<String> {
    let groups = registry.groups();
    let groups = groups.iter().map(|group| {
        let targets = group.view().into_iter();
        let registered = targets.filter(|target| target.status != TargetStatus::Draining);
        let targets: Vec<_> = registered
            .map(|target| (target.address, target.weight))
            .collect();
        let tls = registry.tls(group.id()).map(|tls| tls.key());
        let pool = registry.pool(group.id()).is_some();
        format!(
            "{} {} {targets:?} {tls:?} {pool}",
            group.id(),
            group.check_plan().is_some()
        )
    });
    let functions = registry.functions();
    let functions = functions
        .iter()
        .map(|one| format!("{} {:?}", one.id, one.usage));
    groups.chain(functions).collect()
}

#[track_caller]
fn check(running: &Running<'_>, what: &dyn std::fmt::Debug) {
    let alone = Running::start(running.ground, running.config.clone());
    assert_eq!(dump(running), dump(&alone), "after {what:?}");
    assert_eq!(
        live(&running.registry),
        live(&alone.registry),
        "after {what:?}"
    );
    assert_eq!(running.sockets, alone.sockets, "after {what:?}");
    let destinations = |of: &Running<'_>| -> Vec<Destinations> {
        let services = of.snapshot.services.iter();
        let of_services = services.flat_map(|service| service.memberships.to_vec());
        let of_services = of_services.map(|membership| membership.destinations);
        let of_networks = of.snapshot.networks.iter();
        of_services
            .chain(of_networks.map(|network| network.destinations.clone()))
            .collect()
    };
    let (one, other) = (destinations(running), destinations(&alone));
    assert!(
        one.iter().zip(&other).all(|(one, other)| one.are(other)),
        "after {what:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_snapshot_is_like_a_new_one(all in proptest::collection::vec(step(), 1..16)) {
        let ground = Ground::new();
        let whole = world();
        let mut running = Running::start(&ground, whole.clone());
        // Whatever is put together at first use is put together, so that it could be wrong later.
        dump(&running);
        for step in &all {
            let mut config = running.config.clone();
            step.take(&mut config, &whole);
            running.change(config);
            check(&running, step);
        }
    }
}

/// What the step leaves alone is the same allocation as before.
#[test]
fn what_a_change_does_not_touch_is_taken_over() {
    let ground = Ground::new();
    let mut running = Running::start(&ground, world());
    let kept = |before: &Snapshot, after: &Snapshot| -> (Vec<bool>, bool, bool) {
        let services = before.services.iter().zip(after.services.iter());
        (
            services
                .map(|(one, other)| Arc::ptr_eq(one, other))
                .collect(),
            before
                .views
                .iter()
                .zip(&after.views)
                .all(|(one, other)| Arc::ptr_eq(one, other)),
            Arc::ptr_eq(&before.verifier, &after.verifier),
        )
    };
    let mut look = |step: Step| {
        let mut config = running.config.clone();
        step.take(&mut config, &world());
        let next = {
            let change = Change::after(&config, (&running.config, &running.snapshot));
            run(&ground, &running.registry, &change, 2).0
        };
        let found = kept(&running.snapshot, &next);
        running.snapshot = next;
        running.config = config;
        found
    };
    assert_eq!(look(Step::Nothing), (vec![true, true, true], true, true));
    assert_eq!(look(Step::Rule(0)), (vec![false, true, true], true, true));
    assert_eq!(
        look(Step::Policy(1, true)),
        (vec![true, false, true], true, true)
    );
    assert_eq!(look(Step::Target(2)), (vec![true, false, true], true, true));
    assert_eq!(
        look(Step::Domain(2)),
        (vec![true, true, false], false, true)
    );
    assert_eq!(look(Step::User(0)), (vec![true, true, true], true, false));
}

#[test]
fn a_configuration_read_again_shares_what_is_the_same() {
    let ground = Ground::new();
    let mut running = Running::start(&ground, world());
    let mut again = load_with(&running.config);
    again.share_with(&running.config);
    let before: Vec<_> = running.snapshot.services.iter().map(Arc::as_ptr).collect();
    running.change(again);
    let after: Vec<_> = running.snapshot.services.iter().map(Arc::as_ptr).collect();
    assert_eq!(before, after);
}

/// The same documents with the authority that a configuration has.
fn load_with(config: &Config) -> Config {
    let files = Files {
        authority: config.trust_stores[0].authorities.to_string(),
    };
    let source = Source {
        path: "trellis.yaml".into(),
        text: Ok(WORLD.to_owned()),
    };
    load(&[source], &files).unwrap().config
}
