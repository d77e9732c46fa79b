//! Does finding a route stay cheap as services and rules grow?
//!
//! `cargo bench -p trellis-benches --bench routing`. After criterion's figures come the fastest sample of each measurement in one
//! table, with its ratio to the smallest configuration of its kind: trust the ratios, the machine is noisy.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measurement stops where it cannot go on, and its output is its purpose"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion};
use http::{HeaderMap, HeaderValue};
use trellis_model::config::{
    Case, HeaderMatch, HeaderMatchKind, HttpMatch, PathMatch, PathMatchKind,
};
use trellis_routing::{Authority, HostTable, RequestParts, RuleTable, ServiceIndex};

/// Measures with criterion, and keeps the fastest sample for the table at the end.
struct Bench {
    criterion: Criterion,
    fastest: Vec<Line>,
}

struct Line {
    kind: String,
    size: usize,
    nanoseconds: f64,
}

impl Bench {
    fn measure<R>(&mut self, kind: &str, size: usize, mut work: impl FnMut() -> R) {
        let mut fastest = f64::INFINITY;
        let mut group = self.criterion.benchmark_group(kind);
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter_custom(|iterations| {
                let start = Instant::now();
                for _ in 0..iterations {
                    black_box(work());
                }
                let elapsed = start.elapsed();
                fastest = fastest.min(elapsed.as_secs_f64() * 1e9 / iterations as f64);
                elapsed
            });
        });
        group.finish();
        self.fastest.push(Line {
            kind: kind.to_owned(),
            size,
            nanoseconds: fastest,
        });
    }

    fn print(&self) {
        // Those that a filter on the command line left out have no figure.
        let lines: Vec<&Line> = self
            .fastest
            .iter()
            .filter(|line| line.nanoseconds.is_finite())
            .collect();
        println!(
            "{:<44} {:>8} {:>12} {:>8}",
            "fastest sample", "size", "ns", "ratio"
        );
        for line in &lines {
            let smallest = lines.iter().find(|other| other.kind == line.kind);
            let ratio = smallest.map_or(1.0, |smallest| line.nanoseconds / smallest.nanoseconds);
            println!(
                "{:<44} {:>8} {:>12.1} {ratio:>8.2}",
                line.kind, line.size, line.nanoseconds
            );
        }
    }
}

fn main() {
    let mut bench = Bench {
        criterion: Criterion::default()
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_millis(700))
            .sample_size(20)
            .configure_from_args(),
        fastest: Vec::new(),
    };
    hosts(&mut bench);
    for kind in [
        RuleKind::Path,
        RuleKind::PathAndHeader,
        RuleKind::Header,
        RuleKind::Contains,
    ] {
        rules(&mut bench, kind);
    }
    bench.criterion.final_summary();
    bench.print();
}

/// Authority with port to service: each service has a generated and a custom name, and all are asked for in scattered order, so
/// that large tables are not answered from the first cache.
fn hosts(bench: &mut Bench) {
    for services in [10, 1_000, 100_000] {
        let names = |service: usize| {
            [
                format!("svc-{service}-0{service:016x}.7d67968.vpc-lattice-svcs.us-west-2.on.aws"),
                format!("svc-{service}.shop.test"),
            ]
        };
        let entries = (0..services).flat_map(|service| {
            let index = ServiceIndex(u32::try_from(service).unwrap());
            names(service).map(|name| (name.parse().unwrap(), index))
        });
        let table = HostTable::build(entries).unwrap();
        for (kind, which) in [("generated", 0), ("custom", 1)] {
            let asked: Vec<String> = scattered(services)
                .map(|service| format!("{}:8080", names(service)[which]))
                .collect();
            let mut next = asked.iter().cycle();
            bench.measure(&format!("host, {kind} name, found"), services, || {
                let authority = Authority::parse(next.next()?.as_bytes()).ok()?;
                Some(table.find(authority.host()).unwrap())
            });
        }
        let strangers: Vec<String> = scattered(services)
            .map(|service| format!("svc-{service}.other.test:8080"))
            .collect();
        let mut next = strangers.iter().cycle();
        bench.measure("host, not found", services, || {
            let authority = Authority::parse(next.next()?.as_bytes()).ok()?;
            table.find(authority.host())
        });
    }
}

/// Every number below `count`, in an order that no cache line foresees: 7 919 is prime and divides no count used here.
fn scattered(count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |number| number * 7_919 % count)
}

#[derive(Clone, Copy)]
enum RuleKind {
    /// Different paths, exact and prefix in turn, every third with a method.
    Path,
    /// The same with a header condition each.
    PathAndHeader,
    /// One prefix for all, told apart by the exact value of a header.
    Header,
    /// One prefix for all, told apart by what a header contains: nothing to look up, every rule is tried.
    Contains,
}

impl RuleKind {
    fn name(self) -> &'static str {
        match self {
            Self::Path => "rules by path",
            Self::PathAndHeader => "rules by path and header",
            Self::Header => "rules by header",
            Self::Contains => "rules by part of a header",
        }
    }

    fn rule(self, number: usize) -> HttpMatch {
        let path = |kind, value: String| {
            Some(PathMatch {
                kind,
                value: value.into(),
                case: Case::Sensitive,
            })
        };
        let header = |kind, value: String| {
            vec![HeaderMatch {
                name: "x-tenant".into(),
                kind,
                value: value.into(),
                case: Case::Insensitive,
            }]
        };
        let method = number.is_multiple_of(3).then(|| "GET".into());
        let own_path = if number.is_multiple_of(2) {
            path(PathMatchKind::Exact, Self::path(number))
        } else {
            path(
                PathMatchKind::Prefix,
                format!("/api/v{}/things-{number}/", number % 7),
            )
        };
        match self {
            Self::Path => HttpMatch {
                method,
                path: own_path,
                headers: Vec::new(),
            },
            Self::PathAndHeader => HttpMatch {
                method,
                path: own_path,
                headers: header(HeaderMatchKind::Prefix, "tenant-".to_owned()),
            },
            Self::Header => HttpMatch {
                method: None,
                path: path(PathMatchKind::Prefix, "/api/".to_owned()),
                headers: header(HeaderMatchKind::Exact, Self::tenant(number)),
            },
            Self::Contains => HttpMatch {
                method: None,
                path: path(PathMatchKind::Prefix, "/api/".to_owned()),
                headers: header(HeaderMatchKind::Contains, Self::tenant(number)),
            },
        }
    }

    fn path(number: usize) -> String {
        format!("/api/v{}/things-{number}/items", number % 7)
    }

    /// No tenant is contained in another one.
    fn tenant(number: usize) -> String {
        format!("tenant-{number}$")
    }
}

fn rules(bench: &mut Bench, kind: RuleKind) {
    for count in [10, 100, 2_000] {
        let rules: Vec<HttpMatch> = (0..count).map(|number| kind.rule(number)).collect();
        let table = RuleTable::compile(&rules);
        let places = [
            ("first", 0, Some(0)),
            ("middle", count / 2, Some(count / 2)),
            ("last", count - 1, Some(count - 1)),
            ("none", count, None),
        ];
        for (place, number, expected) in places {
            let path = RuleKind::path(number);
            let headers = headers(number);
            let request = RequestParts {
                method: "GET",
                path: path.as_bytes(),
                authority: b"orders.test",
                headers: &headers,
            };
            assert_eq!(
                table.first_match(&request),
                expected,
                "the measurement must be of what it says"
            );
            bench.measure(&format!("{}, {place}", kind.name()), count, || {
                table.first_match(black_box(&request))
            });
        }
    }
}

/// What a browser-like client sends, and the header that rules ask for.
fn headers(number: usize) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "orders.shop.test:8080"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        ),
        (
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("accept-language", "en-US,en;q=0.5"),
        ("x-request-id", "7b1b0c3e-3b0a-4b57-9d0e-0c6d3f1a2b4c"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("x-tenant", RuleKind::tenant(number).parse().unwrap());
    headers
}
