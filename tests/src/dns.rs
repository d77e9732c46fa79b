//! A DNS server that says what a scenario tells it to.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use hickory_proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{RData, Record, RecordType},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket},
    task::JoinHandle,
};

use crate::{address::Address, wait::eventually};

/// What the server says about every name, with a time to live of zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// These are its addresses. Those that a datagram has no room for come over TCP.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoName,
    /// It has no address.
    NoAddress,
    /// The server cannot tell.
    Fails,
    /// Nothing at all.
    Nothing,
    /// The right addresses, after forgeries with these: under another id, and about another name.
    AfterForgeries(Vec<IpAddr>, IpAddr),
    /// Bytes that are no message.
    Garbage,
}

/// A DNS server on loopback, UDP and TCP. It ends when this is dropped.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    says: Arc<Mutex<Says>>,
    asked: Arc<AtomicUsize>,
    tasks: [JoinHandle<()>; 2],
    _claim: Address,
}

impl DnsServer {
    /// One that says this.
    pub async fn start(says: Says) -> Self {
        let mut claim = Address::claim();
        let address = claim.socket();
        let socket = UdpSocket::bind(address).await.expect("an address of ours");
        let connections = TcpListener::bind(address)
            .await
            .expect("an address of ours");
        let says = Arc::new(Mutex::new(says));
        let asked = Arc::new(AtomicUsize::new(0));
        let tasks = [
            tokio::spawn(datagrams(socket, Arc::clone(&says), Arc::clone(&asked))),
            tokio::spawn(streams(connections, Arc::clone(&says))),
        ];
        Self {
            address,
            says,
            asked,
            tasks,
            _claim: claim,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says something else from now on.
    pub fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// How often it was asked over UDP.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits until it was asked so many times more.
    pub async fn asked_again(&self, times: usize) {
        let before = self.asked();
        eventually("questions for a name", async || {
            (self.asked() >= before + times).then_some(())
        })
        .await;
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn datagrams(socket: UdpSocket, says: Arc<Mutex<Says>>, asked: Arc<AtomicUsize>) {
    let mut buffer = [0; 4096];
    while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
        asked.fetch_add(1, Ordering::SeqCst);
        let says = says.lock().unwrap().clone();
        for reply in replies(&buffer[..length], &says) {
            let reply = if reply.len() > 1232 {
                truncated(&reply)
            } else {
                reply
            };
            // A client that is gone wants no answer.
            let _ = socket.send_to(&reply, client).await;
        }
    }
}

async fn streams(connections: TcpListener, says: Arc<Mutex<Says>>) {
    while let Ok((mut stream, _)) = connections.accept().await {
        let says = says.lock().unwrap().clone();
        tokio::spawn(async move {
            let length = stream.read_u16().await?;
            let mut question = vec![0; length.into()];
            stream.read_exact(&mut question).await?;
            for reply in replies(&question, &says) {
                let length = u16::try_from(reply.len()).expect("a message");
                stream.write_u16(length).await?;
                stream.write_all(&reply).await?;
            }
            std::io::Result::Ok(())
        });
    }
}

fn replies(question: &[u8], says: &Says) -> Vec<Vec<u8>> {
    let question = Message::from_vec(question).expect("a question");
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    let query = question.queries[0].clone();
    let (name, kind) = (query.name().clone(), query.query_type());
    answer.add_query(query);
    let with = |addresses: &[IpAddr]| {
        let mut answer = answer.clone();
        for address in addresses {
            let data = match address {
                IpAddr::V4(v4) if kind == RecordType::A => RData::A((*v4).into()),
                IpAddr::V6(v6) if kind == RecordType::AAAA => RData::AAAA((*v6).into()),
                _ => continue,
            };
            answer.add_answer(Record::from_rdata(name.clone(), 0, data));
        }
        answer
    };
    let code = |code| {
        let mut answer = answer.clone();
        answer.metadata.response_code = code;
        answer
    };
    let all = match says {
        Says::Addresses(addresses) => vec![with(addresses)],
        Says::NoName => vec![code(ResponseCode::NXDomain)],
        Says::NoAddress => vec![answer],
        Says::Fails => vec![code(ResponseCode::ServFail)],
        Says::Nothing => vec![],
        Says::AfterForgeries(addresses, forged) => {
            let (mut id, mut other) = (with(&[*forged]), with(&[*forged]));
            id.metadata.id ^= 1;
            other.queries[0].set_name("evil.test.".parse().expect("a name"));
            vec![id, other, with(addresses)]
        }
        Says::Garbage => return vec![vec![0xff; 64]],
    };
    let bytes = |message: &Message| message.to_vec().expect("a message");
    all.iter().map(bytes).collect()
}

/// An answer without what there is no room for.
fn truncated(reply: &[u8]) -> Vec<u8> {
    let mut message = Message::from_vec(reply).expect("our own answer");
    message.answers.clear();
    message.metadata.truncation = true;
    message.to_vec().expect("a message")
}
