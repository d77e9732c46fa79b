//! Health checks of servers that nobody here wrote: tonic's health service.

use std::net::SocketAddr;

use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::transport::{Server, server::TcpIncoming};
use tonic_health::{
    ServingStatus,
    server::{HealthReporter, health_reporter},
};
use trellis_tests::{Gateway, Request, Setup, Via, eventually, forward};

use super::balance::statuses;

/// A tonic server with the health service. It ends when this is dropped.
struct Tonic {
    address: SocketAddr,
    reporter: HealthReporter,
    serving: JoinHandle<()>,
}

impl Tonic {
    async fn start() -> Self {
        let (reporter, health) = health_reporter();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let server = Server::builder().add_service(health);
            let running = server.serve_with_incoming(TcpIncoming::from(listener));
            running.await.unwrap();
        });
        Self {
            address,
            reporter,
            serving,
        }
    }

    async fn says(&self, service: &str, status: ServingStatus) {
        self.reporter.set_service_status(service, status).await;
    }
}

impl Drop for Tonic {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A service `orders` over this server, checked for this service of its.
fn checking(server: &Tonic, service: &str) -> Setup {
    let check = json!({
        "enabled": true,
        "protocolVersion": "GRPC",
        "grpcService": service,
        "intervalMillis": 100,
        "timeoutMillis": 2000,
        "healthyThresholdCount": 2,
        "unhealthyThresholdCount": 2,
    });
    Setup::new()
        .group_at("rpc", &[server.address])
        .set("targetGroups.rpc.config.protocolVersion", json!("GRPC"))
        .set("targetGroups.rpc.config.healthCheck", check)
        .service("orders", &forward(&[("rpc", 100)]))
}

async fn becomes(gateway: &Gateway, server: &Tonic, status: &str) {
    let address = server.address.to_string();
    eventually(&format!("a server that is {status}"), async || {
        (statuses(gateway).await.get(&address)? == status).then_some(())
    })
    .await;
}

/// The server says that one of its services serves and then that it does not; requests through the gateway are answered by it meanwhile.
#[tokio::test]
async fn the_health_service_of_a_tonic_server_decides() {
    let server = Tonic::start().await;
    server.says("shop.Orders", ServingStatus::Serving).await;
    server.says("shop.Pages", ServingStatus::NotServing).await;
    let gateway = checking(&server, "shop.Orders").start().await;
    becomes(&gateway, &server, "HEALTHY").await;
    // The one service it has, called as any other: what it says of the server as a whole.
    let call = Request::grpc("orders.test", "/grpc.health.v1.Health/Check", &[]);
    let answer = gateway.send(Via::Http2, call).await;
    assert_eq!(
        (answer.status, answer.body.as_ref()),
        (200, &[0, 0, 0, 0, 2, 8, 1][..])
    );

    server.says("shop.Orders", ServingStatus::NotServing).await;
    becomes(&gateway, &server, "UNHEALTHY").await;
    let line = gateway.expect_log("HealthCheckFailed").await;
    assert!(line.contains("not serving"), "{line}");
    server.says("shop.Orders", ServingStatus::Serving).await;
    becomes(&gateway, &server, "HEALTHY").await;
}

/// The twin: the same server, asked about a service that does not serve, or that it does not know.
#[tokio::test]
async fn a_tonic_server_without_the_service_is_not_healthy() {
    let server = Tonic::start().await;
    server.says("shop.Orders", ServingStatus::Serving).await;
    server.says("shop.Pages", ServingStatus::NotServing).await;
    for (service, reason) in [
        ("shop.Pages", "not serving"),
        ("shop.Nobody", "ended with status 5"),
    ] {
        let gateway = checking(&server, service).start().await;
        becomes(&gateway, &server, "UNHEALTHY").await;
        let line = gateway.expect_log("HealthCheckFailed").await;
        assert!(line.contains(reason), "{line}");
    }
}
