use trellis_model::{id::ServiceNetworkId, name::AccountId};

use super::{Catalog, Owner};
use crate::{
    resource::{AuthType, Resource as _, Scope, ServiceNetwork, Sharing, Stamp, Tags, Unit},
    store::{Change, Revision, Write},
};

fn account(text: &str) -> AccountId {
    text.parse().unwrap()
}

fn network(number: u64, owner: &str, name: &str) -> ServiceNetwork {
    let now = Stamp::of(std::time::UNIX_EPOCH);
    ServiceNetwork {
        id: ServiceNetworkId::from_number(number),
        account: account(owner),
        name: name.parse().unwrap(),
        created_at: now,
        last_updated_at: now,
        tags: Tags::new(),
        auth_type: AuthType::None,
        sharing_config: None,
        auth_policy: None,
        sharing: Sharing::default(),
    }
}

fn written(network: &ServiceNetwork) -> Write {
    Write {
        key: crate::resource::key_of::<ServiceNetwork>(network.id),
        value: Some(serde_json::to_vec(network).unwrap()),
    }
}

const ONE: &str = "111122223333";
const TWO: &str = "444455556666";

#[test]
fn resources_are_found_by_id_by_name_and_by_owner() {
    let mut catalog = Catalog::default();
    let change = Change {
        revision: Revision(7),
        writes: vec![
            written(&network(1, ONE, "shop")),
            written(&network(2, ONE, "stock")),
            written(&network(3, TWO, "shop")),
        ],
    };
    assert_eq!(catalog.apply(&change), []);
    assert_eq!(catalog.revision, Revision(7));
    let scope = Scope::Account(account(ONE));
    let ids = |catalog: &Catalog| -> Vec<u64> {
        catalog
            .within::<ServiceNetwork>(&scope)
            .map(|entry| entry.value.id.number())
            .collect()
    };
    assert_eq!(ids(&catalog), [1, 2]);
    assert_eq!(catalog.count::<ServiceNetwork>(&scope), 2);
    let found = catalog.named::<ServiceNetwork>(&scope, "shop").unwrap();
    assert_eq!(found.value.id.number(), 1);
    let renamed = Change {
        revision: Revision(8),
        writes: vec![written(&network(1, ONE, "other"))],
    };
    catalog.apply(&renamed);
    assert!(catalog.named::<ServiceNetwork>(&scope, "shop").is_none());
    let gone = Change {
        revision: Revision(9),
        writes: vec![Write {
            key: written(&network(1, ONE, "other")).key,
            value: None,
        }],
    };
    catalog.apply(&gone);
    assert_eq!(ids(&catalog), [2]);
    let dirty = catalog.take_dirty();
    let unit = |number| Unit::Network(ServiceNetworkId::from_number(number));
    assert_eq!(dirty, [unit(1), unit(2), unit(3)].into());
    assert!(catalog.take_dirty().is_empty());
}

#[test]
fn what_is_shared_is_visible_in_the_order_of_ids() {
    let mut catalog = Catalog::default();
    for number in 1..=6 {
        let owner = if number % 2 == 0 { ONE } else { TWO };
        let mut network = network(number, owner, &format!("n{number}x"));
        if number != 3 {
            network.sharing.by_policy.insert(account(ONE));
        }
        catalog.declare(network, "a.yaml");
    }
    let visible = |after: Option<u64>| -> Vec<u64> {
        let after = after.map(ServiceNetworkId::from_number);
        ServiceNetwork::table(&catalog)
            .visible(&account(ONE), after)
            .map(|entry| entry.value.id.number())
            .collect()
    };
    assert_eq!(visible(None), [1, 2, 4, 5, 6]);
    assert_eq!(visible(Some(2)), [4, 5, 6]);
    assert_eq!(visible(Some(6)), [] as [u64; 0]);
}

#[test]
fn files_are_replaced_and_the_store_stays() {
    let mut catalog = Catalog::default();
    let change = Change {
        revision: Revision(1),
        writes: vec![written(&network(1, ONE, "of-the-api"))],
    };
    catalog.apply(&change);
    catalog.declare(network(2, ONE, "of-a-file"), "a.yaml");
    let owner = |catalog: &Catalog, number| {
        let id = ServiceNetworkId::from_number(number);
        catalog
            .find::<ServiceNetwork>(id)
            .map(|entry| entry.owner.clone())
    };
    assert_eq!(owner(&catalog, 1), Some(Owner::Api));
    assert_eq!(owner(&catalog, 2), Some(Owner::File("a.yaml".into())));
    catalog.forget_files();
    assert_eq!(owner(&catalog, 1), Some(Owner::Api));
    assert_eq!(owner(&catalog, 2), None);
}

#[test]
fn what_cannot_be_read_is_told_and_left_out() {
    let mut catalog = Catalog::default();
    let bad = |key: &str, value: &str| Write {
        key: key.to_owned(),
        value: Some(value.as_bytes().to_vec()),
    };
    let change = Change {
        revision: Revision(1),
        writes: vec![
            bad("service-network/sn-00000000000000009", "not JSON"),
            bad("service-network/sn-00000000000000008", r#"{"name":"x"}"#),
            bad("name/service-network/x/y", "anything"),
            bad("of-a-later-version/x", "anything"),
            written(&network(1, ONE, "fine")),
        ],
    };
    let told: Vec<String> = catalog
        .apply(&change)
        .into_iter()
        .map(|one| one.key)
        .collect();
    assert_eq!(
        told,
        [
            "service-network/sn-00000000000000009",
            "service-network/sn-00000000000000008"
        ]
    );
    assert!(
        catalog
            .find::<ServiceNetwork>(ServiceNetworkId::from_number(1))
            .is_some()
    );
}
