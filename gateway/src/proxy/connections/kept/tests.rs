//! Which connections are given out again, and which are let go of.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use pingora_core::protocols::{Stream, l4::stream::Stream as Tcp};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{Kept, Key};
use crate::tls::Http;

const HOUR: Duration = Duration::from_secs(3600);

/// Connections to a target, both ends of each.
struct Target {
    listener: TcpListener,
}

impl Target {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener }
    }

    async fn connect(&self) -> (Stream, TcpStream) {
        let ours = TcpStream::connect(self.listener.local_addr().unwrap());
        let (ours, theirs) = tokio::join!(ours, self.listener.accept());
        (Box::new(Tcp::from(ours.unwrap())), theirs.unwrap().0)
    }
}

fn key(number: u16) -> Key {
    Key {
        group: 7,
        tls: None,
        address: SocketAddr::from(([127, 0, 0, 1], number)),
        http: Http::One,
        name: None,
    }
}

fn later() -> Instant {
    Instant::now() + HOUR
}

/// Waits, with a deadline, until so many connections are kept.
async fn until_kept(kept: &Kept, count: usize) {
    let reached = async {
        while kept.idle.lock().connections.len() != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reached)
        .await
        .unwrap_or_else(|_| panic!("{} are kept", kept.idle.lock().connections.len()));
}

/// Waits until the target sees the end of the connection.
async fn is_closed(theirs: &mut TcpStream) {
    let mut byte = [0];
    let read = theirs.read(&mut byte);
    let read = tokio::time::timeout(Duration::from_secs(10), read).await;
    assert_eq!(read.expect("the end of the connection").unwrap(), 0);
}

#[tokio::test]
async fn the_latest_connection_of_the_same_key_is_taken() {
    let (kept, target) = (Kept::new(8), Target::new().await);
    let ((first, _one), (second, _two)) = (target.connect().await, target.connect().await);
    let (first_id, second_id) = (first.id(), second.id());
    kept.put(key(1), first, later());
    kept.put(key(1), second, later());
    let name = "orders.test".parse().unwrap();
    for other in [
        key(2),
        Key { group: 8, ..key(1) },
        Key {
            tls: Some(7),
            ..key(1)
        },
        Key {
            http: Http::Two,
            ..key(1)
        },
        Key {
            name: Some(name),
            ..key(1)
        },
    ] {
        assert!(kept.take(&other, Instant::now()).is_none(), "{other:?}");
    }
    let taken = kept.take(&key(1), Instant::now()).unwrap();
    assert_eq!(taken.id(), second_id);
    kept.put(key(1), taken, later());
    assert_eq!(kept.take(&key(1), Instant::now()).unwrap().id(), second_id);
    assert_eq!(kept.take(&key(1), Instant::now()).unwrap().id(), first_id);
    assert!(kept.take(&key(1), Instant::now()).is_none());
}

#[tokio::test]
async fn a_connection_whose_time_is_over_is_not_taken() {
    let (kept, target) = (Kept::new(8), Target::new().await);
    let (ours, mut theirs) = target.connect().await;
    let until = later();
    kept.put(key(1), ours, until);
    assert!(kept.take(&key(1), until).is_none());
    is_closed(&mut theirs).await;
}

#[tokio::test]
async fn beyond_the_limit_the_connection_put_in_first_is_closed() {
    let (kept, target) = (Kept::new(2), Target::new().await);
    let mut theirs = Vec::new();
    for number in [1, 1, 2] {
        let (ours, end) = target.connect().await;
        kept.put(key(number), ours, later());
        theirs.push(end);
    }
    is_closed(&mut theirs[0]).await;
    assert!(kept.take(&key(1), Instant::now()).is_some());
    assert!(kept.take(&key(1), Instant::now()).is_none());
    assert!(kept.take(&key(2), Instant::now()).is_some());
    let none = Kept::new(0);
    let (ours, mut theirs) = target.connect().await;
    none.put(key(1), ours, later());
    is_closed(&mut theirs).await;
}

#[tokio::test]
async fn what_the_target_closes_is_let_go_of_without_being_asked_for() {
    let (kept, target) = (Kept::new(8), Target::new().await);
    let ((ending, end), (staying, _stays)) = (target.connect().await, target.connect().await);
    kept.put(key(1), ending, later());
    kept.put(key(2), staying, later());
    until_kept(&kept, 2).await;
    drop(end);
    until_kept(&kept, 1).await;
    assert!(kept.take(&key(1), Instant::now()).is_none());
    assert!(kept.take(&key(2), Instant::now()).is_some());
    assert!(!kept.idle.lock().numbers.contains_key(&key(1)));
}

/// What comes before a request is the answer to none: the next request would take it for its own.
#[tokio::test]
async fn what_the_target_sends_of_its_own_accord_ends_the_connection() {
    let (kept, target) = (Kept::new(8), Target::new().await);
    let (ours, mut theirs) = target.connect().await;
    kept.put(key(1), ours, later());
    theirs.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    until_kept(&kept, 0).await;
    assert!(kept.take(&key(1), Instant::now()).is_none());

    // The same when the bytes are there before the connection is put in.
    let (mut ours, mut theirs) = target.connect().await;
    theirs.write_all(b"ab").await.unwrap();
    assert_eq!(ours.read(&mut [0]).await.unwrap(), 1);
    kept.put(key(1), ours, later());
    assert!(kept.take(&key(1), Instant::now()).is_none());
}

/// Whoever takes a connection before the bell was heard asks it once more.
#[tokio::test]
async fn a_connection_that_has_just_ended_is_not_taken() {
    let (kept, target) = (Kept::new(8), Target::new().await);
    for _ in 0..100 {
        let (ours, theirs) = target.connect().await;
        kept.put(key(1), ours, later());
        drop(theirs);
        let seen = async {
            while let Some(ours) = kept.take(&key(1), Instant::now()) {
                kept.put(key(1), ours, later());
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), seen)
            .await
            .expect("the end is seen");
    }
}

#[tokio::test]
async fn the_watch_ends_with_the_connections() {
    let (kept, target) = (Kept::new(8), Target::new().await);
    let (ours, mut theirs) = target.connect().await;
    kept.put(key(1), ours, Instant::now() + HOUR);
    let idle = std::sync::Arc::downgrade(&kept.idle);
    drop(kept);
    is_closed(&mut theirs).await;
    assert!(idle.upgrade().is_none());
}
