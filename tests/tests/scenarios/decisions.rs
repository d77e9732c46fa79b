//! Who may: the decision table of the specification, §6.3, with real signatures, and the texts of §6.7.

use std::time::Duration;

use serde_json::json;
use trellis_tests::{Gateway, Guard, Key, Request, Setup, Target, Via, allow, deny, identity};

const WRITER: &str = "arn:aws:iam::111122223333:user/writer";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/reader/web-1";

/// The callers of the table; what their identity-based policies say is in their name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Anonymous,
    /// A user who may.
    Writer,
    /// A session of a role that may.
    Reader,
    /// A user without a policy.
    Idle,
    /// A user whose policy denies.
    Barred,
}

impl Who {
    fn key(self) -> Option<Key> {
        let id = match self {
            Self::Anonymous => return None,
            Self::Writer => "AKWRITER",
            Self::Reader => "AKREADER",
            Self::Idle => "AKIDLE",
            Self::Barred => "AKBARRED",
        };
        Some(Key::new(id))
    }

    fn arn(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Writer => WRITER,
            Self::Reader => SESSION,
            Self::Idle => "arn:aws:iam::111122223333:user/idle",
            Self::Barred => "arn:aws:iam::111122223333:user/barred",
        }
    }

    fn resolved(self) -> &'static str {
        match self {
            Self::Anonymous => "Anonymous",
            _ => self.arn(),
        }
    }

    /// What shows it, as records say.
    fn proof(self) -> serde_json::Value {
        self.key().map_or(json!(null), |_| json!("SIGNATURE"))
    }

    fn request(self, path: &str) -> Request {
        let request = Request::get("orders.test", path);
        match self.key() {
            Some(key) => request.signed(&key),
            None => request,
        }
    }
}

/// `orders` with everybody in [`Who`].
fn everybody(target: &Target) -> Setup {
    let key = |who: Who| who.key().unwrap();
    Setup::with_orders([target])
        .user("writer", &key(Who::Writer), &[identity("Allow")])
        .role("reader", "web-1", &key(Who::Reader), &[identity("Allow")])
        .user("idle", &key(Who::Idle), &[])
        .user(
            "barred",
            &key(Who::Barred),
            &[identity("Allow"), identity("Deny")],
        )
}

/// What is expected of a request: it passes, or this layer refuses it, by an explicit deny or for want of an allow.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Pass,
    NoAllow(&'static str),
    Deny(&'static str),
}

use Expected::{Deny, NoAllow, Pass};

/// Sends a request of `who` and checks answer, record, and whether it reached the target.
async fn check(gateway: &mut Gateway, target: &Target, who: Who, row: &str, expected: Expected) {
    let before = target.count();
    let answer = gateway.send(Via::Http1, who.request("/a/b?c=d")).await;
    let record = gateway.record_of(&answer).await;
    let context = format!("{row}, {who:?}: {}", answer.text());
    let reached = target.count() - before;
    let (layer, why) = match expected {
        Pass => {
            assert_eq!((answer.status, reached), (200, 1), "{context}");
            record.has([
                ("authDeniedReason", json!("-")),
                ("failureReason", json!("-")),
            ]);
            record.adds([("identifiedBy", who.proof())]);
            return;
        }
        NoAllow(layer) => (
            layer,
            format!("because no {layer}-based policy allows the vpc-lattice-svcs:Invoke action"),
        ),
        Deny(layer) if layer == "identity" => (
            layer,
            format!("with an explicit deny in an {layer}-based policy"),
        ),
        Deny(layer) => (
            layer,
            format!("with an explicit deny in a {layer}-based policy"),
        ),
    };
    assert_eq!((answer.status, reached), (403, 0), "{context}");
    let service = record.text("serviceArn");
    assert_eq!(
        answer.text(),
        format!(
            "AccessDeniedException: User: {} is not authorized to perform: vpc-lattice-svcs:Invoke on resource: {service}/a/b {why}",
            who.arn()
        ),
        "{row}"
    );
    assert_eq!(answer.header("content-type"), "text/plain");
    let denied = match layer {
        "network" => "Network",
        "service" => "Service",
        _ => "Identity",
    };
    record.failed(403, "ClientAccessDenied").has([
        ("authDeniedReason", json!(denied)),
        ("resolvedUser", json!(who.resolved())),
        ("targetIpPort", json!("-")),
        ("targetGroupArn", json!("-")),
        ("requestToTargetDuration", json!(0)),
    ]);
    record.adds([
        ("identifiedBy", who.proof()),
        ("authenticationFailure", json!(null)),
    ]);
}

/// Changes the policies of the running gateway. One that is missing is warned about.
async fn guarded(gateway: &mut Gateway, network: &Guard, service: &Guard) {
    gateway.reload(|setup| setup.guarded(network, service));
    for guard in [network, service] {
        if *guard == Guard::Bare {
            gateway
                .expect_log("without `authPolicy` denies every request")
                .await;
        }
    }
}

/// The table of §6.3: anonymous and signed callers, each layer off (`None`), allowing, silent about the caller, denying.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_needs_the_word_of_every_layer_that_counts() {
    let target = Target::named("v1").await;
    let mut gateway = everybody(&target).start().await;
    let off = Guard::Off;
    let bare = Guard::Bare;
    let all = Guard::By(allow(&json!("*")));
    let writer = Guard::By(allow(&json!({"AWS": WRITER})));
    let barred = Guard::By(deny(&json!({"AWS": WRITER})));
    // network, service; what an anonymous caller gets; what the writer gets, whose identity allows
    let rows = [
        (&off, &off, Pass, Pass),
        (&all, &off, Pass, Pass),
        (&off, &all, Pass, Pass),
        (&all, &all, Pass, Pass),
        (&writer, &off, NoAllow("network"), Pass),
        (&off, &writer, NoAllow("service"), Pass),
        (&writer, &writer, NoAllow("network"), Pass),
        (&all, &writer, NoAllow("service"), Pass),
        (&writer, &all, NoAllow("network"), Pass),
        (&bare, &off, NoAllow("network"), NoAllow("network")),
        (&off, &bare, NoAllow("service"), NoAllow("service")),
        (&all, &bare, NoAllow("service"), NoAllow("service")),
        (&bare, &all, NoAllow("network"), NoAllow("network")),
        (&barred, &all, Pass, Deny("network")),
        (&all, &barred, Pass, Deny("service")),
        // A deny anywhere goes before a missing allow elsewhere.
        (&bare, &barred, NoAllow("network"), Deny("service")),
    ];
    for (network, service, anonymous, signed) in rows {
        guarded(&mut gateway, network, service).await;
        let row = format!("network {network:?}, service {service:?}");
        check(&mut gateway, &target, Who::Anonymous, &row, anonymous).await;
        check(&mut gateway, &target, Who::Writer, &row, signed).await;
    }
}

/// Where no policy asks who is calling, the parameters of a presigned URL are the application's; where one does, they must verify.
#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_query_is_the_applications_where_nobody_asks_for_callers() {
    let target = Target::named("v1").await;
    let mut gateway = everybody(&target).start().await;
    let (off, all) = (Guard::Off, Guard::By(allow(&json!("*"))));
    let presigned = "/a?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x&X-Amz-Signature=00";
    for (network, service, expected) in [
        (&off, &off, (200, 1)),
        (&all, &off, (403, 0)),
        (&off, &all, (403, 0)),
    ] {
        guarded(&mut gateway, network, service).await;
        let before = target.count();
        let request = Request::get("orders.test", presigned);
        let answer = gateway.send(Via::Http1, request).await;
        let got = (answer.status, target.count() - before);
        assert_eq!(got, expected, "network {network:?}, service {service:?}");
        if expected.0 == 403 {
            let record = gateway.record_of(&answer).await;
            record.failed(403, "ClientAccessDenied");
        }
    }
}

/// The last row of §6.3: a signed caller needs an identity-based policy too, in the same account as well, once anything counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_signed_caller_needs_the_word_of_its_own_policies() {
    let target = Target::named("v1").await;
    let mut gateway = everybody(&target).start().await;
    let off = Guard::Off;
    let all = Guard::By(allow(&json!("*")));
    let bare = Guard::Bare;
    let barred = Guard::By(deny(&json!({"AWS": Who::Idle.arn()})));
    let rows = [
        (Who::Reader, &all, &all, Pass),
        (Who::Idle, &all, &off, NoAllow("identity")),
        (Who::Idle, &off, &all, NoAllow("identity")),
        (Who::Idle, &all, &all, NoAllow("identity")),
        (Who::Barred, &all, &off, Deny("identity")),
        (Who::Barred, &off, &all, Deny("identity")),
        // The first missing allow is named, network before service before identity.
        (Who::Idle, &bare, &all, NoAllow("network")),
        (Who::Idle, &all, &bare, NoAllow("service")),
        (Who::Idle, &all, &barred, Deny("service")),
        (Who::Barred, &all, &bare, Deny("identity")),
        // Nothing counts: the signature is verified and nobody's policy is asked.
        (Who::Idle, &off, &off, Pass),
        (Who::Barred, &off, &off, Pass),
    ];
    for (who, network, service, expected) in rows {
        guarded(&mut gateway, network, service).await;
        let row = format!("network {network:?}, service {service:?}");
        check(&mut gateway, &target, who, &row, expected).await;
    }
}

/// A signature is verified wherever one is sent, also where anonymous callers may pass.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_does_not_verify_is_refused_everywhere() {
    const MINUTE: Duration = Duration::from_secs(60);
    let target = Target::named("v1").await;
    let mut gateway = everybody(&target).start().await;
    let key = || Who::Writer.key().unwrap();
    let signed = |key: &Key| Request::get("orders.test", "/").signed(key);
    let mismatch = "InvalidSignatureException: The request signature we calculated does not match the signature you provided.";
    let bad = || {
        [
            (signed(&key().forged()), mismatch),
            (signed(&key()).header("x-amz-date", "20200101T000000Z"), ""),
            (
                signed(&key().behind(6 * MINUTE)),
                "InvalidSignatureException: Signature expired:",
            ),
            (
                signed(&key().ahead(6 * MINUTE)),
                "InvalidSignatureException: Signature not yet current:",
            ),
            (
                signed(&Key::new("AKNOBODY")),
                "UnrecognizedClientException: The security token included in the request is invalid.",
            ),
            (
                signed(&key().with_token("a-token")),
                "UnrecognizedClientException: The security token included in the request is invalid.",
            ),
            (
                signed(&key().in_region("eu-west-1")),
                "InvalidSignatureException: Credential should be scoped to a valid region",
            ),
            (
                signed(&key().for_service("s3")),
                "InvalidSignatureException: Credential should be scoped to correct service",
            ),
        ]
    };
    for guard in [Guard::Off, Guard::By(allow(&json!("*")))] {
        guarded(&mut gateway, &guard, &guard).await;
        for (request, text) in bad() {
            let answer = gateway.send(Via::Http1, request).await;
            assert!(
                answer.text().starts_with(text),
                "{} is not {text}",
                answer.text()
            );
            let record = gateway.record_of(&answer).await;
            record.failed(403, "ClientAccessDenied").has([
                ("authDeniedReason", json!("-")),
                ("resolvedUser", json!("Unknown")),
                ("targetIpPort", json!("-")),
            ]);
            record.adds([("identifiedBy", json!(null)), ("decidedBy", json!(null))]);
            let reason = &record.field("trellis")["authenticationFailure"];
            assert!(reason.is_string(), "no reason beside {text:?}");
        }
    }
    assert_eq!(target.count(), 0);
}

/// In a header or in the query, for one region or for a set of them: each signature says who is calling, and its twins say nothing.
#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_sign_says_who_is_calling() {
    const HOUR: Duration = Duration::from_secs(3600);
    type Change = fn(Key) -> Key;
    let target = Target::named("v1").await;
    let mut gateway = everybody(&target).start().await;
    let all = Guard::By(allow(&json!({"AWS": WRITER})));
    guarded(&mut gateway, &all, &Guard::Off).await;
    let ways: [Change; 4] = [
        |key| key,
        |key| key.for_regions("eu-west-1,us-*"),
        |key| key.presigning(HOUR),
        |key| key.for_regions("*").presigning(HOUR),
    ];
    let twins: [(Change, &str); 3] = [
        (
            Key::forged,
            "InvalidSignatureException: The request signature we calculated",
        ),
        (
            |key| key.behind(2 * HOUR),
            "InvalidSignatureException: Signature expired:",
        ),
        (
            |key| key.for_service("s3"),
            "InvalidSignatureException: Credential should be scoped to correct service",
        ),
    ];
    for way in ways {
        let signed = |key| Request::get("orders.test", "/a%20b?c=d").signed(&way(key));
        let writer = || Who::Writer.key().unwrap();
        let answer = gateway.send(Via::Http1, signed(writer())).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let record = gateway.record_of(&answer).await;
        record.has([("resolvedUser", json!(WRITER))]);
        let answer = gateway
            .send(Via::Http1, signed(Who::Reader.key().unwrap()))
            .await;
        let record = gateway.record_of(&answer).await;
        record.failed(403, "ClientAccessDenied");
        for (change, text) in twins {
            let answer = gateway.send(Via::Http1, signed(change(writer()))).await;
            assert!(answer.text().starts_with(text), "{}", answer.text());
            let record = gateway.record_of(&answer).await;
            record.failed(403, "ClientAccessDenied");
        }
    }
    assert_eq!(target.count(), 4);
}
