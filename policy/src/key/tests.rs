use super::*;

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "reads better in a table")]
fn check(text: &str, expected: Result<Key, Option<&'static str>>) {
    assert_eq!(
        Key::parse(text).map_err(|error| error.nearest),
        expected,
        "{text}"
    );
}

#[test]
fn names_of_the_service_are_case_sensitive_and_global_ones_are_not() {
    check("vpc-lattice-svcs:Port", Ok(Key::Port));
    check("vpc-lattice-svcs:port", Err(Some("vpc-lattice-svcs:Port")));
    check("aws:sourceip", Ok(Key::SourceIp));
    check("AWS:PrincipalOrgId", Ok(Key::PrincipalOrgId));
    check("aws:SourceVpc", Ok(Key::SourceVpc));
    check("vpc-lattice-svcs:SourceVpc", Ok(Key::SourceVpc));
    check("aws:UserAgent", Ok(Key::RequestHeader("user-agent".into())));
}

#[test]
fn variable_parts_keep_the_case_that_matters() {
    check(
        "vpc-lattice-svcs:RequestHeader/X-Team",
        Ok(Key::RequestHeader("x-team".into())),
    );
    check(
        "vpc-lattice-svcs:RequestQueryString/Type",
        Ok(Key::RequestQueryString("Type".into())),
    );
    check(
        "aws:principaltag/Team",
        Ok(Key::PrincipalTag("team".into())),
    );
    check("aws:ResourceTag/Env", Ok(Key::ResourceTag("env".into())));
    check(
        "vpc-lattice-svcs:RequestHeader/",
        Err(Some("vpc-lattice-svcs:RequestHeader/")),
    );
}

#[test]
fn what_is_not_known_is_refused_with_the_nearest() {
    check("aws:SourceIps", Err(Some("aws:SourceIp")));
    check("s3:prefix", Err(None));
    check("", Err(None));
    check("é", Err(None));
}
