//! Heads on their way to targets.

use super::*;

fn head(target: &str, fields: &[(&'static str, &str)]) -> RequestHeader {
    let mut request = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
    for (name, value) in fields {
        request.append_header(*name, *value).unwrap();
    }
    request
}

fn fields(request: &RequestHeader) -> Vec<String> {
    let text =
        |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    request.headers.iter().map(text).collect()
}

#[test]
fn a_head_keeps_everything_but_the_spelling_of_names() {
    for target in ["/", "/a/b?c=%20d", "*", "/%ff//../x"] {
        let mut request = head(target, &[("X-Mixed", "One"), ("x-mixed", "two")]);
        forget_spelling(&mut request).unwrap();
        assert!(!request.has_case());
        assert_eq!(request.raw_path(), target.as_bytes());
        assert_eq!(request.method, http::Method::GET);
        assert_eq!(fields(&request), ["x-mixed: One", "x-mixed: two"]);
    }
}

#[test]
fn a_target_that_its_uri_cannot_give_back_is_refused() {
    for target in ["http://other.test/a", "other.test:443"] {
        assert!(forget_spelling(&mut head(target, &[])).is_err(), "{target}");
    }
}

#[test]
fn what_only_the_gateway_may_say_is_removed_in_every_spelling() {
    let untrusted = [
        "x-amzn-lattice-identity",
        "X_Amzn_Lattice_Network",
        "x.amzn-lattice-anything",
        "x-amzn-source-vpc",
        "x_forwarded_for",
        "x-forwarded-port",
        "X-Forwarded_Proto",
        "x-amz-security-token",
    ];
    let innocent = [
        "x-forwarded-for",
        "x-forwarded-host",
        "x-amzn-trace-id",
        "x",
    ];
    let all: Vec<_> = untrusted
        .iter()
        .chain(&innocent)
        .map(|name| (*name, "v"))
        .collect();
    let mut request = head("/", &all);
    change_headers(&mut request, |headers| {
        strip_untrusted(headers);
        Ok(())
    })
    .unwrap();
    // A removal may change the order among fields of different names, which means nothing (RFC 9110 §5.3).
    let mut left = fields(&request);
    left.sort();
    let mut wanted = innocent.map(|name| format!("{name}: v"));
    wanted.sort();
    assert_eq!(left, wanted);
}

#[test]
fn values_are_joined_in_their_order() {
    let request = head(
        "/",
        &[
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "2.2.2.2, 3.3.3.3"),
        ],
    );
    let client = HeaderValue::from_static("127.0.0.1");
    let line = append_forwarded_for(&request.headers, &client).unwrap();
    assert_eq!(line, "1.1.1.1, 2.2.2.2, 3.3.3.3, 127.0.0.1");
    for (crumbs, whole) in [
        (vec![("cookie", "a=1")], "a=1"),
        (vec![("cookie", "a=1"), ("cookie", "b=2")], "a=1; b=2"),
    ] {
        let mut headers = head("/", &crumbs).headers.clone();
        join_crumbs(&mut headers).unwrap();
        assert_eq!(
            headers.get_all(header::COOKIE).iter().collect::<Vec<_>>(),
            [whole]
        );
    }
}
