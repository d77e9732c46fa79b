use std::time::{Duration, SystemTime, UNIX_EPOCH};

use trellis_model::name::AccountId;

use super::{ACCOUNTS, Rate, Throttle};
use crate::lattice::error::ApiError;

const RATE: Rate = Rate {
    per_second: 10,
    burst: 5,
};

fn account(number: usize) -> AccountId {
    format!("{number:012}").parse().unwrap()
}

fn at(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + millis)
}

/// How many of `calls` at one time are admitted.
fn admitted(throttle: &Throttle, account: &AccountId, millis: u64, calls: usize) -> usize {
    (0..calls)
        .filter(|_| throttle.admit(account, at(millis)).is_ok())
        .count()
}

#[test]
fn an_account_calls_in_bursts_and_at_its_rate() {
    let throttle = Throttle::new(RATE);
    let one = account(1);
    assert_eq!(admitted(&throttle, &one, 0, 20), 5);
    assert_eq!(admitted(&throttle, &one, 99, 20), 0);
    assert_eq!(admitted(&throttle, &one, 100, 20), 1);
    assert_eq!(admitted(&throttle, &one, 400, 20), 3);
    assert_eq!(admitted(&throttle, &one, 60_000, 20), 5);
    // Another is not concerned.
    assert_eq!(admitted(&throttle, &account(2), 60_000, 20), 5);
}

#[test]
fn whoever_calls_too_fast_is_told_when_to_come_again() {
    let slow = Throttle::new(Rate {
        per_second: 1,
        burst: 1,
    });
    let one = account(1);
    slow.admit(&one, at(0)).unwrap();
    for (millis, seconds) in [(0, 1), (500, 1), (999, 1)] {
        let refused = slow.admit(&one, at(millis));
        assert_eq!(refused, Err(ApiError::Throttled(seconds)), "{millis}");
    }
    slow.admit(&one, at(1000)).unwrap();
}

#[test]
fn a_rate_of_nothing_is_the_least_that_there_is() {
    let throttle = Throttle::new(Rate {
        per_second: 0,
        burst: 0,
    });
    assert_eq!(admitted(&throttle, &account(1), 0, 3), 1);
    assert_eq!(admitted(&throttle, &account(1), 1000, 3), 1);
}

#[test]
fn a_clock_that_is_set_back_locks_nobody_out() {
    let throttle = Throttle::new(RATE);
    let one = account(1);
    assert_eq!(admitted(&throttle, &one, 3_600_000, 20), 5);
    assert_eq!(admitted(&throttle, &one, 0, 20), 0);
    assert_eq!(admitted(&throttle, &one, 100, 20), 1);
    assert_eq!(admitted(&throttle, &one, 1_000, 20), 5);
    let before_1970 = UNIX_EPOCH - Duration::from_secs(1);
    assert!(throttle.admit(&account(2), before_1970).is_ok());
}

#[test]
fn what_is_kept_is_bounded() {
    let throttle = Throttle::new(RATE);
    for number in 0..ACCOUNTS {
        assert_eq!(admitted(&throttle, &account(number), 0, 1), 1);
    }
    // All are in use, so newcomers share one bucket.
    let newcomers: usize = (0..20)
        .map(|number| admitted(&throttle, &account(ACCOUNTS + number), 0, 1))
        .sum();
    assert_eq!(newcomers, 5);
    assert_eq!(throttle.full_at.lock().known.len(), ACCOUNTS);
    // Once they are full again they are forgotten.
    assert_eq!(admitted(&throttle, &account(ACCOUNTS), 1_000, 20), 5);
    assert_eq!(throttle.full_at.lock().known.len(), 1);
}
