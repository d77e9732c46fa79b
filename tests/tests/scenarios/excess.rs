//! Too much, too deep, malformed: policies, documents and requests that cost little, are refused with a reason, and disturb nobody.

use std::time::{Duration, Instant};

use serde_json::json;
use trellis_tests::{Gateway, Guard, Request, Setup, Target, Via, policy};

/// Longest time that reading and refusing a document may take, on a machine that does much else besides.
const BOUND: Duration = Duration::from_secs(20);

/// What is said of an auth policy beyond VPC Lattice's quota.
const LARGE: &str = "is larger than 10240";

const STATEMENT: &str =
    r#"{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*"}"#;

/// A policy with these statements.
fn statements(texts: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{texts}]}}"#)
}

/// A change to this policy file must be refused, for these reasons, soon.
async fn refused(gateway: &mut Gateway, name: &str, text: &str, reasons: &[&str]) {
    let file = gateway.setup().file(name);
    std::fs::write(&file, text).unwrap();
    let began = Instant::now();
    let change = |setup: Setup| {
        setup
            .set("services.orders.authType", json!("AWS_IAM"))
            .set("services.orders.authPolicy", json!({"file": file}))
    };
    let problems = gateway.try_reload(change).unwrap_err().to_string();
    assert!(
        problems.len() < 64 * 1024,
        "{name}: {} bytes",
        problems.len()
    );
    let took = began.elapsed();
    assert!(took < BOUND, "{name}: {took:?}");
    for reason in reasons {
        assert!(problems.contains(reason), "{name}: {problems}");
        gateway.expect_log(reason).await;
    }
    gateway.expect_log("configuration rejected").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn excessive_policies_are_refused_soon_and_what_runs_goes_on() {
    let target = Target::named("v1").await;
    let all = Guard::By(policy(&[serde_json::from_str(STATEMENT).unwrap()]));
    let setup = Setup::with_orders([&target]).guarded(&Guard::Off, &all);
    let mut gateway = setup.start().await;
    let repeated = statements(&vec![STATEMENT; 10_000].join(","));
    let nested = statements(&format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)));
    let objects = statements(&format!(
        "{}1{}",
        "{\"Statement\":".repeat(10_000),
        "}".repeat(10_000)
    ));
    let padded = format!("{}{}", " ".repeat(10_000_000), statements(STATEMENT));
    let cases: [(&str, String, &[&str]); 4] = [
        ("repeated.json", repeated, &[LARGE, "the policy has 8"]),
        ("nested.json", nested, &[LARGE, "levels deep"]),
        ("objects.json", objects, &[LARGE, "the policy has 1"]),
        (
            "ten-megabytes.json",
            padded,
            &["is larger than a policy may be"],
        ),
    ];
    let count = cases.len() as u64;
    for (name, text, reasons) in cases {
        refused(&mut gateway, name, &text, reasons).await;
        let answer = gateway.get("orders.test", "/a").await;
        answer.has_status(200);
    }
    let rejected = "gateway_config_reloads_total{outcome=\"rejected\"}";
    gateway.expect_metric(rejected, count).await;
    // Within the size there is room for as many as a policy can have, and each of them is read.
    let most = statements(&vec![STATEMENT; 100].join(","));
    let within: serde_json::Value = serde_json::from_str(&most).unwrap();
    gateway.reload(|setup| setup.guarded(&Guard::Off, &Guard::By(within)));
    gateway.get("orders.test", "/a").await.has_status(200);
    assert_eq!(target.count(), 5);
}

/// What of a request policies look at, malformed or excessive: it is no match, and the connection goes on.
#[tokio::test(flavor = "multi_thread")]
async fn excessive_keys_of_a_request_match_nothing_and_cost_nobody_anything() {
    let target = Target::named("v1").await;
    let wanted = policy(&[json!({
        "Effect": "Allow",
        "Principal": "*",
        "Action": "vpc-lattice-svcs:Invoke",
        "Resource": "*",
        "Condition": {
            "StringEquals": {"vpc-lattice-svcs:RequestHeader/x-team": "w\u{e9}b"},
            "ForAllValues:StringEquals": {"vpc-lattice-svcs:RequestQueryString/role": ["reader"]},
        },
    })]);
    let setup = Setup::with_orders([&target]).guarded(&Guard::Off, &Guard::By(wanted));
    let mut gateway = setup.start().await;
    let mut raw = gateway.raw().await;
    let huge = "w".repeat(50_000);
    let many = vec!["role=reader"; 2_000].join("&");
    for (name, query, team, status) in [
        ("text", "role=reader", "w\u{e9}b".as_bytes(), 200),
        // Not UTF-8: read as ISO 8859-1, which is the same word.
        ("Latin-1", "role=reader", b"w\xe9b", 200),
        ("no text", "role=reader", b"w\xff\xfeb", 403),
        ("cut text", "role=reader", b"w\xc3", 403),
        ("huge", "role=reader", huge.as_bytes(), 403),
        (
            "twice the same",
            "role=reader&role=reader",
            "w\u{e9}b".as_bytes(),
            200,
        ),
        (
            "two values",
            "role=reader&role=writer",
            "w\u{e9}b".as_bytes(),
            403,
        ),
        (
            "encoded twin",
            "role=reader&r%6Fle=writer",
            "w\u{e9}b".as_bytes(),
            403,
        ),
        ("many", &many, "w\u{e9}b".as_bytes(), 200),
        (
            "many and one",
            &format!("{many}&role=x"),
            "w\u{e9}b".as_bytes(),
            403,
        ),
    ] {
        let path = format!("/{}", name.replace(' ', "-"));
        let head = format!(
            "GET {path}?{query} HTTP/1.1\r\nHost: orders.test:{}\r\nX-Team: ",
            gateway.setup().http_port()
        );
        raw.send([head.as_bytes(), team, b"\r\n\r\n"].concat())
            .await;
        let answer = raw.read_head().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{name}: {answer}"
        );
        let length = answer.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field
                .eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().unwrap())
        });
        raw.read_exactly(length.unwrap_or(0)).await;
        let record = gateway.record_for(&path).await;
        record.has([("responseCode", json!(status))]);
    }
    raw.finish().await;
}

/// A provider that is down refuses its own tokens, and nobody else's requests.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_refuses_its_own_tokens_only() {
    let target = Target::named("v1").await;
    let down =
        Target::saying(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
    let url = format!("http://{}/keys", down.address());
    let setup = Setup::with_orders([&target])
        .guarded(&Guard::Off, &Guard::By(policy(&[serde_json::from_str(STATEMENT).unwrap()])))
        .set("principals.identityProviders", json!([
            {"name": "down", "type": "OIDC", "issuer": "https://down.test", "audiences": ["orders"], "jwks": {"url": url}},
        ]));
    let mut gateway = setup.start().await;
    gateway
        .expect_log("keys of an identity provider not read")
        .await;
    // {"alg":"ES256","kid":"a"}.{"iss":"https://down.test","aud":"orders","exp":4000000000}.(64 bytes)
    let token = format!(
        "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.eyJpc3MiOiJodHRwczovL2Rvd24udGVzdCIsImF1ZCI6Im9yZGVycyIsImV4cCI6NDAwMDAwMDAwMH0.{}",
        "A".repeat(86)
    );
    let request =
        Request::get("orders.test", "/a").header("authorization", &format!("Bearer {token}"));
    let answer = gateway.send(Via::Http1, request).await;
    answer.is(
        403,
        "IDPCommunicationErrorException: The keys of the identity provider are not available.",
    );
    let record = gateway.record_of(&answer).await;
    record.failed(403, "ClientAccessDenied");
    let told = &record.field("trellis")["authenticationFailure"];
    assert_eq!(
        told,
        "there are no keys of the issuer `https://down.test` yet"
    );
    gateway.get("orders.test", "/a").await.has_status(200);
    assert_eq!(target.count(), 1);
}
