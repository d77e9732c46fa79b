//! One question to one resolver, and its answer.
//!
//! Each question leaves from a socket of its own, so with a port that the system draws, under a random id; what comes back must
//! be from the resolver asked, carry that id and repeat the question.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use hickory_proto::{
    op::{Header, MessageType, Metadata, OpCode, Query},
    serialize::binary::{BinDecodable as _, BinDecoder},
};
use tokio::{
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout_at},
};

use super::tcp;

/// A question as it is sent.
#[derive(Debug)]
pub(crate) struct Request {
    /// The message.
    pub(crate) bytes: Vec<u8>,
    /// Its id.
    pub(crate) id: u16,
    /// What it asks.
    pub(crate) query: Query,
}

/// A resolver's answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The message: 64 KiB at most.
    pub(crate) bytes: Vec<u8>,
    /// Its header.
    pub(crate) metadata: Metadata,
}

/// What becomes of an answer that a datagram has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truncated {
    /// It stands as it is.
    Stands,
    /// It is asked for again, over TCP.
    AskAgain,
}

/// Asks one resolver.
pub(crate) async fn ask(
    request: &Request,
    resolver: SocketAddr,
    truncated: Truncated,
    deadline: Instant,
) -> io::Result<Answer> {
    let answer = timeout_at(deadline, by_datagram(request, resolver))
        .await
        .map_err(|_| io::ErrorKind::TimedOut)??;
    if answer.metadata.truncation && truncated == Truncated::AskAgain {
        return timeout_at(deadline, by_stream(request, resolver))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)?;
    }
    Ok(answer)
}

/// An id that nobody can guess.
pub(crate) fn random_id() -> io::Result<u16> {
    let mut id = [0; 2];
    let random = crate::tls::provider().secure_random;
    random
        .fill(&mut id)
        .map_err(|_| io::Error::other("no random numbers"))?;
    Ok(u16::from_be_bytes(id))
}

async fn by_datagram(request: &Request, resolver: SocketAddr) -> io::Result<Answer> {
    let any: SocketAddr = match resolver {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // From here on the system drops what comes from anybody else.
    socket.connect(resolver).await?;
    socket.send(&request.bytes).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = buffer.get(..length).and_then(|bytes| check(bytes, request)) {
            return Ok(answer);
        }
        // Forged, late or damaged: the right one may still come.
    }
}

async fn by_stream(request: &Request, resolver: SocketAddr) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(resolver).await?;
    tcp::send(&mut stream, &request.bytes).await?;
    let bytes = tcp::receive(&mut stream).await?;
    check(&bytes, request)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an answer to something else"))
}

/// Is this the answer to what was asked?
fn check(bytes: &[u8], request: &Request) -> Option<Answer> {
    let mut decoder = BinDecoder::new(bytes);
    let header = Header::read(&mut decoder).ok()?;
    let metadata = header.metadata;
    let ours = metadata.id == request.id
        && metadata.message_type == MessageType::Response
        && metadata.op_code == OpCode::Query
        && header.counts.queries == 1;
    let repeated = Query::read(&mut decoder).ok()?;
    let query = &request.query;
    let same = repeated.name() == query.name()
        && repeated.query_type() == query.query_type()
        && repeated.query_class() == query.query_class();
    (ours && same).then(|| Answer {
        bytes: bytes.to_vec(),
        metadata,
    })
}
