//! Which addresses become targets, and which never do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use proptest::prelude::*;
use trellis_model::config::{Discovery, DnsResponseType, IpPreference};

use super::{MOST, admits, take};

pub(crate) fn discovery(response: DnsResponseType, within: &[&str]) -> Discovery {
    Discovery {
        hostname: "orders.test".parse().unwrap(),
        response,
        preference: IpPreference::Ipv4Only,
        port: 80,
        within: within.iter().map(|range| range.parse().unwrap()).collect(),
        resolvers: [].into(),
    }
}

#[track_caller]
fn check(within: &[&str], address: &str, expected: bool) {
    let within: Vec<IpNet> = within.iter().map(|range| range.parse().unwrap()).collect();
    assert_eq!(
        admits(&within, address.parse().unwrap()),
        expected,
        "{address} in {within:?}"
    );
}

#[test]
fn an_address_is_taken_inside_of_the_ranges_only() {
    let ranges = ["10.0.0.0/16", "fd00::/64"];
    check(&ranges, "10.0.255.1", true);
    check(&ranges, "10.1.0.1", false);
    check(&ranges, "fd00::7", true);
    check(&ranges, "fd00:1::7", false);
    check(&ranges, "127.0.0.1", false);
    check(&ranges, "::1", false);
    check(&[], "10.0.0.1", false);
}

#[test]
fn loopback_needs_a_range_and_addresses_of_every_machine_are_never_taken() {
    check(&["127.0.0.0/8"], "127.0.0.1", true);
    check(&["::1/128"], "::1", true);
    let everything = ["0.0.0.0/0", "::/0"];
    for address in ["10.0.0.1", "127.0.0.1", "2001:db8::1"] {
        check(&everything, address, true);
    }
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "169.254.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
    ] {
        check(&everything, address, false);
    }
    check(&["169.254.0.0/16"], "169.254.169.254", false);
}

#[test]
fn a_load_balancer_is_the_first_address_that_may_be_one() {
    let of = discovery(DnsResponseType::LoadBalancer, &["10.0.0.0/8"]);
    let answered: Vec<IpAddr> = ["192.0.2.1", "10.0.0.9", "10.0.0.1"]
        .map(|text| text.parse().unwrap())
        .into();
    let taken = take(&of, &answered);
    assert_eq!(taken.addresses, [answered[1]]);
    assert_eq!(taken.outside, Some((1, answered[0])));
    assert_eq!(taken.beyond, 0);
}

#[test]
fn endpoints_are_sorted_and_bounded() {
    let of = discovery(DnsResponseType::Endpoints, &["10.0.0.0/8"]);
    let address = |number: u32| IpAddr::from(Ipv4Addr::from(0x0a00_0000 + number));
    let answered: Vec<IpAddr> = (0..1500).rev().chain(0..20).map(address).collect();
    let taken = take(&of, &answered);
    let first: Vec<IpAddr> = (0..1000).map(address).collect();
    assert_eq!(taken.addresses, first);
    assert_eq!((taken.outside, taken.beyond), (None, 500));
}

fn addresses() -> impl Strategy<Value = Vec<IpAddr>> {
    let v4 = any::<[u8; 4]>().prop_map(|octets| Ipv4Addr::from(octets).into());
    let v6 = any::<[u8; 16]>().prop_map(|octets| Ipv6Addr::from(octets).into());
    let special = prop::sample::select(vec![
        IpAddr::from([169, 254, 169, 254]),
        IpAddr::from([0, 0, 0, 0]),
        IpAddr::from([224, 0, 0, 1]),
        IpAddr::from(Ipv4Addr::LOCALHOST.to_ipv6_mapped()),
    ]);
    prop::collection::vec(prop_oneof![v4, v6, special], 0..50)
}

proptest! {
    /// Whatever is answered: what is taken was answered, may be a target, and is no more than a group holds.
    #[test]
    fn nothing_but_what_may_be_a_target_is_taken(answered in addresses(), prefix in 0_u8..=8, endpoints: bool) {
        let response = if endpoints { DnsResponseType::Endpoints } else { DnsResponseType::LoadBalancer };
        let of = discovery(response, &[&format!("0.0.0.0/{prefix}"), "::/0"]);
        let taken = take(&of, &answered);
        let most = if endpoints { MOST } else { 1 };
        prop_assert!(taken.addresses.len() <= most);
        for address in &taken.addresses {
            prop_assert!(answered.contains(address));
            prop_assert!(admits(&of.within, *address));
            let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
            prop_assert!(!mapped && !address.is_multicast() && !address.is_unspecified());
        }
        let admitted = answered.iter().filter(|address| admits(&of.within, **address)).count();
        prop_assert_eq!(taken.outside.map_or(0, |(count, _)| count), answered.len() - admitted);
        prop_assert_eq!(taken.addresses.is_empty(), admitted == 0);
    }
}
