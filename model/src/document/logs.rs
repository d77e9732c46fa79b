//! Subscriptions to access records, and the way from the gateway to log storage.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{AwsCredentials, SecretSource, object::objects, unique_keys};
use crate::ranges;

/// A subscription to the access records of a service network or a service. It has a `destinationArn` or a `destination`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessLogSubscription {
    /// Name, id or ARN of the service network or service. A name that both have means the service network.
    pub resource_identifier: String,
    /// ARN of a bucket of S3, perhaps with a prefix, of a log group of CloudWatch Logs or of a delivery stream of Data Firehose.
    /// `gateway.logStorage` says where these are.
    #[schemars(length(min = *ranges::DESTINATION_ARN.start(), max = *ranges::DESTINATION_ARN.end()))]
    pub destination_arn: Option<String>,
    /// Trellis: where the records go, when that is not something with an ARN.
    pub destination: Option<LogDestination>,
    /// Trellis: the fields that a record in JSON has, by name, in the order of the record; `trellis` for all of that object. Absent: every
    /// field.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Trellis: what records do not show.
    #[serde(default)]
    pub redact: LogRedaction,
    /// Trellis: leaves out some of the requests that nothing was wrong with. What was refused or failed is always recorded.
    #[serde(default)]
    pub sampling: LogSampling,
    /// Trellis: how a record looks. Absent: JSON with VPC Lattice's names.
    pub format: Option<LogFormat>,
    /// Trellis: what happens when records for log storage cannot be accepted, because the spool's budget is used up or the disk takes
    /// nothing.
    #[schemars(extend("default" = "DROP_OLDEST"))]
    pub when_full: Option<WhenFull>,
    /// Trellis: with `BLOCK`, how long a request waits at most, in seconds.
    #[schemars(range(min = *ranges::LOG_BLOCK.start(), max = *ranges::LOG_BLOCK.end()), extend("default" = 5))]
    pub block_seconds: Option<i64>,
    /// Trellis: most MiB of the spool that this subscription may use.
    #[schemars(range(min = *ranges::SPOOL_MEGABYTES.start(), max = *ranges::SPOOL_MEGABYTES.end()), extend("default" = 1024))]
    pub spool_megabytes: Option<i64>,
    /// Trellis: how long a record waits for others to be sent to log storage with, in seconds; 0 for as soon as can be. Absent: 300 for
    /// S3, 2 for all others.
    #[schemars(range(min = *ranges::LOG_BATCH_SECONDS.start(), max = *ranges::LOG_BATCH_SECONDS.end()))]
    pub batch_seconds: Option<i64>,
    /// Trellis: most MiB of records, before compression, in one object of S3.
    #[schemars(range(min = *ranges::LOG_BATCH_MEGABYTES.start(), max = *ranges::LOG_BATCH_MEGABYTES.end()), extend("default" = 256))]
    pub batch_megabytes: Option<i64>,
}

/// What access records do not show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct LogRedaction {
    /// Names of fields that hold texts or addresses; `[redacted]` stands in their place.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Beginnings of paths, such as `/customers/*/cards/*`: in paths that begin like one of them, `*` stands in the place of each
    /// segment that is `*` here. Escapes and case make no difference, and a path that can be read in several ways is hidden whole.
    #[serde(default)]
    pub paths: Vec<String>,
}

/// Which requests leave no access record: of those that nothing was wrong with, all but one in so many, at random.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct LogSampling {
    /// One in so many of those answered below 500. Absent: all of them.
    #[schemars(range(min = *ranges::LOG_SAMPLING.start(), max = *ranges::LOG_SAMPLING.end()))]
    pub one_in: Option<i64>,
    /// One in so many of those answered below 300, instead.
    #[serde(rename = "oneIn2xx")]
    #[schemars(range(min = *ranges::LOG_SAMPLING.start(), max = *ranges::LOG_SAMPLING.end()))]
    pub one_in_2xx: Option<i64>,
    /// One in so many of those answered 3xx, instead.
    #[serde(rename = "oneIn3xx")]
    #[schemars(range(min = *ranges::LOG_SAMPLING.start(), max = *ranges::LOG_SAMPLING.end()))]
    pub one_in_3xx: Option<i64>,
    /// One in so many of those answered 4xx by their targets or by rules, instead.
    #[serde(rename = "oneIn4xx")]
    #[schemars(range(min = *ranges::LOG_SAMPLING.start(), max = *ranges::LOG_SAMPLING.end()))]
    pub one_in_4xx: Option<i64>,
}

/// How access records look, as in App Mesh: `{text: "%START_TIME% %REQ(:METHOD)% %RESPONSE_CODE%"}`, or `{json: [{key: status, value: "%RESPONSE_CODE%"}]}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// Lines of text with Envoy's command operators; `default` is Envoy's own format.
    Text(String),
    /// Objects with these members.
    Json(Vec<LogMember>),
}

/// A member of an access record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct LogMember {
    /// Its name.
    pub key: String,
    /// Its value, a text with Envoy's command operators.
    pub value: String,
}

/// Where access records go: `{file: ./access.jsonl}` appends JSON lines to a file, `stdout` prints them; all others are log storage,
/// which records reach by way of the spool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogDestination {
    /// Path of a file that JSON lines are appended to. It is made again when it was renamed or removed.
    File(String),
    /// A file that is renamed and begun anew by size and age.
    RotatingFile(RotatingFile),
    /// JSON lines on standard output.
    Stdout,
    /// A bucket of S3 or of what speaks its protocol, as with a `destinationArn`, and how objects are compressed.
    S3(S3Destination),
    /// An OpenTelemetry collector: OTLP over HTTP, in protobuf.
    Otlp(OtlpDestination),
    /// Grafana Loki.
    Loki(Loki),
}

/// A file that JSON lines are appended to, renamed to `path.1` and begun anew by size and age; older ones move on to `path.2` and so on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct RotatingFile {
    /// Path of the file.
    pub path: String,
    /// Size from which on the file is begun anew, in MiB.
    #[schemars(range(min = *ranges::ROTATION_MEGABYTES.start(), max = *ranges::ROTATION_MEGABYTES.end()), extend("default" = 100))]
    pub megabytes: Option<i64>,
    /// Age from which on the file is begun anew, in hours. Absent: whatever its age.
    #[schemars(range(min = *ranges::ROTATION_HOURS.start(), max = *ranges::ROTATION_HOURS.end()))]
    pub hours: Option<i64>,
    /// Old files that stay.
    #[schemars(range(min = *ranges::ROTATION_KEEP.start(), max = *ranges::ROTATION_KEEP.end()), extend("default" = 5))]
    pub keep: Option<i64>,
}

/// A bucket of S3 or of what speaks its protocol; `gateway.logStorage.s3` says where it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct S3Destination {
    /// Name of the bucket.
    pub bucket: String,
    /// What the keys of objects begin with, before `AWSLogs/`. Absent: nothing.
    pub prefix: Option<String>,
    /// How objects are compressed.
    #[schemars(extend("default" = "GZIP"))]
    pub compression: Option<Compression>,
}

/// How objects are compressed: `GZIP` as VPC Lattice does it, with keys that end in `.json.gz`, or `ZSTD`, with `.json.zst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Compression {
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Gzip,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Zstd,
}

/// An OpenTelemetry collector.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct OtlpDestination {
    /// Its address, such as `http://127.0.0.1:4318`. Without a path, records are posted to `/v1/logs`.
    pub endpoint: String,
    /// PEM file of the authorities that its certificate is verified with. Absent: those of the system.
    pub ca_file: Option<String>,
    /// Where the token is that requests carry in `Authorization: Bearer`. Absent: they carry none.
    pub bearer_token: Option<SecretSource>,
}

/// Grafana Loki.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Loki {
    /// Its address, such as `http://127.0.0.1:3100`. Without a path, records are posted to `/loki/api/v1/push`.
    pub endpoint: String,
    /// PEM file of the authorities that its certificate is verified with. Absent: those of the system.
    pub ca_file: Option<String>,
    /// The tenant, sent as `X-Scope-OrgID`. Absent: none is sent.
    pub tenant: Option<String>,
    /// Where the token is that requests carry in `Authorization: Bearer`. Absent: they carry none.
    pub bearer_token: Option<SecretSource>,
    /// Labels of the stream, besides `job="trellis"`, `resource` and `subscription`, which the gateway gives it.
    #[serde(default, deserialize_with = "unique_keys")]
    pub labels: BTreeMap<String, String>,
}

/// What happens when records for log storage cannot be accepted. `DROP_OLDEST` drops the oldest that were not shipped, `DROP_NEW` the
/// new ones. `BLOCK` lets requests wait for room before they are decided, up to `blockSeconds`; those that come through nevertheless are
/// served, and their records are dropped. `REFUSE` answers requests with 503 until records are accepted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WhenFull {
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    DropOldest,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    DropNew,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Block,
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Refuse,
}

/// Where the log storage behind a `destinationArn` is, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct LogStorage {
    /// S3, or what speaks its protocol.
    pub s3: Option<S3Api>,
    /// CloudWatch Logs.
    pub cloud_watch_logs: Option<CloudWatchLogsApi>,
    /// Data Firehose.
    pub firehose: Option<FirehoseApi>,
}

/// S3, or what speaks its protocol.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct S3Api {
    /// Address, such as `http://127.0.0.1:8333`. Absent: `https://s3.<region>.amazonaws.com`.
    pub endpoint: Option<String>,
    /// PEM file of the authorities that the endpoint's certificate is verified with. Absent: those of the system.
    pub ca_file: Option<String>,
    /// Region of signatures. Absent: the region of the configuration.
    pub region: Option<String>,
    /// What requests are signed with. Absent: they are not signed; only allowed with an `endpoint`.
    pub credentials: Option<AwsCredentials>,
    /// Is the bucket a part of the path? Absent: of the host's name with AWS, of the path with an `endpoint`.
    pub path_style: Option<bool>,
}

/// CloudWatch Logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct CloudWatchLogsApi {
    /// Address, such as `http://127.0.0.1:5000`. Absent: `https://logs.<region>.amazonaws.com`.
    pub endpoint: Option<String>,
    /// PEM file of the authorities that the endpoint's certificate is verified with. Absent: those of the system.
    pub ca_file: Option<String>,
    /// Region of signatures. Absent: the region of the configuration.
    pub region: Option<String>,
    /// What requests are signed with. Absent: they are not signed; only allowed with an `endpoint`.
    pub credentials: Option<AwsCredentials>,
    /// Are log groups created that are not there? Log streams always are.
    #[serde(default)]
    pub create_log_groups: bool,
}

/// Data Firehose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct FirehoseApi {
    /// Address, such as `http://127.0.0.1:5000`. Absent: `https://firehose.<region>.amazonaws.com`.
    pub endpoint: Option<String>,
    /// PEM file of the authorities that the endpoint's certificate is verified with. Absent: those of the system.
    pub ca_file: Option<String>,
    /// Region of signatures. Absent: the region of the configuration.
    pub region: Option<String>,
    /// What requests are signed with. Absent: they are not signed; only allowed with an `endpoint`.
    pub credentials: Option<AwsCredentials>,
}

/// The spool that access records wait in for log storage, in the folder `spool` of `dataDir`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct Spool {
    /// Most MiB of all subscriptions together, dead letters included.
    #[schemars(range(min = *ranges::SPOOL_MEGABYTES.start(), max = *ranges::SPOOL_MEGABYTES.end()), extend("default" = 8192))]
    pub megabytes: Option<i64>,
    /// Time between two requests to the disk to make written records permanent (`fdatasync`), in milliseconds; 0 for one with every
    /// write.
    #[schemars(range(min = *ranges::SPOOL_SYNC.start(), max = *ranges::SPOOL_SYNC.end()), extend("default" = 1000))]
    pub sync_milliseconds: Option<i64>,
    /// How long records stay that were shipped, for `trellis logs ship`, in minutes. They make room for new ones before that.
    #[schemars(range(min = *ranges::SPOOL_KEEP.start(), max = *ranges::SPOOL_KEEP.end()), extend("default" = 60))]
    pub keep_shipped_minutes: Option<i64>,
    /// Most MiB of dead letters of one subscription: records that log storage refused for good. The oldest make room.
    #[schemars(range(min = *ranges::DEAD_LETTER_MEGABYTES.start(), max = *ranges::DEAD_LETTER_MEGABYTES.end()), extend("default" = 64))]
    pub dead_letter_megabytes: Option<i64>,
}

objects!(
    AccessLogSubscription,
    LogRedaction,
    LogSampling,
    LogMember,
    RotatingFile,
    S3Destination,
    OtlpDestination,
    Loki,
    LogStorage,
    S3Api,
    CloudWatchLogsApi,
    FirehoseApi,
    Spool
);
