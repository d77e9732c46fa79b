mod conditions;

use trellis_model::problem::Severity;

use super::*;
use crate::world::{policy, statement};

/// Every problem as `line path: message`, warnings marked.
fn problems(text: &str, attached: Attached) -> Vec<String> {
    let problems = match read(&policy(text), attached, None) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    };
    problems
        .iter()
        .map(|problem| {
            let mark = if problem.severity == Severity::Warning {
                "warning: "
            } else {
                ""
            };
            let line = problem.place.line.unwrap_or(0);
            format!("{line} {}: {mark}{}", problem.place.path, problem.message)
        })
        .collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(problems(text, Attached::ToResource), expected, "{text}");
}

/// One statement with everything that it needs, and `more`.
fn with(more: &str) -> String {
    statement(&format!(
        r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*",{more}"#
    ))
}

#[test]
fn all_problems_of_a_policy_are_reported_at_once_with_their_places() {
    let text = r#"{"Version": "2020-01-01", "Extra": 1, "Statement": [
        {"Sid": "A", "Effect": "allow", "Principal": {"AWS": ["arn:aws:iam::111122223333:role/*", "bob"]},
         "Action": "Invoke", "Resource": "/rates", "Effects": 1},
        {"Sid": "A", "Effect": "Deny", "Principal": "*", "NotPrincipal": "*", "Action": "*", "Resource": ["*", 5],
         "Condition": {"StringEqual": {"aws:SourceIps": "x"}, "DateLessThan": {"aws:CurrentTime": "2020-01-32"},
                       "IpAddress": {"aws:SourceIp": ["10.0.0.0/33", "10.0.0.1"]}, "Bool": {"aws:SecureTransport": "yes"},
                       "NumericEquals": {"vpc-lattice-svcs:Port": [80, "eighty"]}}}
    ]}"#;
    check(
        text,
        &[
            "1 Version: version `2020-01-01` does not exist",
            "1 Extra: `Extra` is not known here",
            "3 Statement[0].Effects: `Effects` is not known here",
            "2 Statement[0].Effect: statement `A`: `allow` is not an effect",
            "2 Statement[0].Principal.AWS[0]: statement `A`: `arn:aws:iam::111122223333:role/*` is not a principal",
            "3 Statement[0].Action: statement `A`: `Invoke` is not an action",
            "3 Statement[0].Resource: statement `A`: `/rates` is not a resource",
            "4 Statement[1].NotPrincipal: statement `A`: `Principal` and `NotPrincipal` exclude each other",
            "4 Statement[1].Resource[1]: statement `A`: a number where a text should be",
            "5 Statement[1].Condition.StringEqual: statement `A`: `StringEqual` is not a condition operator",
            "5 Statement[1].Condition.StringEqual.aws:SourceIps: statement `A`: `aws:SourceIps` is not a condition key",
            "5 Statement[1].Condition.DateLessThan.aws:CurrentTime: statement `A`: `2020-01-32` is not a date such as `2026-11-25T12:00:00Z`, or seconds since 1970",
            "6 Statement[1].Condition.IpAddress.aws:SourceIp[0]: statement `A`: `10.0.0.0/33` is not an address or a range such as `10.0.0.0/8`",
            "6 Statement[1].Condition.Bool.aws:SecureTransport: statement `A`: `yes` is not `true` or `false`",
            "7 Statement[1].Condition.NumericEquals.vpc-lattice-svcs:Port[1]: statement `A`: `eighty` is not a number: digits, with a point if need be",
            "4 Statement[1]: `Sid` `A` is taken by an earlier statement",
        ],
    );
}

#[test]
fn a_member_written_twice_is_refused_wherever_it_is() {
    check(
        &with(r#""Action":"*""#),
        &["1 Statement[0].Action: `Action` is written twice"],
    );
    check(
        &with(r#""Condition":{"Null":{"aws:username":"true"},"Null":{"aws:SourceIp":"true"}}"#),
        &["1 Statement[0].Condition.Null: `Null` is written twice"],
    );
    check(
        &with(r#""Condition":{"Null":{"aws:username":"true","aws:username":"false"}}"#),
        &["1 Statement[0].Condition.Null.aws:username: `aws:username` is written twice"],
    );
    check(
        r#"{"Statement":[],"Statement":[]}"#,
        &[
            "1 Statement: `Statement` is written twice",
            "1 Statement: warning: the policy has no statement",
            "1 Statement: warning: the policy has no statement",
        ],
    );
}

#[test]
fn missing_elements_are_named() {
    check(
        r#"{"Version":"2012-10-17"}"#,
        &["1 : `Statement` is missing"],
    );
    check(
        r#"{"Statement":{}}"#,
        &[
            "1 Statement: `Effect` is missing",
            "1 Statement: `Principal` is missing",
            "1 Statement: `Action` is missing",
            "1 Statement: `Resource` is missing",
        ],
    );
    check("[]", &["1 : a list where a policy should be"]);
    check(
        "{\"Statement\":\n[}",
        &["2 : not JSON: `}` where a value should be"],
    );
}

#[test]
fn principals_belong_to_resources_only() {
    let own = r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    assert_eq!(problems(own, Attached::ToIdentity), Vec::<String>::new());
    check(own, &["1 Statement[0]: `Principal` is missing"]);
    let resource = statement(r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*""#);
    check(&resource, &[]);
    assert_eq!(
        problems(&resource, Attached::ToIdentity),
        ["1 Statement[0].Principal: a policy of a user or role names no principal"]
    );
}

#[test]
fn every_form_of_principal_is_read() {
    let principal = |form: &str| {
        statement(&format!(
            r#""Effect":"Deny","Principal":{form},"Action":"*","Resource":"*""#
        ))
    };
    for good in [
        r#""*""#,
        r#""111122223333""#,
        r#"["111122223333","*"]"#,
        r#"{"AWS":"*"}"#,
        r#"{"AWS":"111122223333"}"#,
        r#"{"AWS":["arn:aws:iam::111122223333:root","arn:aws-cn:iam::111122223333:user/path/bob"]}"#,
        r#"{"AWS":"arn:aws:iam::111122223333:role/service-role/reader"}"#,
        r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/reader/night@home"}"#,
    ] {
        check(&principal(good), &[]);
    }
    for bad in [
        r#""bob""#,
        r#"{"AWS":"1111"}"#,
        r#"{"AWS":"arn:aws:iam::1111:root"}"#,
        r#"{"AWS":"arn:aws:iam::111122223333:user/"}"#,
        r#"{"AWS":"arn:aws:iam::111122223333:group/admins"}"#,
        r#"{"AWS":"arn:aws:iam::111122223333:user/b*"}"#,
        r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/reader"}"#,
        r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/a/b/c"}"#,
        r#"{"AWS":"arn:aws:iam:us-west-2:111122223333:root"}"#,
        r#"{"AWS":5}"#,
        r#"{"Aws":"*"}"#,
        "5",
    ] {
        assert_eq!(
            problems(&principal(bad), Attached::ToResource).len(),
            1,
            "{bad}"
        );
    }
    check(
        &principal(r#"{"Service":"ec2.amazonaws.com"}"#),
        &[
            "1 Statement[0].Principal.Service: warning: a principal of type `Service` never calls a service",
        ],
    );
    let allow = r#""Effect":"Allow","NotPrincipal":"111122223333","Action":"*","Resource":"*""#;
    check(
        &statement(allow),
        &["1 Statement[0].NotPrincipal: `NotPrincipal` cannot be used with `Allow`"],
    );
    let everybody = r#""Effect":"Deny","NotPrincipal":"*","Action":"*","Resource":"*""#;
    check(
        &statement(everybody),
        &["1 Statement[0].NotPrincipal: `NotPrincipal` excepts everybody"],
    );
}

#[test]
fn actions_and_resources_that_cannot_be_are_reported() {
    let action = |form: &str| {
        statement(&format!(
            r#""Effect":"Allow","Principal":"*","Action":{form},"Resource":"*""#
        ))
    };
    check(
        &action(r#"["vpc-lattice-svcs:invoke","*","vpc-lattice-svcs:*","vpc-*:?nvoke"]"#),
        &[],
    );
    check(
        &action(r#""vpc-lattice-svcs:Invok""#),
        &[
            "1 Statement[0].Action: warning: `vpc-lattice-svcs:Invok` names no action that a request can have",
        ],
    );
    check(
        &action("[]"),
        &["1 Statement[0].Action: warning: the list is empty"],
    );
    for bad in [
        r#""""#,
        r#"":x""#,
        r#""a:""#,
        r#""a:b:c""#,
        r#""${a}:b""#,
        "true",
    ] {
        assert_eq!(
            problems(&action(bad), Attached::ToResource).len(),
            1,
            "{bad}"
        );
    }
    let resource = |form: &str| {
        statement(&format!(
            r#""Effect":"Allow","Principal":"*","Action":"*","Resource":{form}"#
        ))
    };
    check(
        &resource(
            r#"["*","*/rates","*/*","arn:aws:vpc-lattice:*:*:service/svc-0123456789abcdef0/api.parking/GetRates","?rn:*"]"#,
        ),
        &[],
    );
    for bad in [r#""rates""#, r#""/rates""#, r#""""#, "{}"] {
        assert_eq!(
            problems(&resource(bad), Attached::ToResource).len(),
            1,
            "{bad}"
        );
    }
}

#[test]
fn forms_that_iam_does_not_have_are_refused() {
    check(
        &with(r#""Condition":{"NullIfExists":{"aws:username":"true"}}"#),
        &["1 Statement[0].Condition.NullIfExists: `Null` cannot have `IfExists`"],
    );
    check(
        &with(r#""Condition":{"ForAllValues:Null":{"aws:username":"true"}}"#),
        &["1 Statement[0].Condition.ForAllValues:Null: `Null` cannot have a prefix"],
    );
    check(
        &with(r#""Condition":{"StringEquals":{"aws:username":[]}}"#),
        &["1 Statement[0].Condition.StringEquals.aws:username: a condition without values"],
    );
    check(
        &with(r#""Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*"}}"#),
        &[
            "1 Statement[0].Condition.ArnLike.aws:PrincipalArn: `arn:aws:iam::*` is not an ARN of six parts, `arn:partition:service:region:account:resource`, each with wildcards if need be",
        ],
    );
}

#[test]
fn a_policy_within_a_document_names_the_line_of_the_document() {
    let mut text = policy(r#"{"Statement":5}"#);
    text.place = Place {
        path: "services[0].authPolicy".to_owned(),
        line: Some(12),
        ..text.place
    };
    let problems = read(&text, Attached::ToResource, None).unwrap_err();
    assert_eq!(problems[0].place.line, Some(12));
    assert_eq!(problems[0].place.path, "services[0].authPolicy.Statement");
}

#[test]
fn hostile_policies_cost_little() {
    let long = with(&format!(r#""Sid":"{}""#, "x".repeat(MAX_LENGTH)));
    assert_eq!(problems(&long, Attached::ToResource).len(), 1);
    let deep = format!("{}{}", "{\"Statement\":[".repeat(5_000), "]}".repeat(5_000));
    assert_eq!(problems(&deep, Attached::ToResource).len(), 1);
    let conditions: Vec<String> = (0..300)
        .map(|n| format!(r#""vpc-lattice-svcs:RequestHeader/h{n}":"v""#))
        .collect();
    let many = with(&format!(
        r#""Condition":{{"StringEquals":{{{}}}}}"#,
        conditions.join(",")
    ));
    check(
        &many,
        &["1 Statement[0].Condition: the statement has 300 conditions"],
    );
}

#[test]
fn empty_lists_are_reported_and_their_negations_refused() {
    let body = |principal: &str, action: &str, resource: &str| {
        statement(&format!(
            r#""Effect":"Deny",{principal},{action},{resource}"#
        ))
    };
    let (everybody, all, everywhere) =
        (r#""Principal":"*""#, r#""Action":"*""#, r#""Resource":"*""#);
    let never = "the list is empty";
    for (text, expected) in [
        (
            body(everybody, r#""Action":[]"#, everywhere),
            format!("Action: warning: {never}"),
        ),
        (
            body(everybody, all, r#""Resource":[]"#),
            format!("Resource: warning: {never}"),
        ),
        (
            body(everybody, r#""NotAction":[]"#, everywhere),
            format!("NotAction: {never}"),
        ),
        (
            body(everybody, all, r#""NotResource":[]"#),
            format!("NotResource: {never}"),
        ),
        (
            body(r#""Principal":{"AWS":[]}"#, all, everywhere),
            "Principal: warning: `Principal` names nobody".to_owned(),
        ),
        (
            body(r#""Principal":{}"#, all, everywhere),
            "Principal: warning: `Principal` names nobody".to_owned(),
        ),
        (
            body(r#""Principal":[]"#, all, everywhere),
            "Principal: warning: `Principal` names nobody".to_owned(),
        ),
        (
            body(r#""NotPrincipal":{"AWS":[]}"#, all, everywhere),
            "NotPrincipal: `NotPrincipal` excepts nobody".to_owned(),
        ),
        (
            body(r#""NotPrincipal":{}"#, all, everywhere),
            "NotPrincipal: `NotPrincipal` excepts nobody".to_owned(),
        ),
    ] {
        check(&text, &[&format!("1 Statement[0].{expected}")]);
    }
}

#[test]
fn an_empty_sid_names_nothing_and_may_come_again() {
    let one = r#"{"Sid":"","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}"#;
    check(&format!(r#"{{"Statement":[{one},{one}]}}"#), &[]);
}

#[test]
fn an_unknown_kind_of_principal_has_its_place_and_a_hint() {
    let text = statement(r#""Effect":"Deny","Principal":{"Aws":"*"},"Action":"*","Resource":"*""#);
    let problems = read(&policy(&text), Attached::ToResource, None).unwrap_err();
    assert_eq!(problems[0].place.path, "Statement[0].Principal.Aws");
    assert_eq!(problems[0].hint.as_deref(), Some("write `AWS`"));
}

#[test]
fn a_statement_that_another_one_denies_whole_is_warned_about() {
    let policy = |allow: &str, deny: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow",{allow}}},{{"Sid":"No","Effect":"Deny",{deny}}}]}}"#
        )
    };
    let warning =
        "1 Statement[0]: warning: all that the statement allows is denied by statement `No`";
    let allow = r#""Principal":{"AWS":["111122223333"]},"Action":"vpc-lattice-svcs:Invoke","Resource":["arn:aws:vpc-lattice:*:*:service/a/x?","*/rates"],"Condition":{"Null":{"aws:username":"false"}}"#;
    let narrow = r#""Principal":{"AWS":["111122223333"]},"Action":"vpc-lattice-svcs:Invoke","Resource":"arn:aws:vpc-lattice:us-west-2:111122223333:service/a/*""#;
    for deny in [
        r#""Principal":"*","Action":"*","Resource":"*""#,
        r#""Principal":{"AWS":["444455556666","arn:aws:iam::111122223333:root"]},"NotAction":"vpc-lattice-svcs:Connect","Resource":["arn:aws:vpc-lattice:*","*/rates"]"#,
    ] {
        check(&policy(allow, deny), &[warning]);
        check(&policy(narrow, deny), &[warning]);
    }
    for deny in [
        r#""Principal":"*","Action":"*","Resource":"*","Condition":{"Null":{"aws:username":"false"}}"#,
        r#""Principal":{"AWS":"arn:aws:iam::111122223333:user/checkout"},"Action":"*","Resource":"*""#,
        r#""NotPrincipal":{"AWS":"444455556666"},"Action":"*","Resource":"*""#,
        r#""Principal":"*","Action":"vpc-lattice-svcs:Connect","Resource":"*""#,
        r#""Principal":"*","Action":"*","Resource":"*/rate?""#,
        r#""Principal":"*","Action":"*","NotResource":"*/rates""#,
        r#""Principal":"*","Action":"*","Resource":"*${aws:username}""#,
    ] {
        check(&policy(allow, deny), &[]);
    }
}

#[test]
fn a_principal_that_nobody_is_is_warned_about() {
    let signers = Signers::of(&crate::world::config());
    let problems = |principal: &str| {
        let text = statement(&format!(
            r#""Effect":"Allow","Principal":{{"AWS":"{principal}"}},"Action":"*","Resource":"*""#
        ));
        let (_, warnings) = read(&policy(&text), Attached::ToResource, Some(&signers)).unwrap();
        warnings
            .into_iter()
            .map(|warning| warning.message)
            .collect::<Vec<_>>()
    };
    for known in [
        "*",
        "111122223333",
        "arn:aws:iam::444455556666:root",
        "arn:aws:iam::111122223333:user/checkout",
        "arn:aws:iam::111122223333:role/reader",
        "arn:aws:sts::111122223333:assumed-role/reader/any",
    ] {
        assert_eq!(problems(known), Vec::<String>::new());
    }
    for unknown in [
        "999999999999",
        "arn:aws:iam::111122223333:user/auditor",
        "arn:aws:iam::444455556666:role/reader",
        "arn:aws:sts::444455556666:assumed-role/reader/any",
    ] {
        assert_eq!(
            problems(unknown),
            [format!("`{unknown}` is nobody in this configuration")]
        );
    }
}
