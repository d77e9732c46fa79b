//! Reading a question: what can be answered, what is refused at once, and what is not worth an answer.

use hickory_proto::{
    op::{Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode},
    rr::{DNSClass, RecordType},
    serialize::binary::{BinDecodable as _, BinDecoder},
};

use super::LARGEST_DATAGRAM;

/// Smallest message that has a header.
const HEADER: usize = 12;

/// How the question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// On a connection.
    Tcp,
}

/// A well-formed question of class IN.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) metadata: Metadata,
    pub(super) query: Query,
    pub(super) edns: Option<Edns>,
    pub(super) transport: Transport,
    /// The name in lower case, without the trailing dot; empty for the root.
    pub(super) name: String,
}

/// What a message turned out to be.
#[derive(Debug)]
pub(super) enum Reading {
    /// A question to answer.
    Question(Box<Question>),
    /// To be answered with this, without looking anything up; the name when there is one.
    Rejected(Box<Message>, Option<String>),
    /// Not to be answered: too short, or itself an answer. Answering those would let two servers talk for ever.
    Ignored,
}

/// Reads a message.
pub(super) fn read(bytes: &[u8], transport: Transport) -> Reading {
    let Ok(header) = Header::read(&mut BinDecoder::new(bytes)) else {
        return Reading::Ignored;
    };
    let metadata = header.metadata;
    if bytes.len() < HEADER || metadata.message_type == MessageType::Response {
        return Reading::Ignored;
    }
    if metadata.op_code != OpCode::Query {
        return rejected(&metadata, ResponseCode::NotImp);
    }
    let Ok(mut message) = Message::from_vec(bytes) else {
        return rejected(&metadata, ResponseCode::FormErr);
    };
    let (Some(query), true) = (message.queries.pop(), message.queries.is_empty()) else {
        return rejected(&metadata, ResponseCode::FormErr);
    };
    let name = query.name().to_lowercase().to_ascii();
    let question = Question {
        metadata,
        edns: message.edns,
        transport,
        name: name.strip_suffix('.').unwrap_or(&name).to_owned(),
        query,
    };
    match question.fault() {
        Some(code) => {
            let answer = question.respond(code);
            Reading::Rejected(Box::new(answer), Some(question.name))
        }
        None => Reading::Question(Box::new(question)),
    }
}

/// An answer that is a header only: the rest of the message cannot be trusted.
fn rejected(metadata: &Metadata, code: ResponseCode) -> Reading {
    let mut answer = Message::error_msg(metadata.id, metadata.op_code, code);
    answer.metadata.recursion_desired = metadata.recursion_desired;
    Reading::Rejected(Box::new(answer), None)
}

impl Question {
    /// Why the question is refused whatever its name is.
    fn fault(&self) -> Option<ResponseCode> {
        // Spec: RFC 6891 §6.1.3.
        if self.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return Some(ResponseCode::BADVERS);
        }
        let transfer = matches!(self.query.query_type(), RecordType::AXFR | RecordType::IXFR);
        (transfer || self.query.query_class() != DNSClass::IN).then_some(ResponseCode::Refused)
    }

    /// An answer without records: the question as it was asked, letter for letter, and EDNS when the client speaks it.
    pub(super) fn respond(&self, code: ResponseCode) -> Message {
        let mut answer = Message::response(self.metadata.id, self.metadata.op_code);
        answer.metadata = Metadata::response_from_request(&self.metadata);
        answer.metadata.response_code = code;
        answer.add_query(self.query.clone());
        if let Some(asked) = &self.edns {
            let mut edns = Edns::new();
            edns.set_version(0).set_max_payload(LARGEST_DATAGRAM);
            edns.set_dnssec_ok(asked.flags().dnssec_ok);
            edns.set_rcode_high(code.high());
            answer.set_edns(edns);
        }
        answer
    }

    /// Largest answer that the client takes, in bytes.
    pub(super) fn limit(&self) -> usize {
        let limit = match (self.transport, &self.edns) {
            (Transport::Tcp, _) => u16::MAX,
            (Transport::Udp, Some(edns)) => edns.max_payload().clamp(512, LARGEST_DATAGRAM),
            (Transport::Udp, None) => 512,
        };
        usize::from(limit)
    }

    /// The bytes of an answer, cut to what the client takes: an answer that is too large says so and holds no records.
    pub(super) fn encode(&self, answer: &Message) -> Option<Vec<u8>> {
        let bytes = answer.to_vec().ok()?;
        if bytes.len() <= self.limit() {
            return Some(bytes);
        }
        self.truncated(&answer.metadata)
    }

    /// In place of the answer with this header, one without records that sends the client to TCP.
    pub(super) fn truncated(&self, of: &Metadata) -> Option<Vec<u8>> {
        let mut answer = self.respond(of.response_code);
        answer.metadata.authoritative = of.authoritative;
        answer.metadata.recursion_available = of.recursion_available;
        answer.metadata.truncation = true;
        answer.to_vec().ok()
    }
}
