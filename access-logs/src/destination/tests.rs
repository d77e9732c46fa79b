//! Which destinations want which records.

use trellis_model::{
    arn::Arn,
    config::{Delivery, LogDestination},
    id::AccessLogSubscriptionId,
    name::{AccountId, Region},
    problem::Place,
};

use super::*;
use crate::{ship::Shippers, writer::tests::Ears};

fn sinks() -> Sinks {
    Sinks::new(Shippers::new(None, Arc::<Ears>::default()))
}

fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

fn region() -> Region {
    "eu-west-1".parse().unwrap()
}

fn network(name: &str) -> ServiceNetworkId {
    ServiceNetworkId::derive(&account(), &region(), &[name])
}

fn service(name: &str) -> ServiceId {
    ServiceId::derive(&account(), &region(), &[name])
}

/// `subscribed` is a list of `network:<name> <file>` and `service:<name> <file>`; `wanted` are files in the order of numbering.
#[track_caller]
fn check(subscribed: &[&str], asked: (Option<&str>, Option<&str>), wanted: &[&str]) {
    let subscriptions: Vec<Arc<AccessLogSubscription>> = subscribed
        .iter()
        .map(|text| {
            let (resource, file) = text.split_once(' ').unwrap();
            let resource = match resource.split_once(':').unwrap() {
                ("network", name) => LoggedResource::ServiceNetwork(network(name)),
                (_, name) => LoggedResource::Service(service(name)),
            };
            Arc::new(AccessLogSubscription {
                id: AccessLogSubscriptionId::derive(&account(), &region(), &[text]),
                arn: Arn::lattice(
                    &account(),
                    &region(),
                    format_args!("accesslogsubscription/als-0"),
                ),
                account: account(),
                resource,
                destination: LogDestination::File(file.into()),
                shape: LogShape::default(),
                delivery: Delivery::default(),
                place: Place::default(),
            })
        })
        .collect();
    let sinks = sinks();
    let mut compiled = Subscriptions::new(&subscriptions, &sinks);
    let (of_network, of_service) = (asked.0.map(network), asked.1.map(service));
    let found = compiled.destinations(of_network, of_service);
    let files: Vec<LogDestination> = found
        .groups()
        .iter()
        .flat_map(|group| &group.sinks)
        .map(|sink| sink.destination().clone())
        .collect();
    let wanted: Vec<LogDestination> = wanted
        .iter()
        .map(|file| LogDestination::File(file.into()))
        .collect();
    assert_eq!(files, wanted);
    assert_eq!(found.is_none(), wanted.is_empty());
    let again = compiled.destinations(of_network, of_service);
    for (group, same) in found.groups().iter().zip(again.groups()) {
        assert!(Arc::ptr_eq(group, same), "equal sets are the same one");
    }
}

#[test]
fn a_network_hears_of_its_requests_only() {
    check(&["network:n a"], (Some("n"), Some("s")), &["a"]);
    check(&["network:n a"], (Some("n"), None), &["a"]);
    check(&["network:n a"], (Some("other"), Some("s")), &[]);
    check(&["network:n a"], (None, Some("s")), &[]);
}

#[test]
fn a_service_hears_of_its_requests_only() {
    check(&["service:s a"], (Some("n"), Some("s")), &["a"]);
    check(&["service:s a"], (None, Some("s")), &["a"]);
    check(&["service:s a"], (Some("n"), Some("other")), &[]);
    check(&["service:s a"], (Some("n"), None), &[]);
}

#[test]
fn several_subscriptions_hear_once_each() {
    let all = [
        "network:n a",
        "service:s b",
        "service:s a",
        "network:n b",
        "network:n c",
    ];
    check(&all, (Some("n"), Some("s")), &["a", "b", "c"]);
    check(&all, (None, Some("s")), &["a", "b"]);
    check(&all, (None, None), &[]);
    check(&[], (Some("n"), Some("s")), &[]);
}

#[test]
fn different_sets_are_told_apart() {
    let sinks = sinks();
    let mut none = Subscriptions::new(&[], &sinks);
    assert!(none.destinations(None, None).is_none());
    assert!(Destinations::default().is_none());
}
