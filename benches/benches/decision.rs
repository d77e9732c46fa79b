//! What does a decision cost, remembered and not, as policies grow; and how fast do ten thousand services compile?
//!
//! `cargo bench -p trellis-benches --bench decision`. Both layers and the caller's policy count. "hit" is the same request again;
//! "miss" is a request whose facts were not seen before, evaluated by Cedar's authorizer. Names end in the number of statements
//! of the service's policy, all of which can apply.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement stops where it cannot go on, and its output is its purpose"
)]

use std::{
    hint::black_box,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::HeaderMap;
use trellis_model::{
    config::{AuthType, Config, PolicyLanguage, PolicyText},
    load::{Inputs, Source, load},
    problem::Place,
};
use trellis_policy::{Action, Caller, Policies, Request, compile};

const DOCUMENT: &str = r#"
account: "111122223333"
region: us-west-2
vpcs: [{name: shop, id: vpc-0123456789abcdef0, cidrs: [10.0.0.0/16], attachments: [{listen: [127.0.0.1]}]}]
serviceNetworks: [{name: net, vpcAssociations: [{vpcIdentifier: shop}], serviceAssociations: [{serviceIdentifier: orders}]}]
services:
  - name: orders
    listeners: [{name: http, protocol: HTTP, port: 8080, defaultAction: {fixedResponse: {statusCode: 404}}}]
principals:
  users: [{name: checkout, accessKeys: [{id: AKIACHECKOUT00000000, secret: {env: SECRET}}]}]
"#;

const CALLER: &str = "arn:aws:iam::111122223333:user/checkout";

struct NoFiles;

impl Inputs for NoFiles {
    fn read(&self, _: &Path) -> Result<String, String> {
        Err("there are no files".to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        Some("0123456789012345678901234567890123456789".to_owned())
    }
}

fn policy(statements: &str) -> PolicyText {
    PolicyText {
        language: PolicyLanguage::Iam,
        text: format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#).into(),
        place: Place::default(),
    }
}

fn config(service: PolicyText) -> Config {
    let source = Source {
        path: "bench.yaml".into(),
        text: Ok(DOCUMENT.to_owned()),
    };
    let mut config = match load(&[source], &NoFiles) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{problems}"),
    };
    let network = r#"{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:SourceVpc":"vpc-0123456789abcdef0"}}}"#;
    config.service_networks[0].auth_type = AuthType::AwsIam;
    config.service_networks[0].auth_policy = Some(policy(network));
    config.services[0].auth_type = AuthType::AwsIam;
    config.services[0].auth_policy = Some(service);
    config.users[0].policies = vec![policy(
        r#"{"Effect":"Allow","Action":"vpc-lattice-svcs:*","Resource":"*"}"#,
    )];
    config
}

/// As many statements, each with a path and a method; the last one allows.
fn service_policy(statements: usize) -> PolicyText {
    let statement = |number: usize| {
        let path = if number + 1 == statements {
            "rates"
        } else {
            "other"
        };
        format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":"111122223333"}},"Action":"vpc-lattice-svcs:Invoke","Resource":"*/{path}{number}/*","Condition":{{"StringEquals":{{"vpc-lattice-svcs:RequestMethod":["GET","POST"]}}}}}}"#
        )
    };
    policy(&(0..statements).map(statement).collect::<Vec<_>>().join(","))
}

/// What the gateway knows of a request before it asks: looked up once, as the snapshot does.
struct Asker<'a> {
    policies: &'a Policies,
    request: Request<'a>,
}

impl<'a> Asker<'a> {
    fn new(
        policies: &'a Policies,
        caller: &'a Caller,
        config: &'a Config,
        headers: &'a HeaderMap,
    ) -> Self {
        let request = Request {
            action: Action::Invoke,
            network: policies.network(config.service_networks[0].id).unwrap(),
            service: policies.service(config.services[0].id).unwrap(),
            caller,
            method: "GET",
            path: b"/",
            query: None,
            authority: b"orders.test",
            headers,
            port: 8080,
            source_ip: [10, 0, 0, 1].into(),
            source_vpc: &config.vpcs[0].id,
            source_vpc_owner: &config.vpcs[0].account,
            secure_transport: false,
            now: SystemTime::UNIX_EPOCH,
        };
        Self { policies, request }
    }

    fn ask(&self, path: &str) -> bool {
        let request = Request {
            path: path.as_bytes(),
            ..self.request
        };
        self.policies.authorize(black_box(&request)).is_ok()
    }
}

fn decisions(criterion: &mut Criterion) {
    let headers = HeaderMap::new();
    let mut group = criterion.benchmark_group("decision");
    for statements in [1, 10, 100] {
        let config = config(service_policy(statements));
        let policies = compile(&config).unwrap();
        let caller = Caller::Principal(policies.principal_by_arn(CALLER).unwrap());
        let asker = Asker::new(&policies, &caller, &config, &headers);
        let path = format!("/rates{}/17", statements - 1);
        assert!(asker.ask(&path));
        assert!(!asker.ask("/elsewhere"));
        group.bench_function(BenchmarkId::new("hit", statements), |bench| {
            bench.iter(|| asker.ask(&path));
        });
        let mut number: u64 = 0;
        group.bench_function(BenchmarkId::new("miss", statements), |bench| {
            bench.iter(|| {
                number += 1;
                let path = format!("/rates{}/{number}", statements - 1);
                asker.ask(&path)
            });
        });
    }
    group.finish();
}

/// Not a loop of criterion's: once is what a start does.
fn start(_: &mut Criterion) {
    let mut config = config(service_policy(1));
    for (name, different) in [("one shared policy", false), ("a policy each", true)] {
        let service = config.services[0].clone();
        config.services = (0..10_000)
            .map(|number| {
                let mut service = service.clone();
                if different {
                    service.auth_policy = Some(policy(&format!(
                        r#"{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*/{number}/*"}}"#
                    )));
                }
                service
            })
            .collect();
        let before = Instant::now();
        let policies = black_box(compile(&config).unwrap());
        let took = before.elapsed();
        println!("compile of 10 000 services, {name}: {took:?}");
        drop(policies);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = decisions, start
}
criterion_main!(benches);
