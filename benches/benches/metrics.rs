//! What do all metrics of a request cost, and how long does a page over ten thousand services take?
//!
//! `cargo bench -p trellis-benches --bench metrics`. A request adds to the metrics of its service, account, VPC, network and target
//! group, as `gateway::proxy::report` has it do, once without and once with a recorded trace. The page is made as often as fits into a
//! few seconds, in both forms, and for an export. The claims are 300 ns and 200 ms.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement stops where it cannot go on, and its output is its purpose"
)]

use std::{
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use trellis_access_logs::record::Record;
use trellis_gateway::{
    telemetry::{Exposition, Telemetry, Traced},
    trace::TraceId,
};
use trellis_model::{
    config::Config,
    id::ServiceId,
    load::{Inputs, Source, load},
};

/// Services of the page.
const SERVICES: usize = 10_000;

/// Requests in a row, between two looks at the clock.
const REQUESTS: u32 = 100_000;

/// Nothing to read, nothing in the environment.
struct Nothing;

impl Inputs for Nothing {
    fn read(&self, _: &Path) -> Result<String, String> {
        Err("there are no files".to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

fn config() -> Config {
    let text = "\
account: \"111122223333\"
region: us-west-2
vpcs: [{name: main, attachments: [{listen: [127.0.0.1]}]}]
serviceNetworks: [{name: apps, vpcAssociations: [{vpcIdentifier: main}], serviceAssociations: [{serviceIdentifier: orders}]}]
services:
  - name: orders
    listeners: [{name: http, protocol: HTTP, port: 8080, defaultAction: {forward: {targetGroups: [{targetGroupIdentifier: orders}]}}}]
targetGroups:
  - {name: orders, type: IP, config: {protocol: HTTP, port: 9101, vpcIdentifier: main}, targets: [{id: 127.0.0.1}]}
";
    let source = Source {
        path: "trellis.yaml".into(),
        text: Ok(text.to_owned()),
    };
    load(&[source], &Nothing).unwrap().config
}

/// The best of ten rounds, per request.
fn per_request(traced: Traced) -> Duration {
    let (config, telemetry) = (config(), Telemetry::new(SystemTime::now()));
    let service = telemetry.service("orders", config.services[0].id);
    let account = telemetry.account(&config.services[0].account);
    let vpc = telemetry.vpc(&config.vpcs[0].name, &config.vpcs[0].id);
    let network = &config.service_networks[0];
    let network = telemetry.network(&network.name, network.id);
    let group = telemetry.target_group(&config.target_groups[0]);
    let mut record = Record::new(SystemTime::now(), "10.0.0.1:1234".parse().unwrap());
    record.response_code = Some(200);
    record.duration = Duration::from_millis(3);
    record.bytes_received = 300;
    record.bytes_sent = 1000;
    record.trellis.attempts = 1;
    let target = Some(config.target_groups[0].targets[0].address);
    let round = || {
        let began = Instant::now();
        for _ in 0..REQUESTS {
            let record = black_box(&record);
            service.observe(record, traced);
            account.observe(record);
            vpc.observe(record, traced);
            network.observe(record, traced);
            group.of(target).observe(record, true, traced);
            drop(black_box(telemetry.request_began()));
        }
        began.elapsed() / REQUESTS
    };
    (0..10).map(|_| round()).min().unwrap()
}

/// A page over as many services, each of which was called.
fn page() -> Arc<Telemetry> {
    let telemetry = Telemetry::new(SystemTime::now());
    let account = "111122223333".parse().unwrap();
    let region = "us-west-2".parse().unwrap();
    let record = Record::new(SystemTime::now(), "10.0.0.1:1234".parse().unwrap());
    for number in 0..SERVICES {
        let name = format!("service-{number}");
        let id = ServiceId::derive(&account, &region, &[&name]);
        telemetry.service(&name, id).observe(&record, None);
    }
    telemetry
}

fn best(make: impl Fn() -> usize) -> (Duration, usize) {
    let round = || {
        let began = Instant::now();
        let size = black_box(make());
        (began.elapsed(), size)
    };
    (0..10).map(|_| round()).min().unwrap()
}

fn main() {
    let trace = TraceId::new([7; 16]).unwrap();
    println!("metrics of a request: {:?}", per_request(None));
    let traced = Some((trace, SystemTime::now()));
    println!(
        "metrics of a request with exemplars: {:?}",
        per_request(traced)
    );
    let telemetry = page();
    for exposition in [Exposition::Prometheus, Exposition::OpenMetrics] {
        let (took, bytes) = best(|| telemetry.render_with(exposition, |_| {}).len());
        println!("page of {SERVICES} services, {exposition:?}: {took:?}, {bytes} bytes");
    }
    let (took, families) = best(|| telemetry.points_with(|_| {}).len());
    println!("points of {SERVICES} services: {took:?}, {families} metrics");
}
