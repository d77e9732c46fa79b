//! A probe by the gRPC health protocol: one call of `grpc.health.v1.Health/Check`, and only `SERVING` is success.
//!
//! Spec: gRPC Health Checking Protocol; gRPC over HTTP/2, "Requests" and "Responses".

use std::{net::SocketAddr, time::Duration};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use prost::Message;
use trellis_model::config::TargetProtocol;

use super::{
    ProbeError,
    http::{Connection, USER_AGENT, ask_http2, uri},
};

/// Largest answer read, its prefix included. A status takes seven bytes; the rest is for fields that a later version may add.
const ANSWER_BYTES: usize = 1024;

/// What stands before each message: a byte that tells whether it is compressed, and its length.
const PREFIX: usize = 5;

/// `SERVING` among the values of `grpc.health.v1.HealthCheckResponse.ServingStatus`.
const SERVING: i32 = 1;

/// What is asked, and of whom.
pub(super) struct Question<'q> {
    pub(super) address: SocketAddr,
    pub(super) protocol: TargetProtocol,
    /// Empty for the server as a whole.
    pub(super) service: &'q str,
    pub(super) timeout: Duration,
}

/// Why an answer is not that of a well server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrpcError {
    /// It is not gRPC.
    #[error("the answer is not gRPC: {0}")]
    Foreign(&'static str),
    /// The call failed, with this code.
    #[error("the call ended with status {0}")]
    Status(u32),
    /// The service is known, and not well.
    #[error("the service is {0}")]
    NotServing(&'static str),
}

/// `grpc.health.v1.HealthCheckRequest`.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Asks, over a connection to the target.
pub(super) async fn ask(
    stream: impl Connection,
    question: &Question<'_>,
) -> Result<(), ProbeError> {
    let uri = uri(
        question.address,
        question.protocol,
        "/grpc.health.v1.Health/Check",
    )?;
    let request = Request::post(uri)
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header("grpc-timeout", format!("{}m", question.timeout.as_millis()))
        .header(header::USER_AGENT, USER_AGENT)
        .body(Full::new(message(question.service)))
        .map_err(ProbeError::Path)?;
    ask_http2(stream, request, judge).await
}

fn message(service: &str) -> Bytes {
    let message = HealthCheckRequest {
        service: service.to_owned(),
    };
    let message = message.encode_to_vec();
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    // INVARIANT: a service's name has 255 characters at most.
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(&message);
    framed.freeze()
}

async fn judge(answer: Response<Incoming>) -> Result<(), ProbeError> {
    if answer.status() != StatusCode::OK {
        return Err(ProbeError::Status(answer.status().as_u16()));
    }
    let kind = answer.headers().get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return Err(GrpcError::Foreign("its content type is another one").into());
    }
    // An answer that is over with its head has the status there.
    call_ended_well(answer.headers(), false)?;
    let mut body = answer.into_body();
    let mut read = BytesMut::new();
    let mut ended = false;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(ProbeError::Answer)?;
        if let Some(trailers) = frame.trailers_ref() {
            call_ended_well(trailers, true)?;
            ended = true;
        } else if let Ok(part) = frame.into_data() {
            if read.len() + part.len() > ANSWER_BYTES {
                return Err(GrpcError::Foreign("it is too long").into());
            }
            read.extend_from_slice(&part);
        }
    }
    if !ended {
        return Err(GrpcError::Foreign("it ends without a status").into());
    }
    Ok(serving(read.freeze())?)
}

/// Does a `grpc-status` say that the call succeeded? `required`: there must be one.
fn call_ended_well(fields: &HeaderMap, required: bool) -> Result<(), GrpcError> {
    let Some(status) = fields.get("grpc-status") else {
        return if required {
            Err(GrpcError::Foreign("it ends without a status"))
        } else {
            Ok(())
        };
    };
    match status.to_str().ok().and_then(|text| text.parse().ok()) {
        Some(0) => Ok(()),
        Some(code) => Err(GrpcError::Status(code)),
        None => Err(GrpcError::Foreign("its status is not a number")),
    }
}

/// Reads the one message of the answer.
fn serving(mut framed: Bytes) -> Result<(), GrpcError> {
    let garbled = GrpcError::Foreign("it is not one message");
    let (Ok(compressed), Ok(length)) = (framed.try_get_u8(), framed.try_get_u32()) else {
        return Err(garbled);
    };
    // Spec: compression is only for those who offered it, which we did not.
    if compressed != 0 || usize::try_from(length) != Ok(framed.len()) {
        return Err(garbled);
    }
    let answer = HealthCheckResponse::decode(framed).map_err(|_| garbled)?;
    match answer.status {
        SERVING => Ok(()),
        2 => Err(GrpcError::NotServing("not serving")),
        // Source: health.proto, 3 is only for streams.
        3 => Err(GrpcError::NotServing("not known")),
        _ => Err(GrpcError::NotServing("in an unknown state")),
    }
}

#[cfg(test)]
mod tests;
