//! A provider that serves its keys, moves, lies and dies.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::SystemTime,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use trellis_model::load::{Inputs, Source, load};
use trellis_policy::jwt::MAX_KEY_SET_BYTES;

use super::*;

/// A server that gives one answer to everybody, whatever that is now.
struct Provider {
    address: SocketAddr,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Provider {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::new(AtomicUsize::new(0));
        let (said, counted) = (Arc::clone(&answer), Arc::clone(&asked));
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = said.lock().clone();
                tokio::spawn(async move {
                    let mut head = [0; 1024];
                    let _ = stream.read(&mut head).await;
                    let _ = stream.write_all(&answer).await;
                    // An empty answer is one that never comes.
                    if answer.is_empty() {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self {
            address,
            answer,
            asked,
            server,
        }
    }

    fn says(&self, status: &str, body: &str) {
        let length = body.len();
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
        *self.answer.lock() = text.into_bytes();
    }

    fn url(&self) -> Arc<str> {
        format!("http://{}/keys?v=1", self.address).into()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn set(keys: usize) -> String {
    let x = URL_SAFE_NO_PAD.encode([7; 32]);
    let key = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#);
    format!(r#"{{"keys":[{}]}}"#, vec![key; keys].join(","))
}

const PACE: Pace = Pace {
    refresh: Duration::from_millis(20),
    retry: Duration::from_millis(5),
    deadline: Duration::from_millis(300),
};

struct Nothing;

impl Inputs for Nothing {
    fn read(&self, _: &std::path::Path) -> Result<String, String> {
        Err("there are no files".to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

/// A configuration with a provider for each address.
fn config(urls: &[&Arc<str>]) -> Config {
    let providers = urls.iter().enumerate().map(|(number, url)| {
        format!(
            "{{name: p{number}, type: OIDC, issuer: i{number}, audiences: [a], jwks: {{url: \"{url}\"}}}}"
        )
    });
    let providers = providers.collect::<Vec<_>>().join(",");
    let text = format!(
        "region: us-west-2\naccount: \"111122223333\"\nprincipals: {{identityProviders: [{providers}]}}\n"
    );
    let source = Source {
        path: "a.yaml".into(),
        text: Ok(text),
    };
    match load(&[source], &Nothing) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{problems}"),
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    assert!(
        time::timeout(Duration::from_secs(20), waiting)
            .await
            .is_ok(),
        "{what}"
    );
}

fn keys_in(source: &KeySource) -> usize {
    source.load().as_ref().map_or(0, |keys| keys.len())
}

#[tokio::test]
async fn keys_are_read_again_and_the_last_good_ones_stay() {
    let provider = Provider::start().await;
    let telemetry = Telemetry::new(SystemTime::UNIX_EPOCH);
    let published = PublishedKeys::new(PACE);
    let url = provider.url();
    let keys = published.of(&url);
    assert_eq!(keys_in(&keys), 0);
    provider.says("200 OK", &set(1));
    published.follow(&config(&[&url]), &Handle::current(), &telemetry);
    until("the first keys", || keys_in(&keys) == 1).await;
    provider.says("200 OK", &set(2));
    until("the next keys", || keys_in(&keys) == 2).await;
    let large = format!("{}{}", " ".repeat(MAX_KEY_SET_BYTES), set(3));
    for (status, body) in [
        ("500 Internal Server Error", set(3)),
        ("302 Found", set(3)),
        ("200 OK", "<html>".to_owned()),
        ("200 OK", set(0)),
        ("200 OK", large),
    ] {
        provider.says(status, &body);
        let asked = provider.asked.load(Ordering::SeqCst);
        until("two more answers", || {
            provider.asked.load(Ordering::SeqCst) > asked + 2
        })
        .await;
        assert_eq!(keys_in(&keys), 2, "{status}");
    }
    // Silence ends with the deadline.
    provider.answer.lock().clear();
    let asked = provider.asked.load(Ordering::SeqCst);
    until("another try after silence", || {
        provider.asked.load(Ordering::SeqCst) > asked + 1
    })
    .await;
    assert_eq!(keys_in(&keys), 2);
    provider.says("200 OK", &set(3));
    until("keys after trouble", || keys_in(&keys) == 3).await;
    published.stop();
}

#[tokio::test]
async fn an_address_is_read_while_a_configuration_names_it() {
    let (one, other) = (Provider::start().await, Provider::start().await);
    one.says("200 OK", &set(1));
    other.says("200 OK", &set(2));
    let telemetry = Telemetry::new(SystemTime::UNIX_EPOCH);
    let published = PublishedKeys::new(PACE);
    let (first, second) = (one.url(), other.url());
    let (keys, others) = (published.of(&first), published.of(&second));
    published.follow(&config(&[&first]), &Handle::current(), &telemetry);
    until("the first's keys", || keys_in(&keys) == 1).await;
    assert_eq!(keys_in(&others), 0);
    // Both: the first keeps its keys, the second, which was dropped, is new.
    let others = published.of(&second);
    published.follow(&config(&[&first, &second]), &Handle::current(), &telemetry);
    assert!(Arc::ptr_eq(&keys, &published.of(&first)));
    until("the second's keys", || keys_in(&others) == 2).await;
    // The first alone is gone: its server hears nothing more, while the second is still asked.
    published.follow(&config(&[&second]), &Handle::current(), &telemetry);
    let (before, after) = (
        one.asked.load(Ordering::SeqCst),
        other.asked.load(Ordering::SeqCst),
    );
    until("ten more readings of the second", || {
        other.asked.load(Ordering::SeqCst) > after + 10
    })
    .await;
    assert!(one.asked.load(Ordering::SeqCst) <= before + 1);
    published.stop();
}

#[tokio::test]
async fn a_server_that_cannot_be_trusted_or_reached_gives_no_keys() {
    let fetch = async |url: &str| match Fetcher::new(url) {
        Ok(fetcher) => fetcher.fetch().await.map(|keys| keys.len()),
        Err(error) => Err(error),
    };
    // Nobody listens on the port of a listener that is gone.
    let gone = Provider::start().await.address;
    let closed = fetch(&format!("http://{gone}/")).await;
    assert!(
        matches!(closed, Err(FetchError::Connect(_) | FetchError::Answer(_))),
        "{closed:?}"
    );
    // A server that speaks no TLS, where TLS is asked for.
    let plain = Provider::start().await;
    plain.says("200 OK", &set(1));
    let refused = fetch(&format!("https://{}/", plain.address)).await;
    assert!(
        matches!(refused, Err(FetchError::Connect(_))),
        "{refused:?}"
    );
    assert_eq!(fetch("nonsense").await, Err(FetchError::Address));
    assert_eq!(fetch(&format!("http://{}/", plain.address)).await, Ok(1));
}
