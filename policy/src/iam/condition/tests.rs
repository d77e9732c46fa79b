use super::{parse_ip, parse_network};
use crate::world::{
    CHECKOUT, Call,
    Given::{None as NoneType, Policy},
    policies_with, statement,
};

/// The header `x-a`, the query parameter `q` and a key that is not there: what does an operator make of each?
/// `expected` is for: a value that compares equal, one that does not, a missing key.
#[track_caller]
fn check(operator: &str, wanted: &str, equal: &str, other: &str, expected: [bool; 3]) {
    let condition = |key: &str| {
        statement(&format!(
            r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{{"{operator}":{{"{key}":{wanted}}}}}"#
        ))
    };
    let own = statement(r#""Effect":"Allow","Action":"*","Resource":"*""#);
    let text = condition("vpc-lattice-svcs:RequestHeader/x-a");
    let policies = policies_with(NoneType, Policy(&text), Policy(&own));
    let got = [
        Call::by(CHECKOUT)
            .header("x-a", equal)
            .ask(&policies)
            .is_ok(),
        Call::by(CHECKOUT)
            .header("x-a", other)
            .ask(&policies)
            .is_ok(),
        Call::by(CHECKOUT).ask(&policies).is_ok(),
    ];
    assert_eq!(got, expected, "{operator} {wanted}");
}

/// Positive operator, its negation, and what both are with every suffix and prefix.
#[track_caller]
fn pair(positive: &str, negated: Option<&str>, wanted: &str, equal: &str, other: &str) {
    let operators = [(positive, true)]
        .into_iter()
        .chain(negated.map(|negated| (negated, false)));
    for (operator, holds) in operators {
        check(operator, wanted, equal, other, [holds, !holds, !holds]);
        check(
            &format!("{operator}IfExists"),
            wanted,
            equal,
            other,
            [holds, !holds, true],
        );
        check(
            &format!("ForAnyValue:{operator}"),
            wanted,
            equal,
            other,
            [holds, !holds, false],
        );
        check(
            &format!("ForAnyValue:{operator}IfExists"),
            wanted,
            equal,
            other,
            [holds, !holds, true],
        );
        check(
            &format!("ForAllValues:{operator}"),
            wanted,
            equal,
            other,
            [holds, !holds, true],
        );
        check(
            &format!("ForAllValues:{operator}IfExists"),
            wanted,
            equal,
            other,
            [holds, !holds, true],
        );
    }
}

#[test]
fn texts_are_compared_by_character_or_without_case_or_with_wildcards() {
    pair(
        "StringEquals",
        Some("StringNotEquals"),
        r#""abc""#,
        "abc",
        "Abc",
    );
    pair(
        "StringEquals",
        Some("StringNotEquals"),
        r#"["x","a*c"]"#,
        "a*c",
        "abc",
    );
    pair(
        "StringEqualsIgnoreCase",
        Some("StringNotEqualsIgnoreCase"),
        r#""aBc""#,
        "AbC",
        "abcd",
    );
    pair(
        "StringLike",
        Some("StringNotLike"),
        r#""a*c""#,
        "abbc",
        "abd",
    );
    pair(
        "StringLike",
        Some("StringNotLike"),
        r#"["x","a?c"]"#,
        "abc",
        "abbc",
    );
    pair(
        "StringLike",
        Some("StringNotLike"),
        r#""a${*}c""#,
        "a*c",
        "abc",
    );
    pair(
        "StringLike",
        Some("StringNotLike"),
        r#""a\\*c""#,
        "a\\xc",
        "axc",
    );
}

#[test]
fn arns_are_compared_part_by_part() {
    for (positive, negated) in [("ArnEquals", "ArnNotEquals"), ("ArnLike", "ArnNotLike")] {
        pair(
            positive,
            Some(negated),
            r#""arn:aws:iam::*:role/r*""#,
            "arn:aws:iam::1:role/reader",
            "arn:aws:iam::1:user/r",
        );
        // A wildcard stays within its part, except in the last.
        pair(
            positive,
            Some(negated),
            r#""arn:aws:*:1:user/x""#.replace("1:user/x", "*:1:user/x").as_str(),
            "arn:aws:iam:r:1:user/x",
            "arn:aws:a:b:c:1:user/x",
        );
        pair(
            positive,
            Some(negated),
            r#""arn:a?s:sns:::a:*""#,
            "arn:aws:sns:::a:b:c",
            "not an arn",
        );
        pair(
            positive,
            Some(negated),
            r#""*""#,
            "a:b:c:d:e:f",
            "a:b:c:d:e",
        );
    }
}

#[test]
fn booleans_and_numbers_are_compared_by_value() {
    pair("Bool", None, r#""true""#, "TRUE", "false");
    pair("Bool", None, "false", "false", "no");
    pair(
        "NumericEquals",
        Some("NumericNotEquals"),
        "10",
        "10.0",
        "11",
    );
    pair(
        "NumericEquals",
        Some("NumericNotEquals"),
        r#"["9007199254740993"]"#,
        "9007199254740993",
        "9007199254740992",
    );
    pair("NumericLessThan", None, "10", "9.99", "10");
    pair("NumericLessThanEquals", None, "10", "10", "10.01");
    pair("NumericGreaterThan", None, "-1", "0", "-1");
    pair("NumericGreaterThanEquals", None, "[5, 100]", "5", "4");
    // What is not a number compares with none.
    pair("NumericEquals", Some("NumericNotEquals"), "10", "10", "ten");
    pair("NumericLessThan", None, "10", "1", "");
}

#[test]
fn addresses_are_compared_with_ranges() {
    pair(
        "IpAddress",
        Some("NotIpAddress"),
        r#""10.0.0.0/8""#,
        "10.255.0.1",
        "11.0.0.1",
    );
    pair(
        "IpAddress",
        Some("NotIpAddress"),
        r#"["192.0.2.1","2001:db8::/32"]"#,
        "2001:db8:1::5",
        "2001:db9::1",
    );
    pair(
        "IpAddress",
        Some("NotIpAddress"),
        r#""10.1.2.3/8""#,
        "::ffff:10.9.9.9",
        "nonsense",
    );
}

#[test]
fn null_asks_whether_the_key_is_there() {
    check("Null", r#""true""#, "x", "", [false, false, true]);
    check("Null", "false", "x", "", [true, true, false]);
    check("Null", r#"["true","false"]"#, "x", "", [true, true, true]);
}

/// Source: IAM user guide, "Multivalued context keys".
#[test]
fn several_values_of_a_key() {
    let own = statement(r#""Effect":"Allow","Action":"*","Resource":"*""#);
    let check = |operator: &str, query: &str, expected: bool| {
        for (name, wanted) in [
            (operator.to_owned(), r#"["a","b"]"#),
            (operator.replace("Equals", "Like"), r#"["?","b"]"#),
        ] {
            let wanted = if name == operator {
                wanted
            } else {
                r#"["a","[ab]","b"]"#
            };
            let text = statement(&format!(
                r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{{"{name}":{{"vpc-lattice-svcs:RequestQueryString/q":{wanted}}}}}"#
            ));
            let policies = policies_with(NoneType, Policy(&text), Policy(&own));
            let call = Call::by(CHECKOUT).line(&format!("GET /?{query}"));
            assert_eq!(call.ask(&policies).is_ok(), expected, "{name} {query}");
        }
    };
    for (query, plain, not, any, any_not, all, all_not) in [
        ("q=a", true, false, true, false, true, false),
        ("q=a&q=b", true, false, true, false, true, false),
        ("q=a&q=c", true, false, true, true, false, false),
        ("q=c&q=d", false, true, false, true, false, true),
        ("q=", false, true, false, true, false, true),
        ("x=a", false, true, false, false, true, true),
    ] {
        check("StringEquals", query, plain);
        check("StringNotEquals", query, not);
        check("ForAnyValue:StringEquals", query, any);
        check("ForAnyValue:StringNotEquals", query, any_not);
        check("ForAllValues:StringEquals", query, all);
        check("ForAllValues:StringNotEquals", query, all_not);
    }
}

#[test]
fn an_ipv4_network_written_in_ipv6_is_one_of_ipv4() {
    let contains = |network: &str, address: &str| {
        parse_network(network)
            .unwrap()
            .contains(&parse_ip(address).unwrap())
    };
    for (network, address, expected) in [
        ("::ffff:10.0.0.0/104", "10.1.2.3", true),
        ("::ffff:10.0.0.0/104", "::ffff:10.1.2.3", true),
        ("::ffff:10.0.0.0/104", "11.0.0.1", false),
        ("::ffff:10.0.0.1", "10.0.0.1", true),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("::ffff:0:0/96", "203.0.113.9", true),
        ("::/0", "10.0.0.1", false),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("10.9.9.9/8", "10.1.2.3", true),
    ] {
        assert_eq!(contains(network, address), expected, "{network} {address}");
    }
    for text in [
        "10.0.0.0/33",
        "10.0.0/8",
        "::/129",
        "010.0.0.1",
        "10.0.0.1/",
        "10.0.0.0/+8",
        " 10.0.0.1",
        "fe80::1%1",
        "",
    ] {
        assert_eq!(parse_network(text), None, "{text}");
    }
}
