//! The server on loopback, asked with raw sockets, over a directory and resolvers made up here.

mod forwarding;
mod hostile;

use std::{
    collections::BTreeMap,
    error::Error,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RecordType},
};
use parking_lot::Mutex;
use tokio::{
    net::{TcpStream, UdpSocket},
    runtime::Handle,
    time::timeout,
};

use super::{Bound, Directory, Lookup, Observer, Position, Server, Settings, locate, tcp};
use crate::telemetry::events::DnsOutcome;

const ZONE: &str = "vpc-lattice-svcs.us-west-2.on.aws";
const GENERATED: &str = "orders-0a.7d67968.vpc-lattice-svcs.us-west-2.on.aws";
const PATIENCE: Duration = Duration::from_secs(20);

/// One VPC on loopback that may meet these services; every other client is in none.
#[derive(Default)]
struct Fake {
    services: BTreeMap<&'static str, Vec<IpAddr>>,
    outsider: bool,
}

impl Directory for Fake {
    fn lookup(&self, _: SocketAddr, local: IpAddr, name: &str) -> Lookup {
        assert!(local.is_loopback());
        if self.outsider {
            return Lookup::Outsider;
        }
        let zone = |zone: &str| zone.parse().unwrap();
        match locate(name, ZONE, "7d67968", |name| {
            self.services.contains_key(name)
        }) {
            Position::Service(at) => {
                let addresses = &self.services[name];
                let v4 = addresses.iter().filter_map(|address| match address {
                    IpAddr::V4(address) => Some(*address),
                    IpAddr::V6(_) => None,
                });
                let v6 = addresses.iter().filter_map(|address| match address {
                    IpAddr::V6(address) => Some(*address),
                    IpAddr::V4(_) => None,
                });
                Lookup::Service {
                    zone: zone(at),
                    v4: v4.collect(),
                    v6: v6.collect(),
                }
            }
            Position::Empty(at) => Lookup::Empty { zone: zone(at) },
            Position::Missing(at) => Lookup::Missing { zone: zone(at) },
            Position::Foreign => Lookup::Foreign,
        }
    }
}

/// Remembers what it heard.
#[derive(Default)]
struct Ear {
    outcomes: Mutex<Vec<DnsOutcome>>,
    failures: Mutex<Vec<SocketAddr>>,
}

impl Observer for Ear {
    fn query(&self, client: IpAddr, _: Option<&str>, outcome: DnsOutcome) {
        assert!(client.is_loopback());
        self.outcomes.lock().push(outcome);
    }

    fn failed(&self, address: SocketAddr, _: &(dyn Error + 'static)) {
        self.failures.lock().push(address);
    }
}

struct House {
    server: Server,
    ear: Arc<Ear>,
}

impl House {
    fn new(fake: Fake, forward: Vec<SocketAddr>) -> Self {
        let ear = Arc::new(Ear::default());
        let bound = Bound::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let settings = settings(forward);
        let observer = Arc::clone(&ear) as Arc<dyn Observer>;
        let server = bound
            .serve(&Handle::current(), settings, Arc::new(fake), observer)
            .unwrap();
        Self { server, ear }
    }

    fn shop(forward: Vec<SocketAddr>) -> Self {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let many: Vec<String> = (0..100).map(|n| format!("10.0.0.{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let services = BTreeMap::from([
            (GENERATED, addresses(&["10.0.0.1", "fd00::1"])),
            ("orders.shop.test", addresses(&["10.0.0.1"])),
            ("six.shop.test", addresses(&["fd00::6"])),
            ("many.shop.test", addresses(&many)),
        ]);
        let outsider = false;
        Self::new(Fake { services, outsider }, forward)
    }

    fn address(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    async fn udp(&self, bytes: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.send_to(bytes, self.address()).await.unwrap();
        let mut buffer = vec![0; 65_535];
        let received = timeout(PATIENCE, socket.recv(&mut buffer)).await.unwrap();
        buffer.truncate(received.unwrap());
        buffer
    }

    async fn tcp(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        tcp::send(&mut stream, bytes).await.unwrap();
        timeout(PATIENCE, tcp::receive(&mut stream))
            .await
            .unwrap()
            .unwrap()
    }

    /// Asks over both transports and expects the same from both.
    async fn ask(&self, name: &str, kind: RecordType) -> Message {
        let bytes = question(name, kind).to_vec().unwrap();
        let udp = self.udp(&bytes).await;
        assert_eq!(udp, self.tcp(&bytes).await, "{name} {kind}");
        Message::from_vec(&udp).unwrap()
    }

    fn outcome(&self) -> DnsOutcome {
        *self.ear.outcomes.lock().last().unwrap()
    }
}

fn settings(forward: Vec<SocketAddr>) -> Settings {
    Settings {
        forward,
        ttl: Duration::from_secs(60),
    }
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    message.add_query(Query::query(name, kind));
    message
}

fn with_edns(mut message: Message, payload: u16) -> Message {
    let mut edns = Edns::new();
    edns.set_version(0).set_max_payload(payload);
    message.set_edns(edns);
    message
}

/// One question and everything that matters of its answer.
async fn check(house: &House, name: &str, kind: RecordType, code: ResponseCode, records: &[&str]) {
    let answer = house.ask(name, kind).await;
    let metadata = &answer.metadata;
    assert_eq!(metadata.id, 4711);
    assert_eq!(metadata.response_code, code, "{name} {kind}");
    assert!(metadata.recursion_desired);
    assert!(!metadata.truncation);
    assert_eq!(answer.queries, question(name, kind).queries);
    assert!(answer.edns.is_none());
    let sections = answer.answers.iter().chain(&answer.authorities);
    let found: Vec<String> = sections.map(ToString::to_string).collect();
    assert_eq!(found, records, "{name} {kind}");
    let ours = code != ResponseCode::Refused;
    assert_eq!(metadata.authoritative, ours, "{name} {kind}");
}

#[tokio::test]
async fn a_visible_service_has_the_addresses_of_its_families() {
    use RecordType::{A, AAAA, HTTPS, MX, SVCB, TXT};
    let house = House::shop(vec![]);
    let none = ResponseCode::NoError;
    let a = format!("{GENERATED}. 60 IN A 10.0.0.1");
    let aaaa = format!("{GENERATED}. 60 IN AAAA fd00::1");
    let zone = format!("{ZONE}. 60 IN SOA {ZONE}. nobody.invalid. 1 3600 1200 604800 60");
    check(&house, GENERATED, A, none, &[&a]).await;
    check(&house, GENERATED, AAAA, none, &[&aaaa]).await;
    assert_eq!(house.outcome(), DnsOutcome::Answered);
    for kind in [
        TXT,
        MX,
        HTTPS,
        SVCB,
        RecordType::SOA,
        RecordType::NS,
        RecordType::CNAME,
    ] {
        check(&house, GENERATED, kind, none, &[&zone]).await;
        assert_eq!(house.outcome(), DnsOutcome::NoData);
    }
    let own =
        |name: &str| format!("{name}. 60 IN SOA {name}. nobody.invalid. 1 3600 1200 604800 60");
    check(
        &house,
        "orders.shop.test",
        A,
        none,
        &["orders.shop.test. 60 IN A 10.0.0.1"],
    )
    .await;
    check(
        &house,
        "orders.shop.test",
        AAAA,
        none,
        &[&own("orders.shop.test")],
    )
    .await;
    check(
        &house,
        "six.shop.test",
        AAAA,
        none,
        &["six.shop.test. 60 IN AAAA fd00::6"],
    )
    .await;
    check(&house, "six.shop.test", A, none, &[&own("six.shop.test")]).await;
}

#[tokio::test]
async fn zones_have_a_top_and_what_is_not_in_them_does_not_exist() {
    use RecordType::{A, NS, SOA};
    let house = House::shop(vec![]);
    let none = ResponseCode::NoError;
    let gone = ResponseCode::NXDomain;
    for (zone, below) in [(ZONE, "pay-0b.7d67968."), ("orders.shop.test", "www.")] {
        let soa = format!("{zone}. 60 IN SOA {zone}. nobody.invalid. 1 3600 1200 604800 60");
        check(&house, zone, SOA, none, &[&soa]).await;
        check(
            &house,
            zone,
            NS,
            none,
            &[&format!("{zone}. 60 IN NS {zone}.")],
        )
        .await;
        check(&house, &format!("{below}{zone}"), A, gone, &[&soa]).await;
        assert_eq!(house.outcome(), DnsOutcome::NoSuchName);
        check(&house, &format!("{below}{zone}"), SOA, gone, &[&soa]).await;
    }
    let soa = format!("{ZONE}. 60 IN SOA {ZONE}. nobody.invalid. 1 3600 1200 604800 60");
    check(&house, ZONE, A, none, &[&soa]).await;
    check(&house, &format!("7d67968.{ZONE}"), A, none, &[&soa]).await;
}

#[tokio::test]
async fn foreign_names_and_foreign_clients_are_refused() {
    let house = House::shop(vec![]);
    for name in [
        "example.com",
        "shop.test",
        "pay.shop.test",
        "us-west-2.on.aws",
        ".",
    ] {
        check(&house, name, RecordType::A, ResponseCode::Refused, &[]).await;
        assert_eq!(house.outcome(), DnsOutcome::Refused);
    }
    let fake = Fake {
        outsider: true,
        ..Fake::default()
    };
    // A resolver would be there, but not for everybody.
    let house = House::new(fake, vec!["127.0.0.1:9".parse().unwrap()]);
    for name in ["example.com", GENERATED] {
        check(&house, name, RecordType::A, ResponseCode::Refused, &[]).await;
    }
}

#[tokio::test]
async fn any_is_answered_with_as_little_as_possible() {
    let house = House::shop(vec![]);
    for name in ["many.shop.test", GENERATED, ZONE] {
        let answer = house.ask(name, RecordType::ANY).await;
        assert_eq!(answer.answers.len(), 1);
        assert_eq!(answer.answers[0].record_type(), RecordType::HINFO);
    }
}

#[tokio::test]
async fn the_case_of_a_question_comes_back() {
    let house = House::shop(vec![]);
    let bytes = question("oRdErS.sHoP.TeSt", RecordType::A)
        .to_vec()
        .unwrap();
    let answer = house.udp(&bytes).await;
    // Header apart, the question stands where it stood, letter for letter.
    assert_eq!(answer[12..bytes.len()], bytes[12..]);
    let answer = Message::from_vec(&answer).unwrap();
    assert_eq!(answer.answers.len(), 1);
    assert_eq!(answer.answers[0].name.to_ascii(), "oRdErS.sHoP.TeSt.");
}

#[tokio::test]
async fn an_answer_too_large_for_a_datagram_sends_the_client_to_tcp() {
    let house = House::shop(vec![]);
    let plain = question("many.shop.test", RecordType::A);
    for (asked, limit) in [
        (plain.clone(), 512),
        (with_edns(plain.clone(), 100), 512),
        (with_edns(plain.clone(), 900), 900),
        (with_edns(plain.clone(), 65_000), 1232),
    ] {
        let bytes = asked.to_vec().unwrap();
        let cut = house.udp(&bytes).await;
        assert!(cut.len() <= limit, "{} {limit}", cut.len());
        let cut = Message::from_vec(&cut).unwrap();
        assert!(cut.metadata.truncation, "{limit}");
        assert!(cut.answers.is_empty());
        assert_eq!(cut.edns.is_some(), asked.edns.is_some());
        let whole = Message::from_vec(&house.tcp(&bytes).await).unwrap();
        assert!(!whole.metadata.truncation);
        assert_eq!(whole.answers.len(), 100);
    }
}

#[tokio::test]
async fn edns_is_answered_with_edns() {
    let house = House::shop(vec![]);
    let mut asked = with_edns(question(GENERATED, RecordType::A), 4096);
    let bytes = asked.to_vec().unwrap();
    let answer = Message::from_vec(&house.udp(&bytes).await).unwrap();
    let edns = answer.edns.unwrap();
    assert_eq!((edns.version(), edns.max_payload()), (0, 1232));
    assert_eq!(answer.answers.len(), 1);

    asked.edns.as_mut().unwrap().set_version(1);
    let bytes = asked.to_vec().unwrap();
    let answer = Message::from_vec(&house.udp(&bytes).await).unwrap();
    // BADVERS and BADSIG are both 16.
    assert_eq!(u16::from(answer.metadata.response_code), 16);
    assert_eq!(answer.edns.unwrap().version(), 0);
}

#[tokio::test]
async fn settings_change_without_a_new_socket() {
    let house = House::shop(vec![]);
    house.server.configure(Settings {
        forward: vec![],
        ttl: Duration::from_secs(5),
    });
    let records = [&*format!("{GENERATED}. 5 IN A 10.0.0.1")];
    check(
        &house,
        GENERATED,
        RecordType::A,
        ResponseCode::NoError,
        &records,
    )
    .await;
}

#[tokio::test]
async fn a_stopped_server_leaves_its_addresses_to_the_next() {
    let house = House::shop(vec![]);
    let address = house.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    let busy = Bound::bind(&[address]).unwrap_err();
    assert_eq!((busy.address, busy.transport), (address, "tcp"));
    house.server.stop(PATIENCE).await;
    assert!(tcp::receive(&mut idle).await.is_err());
    let again = Bound::bind(&[address]).unwrap();
    assert_eq!(again.addresses().collect::<Vec<_>>(), [address]);
}

#[tokio::test]
async fn both_families_are_served() {
    let Ok(bound) = Bound::bind(&["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()])
    else {
        // A machine without IPv6 has nothing to show here; the IPv4 half is shown by every other test.
        assert!(std::net::UdpSocket::bind("[::1]:0").is_err());
        return;
    };
    assert_eq!(bound.addresses().count(), 2);
    assert!(bound.addresses().all(|address| address.port() != 0));
}
