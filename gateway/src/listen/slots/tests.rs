//! Slots of clients and VPCs, taken and given back.

use trellis_model::load;

use super::*;

struct Nothing;

impl load::Inputs for Nothing {
    fn read(&self, _: &std::path::Path) -> Result<String, String> {
        Err("there are no files".to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

/// Limits of the gateway, of a VPC and of a client; zero for none.
fn limits(connections: usize, per_vpc: usize, per_client: usize) -> Limits {
    let text = format!(
        "{{account: '111122223333', region: us-west-2, gateway: {{limits: {{connections: {connections}, \
         connectionsPerVpc: {per_vpc}, connectionsPerClient: {per_client}}}}}}}"
    );
    let source = load::Source {
        path: "limits.yaml".into(),
        text: Ok(text),
    };
    load::load(&[source], &Nothing)
        .unwrap()
        .config
        .gateway
        .limits
}

/// Connections of these clients, as VPC and address, one after the other.
fn admit(
    slots: &Arc<Slots>,
    limits: &Limits,
    clients: &[(&str, &str)],
) -> Vec<Result<Slot, Refused>> {
    clients
        .iter()
        .map(|(vpc, client)| {
            let mut slot = slots.take(limits)?;
            slot.assign(limits, &vpc.parse().unwrap(), client.parse().unwrap())?;
            Ok(slot)
        })
        .collect()
}

const A: &str = "vpc-0aaaaaaaaaaaaaaaa";
const B: &str = "vpc-0bbbbbbbbbbbbbbbb";

#[track_caller]
fn check(limits: &Limits, clients: &[(&str, &str)], refused: Option<Refused>) {
    let slots = Arc::new(Slots::default());
    for _ in 0..3 {
        // All are given back at the end of a round, so each is like the first.
        let mut held = admit(&slots, limits, clients);
        let last = held.pop().unwrap();
        assert_eq!(last.as_ref().err().copied(), refused, "{clients:?}");
        assert!(held.iter().all(Result::is_ok));
        drop((held, last));
        assert_eq!(slots.open.load(Ordering::Relaxed), 0);
        assert!(slots.vpcs.0.lock().is_empty() && slots.clients.0.lock().is_empty());
    }
}

#[test]
fn the_gateway_has_a_limit() {
    check(&limits(2, 0, 0), &[(A, "10.0.0.1"); 2], None);
    check(
        &limits(2, 0, 0),
        &[(A, "10.0.0.1"); 3],
        Some(Refused::TooMany),
    );
}

#[test]
fn a_vpc_has_a_limit_of_its_own() {
    let two = limits(100, 2, 0);
    let full = [(A, "10.0.0.1"), (A, "10.0.0.2")];
    check(
        &two,
        &[full[0], full[1], (A, "10.0.0.3")],
        Some(Refused::TooManyOfVpc),
    );
    check(&two, &[full[0], full[1], (B, "10.0.0.3")], None);
}

#[test]
fn a_client_has_a_limit_of_its_own_in_each_vpc() {
    let one = limits(100, 0, 1);
    let refused = Some(Refused::TooManyOfClient);
    check(&one, &[(A, "10.0.0.1"), (A, "10.0.0.1")], refused);
    check(&one, &[(A, "10.0.0.1"), (A, "10.0.0.2")], None);
    check(&one, &[(A, "10.0.0.1"), (B, "10.0.0.1")], None);
    check(&one, &[(A, "10.0.0.1"), (A, "::ffff:10.0.0.1")], refused);
    check(
        &one,
        &[(A, "2001:db8::1"), (A, "2001:db8::2:0:0:2")],
        refused,
    );
    check(&one, &[(A, "2001:db8::1"), (A, "2001:db8:0:1::1")], None);
}

#[test]
fn a_refused_client_takes_nothing_from_its_vpc() {
    let slots = Arc::new(Slots::default());
    let limits = limits(100, 2, 1);
    let held = admit(
        &slots,
        &limits,
        &[(A, "10.0.0.1"), (A, "10.0.0.1"), (A, "10.0.0.2")],
    );
    let refused: Vec<_> = held.iter().map(|one| one.as_ref().err().copied()).collect();
    assert_eq!(refused, [None, Some(Refused::TooManyOfClient), None]);
}
