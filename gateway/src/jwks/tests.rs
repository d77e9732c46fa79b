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
use trellis_policy::jwt::{Issuer, JwtError, JwtVerifier, KeySetError, MAX_KEY_SET_BYTES};

use super::*;

/// A server that gives one answer to everybody, whatever that is now.
struct Provider {
    address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
enum Answer {
    /// These bytes, and the end of the connection.
    Whole(Vec<u8>),
    /// These bytes, and then another one every now and then, for ever.
    Dripping(Vec<u8>),
    /// None, on a connection that stays open.
    Silence,
}

impl Answer {
    async fn give(self, stream: &mut tokio::net::TcpStream) {
        match self {
            Self::Whole(bytes) => {
                let _ = stream.write_all(&bytes).await;
            }
            Self::Dripping(bytes) => {
                let _ = stream.write_all(&bytes).await;
                while stream.write_all(b" ").await.is_ok() {
                    time::sleep(Duration::from_millis(20)).await;
                }
            }
            Self::Silence => std::future::pending().await,
        }
    }
}

impl Provider {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(Answer::Silence));
        let asked = Arc::new(AtomicUsize::new(0));
        let (said, counted) = (Arc::clone(&answer), Arc::clone(&asked));
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = said.lock().clone();
                tokio::spawn(async move {
                    let mut head = [0; 1024];
                    let _ = stream.read(&mut head).await;
                    answer.give(&mut stream).await;
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
        *self.answer.lock() = Answer::Whole(text.into_bytes());
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

/// A set of so many keys, `k0`, `k1` and so on.
fn set(keys: usize) -> String {
    let keys: Vec<String> = (0..keys).map(|number| key(&format!("k{number}"))).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

fn key(id: &str) -> String {
    let x = URL_SAFE_NO_PAD.encode([7; 32]);
    format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{id}","x":"{x}"}}"#)
}

const OFTEN: Duration = Duration::from_millis(20);
const SELDOM: Duration = Duration::from_secs(3600);

const PACE: Pace = Pace {
    early: SELDOM,
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

/// A configuration with a provider for each address, which is read as often as it can be.
fn config(urls: &[&Arc<str>]) -> Config {
    config_every(OFTEN, urls)
}

/// The same with another interval, also those that documents may not ask for.
fn config_every(interval: Duration, urls: &[&Arc<str>]) -> Config {
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
    let mut config = match load(&[source], &Nothing) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{problems}"),
    };
    for provider in &mut config.identity_providers {
        match &mut provider.keys {
            ProviderKeys::Published { refresh, .. } => *refresh = interval,
            keys => panic!("{keys:?}"),
        }
    }
    config
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
    source.load_full().map_or(0, |keys| keys.len())
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
    *provider.answer.lock() = Answer::Silence;
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
    assert_eq!(keys_in(&published.of(&first)), 1);
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

/// What becomes of a token of the issuer that names this key, whose signature is nobody's.
fn present(keys: &KeySource, key_id: &str) -> JwtError {
    let verifier = JwtVerifier::new(
        vec![Issuer {
            issuer: "i0".into(),
            audiences: vec!["a".into()],
            keys: keys.clone(),
        }],
        Duration::ZERO,
    );
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let head = encode(format!(r#"{{"alg":"EdDSA","kid":"{key_id}"}}"#));
    let claims = encode(r#"{"iss":"i0","aud":"a","exp":4000000000}"#.to_owned());
    let token = format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode([1; 64]));
    let ours = |_| true;
    let proven = verifier.verify(token.as_bytes(), ours, SystemTime::UNIX_EPOCH);
    proven.map(|token| token.expires).unwrap_err()
}

fn early_loads(telemetry: &Telemetry) -> f64 {
    let name = "gateway_identity_key_early_loads_total ";
    let page = telemetry.render();
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0.0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn a_token_of_an_unknown_key_brings_the_next_reading_forward_once() {
    let provider = Provider::start().await;
    let telemetry = Telemetry::new(SystemTime::UNIX_EPOCH);
    let published = PublishedKeys::new(PACE);
    let url = provider.url();
    let keys = published.of(&url);
    provider.says("200 OK", &set(1));
    let seldom = config_every(SELDOM, &[&url]);
    published.follow(&seldom, &Handle::current(), &telemetry);
    until("the first keys", || keys_in(&keys) == 1).await;
    provider.says("200 OK", &set(2));
    // A forgery that names a key of the set says nothing of another one.
    assert_eq!(present(&keys, "k0"), JwtError::Signature);
    let unknown = |error: JwtError| matches!(error, JwtError::UnknownKey { .. });
    assert!(unknown(present(&keys, "k1")));
    until("the keys of the early reading", || keys_in(&keys) == 2).await;
    assert_eq!(present(&keys, "k1"), JwtError::Signature);
    assert_eq!(provider.asked.load(Ordering::SeqCst), 2);
    // Whoever goes on making up keys brings nothing forward any more.
    for number in 0..1000 {
        assert!(unknown(present(&keys, &format!("made-up-{number}"))));
    }
    published.follow(&config(&[&url]), &Handle::current(), &telemetry);
    until("three readings at the interval", || {
        provider.asked.load(Ordering::SeqCst) >= 5
    })
    .await;
    assert!((early_loads(&telemetry) - 1.0).abs() < f64::EPSILON);
    published.stop();
}

#[tokio::test]
async fn an_interval_that_changes_counts_at_once() {
    let provider = Provider::start().await;
    let telemetry = Telemetry::new(SystemTime::UNIX_EPOCH);
    let published = PublishedKeys::new(PACE);
    let url = provider.url();
    let keys = published.of(&url);
    provider.says("200 OK", &set(1));
    let seldom = config_every(SELDOM, &[&url]);
    published.follow(&seldom, &Handle::current(), &telemetry);
    until("the first keys", || keys_in(&keys) == 1).await;
    provider.says("200 OK", &set(2));
    published.follow(&config(&[&url]), &Handle::current(), &telemetry);
    until("the next keys", || keys_in(&keys) == 2).await;
    // Of two providers with one address, the one that wants it more often counts.
    let mut both = config_every(SELDOM, &[&url, &url]);
    if let ProviderKeys::Published { refresh, .. } = &mut both.identity_providers[1].keys {
        *refresh = OFTEN;
    }
    published.follow(&both, &Handle::current(), &telemetry);
    provider.says("200 OK", &set(3));
    until("keys at the shorter interval", || keys_in(&keys) == 3).await;
    published.stop();
}

/// Reads the keys of a provider when it is told to.
fn reader_of(provider: &Provider) -> Reader {
    let (_, refresh) = watch::channel(SELDOM);
    Reader {
        url: provider.url(),
        keys: KeySource::default(),
        missed: Arc::default(),
        refresh,
        pace: PACE,
        telemetry: Telemetry::new(SystemTime::UNIX_EPOCH),
    }
}

/// Each hostile answer ends within the deadline, or sooner, and costs no more memory than the largest set.
#[tokio::test]
async fn a_hostile_answer_is_given_up_in_bounded_time() {
    let provider = Provider::start().await;
    let reader = reader_of(&provider);
    let with = |head: &str, body: &str| Answer::Whole(format!("{head}\r\n\r\n{body}").into());
    let ok = |body: &str| {
        let length = body.len();
        with(
            &format!("HTTP/1.1 200 OK\r\nContent-Length: {length}"),
            body,
        )
    };
    let ten_megabytes = format!("{}{}", " ".repeat(10_000_000), set(1));
    let deep = format!(
        r#"{{"keys":[{}1{}]}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let not_a_set = FetchError::Keys(KeySetError::NotASet);
    let moved = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0";
    for (name, answer, expected) in [
        (
            "10 MB",
            ok(&ten_megabytes),
            Err(FetchError::Keys(KeySetError::TooLarge)),
        ),
        ("a redirect", with(moved, ""), Err(FetchError::Status(302))),
        ("deep nesting", ok(&deep), Err(not_a_set.clone())),
        (
            "a web page",
            ok("<!doctype html><title>Log in</title>"),
            Err(not_a_set.clone()),
        ),
        (
            "bytes that are no text",
            Answer::Whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe".into()),
            Err(not_a_set.clone()),
        ),
        (
            "a member twice",
            ok(r#"{"keys":[],"keys":[]}"#),
            Err(not_a_set),
        ),
        (
            "no keys",
            ok(r#"{"keys":[]}"#),
            Err(FetchError::Keys(KeySetError::NoUsableKey)),
        ),
        (
            "2 000 keys",
            ok(&set(2000)),
            Err(FetchError::Keys(KeySetError::TooManyKeys)),
        ),
        (
            "a head for ever",
            Answer::Dripping(b"HTTP/1.1 200 OK\r\nX:".into()),
            Err(FetchError::Deadline),
        ),
        (
            "a body for ever",
            Answer::Dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n".into()),
            Err(FetchError::Deadline),
        ),
        ("silence", Answer::Silence, Err(FetchError::Deadline)),
        ("a set", ok(&set(1)), Ok(1)),
    ] {
        *provider.answer.lock() = answer;
        let began = Instant::now();
        let read = reader.read().await.map(|keys| keys.len());
        assert_eq!(read, expected, "{name}");
        assert!(
            began.elapsed() < PACE.deadline + Duration::from_secs(10),
            "{name}"
        );
    }
}

/// Two keys of one id: neither is guessed, and the others go on.
#[tokio::test]
async fn of_two_keys_with_one_id_none_is_chosen() {
    let text = format!(
        r#"{{"keys":[{},{},{}]}}"#,
        key("same"),
        key("same"),
        key("own")
    );
    let keys = KeySource::fixed(KeySet::parse(text.as_bytes()).unwrap());
    assert_eq!(present(&keys, "same"), JwtError::AmbiguousKey);
    assert_eq!(present(&keys, "own"), JwtError::Signature);
}
