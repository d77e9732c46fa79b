//! What policies in audit and candidates would have decided, beside what was decided.

use std::sync::Arc;

use trellis_model::config::{AuthPolicyMode, AuthType, Config};

use crate::{
    compile,
    world::{CHECKOUT, Call, Given, config_with, policy, statement},
};

const ALL: &str = r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*""#;
const GETS: &str = r#""Sid":"Gets","Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}"#;
const NO_POST: &str = r#""Sid":"NoPost","Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"POST"}}"#;
const IDENTITY: &str = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;

/// `allow`, or the layer and the statement that refuse.
fn told(outcome: Result<(), crate::Refusal>) -> String {
    match outcome {
        Ok(()) => "allow".to_owned(),
        Err(refusal) => format!(
            "{} {}",
            refusal.layer,
            refusal.statement.as_deref().unwrap_or("-")
        ),
    }
}

/// What is decided, and what is rehearsed, about a `GET` and a `POST` of this caller, each asked twice: the second may be cached.
fn check(caller: &'static str, config: &Config, expected: [(&str, Option<&str>); 2]) {
    let policies = compile(config).unwrap();
    for (method, (decided, rehearsed)) in ["GET", "POST"].into_iter().zip(expected) {
        let call = Call::by(caller).line(&format!("{method} /rates"));
        for _ in 0..2 {
            call.with(&policies, |request| {
                let rehearsal = policies.rehearse(request).map(told);
                assert_eq!(
                    told(policies.authorize(request).map(drop)),
                    decided,
                    "{method}"
                );
                assert_eq!(rehearsal.as_deref(), rehearsed, "{method}");
                let explained = policies.explain_rehearsal(request);
                assert_eq!(
                    explained.map(|explanation| explanation.allowed),
                    rehearsed.map(|told| told == "allow"),
                    "{method}"
                );
            });
        }
    }
}

fn world(network: &str, service: &str) -> Config {
    config_with(
        Given::Policy(&statement(network)),
        Given::Policy(&statement(service)),
        Given::Policy(IDENTITY),
    )
}

#[test]
fn without_audit_and_candidates_nothing_is_rehearsed() {
    let config = world(ALL, GETS);
    check("anonymous", &config, [("allow", None), ("Service -", None)]);
    assert!(!compile(&config).unwrap().has_rehearsals());
}

#[test]
fn a_policy_in_audit_refuses_nothing_and_is_rehearsed() {
    let mut config = world(ALL, GETS);
    Arc::make_mut(&mut config.services[0]).auth_policy_mode = AuthPolicyMode::Audit;
    check(
        "anonymous",
        &config,
        [("allow", Some("allow")), ("allow", Some("Service -"))],
    );
    Arc::make_mut(&mut config.services[0]).auth_policy = Some(policy(&statement(NO_POST)));
    check(
        "anonymous",
        &config,
        [
            ("allow", Some("Service -")),
            ("allow", Some("Service statement `NoPost`")),
        ],
    );
}

#[test]
fn what_is_enforced_beside_an_audit_still_refuses() {
    let mut config = world(GETS, NO_POST);
    Arc::make_mut(&mut config.services[0]).auth_policy_mode = AuthPolicyMode::Audit;
    check(
        "anonymous",
        &config,
        [
            ("allow", Some("Service -")),
            ("Network -", Some("Service statement `NoPost`")),
        ],
    );
}

#[test]
fn identities_are_asked_only_where_something_is_enforced() {
    let mut config = world(ALL, ALL);
    for user in &mut config.users {
        Arc::make_mut(user).policies.clear();
    }
    let audited = |config: &mut Config| {
        Arc::make_mut(&mut config.services[0]).auth_policy_mode = AuthPolicyMode::Audit;
    };
    audited(&mut config);
    let refused = ("Identity -", Some("Identity -"));
    check(CHECKOUT, &config, [refused, refused]);
    Arc::make_mut(&mut config.service_networks[0]).auth_policy_mode = AuthPolicyMode::Audit;
    let passes = ("allow", Some("Identity -"));
    check(CHECKOUT, &config, [passes, passes]);
}

#[test]
fn a_candidate_is_rehearsed_in_the_place_of_its_policy() {
    let mut config = world(ALL, ALL);
    Arc::make_mut(&mut config.services[0]).shadow_auth_policy = Some(policy(&statement(GETS)));
    check(
        "anonymous",
        &config,
        [("allow", Some("allow")), ("allow", Some("Service -"))],
    );
    // The other way round: what is refused now would be allowed.
    let mut config = world(ALL, GETS);
    Arc::make_mut(&mut config.services[0]).shadow_auth_policy = Some(policy(&statement(ALL)));
    check(
        "anonymous",
        &config,
        [("allow", Some("allow")), ("Service -", Some("allow"))],
    );
}

#[test]
fn a_candidate_counts_also_where_no_policy_does() {
    let mut config = world(ALL, ALL);
    for auth_type in [
        &mut Arc::make_mut(&mut config.service_networks[0]).auth_type,
        &mut Arc::make_mut(&mut config.services[0]).auth_type,
    ] {
        *auth_type = AuthType::None;
    }
    Arc::make_mut(&mut config.service_networks[0]).shadow_auth_policy =
        Some(policy(&statement(GETS)));
    check(
        "anonymous",
        &config,
        [("allow", Some("allow")), ("allow", Some("Network -"))],
    );
}

#[test]
fn a_candidate_that_is_wrong_is_a_problem() {
    let mut config = world(ALL, ALL);
    Arc::make_mut(&mut config.services[0]).shadow_auth_policy =
        Some(policy(r#"{"Statement": [{"Effect": "Permit"}]}"#));
    let problems = compile(&config).unwrap_err().to_string();
    assert!(problems.contains("`Permit` is not an effect"), "{problems}");
}

#[test]
fn requests_that_meet_neither_are_not_rehearsed() {
    let mut config = world(ALL, ALL);
    // That of the other service, in the same network.
    Arc::make_mut(&mut config.services[1]).shadow_auth_policy = Some(policy(&statement(GETS)));
    check("anonymous", &config, [("allow", None), ("allow", None)]);
    assert!(compile(&config).unwrap().has_rehearsals());
}

#[test]
fn explanations_say_that_a_policy_is_in_audit() {
    let mut config = world(ALL, GETS);
    let reason = |config: &Config| {
        let explanation = Call::default().explain(&compile(config).unwrap());
        explanation.layers[1].reason.clone()
    };
    assert_eq!(reason(&config), "the auth type of the service is AWS_IAM");
    Arc::make_mut(&mut config.services[0]).auth_policy_mode = AuthPolicyMode::Audit;
    assert_eq!(
        reason(&config),
        "the auth policy of the service is in audit"
    );
}
