use std::time::Duration;

use h2::Reason;
use pingora_error::{Error, ErrorSource, ErrorType};
use trellis_model::config::{RetryEvents, RetryPolicy};

use super::{Failure, back_off, events};
use crate::proxy::failure::{REQUEST_OVER, SILENCE, TRY_OVER};

fn policy(base: u64, most: u64) -> RetryPolicy {
    RetryPolicy {
        max_retries: 5,
        events: RetryEvents::RESET,
        statuses: Box::new([]),
        back_off: Duration::from_millis(base),
        max_back_off: Duration::from_millis(most),
        budget_percent: 20,
        budget_min: 10,
    }
}

/// Source: Envoy, "Automatic retries": full jitter, 25 ms doubled up to 250 ms, which is what App Mesh used.
#[test]
fn waits_double_up_to_the_longest() {
    for (retry, longest) in [
        (1, 25),
        (2, 50),
        (3, 100),
        (4, 200),
        (5, 250),
        (40, 250),
        (u32::MAX, 250),
    ] {
        let policy = policy(25, 250);
        let longest = Duration::from_millis(longest);
        let micros = u64::try_from(longest.as_micros()).unwrap();
        assert_eq!(back_off(&policy, retry, 0), Duration::ZERO);
        assert_eq!(back_off(&policy, retry, micros), longest);
        assert_eq!(
            back_off(&policy, retry, micros + 1),
            Duration::ZERO,
            "{retry}"
        );
    }
}

/// A timer would make a whole tick of them, for which the slowest hundredth of all requests would wait if one in a hundred fails.
#[test]
fn waits_below_a_millisecond_are_none() {
    for (roll, millis) in [(0, 0), (999, 0), (1_000, 1), (1_999, 1), (2_000, 2)] {
        let wait = back_off(&policy(1, 10), 2, roll);
        assert_eq!(wait, Duration::from_millis(millis), "{roll}");
    }
}

#[test]
fn waits_are_spread_over_the_whole_range() {
    let (policy, dice) = (policy(100, 1000), crate::proxy::Dice::new(7, 0));
    let waits: Vec<_> = (0..10_000)
        .map(|_| back_off(&policy, 1, dice.roll()).as_micros())
        .collect();
    let mean = waits.iter().sum::<u128>() / 10_000;
    assert!((49_000..51_000).contains(&mean), "{mean}");
    assert!(waits.iter().all(|wait| *wait <= 100_000));
}

/// Source: App Mesh user guide, "Routes": which failures are which events.
#[test]
fn failures_are_events() {
    let up = |etype| Error::create(etype, ErrorSource::Upstream, None, None);
    let refused = |reason: Reason| {
        let cause: h2::Error = reason.into();
        Error::because(ErrorType::H2Error, "reset", cause).into_up()
    };
    let reset = RetryEvents::RESET;
    for (error, connected, expected) in [
        (
            up(ErrorType::ConnectRefused),
            false,
            RetryEvents::CONNECTION_ERROR | reset,
        ),
        (
            up(ErrorType::TLSHandshakeFailure),
            false,
            RetryEvents::CONNECTION_ERROR | reset,
        ),
        (up(TRY_OVER), false, RetryEvents::CONNECTION_ERROR | reset),
        (up(TRY_OVER), true, reset),
        (up(SILENCE), true, reset),
        (up(ErrorType::ReadError), true, reset),
        (up(ErrorType::ConnectionClosed), true, reset),
        (up(ErrorType::InvalidHTTPHeader), true, reset),
        // Ours, not the target's: what a library raises itself is no refusal of the other side.
        (refused(Reason::REFUSED_STREAM), true, reset),
        (up(REQUEST_OVER), true, RetryEvents::NONE),
        (up(REQUEST_OVER), false, RetryEvents::NONE),
        (
            Error::create(ErrorType::ReadError, ErrorSource::Downstream, None, None),
            true,
            RetryEvents::NONE,
        ),
        (
            Error::create(ErrorType::InternalError, ErrorSource::Internal, None, None),
            true,
            RetryEvents::NONE,
        ),
    ] {
        let text = error.to_string();
        assert_eq!(events(&Failure { error, connected }), expected, "{text}");
    }
}
