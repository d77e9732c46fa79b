use std::net::Ipv6Addr;

use proptest::prelude::*;

use super::*;

fn check(text: &str, host: &str, port: Option<u16>) {
    let parsed = Authority::parse(text.as_bytes());
    let found = parsed.map(|authority| (authority.host(), authority.port()));
    assert_eq!(found, Ok((host.as_bytes(), port)), "{text}");
}

fn check_refused(text: &str, error: AuthorityError) {
    assert_eq!(Authority::parse(text.as_bytes()), Err(error), "{text}");
}

#[test]
fn names_addresses_and_ports_are_read() {
    check("orders.shop.test", "orders.shop.test", None);
    check("orders.shop.test:8080", "orders.shop.test", Some(8080));
    check("Orders.Shop.TEST", "Orders.Shop.TEST", None);
    check("orders.shop.test.", "orders.shop.test", None);
    check("orders.shop.test.:443", "orders.shop.test", Some(443));
    check("a_b-c.d", "a_b-c.d", None);
    check("localhost", "localhost", None);
    check("10.0.0.1", "10.0.0.1", None);
    check("10.0.0.1:1", "10.0.0.1", Some(1));
    check("[::1]", "[::1]", None);
    check("[2001:db8::7]:65535", "[2001:db8::7]", Some(65535));
    check("[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.1]", Some(80));
}

#[test]
fn everything_else_is_refused() {
    for empty in ["", ".", ":", ":80", ".:80", "::1"] {
        check_refused(empty, AuthorityError::Empty);
    }
    for port in [
        "a:",
        "a:0",
        "a:65536",
        "a:080",
        "a:+80",
        "a:-1",
        "a:8 0",
        "a:80 ",
        "a:http",
        "a:1:2",
        "fe80::1",
        "[::1]80",
        "[::1]:",
        "[::1]:0",
        "[::1].",
        "a:99999999999999999999",
    ] {
        check_refused(port, AuthorityError::BadPort);
    }
    for user in [
        "user@a",
        "user:secret@a",
        "@a",
        "a@",
        "user@a:80",
        "user@[::1]",
        "a:80@b",
    ] {
        check_refused(user, AuthorityError::UserInfo);
    }
    for dots in ["..", "a..", "a..b", ".a", "...", "a..:80"] {
        check_refused(dots, AuthorityError::EmptyLabel);
    }
    for address in [
        "[",
        "[]",
        "[::1",
        "[::1%25eth0]",
        "[10.0.0.1]",
        "[v1.a]",
        "[::1::2]",
        "[ ::1]",
        "[a]:80",
    ] {
        check_refused(address, AuthorityError::BadAddress);
    }
}

#[test]
fn the_first_bad_byte_is_named() {
    for (text, byte) in [
        (" a", b' '),
        ("a b", b' '),
        ("a\t", b'\t'),
        ("a\r\n", b'\r'),
        ("a%2eb", b'%'),
        ("a/b", b'/'),
        ("a?b", b'?'),
        ("a#b", b'#'),
        ("a,b", b','),
        ("a\\b", b'\\'),
        ("a]", b']'),
        ("a[::1]", b'['),
        ("caf\u{e9}", 0xc3),
        ("a\0", 0),
        ("*.shop.test", b'*'),
        ("http://a", b'/'),
    ] {
        // A scheme looks like a host with a bad port first.
        if text.contains("://") {
            check_refused(text, AuthorityError::BadPort);
        } else {
            check_refused(text, AuthorityError::BadByte { byte });
        }
    }
}

#[test]
fn a_host_may_have_255_bytes_and_a_port_besides() {
    let longest = format!("{}a", "a.".repeat(127));
    check(&longest, &longest, None);
    check(&format!("{longest}.:65535"), &longest, Some(65535));
    check_refused(
        &format!("{longest}b"),
        AuthorityError::TooLong { length: 256 },
    );
    check_refused(
        &"a".repeat(60_000),
        AuthorityError::TooLong { length: 60_000 },
    );
}

#[test]
fn errors_are_clauses() {
    let texts = [
        ("", "the authority has no host"),
        ("a b", "` ` may not stand in the host of an authority"),
        (
            "a\u{e9}",
            "`\\xc3` may not stand in the host of an authority",
        ),
        ("u@a", "the authority names a user"),
        ("a:x", "the authority has no valid port after the host"),
    ];
    for (text, message) in texts {
        let error = Authority::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let long = Authority::parse(&[b'a'; 300]).unwrap_err();
    assert_eq!(
        long.to_string(),
        "the host of the authority has 300 bytes, more than 255"
    );
}

/// Another reading of the same grammar, on text and from the right.
fn oracle(text: &str) -> Option<(String, Option<u16>)> {
    let is_port = |port: &str| {
        let number: Option<u32> = port.parse().ok();
        number.is_some_and(|number| (1..=65535).contains(&number) && number.to_string() == port)
    };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if is_port(port) => (host, Some(port.parse().unwrap())),
        _ => (text, None),
    };
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        return Some((host.to_owned(), port));
    }
    let mut labels: Vec<&str> = host.split('.').collect();
    if labels.len() > 1 && labels.last() == Some(&"") {
        labels.pop();
    }
    let good = labels.iter().all(|label| {
        !label.is_empty()
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    });
    let host = labels.join(".");
    (good && host.len() <= 255).then_some((host, port))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_the_oracle(text in prop_oneof![
        "[aB1._:@%\\[\\] -]{0,8}",
        "([a-zA-Z0-9_-]{1,9}\\.){0,30}[a-z0-9]{0,3}\\.?(:[0-9]{0,5})?",
        "\\[[0-9a-f:.]{0,12}\\](:[0-9]{1,5})?",
        "\\[::[0-9a-f]{0,4}\\](:[1-9]{1,3})?",
    ]) {
        let parsed = Authority::parse(text.as_bytes());
        let found = parsed.ok().map(|authority| {
            (String::from_utf8(authority.host().to_vec()).unwrap(), authority.port())
        });
        prop_assert_eq!(found, oracle(&text));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(authority) = Authority::parse(&bytes) {
            prop_assert!(bytes.starts_with(authority.host()));
        }
    }
}
