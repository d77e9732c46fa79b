//! What is explained is what happens: the same requests, explained and sent to a running gateway.

use std::{
    net::{IpAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::{
    client::{Answer, send},
    requests::requests,
    world::{Addresses, World},
};
use crate::{
    cli::inputs::Configuration,
    echo::{self, EchoHandle, EchoOptions},
    proxy::walk::{self, End, Sender, Supposed, Walk},
    server::{Locator, Server},
    snapshot::Snapshot,
};

/// Longest wait for anything; only a failure takes so long.
const DEADLINE: Duration = Duration::from_secs(20);

/// Where the choice of requests begins.
const SEED: u64 = 0x7472_656c_6c69_7332;

/// A gateway with its target.
struct Running {
    server: Option<Server>,
    world: World,
    addresses: Addresses,
    _target: EchoHandle,
}

impl Running {
    fn start() -> Self {
        let listen = "127.0.0.1:0".parse().unwrap();
        let target = echo::spawn(EchoOptions::named("target").listen(listen)).unwrap();
        // An address of this process alone, so that nobody takes its ports between here and the gateway's start.
        let [high, low, ..] = std::process::id().to_be_bytes()[2..] else {
            unreachable!("four bytes less two are two");
        };
        let address = IpAddr::from([127, 200, high, low.max(1)]);
        let free = || {
            let listener = TcpListener::bind((address, 0)).unwrap();
            (listener.local_addr().unwrap(), listener)
        };
        let ((http, one), (https, two)) = (free(), free());
        drop((one, two));
        let addresses = Addresses {
            http,
            https,
            target: target.addr().port(),
        };
        let world = World::at(addresses);
        let configuration = Configuration::new(world.file().into());
        let server = Server::start(
            configuration.load().unwrap(),
            Locator::new(|problems| problems),
            SEED,
        )
        .unwrap();
        Self {
            server: Some(server),
            world,
            addresses,
            _target: target,
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.server.as_ref().unwrap().state().snapshot()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }
}

/// Does the explanation say what happened?
fn compare(walk: &Walk, answer: &Answer) -> Result<(), String> {
    match (&walk.end, answer) {
        (End::Unanswered { .. }, None) => Ok(()),
        (End::FixedResponse { status }, Some((got, _))) if status == got => Ok(()),
        (End::Refused { status, text, .. }, Some((got, body))) if status == got && text == body => {
            Ok(())
        }
        (End::Forwarded, Some((200, body))) => compare_headers(walk, body),
        _ => Err("another end".to_owned()),
    }
}

/// Did the target see the headers that were foretold? A gRPC answer does not say.
fn compare_headers(walk: &Walk, body: &str) -> Result<(), String> {
    let Ok(seen) = serde_json::from_str::<serde_json::Value>(body) else {
        return Ok(());
    };
    let (_, changes) = walk.headers.as_ref().ok_or("no headers foretold")?;
    let has = |name: &str, value: Option<&str>| {
        seen["headers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|field| field[0] == name && value.is_none_or(|value| field[1] == value))
    };
    for (name, value) in &changes.set {
        let value = match name.as_str() {
            // One is made for each request, and another of the groups may have been chosen.
            "x-amzn-requestid" | "x-amzn-lattice-target" => None,
            _ => Some(value.as_str()),
        };
        if !has(name, value) {
            return Err(format!(
                "the target did not see `{name}: {value:?}` but {}",
                seen["headers"]
            ));
        }
    }
    for name in &changes.removed {
        if has(name, None) {
            return Err(format!("the target saw `{name}`"));
        }
    }
    Ok(())
}

#[test]
fn what_is_explained_is_what_happens() {
    let running = Running::start();
    let snapshot = running.snapshot();
    let root = CertificateDer::from_pem_slice(running.world.root_pem().as_bytes()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut ends = [0; 4];
    let mut wrong = Vec::new();
    for supposed in requests(&running.addresses, SEED) {
        let walk = walk::walk(&snapshot, &supposed);
        let answer = runtime
            .block_on(async { tokio::time::timeout(DEADLINE, send(&supposed, &root)).await });
        let answer = answer.unwrap_or_else(|_| panic!("no end: {supposed:?}"));
        // To suppose the caller gives what its signature gives.
        if let Some(caller) = walk.caller.clone() {
            let sender = Sender::Supposed(caller);
            let alike = walk::walk(
                &snapshot,
                &Supposed {
                    sender,
                    ..supposed.clone()
                },
            );
            assert_eq!(alike.end, walk.end, "{supposed:?}");
        }
        if let Err(what) = compare(&walk, &answer) {
            wrong.push(format!(
                "{what}\n  {supposed:?}\n  {:?}\n  {answer:?}",
                walk.end
            ));
        }
        ends[match walk.end {
            End::Unanswered { .. } => 0,
            End::Refused { .. } => 1,
            End::FixedResponse { .. } => 2,
            End::Forwarded => 3,
        }] += 1;
    }
    assert!(
        wrong.is_empty(),
        "seed {SEED:#x}: {} differ\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // A test that only refuses proves little.
    assert!(ends.iter().all(|count| *count >= 10), "{ends:?}");
}
