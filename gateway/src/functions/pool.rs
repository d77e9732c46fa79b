//! Connections to functions' servers that wait for another call.
//!
//! One pool belongs to one worker, whose thread alone uses it; its lock is never waited for, nor held across an await.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use parking_lot::Mutex;
use tokio::{
    task::{AbortHandle, JoinSet},
    time::{self, Instant},
};
use trellis_model::{config::HttpEndpoint, id::TargetGroupId};

/// How long a connection waits. Common servers keep theirs for a minute; we close first, so that no call meets a closing one.
const IDLE: Duration = Duration::from_secs(20);

/// Most connections that wait, for one function and for all of one worker.
const OF_FUNCTION: usize = 64;
const OF_WORKER: usize = 512;

/// An open connection. It is closed when this is dropped, whatever it is doing.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: SendRequest<Full<Bytes>>,
    /// Drives it; aborted when dropped.
    #[expect(dead_code, reason = "kept for what dropping it does")]
    pub(super) driver: JoinSet<()>,
}

/// Whose a connection is: nobody else's calls go over it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) group: TargetGroupId,
    pub(super) endpoint: HttpEndpoint,
}

/// The connections that wait.
#[derive(Debug, Default)]
pub(super) struct Pool(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    by_key: HashMap<Key, Vec<(Connection, Instant)>>,
    /// Closes those that waited too long; runs while there are any.
    upkeep: Option<AbortHandle>,
}

impl Pool {
    /// The connection that waited least, if it is still open.
    pub(super) fn take(&self, key: &Key) -> Option<Connection> {
        let mut waiting = self.0.lock();
        let connections = waiting.by_key.get_mut(key)?;
        let found = loop {
            match connections.pop() {
                Some((connection, _)) if connection.sender.is_closed() => {}
                other => break other.map(|(connection, _)| connection),
            }
        };
        if connections.is_empty() {
            waiting.by_key.remove(key);
        }
        found
    }

    /// Keeps a connection for another call, unless too many wait already.
    pub(super) fn keep(&self, key: Key, connection: Connection) {
        let mut waiting = self.0.lock();
        let total: usize = waiting.by_key.values().map(Vec::len).sum();
        let connections = waiting.by_key.entry(key).or_default();
        if connections.len() >= OF_FUNCTION || total >= OF_WORKER {
            return;
        }
        connections.push((connection, Instant::now()));
        if waiting.upkeep.is_none() {
            let task = tokio::spawn(upkeep(Arc::downgrade(&self.0)));
            waiting.upkeep = Some(task.abort_handle());
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(upkeep) = self.0.lock().upkeep.take() {
            upkeep.abort();
        }
    }
}

/// Closes connections that waited too long, until none waits.
async fn upkeep(pool: Weak<Mutex<Waiting>>) {
    loop {
        time::sleep(IDLE / 2).await;
        let Some(pool) = pool.upgrade() else {
            return;
        };
        let mut waiting = pool.lock();
        let now = Instant::now();
        waiting.by_key.retain(|_, connections| {
            connections.retain(|(connection, since)| {
                !connection.sender.is_closed() && now.duration_since(*since) < IDLE
            });
            !connections.is_empty()
        });
        if waiting.by_key.is_empty() {
            waiting.upkeep = None;
            return;
        }
    }
}
