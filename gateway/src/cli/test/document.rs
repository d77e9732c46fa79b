//! Files of tests, as written.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use schemars::JsonSchema;
use serde::Deserialize;
use trellis_model::{
    load::Source,
    problem::{Place, Problem},
};

/// Tests of a configuration: requests, and what is expected of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Document {
    /// The configuration: a file or a folder, relative to this file. `--config` takes its place.
    pub(super) config: Option<String>,
    /// Members of requests that say nothing else.
    #[serde(default)]
    pub(super) defaults: Defaults,
    /// The tests.
    pub(super) tests: Vec<Case>,
}

/// Members of requests that say nothing else.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Defaults {
    /// The caller's VPC: its name, id or ARN.
    pub(super) vpc: Option<String>,
    /// The HTTP version: `1.0`, `1.1` or `2`.
    pub(super) http: Option<Version>,
    /// The time at which requests arrive, `2026-01-31T12:00:00Z`.
    pub(super) at: Option<String>,
}

/// A request, and what is expected of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Case {
    /// What the test shows; names it in reports.
    pub(super) name: String,
    /// The request.
    pub(super) request: Request,
    /// What is expected of it. At least one member.
    pub(super) expect: Expect,
}

/// A request that nobody sends.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Request {
    /// The caller's VPC: its name, id or ARN. May be left out when there is only one.
    pub(super) vpc: Option<String>,
    /// The caller's address. Absent: one that belongs to the VPC.
    #[schemars(with = "Option<String>")]
    pub(super) from: Option<IpAddr>,
    /// The gateway's address that the caller connects to, which with `from` decides the VPC, as for a real connection.
    #[schemars(with = "Option<String>")]
    pub(super) to: Option<IpAddr>,
    /// The principal that signed: name of a user or role, ROLE/SESSION, or an ARN. Absent: whoever the signature in headers or URL
    /// says, nobody without one. A session need not have a key.
    pub(super) principal: Option<String>,
    /// Session tags of the principal, which is a session of a role then.
    #[serde(default)]
    pub(super) session_tags: BTreeMap<String, String>,
    /// The certificate that the client shows where the service asks for one: a file in PEM, relative to this file, the client's own
    /// first and then those of authorities between. It is verified as in a handshake at the time of the request.
    pub(super) client_certificate: Option<String>,
    /// Did nobody sign, whatever the headers say?
    #[serde(default)]
    pub(super) anonymous: bool,
    /// The method.
    #[serde(default = "get")]
    #[schemars(extend("default" = "GET"))]
    pub(super) method: String,
    /// The URL: host, port and TLS are taken from it.
    pub(super) url: String,
    /// Headers: a value, or a list of values for a header that is sent several times.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Values>,
    /// The HTTP version: `1.0`, `1.1` or `2`. Absent: 2 for https and for gRPC, else 1.1.
    pub(super) http: Option<Version>,
    /// The time at which the request arrives, `2026-01-31T12:00:00Z`. Absent: now.
    pub(super) at: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

/// One text or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Values {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Values {
    /// All of them.
    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }
}

/// An HTTP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum Version {
    /// HTTP/1.0.
    #[serde(rename = "1.0")]
    Http10,
    /// HTTP/1.1.
    #[serde(rename = "1.1")]
    Http11,
    /// HTTP/2.
    #[serde(rename = "2")]
    Http2,
}

/// What is expected of a request.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Expect {
    /// What the policies say.
    pub(super) decision: Option<Decision>,
    /// What the policies would say if those in audit were enforced and candidates active.
    pub(super) candidate: Option<Decision>,
    /// How the request ends.
    pub(super) outcome: Option<End>,
    /// The status of the gateway's own answer: of a refusal, or of a fixed response.
    pub(super) status: Option<u16>,
    /// The name of the service that it is for.
    pub(super) service: Option<String>,
    /// The name of the rule that applies, `default` for the default rule.
    pub(super) rule: Option<String>,
    /// The names of the target groups that it may be forwarded to: all that have a weight.
    pub(super) target_group: Option<Values>,
    /// The layer that refuses.
    pub(super) refused_by: Option<LayerName>,
    /// The statement that decides in one of the layers, or in the layer that refuses: its `Sid` (Cedar: its `@id`), or its position,
    /// counted from one.
    pub(super) statement: Option<String>,
}

impl Expect {
    /// Does it expect anything?
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            decision,
            candidate,
            outcome,
            status,
            service,
            rule,
            target_group,
            refused_by,
            statement,
        } = self;
        decision.is_none()
            && candidate.is_none()
            && outcome.is_none()
            && status.is_none()
            && service.is_none()
            && rule.is_none()
            && target_group.is_none()
            && refused_by.is_none()
            && statement.is_none()
    }
}

/// What policies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum Decision {
    /// The request may pass.
    Allow,
    /// It may not.
    Deny,
}

impl Decision {
    /// As written.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum End {
    /// It is forwarded to a target.
    Forwarded,
    /// The gateway answers with the fixed response of a rule.
    FixedResponse,
    /// The gateway refuses it.
    Refused,
    /// There is no answer.
    Unanswered,
}

impl End {
    /// As written.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::FixedResponse => "fixedResponse",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
        }
    }
}

/// A layer of policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum LayerName {
    /// The auth policy of the service network.
    Network,
    /// The auth policy of the service.
    Service,
    /// The policies of the caller.
    Identity,
    /// The permissions boundary of the caller.
    Boundary,
    /// The policies that came with the caller's session.
    Session,
}

impl LayerName {
    /// As written.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Service => "service",
            Self::Identity => "identity",
            Self::Boundary => "boundary",
            Self::Session => "session",
        }
    }
}

/// The JSON Schema of files of tests.
pub(in crate::cli) fn schema() -> serde_json::Value {
    trellis_model::schema::schema_of::<Document>()
}

/// Reads a file of tests.
pub(super) fn read(source: &Source) -> Result<Document, Problem> {
    let place = |line: Option<u32>| Place {
        file: Some(Arc::new(source.path.clone())),
        line,
        ..Place::default()
    };
    let text = source
        .text
        .as_ref()
        .map_err(|reason| Problem::error(place(None), format!("cannot be read: {reason}")))?;
    let wrong = |line: Option<u64>, message: String| {
        let line = line.and_then(|line| u32::try_from(line).ok());
        let message = message.lines().next().unwrap_or_default().to_owned();
        Problem::error(place(line), message)
            .hint("`trellis schema --tests` says what a file of tests holds")
    };
    let json = source
        .path
        .extension()
        .is_some_and(|extension| extension == "json");
    if json {
        return serde_json::from_str(text).map_err(|error| {
            let line = u64::try_from(error.line()).ok();
            wrong(line, error.to_string())
        });
    }
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let line = error.location().map(|location| location.line());
        wrong(line, error.to_string())
    })
}

/// YAML 1.2, with bounds that no file of tests reaches.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 4 << 20,
            max_nodes: 4 << 20,
            max_depth: 32,
            max_documents: 1,
        },
        emit_comments: false,
        strict_booleans: true,
        with_snippet: false,
    }
}
