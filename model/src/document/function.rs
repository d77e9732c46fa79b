//! How functions are called: the Invoke API for the gateway as a whole, and what a target group says otherwise.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{SecretSource, object::objects};
use crate::ranges;

/// The Lambda Invoke API that functions are called through, unless a target group says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct FunctionApi {
    /// Address of the API, such as `http://127.0.0.1:4566` for a local emulator. Absent: `https://lambda.<region>.amazonaws.com`.
    pub endpoint: Option<String>,
    /// PEM file of the authorities that the endpoint's certificate is verified with. Absent: those of the system.
    pub ca_file: Option<String>,
    /// Region of signatures. Absent: the region of the configuration.
    pub region: Option<String>,
    /// What requests are signed with. Absent: they are not signed, which AWS refuses and emulators accept.
    pub credentials: Option<AwsCredentials>,
    /// How the API is told which function is meant.
    #[schemars(extend("default" = "ARN"))]
    pub names: Option<FunctionNames>,
}

/// What requests to an API of AWS, or to something like it, are signed with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct AwsCredentials {
    /// Public part of an access key.
    #[schemars(length(min = *ranges::ACCESS_KEY_ID.start(), max = *ranges::ACCESS_KEY_ID.end()))]
    pub access_key_id: String,
    /// Where its secret part is.
    pub secret_access_key: SecretSource,
    /// Where the session token is, for temporary credentials.
    pub session_token: Option<SecretSource>,
}

/// How the Invoke API is told which function is meant: by its whole ARN, or by its name alone, which is all that some emulators
/// understand. A name says nothing of the account, so it is for endpoints that serve one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum FunctionNames {
    #[default]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Arn,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Name,
}

/// How the function of a target group is called. With an `endpoint` or `credentials` of its own, a group uses nothing of `gateway.functions`
/// in their place: what the gateway signs with never goes to an address that a group names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct FunctionCall {
    /// What is spoken to the endpoint.
    #[schemars(extend("default" = "INVOKE"))]
    pub mode: Option<FunctionMode>,
    /// With `INVOKE`, address of the Lambda Invoke API. With `EVENT`, where events are posted, path included.
    pub endpoint: Option<String>,
    /// PEM file of the authorities that the endpoint's certificate is verified with. Absent: those of the system.
    pub ca_file: Option<String>,
    /// Region of signatures. Absent: that of `gateway.functions`.
    pub region: Option<String>,
    /// What requests are signed with. Absent: the credentials of `gateway.functions`, unless the group has an `endpoint` of its own.
    pub credentials: Option<AwsCredentials>,
    /// How the API is told which function is meant. Absent: as in `gateway.functions`.
    pub names: Option<FunctionNames>,
    /// Longest wait for the function's whole answer, in seconds. Absent: the idle timeout of the service.
    #[schemars(range(min = *ranges::FUNCTION_TIMEOUT.start(), max = *ranges::FUNCTION_TIMEOUT.end()))]
    pub timeout_seconds: Option<i64>,
    /// Most requests that are with the function at a time; further ones are answered 503.
    #[schemars(range(min = *ranges::INVOCATIONS.start(), max = *ranges::INVOCATIONS.end()), extend("default" = 1000))]
    pub max_concurrent_invocations: Option<i64>,
}

/// What is spoken to a function's endpoint: `INVOKE` is the Lambda Invoke API, `EVENT` posts the event to any HTTP server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum FunctionMode {
    #[default]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Invoke,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Event,
}

objects!(FunctionApi, AwsCredentials, FunctionCall);
