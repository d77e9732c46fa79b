//! What does a function cost the gateway besides its call: writing an event, and reading a result?
//!
//! `cargo bench -p trellis-benches --bench function`. Time follows the size of bodies; the small ones show the fixed part.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement stops where it cannot go on"
)]

use std::{hint::black_box, time::SystemTime};

use criterion::{BenchmarkId, Criterion, Throughput};
use http::{HeaderMap, HeaderName, HeaderValue};
use trellis_model::config::EventVersion;
use trellis_target_groups::function::{self, EVENT_BYTES, Event};

/// Bytes of bodies.
const SIZES: [usize; 3] = [100, 10_000, 1_000_000];

/// Fifteen fields, as a browser's request has when the gateway has added its own.
fn headers(kind: &'static str) -> HeaderMap {
    let mut headers: HeaderMap = (0..14)
        .map(|number| {
            let name = HeaderName::try_from(format!("x-header-{number}")).unwrap();
            (
                name,
                HeaderValue::from_static("a value of usual length, 36 bytes"),
            )
        })
        .collect();
    headers.insert("content-type", HeaderValue::from_static(kind));
    headers
}

fn events(criterion: &mut Criterion, kind: &'static str, name: &str) {
    let headers = headers(kind);
    let mut group = criterion.benchmark_group(format!("event/{name}"));
    for size in SIZES {
        let body = vec![b'a'; size];
        let event = Event {
            method: "POST",
            target: b"/orders?item=1&item=2",
            headers: &headers,
            body: &body,
            service_network_arn: "arn:aws:vpc-lattice:eu-west-1:111122223333:servicenetwork/sn-0123456789abcdef0",
            service_arn: "arn:aws:vpc-lattice:eu-west-1:111122223333:service/svc-0123456789abcdef0",
            target_group_arn: "arn:aws:vpc-lattice:eu-west-1:111122223333:targetgroup/tg-0123456789abcdef0",
            source_vpc_arn: "arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-0123456789abcdef0",
            region: "eu-west-1",
            caller: None,
            at: SystemTime::UNIX_EPOCH,
            request_id: b"6ccfc913-b027-4fdc-be66-a07809329ee3",
        };
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                function::event(EventVersion::V2, black_box(&event), EVENT_BYTES).unwrap()
            });
        });
    }
    group.finish();
}

fn answers(criterion: &mut Criterion, encoded: bool, name: &str) {
    let mut group = criterion.benchmark_group(format!("answer/{name}"));
    for size in SIZES {
        let body = "a".repeat(size / 4 * 4);
        let headers =
            r#""content-type":"text/plain","cache-control":"no-store","set-cookie":["a=1","b=2"]"#;
        let result = format!(
            r#"{{"statusCode":200,"headers":{{{headers}}},"isBase64Encoded":{encoded},"body":"{body}"}}"#
        );
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| function::answer(black_box(result.as_bytes())).unwrap());
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    events(&mut criterion, "application/json", "text");
    events(&mut criterion, "application/octet-stream", "base64");
    answers(&mut criterion, false, "text");
    answers(&mut criterion, true, "base64");
    criterion.final_summary();
}
