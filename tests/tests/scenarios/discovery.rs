//! Targets that are found by a name: they come and go with what DNS says, whatever it says nobody waits for it, and it cannot lead
//! requests out of the VPC.

use std::{collections::VecDeque, net::IpAddr, time::Duration};

use serde_json::{Value, json};
use tokio::sync::watch;
use trellis_tests::{
    DnsServer, Gateway, Request, Says, Setup, Target, Via, eventually, forward, within,
};

use super::{
    balance::statuses,
    rollouts::{EVERYTHING, Load, SERVICES, drained, echoing, everywhere},
};

/// Port of all targets here: a name has one.
const PORT: u16 = 8080;

/// A group whose targets a name finds, all of whose addresses count.
fn found_by(name: &str, version: &str) -> Value {
    json!({
        "name": name,
        "type": "IP",
        "config": {
            "protocol": "HTTP",
            "protocolVersion": version,
            "port": PORT,
            "vpcIdentifier": "shop",
            "healthCheck": {"enabled": false},
        },
        "discovery": {"dns": {"hostname": "orders.internal", "responseType": "ENDPOINTS"}},
    })
}

/// What every scenario here has: a server that is asked often, and a VPC of loopback addresses.
fn asking(setup: Setup, server: &DnsServer) -> Setup {
    setup
        .set("vpcs.shop.cidrs", json!(["127.64.0.0/10"]))
        .set("vpcs.shop.resolvers", json!([server.address().to_string()]))
        .adjust(|config| {
            let settings = &mut config.gateway.discovery;
            settings.min_ttl = Duration::from_millis(30);
            settings.max_ttl = Duration::from_millis(60);
            settings.timeout = Duration::from_millis(500);
        })
}

/// A service `orders` over a group that a name finds.
fn orders(server: &DnsServer) -> Setup {
    let setup = Setup::new().add_group(found_by("found", "HTTP1"));
    asking(setup.service("orders", &forward(&[("found", 100)])), server)
}

async fn named(name: &'static str) -> Target {
    let mut target = Target::named(name).await;
    target.move_to(PORT).await;
    target
}

fn addresses(targets: &[&Target]) -> Says {
    Says::Addresses(targets.iter().map(|target| target.address().ip()).collect())
}

/// Waits until exactly these targets are registered and not draining.
async fn registered(gateway: &Gateway, targets: &[&Target]) {
    let mut wanted: Vec<String> = targets
        .iter()
        .map(|target| target.address().to_string())
        .collect();
    wanted.sort();
    eventually("the targets of a name", async || {
        let statuses = statuses(gateway).await;
        let staying = statuses.iter().filter(|(_, status)| *status != "DRAINING");
        let mut found: Vec<String> = staying.map(|(address, _)| address.clone()).collect();
        found.sort();
        (found == wanted).then_some(())
    })
    .await;
}

/// Where discovery stands, from the admin page.
async fn standing(gateway: &Gateway, group: &str) -> Value {
    let page: Value = serde_json::from_str(&gateway.admin("/targets").await.text()).unwrap();
    let groups = page["targetGroups"].as_array().unwrap().clone();
    let group = groups.into_iter().find(|one| one["name"] == group);
    group.unwrap()["discovery"].clone()
}

/// What DNS says changes under load, in every protocol: targets come, go and come back, and no request fails.
#[tokio::test(flavor = "multi_thread")]
async fn targets_that_dns_brings_and_takes_away_fail_no_request() {
    let end = watch::Sender::new(true);
    let mut targets = VecDeque::new();
    for _ in 0..4 {
        let mut target = echoing(&end).await;
        target.move_to(PORT).await;
        targets.push_back(target);
    }
    let server = DnsServer::start(addresses(&[&targets[0]])).await;
    let setup = SERVICES
        .into_iter()
        .fold(Setup::new(), |setup, (service, version)| {
            let group = format!("{service}-found");
            setup
                .add_group(found_by(&group, version))
                .service(service, &forward(&[(&group, 100)]))
        });
    let gateway = asking(setup, &server).start().await;
    let load = Load::of(&gateway, EVERYTHING);
    load.goes_on().await;
    for step in [&[0, 1][..], &[1], &[1, 2, 3], &[2, 3], &[3], &[0, 3], &[0]] {
        let wanted: Vec<&Target> = step.iter().map(|number| &targets[*number]).collect();
        server.say(addresses(&wanted));
        registered(&gateway, &wanted).await;
        let gone = (0..4).filter(|number| !step.contains(number));
        for number in gone.clone() {
            drained(&gateway, &targets[number]).await;
        }
        let counts: Vec<_> = gone
            .map(|number| (number, targets[number].count()))
            .collect();
        for number in step {
            let count = targets[*number].count();
            targets[*number].arrived(count + 1).await;
        }
        load.goes_on().await;
        for (number, count) in counts {
            assert_eq!(targets[number].count(), count, "requests after the drain");
            // It may stop now: nobody sends it anything.
            targets[number].retire().await;
            targets[number].resume().await;
        }
        load.goes_on().await;
    }
    load.end().await;
}

/// A server that fails, says nothing or nonsense takes nobody's targets away.
#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_in_trouble_disturbs_no_request() {
    let target = named("a").await;
    let server = DnsServer::start(addresses(&[&target])).await;
    let gateway = orders(&server).start().await;
    gateway.get("orders.test", "/").await.is(200, "a");
    for (trouble, reason) in [
        (Says::Fails, "Server Failure"),
        (Says::Nothing, "no DNS server answered in time"),
        (Says::Garbage, "no DNS server answered in time"),
        // The metadata service of clouds, and another tenant's network.
        (
            Says::Addresses(vec![[169, 254, 169, 254].into(), [127, 0, 0, 1].into()]),
            "no address of the answer is in the VPC",
        ),
    ] {
        server.say(trouble);
        let line = gateway.expect_log("targets not found by their name").await;
        assert!(
            line.contains(reason) && line.contains("targets=1"),
            "{line}"
        );
        gateway.get("orders.test", "/").await.is(200, "a");
        let standing = standing(&gateway, "found").await;
        assert!(
            standing["error"].as_str().unwrap().contains(reason),
            "{standing}"
        );
        assert_eq!(standing["targets"], 1);
        let page = gateway.admin("/metrics").await.text();
        let failing = page
            .lines()
            .find(|line| line.starts_with("gateway_target_discovery_failing{"));
        assert!(failing.unwrap().ends_with(" 1"), "{failing:?}");
        server.say(addresses(&[&target]));
        eventually("an answer", async || {
            let standing = self::standing(&gateway, "found").await;
            standing.get("error").is_none().then_some(())
        })
        .await;
    }
    gateway.get("orders.test", "/").await.is(200, "a");
}

/// Answers under a wrong id or about another name are nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn forged_answers_are_not_taken() {
    let (target, forged) = (named("a").await, named("forged").await);
    let right = vec![target.address().ip()];
    let server = DnsServer::start(Says::AfterForgeries(right, forged.address().ip())).await;
    let gateway = orders(&server).start().await;
    server.asked_again(3).await;
    gateway.get("orders.test", "/").await.is(200, "a");
    assert_eq!(forged.connections(), 0);
}

/// Of an answer that mixes targets with addresses elsewhere, only the targets are taken; of one with thousands, as many as a group has.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_cannot_lead_out_of_the_vpc_nor_fill_the_gateway() {
    let target = named("a").await;
    let ip = target.address().ip();
    let mixed = vec![
        [127, 0, 0, 1].into(),
        ip,
        [10, 0, 0, 1].into(),
        [169, 254, 169, 254].into(),
    ];
    let server = DnsServer::start(Says::Addresses(mixed)).await;
    let gateway = orders(&server).start().await;
    let line = gateway
        .expect_log("not every address of a name becomes a target")
        .await;
    assert!(line.contains("outside=3"), "{line}");
    registered(&gateway, &[&target]).await;
    gateway.get("orders.test", "/").await.is(200, "a");

    let crowd = (0..2000_u32).map(|number| {
        let [_, _, high, low] = number.to_be_bytes();
        IpAddr::from([127, 100, high, low])
    });
    server.say(Says::Addresses(crowd.collect()));
    let line = gateway
        .expect_log("not every address of a name becomes a target")
        .await;
    assert!(line.contains("beyond=1000"), "{line}");
    assert_eq!(standing(&gateway, "found").await["targets"], 1000);
    server.say(addresses(&[&target]));
    registered(&gateway, &[&target]).await;
    gateway.get("orders.test", "/").await.is(200, "a");
}

/// A name that is gone, or has no address any more, takes its targets away with the second answer that says so, and gives them back.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_gone_leaves_nobody() {
    for nothing in [Says::NoName, Says::NoAddress] {
        let target = named("a").await;
        let server = DnsServer::start(addresses(&[&target])).await;
        let mut gateway = orders(&server).start().await;
        gateway.get("orders.test", "/").await.is(200, "a");
        server.say(nothing);
        gateway.expect_log("they stay until the next answer").await;
        gateway.expect_log("so the group has no targets").await;
        let refused = gateway.get("orders.test", "/").await;
        assert_eq!(refused.status, 503, "{}", refused.text());
        let record = gateway.record_of(&refused).await;
        assert_eq!(record.text("failureReason"), "TargetConnectionError");
        server.say(addresses(&[&target]));
        registered(&gateway, &[&target]).await;
        gateway.get("orders.test", "/").await.is(200, "a");
    }
}

/// A gateway that starts while DNS is down starts, answers at once that there is nobody, and serves as soon as DNS is back.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_waits_for_a_resolver() {
    let target = named("a").await;
    let server = DnsServer::start(Says::Nothing).await;
    let mut gateway = orders(&server).start().await;
    gateway.expect_log("so the group has none").await;
    for via in Via::ALL {
        // The question for the name takes its half second, again and again; the answer to the request does not.
        let sent = gateway.send(via, Request::get("orders.test", "/"));
        let answer = within("an answer", Box::pin(sent)).await;
        assert_eq!(answer.status, 503);
        gateway.record_of(&answer).await;
    }
    server.say(addresses(&[&target]));
    registered(&gateway, &[&target]).await;
    gateway.get("orders.test", "/").await.is(200, "a");
}

/// A change that sends all requests to a group that was never asked for waits for the answer, so that nobody finds it empty; from a list
/// to a name and back.
#[tokio::test(flavor = "multi_thread")]
async fn moving_to_a_group_that_a_name_finds_fails_no_request() {
    let end = watch::Sender::new(true);
    let (mut old, mut new) = (echoing(&end).await, echoing(&end).await);
    old.move_to(PORT).await;
    new.move_to(PORT).await;
    let server = DnsServer::start(addresses(&[&new])).await;
    let setup = SERVICES
        .into_iter()
        .fold(Setup::new(), |setup, (service, version)| {
            let group = format!("{service}-blue");
            let setup = setup.group(&group, [&old]);
            let member = format!("targetGroups.{group}.config.protocolVersion");
            setup
                .set(&member, json!(version))
                .service(service, &forward(&[(&group, 100)]))
        });
    let mut gateway = asking(setup, &server).start().await;
    let load = Load::of(&gateway, EVERYTHING);
    load.goes_on().await;
    gateway.reload(|setup| {
        let setup = SERVICES
            .into_iter()
            .fold(setup, |setup, (service, version)| {
                setup.add_group(found_by(&format!("{service}-found"), version))
            });
        let moved = |service: &str| forward(&[(&format!("{service}-found"), 100)]);
        let setup = everywhere(setup, "listeners.http.defaultAction", moved);
        everywhere(setup, "listeners.https.defaultAction", moved)
    });
    load.goes_on().await;
    assert!(new.count() > 0);
    // The same groups, from the name to a list, and back while DNS is down: what was listed stays until it is up.
    let listed = |setup: Setup| {
        SERVICES.into_iter().fold(setup, |setup, (service, _)| {
            let group = format!("targetGroups.{service}-found");
            let target = json!([{"id": old.address().ip(), "port": PORT}]);
            setup
                .set(&format!("{group}.discovery"), Value::Null)
                .set(&format!("{group}.targets"), target)
        })
    };
    gateway.reload(listed);
    load.goes_on().await;
    drained(&gateway, &new).await;
    server.say(Says::Fails);
    gateway.reload(|setup| {
        SERVICES
            .into_iter()
            .fold(setup, |setup, (service, version)| {
                let group = format!("targetGroups.{service}-found");
                let again = found_by("any", version)["discovery"].clone();
                setup
                    .set(&format!("{group}.targets"), json!([]))
                    .set(&format!("{group}.discovery"), again)
            })
    });
    for _ in SERVICES {
        gateway.expect_log("those before stay").await;
    }
    load.goes_on().await;
    server.say(addresses(&[&new]));
    let count = new.count();
    new.arrived(count + 1).await;
    load.goes_on().await;
    load.end().await;
}

/// Clients with a cookie stay at a target that was found after the snapshot was made.
#[tokio::test(flavor = "multi_thread")]
async fn cookies_know_targets_that_were_found_later() {
    let (a, b) = (named("a").await, named("b").await);
    let server = DnsServer::start(addresses(&[&a])).await;
    let setup = orders(&server).set("targetGroups.found.balancing", json!({"stickiness": {}}));
    let gateway = setup.start().await;
    gateway.get("orders.test", "/").await.is(200, "a");
    server.say(addresses(&[&a, &b]));
    registered(&gateway, &[&a, &b]).await;
    let cookie = eventually("an answer of the new target", async || {
        let answer = gateway.get("orders.test", "/").await;
        let cookie = answer.header("set-cookie");
        (answer.text() == "b").then(|| cookie.split(';').next().unwrap().to_owned())
    })
    .await;
    for _ in 0..4 {
        let request = Request::get("orders.test", "/").header("cookie", &cookie);
        gateway.send(Via::Http1, request).await.is(200, "b");
    }
}

/// Of a load balancer's addresses the first one is used.
#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_is_called_at_its_first_address() {
    let (a, b) = (named("a").await, named("b").await);
    let server = DnsServer::start(addresses(&[&a, &b])).await;
    let member = "targetGroups.found.discovery.dns.responseType";
    let gateway = orders(&server)
        .set(member, json!("LOADBALANCER"))
        .start()
        .await;
    for (answer, body) in [([&a, &b], "a"), ([&b, &a], "b")] {
        server.say(addresses(&answer));
        registered(&gateway, &answer[..1]).await;
        for _ in 0..4 {
            gateway.get("orders.test", "/").await.is(200, body);
        }
    }
}

/// The twin of every scenario above: without ranges nobody knows where a name may lead.
#[tokio::test(flavor = "multi_thread")]
async fn a_vpc_without_ranges_has_no_names() {
    let target = named("a").await;
    let server = DnsServer::start(addresses(&[&target])).await;
    let mut gateway = orders(&server).start().await;
    let refused = gateway.try_reload(|setup| setup.set("vpcs.shop.cidrs", json!([])));
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("does not say where targets may be"), "{told}");
    gateway.expect_log("configuration problem").await;
    gateway.expect_log("configuration rejected").await;
    gateway
        .expect_metric("gateway_config_reloads_total{outcome=\"rejected\"}", 1)
        .await;
    gateway.get("orders.test", "/").await.is(200, "a");
}
