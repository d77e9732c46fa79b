//! Cookies: which say what, and what nobody can learn or make.

use std::{collections::HashSet, sync::Arc};

use trellis_model::config::Stickiness;
use trellis_target_groups::TargetKey;

use super::{Cookies, Key};
use crate::registry::tests::{address, group};

fn cookies(name: &str, duration: Option<u64>, key: &Arc<Key>) -> Cookies {
    let mut config = group(name, 1..=50);
    Arc::make_mut(&mut config.balancing).stickiness = Some(Stickiness {
        cookie_name: "session".into(),
        duration: duration.map(std::time::Duration::from_secs),
    });
    Cookies::of(&config, key).unwrap()
}

fn key() -> Arc<Key> {
    Arc::new(Key::of_bytes(b"a secret"))
}

fn target(number: u16) -> TargetKey {
    TargetKey::new(&address(number).ip().to_string(), address(number))
}

/// What stands in the cookie of a target.
fn value(cookies: &Cookies, number: u16) -> String {
    let field = cookies.set(&target(number), false).unwrap();
    let field = field.to_str().unwrap().to_owned();
    let pair = field.split(';').next().unwrap().to_owned();
    pair.strip_prefix("session=").unwrap().to_owned()
}

#[test]
fn a_group_that_keeps_nobody_has_no_cookies() {
    assert!(Cookies::of(&group("orders", [1]), &key()).is_none());
}

#[test]
fn a_cookie_leads_back_to_its_target() {
    let cookies = cookies("orders", None, &key());
    for number in 1..=50 {
        let value = value(&cookies, number);
        assert_eq!(cookies.target(value.as_bytes()), Some(target(number)));
    }
}

#[test]
fn attributes_are_those_of_the_connection_and_the_duration() {
    let (session, lasting) = (
        cookies("orders", None, &key()),
        cookies("orders", Some(60), &key()),
    );
    let field = |cookies: &Cookies, tls| {
        let field = cookies.set(&target(1), tls).unwrap();
        let field = field.to_str().unwrap();
        field.split_once("; ").unwrap().1.to_owned()
    };
    assert_eq!(field(&session, false), "Path=/; HttpOnly");
    assert_eq!(field(&session, true), "Path=/; HttpOnly; Secure");
    assert_eq!(
        field(&lasting, true),
        "Path=/; HttpOnly; Max-Age=60; Secure"
    );
    assert!(lasting.are_renewed() && !session.are_renewed());
}

#[test]
fn nothing_but_a_whole_label_of_the_group_leads_anywhere() {
    let cookies = cookies("orders", None, &key());
    let value = value(&cookies, 1);
    let mut changed = value.clone().into_bytes();
    changed[0] ^= 1;
    let address = address(1).to_string();
    for wrong in [
        &b""[..],
        &value.as_bytes()[1..],
        &value.as_bytes()[..21],
        format!("{value}=").as_bytes(),
        &changed,
        address.as_bytes(),
        b"10.0.0.1",
        b"\xff\xfe",
        &[b'A'; 22],
    ] {
        assert_eq!(cookies.target(wrong), None, "{wrong:?}");
    }
}

/// Another group, another key: each makes labels that say nothing elsewhere, although the target is the same.
#[test]
fn labels_are_of_one_group_and_one_key() {
    let other = Arc::new(Key::of_bytes(b"another secret"));
    let all = [
        cookies("orders", None, &key()),
        cookies("stock", None, &key()),
        cookies("orders", None, &other),
    ];
    let labels: HashSet<String> = all
        .iter()
        .flat_map(|cookies| (1..=50).map(|number| value(cookies, number)))
        .collect();
    assert_eq!(labels.len(), 150);
    assert!(labels.iter().all(|label| label.len() == 22));
    assert_eq!(all[1].target(value(&all[0], 1).as_bytes()), None);
    assert_eq!(all[2].target(value(&all[0], 1).as_bytes()), None);
    // The same on every node and after every restart.
    let again = cookies("orders", None, &key());
    assert_eq!(value(&again, 7), value(&all[0], 7));
}

#[test]
fn a_target_that_is_gone_gets_no_cookie() {
    assert_eq!(cookies("orders", None, &key()).set(&target(51), true), None);
}

#[test]
fn keys_are_not_shown() {
    assert_eq!(format!("{:?}", key()), "Key(redacted)");
}
