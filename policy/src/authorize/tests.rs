use Given::{NoPolicy, None as NoneType, Policy};

use super::*;
use crate::world::{AUDITOR, CHECKOUT, Call, Given, READER, policies_with};

const ALLOW: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*"}]}"#;
const ALLOW_SIGNED: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalType":"Anonymous"}}}]}"#;
const DENY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Sid":"No","Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}"#;
const OWN_ALLOW: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"vpc-lattice-svcs:*","Resource":"*"}}"#;
const OWN_DENY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"No","Effect":"Deny","Action":"*","Resource":"*"}]}"#;
const FAILING: &str = "permit (principal, action, resource); forbid (principal, action == Trellis::Action::\"Invoke\", resource) when { context.port + 9223372036854775807 > 0 };";

/// What the three layers make of a caller: `allowed`, or layer and kind.
#[track_caller]
fn check(
    caller: &'static str,
    network: Given<'_>,
    service: Given<'_>,
    identity: Given<'_>,
    expected: &str,
) {
    let policies = policies_with(network, service, identity);
    let got = match Call::by(caller).ask(&policies) {
        Ok(()) => "allowed".to_owned(),
        Err(refusal) => format!("{} {:?}", refusal.layer, refusal.kind),
    };
    assert_eq!(
        got, expected,
        "{caller} {network:?} {service:?} {identity:?}"
    );
    let explanation = Call::by(caller).explain(&policies);
    assert_eq!(explanation.allowed, expected == "allowed");
    assert_eq!(
        explanation
            .refused_by
            .map(|layer| layer.to_string())
            .as_deref(),
        expected.split_once(' ').map(|(layer, _)| layer)
    );
}

/// Spec: VPC Lattice user guide, "Control access to VPC Lattice services using auth policies".
#[test]
fn anonymous_callers_need_what_is_switched_on() {
    let anonymous = "anonymous";
    check(anonymous, NoneType, NoneType, NoPolicy, "allowed");
    check(anonymous, Policy(ALLOW), NoneType, NoPolicy, "allowed");
    check(
        anonymous,
        Policy(ALLOW_SIGNED),
        NoneType,
        NoPolicy,
        "Network Implicit",
    );
    check(anonymous, NoPolicy, NoneType, NoPolicy, "Network Implicit");
    check(anonymous, NoneType, Policy(ALLOW), NoPolicy, "allowed");
    check(
        anonymous,
        NoneType,
        Policy(ALLOW_SIGNED),
        NoPolicy,
        "Service Implicit",
    );
    check(anonymous, NoneType, NoPolicy, NoPolicy, "Service Implicit");
    check(anonymous, Policy(ALLOW), Policy(ALLOW), NoPolicy, "allowed");
    check(
        anonymous,
        Policy(ALLOW_SIGNED),
        Policy(ALLOW),
        NoPolicy,
        "Network Implicit",
    );
    check(
        anonymous,
        Policy(ALLOW),
        Policy(ALLOW_SIGNED),
        NoPolicy,
        "Service Implicit",
    );
    check(
        anonymous,
        Policy(ALLOW_SIGNED),
        Policy(ALLOW_SIGNED),
        NoPolicy,
        "Network Implicit",
    );
    // The caller's own policies are not consulted, whatever they are.
    check(
        anonymous,
        Policy(ALLOW),
        Policy(ALLOW),
        Policy(OWN_DENY),
        "allowed",
    );
}

#[test]
fn signed_callers_need_their_own_permission_wherever_a_policy_counts() {
    // Both NONE: the signature was verified, the policies of the caller are not consulted.
    check(CHECKOUT, NoneType, NoneType, NoPolicy, "allowed");
    check(CHECKOUT, NoneType, NoneType, Policy(OWN_DENY), "allowed");
    // Same account, session and foreign account need the same three.
    for caller in [CHECKOUT, READER, AUDITOR] {
        for (network, service) in [
            (Policy(ALLOW), NoneType),
            (NoneType, Policy(ALLOW)),
            (Policy(ALLOW), Policy(ALLOW)),
            (Policy(ALLOW_SIGNED), Policy(ALLOW_SIGNED)),
        ] {
            check(caller, network, service, Policy(OWN_ALLOW), "allowed");
            check(caller, network, service, NoPolicy, "Identity Implicit");
            check(
                caller,
                network,
                service,
                Policy(OWN_DENY),
                "Identity Explicit",
            );
        }
        check(
            caller,
            NoPolicy,
            NoneType,
            Policy(OWN_ALLOW),
            "Network Implicit",
        );
        check(
            caller,
            NoneType,
            NoPolicy,
            Policy(OWN_ALLOW),
            "Service Implicit",
        );
    }
}

#[test]
fn the_first_missing_permission_is_reported_network_service_identity() {
    check(CHECKOUT, NoPolicy, NoPolicy, NoPolicy, "Network Implicit");
    check(
        CHECKOUT,
        Policy(ALLOW),
        NoPolicy,
        NoPolicy,
        "Service Implicit",
    );
    check(
        CHECKOUT,
        Policy(ALLOW),
        Policy(ALLOW),
        NoPolicy,
        "Identity Implicit",
    );
}

#[test]
fn a_denial_anywhere_is_reported_before_any_missing_permission() {
    check(
        CHECKOUT,
        Policy(DENY),
        Policy(ALLOW),
        Policy(OWN_ALLOW),
        "Network Explicit",
    );
    check(
        CHECKOUT,
        NoPolicy,
        Policy(DENY),
        Policy(OWN_ALLOW),
        "Service Explicit",
    );
    check(
        CHECKOUT,
        NoPolicy,
        NoPolicy,
        Policy(OWN_DENY),
        "Identity Explicit",
    );
    check(
        CHECKOUT,
        Policy(DENY),
        Policy(DENY),
        Policy(OWN_DENY),
        "Network Explicit",
    );
    check(
        "anonymous",
        NoPolicy,
        Policy(DENY),
        NoPolicy,
        "Service Explicit",
    );
}

#[test]
fn a_policy_that_fails_to_evaluate_refuses_although_another_allows() {
    check(
        "anonymous",
        Policy(FAILING),
        NoneType,
        NoPolicy,
        "Network EvaluationFailed",
    );
    check(
        "anonymous",
        Policy(ALLOW),
        Policy(FAILING),
        NoPolicy,
        "Service EvaluationFailed",
    );
    check(
        CHECKOUT,
        Policy(ALLOW),
        Policy(ALLOW),
        Policy(FAILING),
        "Identity EvaluationFailed",
    );
    // It does not count, so it cannot refuse.
    check(
        "anonymous",
        NoneType,
        Policy(ALLOW),
        Policy(FAILING),
        "allowed",
    );
    // A denial is the clearer answer.
    check(
        "anonymous",
        Policy(FAILING),
        Policy(DENY),
        NoPolicy,
        "Service Explicit",
    );
}

#[test]
fn a_policy_counts_only_while_its_auth_type_says_so() {
    let mut config = crate::world::config_with(Policy(DENY), Policy(ALLOW), NoPolicy);
    Arc::make_mut(&mut config.service_networks[0]).auth_type =
        trellis_model::config::AuthType::None;
    let policies = crate::compile(&config).unwrap();
    assert_eq!(Call::default().ask(&policies), Ok(()));
}

#[test]
fn an_index_of_other_policies_is_refused() {
    let policies = policies_with(NoneType, NoneType, NoPolicy);
    Call::default().with(&policies, |request| {
        let foreign = |change: fn(&mut Request<'_>)| {
            let mut request = *request;
            change(&mut request);
            let _ = policies.explain(&request);
            policies.authorize(&request).map(drop).unwrap_err().kind
        };
        assert_eq!(
            foreign(|r| r.network = crate::NetworkIndex(7)),
            RefusalKind::EvaluationFailed
        );
        assert_eq!(
            foreign(|r| r.service = crate::ServiceIndex(7)),
            RefusalKind::EvaluationFailed
        );
        let nobody = Caller::Principal(crate::PrincipalIndex(77));
        let mut request = *request;
        request.caller = &nobody;
        assert_eq!(
            policies.authorize(&request).map(drop).unwrap_err().layer,
            LayerName::Identity
        );
    });
}
