//! Connections over HTTP/1 that are kept between requests.
//!
//! The engine has a pool for this, which gives each connection a task and a timer as long as it is kept, so that every request pays for
//! their beginning and their end. Here a connection lies in a table. It is *silent* as long as its target has neither sent anything nor
//! closed it; only then may it have another request. That is asked when it is put in and when it is taken out, which costs no system
//! call: the runtime knows whether there is something to read. In between, whatever ends a connection rings a bell, which all of a
//! worker share, and one task per worker lets go of those that are not silent any more, and of those whose time is over.
//!
//! Hot: two small tables, each looked into once for a request and once after it.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, OnceLock, Weak},
    task::{Context, Wake, Waker},
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use lru::LruCache;
use parking_lot::Mutex;
use pingora_core::protocols::Stream;
use smallvec::SmallVec;
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    sync::Notify,
    task::JoinHandle,
    time::timeout_at,
};
use trellis_model::name::DomainName;

use crate::tls::Http;

/// Shortest time between two looks at all connections because some have ended.
const REST: Duration = Duration::from_millis(100);

/// Shortest time between two looks at all connections because the time of some is over.
const ROUND: Duration = Duration::from_secs(1);

/// What connections have in common that can take each other's requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The group that they are for.
    pub(super) group: u64,
    /// The terms of TLS, if it is spoken.
    pub(super) tls: Option<u64>,
    /// Where they lead.
    pub(super) address: SocketAddr,
    /// The version that was asked for.
    pub(super) http: Http,
    /// The name that was asked for over TLS.
    pub(super) name: Option<DomainName>,
}

/// The kept connections of one worker.
pub(super) struct Kept {
    idle: Arc<Mutex<Idle>>,
    most: usize,
    bell: Arc<Bell>,
    waker: Waker,
    watch: OnceLock<JoinHandle<()>>,
}

struct Idle {
    /// By number, those put in first to be let go of first.
    connections: LruCache<u64, Connection, RandomState>,
    /// Numbers of the connections of a key, the latest last.
    numbers: HashMap<Key, SmallVec<[u64; 2]>, RandomState>,
    last: u64,
}

struct Connection {
    key: Key,
    stream: Stream,
    until: Instant,
}

/// Rung when something became of a connection.
struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}

impl Kept {
    /// Keeps so many connections at most.
    pub(super) fn new(most: usize) -> Self {
        let bell = Arc::new(Bell(Notify::new()));
        Self {
            idle: Arc::new(Mutex::new(Idle {
                connections: LruCache::unbounded_with_hasher(RandomState::default()),
                numbers: HashMap::default(),
                last: 0,
            })),
            most,
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            watch: OnceLock::new(),
        }
    }

    /// Takes the connection that was put in last and is silent.
    pub(super) fn take(&self, key: &Key, now: Instant) -> Option<Stream> {
        self.idle.lock().take(key, now)
    }

    /// Keeps a connection until then, if it is silent. Lets go of the one put in first where there are too many.
    pub(super) fn put(&self, key: Key, mut stream: Stream, until: Instant) {
        if !is_silent(&mut stream, &self.waker) {
            return;
        }
        let too_many = self.idle.lock().put(key, stream, until, self.most);
        drop(too_many);
        self.watch.get_or_init(|| {
            let (idle, bell) = (Arc::downgrade(&self.idle), Arc::clone(&self.bell));
            tokio::spawn(watch(idle, bell, self.waker.clone()))
        });
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.get() {
            watch.abort();
        }
    }
}

impl Idle {
    fn take(&mut self, key: &Key, now: Instant) -> Option<Stream> {
        // The list of a key stays, empty, for the connection to come back to; `look` clears them out.
        let numbers = self.numbers.get_mut(key)?;
        while let Some(number) = numbers.pop() {
            let Some(mut connection) = self.connections.pop(&number) else {
                continue;
            };
            if connection.until > now && is_silent(&mut connection.stream, Waker::noop()) {
                return Some(connection.stream);
            }
        }
        None
    }

    /// Gives back the connection for which there is no room any more.
    fn put(&mut self, key: Key, stream: Stream, until: Instant, most: usize) -> Option<Connection> {
        self.last += 1;
        let number = self.last;
        if let Some(numbers) = self.numbers.get_mut(&key) {
            numbers.push(number);
        } else {
            self.numbers.insert(key.clone(), [number].as_slice().into());
        }
        let connection = Connection { key, stream, until };
        self.connections.push(number, connection);
        if self.connections.len() <= most {
            return None;
        }
        let (first, _) = self.connections.peek_lru()?;
        self.remove(*first)
    }

    fn remove(&mut self, number: u64) -> Option<Connection> {
        let connection = self.connections.pop(&number)?;
        if let Some(numbers) = self.numbers.get_mut(&connection.key) {
            numbers.retain(|other| *other != number);
        }
        Some(connection)
    }

    /// Lets go of connections that have ended and of those whose time is over; tells when the next one's is.
    fn look(&mut self, now: Instant, waker: &Waker) -> Option<Instant> {
        let mut over = Vec::new();
        let mut next: Option<Instant> = None;
        for (number, connection) in &mut self.connections {
            if connection.until <= now || !is_silent(&mut connection.stream, waker) {
                over.push(*number);
            } else {
                next = next.into_iter().chain([connection.until]).min();
            }
        }
        for number in over {
            self.remove(number);
        }
        self.numbers.retain(|_, numbers| !numbers.is_empty());
        next
    }
}

/// Looks at the connections when the bell rings and when the time of one is over, until they are gone as a whole.
async fn watch(idle: Weak<Mutex<Idle>>, bell: Arc<Bell>, waker: Waker) {
    let mut next = Instant::now() + ROUND;
    loop {
        // What rings while nobody waits is remembered.
        let _rung_or_due = timeout_at(next.into(), bell.0.notified()).await;
        let Some(idle) = idle.upgrade() else {
            return;
        };
        let now = Instant::now();
        let due = idle.lock().look(now, &waker);
        drop(idle);
        next = due.unwrap_or(now).max(now + ROUND);
        tokio::time::sleep(REST).await;
    }
}

/// Has the target sent nothing and not closed the connection, as far as the runtime has heard? Later it wakes `waker`.
fn is_silent(stream: &mut Stream, waker: &Waker) -> bool {
    let mut byte = [0];
    let mut byte = ReadBuf::new(&mut byte);
    let read = std::future::poll_fn(|context| Pin::new(&mut *stream).poll_read(context, &mut byte));
    // Outside the budget of cooperative scheduling, beyond which everything seems silent.
    let read = pin!(tokio::task::unconstrained(read));
    read.poll(&mut Context::from_waker(waker)).is_pending()
}
