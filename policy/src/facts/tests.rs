use crate::world::{
    Call,
    Given::{NoPolicy, None as NoneType, Policy},
    policies_with, statement,
};

/// Does a service policy with this condition allow the request?
#[track_caller]
fn check(condition: &str, call: &Call, expected: bool) {
    let text = statement(&format!(
        r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{{{condition}}}"#
    ));
    let policies = policies_with(NoneType, Policy(&text), NoPolicy);
    assert_eq!(
        call.ask(&policies).is_ok(),
        expected,
        "{condition} {call:?}"
    );
}

fn header(operator: &str, value: &str) -> String {
    format!(r#""{operator}":{{"vpc-lattice-svcs:RequestHeader/X-A":"{value}"}}"#)
}

#[test]
fn bytes_that_are_not_utf_8_in_a_header_are_read_as_latin_1() {
    let call = Call::default().header("x-a", b"caf\xe9".to_vec());
    check(&header("StringEquals", "café"), &call, true);
    check(&header("StringLike", "caf?"), &call, true);
    check(&header("StringEquals", "caf"), &call, false);
    check(
        &header("StringEquals", "café"),
        &Call::default().header("x-a", "café"),
        true,
    );
}

#[test]
fn lines_of_one_header_are_joined_with_commas() {
    let call = Call::default().header("x-a", "1").header("x-a", "2");
    check(&header("StringEquals", "1,2"), &call, true);
    check(&header("StringEquals", "1"), &call, false);
    check(&header("StringNotEquals", "1"), &call, true);
}

#[test]
fn query_values_are_decoded_and_repeated_keys_have_several() {
    let any = |value: &str| {
        format!(
            r#""ForAnyValue:StringEquals":{{"vpc-lattice-svcs:RequestQueryString/a b":"{value}"}}"#
        )
    };
    let all = |value: &str| {
        format!(
            r#""ForAllValues:StringEquals":{{"vpc-lattice-svcs:RequestQueryString/a b":"{value}"}}"#
        )
    };
    let call = Call::default().line("GET /?a+b=1&a%20b=%32&c=3");
    check(&any("1"), &call, true);
    check(&any("2"), &call, true);
    check(&any("3"), &call, false);
    check(&all("1"), &call, false);
    check(&all("1"), &Call::default().line("GET /?a+b=1&a+b=1"), true);
    check(&any("%zz"), &Call::default().line("GET /?a+b=%zz"), true);
    check(&any(""), &Call::default().line("GET /?&&a+b"), true);
    // No query at all.
    check(&any("1"), &Call::default(), false);
    check(&all("1"), &Call::default(), true);
}

#[test]
fn a_path_that_is_not_utf_8_is_read_as_its_percent_encoding() {
    let call = Call {
        path: b"/a\xff/\xc3\xa9".to_vec(),
        ..Call::default()
    };
    check(
        r#""StringEquals":{"vpc-lattice-svcs:RequestPath":"/a%FF/é"}"#,
        &call,
        true,
    );
    let text = statement(r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*/a%FF/*""#);
    let policies = policies_with(NoneType, Policy(&text), NoPolicy);
    assert!(call.ask(&policies).is_ok());
    assert!(Call::default().ask(&policies).is_err());
}

#[test]
fn the_root_and_the_asterisk_form_are_resources_with_a_slash() {
    let arn = crate::world::service_arn();
    let text = statement(&format!(
        r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"{arn}/""#
    ));
    let policies = policies_with(NoneType, Policy(&text), NoPolicy);
    assert!(Call::default().line("GET /").ask(&policies).is_ok());
    assert!(Call::default().line("GET /?x").ask(&policies).is_ok());
    assert!(Call::default().line("GET /x").ask(&policies).is_err());
    let text = statement(&format!(
        r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"{arn}/*""#
    ));
    let policies = policies_with(NoneType, Policy(&text), NoPolicy);
    assert!(Call::default().line("OPTIONS *").ask(&policies).is_ok());
}

#[test]
fn hostile_values_are_answered_and_not_kept() {
    let condition = format!(
        r#"{},"StringNotLikeIfExists":{{"vpc-lattice-svcs:RequestQueryString/k":"*a*b*c*"}}"#,
        header("StringNotLike", "*x*y*z*")
    );
    let mut call = Call::default().header("x-a", vec![b'x'; 60_000]);
    call.query = Some(b"k=%&k=a&".repeat(8_000));
    check(&condition, &call, true);
    call.query = Some(vec![0xff; 60_000]);
    call.path = vec![b'/'; 60_000];
    check(&condition, &call, true);
}

#[test]
fn different_requests_never_share_a_cached_decision() {
    // Two headers and a query whose bytes, run together, are the same.
    let text = statement(
        r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*/ok","Condition":{"StringEquals":{
            "vpc-lattice-svcs:RequestHeader/x-a":"ab","vpc-lattice-svcs:RequestHeader/x-b":"c","vpc-lattice-svcs:RequestMethod":"GET"}}"#,
    );
    let policies = policies_with(NoneType, Policy(&text), NoPolicy);
    let good = Call::default()
        .line("GET /ok")
        .header("x-a", "ab")
        .header("x-b", "c");
    assert!(good.ask(&policies).is_ok());
    for other in [
        Call::default()
            .line("GET /ok")
            .header("x-a", "a")
            .header("x-b", "bc"),
        Call::default()
            .line("GET /ok")
            .header("x-a", "ab")
            .header("x-a", "c"),
        Call::default()
            .line("GET /ok")
            .header("x-b", "c")
            .header("x-b", "ab"),
        Call::default()
            .line("GET /no")
            .header("x-a", "ab")
            .header("x-b", "c"),
        Call::default()
            .line("POST /ok")
            .header("x-a", "ab")
            .header("x-b", "c"),
        Call::default().line("GET /ok").header("x-a", "ab"),
        Call::default().line("GET /ok"),
    ] {
        assert!(other.ask(&policies).is_err(), "{other:?}");
    }
    assert!(good.ask(&policies).is_ok());
}

#[test]
fn crumbs_of_a_cookie_are_one_cookie() {
    let cookie = |value: &str| {
        format!(r#""StringEquals":{{"vpc-lattice-svcs:RequestHeader/Cookie":"{value}"}}"#)
    };
    let crumbs = Call::default()
        .header("cookie", "a=1")
        .header("cookie", "b=2");
    check(&cookie("a=1; b=2"), &crumbs, true);
    check(&cookie("a=1,b=2"), &crumbs, false);
    let whole = Call::default().header("cookie", "a=1; b=2");
    check(&cookie("a=1; b=2"), &whole, true);
}

/// HTTP/2 sends the host apart from the headers; a denial of one host must hold there too.
#[test]
fn the_host_is_a_header_in_every_version_of_http() {
    let host = |operator: &str| {
        format!(r#""{operator}":{{"vpc-lattice-svcs:RequestHeader/Host":"orders.test"}}"#)
    };
    let elsewhere = Call {
        authority: "pay.test",
        ..Call::default()
    };
    let version_1 = Call::default().header("host", "orders.test");
    for (call, expected) in [
        (&Call::default(), true),
        (&version_1, true),
        (&elsewhere, false),
    ] {
        check(&host("StringEquals"), call, expected);
        check(&host("StringNotEquals"), call, !expected);
    }
    let native = r#"permit (principal, action == Trellis::Action::"Invoke", resource)
        when { context.headers.hasTag("host") && context.headers.getTag("host") == "orders.test" };"#;
    let named = r#"permit (principal, action == Trellis::Action::"Invoke", resource)
        when { context.headers.hasTag(context.method) && context.headers.getTag(context.method) == "orders.test" };"#;
    for text in [native, named] {
        let policies = policies_with(NoneType, Policy(text), NoPolicy);
        assert!(Call::default().line("host /").ask(&policies).is_ok());
        assert!(elsewhere.clone().line("host /").ask(&policies).is_err());
    }
}
