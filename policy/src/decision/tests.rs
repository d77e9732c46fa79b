use crate::world::{
    CHECKOUT, Call,
    Given::{NoPolicy, None as NoneType, Policy},
    READER, policies_with, service_arn, statement,
};

fn check(policies: &crate::Policies, call: &Call, who: &str, path: &str, why: &str) {
    let refusal = call.ask(policies).unwrap_err();
    let arn = service_arn();
    let expected = format!(
        "AccessDeniedException: User: {who} is not authorized to perform: vpc-lattice-svcs:Invoke on resource: {arn}{path} {why}"
    );
    assert_eq!(refusal.public_text(who, &arn, path), expected);
    assert_eq!(call.explain(policies).public_text, Some(expected));
}

/// Spec: answers of VPC Lattice as captured in aws-samples and the EKS workshop.
#[test]
fn the_text_of_a_refusal_is_to_the_letter() {
    let allow = statement(r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*""#);
    let deny = statement(r#""Effect":"Deny","Principal":"*","Action":"*","Resource":"*""#);
    let own = statement(r#""Effect":"Allow","Action":"*","Resource":"*""#);
    let own_deny = statement(r#""Effect":"Deny","Action":"*","Resource":"*""#);
    let root = Call::default().line("GET /?q=1");
    let signed = Call::by(READER).line("POST /catalogdetail");

    let world = policies_with(NoPolicy, NoneType, NoPolicy);
    check(
        &world,
        &root,
        "anonymous",
        "/",
        "because no network-based policy allows the vpc-lattice-svcs:Invoke action",
    );
    let world = policies_with(NoneType, NoPolicy, Policy(&own));
    check(
        &world,
        &root,
        "anonymous",
        "/",
        "because no service-based policy allows the vpc-lattice-svcs:Invoke action",
    );
    check(
        &world,
        &signed,
        READER,
        "/catalogdetail",
        "because no service-based policy allows the vpc-lattice-svcs:Invoke action",
    );
    let world = policies_with(Policy(&allow), Policy(&allow), NoPolicy);
    check(
        &world,
        &signed,
        READER,
        "/catalogdetail",
        "because no identity-based policy allows the vpc-lattice-svcs:Invoke action",
    );
    let world = policies_with(Policy(&allow), Policy(&deny), NoPolicy);
    check(
        &world,
        &signed,
        READER,
        "/catalogdetail",
        "with an explicit deny in a service-based policy",
    );
    let world = policies_with(Policy(&deny), Policy(&allow), NoPolicy);
    check(
        &world,
        &root,
        "anonymous",
        "/",
        "with an explicit deny in a network-based policy",
    );
    let world = policies_with(Policy(&allow), Policy(&allow), Policy(&own_deny));
    check(
        &world,
        &Call::by(CHECKOUT).line("GET /a"),
        CHECKOUT,
        "/a",
        "with an explicit deny in an identity-based policy",
    );
}

#[test]
fn operators_see_the_statement_and_outsiders_do_not() {
    let deny =
        statement(r#""Sid":"NoNight","Effect":"Deny","Principal":"*","Action":"*","Resource":"*""#);
    let world = policies_with(NoneType, Policy(&deny), NoPolicy);
    let refusal = Call::default().ask(&world).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "denied by statement `NoNight` of the service-based policy"
    );
    assert!(
        !refusal
            .public_text("anonymous", "arn", "/")
            .contains("NoNight")
    );
}
