use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn table(names: &[&str]) -> HostTable {
    HostTable::build(entries(names.iter().copied())).unwrap()
}

fn entries<'a>(
    names: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = (DomainName, ServiceIndex)> {
    names
        .map(|name| name.parse().unwrap())
        .zip((0..).map(ServiceIndex))
}

fn check(names: &[&str], host: &str, found: Option<u32>) {
    let service = table(names).find(host.as_bytes());
    assert_eq!(service.map(|service| service.0), found, "{host}");
}

#[test]
fn a_name_is_found_in_any_case_and_with_a_trailing_dot() {
    let names = ["orders.shop.test", "stock.shop.test"];
    check(&names, "orders.shop.test", Some(0));
    check(&names, "stock.shop.test", Some(1));
    check(&names, "Stock.SHOP.test", Some(1));
    check(&names, "stock.shop.test.", Some(1));
}

#[test]
fn what_is_no_name_of_the_table_is_not_found() {
    let names = ["orders.shop.test", "stock.shop.test"];
    for stranger in [
        "",
        ".",
        "orders.shop.test..",
        ".orders.shop.test",
        "orders.shop.tes",
        "orders.shop.test2",
        "rders.shop.test",
        "orders",
        "orders.shop.test:80",
        "[::1]",
        "órders.shop.test",
    ] {
        check(&names, stranger, None);
    }
    check(&names, &"a".repeat(60_000), None);
    check(&[], "orders.shop.test", None);
}

#[test]
fn the_longest_name_is_found() {
    let longest = format!("{}a", "a.".repeat(127));
    check(&[&longest], &longest, Some(0));
    check(&[&longest], &format!("{longest}."), Some(0));
    check(&[&longest], &format!("{longest}a"), None);
}

#[test]
fn a_name_given_twice_is_refused_with_both_services() {
    let duplicate = HostTable::build(entries(
        ["b.test", "a.test", "c.test", "a.test"].into_iter(),
    ))
    .unwrap_err();
    assert_eq!((duplicate.first.0, duplicate.second.0), (1, 3));
    assert_eq!(
        duplicate.to_string(),
        "`a.test` is the name of two services"
    );
}

#[test]
fn names_chosen_to_collide_under_one_seed_are_spread_by_another() {
    let first_seed = SharedSeed::from_u64(1);
    let names: Vec<String> = (0..)
        .map(|number| format!("svc-{number}.shop.test"))
        .filter(|name| bucket_of(hash_of(name.as_bytes(), &first_seed), 64) == 0)
        .take(64)
        .collect();
    let table = table(&names.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(longest_bucket(&table.starts) <= BUCKET_LIMIT);
    for (number, name) in (0..).zip(&names) {
        assert_eq!(table.find(name.as_bytes()), Some(ServiceIndex(number)));
    }
}

#[test]
fn ten_thousand_services_need_few_bytes() {
    let names: Vec<String> = (0..20_000)
        .map(|number| format!("svc-{number}.shop.test"))
        .collect();
    let table = HostTable::build(entries(names.iter().map(String::as_str))).unwrap();
    let bytes = size_of_val(&*table.hosts) + size_of_val(&*table.starts);
    assert!(bytes <= 32 * names.len(), "{bytes}");
}

proptest! {
    #[test]
    fn agrees_with_a_map_of_names(
        names in proptest::collection::btree_map("[ab]{1,3}\\.[ab]{1,2}", any::<u32>(), 0..60),
        hosts in proptest::collection::vec("[aAbB]{1,3}\\.[abB]{1,2}\\.{0,2}", 50),
    ) {
        let table = HostTable::build(names.iter().map(|(name, service)| {
            (name.parse().unwrap(), ServiceIndex(*service))
        })).unwrap();
        let oracle = |host: &str| -> Option<ServiceIndex> {
            let names: &BTreeMap<String, u32> = &names;
            let found = names.iter().find(|(name, _)| {
                let host = host.to_lowercase();
                host == **name || host == format!("{name}.")
            });
            found.map(|(_, service)| ServiceIndex(*service))
        };
        for host in &hosts {
            prop_assert_eq!(table.find(host.as_bytes()), oracle(host), "{}", host);
        }
        for name in names.keys() {
            prop_assert_eq!(table.find(name.as_bytes()), oracle(name));
        }
    }
}
