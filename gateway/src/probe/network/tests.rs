//! Probes of real servers on loopback: what they send, and what they make of answers.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Handle,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use trellis_model::config::{
    BodyMatch, HealthCheck, HttpProbe, Probe, ProbeVersion, Target, TargetProtocol,
};
use trellis_target_groups::Wanted;

use super::NetworkChecker;
use crate::{
    probe::{Asked, Checker, ProbeError, Prober, dial::OwnNetwork},
    registry::{
        Registry,
        tests::{apply_used, group, group_id, health_check, listener, vpc},
    },
};

/// Longer than anything here takes, shorter than anybody's patience.
const DEADLINE: Duration = Duration::from_secs(20);

fn checker() -> NetworkChecker {
    NetworkChecker::new(Arc::new(OwnNetwork)).unwrap()
}

async fn probe(address: SocketAddr, check: &HealthCheck) -> Result<(), ProbeError> {
    let checker = checker();
    let vpc = vpc();
    let asked = Asked {
        vpc: &vpc,
        address,
        check,
        tls: None,
    };
    let probe = checker.check(&asked);
    timeout(DEADLINE, probe).await.unwrap()
}

/// What a probe came to, in a word: `ok` or what went wrong, with the status where that is the error.
fn verdict(outcome: &Result<(), ProbeError>) -> String {
    match outcome {
        Ok(()) => "ok".to_owned(),
        Err(ProbeError::Status(code)) => format!("status {code}"),
        Err(ProbeError::Connect(_)) => "connect".to_owned(),
        Err(ProbeError::Tls(_)) => "tls".to_owned(),
        Err(ProbeError::Answer(_)) => "answer".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Takes one connection, reads a request head, writes `answer`, and returns what it read once the client has hung up.
async fn one_answer(answer: Vec<u8>) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            head.push(byte[0]);
        }
        // The client may have heard enough before all is written.
        let _written = stream.write_all(&answer).await;
        let mut rest = [0; 64];
        while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
        String::from_utf8(head).unwrap()
    });
    (address, served)
}

async fn check_answer(codes: HealthCheck, answer: &[u8], expected: &str) {
    let (address, served) = one_answer(answer.to_vec()).await;
    let outcome = probe(address, &codes).await;
    assert_eq!(
        verdict(&outcome),
        expected,
        "{}",
        String::from_utf8_lossy(answer)
    );
    // The connection was closed, or this would wait for ever.
    timeout(DEADLINE, served).await.unwrap().unwrap();
}

fn codes(codes: &[std::ops::RangeInclusive<u16>]) -> HealthCheck {
    http(HttpProbe {
        success_codes: codes.to_vec(),
        ..HttpProbe::default()
    })
}

fn http(probe: HttpProbe) -> HealthCheck {
    of(Probe::Http(probe))
}

fn of(probe: Probe) -> HealthCheck {
    HealthCheck {
        probe,
        ..health_check()
    }
}

#[tokio::test]
async fn a_probe_is_one_plain_get_that_closes_the_connection() {
    let (address, served) =
        one_answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    let check = http(HttpProbe {
        path: "/healthz?deep=1#part".into(),
        ..HttpProbe::default()
    });
    assert_eq!(verdict(&probe(address, &check).await), "ok");
    let head = timeout(DEADLINE, served).await.unwrap().unwrap();
    assert_eq!(
        head,
        format!(
            "GET /healthz?deep=1 HTTP/1.1\r\nhost: {address}\r\nuser-agent: Trellis-HealthChecker\r\n\
             accept: */*\r\nconnection: close\r\n\r\n"
        )
    );
}

#[tokio::test]
async fn the_status_decides() {
    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    check_answer(codes(&[200..=200]), ok, "ok").await;
    check_answer(codes(&[201..=299]), ok, "status 200").await;
    let listed = codes(&[200..=200, 300..=399]);
    check_answer(
        listed.clone(),
        b"HTTP/1.1 307 T\r\nlocation: /\r\n\r\n",
        "ok",
    )
    .await;
    check_answer(listed, b"HTTP/1.1 404 Not Found\r\n\r\n", "status 404").await;
    check_answer(health_check(), b"HTTP/1.0 200 OK\r\n\r\n", "ok").await;
    check_answer(health_check(), b"HTTP/1.1 503 No\r\n\r\n", "status 503").await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (elsewhere, unvisited) = one_answer(Vec::new()).await;
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: http://{elsewhere}/\r\n\r\n");
    check_answer(health_check(), redirect.as_bytes(), "status 302").await;
    assert!(!unvisited.is_finished());
    unvisited.abort();
}

#[tokio::test]
async fn an_early_hint_is_not_the_answer() {
    let hinted = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    check_answer(health_check(), hinted, "ok").await;
}

#[tokio::test]
async fn the_body_is_not_waited_for() {
    let promised = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nnothing more";
    check_answer(health_check(), promised, "ok").await;
}

fn body(wanted: BodyMatch) -> HealthCheck {
    http(HttpProbe {
        body: Some(wanted),
        ..HttpProbe::default()
    })
}

#[tokio::test]
async fn the_body_decides_where_it_is_asked_for() {
    let wrong = "the body is not the expected one";
    let exact = |text: &str| body(BodyMatch::Exact(text.into()));
    let contains = |text: &str| body(BodyMatch::Contains(text.into()));
    let length = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokay";
    check_answer(exact("ok"), length, "ok").await;
    check_answer(exact("okay"), length, wrong).await;
    let chunked =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nall\r\n5\r\n well\r\n0\r\n\r\n";
    check_answer(exact("all well"), chunked, "ok").await;
    check_answer(exact("all"), chunked, wrong).await;
    check_answer(exact("all well!"), chunked, wrong).await;
    check_answer(contains("l we"), chunked, "ok").await;
    check_answer(contains("lwe"), chunked, wrong).await;
    let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
    check_answer(contains("ok"), empty, "status 204").await;
    let failing = b"HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nok";
    check_answer(exact("ok"), failing, "status 503").await;
    let broken = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n";
    check_answer(contains("ok"), broken, "answer").await;
}

/// As said without end: what is not in the first 64 KiB is not there, and a body that says no is not read on.
#[tokio::test]
async fn a_body_is_searched_to_its_bound() {
    let endless = |before: usize| {
        let mut text = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
        text.resize(text.len() + before, b'-');
        text.extend(b"ready");
        text.resize(text.len() + 1000, b'-');
        text
    };
    let contains = body(BodyMatch::Contains("ready".into()));
    let wrong = "the body is not the expected one";
    check_answer(contains.clone(), &endless(65_531), "ok").await;
    check_answer(contains, &endless(65_532), wrong).await;
    check_answer(body(BodyMatch::Exact("-".into())), &endless(65_532), wrong).await;
}

#[tokio::test]
async fn garbage_silence_and_huge_heads_are_no_answers() {
    check_answer(health_check(), b"220 mail.test ESMTP\r\n", "answer").await;
    check_answer(
        health_check(),
        b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n",
        "answer",
    )
    .await;
    let mut huge = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    huge.resize(1_000_000, b'x');
    check_answer(health_check(), &huge, "answer").await;
}

#[tokio::test]
async fn a_target_that_hangs_up_has_not_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
    assert_eq!(verdict(&probe(address, &health_check()).await), "answer");
    served.await.unwrap();
}

/// An address that nobody listens on, and nobody else can, as long as the socket lives.
fn dead() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (socket.local_addr().unwrap(), socket)
}

#[tokio::test]
async fn a_target_that_refuses_the_connection_has_failed() {
    let (address, _socket) = dead();
    for check in [health_check(), of(Probe::Tcp), of(Probe::Tls)] {
        assert_eq!(verdict(&probe(address, &check).await), "connect");
    }
}

fn acceptor(protocols: &[&[u8]]) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(["expired.example".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// What a server saw: version, method, target, authority or host, user agent.
type Seen = Arc<Mutex<Vec<String>>>;

/// Serves HTTP/1.1 or HTTP/2 on every connection, over TLS with these ALPN names or in the clear; answers 200.
async fn server(
    version: ProbeVersion,
    tls: Option<&[&[u8]]>,
) -> (SocketAddr, Seen, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let acceptor = tls.map(acceptor);
    let log = Arc::clone(&seen);
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            match &acceptor {
                None => serve(stream, version, &log).await,
                Some(acceptor) => {
                    // A client that offers the wrong protocols fails here; the test asserts what that client finds.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, version, &log).await;
                    }
                }
            }
        }
    });
    (address, seen, task)
}

async fn serve<S>(stream: S, version: ProbeVersion, seen: &Seen)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: http::Request<Incoming>| {
        let header = |name: &str| {
            let value = request.headers().get(name);
            value
                .map_or("-", |value| value.to_str().unwrap())
                .to_owned()
        };
        let authority = request
            .uri()
            .authority()
            .map_or("-", |authority| authority.as_str());
        seen.lock().push(format!(
            "{:?} {} {} {authority} {} {}",
            request.version(),
            request.method(),
            request.uri().path_and_query().unwrap(),
            header("host"),
            header("user-agent")
        ));
        async { Ok::<_, hyper::Error>(http::Response::new(Full::<Bytes>::default())) }
    });
    let io = TokioIo::new(stream);
    // How the connection ends does not matter: a probe just drops it.
    let _ended = match version {
        ProbeVersion::Http1 => {
            hyper::server::conn::http1::Builder::new()
                .serve_connection(io, service)
                .await
        }
        ProbeVersion::Http2 => {
            hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(io, service)
                .await
        }
    };
}

/// Asks a server of one kind with a check of one kind; `{}` in `expected` stands for the server's address.
async fn check_pair(
    server_version: ProbeVersion,
    server_tls: Option<&[&[u8]]>,
    protocol: TargetProtocol,
    version: ProbeVersion,
    expected: Result<&str, &str>,
) {
    let (address, seen, task) = server(server_version, server_tls).await;
    let check = http(HttpProbe {
        protocol,
        version,
        path: "/ready?x=1".into(),
        ..HttpProbe::default()
    });
    let outcome = probe(address, &check).await;
    let found = outcome.is_ok().then(|| seen.lock().join(", "));
    let expected = expected.map(|seen| seen.replace("{}", &address.to_string()));
    match (found, expected) {
        (Some(found), Ok(expected)) => assert_eq!(found, expected),
        (None, Err(expected)) => assert_eq!(verdict(&outcome), expected),
        (found, expected) => panic!("{found:?} {outcome:?}, expected {expected:?}"),
    }
    task.abort();
}

#[tokio::test]
async fn http_versions_with_and_without_tls() {
    use ProbeVersion::{Http1, Http2};
    use TargetProtocol::{Http, Https};
    let one = Ok("HTTP/1.1 GET /ready?x=1 - {} Trellis-HealthChecker");
    let two = Ok("HTTP/2.0 GET /ready?x=1 {} - Trellis-HealthChecker");
    check_pair(Http1, None, Http, Http1, one).await;
    check_pair(Http2, None, Http, Http2, two).await;
    check_pair(Http1, Some(&[]), Https, Http1, one).await;
    check_pair(Http1, Some(&[b"http/1.1"]), Https, Http1, one).await;
    check_pair(Http2, Some(&[b"h2", b"http/1.1"]), Https, Http2, two).await;
    check_pair(Http2, Some(&[]), Https, Http2, two).await;

    check_pair(Http1, None, Http, Http2, Err("answer")).await;
    check_pair(Http2, None, Http, Http1, Err("answer")).await;
    check_pair(Http1, Some(&[b"http/1.1"]), Https, Http2, Err("tls")).await;
    check_pair(Http1, None, Https, Http1, Err("tls")).await;
    check_pair(Http1, Some(&[]), Http, Http1, Err("answer")).await;
}

/// A connection is enough for one, a handshake for the other; nothing is said beyond.
#[tokio::test]
async fn probes_below_http() {
    let (plain, seen, task) = server(ProbeVersion::Http1, None).await;
    assert_eq!(verdict(&probe(plain, &of(Probe::Tcp)).await), "ok");
    assert_eq!(verdict(&probe(plain, &of(Probe::Tls)).await), "tls");
    assert_eq!(*seen.lock(), [""; 0]);
    task.abort();
    let (secure, seen, task) = server(ProbeVersion::Http1, Some(&[])).await;
    assert_eq!(verdict(&probe(secure, &of(Probe::Tcp)).await), "ok");
    assert_eq!(verdict(&probe(secure, &of(Probe::Tls)).await), "ok");
    assert_eq!(*seen.lock(), [""; 0]);
    task.abort();
}

/// HTTP/2 probes run tasks inside hyper; a probe that is given up must take them along, or its socket stays open.
#[tokio::test]
async fn a_probe_given_up_leaves_no_connection() {
    for version in [ProbeVersion::Http1, ProbeVersion::Http2] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let check = http(HttpProbe {
            version,
            ..HttpProbe::default()
        });
        let checker = checker();
        let vpc = vpc();
        let asked = Asked {
            vpc: &vpc,
            address,
            check: &check,
            tls: None,
        };
        let mut probe = checker.check(&asked);
        let mut silent = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            outcome = &mut probe => panic!("{outcome:?} from a silent target"),
        };
        let mut sent = Vec::new();
        while sent.len() < 24 {
            tokio::select! {
                read = silent.read_buf(&mut sent) => assert_ne!(read.unwrap(), 0),
                outcome = &mut probe => panic!("{outcome:?} from a silent target"),
            }
        }
        drop(probe);
        let hung_up = async {
            let mut rest = [0; 1024];
            while silent.read(&mut rest).await.is_ok_and(|count| count > 0) {}
        };
        timeout(DEADLINE, hung_up).await.unwrap();
    }
}

/// From configuration to status over real sockets.
#[tokio::test]
async fn the_prober_finds_out_who_is_healthy() {
    let (healthy, _seen, task) = server(ProbeVersion::Http1, None).await;
    let (dead, _socket) = dead();
    let (listener, events) = listener();
    let registry = Arc::new(Registry::new(listener));
    let prober = Prober::start(
        &Handle::current(),
        Arc::clone(&registry),
        Arc::new(checker()),
        Prober::CONCURRENCY,
        Box::new(|| 0),
    );
    let mut config = group("orders", []);
    let check = Arc::make_mut(config.health_check.as_mut().unwrap());
    // Shorter than the model allows, for the test's sake.
    check.interval = Duration::from_millis(20);
    config.targets = [healthy, dead]
        .map(|address| Target::new(&address.ip().to_string(), address))
        .to_vec();
    apply_used(&registry, &[config], Instant::now());

    let settled = async {
        while events.lock().len() < 4 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, settled).await.unwrap();
    let mut events = events.lock().split_off(2);
    events.sort();
    assert_eq!(
        events,
        [
            "127.0.0.1 INITIAL>HEALTHY -",
            "127.0.0.1 INITIAL>UNHEALTHY cannot connect"
        ]
    );
    let orders = registry.group(group_id("orders")).unwrap();
    assert_eq!(
        orders
            .choose(&Wanted::any(0, Instant::now()))
            .unwrap()
            .address(),
        healthy
    );
    prober.shutdown().await;
    task.abort();
}

/// A check on another port than the traffic's.
#[tokio::test]
async fn the_port_of_the_check_wins() {
    let (address, served) = one_answer(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()).await;
    let (listener, events) = listener();
    let registry = Arc::new(Registry::new(listener));
    let prober = Prober::start(
        &Handle::current(),
        Arc::clone(&registry),
        Arc::new(checker()),
        Prober::CONCURRENCY,
        Box::new(|| 0),
    );
    let mut config = group("orders", []);
    Arc::make_mut(config.health_check.as_mut().unwrap()).port = Some(address.port());
    config.targets = vec![Target::new(
        "127.0.0.1",
        SocketAddr::from(([127, 0, 0, 1], 9)),
    )];
    apply_used(&registry, &[config], Instant::now());
    let head = timeout(DEADLINE, served).await.unwrap().unwrap();
    assert!(head.contains(&format!("host: {address}\r\n")), "{head}");
    let settled = async {
        while events.lock().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, settled).await.unwrap();
    assert_eq!(events.lock()[1], "127.0.0.1 INITIAL>HEALTHY -");
    prober.shutdown().await;
}

/// The connection of a probe is its own.
#[tokio::test]
async fn every_probe_opens_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        for _ in 0..3 {
            let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 1024];
            assert_ne!(stream.read(&mut head).await.unwrap(), 0);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await
                .unwrap();
        }
    });
    for _ in 0..3 {
        assert_eq!(verdict(&probe(address, &health_check()).await), "ok");
    }
    served.await.unwrap();
}
