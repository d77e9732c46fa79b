//! Turns.

use super::*;

fn lane(vpc: &str, zone: Option<&str>) -> Arc<Lane> {
    let (account, region) = ("111122223333".parse(), "us-west-2".parse());
    Arc::new(Lane {
        vpc: VpcId::derive(&account.unwrap(), &region.unwrap(), vpc),
        zone: zone.map(Into::into),
    })
}

#[test]
fn lanes_take_turns_and_keep_their_order() {
    let mut lanes = Lanes::default();
    for item in ["a1", "a2", "a3", "a4"] {
        lanes.push(&lane("shop", Some("a")), item);
    }
    lanes.push(&lane("shop", Some("b")), "b1");
    lanes.push(&lane("other", Some("a")), "o1");
    lanes.push(&lane("shop", None), "n1");
    let mut order: Vec<_> = std::iter::from_fn(|| lanes.next()).take(5).collect();
    assert_eq!(order, ["a1", "b1", "o1", "n1", "a2"]);
    lanes.push(&lane("shop", Some("b")), "b2");
    order = std::iter::from_fn(|| lanes.next()).collect();
    assert_eq!(order, ["a3", "b2", "a4"]);
    assert!(lanes.waiting.is_empty() && lanes.turns.is_empty());
}
