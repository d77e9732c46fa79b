use std::{fs, io, net::TcpListener};

use super::{Chain, reason};
use crate::listen::BindError;

#[test]
fn what_the_system_says_is_told_without_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let check = |result: io::Result<()>, wanted: &str| {
        assert_eq!(reason(&result.unwrap_err()), wanted);
    };
    check(
        fs::read(folder.path().join("missing")).map(drop),
        "there is no such file or folder",
    );
    check(fs::read(folder.path()).map(drop), "it is a folder");
    fs::write(folder.path().join("file"), "").unwrap();
    check(
        fs::write(folder.path().join("file/below"), ""),
        "a part of the path is not a folder",
    );
    check(
        TcpListener::bind("192.0.2.1:0").map(drop),
        "no interface of this machine has the address",
    );
    // Too many links: one of those without words of ours.
    check(Err(io::Error::from_raw_os_error(31)), "too many links");
    check(
        Err(io::Error::other("the pipe is blue")),
        "the pipe is blue",
    );
}

#[test]
fn causes_follow_their_error() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let cause = TcpListener::bind(address).unwrap_err();
    assert_eq!(
        Chain(&BindError { address, cause }).to_string(),
        format!("cannot listen on {address}: the address is in use")
    );
}
