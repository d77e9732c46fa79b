//! Answers of gRPC servers, well and otherwise; real ones are asked in `tests/clients/test_probes.py`.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use trellis_model::config::TargetProtocol;

use super::{Question, ask};
use crate::reason::Chain;

/// Longer than anything here takes, shorter than anybody's patience.
const DEADLINE: Duration = Duration::from_secs(20);

fn fields(written: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &'static str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    written.iter().map(field).collect()
}

/// What a server answers.
#[derive(Clone)]
struct Script {
    status: u16,
    head: HeaderMap,
    body: &'static [u8],
    trailers: Option<HeaderMap>,
}

/// A well server's answer.
fn serving() -> Script {
    Script {
        status: 200,
        head: fields(&[("content-type", "application/grpc")]),
        body: &[0, 0, 0, 0, 2, 8, 1],
        trailers: Some(fields(&[("grpc-status", "0")])),
    }
}

/// Asks a server that answers so; gives what it made of that, and the request.
async fn probe(script: Script, service: &str) -> (String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&seen);
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let answer = service_fn(move |request: Request<Incoming>| {
            let (script, log) = (script.clone(), Arc::clone(&log));
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let field = |name: &str| head.headers[name].to_str().unwrap().to_owned();
                *log.lock() = format!(
                    "{} {} {} {} {} {:?}",
                    head.method,
                    head.uri.path(),
                    field("content-type"),
                    field("te"),
                    field("grpc-timeout"),
                    &*body
                );
                let body = Full::new(Bytes::from_static(script.body));
                let body = match script.trailers {
                    Some(trailers) => body.with_trailers(async { Some(Ok(trailers)) }).boxed(),
                    None => body.boxed(),
                };
                let mut answer = Response::new(body);
                *answer.status_mut() = script.status.try_into().unwrap();
                *answer.headers_mut() = script.head;
                Ok::<_, Infallible>(answer)
            }
        });
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        // How the connection ends does not matter: a probe just drops it.
        let _ended = builder.serve_connection(TokioIo::new(stream), answer).await;
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let question = Question {
        address,
        protocol: TargetProtocol::Http,
        service,
        timeout: Duration::from_millis(1500),
    };
    let outcome = timeout(DEADLINE, ask(stream, &question)).await.unwrap();
    server.abort();
    let verdict = outcome.map_or_else(|error| Chain(&error).to_string(), |()| "ok".to_owned());
    let seen = seen.lock().clone();
    (verdict, seen)
}

async fn check(script: Script, expected: &str) {
    assert_eq!(probe(script, "").await.0, expected);
}

#[tokio::test]
async fn the_question_is_a_call_of_check() {
    let whole = "POST /grpc.health.v1.Health/Check application/grpc trailers 1500m [0, 0, 0, 0, 0]";
    assert_eq!(
        probe(serving(), "").await,
        ("ok".to_owned(), whole.to_owned())
    );
    let one = "POST /grpc.health.v1.Health/Check application/grpc trailers 1500m [0, 0, 0, 0, 6, 10, 4, 115, 104, 111, 112]";
    assert_eq!(
        probe(serving(), "shop").await,
        ("ok".to_owned(), one.to_owned())
    );
}

#[tokio::test]
async fn only_serving_is_success() {
    let states: [(&[u8], &str); 5] = [
        (&[0, 0, 0, 0, 2, 8, 1], "ok"),
        (&[0, 0, 0, 0, 4, 8, 1, 16, 7], "ok"),
        (&[0, 0, 0, 0, 2, 8, 2], "the service is not serving"),
        (&[0, 0, 0, 0, 2, 8, 3], "the service is not known"),
        (&[0, 0, 0, 0, 0], "the service is in an unknown state"),
    ];
    for (body, expected) in states {
        check(Script { body, ..serving() }, expected).await;
    }
}

#[tokio::test]
async fn a_failed_call_is_no_success() {
    let with = |trailers| Script {
        trailers,
        ..serving()
    };
    let status = |code| Some(fields(&[("grpc-status", code)]));
    check(with(status("12")), "the call ended with status 12").await;
    let lost = "the answer is not gRPC: it ends without a status";
    check(with(None), lost).await;
    check(with(Some(fields(&[("x", "y")]))), lost).await;
    check(
        with(status("zero")),
        "the answer is not gRPC: its status is not a number",
    )
    .await;
    let at_once = fields(&[("content-type", "application/grpc"), ("grpc-status", "5")]);
    let unknown = Script {
        head: at_once,
        body: b"",
        trailers: None,
        ..serving()
    };
    check(unknown, "the call ended with status 5").await;
}

#[tokio::test]
async fn what_is_not_grpc_is_no_success() {
    check(
        Script {
            status: 503,
            ..serving()
        },
        "status 503 is not a success code",
    )
    .await;
    let html = Script {
        head: fields(&[("content-type", "text/html")]),
        ..serving()
    };
    check(
        html,
        "the answer is not gRPC: its content type is another one",
    )
    .await;
    let garbled: [&[u8]; 7] = [
        b"",
        &[0, 0, 0],
        &[1, 0, 0, 0, 2, 8, 1],
        &[0, 0, 0, 0, 3, 8, 1],
        &[0, 0, 0, 0, 1, 8, 1],
        &[0, 255, 255, 255, 255, 8, 1],
        &[0, 0, 0, 0, 2, 255, 255],
    ];
    for body in garbled {
        check(
            Script { body, ..serving() },
            "the answer is not gRPC: it is not one message",
        )
        .await;
    }
    let endless = Script {
        body: &[0; 10_000],
        ..serving()
    };
    check(endless, "the answer is not gRPC: it is too long").await;
}

/// Bytes that are not HTTP/2, frames beyond what was allowed, and an end in the middle.
#[tokio::test]
async fn hostile_bytes_end_the_probe() {
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let huge = [255, 255, 255, 1, 4, 0, 0, 0, 1];
    let scripts: [Vec<u8>; 5] = [
        b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        vec![255; 100_000],
        settings.to_vec(),
        [settings.as_slice(), &huge, &[0; 10_000]].concat(),
        [settings.as_slice(), &[0, 0, 5, 0, 0, 0, 0, 0, 1, 0, 0]].concat(),
    ];
    for script in scripts {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = [0; 64];
            assert_ne!(stream.read(&mut read).await.unwrap(), 0);
            // The probe may have heard enough before all is written.
            let _written = stream.write_all(&script).await;
            let _closed = stream.shutdown().await;
            while stream.read(&mut read).await.is_ok_and(|count| count > 0) {}
        });
        let stream = TcpStream::connect(address).await.unwrap();
        let question = Question {
            address,
            protocol: TargetProtocol::Http,
            service: "",
            timeout: DEADLINE,
        };
        let outcome = timeout(DEADLINE, ask(stream, &question)).await.unwrap();
        let text = Chain(&outcome.unwrap_err()).to_string();
        assert!(text.starts_with("no proper answer"), "{text}");
        // The connection was closed, or this would wait for ever.
        timeout(DEADLINE, server).await.unwrap().unwrap();
    }
}
