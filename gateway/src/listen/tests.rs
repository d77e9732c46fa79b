use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use super::{Prepared, prepare, worker::Complaints};

/// A port that nobody has on any of the addresses of these tests.
fn free_port() -> u16 {
    let probe = TcpListener::bind("0.0.0.0:0").unwrap();
    probe.local_addr().unwrap().port()
}

fn addresses(texts: &[&str], port: u16) -> BTreeSet<SocketAddr> {
    let address = |text: &&str| SocketAddr::new(text.parse::<IpAddr>().unwrap(), port);
    texts.iter().map(address).collect()
}

fn bound(prepared: &Prepared) -> Vec<String> {
    let addresses = prepared.sockets.keys();
    addresses.map(|address| address.ip().to_string()).collect()
}

#[test]
fn every_address_and_one_of_them_go_together_whichever_comes_first() {
    for (first, second) in [
        (&["0.0.0.0"][..], &["0.0.0.0", "127.0.0.1"][..]),
        (&["127.0.0.1"], &["0.0.0.0", "127.0.0.1"]),
        (&[], &["0.0.0.0", "127.0.0.1", "127.0.0.2"]),
    ] {
        let port = free_port();
        let (first, second) = (addresses(first, port), addresses(second, port));
        let one = prepare(&BTreeSet::new(), first.clone(), 2).unwrap();
        assert_eq!(one.sockets.len(), first.len());
        let two = prepare(&first, second.clone(), 2).unwrap();
        assert_eq!(one.sockets.len() + two.sockets.len(), second.len());
        assert!(two.sockets.values().all(|sockets| sockets.len() == 2));
    }
}

#[test]
fn what_another_process_has_refuses_all_of_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let wanted = addresses(&["0.0.0.0", "127.0.0.1", "127.0.0.2"], port);
    let errors = prepare(&BTreeSet::new(), wanted, 2).unwrap_err();
    // Listening everywhere is in the way of the other process as well.
    let told: Vec<_> = errors
        .iter()
        .map(|error| (error.address.ip().to_string(), error.cause.kind()))
        .collect();
    let busy = io::ErrorKind::AddrInUse;
    assert_eq!(told, [("0.0.0.0".into(), busy), ("127.0.0.1".into(), busy)]);
    drop(errors);
    drop(taken);
    let again = prepare(&BTreeSet::new(), addresses(&["127.0.0.1"], port), 1).unwrap();
    assert_eq!(bound(&again), ["127.0.0.1"]);
}

#[test]
fn failures_that_repeat_themselves_share_a_line_in_the_log() {
    let mut now = Instant::now();
    let mut complaints = Complaints::default();
    let mut lines = Vec::new();
    // One every 50 ms, for a minute.
    for _ in 0..1200 {
        lines.extend(complaints.count(now));
        now += Duration::from_millis(50);
    }
    assert_eq!(lines, [1, 200, 200, 200, 200, 200]);
    now += Duration::from_secs(3600);
    assert_eq!(complaints.count(now), Some(200));
}
