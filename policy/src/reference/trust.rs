//! The same comparison for trust policies: with the caller and all that is known of a request as the context of a call.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Says, context, generator, says};
use crate::{
    calls::{CallBy, CallContext, CallLayer},
    compile,
    world::{self, Call, READER_ROLE, policy},
};

/// A policy as generated, about the role and about no other resource. A trust policy has no `NotPrincipal`, and keys of calls have
/// no case, so that two that differ in case only are one.
fn trust(dice: &mut generator::Dice) -> Value {
    let text = generator::policy(dice, true).to_string();
    let text = text
        .replace("\"NotPrincipal\"", "\"Principal\"")
        .replace("RequestQueryString/Type", "RequestQueryString/other");
    let mut policy: Value = serde_json::from_str(&text).unwrap();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        let statement = statement.as_object_mut().unwrap();
        statement.remove("NotResource");
        statement.insert("Resource".to_owned(), json!("*"));
    }
    policy
}

/// The same as it is written: its resource is the role, so it names none.
fn written(policy: &Value) -> String {
    let mut policy = policy.clone();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement.as_object_mut().unwrap().remove("Resource");
    }
    policy.to_string()
}

/// What the trust policy says about each call, as far as the answer shows it: callers here have no policies of their own.
fn asked(text: &str, calls: &[Call]) -> Vec<Says> {
    let mut config = world::config();
    Arc::make_mut(&mut config.roles[0]).trust_policy = Some(policy(text));
    let policies = compile(&config).unwrap_or_else(|problems| panic!("{problems} {text}"));
    let role = policies.calls().role(READER_ROLE).unwrap();
    let ask = |call: &Call| {
        let by = policies.principal_by_arn(call.caller).unwrap();
        let principal = policies.principal(by).unwrap();
        let mut known = CallContext::default();
        let keys = generator::KEYS.iter();
        for key in keys.filter(|key| !key.ends_with("/Type")) {
            known.set(key, context(key, call).unwrap_or_default());
        }
        let by = CallBy::Principal {
            principal,
            session_policies: &[],
        };
        let action = "vpc-lattice-svcs:Invoke";
        match policies.calls().may_assume(role, by, action, &known) {
            Err(refusal) if refusal.by == CallLayer::Trust && refusal.explicit => Says::Deny,
            Err(refusal) if refusal.by == CallLayer::Trust => Says::Nothing,
            // Trusted through its account, it lacks a permission of its own.
            Ok(()) | Err(_) => Says::Allow,
        }
    };
    calls.iter().map(ask).collect()
}

#[test]
fn generated_trust_policies_are_decided_as_documented() {
    let mut dice = generator::Dice::new(0x5eed_0005);
    let mut seen = [0; 3];
    for _ in 0..1_000 {
        let policy = trust(&mut dice);
        let calls = (0..20).map(|_| generator::call(&mut dice));
        let calls: Vec<Call> = calls.filter(|call| call.caller != "anonymous").collect();
        let text = written(&policy);
        for (call, got) in calls.iter().zip(asked(&text, &calls)) {
            let expected = says(&policy, call);
            assert_eq!(got, expected, "\n{text}\n{call:?}");
            seen[expected as usize] += 1;
        }
    }
    // A generator that nearly always gives one answer would show nothing.
    assert!(seen.iter().all(|count| *count > 1_000), "{seen:?}");
}
