//! Values of conditions and what can be known of them before any request.

use super::*;

/// `Condition` with one operator on one key, and the place of a problem with its value.
fn on(operator: &str, key: &str, value: &str) -> (String, String) {
    let text = with(&format!(
        r#""Condition":{{"{operator}":{{"{key}":{value}}}}}"#
    ));
    (text, format!("1 Statement[0].Condition.{operator}.{key}"))
}

#[test]
fn policy_variables_are_read_and_what_is_none_is_refused() {
    for good in [
        r#""${aws:username}-*""#,
        r#""${*}${?}${$}""#,
        r#""${aws:PrincipalTag/team, 'no ${team} }'}""#,
        r#""${ aws:username ,'it''s'}""#,
        r#""$5 {x} $""#,
    ] {
        let (text, _) = on("StringLike", "aws:username", good);
        check(&text, &[]);
    }
    for bad in [
        "${",
        "${}",
        "${ , 'x'}",
        "${aws:username",
        "${aws:username, x}",
        "${aws:username, 'x}",
        "${aws:username 'x'}",
        "${**}",
    ] {
        let (text, place) = on("StringLike", "aws:username", &format!("\"{bad}\""));
        let problems = problems(&text, Attached::ToResource);
        assert_eq!(problems.len(), 1, "{bad}: {problems:?}");
        assert!(problems[0].starts_with(&place), "{problems:?}");
        assert!(
            problems[0].ends_with("is not a policy variable"),
            "{problems:?}"
        );
    }
    let (text, place) = on("StringEquals", "aws:username", r#""${aws:usernam}""#);
    check(
        &text,
        &[&format!(
            "{place}: `${{aws:usernam}}` is not a policy variable"
        )],
    );
    let (text, place) = on("StringEquals", "aws:username", r#""${s3:prefix}""#);
    check(
        &text,
        &[&format!(
            "{place}: warning: `s3:prefix` is in no request here"
        )],
    );
    // Numbers, dates and the like have none.
    let (text, place) = on(
        "NumericEquals",
        "vpc-lattice-svcs:Port",
        r#""${aws:username}""#,
    );
    assert!(problems(&text, Attached::ToResource)[0].starts_with(&place));
    // In the older version the same text is only a text, which is worth a word.
    let (text, place) = on("StringLike", "aws:username", r#""${aws:username}""#);
    check(
        &text.replace("2012-10-17", "2008-10-17"),
        &[&format!(
            "{place}: warning: `${{aws:username}}` is plain text in version 2008-10-17"
        )],
    );
}

#[test]
fn conditions_whose_outcome_is_known_are_warned_about() {
    let port = "vpc-lattice-svcs:Port";
    for (operator, key, value, why) in [
        (
            "StringEquals",
            "s3:prefix",
            r#""x""#,
            "`s3:prefix` is in no request here",
        ),
        (
            "StringNotEqualsIfExists",
            "aws:TagKeys",
            r#""x""#,
            "`aws:TagKeys` is in no request here",
        ),
        (
            "Null",
            "aws:SourceArn",
            "true",
            "`aws:SourceArn` is in no request here",
        ),
        (
            "IpAddress",
            port,
            r#""10.0.0.0/8""#,
            "no value of `vpc-lattice-svcs:Port` is an address",
        ),
        (
            "NotIpAddress",
            port,
            r#""10.0.0.0/8""#,
            "no value of `vpc-lattice-svcs:Port` is an address",
        ),
        (
            "ForAnyValue:NumericEquals",
            "aws:PrincipalArn",
            "1",
            "no value of `aws:PrincipalArn` is a number",
        ),
        (
            "DateLessThan",
            "aws:SourceIp",
            r#""2026-01-01""#,
            "no value of `aws:SourceIp` is a date",
        ),
        (
            "Bool",
            "aws:PrincipalType",
            "true",
            "no value of `aws:PrincipalType` is `true` or `false`",
        ),
        (
            "ArnLike",
            "vpc-lattice-svcs:SourceVpc",
            r#""*""#,
            "no value of `vpc-lattice-svcs:SourceVpc` is an ARN",
        ),
        (
            "StringEquals",
            "aws:PrincipalType",
            r#"["Robot","user"]"#,
            "no value of `aws:PrincipalType` is `Robot`",
        ),
    ] {
        let (text, place) = on(operator, key, value);
        check(&text, &[&format!("{place}: warning: {why}")]);
    }
}

#[test]
fn conditions_whose_outcome_depends_on_the_request_are_not_warned_about() {
    for (operator, key, value) in [
        ("NumericEquals", "aws:EpochTime", "1"),
        ("DateEquals", "aws:EpochTime", "1"),
        ("NumericEquals", "aws:PrincipalAccount", "1"),
        ("StringEquals", "aws:PrincipalType", r#"["Robot","User"]"#),
        (
            "StringEquals",
            "aws:PrincipalType",
            r#"["Robot","${aws:username}"]"#,
        ),
        // The outcome differs between a missing key and one that is there.
        ("NumericEqualsIfExists", "aws:PrincipalArn", "1"),
        ("ForAllValues:NumericEquals", "aws:PrincipalOrgPaths", "1"),
    ] {
        check(&on(operator, key, value).0, &[]);
    }
    let connect = |key: &str| {
        statement(&format!(
            r#""Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Connect","Resource":"*","Condition":{{"StringLike":{{"{key}":"x"}}}}"#
        ))
    };
    check(
        &connect("vpc-lattice-svcs:RequestPath"),
        &[
            "1 Statement[0].Condition.StringLike.vpc-lattice-svcs:RequestPath: warning: a connection has no `vpc-lattice-svcs:RequestPath`",
        ],
    );
    check(&connect("vpc-lattice-svcs:SourceVpc"), &[]);
    // A statement about other services alone is none of our business.
    let foreign = r#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringLike":{"s3:prefix":"a/*"}}}}"#;
    assert_eq!(
        problems(foreign, Attached::ToIdentity),
        Vec::<String>::new()
    );
}
