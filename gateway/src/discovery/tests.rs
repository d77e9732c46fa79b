//! The task of a name on a paused clock: when it asks, and what it makes of the answers.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    sync::Semaphore,
    task::JoinHandle,
    time::{Instant, sleep},
};
use trellis_model::config::{Discovery, DnsResponseType, TargetGroup};

pub(crate) use super::bounds::tests::discovery;
use super::{
    AT_A_TIME, DiscoveryError, Follower, Found,
    progress::{
        Progress,
        tests::{outcome, settings},
    },
    resolver::Resolve,
};
use crate::{
    proxy::Dice,
    registry::{
        Registry,
        tests::{apply_used, group, group_id},
    },
    telemetry::Telemetry,
};

/// Answers from a list, the last one for ever, each after a while; remembers when it was asked.
struct Script {
    answers: Mutex<VecDeque<&'static str>>,
    takes: Duration,
    asked: Mutex<Vec<f64>>,
    began: Instant,
}

#[async_trait]
impl Resolve for Script {
    async fn resolve(&self, _of: &Discovery) -> Result<Found, DiscoveryError> {
        self.asked.lock().push(self.began.elapsed().as_secs_f64());
        sleep(self.takes).await;
        let mut answers = self.answers.lock();
        let next = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().copied()
        };
        outcome(next.unwrap())
    }
}

struct World {
    script: Arc<Script>,
    registry: Arc<Registry>,
    task: JoinHandle<()>,
}

impl World {
    fn new(first: Option<&'static str>, answers: &[&'static str], takes: Duration) -> Self {
        let script = Arc::new(Script {
            answers: Mutex::new(answers.iter().copied().collect()),
            takes,
            asked: Mutex::default(),
            began: Instant::now(),
        });
        let registry = Arc::new(Registry::new(Arc::new(|_| {})));
        let of = discovery(DnsResponseType::Endpoints, &["10.0.0.0/8"]);
        let config = TargetGroup {
            discovery: Some(of.clone()),
            ..group("orders", [])
        };
        apply_used(&registry, &[config], Instant::now().into_std());
        let follower = Follower {
            id: group_id("orders"),
            name: "orders".into(),
            of,
            resolver: Arc::clone(&script) as Arc<dyn Resolve>,
            places: Arc::new(Semaphore::new(AT_A_TIME)),
            registry: Arc::clone(&registry),
            telemetry: Telemetry::new(SystemTime::UNIX_EPOCH),
            progress: Progress::new(&settings()),
            refused: (false, false),
            dice: Dice::new(7, 0),
        };
        let task = tokio::spawn(follower.run(first.map(outcome)));
        Self {
            script,
            registry,
            task,
        }
    }

    fn targets(&self) -> String {
        let orders = self.registry.group(group_id("orders")).unwrap();
        let shown: Vec<_> = orders
            .view()
            .iter()
            .map(|target| format!("{} {}", target.id, target.status))
            .collect();
        shown.join(", ")
    }

    /// When it was asked, in whole seconds.
    fn asked(&self) -> Vec<f64> {
        self.script.asked.lock().clone()
    }
}

/// Each number is at least the one beside it, and at most a tenth of the last gap more: the jitter.
#[track_caller]
fn check_gaps(asked: &[f64], gaps: &[(f64, f64)]) {
    let found: Vec<f64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (number, (least, most)) in gaps.iter().enumerate() {
        let gap = found[number];
        assert!(
            (*least..=*most + 0.01).contains(&gap),
            "gap {number} is {gap}: {found:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_is_asked_for_again_when_its_answer_is_over() {
    let answers = [
        "10.0.0.1 for 30",
        "10.0.0.1 10.0.0.2 for 1",
        "10.0.0.2 for 9000",
        "10.0.0.3 for 60",
    ];
    let world = World::new(None, &answers, Duration::ZERO);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.targets(), "10.0.0.1 INITIAL");
    sleep(Duration::from_secs(28)).await;
    assert_eq!(world.asked().len(), 1, "not before its time");
    sleep(Duration::from_secs(500)).await;
    check_gaps(&world.asked(), &[(30.0, 33.0), (5.0, 5.5), (300.0, 330.0)]);
    assert_eq!(
        world.targets(),
        "10.0.0.3 INITIAL, 10.0.0.1 DRAINING, 10.0.0.2 DRAINING"
    );
    world.task.abort();
}

#[tokio::test(start_paused = true)]
async fn an_outage_keeps_the_last_answer_and_ends_with_the_next() {
    let answers = [
        "10.0.0.1 for 30",
        "failure",
        "failure",
        "failure",
        "failure",
        "10.0.0.2 for 30",
    ];
    let world = World::new(None, &answers, Duration::ZERO);
    sleep(Duration::from_secs(36)).await;
    assert_eq!(world.targets(), "10.0.0.1 INITIAL");
    sleep(Duration::from_secs(24)).await;
    assert_eq!(world.targets(), "10.0.0.2 INITIAL, 10.0.0.1 DRAINING");
    check_gaps(
        &world.asked(),
        &[(30.0, 33.0), (0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0)],
    );
    world.task.abort();
}

#[tokio::test(start_paused = true)]
async fn targets_leave_with_the_second_answer_without_them() {
    let answers = [
        "10.0.0.1 for 30",
        "no name for 20",
        "failure",
        "no name for 20",
    ];
    let world = World::new(None, &answers, Duration::ZERO);
    sleep(Duration::from_secs(52)).await;
    assert_eq!(world.targets(), "10.0.0.1 INITIAL");
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.targets(), "10.0.0.1 DRAINING");
    world.task.abort();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_there_before_counts_from_the_beginning() {
    let world = World::new(
        Some("10.0.0.1 for 30"),
        &["10.0.0.2 for 30"],
        Duration::ZERO,
    );
    sleep(Duration::from_secs(29)).await;
    assert_eq!(world.targets(), "10.0.0.1 INITIAL");
    assert!(world.asked().is_empty());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.targets(), "10.0.0.2 INITIAL, 10.0.0.1 DRAINING");
    world.task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_slow_resolver_holds_up_nothing_but_its_name() {
    let world = World::new(None, &["10.0.0.1 for 30"], Duration::from_secs(5));
    sleep(Duration::from_secs(4)).await;
    assert_eq!(world.targets(), "", "the group is there, without targets");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.targets(), "10.0.0.1 INITIAL");
    world.task.abort();
}
