//! Targets come, go, start again and fail under steady load in every protocol: not one request of a client fails.
//!
//! Each client sends one request after the other and counts. What is done to the targets happens while all of them are at it: a step is
//! over when each has been answered several times more. The requests that failed are in the harness's own check as well.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};
use trellis_model::config::Config;
use trellis_tests::{
    Caller, Connection, Gateway, Reply, Request, Setup, Streaming, Target, Via, eventually, forward,
};

use super::{
    balance::{becomes, statuses},
    protocols::{HANDSHAKE, shouting},
};

/// Services and the protocol versions of their groups.
pub(super) const SERVICES: [(&str, &str); 3] =
    [("orders", "HTTP1"), ("pages", "HTTP2"), ("rpc", "GRPC")];

/// What lets a request that is no idempotent one outlive the target that it met. See `docs/traffic.md`.
fn repeating() -> Value {
    json!({
        "maxRetries": 3,
        "on": ["connection-error", "reset"],
        "backOff": {"baseMillis": 1},
        "budget": {"percent": 100, "minConcurrency": 100},
    })
}

/// A target that sends back what it gets, as gRPC wants it to those who speak that. Its answer to `/long` lasts until `end`.
pub(super) async fn echoing(end: &watch::Sender<bool>) -> Target {
    let end = end.subscribe();
    Target::streaming(move |request| answer(request, end.clone())).await
}

async fn answer(
    request: http::Request<hyper::body::Incoming>,
    mut end: watch::Receiver<bool>,
) -> Reply {
    let (head, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    };
    if head.headers.contains_key("grpc-timeout") || head.headers.contains_key("te") {
        return Reply::new(200, "")
            .header("content-type", "application/grpc")
            .with_trailers(body, &[("grpc-status", "0")]);
    }
    let reply = Reply::new(200, body);
    if head.uri.path() != "/long" {
        return reply;
    }
    let (reply, pieces) = reply.streaming();
    tokio::spawn(async move {
        let _ = pieces.send(Ok(Frame::data("begun ".into()))).await;
        let _ = end.wait_for(|end| *end).await;
        let _ = pieces.send(Ok(Frame::data("ended".into()))).await;
    });
    reply
}

async fn several(count: usize, end: &watch::Sender<bool>) -> VecDeque<Target> {
    let mut targets = VecDeque::new();
    for _ in 0..count {
        targets.push_back(echoing(end).await);
    }
    targets
}

/// Every service, each with a group of these targets for each color.
fn fleet(colors: &[(&str, &VecDeque<Target>)]) -> Setup {
    SERVICES
        .into_iter()
        .fold(Setup::new(), |setup, (service, version)| {
            let names: Vec<_> = colors
                .iter()
                .map(|(color, _)| format!("{service}-{color}"))
                .collect();
            let setup = names
                .iter()
                .zip(colors)
                .fold(setup, |setup, (name, (_, targets))| {
                    let setup = setup.group(name, targets.iter());
                    let member = format!("targetGroups.{name}.config.protocolVersion");
                    setup.set(&member, json!(version))
                });
            setup.service(service, &forward(&[(&names[0], 100)]))
        })
}

/// The targets of a color in every service.
fn registered(setup: Setup, color: &str, targets: &VecDeque<Target>) -> Setup {
    let targets: Vec<_> = targets.iter().collect();
    SERVICES.into_iter().fold(setup, |setup, (service, _)| {
        setup.targets(&format!("{service}-{color}"), &targets)
    })
}

/// A member of every service.
pub(super) fn everywhere(setup: Setup, member: &str, value: impl Fn(&str) -> Value) -> Setup {
    SERVICES.into_iter().fold(setup, |setup, (service, _)| {
        setup.set(&format!("services.{service}.{member}"), value(service))
    })
}

/// What a client sends all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Get,
    Post,
    Call,
}

/// Which kinds of requests are sent to groups of a protocol version.
pub(super) type Wanted = fn(Kind, &str) -> bool;

pub(super) const EVERYTHING: Wanted = |_, _| true;
const IDEMPOTENT: Wanted = |kind, _| kind == Kind::Get;

/// A target that closes its HTTP/1 connection may have begun what it was sent last; over HTTP/2 it says what it has not begun.
const CERTAIN: Wanted = |kind, version| kind == Kind::Get || version != "HTTP1";

impl Kind {
    /// The request and the body of its answer.
    fn request(self, service: &str, number: usize) -> (Request, Bytes) {
        let host = format!("{service}.test");
        let text = format!("{number} ").repeat(200);
        match self {
            Self::Get => (Request::get(&host, "/"), Bytes::new()),
            Self::Post => (Request::post(&host, "/", text.clone()), text.into()),
            Self::Call => {
                let mut framed = vec![0];
                framed.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
                framed.extend(text.as_bytes());
                (
                    Request::grpc(&host, "/a.Service/Call", text.as_bytes()),
                    framed.into(),
                )
            }
        }
    }
}

/// Clients that send one request after the other.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    failures: Arc<Mutex<Vec<String>>>,
    clients: Vec<(Arc<AtomicUsize>, JoinHandle<()>)>,
}

impl Load {
    pub(super) fn of(gateway: &Gateway, wanted: Wanted) -> Self {
        let mut this = Self {
            stop: Arc::default(),
            failures: Arc::default(),
            clients: Vec::new(),
        };
        for via in Via::ALL {
            for (service, version) in SERVICES {
                let two = via.version() == http::Version::HTTP_2;
                let fits = |kind: Kind| match version {
                    "HTTP1" => kind != Kind::Call,
                    "HTTP2" => two && kind != Kind::Call,
                    _ => two && kind == Kind::Call,
                };
                for kind in [Kind::Get, Kind::Post, Kind::Call] {
                    if fits(kind) && wanted(kind, version) {
                        this.add(gateway.caller(), via, service, kind);
                    }
                }
            }
        }
        this
    }

    fn add(&mut self, caller: Caller, via: Via, service: &'static str, kind: Kind) {
        let (stop, failures) = (Arc::clone(&self.stop), Arc::clone(&self.failures));
        let served = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&served);
        let client = tokio::spawn(async move {
            while !stop.load(SeqCst) {
                let mut connection = caller.connect(via, &format!("{service}.test")).await;
                // Now and then it begins a new connection.
                for number in 0..30 {
                    let (request, body) = kind.request(service, number);
                    let failure = match connection.try_send(request).await {
                        Ok(answer) if answer.status == 200 && answer.body == body => None,
                        Ok(answer) => Some(format!("{} {}", answer.status, answer.text())),
                        Err(broken) => Some(format!("{broken:?}")),
                    };
                    if let Some(failure) = failure {
                        let told = format!("{service} {kind:?} {via:?}: {failure}");
                        failures.lock().unwrap().push(told);
                        break;
                    }
                    counter.fetch_add(1, SeqCst);
                    if stop.load(SeqCst) {
                        return;
                    }
                }
            }
        });
        self.clients.push((served, client));
    }

    /// Waits until each client has been answered several times more.
    pub(super) async fn goes_on(&self) {
        let counts = || self.clients.iter().map(|(served, _)| served.load(SeqCst));
        let before: Vec<_> = counts().collect();
        eventually("answers to every client", async || {
            let all = counts().zip(&before).all(|(now, before)| now >= before + 8);
            (all || self.failed()).then_some(())
        })
        .await;
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "{failures:#?}");
    }

    fn failed(&self) -> bool {
        !self.failures.lock().unwrap().is_empty()
    }

    /// Stops the clients: none of their requests has failed.
    pub(super) async fn end(self) {
        self.stop.store(true, SeqCst);
        let mut count = 0;
        for (served, client) in self.clients {
            client.await.unwrap();
            count += served.load(SeqCst);
        }
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "of {count}: {failures:#?}");
    }
}

/// Waits until a target is registered no more and nothing runs on it.
pub(super) async fn drained(gateway: &Gateway, target: &Target) {
    let address = target.address().to_string();
    eventually("a drained target", async || {
        (!statuses(gateway).await.contains_key(&address)).then_some(())
    })
    .await;
}

/// Answers that last, begun over each protocol, with the connections that they come on.
async fn lasting(gateway: &Gateway) -> Vec<(Connection, Streaming)> {
    let mut begun = Vec::new();
    for via in Via::ALL.into_iter().chain(Via::ALL) {
        let mut connection = gateway.connect(via, "orders.test").await;
        let pending = connection.start(Request::get("orders.test", "/long"));
        begun.push((connection, pending.head().await.unwrap()));
    }
    begun
}

/// Targets are replaced one by one: registered, deregistered, drained, stopped. What runs on one that drains ends as it would have.
#[tokio::test(flavor = "multi_thread")]
async fn replacing_targets_one_by_one_fails_no_request() {
    let end = watch::Sender::new(false);
    let mut targets = several(2, &end).await;
    let mut gateway = fleet(&[("blue", &targets)]).start().await;
    let load = Load::of(&gateway, EVERYTHING);
    load.goes_on().await;
    for _ in 0..2 {
        let lasting = lasting(&gateway).await;
        targets.push_back(echoing(&end).await);
        let mut leaving = targets.pop_front().unwrap();
        gateway.reload(|setup| registered(setup, "blue", &targets));
        load.goes_on().await;
        end.send_replace(true);
        for (_connection, answer) in lasting {
            answer.finish().await.unwrap().is(200, "begun ended");
        }
        drained(&gateway, &leaving).await;
        let served = leaving.count();
        load.goes_on().await;
        assert_eq!(leaving.count(), served, "requests after the drain");
        leaving.retire().await;
        load.goes_on().await;
        end.send_replace(false);
    }
    load.end().await;
}

/// All requests move from one group to another, at once and back and by halves; then the old targets are stopped.
#[tokio::test(flavor = "multi_thread")]
async fn moving_from_blue_to_green_fails_no_request() {
    let end = watch::Sender::new(true);
    let (mut blue, green) = (several(2, &end).await, several(2, &end).await);
    let mut gateway = fleet(&[("blue", &blue), ("green", &green)]).start().await;
    let load = Load::of(&gateway, EVERYTHING);
    for weights in [(100, 0), (0, 100), (100, 0), (50, 50), (0, 100)] {
        let weighted = |service: &str| {
            let (blue, green) = (format!("{service}-blue"), format!("{service}-green"));
            forward(&[(&blue, weights.0), (&green, weights.1)])
        };
        gateway.reload(|setup| {
            let setup = everywhere(setup, "listeners.http.defaultAction", weighted);
            everywhere(setup, "listeners.https.defaultAction", weighted)
        });
        load.goes_on().await;
    }
    gateway.expect_metric("gateway_requests_in_flight", 0).await;
    let served: Vec<_> = blue.iter().map(Target::count).collect();
    for old in &mut blue {
        old.retire().await;
    }
    load.goes_on().await;
    assert_eq!(served, blue.iter().map(Target::count).collect::<Vec<_>>());
    load.end().await;
}

/// Targets that stay registered are stopped in order and started again, one after the other.
async fn restart(policy: Option<Value>, wanted: Wanted) {
    let end = watch::Sender::new(true);
    let mut targets = several(3, &end).await;
    let mut setup = fleet(&[("blue", &targets)]);
    if let Some(policy) = policy {
        setup = everywhere(setup, "retryPolicy", |_| policy.clone());
    }
    let gateway = setup.start().await;
    let load = Load::of(&gateway, wanted);
    for round in 0..6 {
        load.goes_on().await;
        let target = &mut targets[round % 3];
        target.retire().await;
        load.goes_on().await;
        target.resume().await;
        let served = target.count();
        target.arrived(served + 1).await;
    }
    load.end().await;
}

/// Nothing was begun where there is no connection, idempotent requests may be sent again, and HTTP/2 says what was not begun: none of
/// them needs a policy.
#[tokio::test(flavor = "multi_thread")]
async fn restarting_targets_fails_no_request_whose_fate_is_certain() {
    restart(None, CERTAIN).await;
}

/// A request of another kind may have been begun when its connection ends; only the service's owner knows whether it can come twice.
#[tokio::test(flavor = "multi_thread")]
async fn restarting_targets_fails_no_request_that_may_be_tried_again() {
    restart(Some(repeating()), EVERYTHING).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_out_and_in_fails_no_request() {
    let end = watch::Sender::new(true);
    let mut targets = several(1, &end).await;
    let mut gateway = fleet(&[("blue", &targets)]).start().await;
    let load = Load::of(&gateway, EVERYTHING);
    load.goes_on().await;
    for count in [2, 6, 3, 1, 4] {
        let mut leaving = Vec::new();
        while targets.len() > count {
            leaving.extend(targets.pop_front());
        }
        while targets.len() < count {
            targets.push_back(echoing(&end).await);
        }
        gateway.reload(|setup| registered(setup, "blue", &targets));
        for target in &mut leaving {
            drained(&gateway, target).await;
            target.retire().await;
        }
        load.goes_on().await;
    }
    load.end().await;
}

/// Targets are killed: what they had begun is lost with them.
async fn kill(policy: Option<Value>, wanted: Wanted) {
    let end = watch::Sender::new(true);
    let mut targets = several(3, &end).await;
    let mut setup = fleet(&[("blue", &targets)]);
    if let Some(policy) = policy {
        setup = everywhere(setup, "retryPolicy", |_| policy.clone());
    }
    let gateway = setup.start().await;
    let load = Load::of(&gateway, wanted);
    for round in 0..6 {
        load.goes_on().await;
        let target = &mut targets[round % 3];
        target.die().await;
        load.goes_on().await;
        target.resume().await;
        let served = target.count();
        target.arrived(served + 1).await;
    }
    load.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_targets_fails_no_idempotent_request() {
    kill(None, IDEMPOTENT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_targets_fails_no_request_that_may_be_tried_again() {
    kill(Some(repeating()), EVERYTHING).await;
}

/// Every service with this check of its targets.
fn checked(setup: Setup, check: &Value) -> Setup {
    let setup = SERVICES.into_iter().fold(setup, |setup, (service, _)| {
        let member = format!("targetGroups.{service}-blue.config.healthCheck");
        setup.set(&member, check.clone())
    });
    setup.adjust(probe_often)
}

fn check() -> Value {
    json!({"enabled": true, "path": "/health", "unhealthyThresholdCount": 2, "healthyThresholdCount": 2, "protocolVersion": "HTTP1"})
}

/// Health turns while a target still answers, and turns back: what runs on it ends well. Without a policy and with one.
#[tokio::test(flavor = "multi_thread")]
async fn health_that_turns_fails_no_request() {
    for policy in [None, Some(repeating())] {
        let moods = [(); 2].map(|()| Arc::new(AtomicBool::new(true)));
        let mut targets = VecDeque::new();
        for healthy in &moods {
            targets.push_back(moody(healthy).await);
        }
        let mut setup = checked(fleet(&[("blue", &targets)]), &check());
        if let Some(policy) = policy {
            setup = everywhere(setup, "retryPolicy", |_| policy.clone());
        }
        let gateway = setup.start().await;
        for target in &targets {
            becomes(&gateway, target, "HEALTHY").await;
        }
        let load = Load::of(&gateway, EVERYTHING);
        for round in 0..4 {
            load.goes_on().await;
            let (target, healthy) = (&targets[round % 2], &moods[round % 2]);
            healthy.store(false, SeqCst);
            for _ in SERVICES {
                gateway.expect_log("HealthCheckFailed").await;
            }
            load.goes_on().await;
            healthy.store(true, SeqCst);
            becomes(&gateway, target, "HEALTHY").await;
        }
        load.end().await;
    }
}

/// A target that dies and comes back again and again, watched by probes and by outlier detection: its neighbours go on, and it is used
/// whenever it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_flaps_harms_nobody() {
    let end = watch::Sender::new(true);
    let mut targets = several(3, &end).await;
    let setup = checked(fleet(&[("blue", &targets)]), &check());
    let outliers = json!({"maxConnectionFailures": 1, "intervalMillis": 100, "baseEjectionDurationMillis": 100});
    let setup = SERVICES.into_iter().fold(setup, |setup, (service, _)| {
        let member = format!("targetGroups.{service}-blue.outlierDetection");
        setup.set(&member, outliers.clone())
    });
    let gateway = setup.start().await;
    for target in &targets {
        becomes(&gateway, target, "HEALTHY").await;
    }
    let load = Load::of(&gateway, IDEMPOTENT);
    for _ in 0..5 {
        targets[0].die().await;
        becomes(&gateway, &targets[0], "UNHEALTHY").await;
        load.goes_on().await;
        targets[0].resume().await;
        let served = targets[0].count();
        becomes(&gateway, &targets[0], "HEALTHY").await;
        targets[0].arrived(served + 20).await;
    }
    load.end().await;
    // Failed probes and failed connections compete for who is first.
    let changes = "gateway_target_status_changes_total{status=\"unhealthy\"}";
    for _ in 0..gateway.metric(changes) {
        gateway.expect_log("target status").await;
    }
}

/// The least interval of documents would take the suite minutes.
fn probe_often(config: &mut Config) {
    for group in &mut config.target_groups {
        if let Some(check) = &mut Arc::make_mut(group).health_check {
            Arc::make_mut(check).interval = Duration::from_millis(50);
        }
    }
}

/// A target that serves well and answers probes as it is told to.
async fn moody(healthy: &Arc<AtomicBool>) -> Target {
    let healthy = Arc::clone(healthy);
    let (_, end) = watch::channel(true);
    Target::streaming(move |request| {
        let (healthy, end) = (Arc::clone(&healthy), end.clone());
        async move {
            if request.uri().path() == "/health" {
                let status = if healthy.load(SeqCst) { 200 } else { 503 };
                return Reply::new(status, "");
            }
            answer(request, end).await
        }
    })
    .await
}

/// A WebSocket goes on while its target drains, through any number of changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_outlives_the_registration_of_its_target() {
    let (old, new) = (shouting().await, shouting().await);
    let mut gateway = Setup::with_orders([&old]).start().await;
    let mut sockets = Vec::new();
    for target in [&new, &old, &new] {
        let mut raw = gateway.raw().await;
        raw.send(HANDSHAKE).await;
        let head = raw.read_head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        sockets.push(raw);
        gateway.reload(|setup| setup.targets("orders-targets", &[target]));
        for raw in &mut sockets {
            raw.send("still there.").await;
            assert_eq!(raw.read_until(".").await, "STILL THERE.");
        }
    }
    for mut raw in sockets {
        raw.send("bye.").await;
        assert_eq!(raw.read_to_end().await, "BYE.");
    }
    drained(&gateway, &old).await;
}
