//! Seeing: policies in audit, candidates beside active policies, and decisions explained to admins.

use serde_json::{Value, json};
use trellis_tests::{
    Gateway, Guard, Key, Reply, Request, Setup, Target, Via, allow, deny, identity,
};

const ADMIN: &str = "arn:aws:iam::111122223333:user/admin";

fn key(name: &str) -> Key {
    Key::new(match name {
        "admin" => "AKADMIN",
        _ => "AKCLERK",
    })
}

fn shop(target: &Target, service: &Guard) -> Setup {
    Setup::with_orders([target])
        .user("admin", &key("admin"), &[identity("Allow")])
        .user("clerk", &key("clerk"), &[identity("Allow")])
        .guarded(&Guard::By(allow(&json!("*"))), service)
}

/// Sends a request of the admin; checks its status, and what its record says of candidates. Gives the id of the service.
async fn check(gateway: &mut Gateway, status: u16, candidate: [(&str, Value); 2]) -> String {
    let request = Request::get("orders.test", "/a").signed(&key("admin"));
    let answer = gateway.send(Via::Http1, request).await;
    assert_eq!(answer.status, status, "{}", answer.text());
    let record = gateway.record_of(&answer).await;
    let trellis = record.field("trellis");
    for (name, value) in candidate {
        assert_eq!(
            trellis.get(name).unwrap_or(&Value::Null),
            &value,
            "{name} in {trellis}"
        );
    }
    if status == 403 {
        record.failed(403, "ClientAccessDenied");
    }
    let arn = record.text("serviceArn");
    arn.rsplit('/').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_in_audit_lets_pass_and_records_what_it_would_refuse() {
    let target = Target::named("v1").await;
    let denies = Guard::By(deny(&json!({"AWS": ADMIN})));
    let mut gateway = shop(&target, &denies).start().await;
    check(
        &mut gateway,
        403,
        [
            ("candidateDecision", Value::Null),
            ("candidateDeniedReason", Value::Null),
        ],
    )
    .await;
    gateway.reload(|setup| setup.set("services.orders.authPolicyMode", json!("AUDIT")));
    let service = check(
        &mut gateway,
        200,
        [
            ("candidateDecision", json!("Deny")),
            ("candidateDeniedReason", json!("Service")),
        ],
    )
    .await;
    for (outcome, count) in [("would_deny", 1), ("would_allow", 0), ("same", 0)] {
        let series = format!(
            "gateway_candidate_decisions_total{{service=\"orders\",service_id=\"{service}\",outcome=\"{outcome}\"}}"
        );
        assert_eq!(gateway.metric(&series), count, "{outcome}");
    }
    assert_eq!(target.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_recorded_beside_the_active_policy_and_decides_nothing() {
    let target = Target::named("v1").await;
    let allows = Guard::By(allow(&json!("*")));
    let mut gateway = shop(&target, &allows).start().await;
    gateway.reload(|setup| {
        setup.set(
            "services.orders.shadowAuthPolicy",
            deny(&json!({"AWS": ADMIN})),
        )
    });
    check(
        &mut gateway,
        200,
        [
            ("candidateDecision", json!("Deny")),
            ("candidateDeniedReason", json!("Service")),
        ],
    )
    .await;
    gateway.reload(|setup| {
        setup
            .guarded(
                &Guard::By(allow(&json!("*"))),
                &Guard::By(deny(&json!("*"))),
            )
            .set(
                "services.orders.shadowAuthPolicy",
                allow(&json!({"AWS": ADMIN})),
            )
    });
    gateway
        .expect_log("all that the statement allows is denied")
        .await;
    check(
        &mut gateway,
        403,
        [
            ("candidateDecision", json!("Allow")),
            ("candidateDeniedReason", Value::Null),
        ],
    )
    .await;
}

/// A target that tries to explain in the gateway's name.
async fn explaining_target() -> Target {
    Target::answering(|_| Reply::new(200, "ok").header("x-trellis-explain", "allowed;by=target"))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_explained_to_listed_admins_who_ask() {
    let target = explaining_target().await;
    let allows = Guard::By(allow(&json!({"AWS": ADMIN})));
    let setup = shop(&target, &allows);
    let mut gateway = setup.start().await;
    let ask = |who: &str| {
        Request::get("orders.test", "/a")
            .header("x-trellis-explain", "please")
            .signed(&key(who))
    };
    // Off by default.
    let answer = gateway.send(Via::Http1, ask("admin")).await;
    assert_eq!(answer.has_status(200).header("x-trellis-explain"), "-");
    gateway.reload(|setup| setup.set("gateway.explain", json!({"principals": [ADMIN]})));
    let told = "allowed, network;says=allow;by=\"statement 1\", service;says=allow;by=\"statement 1\", identity;says=allow;by=\"statement 1\"";
    for via in [Via::Http1, Via::Http2] {
        let answer = gateway.send(via, ask("admin")).await;
        assert_eq!(answer.has_status(200).header("x-trellis-explain"), told);
        assert_eq!(
            target.seen().last().unwrap().header("x-trellis-explain"),
            "-"
        );
        // Nobody asked.
        let silent = Request::get("orders.test", "/a").signed(&key("admin"));
        let answer = gateway.send(via, silent).await;
        assert_eq!(answer.has_status(200).header("x-trellis-explain"), "-");
        // Not an admin, and nobody at all.
        for request in [
            ask("clerk"),
            Request::get("orders.test", "/a").header("x-trellis-explain", "please"),
        ] {
            let answer = gateway.send(via, request).await;
            assert_eq!(answer.has_status(403).header("x-trellis-explain"), "-");
            gateway
                .record_of(&answer)
                .await
                .failed(403, "ClientAccessDenied");
        }
    }
    gateway.reload(|setup| {
        setup.guarded(
            &Guard::By(allow(&json!("*"))),
            &Guard::By(allow(
                &json!({"AWS": "arn:aws:iam::111122223333:user/clerk"}),
            )),
        )
    });
    let answer = gateway.send(Via::Http1, ask("admin")).await;
    assert_eq!(
        answer.has_status(403).header("x-trellis-explain"),
        "refused;by=service, network;says=allow;by=\"statement 1\", service;says=implicit-deny;nearest=\"statement 1\";failed=\"Principal\", identity;says=allow;by=\"statement 1\""
    );
    gateway
        .record_of(&answer)
        .await
        .failed(403, "ClientAccessDenied");
}
