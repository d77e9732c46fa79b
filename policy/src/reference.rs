//! A naive evaluator of IAM policies, written from the documented rules and sharing no code with the compiler, and a generator of
//! policies and requests on which both must agree.
//!
//! Sources: IAM user guide, "Policy evaluation logic", "Condition operators", "Multivalued context keys", "JSON policy element
//! reference"; VPC Lattice user guide, "Control access to VPC Lattice services using auth policies".

mod generator;
mod text;
mod trust;

use serde_json::{Value, json};
use text::{Text, expand, from_base64, glob, moment, plain, written};

use crate::world::{
    AUDITOR, CHECKOUT, Call, Given, READER, READER_ROLE, WRITER, network_arn, policies_with,
    service_arn,
};

/// What one policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Allow,
    Deny,
    Nothing,
}

/// A single value or a list of them, as texts.
fn list(value: &Value) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        other => vec![text(other)],
    }
}

/// What a caller is: account, kind, every ARN it can be named by, `aws:PrincipalArn`, user name, tags.
struct Who {
    account: &'static str,
    kind: &'static str,
    own: &'static str,
    role: Option<&'static str>,
    name: Option<&'static str>,
    tags: &'static [(&'static str, &'static str)],
}

fn who(caller: &str) -> Option<Who> {
    let (account, kind, role, name, own, tags): (_, _, _, _, _, &'static [_]) = match caller {
        CHECKOUT => (
            "111122223333",
            "User",
            None,
            Some("checkout"),
            CHECKOUT,
            &[("team", "web"), ("level", "3")],
        ),
        AUDITOR => ("444455556666", "User", None, Some("auditor"), AUDITOR, &[]),
        READER => (
            "111122223333",
            "AssumedRole",
            Some(READER_ROLE),
            None,
            READER,
            &[("team", "ops")],
        ),
        WRITER => (
            "444455556666",
            "AssumedRole",
            Some("arn:aws:iam::444455556666:role/writer"),
            None,
            WRITER,
            &[],
        ),
        _ => return None,
    };
    Some(Who {
        account,
        kind,
        own,
        role,
        name,
        tags,
    })
}

/// The values of a condition key; `None` when it is missing.
fn context(key: &str, call: &Call) -> Option<Vec<String>> {
    let who = who(call.caller);
    let home = who
        .as_ref()
        .is_some_and(|who| who.account == "111122223333");
    let one = |text: &str| Some(vec![text.to_owned()]);
    let (name, variable) = key.split_once('/').unwrap_or((key, ""));
    match name {
        "vpc-lattice-svcs:Port" => one(&call.port.to_string()),
        "vpc-lattice-svcs:RequestMethod" => one(&call.method),
        "vpc-lattice-svcs:RequestPath" => one(std::str::from_utf8(&call.path).unwrap()),
        "vpc-lattice-svcs:RequestHeader" => {
            let lines: Vec<String> = call
                .headers
                .iter()
                .filter(|(header, _)| header.eq_ignore_ascii_case(variable))
                .map(|(_, value)| String::from_utf8(value.clone()).unwrap())
                .collect();
            (!lines.is_empty()).then(|| vec![lines.join(",")])
        }
        "vpc-lattice-svcs:RequestQueryString" => {
            let query = String::from_utf8(call.query.clone()?).unwrap();
            let values: Vec<String> = query
                .split('&')
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .filter(|(name, _)| *name == variable)
                .map(|(_, value)| value.replace("%41", "A").replace('+', " "))
                .collect();
            (!values.is_empty()).then_some(values)
        }
        "vpc-lattice-svcs:ServiceNetworkArn" => one(&network_arn()),
        "vpc-lattice-svcs:ServiceArn" => one(&service_arn()),
        "vpc-lattice-svcs:SourceVpc" | "aws:SourceVpc" => one("vpc-0123456789abcdef0"),
        "vpc-lattice-svcs:SourceVpcOwnerAccount" => one("111122223333"),
        "aws:PrincipalArn" => who.map(|who| vec![who.role.unwrap_or(who.own).to_owned()]),
        "aws:PrincipalAccount" => one(who.map_or("anonymous", |who| who.account)),
        "aws:PrincipalType" => one(who.map_or("Anonymous", |who| who.kind)),
        "aws:PrincipalOrgID" => home.then(|| vec!["o-home".to_owned()]),
        "aws:PrincipalOrgPaths" => {
            home.then(|| vec!["o-home/r-1/ou-a/".to_owned(), "o-home/r-1/ou-b/".to_owned()])
        }
        "aws:PrincipalTag" => {
            let tags = who?.tags.iter();
            let found = tags
                .filter(|(key, _)| key.eq_ignore_ascii_case(variable))
                .map(|(_, value)| vec![(*value).to_owned()]);
            found.into_iter().next()
        }
        "aws:ResourceTag" => match variable.to_ascii_lowercase().as_str() {
            "env" => one("prod"),
            "tier" => one("1"),
            _ => None,
        },
        "aws:username" => who?.name.and_then(one),
        "aws:SourceIp" => one(&call.source_ip.to_string()),
        "aws:SecureTransport" => one(if call.secure_transport {
            "true"
        } else {
            "false"
        }),
        "aws:UserAgent" => context("vpc-lattice-svcs:RequestHeader/user-agent", call),
        "aws:EpochTime" => one(&call.seconds.to_string()),
        // The generator's calls are of this second and the few around it.
        "aws:CurrentTime" => one(&format!(
            "2023-11-14T22:13:{:02}Z",
            call.seconds - 1_699_999_980
        )),
        "s3:prefix" | "aws:MultiFactorAuthPresent" => None,
        other => panic!("the reference does not know {other}"),
    }
}

/// Does one value of the request compare with one value of the policy? For the positive form of the operator.
fn compares(operator: &str, actual: &str, text: &Text) -> bool {
    let wanted = plain(text);
    let numbers = || Some((actual.parse::<f64>().ok()?, wanted.parse::<f64>().ok()?));
    let dates = || Some((moment(actual)?, moment(&wanted)?));
    match operator {
        "StringEquals" => actual == wanted,
        "StringEqualsIgnoreCase" => actual.to_lowercase() == wanted.to_lowercase(),
        "StringLike" => glob(text, actual),
        "ArnEquals" | "ArnLike" => {
            let actual: Vec<&str> = actual.splitn(6, ':').collect();
            let wanted: Vec<_> = text.splitn(6, |(c, _)| *c == ':').collect();
            actual.len() == 6
                && wanted
                    .iter()
                    .zip(&actual)
                    .all(|(wanted, actual)| glob(wanted, actual))
        }
        "Bool" => actual.eq_ignore_ascii_case(&wanted),
        "NumericEquals" => numbers().is_some_and(|(a, b)| a.total_cmp(&b).is_eq()),
        "NumericLessThan" => numbers().is_some_and(|(a, b)| a < b),
        "NumericLessThanEquals" => numbers().is_some_and(|(a, b)| a <= b),
        "NumericGreaterThan" => numbers().is_some_and(|(a, b)| a > b),
        "NumericGreaterThanEquals" => numbers().is_some_and(|(a, b)| a >= b),
        "IpAddress" => in_network(actual, &wanted),
        "DateEquals" => dates().is_some_and(|(a, b)| a.total_cmp(&b).is_eq()),
        "DateLessThan" => dates().is_some_and(|(a, b)| a < b),
        "DateLessThanEquals" => dates().is_some_and(|(a, b)| a <= b),
        "DateGreaterThan" => dates().is_some_and(|(a, b)| a > b),
        "DateGreaterThanEquals" => dates().is_some_and(|(a, b)| a >= b),
        "BinaryEquals" => actual.as_bytes() == from_base64(&wanted),
        other => panic!("the reference does not know {other}"),
    }
}

fn in_network(actual: &str, wanted: &str) -> bool {
    let Ok(std::net::IpAddr::V4(actual)) = actual.parse() else {
        return false;
    };
    let (base, length) = wanted.split_once('/').unwrap_or((wanted, "32"));
    let base: std::net::Ipv4Addr = base.parse().unwrap();
    let length: u32 = length.parse().unwrap();
    let keep = |address: std::net::Ipv4Addr| u64::from(address.to_bits()) >> (32 - length);
    keep(actual) == keep(base)
}

/// Does one operator with one key hold?
fn condition(operator: &str, key: &str, wanted: &Value, newer: bool, call: &Call) -> bool {
    let actual = context(key, call);
    let wanted = list(wanted);
    if operator == "Null" {
        return wanted
            .iter()
            .any(|wanted| (wanted == "true") == actual.is_none());
    }
    let (set, operator) = match operator.split_once(':') {
        Some((set, operator)) => (set, operator),
        None => ("", operator),
    };
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    let positive = operator.replacen("Not", "", 1);
    let negated = positive != operator;
    let Some(actual) = actual else {
        // IfExists: true. ForAllValues: true. ForAnyValue: false. Negated operators: true. All others: false.
        return if_exists || set == "ForAllValues" || (set.is_empty() && negated);
    };
    // A text with a variable that has no value is like nothing.
    let wanted: Vec<Text> = wanted
        .iter()
        .filter_map(|text| expand(text, newer, call))
        .collect();
    let some_wanted = |actual: &String| {
        wanted
            .iter()
            .any(|wanted| compares(&positive, actual, wanted))
    };
    match (set, negated) {
        ("ForAllValues", false) => actual.iter().all(some_wanted),
        ("ForAnyValue", true) => !actual.iter().all(some_wanted),
        (_, false) => actual.iter().any(some_wanted),
        (_, true) => !actual.iter().any(some_wanted),
    }
}

fn names(principal: &str, call: &Call) -> bool {
    if principal == "*" {
        return true;
    }
    let Some(who) = who(call.caller) else {
        return false;
    };
    principal == who.own
        || Some(principal) == who.role
        || principal == who.account
        || principal == format!("arn:aws:iam::{}:root", who.account)
}

fn principals(value: &Value) -> Vec<String> {
    match value {
        Value::Object(kinds) => kinds.get("AWS").map(list).unwrap_or_default(),
        other => list(other),
    }
}

fn applies(statement: &Value, newer: bool, call: &Call) -> bool {
    let principal = match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(listed), _) => principals(listed)
            .iter()
            .any(|principal| names(principal, call)),
        (None, Some(listed)) => {
            let listed = principals(listed);
            let has = |arn: &str| listed.iter().any(|principal| principal == arn);
            let excepted = who(call.caller).is_some_and(|who| {
                let account =
                    has(who.account) || has(&format!("arn:aws:iam::{}:root", who.account));
                has(who.own) && account && who.role.is_none_or(has)
            });
            !excepted
        }
        (None, None) => true,
    };
    let action = |patterns: &Value| {
        list(patterns)
            .iter()
            .any(|pattern| glob(&written(&pattern.to_lowercase()), "vpc-lattice-svcs:invoke"))
    };
    let action = match (statement.get("Action"), statement.get("NotAction")) {
        (Some(patterns), _) => action(patterns),
        (None, Some(patterns)) => !action(patterns),
        (None, None) => unreachable!(),
    };
    let whole = format!(
        "{}{}",
        service_arn(),
        std::str::from_utf8(&call.path).unwrap()
    );
    let resource = |patterns: &Value| {
        let mut patterns = list(patterns).into_iter();
        patterns
            .any(|text| expand(&text, newer, call).is_some_and(|pattern| glob(&pattern, &whole)))
    };
    let resource = match (statement.get("Resource"), statement.get("NotResource")) {
        (Some(patterns), _) => resource(patterns),
        (None, Some(patterns)) => !resource(patterns),
        (None, None) => unreachable!(),
    };
    let empty = serde_json::Map::new();
    let conditions = statement
        .get("Condition")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let conditions = conditions.iter().all(|(operator, keys)| {
        let keys = keys.as_object().unwrap();
        keys.iter()
            .all(|(key, wanted)| condition(operator, key, wanted, newer, call))
    });
    principal && action && resource && conditions
}

fn is_newer(policy: &Value) -> bool {
    policy["Version"] == "2012-10-17"
}

fn says(policy: &Value, call: &Call) -> Says {
    let statements = match &policy["Statement"] {
        Value::Array(items) => items.clone(),
        single => vec![single.clone()],
    };
    let applying: Vec<&Value> = statements
        .iter()
        .filter(|statement| applies(statement, is_newer(policy), call))
        .collect();
    let effect = |wanted: &str| {
        applying
            .iter()
            .any(|statement| statement["Effect"] == wanted)
    };
    if effect("Deny") {
        Says::Deny
    } else if effect("Allow") {
        Says::Allow
    } else {
        Says::Nothing
    }
}

/// The whole decision, as `allowed` or layer and kind.
fn decide(
    network: Option<&Value>,
    service: Option<&Value>,
    identity: &Value,
    call: &Call,
) -> String {
    let mut layers = vec![("Network", network), ("Service", service)];
    if call.caller != "anonymous" && (network.is_some() || service.is_some()) {
        layers.push(("Identity", Some(identity)));
    }
    let said: Vec<(&str, Says)> = layers
        .into_iter()
        .filter_map(|(layer, policy)| Some((layer, says(policy?, call))))
        .collect();
    for (wanted, kind) in [(Says::Deny, "Explicit"), (Says::Nothing, "Implicit")] {
        if let Some((layer, _)) = said.iter().find(|(_, said)| *said == wanted) {
            return format!("{layer} {kind}");
        }
    }
    "allowed".to_owned()
}

/// Both must agree on every call; the explanation must agree as well.
#[track_caller]
fn check(
    network: Option<&Value>,
    service: Option<&Value>,
    identity: &Value,
    calls: &[Call],
) -> [usize; 3] {
    let text = |policy: Option<&Value>| policy.map(ToString::to_string);
    let (network_text, service_text) = (text(network), text(service));
    let given = |text: &Option<String>| match text {
        Some(text) => Given::Policy(Box::leak(text.clone().into_boxed_str())),
        None => Given::None,
    };
    let identity_text = identity.to_string();
    let policies = policies_with(
        given(&network_text),
        given(&service_text),
        Given::Policy(&identity_text),
    );
    let mut outcomes = [0; 3];
    for (number, call) in calls.iter().enumerate() {
        let expected = decide(network, service, identity, call);
        // Cedar's authorizer takes its time, so it is asked about one in five.
        let answer = if number % 5 == 0 {
            call.ask(&policies)
        } else {
            call.ask_twice(&policies)
        };
        let got = match answer {
            Ok(()) => "allowed".to_owned(),
            Err(refusal) => format!("{} {:?}", refusal.layer, refusal.kind),
        };
        assert_eq!(
            got, expected,
            "\nnetwork {network_text:?}\nservice {service_text:?}\nidentity {identity_text}\n{call:?}"
        );
        outcomes
            [usize::from(expected != "allowed") + usize::from(expected.ends_with("Implicit"))] += 1;
    }
    if let Some(call) = calls.first() {
        let explanation = call.explain(&policies);
        for layer in explanation.layers.iter().filter(|layer| layer.counted) {
            let policy = match layer.layer {
                crate::Layer::Network => network,
                crate::Layer::Service => service,
                crate::Layer::Identity => Some(identity),
                crate::Layer::Boundary | crate::Layer::Session => None,
            };
            let statements = policy.unwrap()["Statement"].as_array().unwrap();
            for (statement, explained) in statements.iter().zip(&layer.statements) {
                assert_eq!(
                    explained.applies,
                    applies(statement, is_newer(policy.unwrap()), call),
                    "{statement} {explained} {call:?}"
                );
            }
        }
    }
    outcomes
}

fn run(seed: u64, policies: usize, calls: usize) {
    let mut dice = generator::Dice::new(seed);
    let mut total = [0; 3];
    for _ in 0..policies {
        let layer =
            |dice: &mut generator::Dice| (!dice.one_in(4)).then(|| generator::policy(dice, true));
        let (network, service) = (layer(&mut dice), layer(&mut dice));
        let identity = generator::policy(&mut dice, false);
        let calls: Vec<Call> = (0..calls).map(|_| generator::call(&mut dice)).collect();
        let outcomes = check(network.as_ref(), service.as_ref(), &identity, &calls);
        total
            .iter_mut()
            .zip(outcomes)
            .for_each(|(total, more)| *total += more);
    }
    // A generator that nearly always gives one answer would show nothing.
    assert!(
        total.iter().all(|count| *count * 20 > policies * calls),
        "seed {seed}: {total:?}"
    );
}

/// A hundred thousand pairs of policies and requests, in four parts that run side by side.
#[test]
fn generated_policies_and_requests_are_decided_as_documented_1() {
    run(0x5eed_0001, 500, 50);
}

#[test]
fn generated_policies_and_requests_are_decided_as_documented_2() {
    run(0x5eed_0002, 500, 50);
}

#[test]
fn generated_policies_and_requests_are_decided_as_documented_3() {
    run(0x5eed_0003, 500, 50);
}

#[test]
fn generated_policies_and_requests_are_decided_as_documented_4() {
    run(0x5eed_0004, 500, 50);
}

/// `TRELLIS_SEED` would be an environment variable, which this crate does not read; for a long run change the numbers here.
#[test]
fn every_operator_meets_every_kind_of_key() {
    let mut outcomes = [0; 3];
    for (operator, values) in generator::OPERATORS {
        for set in ["", "ForAnyValue:", "ForAllValues:"] {
            for suffix in ["", "IfExists"] {
                if *operator == "Null" && !(set.is_empty() && suffix.is_empty()) {
                    continue;
                }
                let name = format!("{set}{operator}{suffix}");
                for key in generator::KEYS {
                    let policy = json!({"Version": "2012-10-17", "Statement": [{
                        "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
                        "Condition": {&name: {*key: values}},
                    }]});
                    let own =
                        json!({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
                    let calls = generator::typical_calls();
                    let more = check(None, Some(&policy), &own, &calls);
                    outcomes
                        .iter_mut()
                        .zip(more)
                        .for_each(|(total, more)| *total += more);
                }
            }
        }
    }
    assert!(outcomes[0] > 100 && outcomes[2] > 100, "{outcomes:?}");
}
