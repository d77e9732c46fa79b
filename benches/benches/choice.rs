//! Does choosing a target cost the same among ten and among ten thousand?
//!
//! `cargo bench -p trellis-benches --bench choice`. A choice here is the whole of it: the roster is loaded, a target drawn, its count
//! of running requests raised, and lowered again by the request before, so that each target's memory is touched as by real requests and
//! large groups are not answered from the first cache. After criterion's figures come the fastest sample of each measurement in one
//! table, with its ratio to the smallest group of its kind: trust the ratios, the machine is noisy.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement stops where it cannot go on, and its output is its purpose"
)]

use std::{
    fmt::Write as _,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion};
use trellis_model::{
    config::TargetGroup,
    load::{Inputs, Source, load},
};
use trellis_target_groups::{Group, Outcome, TargetKey, Use, Wanted, hash};

/// The seed of all random numbers.
const SEED: u64 = 20_261_125;

/// Requests running at a time.
const RUNNING: usize = 64;

/// What is measured: its name, the group's balancing, the weights of targets, and what of the request is hashed.
const KINDS: [(&str, &str, bool); 10] = [
    ("ROUND_ROBIN", "{}", false),
    ("ROUND_ROBIN, weights", "{}", true),
    (
        "RANDOM_TWO_CHOICES",
        "{algorithm: RANDOM_TWO_CHOICES}",
        false,
    ),
    (
        "RANDOM_TWO_CHOICES, weights",
        "{algorithm: RANDOM_TWO_CHOICES}",
        true,
    ),
    ("LEAST_REQUEST", "{algorithm: LEAST_REQUEST}", false),
    ("LEAST_REQUEST, weights", "{algorithm: LEAST_REQUEST}", true),
    ("MAGLEV", "{algorithm: MAGLEV, hash: {source: true}}", false),
    (
        "ROUND_ROBIN, half of the zone spills over",
        "{zonePreference: {spillOverPercent: 100}}",
        false,
    ),
    (
        "ROUND_ROBIN, one of ten warms up",
        "{slowStartSeconds: 3600}",
        false,
    ),
    ("ROUND_ROBIN, sticky", "{stickiness: {}}", false),
];

/// A configuration that names no files.
struct NoFiles;

impl Inputs for NoFiles {
    fn read(&self, _: &Path) -> Result<String, String> {
        Err("no files here".to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

/// A group of so many targets in two zones, with outlier detection.
fn config(balancing: &str, weights: bool, targets: usize) -> TargetGroup {
    let mut text = format!(
        "account: '111122223333'\nregion: us-west-2\ngateway: {{zone: a}}\nvpcs: [{{name: net, cidrs: [10.0.0.0/8]}}]\n\
         targetGroups:\n- name: orders\n  type: IP\n  config: {{protocol: HTTP, vpcIdentifier: net}}\n  outlierDetection: {{}}\n  \
         balancing: {balancing}\n  targets:\n"
    );
    for number in 0..targets {
        let (high, low) = (number / 250, number % 250 + 1);
        let weight = if weights { number % 7 * 140 + 1 } else { 1 };
        let zone = if number % 2 == 0 { "a" } else { "b" };
        writeln!(
            text,
            "  - {{id: 10.1.{high}.{low}, weight: {weight}, zone: {zone}}}"
        )
        .unwrap();
    }
    let source = Source {
        path: "bench.yaml".into(),
        text: Ok(text),
    };
    match load(&[source], &NoFiles) {
        Ok(loaded) => TargetGroup::clone(loaded.config.target_groups.first().unwrap()),
        Err(problems) => panic!("{problems}"),
    }
}

/// The group in use, all targets healthy but for what the kind says.
fn group(kind: &str, config: &TargetGroup, now: Instant) -> Group {
    let group = Group::new(config, Use::Used, now);
    let epoch = group.check_plan().unwrap().epoch;
    for (number, target) in config.targets.iter().enumerate() {
        let late = kind.ends_with("warms up") && number % 10 == 0;
        let spilled = kind.ends_with("spills over") && number % 4 == 0;
        let since = if late {
            now
        } else {
            now.checked_sub(Duration::from_secs(7200)).unwrap_or(now)
        };
        if !spilled {
            group.observe(
                &TargetKey::from(target),
                epoch,
                trellis_target_groups::ProbeOutcome::Pass,
                since,
            );
        }
    }
    group
}

/// Measures with criterion, and keeps the fastest sample for the table at the end.
struct Bench {
    criterion: Criterion,
    fastest: Vec<(String, usize, f64)>,
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
        self.fastest.push((kind.to_owned(), size, fastest));
    }

    fn print(&self) {
        println!(
            "{:<44} {:>8} {:>12} {:>8}",
            "fastest sample", "size", "ns", "ratio"
        );
        for (kind, size, nanoseconds) in &self.fastest {
            // Those that a filter on the command line left out have no figure.
            let smallest = self.fastest.iter().find(|(other, ..)| other == kind);
            let ratio = smallest.map_or(1.0, |(.., smallest)| nanoseconds / smallest);
            if nanoseconds.is_finite() {
                println!("{kind:<44} {size:>8} {nanoseconds:>12.1} {ratio:>8.2}");
            }
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
    println!("seed {SEED}");
    for (kind, balancing, weights) in KINDS {
        for targets in [10, 1_000, 10_000] {
            choices(&mut bench, kind, &config(balancing, weights, targets));
        }
    }
    outcomes(&mut bench);
    bench.criterion.final_summary();
    bench.print();
}

/// One request begins and the oldest of [`RUNNING`] ends.
fn choices(bench: &mut Bench, kind: &str, config: &TargetGroup) {
    let now = Instant::now();
    let group = group(kind, config, now);
    let keys: Vec<TargetKey> = config.targets.iter().map(TargetKey::from).collect();
    let mut random = SEED;
    let mut running = std::collections::VecDeque::with_capacity(RUNNING + 1);
    bench.measure(kind, config.targets.len(), || {
        random = hash::mix(random);
        let position = usize::try_from(random).unwrap_or(0) % keys.len();
        let wanted = Wanted {
            hash: kind.starts_with("MAGLEV").then_some(random),
            sticky: keys.get(position).filter(|_| kind.ends_with("sticky")),
            ..Wanted::any(random, now)
        };
        running.push_back(group.choose(&wanted).unwrap());
        if running.len() > RUNNING {
            running.pop_front();
        }
    });
}

/// What outlier detection costs a request whose target is fine: its outcome is looked at, and nothing is written.
fn outcomes(bench: &mut Bench) {
    for targets in [10, 10_000] {
        let now = Instant::now();
        let group = group("", &config("{}", false, targets), now);
        let leases: Vec<_> = (0..targets)
            .map(|_| group.choose(&Wanted::any(0, now)).unwrap())
            .collect();
        let mut leases = leases.iter().cycle();
        bench.measure("a success told to outlier detection", targets, || {
            group.report(leases.next().unwrap(), Outcome::Success)
        });
    }
}
