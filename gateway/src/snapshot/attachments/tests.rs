//! Which VPC an address belongs to.

use super::*;

/// `vpcs`: for each VPC its attachments, as `local<source,source`.
#[track_caller]
fn check(vpcs: &[&[&str]], local: &str, peer: &str, expected: Option<usize>) {
    let parse = |text: &&str| {
        let (listen, sources) = text.split_once('<').unwrap();
        Attachment {
            listen: vec![listen.parse().unwrap()],
            sources: sources
                .split(',')
                .filter(|text| !text.is_empty())
                .map(|text| text.parse().unwrap())
                .collect(),
        }
    };
    let vpcs: Vec<Vec<Attachment>> = vpcs
        .iter()
        .map(|vpc| vpc.iter().map(parse).collect())
        .collect();
    let table = Attachments::compile(vpcs.iter().map(Vec::as_slice));
    assert_eq!(
        table.find(local.parse().unwrap(), peer.parse().unwrap()),
        expected
    );
}

#[test]
fn the_listening_address_decides() {
    let vpcs: &[&[&str]] = &[&["127.0.0.1<"], &["127.0.0.2<"]];
    check(vpcs, "127.0.0.1", "10.0.0.1", Some(0));
    check(vpcs, "127.0.0.2", "10.0.0.1", Some(1));
    check(vpcs, "127.0.0.3", "10.0.0.1", None);
}

#[test]
fn the_longest_source_range_wins() {
    let vpcs: &[&[&str]] = &[&["127.0.0.1<10.0.0.0/8"], &["127.0.0.1<10.1.0.0/16"]];
    check(vpcs, "127.0.0.1", "10.1.2.3", Some(1));
    check(vpcs, "127.0.0.1", "10.2.2.3", Some(0));
    check(vpcs, "127.0.0.1", "192.168.0.1", None);
}

#[test]
fn a_named_address_goes_before_listening_everywhere() {
    let vpcs: &[&[&str]] = &[&["0.0.0.0<10.0.0.0/8"], &["127.0.0.1<"], &["::<"]];
    check(vpcs, "127.0.0.1", "10.0.0.1", Some(1));
    check(vpcs, "127.0.0.9", "10.0.0.1", Some(0));
    check(vpcs, "127.0.0.9", "11.0.0.1", None);
    check(vpcs, "::1", "::1", Some(2));
}
