use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};

use super::{native::NativeReader, *};
use crate::{
    iam::read::{Attached, read},
    world::{
        AUDITOR, CHECKOUT, Call,
        Given::{NoPolicy, None as NoneType, Policy},
        READER, policies_with, policy,
    },
};

#[test]
fn the_schema_is_one_that_cedar_takes() {
    let (_, warnings) = Schema::from_cedarschema_str(SCHEMA).unwrap();
    assert_eq!(warnings.count(), 0);
}

/// A policy that has one of everything.
const RICH: &str = r#"{"Version":"2012-10-17","Statement":[
  {"Effect":"Allow","Principal":{"AWS":["111122223333","arn:aws:iam::111122223333:user/checkout","arn:aws:iam::111122223333:role/reader","arn:aws:sts::111122223333:assumed-role/reader/night"]},
   "Action":"vpc-lattice-svcs:Invoke","Resource":["*/rates/*","*/x"],
   "Condition":{
    "StringEquals":{"vpc-lattice-svcs:RequestMethod":["GET","PUT"],"aws:PrincipalTag/Team":"web","vpc-lattice-svcs:RequestHeader/X-A":"\"\\*\n"},
    "StringLikeIfExists":{"aws:username":["a*","b*","c\\*d"],"aws:ResourceTag/env":"p*"},
    "StringNotEqualsIfExists":{"vpc-lattice-svcs:SourceVpc":"vpc-1","aws:PrincipalOrgID":"o-1"},
    "ForAnyValue:StringEquals":{"vpc-lattice-svcs:RequestQueryString/t":["a","b"]},
    "ForAllValues:StringNotEquals":{"aws:PrincipalOrgPaths":["x"]},
    "ForAllValues:StringEquals":{"vpc-lattice-svcs:RequestQueryString/t":["a","b"]},
    "Null":{"aws:EpochTime":"false","aws:SourceIp":false},
    "Bool":{"aws:SecureTransport":"true"},
    "StringEqualsIgnoreCase":{"aws:PrincipalType":"USER"},
    "ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/?heckout"}}},
  {"Effect":"Deny","NotPrincipal":{"AWS":["111122223333","arn:aws:iam::111122223333:user/checkout","arn:aws:iam::111122223333:role/reader","arn:aws:sts::111122223333:assumed-role/reader/night"]},
   "NotAction":"vpc-lattice-svcs:Connect","NotResource":"*/r?tes"}]}"#;

/// IAM policies end in the same words as native ones: with its slots declared, the published schema accepts every translation.
#[test]
fn translations_validate_against_the_published_schema() {
    let (document, _) = read(&policy(RICH), Attached::ToResource, None).unwrap();
    for (id, statement) in document.statements.iter().enumerate() {
        let translation = translate::translate(statement, id).unwrap();
        let slots: Vec<String> = translation
            .slots
            .iter()
            .map(|slot| format!("{}: Bool,", slot.name))
            .collect();
        let schema = SCHEMA.replace("port: Long,", &format!("port: Long, {}", slots.join(" ")));
        let (schema, _) = Schema::from_cedarschema_str(&schema).unwrap();
        let policy = translation.policy().unwrap();
        let set = PolicySet::from_policies([policy.clone()]).unwrap();
        let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
        let text = policy.to_cedar().unwrap();
        assert!(result.validation_passed(), "{result}\n{text}");
        let clauses = policy.to_pst().unwrap().body().clauses().len();
        assert_eq!(translation.clauses.len(), clauses);
    }
}

/// What the syntax tree says about what a policy reads is what the translation wrote down.
#[test]
fn the_reads_of_a_translation_are_found_in_its_syntax_tree() {
    // Slots are attributes that no native policy can name, so the reader of trees does not know them.
    let text = RICH
        .replace("StringEqualsIgnoreCase", "ForAnyValue:StringNotEquals")
        .replace("\"ArnLike\"", "\"StringLike\"")
        .replace('?', "");
    let (document, _) = read(&policy(&text), Attached::ToResource, None).unwrap();
    for (id, statement) in document.statements.iter().enumerate() {
        let translation = translate::translate(statement, id).unwrap();
        assert_eq!(translation.slots.len(), 0);
        let mut found = reads::reads(&translation.template);
        // Implied by the facts about the one header and the one parameter.
        found.remove(&crate::facts::Fact::Headers);
        found.remove(&crate::facts::Fact::Queries);
        let reads = translation.reads.union(&translation.resource_reads);
        assert_eq!(found, reads.cloned().collect());
    }
}

#[track_caller]
fn check(text: &str, call: &Call, expected: bool) {
    let policies = policies_with(
        NoneType,
        Policy(text),
        Policy("permit (principal, action, resource);"),
    );
    assert_eq!(call.ask(&policies).is_ok(), expected, "{text} {call:?}");
}

#[test]
fn native_policies_decide_by_principals_context_headers_and_query() {
    let by = r#"permit (principal in Trellis::Role::"arn:aws:iam::111122223333:role/reader", action == Trellis::Action::"Invoke", resource);"#;
    check(by, &Call::by(READER), true);
    check(by, &Call::by(CHECKOUT), false);
    check(by, &Call::default(), false);
    let account = r#"permit (principal in Trellis::Account::"111122223333", action, resource);"#;
    check(account, &Call::by(READER), true);
    check(account, &Call::by(AUDITOR), false);
    let tag = r#"permit (principal is Trellis::User, action, resource) when { principal.hasTag("Team") && principal.getTag("Team") == "web" };"#;
    check(tag, &Call::by(CHECKOUT), true);
    check(tag, &Call::by(AUDITOR), false);
    let http = r#"permit (principal, action == Trellis::Action::"Invoke", resource)
        when { context.method == "GET" && context.path like "/rates/*" }
        when { context.headers.hasTag("x-team") && context.headers.getTag("x-team") == "web" }
        when { context.query.hasTag("t") && context.query.getTag("t").contains("1") }
        unless { context.sourceIp.isInRange(ip("192.0.2.0/24")) };"#;
    let good = Call::default()
        .line("GET /rates/1?t=1")
        .header("x-team", "web");
    check(http, &good, true);
    check(http, &good.clone().line("GET /rates/1?t=2"), false);
    check(http, &good.clone().line("PUT /rates/1?t=1"), false);
    check(http, &Call::default().line("GET /rates/1?t=1"), false);
    check(
        http,
        &Call {
            source_ip: [192, 0, 2, 9].into(),
            ..good.clone()
        },
        false,
    );
    let service = r#"permit (principal, action, resource) when { resource.hasTag("env") && resource.getTag("env") == "prod" };"#;
    check(service, &Call::default(), true);
    check(&service.replace("prod", "test"), &Call::default(), false);
    let time = r#"permit (principal, action == Trellis::Action::"Invoke", resource) when { context.currentTime > datetime("2020-01-01") && context.epochTime < 1700000001 };"#;
    check(time, &Call::default(), true);
    check(
        time,
        &Call {
            seconds: 1_700_000_001,
            ..Call::default()
        },
        false,
    );
    check(
        time,
        &Call {
            seconds: 1_000_000,
            ..Call::default()
        },
        false,
    );
}

/// The name of the header is not known before run time, so all are given and nothing is cached.
#[test]
fn a_native_policy_that_chooses_a_header_at_run_time_is_given_all() {
    let text = r#"permit (principal, action == Trellis::Action::"Invoke", resource) when { context.headers.hasTag(context.method) };"#;
    let call = Call::default().line("x-a /").header("x-a", "1");
    check(text, &call, true);
    check(text, &call.line("x-b /"), false);
}

#[test]
fn every_problem_of_a_native_document_has_its_line() {
    let reader = NativeReader::new().unwrap();
    let lines = |text: &str| -> Vec<u32> {
        let problems = reader.read(&policy(text), 0).unwrap_err();
        problems
            .iter()
            .map(|problem| problem.place.line.unwrap())
            .collect()
    };
    assert_eq!(lines("permit (principal, action, resource)"), [1]);
    assert_eq!(
        lines(
            "permit (principal, action == Trellis::Action::\"Invoke\", resource) when { context.nothing == 1 };\n\nforbid (principal == Trellis::Robot::\"r\", action, resource);"
        ),
        [1, 3]
    );
    assert_eq!(
        lines("permit (principal, action == Trellis::Action::\"Fly\", resource);").len(),
        1
    );
    assert_eq!(
        lines("permit (principal == ?principal, action, resource);").len(),
        1
    );
    // Not every user has an organization.
    assert_eq!(
        lines(
            "permit (principal is Trellis::User, action, resource) when { principal.organization == \"o-1\" };"
        ),
        [1]
    );
}

#[test]
fn a_native_policy_is_named_by_its_annotation_or_position() {
    let text = "permit (principal, action, resource);\n@id(\"night\") forbid (principal, action, resource);";
    let policies = policies_with(NoneType, Policy(text), NoPolicy);
    assert_eq!(
        Call::default()
            .ask(&policies)
            .unwrap_err()
            .statement
            .as_deref(),
        Some("Cedar policy `night`")
    );
    let text = "permit (principal, action, resource);\nforbid (principal, action, resource);";
    let policies = policies_with(NoneType, Policy(text), NoPolicy);
    assert_eq!(
        Call::default()
            .ask(&policies)
            .unwrap_err()
            .statement
            .as_deref(),
        Some("Cedar policy 2")
    );
}

#[test]
fn hostile_native_documents_are_refused_before_they_recurse() {
    let reader = NativeReader::new().unwrap();
    let wrap = |body: &str| format!("permit (principal, action, resource) when {{ {body} }};");
    for hostile in [
        wrap(&format!("{}true{}", "(".repeat(5_000), ")".repeat(5_000))),
        wrap(&"!".repeat(50_000)),
        wrap(&format!("{}true", "true && ".repeat(5_000))),
        wrap(&format!("{}true", "if true then true else ".repeat(4_000))),
        wrap(&format!("1 {} > 0", "+ 1".repeat(20_000))),
        wrap(&format!("context{}", ".a".repeat(40_000))),
        "x".repeat(200_000),
    ] {
        assert!(reader.read(&policy(&hostile), 0).is_err());
    }
    // The longest chain that is accepted is evaluated without harm.
    let chain = wrap(&format!("{}true", "context.port == 8080 || ".repeat(400)));
    check(&chain.replace("8080", "1"), &Call::default(), true);
}

#[test]
fn a_header_in_upper_case_is_refused_with_its_place_because_no_request_has_it() {
    let reader = NativeReader::new().unwrap();
    let text = "permit (principal, action == Trellis::Action::\"Invoke\", resource)\nwhen { context.headers.hasTag(\"X-Team\") };";
    let problems = reader.read(&policy(text), 0).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].place.line, Some(2));
    assert_eq!(
        problems[0].message,
        "header `X-Team` is not written in lower case"
    );
    assert!(
        reader
            .read(&policy(&text.replace("X-Team", "x-team")), 0)
            .is_ok()
    );
}

/// What validates can still fail at run time; then it refuses, whatever it would have said, and other policies cannot help.
#[test]
fn a_native_policy_that_fails_to_evaluate_refuses() {
    let failing = [
        "context.port * 9223372036854775807 > 0",
        "context.epochTime + 9223372036854775807 > 0",
        "(if context.secureTransport then 1 else -9223372036854775807) - context.port < 0",
    ];
    for body in failing {
        for effect in ["permit", "forbid"] {
            let text = format!(
                "permit (principal, action, resource);\n{effect} (principal, action == Trellis::Action::\"Invoke\", resource) when {{ {body} }};"
            );
            let policies = policies_with(NoneType, Policy(&text), NoPolicy);
            let call = Call::default().header("x", "not an address");
            let refusal = call.ask(&policies).unwrap_err();
            assert_eq!(refusal.kind, crate::RefusalKind::EvaluationFailed, "{text}");
            assert_eq!(
                refusal.statement.as_deref(),
                Some("Cedar policy 2"),
                "{text}"
            );
            let public = refusal.public_text("anonymous", "arn", "/");
            assert!(public.ends_with(
                "because no service-based policy allows the vpc-lattice-svcs:Invoke action"
            ));
        }
    }
    // Short-circuit: what is not reached cannot fail.
    let guarded = "permit (principal, action == Trellis::Action::\"Invoke\", resource) when { context.port == 8080 || context.port * 9223372036854775807 > 0 };";
    check(guarded, &Call::default(), true);
}
