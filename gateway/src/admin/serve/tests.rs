//! The admin listener over real sockets, on a clock that jumps: what would wait for minutes is decided at once.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::Instant,
};
use trellis_model::{config::Config, id::TargetGroupId, load};
use trellis_target_groups::Group;

use super::{bounds, serve};
use crate::{
    admin::{Introspect, Readiness, Site},
    registry::{LiveFunction, Standing},
    telemetry::Telemetry,
};

/// A gateway of which only the admin pages run.
struct Shown {
    readiness: Readiness,
    config: Option<Arc<Config>>,
}

impl Introspect for Shown {
    fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    fn generation(&self) -> Option<u64> {
        self.config.as_ref().map(|_| 7)
    }

    fn config(&self) -> Option<Arc<Config>> {
        self.config.clone()
    }

    fn rejected(&self) -> Arc<[String]> {
        Arc::default()
    }

    fn groups(&self) -> Vec<Arc<Group>> {
        Vec::new()
    }

    fn standings(&self) -> HashMap<TargetGroupId, Standing> {
        HashMap::new()
    }

    fn functions(&self) -> Vec<Arc<LiveFunction>> {
        Vec::new()
    }
}

/// Nothing to read, nothing in the environment.
struct Nothing;

impl load::Inputs for Nothing {
    fn read(&self, _: &std::path::Path) -> Result<String, String> {
        Err("there are no files".to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

fn ready() -> Shown {
    let source = load::Source {
        path: "trellis.yaml".into(),
        text: Ok("account: \"111122223333\"\nregion: us-west-2\n".to_owned()),
    };
    let config = load::load(&[source], &Nothing).unwrap().config;
    Shown {
        readiness: Readiness::Ready,
        config: Some(Arc::new(config)),
    }
}

fn starting() -> Shown {
    let reasons = vec!["no configuration runs".to_owned(), "no listener".to_owned()];
    Shown {
        readiness: Readiness::NotReady(reasons),
        config: None,
    }
}

/// A served site.
struct Served {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Served {
    fn start(shown: Shown, telemetry: Arc<Telemetry>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let site = Site::new(Arc::new(shown), telemetry);
        let stopping = async { drop(stopped.await) };
        Self {
            address,
            stop: Some(stop),
            serving: tokio::spawn(serve(listener, site, stopping)),
        }
    }

    fn of(shown: Shown) -> Self {
        Self::start(shown, Telemetry::new(SystemTime::now()))
    }

    /// Sends bytes and reads until the end of the connection.
    async fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        read(&mut stream).await
    }

    async fn stop(mut self) {
        drop(self.stop.take());
        self.serving.await.unwrap().unwrap();
    }
}

/// Everything up to the end of the connection, in order or not.
async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

fn request(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")
}

/// Site, request, status, type, and a part of the text with `\n` for line breaks.
const PAGES: &str = r#"
up   GET /                         200 text     /metrics  metrics in
up   GET /metrics                  200 metrics  # TYPE process_start_time_seconds gauge
up   GET /healthz                  200 text     alive\n
up   GET /healthz?output=json      200 json     {"status":"alive","reasons":[]}
up   GET /readyz                   200 text     ready\n
up   GET /config                   200 json     "region": "us-west-2"
up   GET /targets                  200 json     "targetGroups": []
up   GET /metrics/                 404 text     no such page
up   GET /../config                404 text     no such page
up   GET /CONFIG                   404 text     no such page
up   POST /nothing                 404 text     no such page
up   POST /config                  405 text     pages are only read
up   DELETE /targets               405 text     pages are only read
down GET /healthz                  200 text     alive\n
down GET /readyz                   503 text     not ready\nno configuration runs\nno listener\n
down GET /readyz?a=b&output=json   503 json     {"status":"not ready","reasons":["no configuration runs","no listener"]}
down GET /config                   503 text     no configuration runs yet
down GET /targets                  200 json     "generation": null
"#;

#[tokio::test(start_paused = true)]
async fn every_page_has_its_status_its_type_and_its_text() {
    let (up, down) = (Served::of(ready()), Served::of(starting()));
    for row in PAGES.trim().lines() {
        let (asked, expected) = row.split_at(35);
        let (site, line) = asked.trim().split_once(' ').unwrap();
        let (status, expected) = expected.split_at(4);
        let (kind, text) = expected.split_at(9);
        let content_type = match kind.trim() {
            "json" => "application/json",
            "metrics" => "text/plain; version=0.0.4; charset=utf-8",
            _ => "text/plain; charset=utf-8",
        };
        let site = if site == "up" { &up } else { &down };
        let answer = site.ask(&request(line.trim())).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let start = format!("HTTP/1.1 {status}");
        assert!(head.starts_with(&start), "{row}: {head}");
        for field in [
            &format!("content-type: {content_type}\r\n"),
            "cache-control: no-store",
            "x-content-type-options: nosniff",
        ] {
            assert!(head.contains(field), "{row}: no `{field}` in {head}");
        }
        let lists_methods = head.contains("allow: GET, HEAD");
        assert_eq!(lists_methods, status == "405 ", "{row}: {head}");
        assert!(body.contains(&text.replace("\\n", "\n")), "{row}: {body}");
    }
    up.stop().await;
    down.stop().await;
}

/// What scrapers accept, and whether they get `OpenMetrics`. Spec: RFC 9110 §12.5.1.
const ACCEPTED: &[(&str, bool)] = &[
    ("", false),
    ("*/*", false),
    ("text/plain", false),
    ("application/openmetrics-text", true),
    ("application/openmetrics-text; version=1.0.0", true),
    // Prometheus 2.53's own.
    (
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
         text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        true,
    ),
    (
        "text/plain;version=0.0.4, application/openmetrics-text;q=0.9",
        false,
    ),
    ("application/openmetrics-text;q=0", false),
    ("application/openmetrics-text;q=nan", false),
    ("application/openmetrics-text;q=2, text/plain;q=0.1", false),
    ("application/json", false),
];

#[tokio::test(start_paused = true)]
async fn metrics_have_the_form_that_scrapers_ask_for() {
    let served = Served::of(ready());
    for (accept, open) in ACCEPTED {
        let line = "GET /metrics HTTP/1.1\r\nhost: admin\r\nconnection: close";
        let answer = served
            .ask(&format!("{line}\r\naccept: {accept}\r\n\r\n"))
            .await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
        assert_eq!(head.contains(kind), *open, "{accept}: {head}");
        assert_eq!(body.ends_with("# EOF\n"), *open, "{accept}");
    }
    served.stop().await;
}

/// Changes of the log: request, status, and a part of the text. No log was set up here, which is found out last.
const CHANGES: &[(&str, u16, &str)] = &[
    ("GET /log", 503, "the log of this process cannot be changed"),
    (
        "PUT /log?filter=debug",
        503,
        "the log of this process cannot be changed",
    ),
    (
        "POST /logging?level=debug",
        503,
        "the log of this process cannot be changed",
    ),
    (
        "PUT /log?filter=info%2Ctrellis%3Ddebug&seconds=86400",
        503,
        "cannot be changed",
    ),
    (
        "PUT /log?filter=loud",
        400,
        "`loud` is not a level of the log",
    ),
    ("PUT /log", 400, "no `filter`"),
    ("PUT /log?filter=", 400, "no `filter`"),
    ("PUT /log?filter=%20", 400, "no `filter`"),
    ("PUT /log?filter=%ff", 400, "one `filter`, in UTF-8"),
    ("PUT /log?filter=%f", 400, "one `filter`, in UTF-8"),
    ("PUT /log?filter=a&filter=b", 400, "one `filter`, in UTF-8"),
    (
        "PUT /log?filter=info&seconds=0",
        400,
        "`seconds` is 1 to 86400",
    ),
    (
        "PUT /log?filter=info&seconds=86401",
        400,
        "`seconds` is 1 to 86400",
    ),
    (
        "PUT /log?filter=info&seconds=-1",
        400,
        "`seconds` is 1 to 86400",
    ),
    ("PUT /log?what=debug", 400, "`filter` and `seconds` only"),
    (
        "POST /logging?level=%5Bx%5D=trace",
        400,
        "filters by span or field",
    ),
];

#[tokio::test(start_paused = true)]
async fn changes_of_the_log_are_understood_or_refused() {
    let served = Served::of(ready());
    for (line, status, text) in CHANGES {
        let answer = served.ask(&request(line)).await;
        let start = format!("HTTP/1.1 {status} ");
        assert!(
            answer.starts_with(&start) && answer.contains(text),
            "{line}: {answer}"
        );
    }
    served.stop().await;
}

/// A page in an operator's browser must not reach the one thing that can be changed here.
#[tokio::test(start_paused = true)]
async fn browsers_change_nothing() {
    let served = Served::of(ready());
    for (method, field, status) in [
        ("PUT", "origin: http://evil.test", 403),
        ("POST", "origin: null", 403),
        ("POST", "sec-fetch-site: same-origin", 403),
        ("DELETE", "origin: http://127.0.0.1:9901", 403),
        // Nobody has a log here, which is found out later.
        ("POST", "accept: */*", 503),
        ("PATCH", "accept: */*", 405),
    ] {
        let line =
            format!("{method} /log?filter=debug HTTP/1.1\r\nhost: admin\r\nconnection: close");
        let answer = served.ask(&format!("{line}\r\n{field}\r\n\r\n")).await;
        let start = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&start), "{method} {field}: {answer}");
    }
    served.stop().await;
}

#[tokio::test(start_paused = true)]
async fn head_gets_the_head_alone_and_bodies_are_not_read() {
    let served = Served::of(ready());
    let answer = served.ask(&request("HEAD /config")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    // A body that is announced and never sent is not waited for.
    let answer = served
        .ask("POST /config HTTP/1.1\r\nhost: admin\r\ncontent-length: 1000000000\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    served.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_http_or_too_large_is_refused() {
    let served = Served::of(ready());
    let many = format!(
        "GET / HTTP/1.1\r\nhost: admin\r\n{}\r\n",
        "x: y\r\n".repeat(200)
    );
    for (sent, expected) in [
        (many.as_str(), "HTTP/1.1 431 "),
        ("nonsense\r\n\r\n", "HTTP/1.1 400 "),
    ] {
        let answer = served.ask(sent).await;
        assert!(answer.starts_with(expected), "{answer}");
    }
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let large = "a".repeat(2 * bounds::BUFFER);
    let large = format!("GET / HTTP/1.1\r\nhost: admin\r\nx: {large}\r\n\r\n");
    // The listener may have closed before everything is sent, and its answer may be lost by that.
    let _ = stream.write_all(large.as_bytes()).await;
    let answer = read(&mut stream).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
    let answer = served.ask(&request("GET /healthz")).await;
    assert!(answer.ends_with("alive\n"), "{answer}");
    served.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_finish_its_head_is_cut_off() {
    let served = Served::of(ready());
    for sent in ["", "GET /metrics HTTP/1.1\r\nhost: adm"] {
        let began = Instant::now();
        let answer = served.ask(sent).await;
        assert!(!answer.contains("200 OK"), "{sent:?}: {answer}");
        let waited = began.elapsed();
        let late = bounds::HEAD + Duration::from_secs(1);
        assert!(
            (bounds::HEAD..late).contains(&waited),
            "{sent:?}: {waited:?}"
        );
    }
    served.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut_off() {
    let telemetry = Telemetry::new(SystemTime::now());
    // More than the sockets of both sides hold.
    let samples = 1_000_000;
    telemetry.collect(move |page| {
        page.family(&crate::telemetry::names::CONNECTIONS, |family| {
            for number in 0..samples {
                family.sample(&[], f64::from(number));
            }
        });
    });
    let served = Served::start(ready(), telemetry);
    let began = Instant::now();
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream
        .write_all(request("GET /metrics").as_bytes())
        .await
        .unwrap();
    tokio::time::sleep(bounds::LIFETIME + Duration::from_secs(1)).await;
    let answer = read(&mut stream).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.split_once("content-length: ").unwrap().1;
    let length: usize = length.lines().next().unwrap().parse().unwrap();
    assert!(
        body.len() < length,
        "{} of {length} bytes after {:?}",
        body.len(),
        began.elapsed()
    );
    served.stop().await;
}

#[tokio::test(start_paused = true)]
async fn connections_beyond_the_bound_are_closed_at_once_and_their_places_come_back() {
    let served = Served::of(ready());
    let mut open = Vec::new();
    for _ in 0..bounds::CONNECTIONS {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: admin\r\n\r\n")
            .await
            .unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        open.push(stream);
    }
    let began = Instant::now();
    assert_eq!(served.ask(&request("GET /healthz")).await, "");
    assert!(began.elapsed() < bounds::HEAD);
    drop(open);
    // The listener notices the ends one by one.
    while served.ask(&request("GET /healthz")).await.is_empty() {
        assert!(began.elapsed() < bounds::LIFETIME);
        tokio::task::yield_now().await;
    }
    served.stop().await;
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_idle_connections_and_new_ones_are_refused() {
    let served = Served::of(ready());
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: admin\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    let (address, began) = (served.address, Instant::now());
    served.stop().await;
    assert!(began.elapsed() <= bounds::STOP, "{:?}", began.elapsed());
    assert!(read(&mut idle).await.ends_with("alive\n"));
    assert!(TcpStream::connect(address).await.is_err());
}
