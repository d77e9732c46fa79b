//! Calls in AWS's JSON protocol.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use serde_json::Value;
use trellis_model::config::AwsSigner;

use super::{
    calls::Failure,
    http::{Client, request},
    sign::{Service, add_signature},
};

/// An API that is called in this protocol.
#[derive(Debug)]
pub(super) struct JsonApi {
    pub(super) client: Client,
    pub(super) service: Service,
    /// What names of operations begin with.
    pub(super) target: &'static str,
    pub(super) signer: Option<AwsSigner>,
}

/// An error as the API tells it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: u16,
    /// Name of the exception, without its name space.
    pub(super) code: String,
    pub(super) message: String,
}

impl ApiError {
    /// What it means for the records of the call.
    pub(super) fn into_failure(self) -> Failure {
        let text = format!("{}: {}", self.code, self.message);
        match self.code.as_str() {
            "InvalidParameterException"
            | "InvalidArgumentException"
            | "SerializationException"
            | "ValidationException" => Failure::Refused(text),
            _ if self.status == 413 => Failure::Refused(text),
            _ => Failure::Again(text),
        }
    }
}

impl JsonApi {
    /// Calls an operation. The outer error is for want of an answer.
    pub(super) async fn call(
        &mut self,
        operation: &str,
        body: impl Into<Bytes>,
    ) -> Result<Result<Value, ApiError>, Failure> {
        let body: Bytes = body.into();
        let mut call =
            request(&self.client, Method::POST, "/", body.clone()).map_err(Failure::Again)?;
        let target = HeaderValue::from_str(&format!("{}.{operation}", self.target));
        let target = target.map_err(|error| Failure::Again(error.to_string()))?;
        let headers = call.headers_mut();
        headers.insert("x-amz-target", target);
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-amz-json-1.1"),
        );
        let signer = self.signer.as_ref();
        add_signature(&mut call, &body, self.service, signer, SystemTime::now())
            .map_err(Failure::Again)?;
        let reply = self.client.send(call).await.map_err(Failure::Again)?;
        let status = reply.status.as_u16();
        if reply.status.is_success() {
            // An operation without a result may have an answer without a body.
            return Ok(Ok(
                serde_json::from_slice(&reply.body).unwrap_or(Value::Null)
            ));
        }
        Ok(Err(error(status, &reply.body)))
    }
}

/// Spec: Smithy, "AWS JSON 1.1 protocol", operation error serialization.
fn error(status: u16, body: &[u8]) -> ApiError {
    let said: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let text = |names: [&str; 2]| {
        let found = names.iter().find_map(|name| said.get(name)?.as_str());
        found
            .unwrap_or_default()
            .chars()
            .take(300)
            .collect::<String>()
    };
    let code = text(["__type", "code"]);
    let code = code.rsplit('#').next().unwrap_or_default();
    let code = code.split(':').next().unwrap_or_default();
    ApiError {
        status,
        code: match code {
            "" => format!("answer {status}"),
            code => code.to_owned(),
        },
        message: text(["message", "Message"]),
    }
}
