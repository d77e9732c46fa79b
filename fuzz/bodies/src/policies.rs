//! Policies: whatever their author writes, they are refused, or decide the same in every way that there is to ask them.

use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use trellis_model::{
    config::{Config, PolicyLanguage},
    id::VpcId,
    name::AccountId,
};
use trellis_policy::{
    Action, Caller, Policies, Refusal, RefusalKind, Request,
    calls::{CallBy, CallContext},
    compile,
};

use crate::world::{
    self, AUDITOR, CHECKOUT, READER, READER_ROLE, now, parts, text as policy_text, utf8,
};

static CONFIG: LazyLock<Config> = LazyLock::new(world::config);
static VPC: LazyLock<VpcId> = LazyLock::new(|| "vpc-0123456789abcdef0".parse().unwrap());
static OWNER: LazyLock<AccountId> = LazyLock::new(|| "111122223333".parse().unwrap());

/// What of a request comes from the input.
struct Asked<'a> {
    method: &'a str,
    path: &'a [u8],
    query: Option<&'a [u8]>,
    headers: HeaderMap,
}

impl<'a> Asked<'a> {
    /// Method and path, query, value of a header.
    fn new([line, query, header]: [&'a [u8]; 3]) -> Self {
        let (method, path) = line.split_at(line.iter().position(|b| *b == b' ').unwrap_or(0));
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(header) {
            headers.insert(HeaderName::from_static("x-data"), value);
        }
        Self {
            method: utf8(method)
                .filter(|text| !text.is_empty())
                .unwrap_or("GET"),
            path: path
                .get(1..)
                .filter(|path| !path.is_empty())
                .unwrap_or(b"/"),
            query: (!query.is_empty()).then_some(query),
            headers,
        }
    }

    fn by(&self, caller: &Caller, action: Action, policies: &Policies) -> Result<(), Refusal> {
        let request = Request {
            action,
            network: policies.network(CONFIG.service_networks[0].id).unwrap(),
            service: policies.service(CONFIG.services[0].id).unwrap(),
            caller,
            method: self.method,
            path: self.path,
            query: self.query,
            authority: b"orders.test",
            headers: &self.headers,
            port: 8080,
            source_ip: IpAddr::from([10, 0, 3, 4]),
            source_vpc: &VPC,
            source_vpc_owner: &OWNER,
            secure_transport: true,
            now: now(),
        };
        let decided = policies.authorize(&request).map(drop);
        let again = policies.authorize(&request).map(drop);
        assert_eq!(decided, again, "a remembered decision differs");
        // Explanations ask Cedar's authorizer about every policy, whole.
        let told = policies.explain(&request);
        let (layer, allowed) = (
            decided.as_ref().err().map(|refusal| refusal.layer),
            decided.is_ok(),
        );
        assert_eq!(
            (told.allowed, told.refused_by),
            (allowed, layer),
            "the authorizer differs: {decided:?} {told:?}"
        );
        decided
    }
}

fn callers(policies: &Policies) -> [Caller; 4] {
    let known = |arn| Caller::Principal(policies.principal_by_arn(arn).unwrap());
    [
        Caller::Anonymous,
        known(CHECKOUT),
        known(AUDITOR),
        known(READER),
    ]
}

/// Attaches a policy to the service and asks for decisions, if it can be read.
fn decide(
    language: PolicyLanguage,
    policy: &str,
    asked: &Asked<'_>,
    mut see: impl FnMut(Result<(), Refusal>),
) {
    let mut config = CONFIG.clone();
    Arc::make_mut(&mut config.services[0]).auth_policy = Some(policy_text(language, policy));
    let Ok(policies) = compile(&config) else {
        return;
    };
    for caller in callers(&policies) {
        for action in [Action::Invoke, Action::Connect] {
            see(asked.by(&caller, action, &policies));
        }
    }
}

/// An IAM policy, a request line, a query, a header: programs decide as Cedar's authorizer, and only `Allow` allows.
pub(crate) fn iam(data: &[u8]) {
    let [policy, line, query, header] = parts(data);
    let Some(policy) = utf8(policy) else {
        return;
    };
    let effects: Vec<Value> = serde_json::from_str(policy)
        .map(|policy: Value| {
            statements(&policy)
                .map(|one| one["Effect"].clone())
                .collect()
        })
        .unwrap_or_default();
    decide(
        PolicyLanguage::Iam,
        policy,
        &Asked::new([line, query, header]),
        |decided| {
            if decided.is_ok() {
                assert!(
                    effects.iter().any(|effect| effect == "Allow"),
                    "allowed by nothing"
                );
            }
            if let Err(refusal) = &decided
                && refusal.kind == RefusalKind::Explicit
            {
                assert!(
                    effects.iter().any(|effect| effect == "Deny"),
                    "denied by nothing"
                );
            }
            let failed = |refusal: &Refusal| refusal.kind == RefusalKind::EvaluationFailed;
            assert!(
                !decided.is_err_and(|refusal| failed(&refusal)),
                "IAM never fails"
            );
        },
    );
}

fn statements(policy: &Value) -> impl Iterator<Item = &Value> {
    let statement = policy.get("Statement");
    let list = statement.and_then(Value::as_array);
    let single = statement.filter(|_| list.is_none());
    list.into_iter().flatten().chain(single)
}

/// The same with native Cedar policies.
pub(crate) fn cedar(data: &[u8]) {
    let [policy, line, query, header] = parts(data);
    let Some(policy) = utf8(policy) else {
        return;
    };
    decide(
        PolicyLanguage::Cedar,
        policy,
        &Asked::new([line, query, header]),
        |decided| {
            if decided.is_ok() {
                assert!(policy.contains("permit"), "allowed by nothing");
            }
        },
    );
}

/// A pattern and a text: `*` and `?` mean what a naive reading of their definition says, in conditions and in resources.
pub(crate) fn wildcard(data: &[u8]) {
    let [pattern, path] = parts(data).map(utf8);
    let (Some(pattern), Some(path)) = (pattern, path) else {
        return;
    };
    // The naive reading takes its time.
    if pattern.len() > 200 || path.len() > 200 {
        return;
    }
    let path = format!("/{path}");
    let asked = Asked {
        method: "GET",
        path: path.as_bytes(),
        query: None,
        headers: HeaderMap::new(),
    };
    // Without a version a dollar sign is a dollar sign.
    let condition = serde_json::json!({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "vpc-lattice-svcs:Invoke",
        "Resource": "*", "Condition": {"StringLike": {"vpc-lattice-svcs:RequestPath": [pattern, "never"]}}}});
    let fits = path == "/never" || naive_like(pattern, &path);
    let check = |policy: &Value, expected: bool| {
        let policy = policy.to_string();
        let mut asked_first = true;
        decide(PolicyLanguage::Iam, &policy, &asked, |decided| {
            if std::mem::take(&mut asked_first) {
                assert_eq!(decided.is_ok(), expected, "{policy} {path}");
            }
        });
    };
    check(&condition, fits);
    let whole = format!("{}{path}", CONFIG.services[0].arn);
    let resource = format!("arn:{pattern}");
    let statement = serde_json::json!({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "vpc-lattice-svcs:Invoke",
        "Resource": [resource, format!("*{pattern}"), format!("*{pattern}?x")]}});
    let one = |pattern: &str| naive_like(pattern, &whole);
    let fits = one(&resource) || one(&format!("*{pattern}")) || one(&format!("*{pattern}?x"));
    check(&statement, fits);
}

/// The definition, with a table: does the pattern up to here fit the text up to there?
fn naive_like(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut fits = vec![false; text.len() + 1];
    fits[0] = true;
    for step in pattern.chars() {
        let before = fits.clone();
        for at in 0..=text.len() {
            fits[at] = match step {
                '*' => before[at] || at > 0 && fits[at - 1],
                '?' => at > 0 && before[at - 1],
                literal => at > 0 && before[at - 1] && text[at - 1] == literal,
            };
        }
    }
    fits[text.len()]
}

/// A trust policy and the external id of a call: only `Allow` allows, and whatever it says, a `Deny` for everybody ends it.
pub(crate) fn trust(data: &[u8]) {
    let [policy, external_id] = parts(data).map(utf8);
    let (Some(policy), Some(external_id)) = (policy, external_id) else {
        return;
    };
    let trusted = |policy: &str| -> Vec<bool> {
        let mut config = CONFIG.clone();
        Arc::make_mut(&mut config.roles[0]).trust_policy =
            Some(policy_text(PolicyLanguage::Iam, policy));
        let Ok(policies) = compile(&config) else {
            return Vec::new();
        };
        let calls = policies.calls();
        let role = calls.role(READER_ROLE).unwrap();
        let callers = callers(&policies);
        let known = callers.iter().filter_map(|caller| policies.caller(caller));
        let by = known.map(|principal| CallBy::Principal {
            principal,
            session_policies: &[],
        });
        let provider = CallBy::Federated("arn:aws:iam::111122223333:oidc-provider/issuer.test");
        let mut all = Vec::new();
        for by in by.chain([provider]) {
            let mut context = CallContext::new(now(), IpAddr::from([10, 0, 3, 4]), true);
            if let CallBy::Principal { principal, .. } = by {
                context.describe(principal);
            }
            context.set("sts:ExternalId", [external_id.to_owned()]);
            for action in [
                "sts:AssumeRole",
                "sts:AssumeRoleWithWebIdentity",
                "sts:TagSession",
            ] {
                all.push(calls.may_assume(role, by, action, &context).is_ok());
            }
        }
        all
    };
    let found = trusted(policy);
    let Ok(mut json) = serde_json::from_str::<Value>(policy) else {
        assert!(found.is_empty(), "what is no JSON was taken");
        return;
    };
    if found.contains(&true) {
        let allows = statements(&json).any(|one| one["Effect"] == "Allow");
        assert!(allows, "trusted by nothing");
    }
    if !found.is_empty() {
        let deny = serde_json::json!({"Effect": "Deny", "Principal": "*", "Action": "*"});
        let all: Vec<Value> = statements(&json).cloned().chain([deny]).collect();
        json["Statement"] = all.into();
        assert!(
            !trusted(&json.to_string()).contains(&true),
            "denied and trusted: {json}"
        );
    }
}
