use proptest::prelude::*;

use super::{ListenerId, RuleId, ServiceId, VpcId};
use crate::name::{AccountId, Region};

fn owner() -> (AccountId, Region) {
    (
        "111122223333".parse().unwrap(),
        "us-west-2".parse().unwrap(),
    )
}

proptest! {
    #[test]
    fn a_printed_id_reads_as_itself(parts in prop::collection::vec(".{0,20}", 1..4)) {
        let (account, region) = owner();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let service = ServiceId::derive(&account, &region, &parts);
        prop_assert_eq!(service.to_string().parse::<ServiceId>(), Ok(service));
        let rule = RuleId::derive(&account, &region, &parts);
        prop_assert_eq!(rule.to_string().parse::<RuleId>(), Ok(rule));
        prop_assert!(rule.to_string().parse::<ListenerId>().is_err());
        let vpc = VpcId::derive(&account, &region, parts[0]);
        prop_assert_eq!(vpc.to_string().parse::<VpcId>(), Ok(vpc));
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in ".{0,60}") {
        _ = text.parse::<ServiceId>();
        _ = text.parse::<VpcId>();
        _ = text.parse::<AccountId>();
        _ = text.parse::<Region>();
    }
}

#[test]
fn ids_of_different_parts_differ() {
    let (account, region) = owner();
    let id = |parts: &[&str]| RuleId::derive(&account, &region, parts);
    assert_ne!(id(&["a", "bc"]), id(&["ab", "c"]));
    assert_ne!(
        id(&["orders", "http", "default"]),
        id(&["orders", "http", "default", ""])
    );
}
