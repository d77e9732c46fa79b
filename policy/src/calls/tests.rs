//! What trust policies may say, and what they mean for one caller. Whole calls are tested with the service that takes them.

use std::{sync::Arc, time::UNIX_EPOCH};

use super::*;
use crate::{
    compile,
    world::{self, AUDITOR, CHECKOUT, READER, READER_ROLE, policy},
};

/// The problems of a configuration in which the role `reader` has this trust policy.
fn problems(trust: &str) -> Vec<String> {
    let mut config = world::config();
    Arc::make_mut(&mut config.roles[0]).trust_policy = Some(policy(trust));
    match compile(&config) {
        Ok(policies) => policies
            .warnings()
            .iter()
            .map(ToString::to_string)
            .collect(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn what_a_trust_policy_cannot_mean_is_refused_with_its_place() {
    const ASSUME: &str = r#""Effect":"Allow","Principal":"*","Action":"sts:AssumeRole""#;
    for (statement, told) in [
        (ASSUME.to_owned(), None),
        (
            format!(r#"{ASSUME},"Resource":"*""#),
            Some("a trust policy has no `Resource`"),
        ),
        (
            format!(r#"{ASSUME},"Codition":{{}}"#),
            Some("`Codition` is not known here"),
        ),
        (
            r#""Effect":"Allow","Action":"sts:AssumeRole""#.to_owned(),
            Some("`Principal`"),
        ),
        (
            r#""Effect":"Allow","Principal":"*""#.to_owned(),
            Some("`Action`"),
        ),
        (
            ASSUME.replace("Allow", "Perhaps"),
            Some("`Perhaps` is not an effect"),
        ),
        (
            ASSUME.replace("sts:AssumeRole", "AssumeRole"),
            Some("`AssumeRole` is not an action"),
        ),
        (
            ASSUME.replace("sts:AssumeRole", "s3:Get"),
            Some("`s3:Get` is no way to assume a role here"),
        ),
        (
            ASSUME.replace("Principal", "NotPrincipal"),
            Some("`NotPrincipal`"),
        ),
        (
            r#""Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"Action":"sts:*""#.to_owned(),
            Some("a trust policy has no `NotPrincipal`"),
        ),
        (
            format!(r#"{ASSUME},"Condition":{{"StringEkwals":{{"sts:ExternalId":"1"}}}}"#),
            Some("`StringEkwals`"),
        ),
        (
            format!(
                r#"{ASSUME},"Condition":{{"StringEquals":{{"issuer.test:sub":"1","whatever":"2"}}}}"#
            ),
            None,
        ),
    ] {
        let found = problems(&format!(
            r#"{{"Version":"2012-10-17","Statement":[{{{statement}}}]}}"#
        ));
        match told {
            None => assert!(found.is_empty(), "{statement}: {found:?}"),
            Some(told) => {
                assert!(
                    found.iter().any(|problem| problem.contains(told)),
                    "{statement}: {found:?}"
                );
                assert!(found[0].starts_with("policy.json:1: "), "{found:?}");
            }
        }
    }
}

/// May the caller assume the role `reader`, with this trust and without a policy of its own?
fn may(trust: &str, caller: &str) -> Result<(), CallRefusal> {
    let mut config = world::config();
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{trust}]}}"#);
    Arc::make_mut(&mut config.roles[0]).trust_policy = Some(policy(&text));
    let policies = compile(&config).unwrap_or_else(|problems| panic!("{problems}"));
    let calls = policies.calls();
    let role = calls.role(READER_ROLE).unwrap();
    let mut context = CallContext::new(UNIX_EPOCH, [10, 0, 0, 1].into(), false);
    if caller.contains("oidc-provider") {
        return calls.may_assume(role, CallBy::Federated(caller), "sts:AssumeRole", &context);
    }
    let principal = policies
        .principal(policies.principal_by_arn(caller).unwrap())
        .unwrap();
    context.describe(principal);
    let by = CallBy::Principal {
        principal,
        session_policies: &[],
    };
    calls.may_assume(role, by, "sts:AssumeRole", &context)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_trust_reaches_whom_it_names() {
    let provider = "arn:aws:iam::111122223333:oidc-provider/issuer.test";
    let refused = |by, explicit| Err(CallRefusal { by, explicit });
    let trust = |principal: &str| {
        format!(r#"{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}"#)
    };
    let aws = |arn: &str| trust(&format!(r#"{{"AWS":"{arn}"}}"#));
    let federated = trust(&format!(r#"{{"Federated":"{provider}"}}"#));
    let conditioned = |operator: &str, key: &str, value: &str| {
        let principal = format!(r#""Principal":{{"AWS":"{CHECKOUT}"}}"#);
        format!(
            r#"{{"Effect":"Allow",{principal},"Action":"*","Condition":{{"{operator}":{{"{key}":"{value}"}}}}}}"#
        )
    };
    let deny = |element: &str| {
        format!(
            r#"{{"Effect":"Deny",{element},"Action":"sts:Assume*"}},{}"#,
            aws(CHECKOUT)
        )
    };
    let by = CallLayer::Trust;
    for (trust, caller, wanted) in [
        (aws(CHECKOUT), CHECKOUT, Ok(())),
        (aws(CHECKOUT), AUDITOR, refused(by, false)),
        (aws(READER), READER, Ok(())),
        (aws(READER_ROLE), READER, Ok(())),
        (
            aws("111122223333"),
            CHECKOUT,
            refused(CallLayer::Identity, false),
        ),
        (aws("111122223333"), AUDITOR, refused(by, false)),
        (aws(AUDITOR), AUDITOR, refused(CallLayer::Identity, false)),
        (
            trust("\"*\""),
            CHECKOUT,
            refused(CallLayer::Identity, false),
        ),
        (trust("\"*\""), provider, refused(by, false)),
        (federated.clone(), provider, Ok(())),
        (
            federated.clone(),
            "arn:aws:iam::111122223333:oidc-provider/other.test",
            refused(by, false),
        ),
        (federated, CHECKOUT, refused(by, false)),
        // Denials reach everybody.
        (deny(r#""Principal":"*""#), CHECKOUT, refused(by, true)),
        // Keys are compared without case, values are not.
        (
            conditioned("StringEquals", "AWS:principaltag/TEAM", "web"),
            CHECKOUT,
            Ok(()),
        ),
        (
            conditioned("StringEquals", "aws:PrincipalTag/Team", "WEB"),
            CHECKOUT,
            refused(by, false),
        ),
        (
            conditioned("StringEquals", "aws:PrincipalOrgID", "o-home"),
            CHECKOUT,
            Ok(()),
        ),
        (
            conditioned("StringNotEquals", "aws:PrincipalOrgID", "o-home"),
            CHECKOUT,
            refused(by, false),
        ),
        (
            conditioned("Bool", "aws:SecureTransport", "true"),
            CHECKOUT,
            refused(by, false),
        ),
        (
            conditioned("IpAddress", "aws:SourceIp", "10.0.0.0/8"),
            CHECKOUT,
            Ok(()),
        ),
        (
            conditioned("IpAddress", "aws:SourceIp", "11.0.0.0/8"),
            CHECKOUT,
            refused(by, false),
        ),
        (
            conditioned("Null", "sts:ExternalId", "true"),
            CHECKOUT,
            Ok(()),
        ),
        (
            conditioned("Null", "sts:ExternalId", "false"),
            CHECKOUT,
            refused(by, false),
        ),
        (
            conditioned("StringEquals", "aws:username", "${aws:username}"),
            CHECKOUT,
            Ok(()),
        ),
    ] {
        assert_eq!(may(&trust, caller), wanted, "{caller}: {trust}");
    }
}
