//! Asking a running gateway for the status of targets: the real admin pages over states of the test's choice.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::Arc,
    thread,
    time::{Instant, SystemTime},
};

use tokio::sync::oneshot;
use trellis_model::{config::Config, id::TargetGroupId};
use trellis_target_groups::{Group, ProbeOutcome, TargetKey, Use};

use super::world::World;
use crate::{
    admin::{self, Introspect, Readiness, Site},
    cli::{
        examples::{run, words},
        inputs::Configuration,
    },
    registry::{LiveFunction, Standing},
    telemetry::Telemetry,
};

/// A gateway of which only the admin pages run.
struct Shown {
    config: Arc<Config>,
    groups: Vec<Arc<Group>>,
}

impl Introspect for Shown {
    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    fn generation(&self) -> Option<u64> {
        Some(7)
    }

    fn config(&self) -> Option<Arc<Config>> {
        Some(Arc::clone(&self.config))
    }

    fn rejected(&self) -> Arc<[String]> {
        Arc::default()
    }

    fn groups(&self) -> Vec<Arc<Group>> {
        self.groups.clone()
    }

    fn standings(&self) -> HashMap<TargetGroupId, Standing> {
        HashMap::new()
    }

    fn functions(&self) -> Vec<Arc<LiveFunction>> {
        Vec::new()
    }
}

fn config(world: &World) -> Config {
    let configuration = Configuration::new(world.file().into());
    configuration.load().unwrap().config
}

/// The groups of a configuration; every target of `open` has passed so many checks.
fn groups(config: &Config, passes: usize) -> Vec<Arc<Group>> {
    let now = Instant::now();
    let group = |group: &Arc<trellis_model::config::TargetGroup>| {
        let live = Group::new(group, Use::Used, now);
        if group.name.as_str() == "open" {
            let epoch = live.check_plan().unwrap().epoch;
            for target in &group.targets {
                let key = TargetKey::from(target);
                for _ in 0..passes {
                    live.observe(&key, epoch, ProbeOutcome::Pass, now);
                }
            }
        }
        Arc::new(live)
    };
    config.target_groups.iter().map(group).collect()
}

/// Explains `http://open.test:8080/` with the status from these pages.
fn explain(world: &World, shown: Shown, options: &str) -> (String, u8) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let site = Site::new(Arc::new(shown), Telemetry::new(SystemTime::now()));
    let serving = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let stopping = async { drop(stopped.await) };
        runtime
            .unwrap()
            .block_on(admin::serve(listener, site, stopping))
            .unwrap();
    });
    let line = format!(
        "trellis explain --config {} --vpc front --admin {address} {options}http://open.test:8080/",
        world.file()
    );
    let (text, code) = run(&words(&line));
    drop(stop);
    serving.join().unwrap();
    (text.replace(&address.to_string(), "(admin)"), code)
}

#[test]
fn a_running_gateway_says_which_targets_are_healthy() {
    let world = World::usual();
    let config = Arc::new(config(&world));
    let shown = |passes| Shown {
        groups: groups(&config, passes),
        config: Arc::clone(&config),
    };
    let (text, code) = explain(&world, shown(5), "");
    assert_eq!(code, 0, "{text}");
    let lines = "\
target groups    (status from the gateway at (admin), generation 7)
                 open: weight 100, 100.0 %, HTTP1 over HTTP, ROUND_ROBIN
                   127.0.0.1:9101 HEALTHY
";
    assert!(text.contains(lines), "{text}");
    let (text, _) = explain(&world, shown(0), "");
    assert!(
        text.contains("127.0.0.1:9101 INITIAL (HealthCheckInProgress)\n"),
        "{text}"
    );

    let (text, _) = explain(&world, shown(5), "--output json ");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let status = serde_json::json!(
        {"source": "gateway", "admin": "(admin)", "generation": 7, "sameConfiguration": true}
    );
    assert_eq!(report["forward"]["targetStatus"], status);
    let target = &report["forward"]["targetGroups"][0]["targets"][0];
    assert_eq!(target["status"], "HEALTHY");
    assert_eq!(target["receivesRequests"], true);
}

#[test]
fn a_gateway_with_another_configuration_is_told_apart() {
    let world = World::usual();
    let original = config(&world);
    // The gateway's own settings are its own affair.
    let mut other = original.clone();
    other.gateway.workers = None;
    let shown = Shown {
        groups: groups(&other, 5),
        config: Arc::new(other),
    };
    let (text, _) = explain(&world, shown, "");
    assert!(!text.contains("ANOTHER CONFIGURATION"), "{text}");

    let mut other = original;
    other
        .target_groups
        .retain(|group| group.name.as_str() != "open");
    let shown = Shown {
        groups: groups(&other, 5),
        config: Arc::new(other),
    };
    let (text, _) = explain(&world, shown, "");
    assert!(
        text.contains("IT RUNS ANOTHER CONFIGURATION than the one explained here"),
        "{text}"
    );
    assert!(
        text.contains("the running gateway does not have it"),
        "{text}"
    );
}

/// What a stranger answers, and what is said about it.
#[test]
fn strangers_are_not_taken_for_a_gateway() {
    let world = World::usual();
    for (answer, expected) in [
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "is not the admin listener of a gateway: `/targets` answers 404 Not Found",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
            "is not the admin listener of a gateway: `/targets` cannot be read",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{}",
            "cannot ask the gateway at",
        ),
        ("SSH-2.0-OpenSSH_9.6\r\n", "cannot ask the gateway at"),
        ("", "cannot ask the gateway at"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stranger = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let line = format!(
            "trellis explain --config {} --vpc front --admin http://{address}/ http://open.test:8080/",
            world.file()
        );
        let (text, code) = run(&words(&line));
        stranger.join().unwrap();
        assert_eq!(code, 2, "{answer:?}: {text}");
        assert!(text.contains(expected), "{answer:?}: {text}");
    }
}

#[test]
fn nobody_at_the_address_is_said_so() {
    let world = World::usual();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let line = format!(
        "trellis explain --config {} --vpc front --admin {address} http://open.test:8080/",
        world.file()
    );
    let (text, code) = run(&words(&line));
    assert_eq!(code, 2);
    assert!(
        text.contains(&format!(
            "cannot ask the gateway at `{address}` for `/targets`: connection refused"
        )),
        "{text}"
    );
}
