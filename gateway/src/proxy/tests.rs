//! What clients are told when a request goes no further.

use trellis_model::config::ProtocolVersion;
use trellis_routing::AuthorityError;

use super::{
    Dice,
    halt::{Halt, Unmatched, VersionMismatch},
};
use crate::h1::Violation;

#[test]
fn every_halt_has_its_status() {
    let group = ProtocolVersion::Grpc;
    for (halt, status) in [
        (Halt::Malformed(Violation::Target), 400),
        (Halt::Malformed(Violation::TooLarge), 400),
        (Halt::Authority(AuthorityError::BadPort), 400),
        (Halt::Unmatched(Unmatched::Misdirected), 421),
        (Halt::Version(VersionMismatch::NotHttp2 { group }), 400),
        (Halt::Version(VersionMismatch::Grpc), 502),
        (Halt::Version(VersionMismatch::NotPost), 502),
        (Halt::NoGroup, 503),
        (Halt::Fixed(404), 404),
        (Halt::Fixed(500), 500),
        (Halt::Internal, 500),
    ] {
        let told = halt.to_string();
        assert_eq!(halt.into_answer().status(), status, "{told}");
    }
}

/// What is missing and what belongs to another tenant must not be told apart; operators see the difference in `trellis explain`.
#[test]
fn clients_cannot_tell_missing_from_foreign_and_operators_can() {
    let reasons = [
        Unmatched::Vpc,
        Unmatched::NoHost,
        Unmatched::Network,
        Unmatched::Host,
        Unmatched::Listener,
    ];
    let answers = reasons.map(|reason| Halt::Unmatched(reason).into_answer());
    for answer in &answers {
        assert_eq!(answer.status(), 404);
        assert_eq!(answer, &answers[0]);
    }
    let mut told = reasons.map(|reason| reason.to_string()).to_vec();
    told.sort();
    told.dedup();
    assert_eq!(told.len(), reasons.len(), "{told:?}");
}

#[test]
fn dice_repeat_for_one_seed_and_differ_between_workers() {
    let rolls = |seed, index| {
        let dice = Dice::new(seed, index);
        std::array::from_fn::<u64, 8, _>(|_| dice.roll())
    };
    assert_eq!(rolls(7, 0), rolls(7, 0));
    assert_ne!(rolls(7, 0), rolls(7, 1));
    assert_ne!(rolls(7, 0), rolls(8, 0));
}
