//! The control address over real sockets, on a clock that jumps: what would wait for seconds is decided at once.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::oneshot,
    task::JoinHandle,
    time::Instant,
};

use super::*;
use crate::Outcome;

/// A served address whose calls are answered with what they were.
struct Served {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<io::Result<()>>,
}

impl Served {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let answerer: Answerer = Arc::new(|call| {
            assert_ne!(&*call.path, "/panic");
            let query = call.query.as_deref().unwrap_or("-");
            let body = format!(
                "{} {} {query} {} {}",
                call.method,
                call.path,
                call.body.len(),
                call.source
            );
            let outcome = Outcome {
                operation: None,
                error: None,
                caller: None,
                role: None,
                session: None,
                reason: None,
            };
            Answer::xml(StatusCode::OK, body, outcome)
        });
        let stopping = async { drop(stopped.await) };
        Self {
            address,
            stop: Some(stop),
            serving: tokio::spawn(serve(listener, answerer, stopping)),
        }
    }

    /// Sends bytes and reads until the end of the connection.
    async fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The listener may answer and close before everything is sent.
        let _ = stream.write_all(request.as_bytes()).await;
        read_all(&mut stream).await
    }

    async fn stop(mut self) {
        drop(self.stop.take());
        self.serving.await.unwrap().unwrap();
    }
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

fn post(path: &str, length: usize, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: sts\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test(start_paused = true)]
async fn a_call_arrives_whole_and_its_answer_has_an_id() {
    let served = Served::start();
    for (request, told) in [
        (post("/", 3, "abc"), "POST / - 3 127.0.0.1"),
        (post("/a?b=c", 0, ""), "POST /a b=c 0 127.0.0.1"),
        (
            "GET /?x HTTP/1.1\r\nhost: sts\r\nconnection: close\r\n\r\n".to_owned(),
            "GET / x 0 127.0.0.1",
        ),
    ] {
        let answer = served.ask(&request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        for part in [
            "content-type: text/xml\r\n",
            "cache-control: no-store\r\n",
            "x-amzn-requestid: ",
            told,
        ] {
            assert!(answer.contains(part), "no `{part}` in {answer}");
        }
    }
    served.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_late_or_malformed_is_refused_and_others_are_served() {
    let served = Served::start();
    let large = lattice::MAX_BODY_BYTES + 1;
    for (request, told) in [
        (post("/", large, &"x".repeat(large)), "HTTP/1.1 413 "),
        // Announced and never sent.
        (post("/", 5, "abc"), "HTTP/1.1 408 "),
        ("nonsense\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
        (post("/panic", 0, ""), "HTTP/1.1 500 "),
    ] {
        let answer = served.ask(&request).await;
        assert!(
            answer.starts_with(told) || (answer.is_empty() && told.contains("413")),
            "{told}: {answer}"
        );
        let other = served.ask(&post("/", 1, "a")).await;
        assert!(other.starts_with("HTTP/1.1 200 "), "{other}");
    }
    served.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_finish_its_head_is_cut_off() {
    let served = Served::start();
    for sent in ["", "POST / HTTP/1.1\r\nhost: s"] {
        let began = Instant::now();
        let answer = served.ask(sent).await;
        assert!(!answer.contains("200 OK"), "{sent:?}: {answer}");
        let late = bounds::HEAD + Duration::from_secs(1);
        let waited = began.elapsed();
        assert!(
            (bounds::HEAD..late).contains(&waited),
            "{sent:?}: {waited:?}"
        );
    }
    served.stop().await;
}

#[tokio::test(start_paused = true)]
async fn connections_beyond_the_bound_are_closed_at_once() {
    let served = Served::start();
    let mut open = Vec::new();
    for _ in 0..bounds::CONNECTIONS {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: sts\r\n\r\n")
            .await
            .unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        open.push(stream);
    }
    assert_eq!(served.ask(&post("/", 0, "")).await, "");
    drop(open);
    let began = Instant::now();
    // The listener notices the ends one by one.
    while served.ask(&post("/", 0, "")).await.is_empty() {
        assert!(began.elapsed() < bounds::LIFETIME);
        tokio::task::yield_now().await;
    }
    served.stop().await;
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_idle_connections_and_new_ones_are_refused() {
    let served = Served::start();
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: sts\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    let address = served.address;
    served.stop().await;
    assert!(read_all(&mut idle).await.ends_with("127.0.0.1"));
    assert!(TcpStream::connect(address).await.is_err());
}
