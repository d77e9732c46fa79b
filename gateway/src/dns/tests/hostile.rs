//! What no well-meaning client sends.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    super::query::{Reading, Transport, read},
    *,
};

/// A message that is answered with this code and nothing else.
async fn check_rejected(message: &Message, code: ResponseCode) {
    let house = House::shop(vec![]);
    let answer = Message::from_vec(&house.udp(&message.to_vec().unwrap()).await).unwrap();
    assert_eq!(answer.metadata.response_code, code);
    assert_eq!(answer.metadata.id, 4711);
    assert_eq!(answer.metadata.op_code, message.metadata.op_code);
    assert!(answer.answers.is_empty());
    assert!(answer.authorities.is_empty());
}

#[tokio::test]
async fn what_is_not_a_question_for_us_is_refused() {
    let plain = question(GENERATED, RecordType::A);
    for class in [DNSClass::CH, DNSClass::ANY, DNSClass::NONE] {
        let mut other = plain.clone();
        other.queries[0].set_query_class(class);
        check_rejected(&other, ResponseCode::Refused).await;
    }
    for kind in [RecordType::AXFR, RecordType::IXFR] {
        check_rejected(&question(ZONE, kind), ResponseCode::Refused).await;
    }
    for op_code in [OpCode::Notify, OpCode::Update, OpCode::Status] {
        let mut other = plain.clone();
        other.metadata.op_code = op_code;
        check_rejected(&other, ResponseCode::NotImp).await;
    }
    let mut two = plain.clone();
    two.add_query(plain.queries[0].clone());
    check_rejected(&two, ResponseCode::FormErr).await;
    let mut none = plain;
    none.queries.clear();
    check_rejected(&none, ResponseCode::FormErr).await;
}

#[tokio::test]
async fn a_damaged_question_gets_a_header_and_an_answer_gets_nothing() {
    let house = House::shop(vec![]);
    let whole = question(GENERATED, RecordType::A).to_vec().unwrap();
    for length in 12..whole.len() {
        let answer = house.udp(&whole[..length]).await;
        assert_eq!(answer.len(), 12);
        assert_eq!(answer[..2], whole[..2]);
        assert_eq!(answer[3] & 0x0f, 1, "FORMERR");
    }
    for length in 0..12 {
        assert!(matches!(
            read(&whole[..length], Transport::Udp),
            Reading::Ignored
        ));
    }
    let mut answer = whole;
    answer[2] |= 0x80;
    assert!(matches!(read(&answer, Transport::Udp), Reading::Ignored));
    assert!(matches!(read(&answer, Transport::Tcp), Reading::Ignored));
}

#[tokio::test]
async fn a_name_with_dots_inside_a_label_is_not_another_name() {
    let house = House::shop(vec![]);
    // One label `orders.shop`, then `test`.
    let mut bytes = question("a.test", RecordType::A).to_vec().unwrap();
    bytes.splice(12..14, b"\x0borders.shop".iter().copied());
    let answer = Message::from_vec(&house.udp(&bytes).await).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
}

#[tokio::test]
async fn several_questions_on_one_connection_are_answered_in_order() {
    let house = House::shop(vec![]);
    let mut stream = TcpStream::connect(house.address()).await.unwrap();
    let mut sent = Vec::new();
    for id in 0..20_u16 {
        let mut message = question(GENERATED, RecordType::A);
        message.metadata.id = id;
        let bytes = message.to_vec().unwrap();
        sent.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
        sent.extend(bytes);
    }
    stream.write_all(&sent).await.unwrap();
    for id in 0..20_u16 {
        let answer = tcp::receive(&mut stream).await.unwrap();
        assert_eq!(Message::from_vec(&answer).unwrap().metadata.id, id);
    }
}

#[tokio::test]
async fn a_connection_that_sends_no_question_is_closed() {
    let house = House::shop(vec![]);
    for sent in [&b"\x00\x00"[..], b"\x00\x03abc"] {
        let mut stream = TcpStream::connect(house.address()).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut rest = Vec::new();
        let end = timeout(PATIENCE, stream.read_to_end(&mut rest))
            .await
            .unwrap();
        assert_eq!(end.unwrap_or_default(), 0);
    }
}

#[tokio::test]
async fn one_client_does_not_take_all_connections() {
    let house = House::shop(vec![]);
    let bytes = question(GENERATED, RecordType::A).to_vec().unwrap();
    let mut kept = Vec::new();
    for _ in 0..32 {
        let mut stream = TcpStream::connect(house.address()).await.unwrap();
        tcp::send(&mut stream, &bytes).await.unwrap();
        tcp::receive(&mut stream).await.unwrap();
        kept.push(stream);
    }
    let mut further = TcpStream::connect(house.address()).await.unwrap();
    let _ = tcp::send(&mut further, &bytes).await;
    assert!(
        timeout(PATIENCE, tcp::receive(&mut further))
            .await
            .unwrap()
            .is_err()
    );
}

proptest! {
    #[test]
    fn no_message_is_answered_with_much_more_than_itself(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        match read(&bytes, Transport::Udp) {
            Reading::Ignored => {}
            Reading::Rejected(answer, _) => prop_assert!(answer.to_vec().unwrap().len() <= bytes.len().max(12) + 11),
            Reading::Question(question) => {
                prop_assert!(question.limit() <= 1232);
                prop_assert!(!question.name.ends_with('.') || question.name.ends_with("\\."));
            }
        }
    }

    #[test]
    fn a_changed_question_never_breaks_the_reader(place in 0_usize..40, value: u8, tcp: bool) {
        let mut bytes = with_edns(question(GENERATED, RecordType::A), 1232).to_vec().unwrap();
        if let Some(byte) = bytes.get_mut(place) {
            *byte = value;
        }
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        if let Reading::Question(question) = read(&bytes, transport) {
            let answer = question.respond(ResponseCode::NoError);
            prop_assert!(question.encode(&answer).is_some());
        }
    }
}
