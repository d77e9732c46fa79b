//! Asking other resolvers about foreign names. The answer is handed on as it came, except for its id.

use std::{io, net::SocketAddr, time::Duration};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use tokio::time::Instant;

use super::{
    Observer,
    exchange::{self, Answer, Request, Truncated},
    query::{Question, Transport},
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
    let request = request(question)?;
    // A client that came by UDP is told of the truncation and comes back by TCP.
    let truncated = match question.transport {
        Transport::Tcp => Truncated::AskAgain,
        Transport::Udp => Truncated::Stands,
    };
    exchange::ask(&request, resolver, truncated, deadline).await
}

/// The question as we ask it: the client's name and flags, an id of our own, none of its options.
fn request(question: &Question) -> io::Result<Request> {
    let id = exchange::random_id()?;
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
    Ok(Request {
        bytes,
        id,
        query: question.query.clone(),
    })
}
