//! What does a decision cost, remembered and not, as policies grow; how long can hostile patterns take; and how fast do ten thousand
//! services compile, into how much memory?
//!
//! `cargo bench -p trellis-benches --bench decision`. Both layers and the caller's policy count. "hit" is the same request again;
//! "miss" is a request whose facts were not seen before: its path, written anew for each, is part of the time. Names end in the
//! number of statements of the service's policy, all of which can apply, unless they say otherwise.

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
    sync::Arc,
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

/// One statement for the network.
const NETWORK: &str = r#"{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:SourceVpc":"vpc-0123456789abcdef0"}}}"#;

fn config(network: PolicyText, service: PolicyText) -> Config {
    let source = Source {
        path: "bench.yaml".into(),
        text: Ok(DOCUMENT.to_owned()),
    };
    let mut config = match load(&[source], &NoFiles) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{problems}"),
    };
    Arc::make_mut(&mut config.service_networks[0]).auth_type = AuthType::AwsIam;
    Arc::make_mut(&mut config.service_networks[0]).auth_policy = Some(network);
    Arc::make_mut(&mut config.services[0]).auth_type = AuthType::AwsIam;
    Arc::make_mut(&mut config.services[0]).auth_policy = Some(service);
    Arc::make_mut(&mut config.users[0]).policies = vec![policy(
        r#"{"Effect":"Allow","Action":"vpc-lattice-svcs:*","Resource":"*"}"#,
    )];
    config
}

/// As many statements, each with a path and a method; the last one allows.
fn statements(statements: usize) -> PolicyText {
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

/// The same without a condition, because a policy of five hundred must not be larger than a policy may be.
fn short_statements(statements: usize) -> PolicyText {
    let statement = |number: usize| {
        let path = if number + 1 == statements {
            "rates"
        } else {
            "other"
        };
        format!(
            r#"{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*/{path}{number}/*"}}"#
        )
    };
    policy(&(0..statements).map(statement).collect::<Vec<_>>().join(","))
}

/// One statement about as many principals, the caller last.
fn principals(principals: usize) -> PolicyText {
    let mut all: Vec<String> = (1..principals)
        .map(|number| format!(r#""arn:aws:iam::111122223333:role/role-{number}""#))
        .collect();
    all.push(format!("\"{CALLER}\""));
    let all = all.join(",");
    policy(&format!(
        r#"{{"Effect":"Allow","Principal":{{"AWS":[{all}]}},"Action":"*","Resource":"*/rates0/*"}}"#
    ))
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

/// Times requests for paths that were not asked for before, all of which the last statement allows.
fn misses(group: &mut Group<'_>, name: BenchmarkId, config: &Config, statements: usize) {
    let headers = HeaderMap::new();
    let policies = compile(config).unwrap();
    let caller = Caller::Principal(policies.principal_by_arn(CALLER).unwrap());
    let asker = Asker::new(&policies, &caller, config, &headers);
    assert!(asker.ask(&format!("/rates{}/17", statements - 1)));
    assert!(!asker.ask("/elsewhere"));
    let mut number: u64 = 0;
    group.bench_function(name, |bench| {
        bench.iter(|| {
            number += 1;
            let path = format!("/rates{}/{number}", statements - 1);
            asker.ask(&path)
        });
    });
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn decisions(criterion: &mut Criterion) {
    let headers = HeaderMap::new();
    let mut group = criterion.benchmark_group("decision");
    for number in [1, 10, 100] {
        let config = config(policy(NETWORK), statements(number));
        let policies = compile(&config).unwrap();
        let caller = Caller::Principal(policies.principal_by_arn(CALLER).unwrap());
        let asker = Asker::new(&policies, &caller, &config, &headers);
        let path = format!("/rates{}/17", number - 1);
        group.bench_function(BenchmarkId::new("hit", number), |bench| {
            bench.iter(|| asker.ask(&path));
        });
        misses(
            &mut group,
            BenchmarkId::new("miss", number),
            &config,
            number,
        );
    }
    let both = config(statements(10), statements(10));
    let name = BenchmarkId::new("miss, both layers", 10);
    misses(&mut group, name, &both, 10);
    let both = config(short_statements(500), short_statements(500));
    let name = BenchmarkId::new("miss, both layers", 500);
    misses(&mut group, name, &both, 500);
    for number in [1, 500] {
        let config = config(policy(NETWORK), principals(number));
        let name = BenchmarkId::new("miss, by number of principals", number);
        misses(&mut group, name, &config, 1);
    }
    group.finish();
}

/// The largest path against the largest patterns, which fit it nearly.
fn hostile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hostile pattern");
    let headers = HeaderMap::new();
    // Every letter of the patterns is there, but a `b` never comes after an `a`.
    let path = format!("/b/{}", "a".repeat(60_000));
    let single = |pattern: String| vec![pattern];
    for (name, patterns) in [
        (
            "one long part",
            single(format!("*{}b*", "a".repeat(10_000))),
        ),
        (
            "one long part with ?",
            single(format!("*{}b*", "a?".repeat(5_000))),
        ),
        ("many stars", single(format!("{}b", "*a".repeat(5_000)))),
        ("1 000 patterns", vec!["*ab*".to_owned(); 1_000]),
        ("1 000 patterns with ?", vec!["*a?b*".to_owned(); 1_000]),
    ] {
        let resources = patterns.join(r#"",""#);
        let statement = format!(
            r#"{{"Effect":"Allow","Principal":"*","Action":"*","Resource":["{resources}"]}}"#
        );
        let config = config(policy(NETWORK), policy(&statement));
        let policies = compile(&config).unwrap();
        let caller = Caller::Principal(policies.principal_by_arn(CALLER).unwrap());
        let asker = Asker::new(&policies, &caller, &config, &headers);
        assert!(!asker.ask(&path), "{name}");
        group.bench_function(name, |bench| bench.iter(|| asker.ask(&path)));
    }
    group.finish();
}

/// Resident memory in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

/// Not a loop of criterion's: once is what a start does.
fn start(_: &mut Criterion) {
    let mut config = config(policy(NETWORK), statements(1));
    for (name, number_of, different) in [
        ("one shared policy", 1, false),
        ("a policy each", 1, true),
        ("a policy of ten statements each", 10, true),
    ] {
        let service = config.services[0].clone();
        config.services = (0..10_000)
            .map(|number| {
                let mut service = Arc::clone(&service);
                if different {
                    let statement = |part| format!(
                        r#"{{"Effect":"Allow","Principal":{{"AWS":"111122223333"}},"Action":"vpc-lattice-svcs:Invoke","Resource":"*/{number}/{part}/*","Condition":{{"StringEquals":{{"vpc-lattice-svcs:RequestMethod":"GET"}}}}}}"#
                    );
                    let statements: Vec<String> = (0..number_of).map(statement).collect();
                    Arc::make_mut(&mut service).auth_policy = Some(policy(&statements.join(",")));
                }
                service
            })
            .collect();
        let (memory, before) = (resident(), Instant::now());
        let policies = black_box(compile(&config).unwrap());
        let took = before.elapsed();
        let memory = resident().saturating_sub(memory) / (10_000 * number_of);
        println!("compile of 10 000 services, {name}: {took:?}, {memory} bytes per statement");
        drop(policies);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = decisions, hostile, start
}
criterion_main!(benches);
