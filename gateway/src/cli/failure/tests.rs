//! Who must act, and the exit code that says so.

use std::{io, net::SocketAddr, process::ExitCode};

use trellis_model::problem::{Place, Problem, Problems};

use super::Failure;
use crate::echo::EchoError;

fn check(failure: &Failure, code: u8, text: &str) {
    let mut written = Vec::new();
    assert_eq!(failure.report(&mut written), ExitCode::from(code));
    assert_eq!(String::from_utf8(written).unwrap(), text);
}

#[test]
fn the_exit_code_says_who_must_act() {
    let problems: Problems = [Problem::error(Place::default(), "no `region`").hint("name one")]
        .into_iter()
        .collect();
    check(
        &Failure::Configuration(problems),
        2,
        "no `region`\n    hint: name one\n",
    );
    check(&Failure::ConfigurationReported, 2, "");
    check(&Failure::Refused, 1, "");
    check(
        &Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)),
        0,
        "",
    );
    let address: SocketAddr = "127.0.0.1:80".parse().unwrap();
    let source = io::Error::new(io::ErrorKind::AddrInUse, "in use");
    check(
        &Failure::runtime(EchoError::Listen { address, source }),
        1,
        "trellis: cannot listen on `127.0.0.1:80`: the address is in use\n",
    );
}
