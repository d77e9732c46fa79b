//! TLS to targets: who is verified, and what that rests on.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::{
    SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use serde_json::{Value, json};
use trellis_tests::{
    Answer, Gateway, Issuer, Reply, Request, Setup, Target, TargetSide, Via, eventually, forward,
};

/// Every version.
const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

/// A target with this certificate of the issuer.
async fn target(
    issuer: &Issuer,
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> Target {
    let side = TargetSide::new(&issuer.server_identity(names, change), BOTH, None);
    Target::over_tls(&side, |_| Reply::new(200, "fine")).await
}

/// A service `orders.test` over one HTTPS group of this target.
fn setup(target: &Target, version: &str, tls: &Value) -> Setup {
    let setup = Setup::new()
        .group("secure", [target])
        .service("orders", &forward(&[("secure", 100)]))
        .set("targetGroups.secure.config.protocol", json!("HTTPS"))
        .set("targetGroups.secure.config.protocolVersion", json!(version));
    if tls.is_null() {
        setup
    } else {
        setup.set("targetGroups.secure.tls", tls.clone())
    }
}

fn write(setup: &Setup, name: &str, text: &str) {
    std::fs::write(setup.file(name), text).unwrap();
}

/// How clients speak to a service of a group of this version.
fn via(version: &str) -> Via {
    if version == "HTTP2" {
        Via::Http2
    } else {
        Via::Http1
    }
}

/// A gateway that trusts `authority` for the target, with more terms.
async fn trusting(target: &Target, version: &str, authority: &Issuer, more: &Value) -> Gateway {
    let mut tls = json!({"caFile": "ca.pem"});
    for (member, value) in more.as_object().into_iter().flatten() {
        tls[member] = value.clone();
    }
    let setup = setup(target, version, &tls);
    let path = setup.file("ca.pem");
    write(&setup, "ca.pem", authority.root_pem());
    setup
        .set("targetGroups.secure.tls.caFile", json!(path))
        .start()
        .await
}

async fn is_refused(gateway: &mut Gateway, answer: &Answer) {
    answer.has_status(500);
    let record = gateway.record_of(answer).await;
    record.failed(500, "TargetConnectionError");
}

/// One certificate under one set of terms: is the request sent? In both versions of HTTP, and without terms it always is.
async fn check(what: &str, issuer: &Issuer, target: &Target, terms: Value, passes: bool) {
    for version in ["HTTP1", "HTTP2"] {
        let before = target.count();
        let get = || Request::get("orders.test", "/");
        let mut gateway = trusting(target, version, issuer, &terms).await;
        let answer = gateway.send(via(version), get()).await;
        assert_eq!(answer.status == 200, passes, "{what}, {version}");
        if passes {
            answer.is(200, "fine");
        } else {
            is_refused(&mut gateway, &answer).await;
        }
        assert_eq!(target.count() - before, usize::from(passes), "{what}");
        gateway.stop().await;
        drop(gateway);
        let mut gateway = setup(target, version, &Value::Null).start().await;
        gateway.send(via(version), get()).await.is(200, "fine");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_certificate_is_held_against_authority_time_purpose_and_name() {
    let issuer = Issuer::new("targets");
    let right = target(&issuer, &["orders.test"], |_| {}).await;
    check("the service's name", &issuer, &right, json!({}), true).await;
    let stranger = Issuer::new("targets");
    check("another authority", &stranger, &right, json!({}), false).await;
    let named = json!({"serverName": "other.test"});
    check(
        "asked for another name",
        &issuer,
        &right,
        named.clone(),
        false,
    )
    .await;

    let ended = target(&issuer, &["orders.test"], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
    })
    .await;
    check("ended", &issuer, &ended, json!({}), false).await;
    let early = target(&issuer, &["orders.test"], |params| {
        params.not_before = date_time_ymd(4000, 1, 1);
        params.not_after = date_time_ymd(4000, 2, 1);
    })
    .await;
    check("not yet begun", &issuer, &early, json!({}), false).await;
    let client = target(&issuer, &["orders.test"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    })
    .await;
    check("a client's", &issuer, &client, json!({}), false).await;

    let other = target(&issuer, &["other.test"], |_| {}).await;
    check("another name", &issuer, &other, json!({}), false).await;
    check("the name asked for", &issuer, &other, named, true).await;
    let address = target(&issuer, &["127.0.0.1"], |_| {}).await;
    let at = |address: &str| json!({"serverName": address});
    check("the address", &issuer, &address, at("127.0.0.1"), true).await;
    check("another address", &issuer, &address, at("127.0.0.2"), false).await;
}

#[tokio::test]
async fn one_of_the_alternative_names_is_enough_and_stands_for_the_server_name() {
    let issuer = Issuer::new("targets");
    let names = |names: &[&str]| json!({"subjectAlternativeNames": names});
    let workload = target(&issuer, &["spiffe://shop.test/orders"], |_| {}).await;
    let listed = names(&["spiffe://shop.test/carts", "spiffe://shop.test/orders"]);
    check("its URI", &issuer, &workload, listed.clone(), true).await;
    let longer = names(&["spiffe://shop.test/orders/1", "spiffe://shop.test/"]);
    check("not quite its URI", &issuer, &workload, longer, false).await;
    let stranger = Issuer::new("targets");
    check(
        "its URI, another authority",
        &stranger,
        &workload,
        listed,
        false,
    )
    .await;

    let wild = target(&issuer, &["*.internal.test"], |_| {}).await;
    check(
        "a wildcard",
        &issuer,
        &wild,
        names(&["a.internal.test"]),
        true,
    )
    .await;
    check(
        "a label too many",
        &issuer,
        &wild,
        names(&["a.b.internal.test"]),
        false,
    )
    .await;
    let own = target(&issuer, &["orders.test"], |_| {}).await;
    check(
        "the server name, not listed",
        &issuer,
        &own,
        names(&["carts.test"]),
        false,
    )
    .await;
}

#[tokio::test]
async fn an_old_version_of_tls_is_refused_where_a_newer_one_is_the_least() {
    let issuer = Issuer::new("targets");
    let identity = issuer.server_identity(&["orders.test"], |_| {});
    let old = TargetSide::new(&identity, &[&TLS12], None);
    let old = Target::over_tls(&old, |_| Reply::new(200, "fine")).await;
    let least = |version: &str| json!({"minimumVersion": version});
    check("1.2 under 1.3", &issuer, &old, least("TLSv1.3"), false).await;
    check("1.2 under 1.2", &issuer, &old, least("TLSv1.2"), true).await;
    check("1.2 by default", &issuer, &old, json!({}), true).await;
    let new = TargetSide::new(&identity, &[&TLS13], None);
    let new = Target::over_tls(&new, |_| Reply::new(200, "fine")).await;
    check("1.3 under 1.3", &issuer, &new, least("TLSv1.3"), true).await;
}

/// With TLS 1.3 the target refuses after the handshake, when the request is on its way.
#[tokio::test]
async fn a_target_that_asks_is_shown_the_certificate_of_the_group() {
    let issuer = Issuer::new("targets");
    let clients = Issuer::new("gateways");
    let identity = issuer.server_identity(&["orders.test"], |_| {});
    for version in [&TLS12, &TLS13] {
        let side = TargetSide::new(&identity, &[version], Some(&clients));
        let target = Target::over_tls(&side, |_| Reply::new(200, "fine")).await;
        for (shown, passes) in [
            (Some(&clients), true),
            (Some(&issuer), false),
            (None, false),
        ] {
            let setup = setup(&target, "HTTP1", &json!({"caFile": "ca.pem"}));
            let paths = ["ca.pem", "own.pem", "own.key"].map(|name| setup.file(name));
            write(&setup, "ca.pem", issuer.root_pem());
            let mut setup = setup.set("targetGroups.secure.tls.caFile", json!(paths[0]));
            if let Some(issuer) = shown {
                issuer.issue("gateway.test", &paths[1], &paths[2]);
                let files = json!({"certificateFile": paths[1], "privateKeyFile": paths[2]});
                setup = setup.set("targetGroups.secure.tls.certificate", files);
            }
            let mut gateway = setup.start().await;
            let answer = gateway.get("orders.test", "/").await;
            if passes {
                answer.is(200, "fine");
            } else {
                assert!(matches!(answer.status, 500 | 502), "{answer:?}");
                gateway.record_of(&answer).await;
            }
        }
        assert_eq!(target.count(), 1);
    }
}

/// A certificate that is renewed is shown from then on, also where a connection was kept that had shown the one before.
#[tokio::test]
async fn a_renewed_certificate_is_shown_on_new_connections_only() {
    let issuer = Issuer::new("targets");
    let (clients, others) = (Issuer::new("gateways"), Issuer::new("others"));
    let identity = issuer.server_identity(&["orders.test"], |_| {});
    for version in [&TLS12, &TLS13] {
        let side = TargetSide::new(&identity, &[version], Some(&clients));
        let target = Target::over_tls(&side, |_| Reply::new(200, "fine")).await;
        let setup = setup(&target, "HTTP1", &json!({"caFile": "ca.pem"}));
        let paths = ["ca.pem", "own.pem", "own.key"].map(|name| setup.file(name));
        write(&setup, "ca.pem", issuer.root_pem());
        let issue = |issuer: &Issuer| issuer.issue("gateway.test", &paths[1], &paths[2]);
        issue(&clients);
        let files = json!({"certificateFile": paths[1], "privateKeyFile": paths[2]});
        let mut gateway = setup
            .set("targetGroups.secure.tls.caFile", json!(paths[0]))
            .set("targetGroups.secure.tls.certificate", files)
            .set("gateway.workers", json!(1))
            .start()
            .await;
        for _ in 0..2 {
            gateway.get("orders.test", "/").await.is(200, "fine");
        }
        assert_eq!(target.connections(), 1);

        // Another one of the same authority.
        issue(&clients);
        gateway.reload(|setup| setup);
        gateway.get("orders.test", "/").await.is(200, "fine");
        assert_eq!(
            target.connections(),
            2,
            "a connection that showed the old one"
        );

        // One that the target does not take: what was kept is not used in its place.
        issue(&others);
        gateway.reload(|setup| setup);
        let answer = gateway.get("orders.test", "/").await;
        assert!(matches!(answer.status, 500 | 502), "{answer:?}");
        gateway.record_of(&answer).await;
        assert_eq!(target.count(), 3);

        // Files that cannot be used refuse the change, and what ran goes on.
        issue(&clients);
        gateway.reload(|setup| setup);
        gateway.get("orders.test", "/").await.is(200, "fine");
        std::fs::write(&paths[2], "no key").unwrap();
        let refused = gateway.try_reload(|setup| setup).unwrap_err().to_string();
        assert!(refused.contains("tls.certificate"), "{refused}");
        gateway.expect_log("configuration problem").await;
        gateway.expect_log("configuration rejected").await;
        let rejected = "gateway_config_reloads_total{outcome=\"rejected\"}";
        gateway.expect_metric(rejected, 1).await;
        gateway.get("orders.test", "/").await.is(200, "fine");
    }
}

#[tokio::test]
async fn connections_made_under_another_trust_are_not_used_any_more() {
    let (issuer, stranger) = (Issuer::new("targets"), Issuer::new("others"));
    let get = || Request::get("orders.test", "/");
    for version in ["HTTP1", "HTTP2"] {
        let target = target(&issuer, &["orders.test"], |_| {}).await;
        let mut gateway = trusting(&target, version, &issuer, &json!({})).await;
        // Each worker has connections of its own.
        let mut connection = gateway.connect(via(version), "orders.test").await;
        for _ in 0..3 {
            connection.send(get()).await.is(200, "fine");
        }
        assert_eq!(target.connections(), 1);

        write(gateway.setup(), "ca.pem", stranger.root_pem());
        gateway.reload(|setup| setup);
        let answer = gateway.send(via(version), get()).await;
        is_refused(&mut gateway, &answer).await;
        let answer = connection.send(get()).await;
        is_refused(&mut gateway, &answer).await;
        assert_eq!(target.count(), 3);

        let both = [stranger.root_pem(), issuer.root_pem()].concat();
        write(gateway.setup(), "ca.pem", &both);
        gateway.reload(|setup| setup);
        gateway.send(via(version), get()).await.is(200, "fine");
        drop(connection);
        gateway.stop().await;
    }
}

/// One target in two groups, of which only one verifies: each has its own connection.
#[tokio::test]
async fn groups_with_other_terms_share_no_connection() {
    let (issuer, stranger) = (Issuer::new("targets"), Issuer::new("others"));
    let target = target(&issuer, &["carts.test"], |_| {}).await;
    let setup = setup(&target, "HTTP1", &json!({"caFile": "ca.pem"}))
        .group("lax", [&target])
        .service("carts", &forward(&[("lax", 100)]))
        .set("targetGroups.lax.config.protocol", json!("HTTPS"));
    let path = setup.file("ca.pem");
    write(&setup, "ca.pem", stranger.root_pem());
    let setup = setup.set("targetGroups.secure.tls.caFile", json!(path));
    let mut gateway = setup.start().await;
    gateway.get("carts.test", "/").await.is(200, "fine");
    let answer = gateway.get("orders.test", "/").await;
    is_refused(&mut gateway, &answer).await;
}

#[tokio::test]
async fn health_checks_over_tls_verify_as_requests_do() {
    let issuer = Issuer::new("targets");
    let right = target(&issuer, &["orders.test"], |_| {}).await;
    let wrong = target(&Issuer::new("targets"), &["orders.test"], |_| {}).await;
    for check in [json!({"protocol": "HTTPS"}), json!({"protocol": "TLS"})] {
        let setup = setup(&right, "HTTP1", &json!({"caFile": "ca.pem"}))
            .targets("secure", &[&right, &wrong])
            .set("targetGroups.secure.config.healthCheck", check)
            .set(
                "targetGroups.secure.config.healthCheck.enabled",
                json!(true),
            )
            .set(
                "targetGroups.secure.config.healthCheck.intervalMillis",
                json!(100),
            );
        let path = setup.file("ca.pem");
        write(&setup, "ca.pem", issuer.root_pem());
        let setup = setup.set("targetGroups.secure.tls.caFile", json!(path));
        let gateway = setup.start().await;
        eventually("one target is healthy and one is not", async || {
            let page: Value = serde_json::from_str(&gateway.admin("/targets").await.text()).ok()?;
            let targets = page["targetGroups"][0]["targets"].as_array()?.clone();
            let status = |target: &Target| {
                let port = target.address().to_string();
                let found = targets.iter().find(|one| one["address"] == json!(port))?;
                found["status"].as_str().map(str::to_owned)
            };
            let both = (status(&right)?, status(&wrong)?);
            (both == ("HEALTHY".to_owned(), "UNHEALTHY".to_owned())).then_some(())
        })
        .await;
        gateway.expect_log("the TLS handshake failed").await;
    }
}
