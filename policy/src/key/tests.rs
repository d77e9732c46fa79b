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
    check("aws:referer", Ok(Key::RequestHeader("referer".into())));
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
    check("aws:TagKey", Err(Some("aws:TagKeys")));
    check("vpc-lattice-svc:Port", Err(Some("vpc-lattice-svcs:Port")));
    check("VPC-Lattice-SVCS:X", Err(Some("vpc-lattice-svcs:Port")));
    check("prefix", Err(None));
    check("s3:", Err(None));
    check(":prefix", Err(None));
    check("s 3:prefix", Err(None));
    check("aws:RequestTag/", Err(Some("aws:ResourceTag/")));
    check("", Err(None));
    check("é", Err(None));
}

#[test]
fn keys_about_what_no_request_has_are_known_as_such() {
    for text in [
        "s3:prefix",
        "vpc-lattice:AuthType",
        "aws:MultiFactorAuthPresent",
        "AWS:tagkeys",
        "aws:RequestTag/team",
        "kms:EncryptionContext:a/b",
    ] {
        check(text, Ok(Key::Absent));
    }
}
