//! Findings by policy, each with a twin that is not one.

use std::{collections::BTreeSet, sync::Arc};

use trellis_model::{
    config::{AuthType, Config, TargetProtocol, TargetTls, TlsVersion},
    problem::{Code, Place},
};

use super::lint;
use crate::world::{self, policy};

/// Findings about the policies of a configuration, without those that its users have anyway.
fn findings(config: &Config) -> Vec<String> {
    let told = lint(config).into_iter().filter(|finding| {
        !matches!(
            finding.code,
            Some(Code::NoAuthentication | Code::NoIdentityPolicy)
        )
    });
    told.map(|finding| {
        let code = finding.code.unwrap();
        let line = finding
            .place
            .line
            .map_or_else(String::new, |line| line.to_string());
        format!("{line} {} {code}: {}", finding.place.path, finding.message)
    })
    .collect()
}

/// Findings about a policy of the service `orders`.
fn of_service(text: &str, auth_type: AuthType) -> Vec<String> {
    let mut config = world::config();
    let service = Arc::make_mut(&mut config.services[0]);
    service.auth_type = auth_type;
    service.auth_policy = Some(policy(text));
    findings(&config)
}

/// A statement about everything, but for these members.
fn statement(members: &str) -> String {
    let mut text = String::from("{\n \"Version\": \"2012-10-17\",\n \"Statement\": [\n  {");
    for (name, value) in [
        ("Effect", "\"Allow\""),
        ("Principal", "{\"AWS\": \"111122223333\"}"),
        ("Action", "\"*\""),
        ("Resource", "\"*\""),
    ] {
        let given = |prefix: &str| members.contains(&format!("\"{prefix}{name}\""));
        if !given("") && !given("Not") {
            text.extend(["\"", name, "\": ", value, ", "]);
        }
    }
    format!("{text}{members}}}\n ]\n}}")
}

fn check(members: &str, expected: &[&str]) {
    let text = statement(members);
    assert_eq!(of_service(&text, AuthType::AwsIam), expected, "{text}");
}

const OPEN: &str = "4 Statement[0] public-access: statement `S`: everybody who reaches the service may pass, signed or not";

#[test]
fn what_lets_everybody_in_is_found() {
    let everybody =
        |condition: &str| format!(r#""Sid": "S", "Principal": "*", "Condition": {{{condition}}}"#);
    for open in [
        "",
        r#""StringEquals": {"vpc-lattice-svcs:RequestMethod": "GET"}"#,
        r#""StringNotEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:user/checkout"}"#,
        r#""StringEqualsIfExists": {"aws:PrincipalOrgID": "o-home"}"#,
        r#""Null": {"aws:PrincipalArn": "true"}"#,
        r#""Null": {"aws:PrincipalType": "false"}"#,
        r#""StringEquals": {"aws:PrincipalType": ["User", "Anonymous"]}"#,
        r#""StringNotEquals": {"aws:PrincipalAccount": "444455556666"}"#,
        r#""NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}"#,
    ] {
        check(&everybody(open), &[OPEN]);
    }
    for closed in [
        r#""StringEquals": {"aws:PrincipalOrgID": "o-home"}"#,
        r#""Null": {"aws:PrincipalArn": "false"}"#,
        r#""StringEquals": {"aws:PrincipalTag/team": "web"}"#,
        r#""StringNotEquals": {"aws:PrincipalType": "Anonymous"}"#,
        r#""StringEquals": {"aws:PrincipalAccount": "111122223333"}"#,
        r#""StringEquals": {"vpc-lattice-svcs:SourceVpc": "vpc-0123456789abcdef0"}"#,
        r#""IpAddress": {"aws:SourceIp": "10.0.0.0/8"}"#,
    ] {
        check(&everybody(closed), &[]);
    }
    check(r#""Principal": "*", "Effect": "Deny""#, &[]);
    let uncounted = of_service(&statement(&everybody("")), AuthType::None);
    assert_eq!(uncounted, Vec::<String>::new());
}

#[test]
fn native_policies_that_let_everybody_in_are_found() {
    let found = |text: &str| of_service(text, AuthType::AwsIam);
    let open = "  public-access: Cedar policy `all`: everybody who reaches the service may pass, signed or not";
    assert_eq!(
        found("@id(\"all\")\npermit (principal, action, resource);"),
        [open]
    );
    for closed in [
        "forbid (principal, action, resource);",
        "permit (principal is Trellis::User, action, resource);",
        "permit (principal, action, resource) when { context.sourceVpc == \"vpc-1\" };",
    ] {
        assert_eq!(found(closed), Vec::<String>::new(), "{closed}");
    }
}

#[test]
fn allowing_all_but_something_is_found() {
    for (member, instead) in [
        (r#""NotAction": "vpc-lattice-svcs:Connect""#, "NotAction"),
        (r#""NotResource": "*/admin""#, "NotResource"),
    ] {
        let found = format!(
            "4 Statement[0] allow-not: `Allow` with `{instead}` allows also what is only added later"
        );
        check(member, &[&found]);
        check(&format!(r#""Effect": "Deny", {member}"#), &[]);
    }
}

#[test]
fn resources_of_other_services_are_found() {
    let config = world::config();
    let resource = |service: usize| format!(r#""Resource": "{}/*""#, config.services[service].arn);
    let found = "4 Statement[0] resource-never-matches: its resources fit no service that the policy is about";
    check(&resource(1), &[found]);
    check(&resource(0), &[]);
    check(r#""Resource": "*/orders""#, &[]);
    check(
        &format!(
            r#""NotResource": "{}/*", "Action": "vpc-lattice-svcs:Invoke", "Effect": "Deny""#,
            config.services[0].arn
        ),
        &[found],
    );
}

#[test]
fn values_that_no_request_has_are_found() {
    let condition = |test: &str| format!(r#""Condition": {{{test}}}"#);
    for (odd, message, usual) in [
        (
            r#""StringEquals": {"vpc-lattice-svcs:RequestMethod": ["GET", "post"]}"#,
            "StringEquals.vpc-lattice-svcs:RequestMethod: `post` is not `POST`: methods are compared with their case",
            r#""StringEqualsIgnoreCase": {"vpc-lattice-svcs:RequestMethod": ["GET", "post"]}"#,
        ),
        (
            r#""StringEquals": {"vpc-lattice-svcs:RequestPath": "orders"}"#,
            "StringEquals.vpc-lattice-svcs:RequestPath: `orders` is no path",
            r#""StringEquals": {"vpc-lattice-svcs:RequestPath": "/orders"}"#,
        ),
        (
            r#""StringLike": {"vpc-lattice-svcs:RequestPath": "orders/*"}"#,
            "StringLike.vpc-lattice-svcs:RequestPath: no path fits one of the patterns",
            r#""StringLike": {"vpc-lattice-svcs:RequestPath": "*orders/*"}"#,
        ),
        (
            r#""StringEquals": {"vpc-lattice-svcs:SourceVpc": "shop"}"#,
            "StringEquals.vpc-lattice-svcs:SourceVpc: `shop` is no VPC of this configuration",
            r#""StringEquals": {"vpc-lattice-svcs:SourceVpc": "vpc-0123456789abcdef0"}"#,
        ),
        (
            r#""NumericEquals": {"vpc-lattice-svcs:Port": "9101"}"#,
            "NumericEquals.vpc-lattice-svcs:Port: no listener has such a port",
            r#""NumericEquals": {"vpc-lattice-svcs:Port": ["8080", "9101"]}"#,
        ),
    ] {
        check(
            &condition(odd),
            &[&format!("4 Statement[0] unknown-value: {message}")],
        );
        check(&condition(usual), &[]);
    }
}

/// A network whose policy is open, and what changes about the rest of the configuration.
fn changed(change: impl FnOnce(&mut Config)) -> BTreeSet<String> {
    let mut config = world::config();
    Arc::make_mut(&mut config.service_networks[0]).auth_type = AuthType::AwsIam;
    Arc::make_mut(&mut config.service_networks[0]).auth_policy = Some(policy(&statement("")));
    for user in &mut config.users {
        Arc::make_mut(user).policies = vec![policy(
            r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#,
        )];
    }
    let users = config.users[0].policies.clone();
    for role in &mut config.roles {
        Arc::make_mut(role).policies.clone_from(&users);
    }
    change(&mut config);
    let told = lint(&config).into_iter();
    told.map(|finding| format!("{}: {}", finding.code.unwrap(), finding.message))
        .collect()
}

#[test]
fn what_surrounds_the_policies_is_looked_at() {
    let check = |change: &dyn Fn(&mut Config), expected: &[&str]| {
        let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(changed(change), expected);
    };
    check(&|_| {}, &[]);
    check(
        &|config| Arc::make_mut(&mut config.service_networks[0]).vpcs.clear(),
        &["never-consulted: no VPC is in service network `net`: its policy is never consulted"],
    );
    check(
        &|config| Arc::make_mut(&mut config.users[0]).access_keys.clear(),
        &["no-credentials: user `checkout` has no access key: nobody can sign as it"],
    );
    check(
        &|config| Arc::make_mut(&mut config.roles[0]).access_keys.clear(),
        &["no-credentials: role `reader` has no access key: nobody can sign as it"],
    );
    check(
        &|config| {
            Arc::make_mut(&mut config.roles[0]).access_keys.clear();
            Arc::make_mut(&mut config.roles[0]).trust_policy = Some(policy(&statement("")));
        },
        &[],
    );
    check(
        &|config| Arc::make_mut(&mut config.roles[1]).policies.clear(),
        &[
            "no-identity-policy: role `writer` has no policy: what it signs is refused wherever a policy counts",
        ],
    );
    let open = |service: &str| {
        format!(
            "no-authentication: service `{service}` takes requests from anybody in service network `net`: neither asks who is calling"
        )
    };
    check(
        &|config| {
            Arc::make_mut(&mut config.service_networks[0]).auth_type = AuthType::None;
            Arc::make_mut(&mut config.services[0]).auth_type = AuthType::AwsIam;
        },
        &[&open("catalog")],
    );
}

#[test]
fn targets_that_are_not_verified_are_found() {
    let group = |protocol: &str, tls: Option<TargetTls>| {
        let text = format!(
            "account: \"111122223333\"\nregion: us-west-2\nvpcs: [{{name: v}}]\ntargetGroups: [{{name: group, type: IP, config: {{protocol: {protocol}, port: 1, vpcIdentifier: v}}}}]"
        );
        let mut config = world::load_one(&text);
        Arc::make_mut(&mut config.target_groups[0]).tls = tls.map(Box::new);
        assert_eq!(
            config.target_groups[0].protocol == TargetProtocol::Https,
            protocol == "HTTPS"
        );
        findings(&config)
    };
    let trusting = TargetTls {
        authorities: "".into(),
        server_name: None,
        alternative_names: Vec::new(),
        certificate: None,
        minimum_version: TlsVersion::Tls12,
        place: Place::default(),
    };
    assert_eq!(group("HTTP", None), Vec::<String>::new());
    assert_eq!(group("HTTPS", Some(trusting)), Vec::<String>::new());
    assert_eq!(
        group("HTTPS", None),
        [
            " targetGroups[0] unverified-tls: targets of `group` are reached over TLS, and their certificates are not verified"
        ]
    );
}
