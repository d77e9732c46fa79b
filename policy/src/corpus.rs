//! Replays decisions that another program, in another language, worked out from AWS's documents: `testdata/iam/generate.py`.

use std::{fs, net::IpAddr, path::Path};

use serde_json::Value;
use trellis_model::problem::Severity;

use crate::{
    Action, Layer, Policies,
    decision::RefusalKind,
    iam::read::{Attached, read},
    world::{CALLERS, Call, Given, network_arn, policies_with, policy, service_arn},
};

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

fn call(request: &Value) -> Call {
    let caller = text(request, "caller");
    let headers = request["headers"].as_array().unwrap();
    Call {
        action: match text(request, "action") {
            "Connect" => Action::Connect,
            _ => Action::Invoke,
        },
        session: None,
        caller: CALLERS.into_iter().find(|known| *known == caller).unwrap(),
        method: text(request, "method").to_owned(),
        path: text(request, "path").as_bytes().to_vec(),
        query: request["query"]
            .as_str()
            .map(|query| query.as_bytes().to_vec()),
        authority: "orders.test",
        headers: headers
            .iter()
            .map(|line| {
                let [name, value] = [0, 1].map(|at| line[at].as_str().unwrap().to_owned());
                (name.into(), value.into_bytes())
            })
            .collect(),
        port: u16::try_from(request["port"].as_u64().unwrap()).unwrap(),
        source_ip: text(request, "ip").parse::<IpAddr>().unwrap(),
        source_vpc: text(request, "vpc").to_owned().into(),
        source_vpc_owner: text(request, "owner").to_owned().into(),
        secure_transport: request["tls"].as_bool().unwrap(),
        seconds: request["time"].as_u64().unwrap(),
    }
}

fn letter(policies: &Policies, call: &Call) -> char {
    let Err(refusal) = call.ask(policies) else {
        return '.';
    };
    let letter = match refusal.layer {
        Layer::Network => 'n',
        Layer::Service => 's',
        Layer::Identity => 'i',
        // No caller of the corpus has such limits.
        Layer::Boundary | Layer::Session => '?',
    };
    match refusal.kind {
        RefusalKind::Explicit => letter.to_ascii_uppercase(),
        RefusalKind::Implicit => letter,
        RefusalKind::EvaluationFailed => '!',
    }
}

/// Replays a file; gives the number of decisions of each kind.
fn replay(text: &str) -> std::collections::BTreeMap<char, usize> {
    let mut lines = text.lines();
    let head: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(head["service"], service_arn());
    assert_eq!(head["network"], network_arn());
    let calls: Vec<Call> = head["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(call)
        .collect();
    let mut seen = std::collections::BTreeMap::new();
    for line in lines {
        let case: Value = serde_json::from_str(line).unwrap();
        let [network, service, identity] = ["network", "service", "identity"].map(|name| {
            let policy = &case[name];
            (!policy.is_null()).then(|| policy.to_string())
        });
        let given = |policy: &'static Option<String>| match policy {
            Some(text) => Given::Policy(text),
            None => Given::None,
        };
        let [network, service, identity] =
            [network, service, identity].map(|policy| given(Box::leak(Box::new(policy))));
        let policies = policies_with(network, service, identity);
        for (call, expected) in calls.iter().zip(text_of(&case).chars()) {
            let decided = letter(&policies, call);
            assert_eq!(decided, expected, "\n{line}\n{call:?}");
            *seen.entry(decided).or_default() += 1;
        }
    }
    seen
}

fn text_of(case: &Value) -> &str {
    text(case, "decisions")
}

/// Every file of the folder, so that a longer run needs no more than a longer file beside the kept one.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the corpus is a file, and reading it anew needs no rebuild"
)]
fn decisions_worked_out_from_the_documents_are_made_here_too() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/iam");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            let seen = replay(&fs::read_to_string(&path).unwrap());
            println!("{}: {seen:?}", path.display());
            // A corpus that nearly always gives one answer would show nothing.
            for kind in ".NSInsi".chars() {
                assert!(seen.get(&kind) > Some(&100), "{kind}: {seen:?}");
            }
            files += 1;
        }
    }
    assert!(files > 0);
}

/// What is not understood is refused with its place, never ignored.
#[test]
fn spoilt_policies_are_refused_with_their_place() {
    let mut lines = include_str!("../testdata/iam/refused.txt").lines();
    let mut count = 0;
    while let (Some(place), Some(text)) = (lines.next(), lines.next()) {
        let Err(problems) = read(&policy(text), Attached::ToResource, None) else {
            panic!("accepted, but {place} is wrong: {text}");
        };
        let named = problems
            .iter()
            .any(|problem| problem.severity == Severity::Error && problem.place.path == place);
        assert!(
            named,
            "{place} is wrong, but not named: {problems:?} {text}"
        );
        count += 1;
    }
    assert!(count > 100, "{count}");
}
