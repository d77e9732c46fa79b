//! Servers that behave, servers that do not, and servers that lie.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hickory_proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, CNAME},
    },
};
use tokio::{
    net::{TcpListener, UdpSocket},
    time::{Instant, timeout},
};
use trellis_model::config::{DnsResponseType, IpPreference};

use super::{Resolve as _, Resolver, System};
use crate::{
    discovery::{Found, bounds::tests::discovery},
    dns::tcp,
};

/// What a server does with the questions it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Answers with `192.0.2.1` and `2001:db8::1`.
    Answers,
    /// Has an address of this kind only.
    Only(RecordType),
    /// Fails about this kind only.
    FailsAbout(RecordType),
    /// Answers with this code.
    Code(ResponseCode),
    /// Says nothing.
    Silent,
    /// Answers forgeries before it answers.
    AfterForgeries,
    /// Truncates over UDP, and answers over TCP.
    Truncates,
    /// Truncates over UDP, and says nothing over TCP.
    TruncatesAndHangs,
    /// Truncates over UDP, and fills the largest message with addresses over TCP.
    Floods,
    /// Answers that each name is an alias of the next one, for ever.
    Aliases,
    /// Answers that the name is an alias, and knows the alias when it is asked about it.
    OneByOne,
    /// Sends bytes that are no message.
    Garbage,
}

fn answer(asked: &[u8], manner: Manner) -> Message {
    let asked = Message::from_vec(asked).unwrap();
    let mut answer = Message::response(asked.metadata.id, OpCode::Query);
    let query = asked.queries[0].clone();
    let (name, kind) = (query.name().clone(), query.query_type());
    answer.add_query(query);
    let record = |data| Record::from_rdata(name.clone(), 300, data);
    let address = match kind {
        RecordType::A => RData::A(A::new(192, 0, 2, 1)),
        RecordType::AAAA => RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        other => panic!("{other}"),
    };
    let alias = |to: &str| RData::CNAME(CNAME(Name::from_ascii(to).unwrap()));
    match manner {
        Manner::Code(code) => answer.metadata.response_code = code,
        Manner::FailsAbout(about) if about == kind => {
            answer.metadata.response_code = ResponseCode::ServFail;
        }
        Manner::Only(has) if has != kind => {}
        Manner::Aliases => {
            let number: u32 = name
                .to_ascii()
                .trim_start_matches('a')
                .trim_end_matches(".test.")
                .parse()
                .unwrap_or(0);
            answer.add_answer(record(alias(&format!("a{}.test.", number + 1))));
        }
        Manner::OneByOne if name == Name::from_ascii("orders.test.").unwrap() => {
            answer.add_answer(record(alias("real.test.")));
        }
        Manner::Floods => {
            for number in 0..2000_u32 {
                answer.add_answer(record(RData::A(A(number.into()))));
            }
        }
        _ => {
            answer.add_answer(record(address));
        }
    }
    answer
}

/// A server; its tasks end with the test's runtime.
async fn server(manner: Manner) -> SocketAddr {
    let (connections, socket) = loop {
        let connections = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = connections.local_addr().unwrap();
        if let Ok(socket) = UdpSocket::bind(address).await {
            break (connections, socket);
        }
    };
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        loop {
            let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
            let good = answer(&buffer[..length], manner);
            let replies = match manner {
                Manner::Silent => vec![],
                Manner::Garbage => vec![vec![0xff; 100]],
                Manner::AfterForgeries => {
                    let (mut id, mut name) = (good.clone(), good.clone());
                    id.metadata.id = !id.metadata.id;
                    id.answers[0].data = RData::A(A::new(6, 6, 6, 6));
                    name.queries[0].set_name(Name::from_ascii("evil.test.").unwrap());
                    let all = [id, name, good];
                    all.iter().map(|reply| reply.to_vec().unwrap()).collect()
                }
                Manner::Truncates | Manner::TruncatesAndHangs | Manner::Floods => {
                    let mut cut = good;
                    cut.answers.clear();
                    cut.metadata.truncation = true;
                    vec![cut.to_vec().unwrap()]
                }
                _ => vec![good.to_vec().unwrap()],
            };
            for reply in replies {
                socket.send_to(&reply, client).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = connections.accept().await.unwrap();
            if manner == Manner::TruncatesAndHangs {
                held.push(stream);
                continue;
            }
            let asked = tcp::receive(&mut stream).await.unwrap();
            let reply = answer(&asked, manner).to_vec().unwrap();
            tcp::send(&mut stream, &reply).await.unwrap();
        }
    });
    address
}

/// What is found of `orders.test` at these servers, within a second.
async fn found(preference: IpPreference, manners: &[Manner]) -> String {
    let mut of = discovery(DnsResponseType::Endpoints, &["0.0.0.0/0", "::/0"]);
    of.preference = preference;
    let mut servers = Vec::new();
    for manner in manners {
        servers.push(server(*manner).await);
    }
    of.resolvers = servers.into();
    let resolver = Resolver::new(Duration::from_secs(1), System::at("/nowhere", "/nowhere"));
    let outcome = timeout(Duration::from_secs(5), resolver.resolve(&of)).await;
    match outcome.expect("an outcome within the deadline") {
        Ok(Found::Addresses { addresses, ttl }) => {
            let shown: Vec<_> = addresses.iter().take(3).map(ToString::to_string).collect();
            let more = addresses.len() - shown.len();
            format!("{}+{more} for {}", shown.join(" "), ttl.as_secs())
        }
        Ok(Found::Nothing { no_name: true, .. }) => "no name".to_owned(),
        Ok(Found::Nothing { no_name: false, .. }) => "no address".to_owned(),
        Err(error) => error.to_string(),
    }
}

async fn check(manners: &[Manner], expected: &str) {
    assert_eq!(
        found(IpPreference::Ipv4Only, manners).await,
        expected,
        "{manners:?}"
    );
}

#[tokio::test]
async fn a_server_that_fails_is_passed_over() {
    use Manner::{Answers, Code, Garbage, Silent};
    use ResponseCode::{NXDomain, Refused, ServFail};
    check(&[Answers], "192.0.2.1+0 for 300").await;
    check(&[Code(ServFail), Answers], "192.0.2.1+0 for 300").await;
    check(&[Code(Refused), Answers], "192.0.2.1+0 for 300").await;
    check(&[Code(NXDomain), Answers], "no name").await;
    check(
        &[Code(Refused), Code(ServFail)],
        "the DNS server answers Server Failure",
    )
    .await;
    check(&[Silent], "no DNS server answered in time").await;
    check(&[Garbage], "no DNS server answered in time").await;
    check(&[], "no DNS server is known").await;
}

#[tokio::test]
async fn lies_are_not_believed() {
    use Manner::{AfterForgeries, Aliases, Floods, OneByOne, Truncates, TruncatesAndHangs};
    check(&[AfterForgeries], "192.0.2.1+0 for 300").await;
    check(&[Truncates], "192.0.2.1+0 for 300").await;
    check(&[TruncatesAndHangs], "no DNS server answered in time").await;
    check(&[OneByOne], "192.0.2.1+0 for 300").await;
    check(
        &[Aliases],
        "the DNS server gave an alias that leads back to itself, or too many in a row",
    )
    .await;
    // What a message holds is taken whole here; how many become targets is not the resolver's matter.
    check(&[Floods], "0.0.0.0 0.0.0.1 0.0.0.2+1997 for 300").await;
}

#[tokio::test]
async fn a_name_has_addresses_of_the_wanted_kind() {
    use IpPreference::{Ipv4Only, Ipv4Preferred, Ipv6Only, Ipv6Preferred};
    use Manner::{Answers, FailsAbout, Only};
    use RecordType::{A, AAAA};
    let (v4, v6) = ("192.0.2.1+0 for 300", "2001:db8::1+0 for 300");
    for (preference, manner, expected) in [
        (Ipv4Only, Answers, v4),
        (Ipv6Only, Answers, v6),
        (Ipv4Preferred, Answers, v4),
        (Ipv6Preferred, Answers, v6),
        (Ipv4Only, Only(AAAA), "no address"),
        (Ipv6Only, Only(A), "no address"),
        (Ipv4Preferred, Only(AAAA), v6),
        (Ipv6Preferred, Only(A), v4),
        // A failure is no answer: targets of one family do not give way to those of the other for it.
        (
            Ipv6Preferred,
            FailsAbout(AAAA),
            "the DNS server answers Server Failure",
        ),
        (Ipv6Preferred, FailsAbout(A), v6),
    ] {
        assert_eq!(
            found(preference, &[manner]).await,
            expected,
            "{preference:?} {manner:?}"
        );
    }
}

#[tokio::test]
async fn a_closed_port_is_no_answer() {
    let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut of = discovery(DnsResponseType::Endpoints, &["0.0.0.0/0"]);
    of.resolvers = [nobody.local_addr().unwrap()].into();
    drop(nobody);
    let resolver = Resolver::new(Duration::from_secs(1), System::default());
    let began = Instant::now();
    let error = resolver.resolve(&of).await.unwrap_err();
    assert_eq!(error.label(), "unreachable");
    assert!(began.elapsed() < Duration::from_secs(1), "not by waiting");
}

#[tokio::test]
async fn the_systems_servers_are_asked_where_nobody_names_others() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, "192.0.2.9 orders.test\n").unwrap();
    let of = discovery(DnsResponseType::Endpoints, &["0.0.0.0/0"]);
    let resolver = Resolver::new(Duration::from_secs(1), System::at("/nowhere", &hosts));
    let Ok(Found::Addresses { addresses, .. }) = resolver.resolve(&of).await else {
        panic!("no addresses");
    };
    assert_eq!(addresses, [std::net::IpAddr::from([192, 0, 2, 9])]);
    std::fs::write(&hosts, "").unwrap();
    let error = Arc::clone(&resolver).resolve(&of).await.unwrap_err();
    assert_eq!(error.to_string(), "no DNS server is known");
}
