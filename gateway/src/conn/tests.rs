//! The requests of an HTTP/2 connection, each told once, whoever answers for it.

use super::opened::Openings;
use crate::h2::{Fault, Opened};

fn request(stream: u32, path: &str, fault: Option<Fault>) -> Opened {
    Opened {
        stream,
        fault,
        method: Some(b"GET".to_vec()),
        path: Some(path.into()),
        authority: None,
    }
}

fn streams(opened: &[Opened]) -> Vec<u32> {
    opened.iter().map(|one| one.stream).collect()
}

#[test]
fn what_is_refused_is_told_once_and_what_is_accepted_never() {
    let openings = Openings::default();
    openings.open(request(1, "/a", None));
    openings.open(request(3, "/b", Some(Fault::Name)));
    openings.open(request(5, "/c", None));
    openings.open(request(7, "/d", None));
    openings.accept(b"GET", b"/a");
    openings.accept(b"GET", b"/elsewhere");
    openings.reset([1, 5, 99].into_iter());
    assert_eq!(streams(&openings.refused()), [3, 5]);
    assert!(openings.refused().is_empty());
    assert_eq!(streams(&openings.rest()), [7]);
    assert!(openings.rest().is_empty());
}

#[test]
fn a_reset_stream_that_is_accepted_after_all_tells_for_itself() {
    let openings = Openings::default();
    openings.open(request(1, "/a", None));
    openings.reset([1].into_iter());
    openings.accept(b"GET", b"/a");
    assert!(openings.refused().is_empty());
}

#[test]
fn requests_that_wait_are_bounded() {
    let openings = Openings::default();
    for number in 0..100_000 {
        openings.open(request(2 * number + 1, "/", None));
    }
    assert_eq!(openings.rest().len(), 256);
}
