//! What answers change and when the next is asked for.

use std::{net::IpAddr, time::Duration};

use hickory_proto::op::ResponseCode;
use trellis_model::config::{DiscoverySettings, DnsResponseType};

use super::{Change, Progress};
use crate::discovery::{DiscoveryError, Found, bounds::tests::discovery};

/// Between 5 and 300 seconds.
pub(in crate::discovery) fn settings() -> DiscoverySettings {
    DiscoverySettings {
        resolvers: [].into(),
        min_ttl: Duration::from_secs(5),
        max_ttl: Duration::from_secs(300),
        timeout: Duration::from_secs(5),
    }
}

/// `10.0.0.1 10.0.0.2 for 30`, `no name for 30`, `no address for -`, `failure`.
pub(in crate::discovery) fn outcome(text: &str) -> Result<Found, DiscoveryError> {
    if text == "failure" {
        return Err(DiscoveryError::ServerFailure(ResponseCode::ServFail));
    }
    let (what, ttl) = text.split_once(" for ").unwrap();
    let ttl = ttl.parse().ok().map(Duration::from_secs);
    match what {
        "no name" => Ok(Found::Nothing { no_name: true, ttl }),
        "no address" => Ok(Found::Nothing {
            no_name: false,
            ttl,
        }),
        addresses => Ok(Found::Addresses {
            addresses: addresses
                .split(' ')
                .map(|text| text.parse().unwrap())
                .collect(),
            ttl: ttl.unwrap(),
        }),
    }
}

/// Plays outcomes, each with what follows from it and the range of seconds until the next question.
#[track_caller]
fn check(steps: &[(&str, &str, (f64, f64))]) {
    let of = discovery(DnsResponseType::Endpoints, &["10.0.0.0/8"]);
    for (random, at_least) in [(0, true), (u64::MAX, false)] {
        let mut progress = Progress::new(&settings());
        for (number, (said, expected, (least, most))) in steps.iter().enumerate() {
            let (step, error) = progress.after(&of, outcome(said), random);
            let change = match (step.change, error) {
                (Change::Take(taken), None) => {
                    let shown: Vec<_> = taken.addresses.iter().map(IpAddr::to_string).collect();
                    shown.join(" ")
                }
                (Change::Empty, None) => "empty".to_owned(),
                (Change::Keep, None) => "keep".to_owned(),
                (Change::Keep, Some(error)) => format!("keep: {}", error.label()),
                (change, error) => panic!("{change:?} {error:?}"),
            };
            assert_eq!(change, *expected, "step {number}");
            let bound = if at_least { *least } else { *most };
            let wait = step.wait.as_secs_f64();
            assert!(
                (wait - bound).abs() < 1e-6,
                "step {number}: {wait} is not {bound}"
            );
        }
    }
}

#[test]
fn addresses_count_as_long_as_they_say_within_bounds() {
    check(&[
        ("10.0.0.1 for 30", "10.0.0.1", (30.0, 33.0)),
        ("10.0.0.2 10.0.0.1 for 0", "10.0.0.1 10.0.0.2", (5.0, 5.5)),
        ("10.0.0.2 for 4294967295", "10.0.0.2", (300.0, 330.0)),
    ]);
}

#[test]
fn targets_leave_when_two_answers_in_a_row_say_that_there_are_none() {
    for nothing in ["no name for 20", "no address for 20"] {
        check(&[
            ("10.0.0.1 for 30", "10.0.0.1", (30.0, 33.0)),
            (nothing, "keep", (20.0, 22.0)),
            (nothing, "empty", (20.0, 22.0)),
            (nothing, "empty", (20.0, 22.0)),
            ("10.0.0.1 for 30", "10.0.0.1", (30.0, 33.0)),
            (nothing, "keep", (20.0, 22.0)),
        ]);
    }
    // A failure between them says nothing; addresses do.
    check(&[
        ("no name for -", "keep", (5.0, 5.5)),
        ("failure", "keep: server_failure", (0.5, 1.0)),
        ("no address for -", "empty", (5.0, 5.5)),
    ]);
    check(&[
        ("no name for -", "keep", (5.0, 5.5)),
        ("10.0.0.1 for 9", "10.0.0.1", (9.0, 9.9)),
        ("no name for -", "keep", (5.0, 5.5)),
    ]);
}

#[test]
fn failures_keep_everything_and_are_tried_again_at_growing_distances() {
    let failure = |most: f64| ("failure", "keep: server_failure", (most / 2.0, most));
    check(&[
        ("10.0.0.1 for 30", "10.0.0.1", (30.0, 33.0)),
        failure(1.0),
        failure(2.0),
        failure(4.0),
        failure(8.0),
        failure(16.0),
        failure(32.0),
        failure(60.0),
        failure(60.0),
        ("10.0.0.2 for 30", "10.0.0.2", (30.0, 33.0)),
        failure(1.0),
    ]);
}

#[test]
fn a_long_outage_does_not_overflow() {
    let of = discovery(DnsResponseType::Endpoints, &["10.0.0.0/8"]);
    let mut progress = Progress::new(&settings());
    for _ in 0..200 {
        let (step, _) = progress.after(&of, outcome("failure"), u64::MAX);
        assert!(step.wait <= Duration::from_secs(60) && !step.wait.is_zero());
    }
}

#[test]
fn an_answer_of_which_nothing_may_be_a_target_is_a_failure() {
    check(&[
        ("10.0.0.1 for 30", "10.0.0.1", (30.0, 33.0)),
        (
            "192.0.2.1 169.254.169.254 for 30",
            "keep: outside",
            (0.5, 1.0),
        ),
        ("192.0.2.1 10.0.0.2 for 30", "10.0.0.2", (30.0, 33.0)),
    ]);
}
