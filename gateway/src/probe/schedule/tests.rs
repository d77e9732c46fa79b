//! Rhythm, bounds and ends of probes, on a paused clock with a scripted checker.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};
use trellis_model::config::TargetGroup;
use trellis_target_groups::Use;

use crate::{
    probe::{Asked, Checker, ProbeError, Prober},
    registry::{
        Registry,
        tests::{Events, address, apply_all, apply_used, group, group_id, listener, vpc},
    },
};

/// What a target does when it is probed.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Pass,
    Fail,
    /// Passes after this time.
    After(Duration),
    Silence,
    Panic,
}

/// A checker that follows a script and writes down when it was asked.
struct Script {
    answer: Mutex<Box<dyn FnMut(SocketAddr) -> Answer + Send>>,
    starts: Mutex<BTreeMap<SocketAddr, Vec<Instant>>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

/// Counts a probe as running until it ends or is dropped.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[async_trait]
impl Checker for Script {
    async fn check(&self, asked: &Asked<'_>) -> Result<(), ProbeError> {
        assert_eq!(*asked.vpc, vpc());
        let address = asked.address;
        self.starts
            .lock()
            .entry(address)
            .or_default()
            .push(Instant::now());
        let running = self.running.fetch_add(1, Relaxed) + 1;
        self.most.fetch_max(running, Relaxed);
        let _running = Running(&self.running);
        let answer = (self.answer.lock())(address);
        match answer {
            Answer::Pass => Ok(()),
            Answer::Fail => Err(ProbeError::Status(500)),
            Answer::After(time) => {
                sleep(time).await;
                Ok(())
            }
            Answer::Silence => std::future::pending().await,
            Answer::Panic => panic!("as the script says"),
        }
    }
}

/// A prober on a registry, with everything the tests look at.
struct Bench {
    registry: Arc<Registry>,
    script: Arc<Script>,
    events: Events,
    prober: Prober,
}

/// Sebastiano Vigna's `splitmix64`.
fn split_mix(mut state: u64) -> impl FnMut() -> u64 + Send {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Bench {
    fn new(concurrency: usize, answer: impl FnMut(SocketAddr) -> Answer + Send + 'static) -> Self {
        let (listener, events) = listener();
        let registry = Arc::new(Registry::new(listener));
        let script = Arc::new(Script {
            answer: Mutex::new(Box::new(answer)),
            starts: Mutex::default(),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        let seed = 7;
        println!("seed {seed}");
        let prober = Prober::start(
            &Handle::current(),
            Arc::clone(&registry),
            Arc::clone(&script) as Arc<dyn Checker>,
            NonZeroUsize::new(concurrency).unwrap(),
            Box::new(split_mix(seed)),
        );
        Self {
            registry,
            script,
            events,
            prober,
        }
    }

    fn apply(&self, groups: &[TargetGroup]) {
        apply_used(&self.registry, groups, Instant::now().into_std());
    }

    /// When the target was probed, in milliseconds after `origin`.
    fn starts(&self, target: u16, origin: Instant) -> Vec<u128> {
        let starts = self.script.starts.lock();
        let starts = starts.get(&address(target)).map_or(&[][..], Vec::as_slice);
        starts
            .iter()
            .map(|start| (*start - origin).as_millis())
            .collect()
    }

    fn running(&self) -> usize {
        self.script.running.load(Relaxed)
    }

    fn events(&self) -> Vec<String> {
        std::mem::take(&mut self.events.lock())
    }
}

/// Lets virtual time pass.
async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_target_is_probed_at_once_then_apart_from_its_siblings_then_once_per_interval() {
    let bench = Bench::new(10, |_| Answer::Pass);
    let origin = Instant::now();
    bench.apply(&[group("orders", [1, 2])]);
    pass(60).await;
    let starts = [1, 2].map(|target| bench.starts(target, origin));
    for starts in &starts {
        assert_eq!(starts[0], 0);
        assert!((5_000..15_000).contains(&starts[1]), "{starts:?}");
        for pair in starts[1..].windows(2) {
            // The clock of the runtime counts whole milliseconds.
            assert!(
                (10_000..=10_002).contains(&(pair[1] - pair[0])),
                "{starts:?}"
            );
        }
        assert!(starts.len() >= 5, "{starts:?}");
    }
    assert_ne!(starts[0][1], starts[1][1]);
    assert_eq!(
        bench.events(),
        [
            "10.0.0.1 none>INITIAL -",
            "10.0.0.2 none>INITIAL -",
            "10.0.0.1 INITIAL>HEALTHY -",
            "10.0.0.2 INITIAL>HEALTHY -"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn groups_are_probed_only_while_in_use() {
    let bench = Bench::new(10, |_| Answer::Pass);
    let origin = Instant::now();
    let config = [group("orders", [1])];
    let unused = [Arc::new(group("orders", [1]))];
    apply_all(&bench.registry, &unused, Use::Unused, origin.into_std());
    pass(60).await;
    assert_eq!(bench.starts(1, origin), []);

    bench.apply(&config);
    pass(1).await;
    assert_eq!(bench.starts(1, origin), [60_000]);

    let now = Instant::now().into_std();
    apply_all(&bench.registry, &unused, Use::Unused, now);
    pass(60).await;
    assert_eq!(bench.starts(1, origin), [60_000]);
}

#[tokio::test(start_paused = true)]
async fn failures_make_a_target_unhealthy_and_successes_bring_it_back() {
    let mut script = "+--+++".chars();
    let bench = Bench::new(10, move |_| match script.next() {
        Some('-') => Answer::Fail,
        _ => Answer::Pass,
    });
    bench.apply(&[group("orders", [1])]);
    pass(80).await;
    assert_eq!(
        bench.events(),
        [
            "10.0.0.1 none>INITIAL -",
            "10.0.0.1 INITIAL>HEALTHY -",
            "10.0.0.1 HEALTHY>UNHEALTHY status 500 is not a success code",
            "10.0.0.1 UNHEALTHY>HEALTHY -"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_failure_after_the_timeout() {
    let bench = Bench::new(10, |_| Answer::Silence);
    bench.apply(&[group("orders", [1])]);
    pass(1).await;
    assert_eq!(bench.running(), 1);
    pass(2).await;
    assert_eq!(bench.running(), 0);
    pass(20).await;
    assert_eq!(
        bench.events(),
        [
            "10.0.0.1 none>INITIAL -",
            "10.0.0.1 INITIAL>UNHEALTHY no answer within 2s"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_longer_than_the_interval_delays_the_next_one_and_never_overlaps_it() {
    let bench = Bench::new(10, |_| Answer::After(Duration::from_secs(25)));
    let mut slow = group("orders", [1]);
    Arc::make_mut(slow.health_check.as_mut().unwrap()).timeout = Duration::from_secs(30);
    let origin = Instant::now();
    bench.apply(&[slow]);
    pass(80).await;
    assert_eq!(bench.starts(1, origin), [0, 25_000, 50_000, 75_000]);
    assert_eq!(bench.script.most.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_probes_run_than_may_and_every_target_gets_its_turn() {
    let bench = Bench::new(3, |_| Answer::Silence);
    let origin = Instant::now();
    bench.apply(&[group("orders", 1..=12)]);
    pass(9).await;
    assert_eq!(bench.script.most.load(Relaxed), 3);
    for target in 1..=12 {
        let wave = u128::from((target - 1) / 3) * 2_000;
        let first = bench.starts(target, origin)[0];
        assert!((wave..wave + 10).contains(&first), "{target} at {first}");
    }
}

#[tokio::test(start_paused = true)]
async fn probes_of_removed_targets_stop_at_once() {
    let bench = Bench::new(10, |target| match target {
        target if target == address(1) => Answer::Silence,
        _ => Answer::Pass,
    });
    let origin = Instant::now();
    bench.apply(&[group("orders", [1, 2]), group("cart", [3])]);
    pass(1).await;
    assert_eq!(bench.running(), 1);
    bench.apply(&[group("orders", [2])]);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(bench.running(), 0, "the probe under way was dropped");
    pass(40).await;
    assert_eq!(bench.starts(1, origin).len(), 1);
    assert_eq!(bench.starts(3, origin).len(), 1);
    assert!(bench.starts(2, origin).len() >= 4);
}

#[tokio::test(start_paused = true)]
async fn targets_that_stay_keep_their_rhythm_when_others_come() {
    let bench = Bench::new(10, |_| Answer::Pass);
    let origin = Instant::now();
    bench.apply(&[group("orders", [1])]);
    pass(16).await;
    let before = bench.starts(1, origin);
    bench.apply(&[group("orders", [1, 2])]);
    pass(1).await;
    assert_eq!(bench.starts(2, origin), [16_000]);
    pass(13).await;
    let after = bench.starts(1, origin);
    assert_eq!(after[..before.len()], before);
    assert!(
        after[before.len()] - before[before.len() - 1] <= 10_002,
        "{after:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_changed_check_is_tried_at_once_on_all_targets() {
    let bench = Bench::new(10, |_| Answer::Pass);
    let origin = Instant::now();
    bench.apply(&[group("orders", [1, 2])]);
    pass(1).await;
    let mut changed = group("orders", [1, 2]);
    Arc::make_mut(changed.health_check.as_mut().unwrap()).timeout = Duration::from_secs(3);
    bench.apply(&[changed]);
    pass(1).await;
    for target in [1, 2] {
        assert_eq!(bench.starts(target, origin), [0, 1_000]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_probe_neither_stops_the_others_nor_itself_forever() {
    let mut asked = 0;
    let bench = Bench::new(10, move |target| {
        asked += usize::from(target == address(1));
        match asked {
            1 if target == address(1) => Answer::Panic,
            _ => Answer::Pass,
        }
    });
    bench.apply(&[group("orders", [1, 2])]);
    pass(30).await;
    let orders = bench.registry.group(group_id("orders")).unwrap();
    assert!(
        orders
            .view()
            .iter()
            .all(|view| view.status.as_str() == "HEALTHY"),
        "{orders:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_running_probes_to_end() {
    let bench = Bench::new(10, |_| Answer::Silence);
    bench.apply(&[group("orders", [1, 2])]);
    pass(1).await;
    assert_eq!(bench.running(), 2);
    let Bench { prober, script, .. } = bench;
    prober.shutdown().await;
    assert_eq!(script.running.load(Relaxed), 0);
    assert_eq!(
        Arc::strong_count(&script),
        1,
        "nothing else holds the checker"
    );
}

/// Ten thousand targets that appear in one moment: after the first round each second of the interval gets its share.
#[tokio::test(start_paused = true)]
async fn probes_of_targets_that_appear_together_spread_over_the_interval() {
    let bench = Bench::new(1_000, |_| Answer::Pass);
    let origin = Instant::now();
    bench.apply(&[group("orders", 0..10_000)]);
    pass(25).await;
    bench.script.starts.lock().clear();
    pass(10).await;
    let mut per_second = [0_usize; 10];
    for starts in bench.script.starts.lock().values() {
        for start in starts {
            let second = usize::try_from((*start - origin).as_secs()).unwrap();
            per_second[second % 10] += 1;
        }
    }
    // 1 000 each; five standard deviations are 150.
    assert!(
        per_second.iter().all(|count| (850..=1150).contains(count)),
        "{per_second:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn jitter_lengthens_intervals_by_up_to_its_share() {
    let bench = Bench::new(10, |_| Answer::Pass);
    let origin = Instant::now();
    let mut config = group("orders", [1]);
    Arc::make_mut(config.health_check.as_mut().unwrap()).jitter_percent = 50;
    bench.apply(&[config]);
    pass(1000).await;
    let starts = bench.starts(1, origin);
    let gaps: Vec<_> = starts[1..]
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    assert!(
        gaps.iter().all(|gap| (10_000..=15_002).contains(gap)),
        "{gaps:?}"
    );
    let differing: HashSet<_> = gaps.iter().collect();
    assert!(differing.len() > gaps.len() / 2, "{gaps:?}");
}

/// Ten thousand that appear together are not probed in one moment; one that appears with them elsewhere does not wait for them.
#[tokio::test(start_paused = true)]
async fn many_newcomers_come_one_after_the_other() {
    let bench = Bench::new(100_000, |_| Answer::Pass);
    let origin = Instant::now();
    let mut many = group("orders", 1..=10_000);
    Arc::make_mut(many.health_check.as_mut().unwrap()).interval = Duration::from_secs(60);
    many.targets[9_999].zone = Some("b".into());
    bench.apply(&[many]);
    pass(11).await;
    let mut firsts: Vec<_> = (1..=9_999)
        .map(|target| bench.starts(target, origin)[0])
        .collect();
    firsts.sort_unstable();
    assert_eq!(firsts.iter().filter(|start| **start == 0).count(), 100);
    assert!(
        (9_899..=9_905).contains(&firsts[9_998]),
        "{}",
        firsts[9_998]
    );
    let at_once = firsts
        .chunk_by(|one, other| one == other)
        .skip(1)
        .map(<[_]>::len);
    assert!(at_once.max() <= Some(3), "{firsts:?}");
    assert_eq!(bench.starts(10_000, origin), [0]);
}

/// The whole of one zone is silent, and there is room for few probes: the other zone is checked all the same, and on time.
#[tokio::test(start_paused = true)]
async fn no_zone_waits_behind_another() {
    let bench = Bench::new(10, |target| {
        if target.port() == 80 && target < address(200) {
            Answer::Silence
        } else {
            Answer::Pass
        }
    });
    let origin = Instant::now();
    let mut config = group("orders", 1..=201);
    for (target, number) in config.targets.iter_mut().zip(1..) {
        target.zone = Some(if number < 200 { "a" } else { "b" }.into());
    }
    bench.apply(&[config]);
    pass(120).await;
    for target in [200, 201] {
        let starts = bench.starts(target, origin);
        let late = starts[1..].windows(2).map(|pair| pair[1] - pair[0]).max();
        // A place is free every 2 s at the latest, and every second one is theirs.
        assert!(late <= Some(14_010), "{starts:?}");
        assert!(starts.len() >= 9, "{starts:?}");
    }
    // With 10 places of 2 s each, 199 silent ones take 40 s a round.
    let starts = bench.starts(1, origin);
    assert!((2..=4).contains(&starts.len()), "{starts:?}");
}
