use crate::{
    Action,
    cedar::native::NativeReader,
    world::{
        AUDITOR, CHECKOUT, Call,
        Given::{None as NoneType, Policy},
        READER, READER_ROLE, policies_with, policy, service_arn,
    },
};

/// Calls with and without everything that a policy can look at.
fn calls() -> Vec<Call> {
    vec![
        Call::default(),
        Call::by(CHECKOUT)
            .line("GET /rates/1?t=1&t=2&u=é")
            .header("x-team", "web")
            .header("x-team", "ops"),
        Call {
            secure_transport: true,
            source_ip: [192, 0, 2, 9].into(),
            port: 443,
            ..Call::by(READER).line("POST /é?t=2").header("x-team", "web")
        },
        Call {
            source_ip: "2001:db8::1".parse().unwrap(),
            seconds: 1_600_000_000,
            ..Call::by(AUDITOR).line("GET /?t")
        },
        Call {
            action: Action::Connect,
            ..Call::default()
        },
    ]
}

/// Decides all calls by a native document and, which [`Call::ask`] does, by Cedar's authorizer. Both outcomes must occur.
#[track_caller]
fn check(text: &str) {
    let policies = policies_with(
        NoneType,
        Policy(text),
        Policy("permit (principal, action, resource);"),
    );
    let outcomes: Vec<bool> = calls()
        .iter()
        .map(|call| call.ask(&policies).is_ok())
        .collect();
    assert!(outcomes.contains(&true), "never allows: {text}");
    assert!(outcomes.contains(&false), "always allows: {text}");
}

/// Does the one policy of a document have a program?
#[track_caller]
fn has_program(text: &str) -> bool {
    let reader = NativeReader::new().unwrap();
    let (natives, _) = match reader.read(&policy(text), 0) {
        Ok(read) => read,
        Err(problems) => panic!("{text}: {problems:?}"),
    };
    natives[0].program.is_some()
}

fn invoke(body: &str) -> String {
    format!(
        "permit (principal, action == Trellis::Action::\"Invoke\", resource) when {{ {body} }};"
    )
}

/// Bodies with every construct that programs know.
const CONSTRUCTS: &[&str] = &[
    r#"context.method == "GET""#,
    r#""GET" == context.method"#,
    r#"context.method != "GET""#,
    r#"!(context.method == "GET" && context.port == 8080) || context.secureTransport"#,
    r#"if context.secureTransport then context.port == 443 else context.method == "GET" && context.port == 1"#,
    r#"context.secureTransport == false && context.port == 8080 && context.method != "POST""#,
    r#"["PUT", "POST", "POST"].contains(context.method)"#,
    r#"context.path like "/rates/*""#,
    r#"context.path like "*é""#,
    r#"context.resource like "arn:*/rates/*""#,
    r#"context.resource like "a*r*n*\*" || context.port < 8080"#,
    r#"context.headers.hasTag("x-team")"#,
    r#"context.headers.hasTag("x-team") && context.headers.getTag("x-team") == "web""#,
    r#"context.headers.hasTag("x-team") && context.headers.getTag("x-team") like "web,*""#,
    r#"context.query.hasTag("t") && context.query.getTag("t").contains("1")"#,
    r#"context.query.hasTag("t") && context.query.getTag("t").contains(context.method) || context.port == 443"#,
    r#"context.query.hasTag("t") && context.query.getTag("t").containsAny(["1", ""])"#,
    r#"context.query.hasTag("t") && ["2", ""].containsAny(context.query.getTag("t"))"#,
    r#"context.query.hasTag("t") && context.query.getTag("t").containsAll(["1", "2"])"#,
    r#"context.query.hasTag("t") && ["2", "x"].containsAll(context.query.getTag("t"))"#,
    "context.port == 443",
    "context.port != 443 && context.port <= 8080 && context.port > 443 && context.secureTransport || context.port < 8080",
    "443 >= context.port",
    "context.port + 1 == 444 || context.port * 2 - 1 == 7",
    "-context.port == -443",
    "context.epochTime < 1700000000",
    r#"context.currentTime < datetime("2023-11-14T22:13:20Z")"#,
    r#"context.currentTime != datetime("2023-11-14T22:13:20Z")"#,
    r#"datetime("2023-11-14T23:13:20.001+0100") > context.currentTime && context.port == 443"#,
    r#"datetime("2023-11-14") >= context.currentTime"#,
    r#"context.sourceIp.isInRange(ip("192.0.2.0/24"))"#,
    r#"context.sourceIp.isInRange(ip("10.9.9.9/8"))"#,
    r#"context.sourceIp.isInRange(ip("2001:db8::/32"))"#,
    r#"context.sourceIp.isInRange(ip("10.0.3.4"))"#,
    r#"context has method && context has port && context.method == "GET""#,
    "principal has username",
    // That these are there is shown with the sessions that have them.
    r#"principal is Trellis::Session && !(principal has sourceIdentity && principal.sourceIdentity == "alice")"#,
    r#"principal is Trellis::Session && !(principal has federatedProvider && principal.federatedProvider like "arn:*")"#,
    "principal is Trellis::Session && !(principal has tokenIssueTime)",
    r#"principal has username && principal.username == "checkout""#,
    r#"principal has organization && principal.organization == "o-home""#,
    r#"principal has organizationPaths && principal.organizationPaths.contains("o-home/r-1/ou-a/")"#,
    r#"principal.account == "111122223333""#,
    r#"principal.kind == "Anonymous" || principal.userId == "x""#,
    r#"principal is Trellis::User && principal.principalArn like "*:user/c*""#,
    r#"principal is Trellis::Session && principal.arn like "*/night""#,
    r#"principal is Trellis::Session in Trellis::Account::"111122223333""#,
    r#"principal is Trellis::User && principal.hasTag("Team") && principal.getTag("Team") == "web""#,
    r#"principal is Trellis::User && principal.hasTag("team")"#,
    r#"principal in Trellis::Account::"444455556666""#,
    r#"principal == Trellis::Anonymous::"anonymous""#,
    "context.method == context.sourceVpc || context.secureTransport",
    r#"resource.hasTag("env") && resource.getTag("env") == "prod" && context.port == 443"#,
    r#"resource.arn == context.serviceArn && context.serviceNetworkArn like "*" && context.port == 443"#,
    r#"context.sourceVpcOwnerAccount == "111122223333" && context.sourceVpc like "vpc-*" && context.port == 443"#,
];

#[test]
fn every_construct_decides_as_cedars_authorizer_does() {
    for body in CONSTRUCTS {
        let text = invoke(body);
        assert!(has_program(&text), "{body}");
        check(&text);
        check(&text.replace("when", "unless"));
        let forbid = text.replace("permit", "forbid");
        check(&format!("permit (principal, action, resource);\n{forbid}"));
    }
}

#[test]
fn every_form_of_a_head_decides_as_cedars_authorizer_does() {
    let arn = service_arn();
    for head in [
        format!("principal == Trellis::User::\"{CHECKOUT}\", action, resource"),
        format!("principal == Trellis::Session::\"{READER}\", action, resource"),
        format!("principal in Trellis::Role::\"{READER_ROLE}\", action, resource"),
        "principal in Trellis::Account::\"444455556666\", action, resource".to_owned(),
        "principal is Trellis::User, action, resource".to_owned(),
        "principal is Trellis::Session in Trellis::Account::\"111122223333\", action, resource"
            .to_owned(),
        "principal, action in [Trellis::Action::\"Connect\"], resource".to_owned(),
        format!("principal is Trellis::Anonymous, action, resource == Trellis::Service::\"{arn}\""),
        format!("principal is Trellis::User, action, resource in Trellis::Service::\"{arn}\""),
        "principal is Trellis::User, action, resource is Trellis::Service".to_owned(),
    ] {
        let text = format!("permit ({head});");
        assert!(has_program(&text), "{head}");
        check(&text);
    }
}

/// What programs do not know is left to Cedar's authorizer and means the same.
#[test]
fn what_has_no_program_is_decided_by_the_authorizer() {
    for body in [
        "context.sourceIp.isIpv4() && context.port == 443",
        r#"decimal("1.5").lessThan(decimal("2.5")) && context.port == 443"#,
        r#"context.currentTime.offset(duration("1d")) < datetime("2023-11-14")"#,
        "context.headers.hasTag(context.method) || context.port == 443",
        "{a: context.port}.a == 443",
        r#"context.query.hasTag("t") && context.query.getTag("t") == ["1", "2"]"#,
    ] {
        let text = invoke(body);
        assert!(!has_program(&text), "{body}");
        check(&text);
        let forbid = text.replace("permit", "forbid");
        check(&format!("permit (principal, action, resource);\n{forbid}"));
        // Beside policies with programs, and the first that denies is named.
        check(&format!("{}\n{text}", invoke(r#"context.method == "PUT""#)));
    }
}

/// The authorizer compares each character of a pattern with each of a text.
#[test]
fn a_long_pattern_is_refused_where_there_is_no_program_and_taken_where_there_is() {
    let pattern = format!(r#"context.path like "*{}*""#, "a".repeat(100));
    assert!(has_program(&invoke(&pattern)));
    let reader = NativeReader::new().unwrap();
    let slow = |pattern: &str| invoke(&format!("context.sourceIp.isIpv4() && {pattern}"));
    let problems = reader.read(&policy(&slow(&pattern)), 0).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0]
            .message
            .starts_with("a pattern of 102 characters"),
        "{problems:?}"
    );
    let short = format!(r#"context.path like "*{}*""#, "a".repeat(62));
    assert!(reader.read(&policy(&slow(&short)), 0).is_ok());
}
