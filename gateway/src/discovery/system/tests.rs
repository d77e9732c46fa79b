//! The system's files.

use std::time::Duration;

use hickory_proto::rr::RecordType;
use trellis_model::name::DomainName;

use super::{DiscoveryError, Found, System};

/// A system with these files.
fn system(servers: &str, hosts: &str) -> (tempfile::TempDir, System) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("servers"), servers).unwrap();
    std::fs::write(path("hosts"), hosts).unwrap();
    let system = System::at(path("servers"), path("hosts"));
    (folder, system)
}

#[tokio::test]
async fn servers_are_read_in_their_order() {
    let text = "# nameserver 10.0.0.9\nsearch test\nnameserver 10.0.0.2\n;nameserver 10.0.0.8\n\
        options edns0\nnameserver\tfd00::2 \nnameserver nonsense\nnameserver fe80::1%eth0\n";
    let (_folder, system) = system(text, "");
    let servers = system.servers().await.unwrap();
    let shown: Vec<_> = servers.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.0.0.2:53", "[fd00::2]:53"]);
}

#[tokio::test]
async fn a_system_without_servers_says_so() {
    for system in [
        system("search test\n", "").1,
        System::at("/nowhere", "/nowhere"),
    ] {
        assert!(matches!(
            system.servers().await,
            Err(DiscoveryError::NoServer)
        ));
    }
}

#[tokio::test]
async fn the_file_of_hosts_goes_first_for_the_names_that_it_has() {
    let text = "127.0.0.1 localhost\n10.0.0.1 orders.test orders # 10.0.0.3 pages.test\n\
        10.0.0.2\tORDERS.TEST\nfd00::1 orders.test\nnonsense orders.test\n";
    let (_folder, system) = system("", text);
    let ask = async |name: &str, kind| {
        let name: DomainName = name.parse().unwrap();
        match system.host(&name, kind).await {
            Some(Found::Addresses {
                addresses,
                ttl: Duration::ZERO,
            }) => addresses
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" "),
            None => "-".to_owned(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask("orders.test", RecordType::A).await, "10.0.0.1 10.0.0.2");
    assert_eq!(ask("orders.test", RecordType::AAAA).await, "fd00::1");
    assert_eq!(ask("orders", RecordType::AAAA).await, "-");
    assert_eq!(ask("pages.test", RecordType::A).await, "-");
}
