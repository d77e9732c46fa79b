//! Asking other resolvers about foreign names.
//!
//! Each question leaves from a socket of its own, so with a port that the system draws, under a random id; what comes back must
//! be from the resolver asked, carry that id and repeat the question. The answer is handed on as it came, except for its id.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode},
    serialize::binary::{BinDecodable as _, BinDecoder},
};
use tokio::{
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout_at},
};

use super::{
    Observer,
    query::{Question, Transport},
    tcp,
};

/// Longest wait for one resolver.
const ATTEMPT: Duration = Duration::from_secs(2);
/// Longest wait for all of them: clients give up after five seconds.
const TOTAL: Duration = Duration::from_millis(4500);

/// Asks `resolvers` in turn. `None` when none of them gave an answer.
///
/// A resolver that answers SERVFAIL or REFUSED is passed over; if no other does better, that answer stands.
pub(super) async fn forward(
    question: &Question,
    resolvers: &[SocketAddr],
    observer: &dyn Observer,
) -> Option<Vec<u8>> {
    let deadline = Instant::now() + TOTAL;
    let mut second_best = None;
    for resolver in resolvers {
        let attempt = deadline.min(Instant::now() + ATTEMPT);
        match ask(question, *resolver, attempt).await {
            Ok(answer) => match answer.metadata.response_code {
                ResponseCode::ServFail | ResponseCode::Refused => second_best = Some(answer),
                _ => return finish(question, answer),
            },
            Err(error) => observer.failed(*resolver, &error),
        }
    }
    finish(question, second_best?)
}

/// A resolver's answer.
struct Answer {
    bytes: Vec<u8>,
    metadata: Metadata,
}

/// Gives an answer the client's id, and cuts it to what the client takes.
fn finish(question: &Question, mut answer: Answer) -> Option<Vec<u8>> {
    if answer.bytes.len() > question.limit() {
        return question.truncated(&answer.metadata);
    }
    let id = answer.bytes.first_chunk_mut::<2>()?;
    *id = question.metadata.id.to_be_bytes();
    Some(answer.bytes)
}

async fn ask(question: &Question, resolver: SocketAddr, deadline: Instant) -> io::Result<Answer> {
    let (id, request) = request(question)?;
    let answer = timeout_at(
        deadline,
        by_datagram(&request, id, &question.query, resolver),
    )
    .await
    .map_err(|_| io::ErrorKind::TimedOut)??;
    // A client that came by UDP is told of the truncation and comes back by TCP.
    if answer.metadata.truncation && question.transport == Transport::Tcp {
        let whole = by_stream(&request, id, &question.query, resolver);
        return timeout_at(deadline, whole)
            .await
            .map_err(|_| io::ErrorKind::TimedOut)?;
    }
    Ok(answer)
}

/// The question as we ask it: the client's name and flags, an id of our own, none of its options.
fn request(question: &Question) -> io::Result<(u16, Vec<u8>)> {
    let id = random_id()?;
    let mut request = Message::new(id, MessageType::Query, OpCode::Query);
    request.metadata.recursion_desired = true;
    request.metadata.checking_disabled = question.metadata.checking_disabled;
    request.metadata.authentic_data = question.metadata.authentic_data;
    request.add_query(question.query.clone());
    if let Some(asked) = &question.edns {
        let mut edns = Edns::new();
        edns.set_version(0)
            .set_max_payload(asked.max_payload().clamp(512, super::LARGEST_DATAGRAM));
        edns.set_dnssec_ok(asked.flags().dnssec_ok);
        request.set_edns(edns);
    }
    let bytes = request.to_vec().map_err(io::Error::other)?;
    Ok((id, bytes))
}

fn random_id() -> io::Result<u16> {
    let mut id = [0; 2];
    let random = crate::tls::provider().secure_random;
    random
        .fill(&mut id)
        .map_err(|_| io::Error::other("no random numbers"))?;
    Ok(u16::from_be_bytes(id))
}

async fn by_datagram(
    request: &[u8],
    id: u16,
    query: &Query,
    resolver: SocketAddr,
) -> io::Result<Answer> {
    let any: SocketAddr = match resolver {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // From here on the system drops what comes from anybody else.
    socket.connect(resolver).await?;
    socket.send(request).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = buffer
            .get(..length)
            .and_then(|bytes| check(bytes, id, query))
        {
            return Ok(answer);
        }
        // Forged, late or damaged: the right one may still come.
    }
}

async fn by_stream(
    request: &[u8],
    id: u16,
    query: &Query,
    resolver: SocketAddr,
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(resolver).await?;
    tcp::send(&mut stream, request).await?;
    let bytes = tcp::receive(&mut stream).await?;
    check(&bytes, id, query)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an answer to something else"))
}

/// Is this the answer to what was asked?
fn check(bytes: &[u8], id: u16, query: &Query) -> Option<Answer> {
    let mut decoder = BinDecoder::new(bytes);
    let header = Header::read(&mut decoder).ok()?;
    let metadata = header.metadata;
    let ours = metadata.id == id
        && metadata.message_type == MessageType::Response
        && metadata.op_code == OpCode::Query
        && header.counts.queries == 1;
    let repeated = Query::read(&mut decoder).ok()?;
    let same = repeated.name() == query.name()
        && repeated.query_type() == query.query_type()
        && repeated.query_class() == query.query_class();
    (ours && same).then(|| Answer {
        bytes: bytes.to_vec(),
        metadata,
    })
}
