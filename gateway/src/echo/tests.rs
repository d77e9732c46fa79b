use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;

use super::{
    EchoHandle, EchoOptions, Health,
    grpc::{HealthCheckRequest, HealthCheckResponse, SayReply, SayRequest, framed},
    spawn,
};

fn echo() -> EchoHandle {
    spawn(EchoOptions::named("orders-v1")).unwrap()
}

/// Sends raw bytes and reads to the end of the connection.
fn exchange(echo: &EchoHandle, request: &str) -> String {
    let mut stream = TcpStream::connect(echo.addr()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// Sends one HTTP/1.1 request with `Connection: close` and checks that the answer has each of the parts.
fn check(target: &str, headers: &str, body: &str, expected: &[&str]) {
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    let answer = exchange(&echo(), &request);
    for part in expected {
        assert!(answer.contains(part), "no `{part}` in:\n{answer}");
    }
}

#[test]
fn describes_the_request() {
    check(
        "/a%20b?x=1&y",
        "X-One: 1\r\nx-two: 2\r\nX-One: 3\r\n",
        "hello",
        &[
            "HTTP/1.1 200 OK\r\n",
            "x-echo-name: orders-v1\r\n",
            "\"name\": \"orders-v1\"",
            "\"method\": \"POST\"",
            "\"path\": \"/a%20b\"",
            "\"query\": \"x=1&y\"",
            "\"version\": \"HTTP/1.1\"",
            "\n    [\"x-two\", \"2\"]\n",
            "\"length\": 5",
            "\"text\": \"hello\"",
            "\"sha256\": \"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"",
            "\"tls\": null",
        ],
    );
}

#[test]
fn switches_are_taken_from_query_and_header() {
    let unavailable = &["HTTP/1.1 503 Service Unavailable\r\n", "\"method\""][..];
    check("/?status=503", "", "", unavailable);
    check("/", "x-echo-status: 503\r\n", "", unavailable);
    check("/?status=503", "x-echo-status: 404\r\n", "", unavailable);
    check(
        "/?bytes=70",
        "",
        "",
        &["content-length: 70\r\n", "Z.\n012345"],
    );
    check(
        "/?bytes=70&chunked",
        "",
        "",
        &["transfer-encoding: chunked\r\n", "\r\n46\r\n0123"],
    );
    check(
        "/?header=x-a:b",
        "x-echo-header: x-c: d\r\n",
        "",
        &["x-a: b\r\n", "x-c: d\r\n"],
    );
    check("/?delay=1ms&pace=1ms", "", "", &["\"method\""]);
}

#[test]
fn a_bad_switch_is_refused_with_what_would_be_right() {
    let refused =
        |switch: &str, hint: &str| check(&format!("/?{switch}"), "", "", &["HTTP/1.1 400 ", hint]);
    refused(
        "status=100",
        "`status=100`: expected a status from 200 to 599",
    );
    refused("status=x", "a status");
    refused("delay=5", "a duration such as `200ms`");
    refused("delay=601s", "at most 600s");
    refused("bytes=1073741825", "a number up to");
    refused("close=x", "`before`, `halfway`");
    refused("header=x", "`name:value`");
}

#[test]
fn an_answer_dies_before_or_halfway() {
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(exchange(&echo(), &request("/?close=before")), "");
    let answer = exchange(&echo(), &request("/?bytes=1000&close"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-length: 1000"), "{head}");
    assert_eq!(body.len(), 500);
}

#[test]
fn a_half_closed_client_is_still_answered() {
    let echo = echo();
    let mut stream = TcpStream::connect(echo.addr()).unwrap();
    stream
        .write_all(b"GET /?delay=10ms HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[test]
fn the_healthy_path_follows_the_handle_and_is_not_counted() {
    let echo = echo();
    let ask = || {
        exchange(
            &echo,
            "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
    };
    assert!(ask().starts_with("HTTP/1.1 200 OK"));
    echo.set_healthy(Health::Unhealthy);
    assert!(ask().starts_with("HTTP/1.1 503 "));
    assert_eq!(echo.requests(), 0);
    exchange(
        &echo,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(echo.requests(), 1);
}

#[test]
fn a_head_request_gets_the_length_without_the_body() {
    let answer = exchange(
        &echo(),
        "HEAD /?bytes=9 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.contains("content-length: 9\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn a_taken_port_is_an_error() {
    let first = echo();
    let error = spawn(EchoOptions::named("second").listen(first.addr())).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot listen on `{}`", first.addr())
    );
}

#[test]
fn a_websocket_comes_back_as_it_was_sent() {
    let echo = echo();
    let mut stream = TcpStream::connect(echo.addr()).unwrap();
    // Key and answer are the example of RFC 6455 §1.3.
    stream
        .write_all(
            b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .unwrap();
    // A ping, a text in two fragments, a long binary message and a close, all masked with zeros.
    let mut frames = b"\x89\x81\0\0\0\0p\x01\x82\0\0\0\0he\x80\x82\0\0\0\0y!".to_vec();
    frames.extend(b"\x82\xFE\x03\xE8\0\0\0\0");
    frames.extend([7; 1000]);
    frames.extend(b"\x88\x82\0\0\0\0\x03\xE8");
    stream.write_all(&frames).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    let head = String::from_utf8_lossy(&answer[..end]).to_string();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(
        head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        "{head}"
    );
    let mut expected = b"\x8A\x01p\x01\x02he\x80\x02y!\x82\x7E\x03\xE8".to_vec();
    expected.extend([7; 1000]);
    expected.extend(b"\x88\x02\x03\xE8");
    assert_eq!(&answer[end..], expected);
}

#[test]
fn an_unmasked_websocket_frame_is_a_protocol_error() {
    let echo = echo();
    let mut stream = TcpStream::connect(echo.addr()).unwrap();
    stream
        .write_all(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\x81\x01a",
        )
        .unwrap();
    let mut answer = Vec::new();
    // What the echo had not read when it closed may end the connection with a reset.
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.ends_with(b"\x88\x02\x03\xEA"), "{answer:?}");
}

/// Makes one HTTP/2 request and gives back its status, headers, body and trailers.
async fn http2(
    echo: &EchoHandle,
    request: Request<Full<Bytes>>,
) -> (StatusCode, HeaderMap, Bytes, HeaderMap) {
    let stream = tokio::net::TcpStream::connect(echo.addr()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    (head.status, head.headers, body.to_bytes(), trailers)
}

/// Makes one gRPC call and checks its replies, as text and index, and the status it ended with.
async fn call(
    echo: &EchoHandle,
    method: &str,
    requests: &[SayRequest],
    replies: &[(&str, u32)],
    status: &str,
) {
    let body: BytesMut = requests
        .iter()
        .map(framed)
        .flat_map(Bytes::into_iter)
        .collect();
    let (code, headers, body, trailers) = http2(echo, grpc_request(method, body.freeze())).await;
    assert_eq!(code, StatusCode::OK);
    let got: Vec<_> = unframed::<SayReply>(body)
        .into_iter()
        .map(|reply| (reply.text, reply.index))
        .collect();
    let wanted: Vec<_> = replies
        .iter()
        .map(|(text, index)| ((*text).to_owned(), *index))
        .collect();
    assert_eq!(got, wanted, "{method}");
    let ended = trailers
        .get("grpc-status")
        .or_else(|| headers.get("grpc-status"));
    assert_eq!(ended.unwrap(), status, "{method}");
}

fn grpc_request(path: &str, body: Bytes) -> Request<Full<Bytes>> {
    Request::post(format!("http://a.test{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(body))
        .unwrap()
}

fn unframed<M: Message + Default>(mut body: Bytes) -> Vec<M> {
    let mut messages = Vec::new();
    while !body.is_empty() {
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
        drop(body.split_to(5));
        messages.push(M::decode(body.split_to(length)).unwrap());
    }
    messages
}

#[tokio::test]
async fn grpc_calls_of_every_kind_end_with_their_status() {
    let echo = echo();
    let say = |text: &str, count, status| SayRequest {
        text: text.to_owned(),
        count,
        status,
        delay_milliseconds: 0,
    };
    call(
        &echo,
        "/trellis.Echo/Say",
        &[say("a", 0, 0)],
        &[("a", 0)],
        "0",
    )
    .await;
    call(&echo, "/trellis.Echo/Say", &[say("a", 0, 5)], &[], "5").await;
    call(&echo, "/trellis.Echo/Say", &[], &[], "3").await;
    let thrice = &[("a", 0), ("a", 1), ("a", 2)];
    call(
        &echo,
        "/trellis.Echo/SayMany",
        &[say("a", 3, 0)],
        thrice,
        "0",
    )
    .await;
    call(
        &echo,
        "/trellis.Echo/SayMany",
        &[say("a", 3, 8)],
        thrice,
        "8",
    )
    .await;
    let chat = [say("a", 0, 0), say("b", 0, 0)];
    call(
        &echo,
        "/trellis.Echo/Chat",
        &chat,
        &[("a", 0), ("b", 1)],
        "0",
    )
    .await;
    call(&echo, "/trellis.Echo/Shout", &[say("a", 0, 0)], &[], "12").await;
}

#[tokio::test]
async fn grpc_health_follows_the_handle() {
    let echo = echo();
    let request = || {
        grpc_request(
            "/grpc.health.v1.Health/Check",
            framed(&HealthCheckRequest::default()),
        )
    };
    for (health, status) in [(Health::Healthy, 1), (Health::Unhealthy, 2)] {
        echo.set_healthy(health);
        let (_, _, body, trailers) = http2(&echo, request()).await;
        assert_eq!(
            unframed::<HealthCheckResponse>(body),
            [HealthCheckResponse { status }]
        );
        assert_eq!(trailers["grpc-status"], "0");
    }
}

#[tokio::test]
async fn http2_answers_carry_trailers_when_asked() {
    let request = Request::get("http://a.test/x?trailers")
        .body(Full::default())
        .unwrap();
    let (status, headers, body, trailers) = http2(&echo(), request).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["trailer"], "x-echo-trailer");
    assert_eq!(trailers["x-echo-trailer"], "orders-v1");
    let description: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(description["version"], "HTTP/2.0");
    assert_eq!(description["authority"], "a.test");
}

#[tokio::test]
async fn tls_facts_are_told() {
    let echo = spawn(EchoOptions::named("secure").tls()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    let certificate =
        rustls_pki_types::pem::PemObject::from_pem_slice(echo.certificate().unwrap().as_bytes());
    roots.add(certificate.unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = tokio::net::TcpStream::connect(echo.addr()).await.unwrap();
    let stream = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config))
        .connect("secure".try_into().unwrap(), stream)
        .await
        .unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::get("/")
        .header("host", "a")
        .body(Full::<Bytes>::default())
        .unwrap();
    let body = sender
        .send_request(request)
        .await
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap();
    let description: serde_json::Value = serde_json::from_slice(&body.to_bytes()).unwrap();
    assert_eq!(description["tls"]["version"], "TLSv1_3");
    assert_eq!(description["tls"]["serverName"], "secure");
    assert_eq!(description["tls"]["alpn"], "http/1.1");
}

#[test]
fn stopping_frees_the_port_and_cuts_connections() {
    let echo = echo();
    let address = echo.addr();
    let mut idle = TcpStream::connect(address).unwrap();
    echo.stop();
    assert!(matches!(idle.read(&mut [0]), Ok(0) | Err(_)));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn calls_of_functions_are_answered_with_their_event() {
    let event = r#"{"path":"/a\"b"}"#;
    let result = r#"{"statusCode":200,"headers":{"content-type":"application/json"},"body":"{\"path\":\"/a\\\"b\"}"}"#;
    for target in [
        "/2015-03-31/functions/orders/invocations",
        "/base/2015-03-31/functions/arn%3Aaws/invocations?Qualifier=7",
    ] {
        check(target, "", event, &["HTTP/1.1 200 OK\r\n", result]);
    }
    for target in [
        "/2015-03-31/functions//invocations",
        "/2015-03-31/functions/a/b/invocations",
        "/2015-03-31/functions/a/invocations/c",
    ] {
        check(target, "", event, &["\"method\": \"POST\""]);
    }
    let binary = "POST /2015-03-31/functions/a/invocations HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n\u{ff}";
    assert!(exchange(&echo(), binary).contains("HTTP/1.1 200 OK"));
}
