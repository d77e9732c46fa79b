//! Foreign names, with resolvers that behave and resolvers that do not.

use hickory_proto::rr::{RData, Record, rdata::A};
use tokio::net::TcpListener;

use super::*;

/// What a resolver does with the questions it gets.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Answers with one address.
    Answers,
    /// Answers with this code.
    Code(ResponseCode),
    /// Says nothing.
    Silent,
    /// Sends answers with a wrong id, then to a wrong question, then the right one.
    AfterForgeries,
    /// Truncates over UDP and answers over TCP.
    Truncates,
}

fn answer(asked: &[u8], code: ResponseCode) -> Message {
    let asked = Message::from_vec(asked).unwrap();
    assert!(asked.metadata.recursion_desired);
    let mut answer = Message::response(asked.metadata.id, OpCode::Query);
    answer.metadata.recursion_available = true;
    answer.metadata.response_code = code;
    answer.add_query(asked.queries[0].clone());
    if code == ResponseCode::NoError {
        let name = asked.queries[0].name().clone();
        let data = RData::A(A::new(192, 0, 2, 1));
        answer.add_answer(Record::from_rdata(name, 300, data));
    }
    answer
}

/// A resolver; the tasks end with the test's runtime.
async fn resolver(manner: Manner) -> SocketAddr {
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
            let asked = &buffer[..length];
            let good = answer(asked, ResponseCode::NoError);
            let replies = match manner {
                Manner::Answers => vec![good],
                Manner::Code(code) => vec![answer(asked, code)],
                Manner::Silent => vec![],
                Manner::AfterForgeries => {
                    let (mut id, mut name, mut query) = (good.clone(), good.clone(), good.clone());
                    id.metadata.id = !id.metadata.id;
                    name.queries[0].set_name(Name::from_ascii("evil.test.").unwrap());
                    query.metadata.message_type = MessageType::Query;
                    vec![id, name, query, good]
                }
                Manner::Truncates => {
                    let mut cut = good;
                    cut.answers.clear();
                    cut.metadata.truncation = true;
                    vec![cut]
                }
            };
            for reply in replies {
                let bytes = reply.to_vec().unwrap();
                socket.send_to(&bytes, client).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = connections.accept().await.unwrap();
            let asked = tcp::receive(&mut stream).await.unwrap();
            let good = answer(&asked, ResponseCode::NoError).to_vec().unwrap();
            tcp::send(&mut stream, &good).await.unwrap();
        }
    });
    address
}

/// What a client of these resolvers gets, and what was heard of it.
async fn check(manners: &[Manner], code: ResponseCode, answers: usize, outcome: DnsOutcome) {
    let mut resolvers = Vec::new();
    for manner in manners {
        resolvers.push(resolver(*manner).await);
    }
    let house = House::shop(resolvers);
    let found = house.ask("www.example.com", RecordType::A).await;
    assert_eq!(found.metadata.response_code, code, "{manners:?}");
    assert_eq!(found.metadata.id, 4711, "{manners:?}");
    assert_eq!(found.answers.len(), answers, "{manners:?}");
    assert!(found.metadata.recursion_available, "{manners:?}");
    assert_eq!(house.outcome(), outcome, "{manners:?}");
}

#[tokio::test]
async fn a_foreign_name_is_asked_elsewhere() {
    use DnsOutcome::{Failed, Forwarded};
    use Manner::{AfterForgeries, Answers, Code};
    use ResponseCode::{NXDomain, NoError, Refused, ServFail};
    check(&[Answers], NoError, 1, Forwarded).await;
    check(&[AfterForgeries], NoError, 1, Forwarded).await;
    check(&[Code(NXDomain), Answers], NXDomain, 0, Forwarded).await;
    check(&[Code(ServFail), Answers], NoError, 1, Forwarded).await;
    check(&[Code(Refused), Answers], NoError, 1, Forwarded).await;
    check(&[Code(Refused), Code(ServFail)], ServFail, 0, Forwarded).await;
    let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let closed = nobody.local_addr().unwrap();
    drop(nobody);
    let house = House::shop(vec![closed]);
    let found = house.ask("www.example.com", RecordType::A).await;
    assert_eq!(found.metadata.response_code, ServFail);
    assert_eq!(house.outcome(), Failed);
    assert_eq!(house.ear.failures.lock()[0], closed);
}

#[tokio::test]
async fn a_silent_resolver_is_passed_over() {
    let house = House::shop(vec![
        resolver(Manner::Silent).await,
        resolver(Manner::Answers).await,
    ]);
    let bytes = question("www.example.com", RecordType::A).to_vec().unwrap();
    let found = Message::from_vec(&house.udp(&bytes).await).unwrap();
    assert_eq!(found.answers.len(), 1);
}

#[tokio::test]
async fn a_truncated_answer_is_handed_on_by_udp_and_completed_by_tcp() {
    let house = House::shop(vec![resolver(Manner::Truncates).await]);
    let bytes = question("www.example.com", RecordType::A).to_vec().unwrap();
    let cut = Message::from_vec(&house.udp(&bytes).await).unwrap();
    assert!(cut.metadata.truncation);
    assert!(cut.answers.is_empty());
    let whole = Message::from_vec(&house.tcp(&bytes).await).unwrap();
    assert!(!whole.metadata.truncation);
    assert_eq!(whole.answers.len(), 1);
}

#[tokio::test]
async fn names_of_ours_are_never_asked_elsewhere() {
    let house = House::shop(vec![resolver(Manner::Answers).await]);
    for name in [
        "www.orders.shop.test",
        "pay-0b.7d67968.vpc-lattice-svcs.us-west-2.on.aws",
    ] {
        let found = house.ask(name, RecordType::A).await;
        assert_eq!(
            found.metadata.response_code,
            ResponseCode::NXDomain,
            "{name}"
        );
        assert!(found.metadata.recursion_available);
    }
}

#[tokio::test]
async fn a_client_that_wants_no_recursion_is_refused() {
    let house = House::shop(vec![resolver(Manner::Answers).await]);
    let mut asked = question("www.example.com", RecordType::A);
    asked.metadata.recursion_desired = false;
    let found = house.udp(&asked.to_vec().unwrap()).await;
    let found = Message::from_vec(&found).unwrap();
    assert_eq!(found.metadata.response_code, ResponseCode::Refused);
}

#[tokio::test]
async fn only_so_many_questions_are_forwarded_at_once() {
    let house = House::shop(vec![resolver(Manner::Silent).await]);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut buffer = [0; 512];
    // The first answer can only be the refusal of a question too many: the resolver is silent for seconds.
    for id in 0..600_u16 {
        let mut asked = question("www.example.com", RecordType::A);
        asked.metadata.id = id;
        let bytes = asked.to_vec().unwrap();
        socket.send_to(&bytes, house.address()).await.unwrap();
        tokio::task::yield_now().await;
    }
    let received = timeout(Duration::from_millis(1500), socket.recv(&mut buffer)).await;
    let length = received.unwrap().unwrap();
    let answer = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(house.outcome(), DnsOutcome::Failed);
}
