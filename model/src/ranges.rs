//! Ranges and lengths of the values in documents, each in one place: the schema shows them and the loader checks them.
//!
//! Source where nothing else is said: VPC Lattice API model.

use std::ops::RangeInclusive;

/// A range of whole numbers.
pub type Range = RangeInclusive<i64>;
/// A range of lengths, in characters.
pub type Lengths = RangeInclusive<usize>;

/// TCP and UDP ports.
pub const PORT: Range = 1..=65_535;
/// Port of a health check: zero means the port on which the target receives traffic.
pub const HEALTH_CHECK_PORT: Range = 0..=65_535;
/// One in so many requests leaves an access record.
pub const LOG_SAMPLING: Range = 1..=1_000_000;
/// Rule priorities.
pub const PRIORITY: Range = 1..=2000;
/// Weights of target groups.
pub const WEIGHT: Range = 0..=999;
/// Idle timeout of a service, in seconds.
pub const IDLE_TIMEOUT: Range = 60..=600;
/// Idle timeout of a service beyond what VPC Lattice offers, in seconds: up to a week, zero for none.
pub const LONG_IDLE_TIMEOUT: Range = 0..=604_800;
/// Time between two probes, in seconds; zero means the default, which the loader accepts besides this range.
pub const PROBE_INTERVAL: Range = 5..=300;
/// Longest wait for the answer to a probe, in seconds; zero means the default.
pub const PROBE_TIMEOUT: Range = 1..=120;
/// Time between two probes where it is given in milliseconds. The lower end is ours; App Mesh begins at 5 000.
pub const PROBE_INTERVAL_MILLIS: Range = 100..=300_000;
/// Longest wait for the answer to a probe where it is given in milliseconds. The lower end is ours; App Mesh begins at 2 000.
pub const PROBE_TIMEOUT_MILLIS: Range = 10..=120_000;
/// Probes in a row that change a target's status; zero means the default.
pub const PROBE_THRESHOLD: Range = 2..=10;
/// Status codes that may count as success of a probe.
pub const SUCCESS_CODES: RangeInclusive<u16> = 200..=499;

/// Length of a service network's name.
pub const SERVICE_NETWORK_NAME: Lengths = 3..=63;
/// Length of a service's name.
pub const SERVICE_NAME: Lengths = 3..=40;
/// Length of a listener's name.
pub const LISTENER_NAME: Lengths = 3..=63;
/// Length of a rule's name.
pub const RULE_NAME: Lengths = 3..=63;
/// Length of a target group's name.
pub const TARGET_GROUP_NAME: Lengths = 3..=128;
/// Length of a VPC's name. Ours: on AWS it is only a tag.
pub const VPC_NAME: Lengths = 1..=63;
/// Length of a custom domain name.
pub const CUSTOM_DOMAIN: Lengths = 3..=255;
/// Length of a method in a rule.
pub const METHOD: Lengths = 0..=16;
/// Length of a path in a rule.
pub const PATH: Lengths = 1..=200;
/// Length of a header's name in a rule.
pub const HEADER_NAME: Lengths = 1..=100;
/// Length of a header's value in a rule.
pub const HEADER_VALUE: Lengths = 1..=200;
/// Length of a target's id.
pub const TARGET_ID: Lengths = 1..=200;
/// Length of a health check's path.
pub const PROBE_PATH: Lengths = 1..=2048;
/// Length of a service's name in gRPC health checks. Ours.
pub const GRPC_SERVICE: Lengths = 1..=255;
/// Length of what the body of an answer to a probe must say, in bytes. Ours.
pub const PROBE_BODY: Lengths = 1..=1024;
/// Length of a health check's matcher.
pub const MATCHER: Lengths = 1..=2000;
/// Length of the name of a user or role. Source: IAM API reference, `CreateUser` and `CreateRole`.
pub const PRINCIPAL_NAME: Lengths = 1..=64;
/// Length of the name of a role's session. Source: STS API reference, `AssumeRole`.
pub const SESSION_NAME: Lengths = 2..=64;
/// Longest life of a role's sessions, in seconds. Source: IAM API reference, `CreateRole`, `MaxSessionDuration`.
pub const SESSION_DURATION: Range = 3600..=43_200;
/// Length of the name of a key that seals session tokens.
pub const SESSION_KEY_ID: Lengths = 1..=64;
/// Fewest characters of a secret that such a key is made of: 128 bits even if they are hex digits.
pub const SESSION_KEY_SECRET: usize = 32;
/// Length of an access key's id. IAM's keys have 16 to 128 characters; shorter ones are handy in examples and tests.
pub const ACCESS_KEY_ID: Lengths = 1..=128;
/// Length of a tag's key.
pub const TAG_KEY: Lengths = 1..=128;
/// Length of a tag's value.
pub const TAG_VALUE: Lengths = 0..=256;

/// Weights of targets. Ours; the upper end lets one target get a thousand times what another gets.
pub const TARGET_WEIGHT: Range = 1..=1000;
/// Length of a zone's name. Ours.
pub const ZONE: Lengths = 1..=63;
/// Shares in percent.
pub const PERCENT: Range = 0..=100;
/// Share of healthy targets in the own zone below which requests spill over, in percent.
pub const SPILL_OVER: Range = 1..=100;
/// Time over which the share of a target grows, in seconds. Source of the shape: Elastic Load Balancing, slow start.
pub const SLOW_START: Range = 1..=3600;
/// Life of a stickiness cookie, in seconds. Source: Elastic Load Balancing, `stickiness.lb_cookie.duration_seconds`.
pub const STICKINESS: Range = 1..=604_800;
/// Length of a cookie's or header's name in balancing. Ours.
pub const COOKIE_NAME: Lengths = 1..=100;
/// Fewest characters of the secret that stickiness cookies are made with: 128 bits even if they are hex digits.
pub const STICKINESS_SECRET: usize = 32;
/// Failures in a row that eject a target. Source of the lower end: App Mesh, `OutlierDetection`.
pub const OUTLIER_FAILURES: Range = 1..=2_147_483_647;
/// Time between two sweeps of outlier detection, in milliseconds. Ours.
pub const OUTLIER_INTERVAL: Range = 100..=3_600_000;
/// Length of the first ejection of a target, in milliseconds. Ours.
pub const EJECTION: Range = 100..=86_400_000;

/// Length of a name that the certificate of a target may be for.
pub const ALTERNATIVE_NAME: Lengths = 1..=255;
/// Most such names of a target group. Ours.
pub const ALTERNATIVE_NAMES: usize = 100;

/// Most header conditions in a rule.
pub const HEADER_MATCHES: usize = 5;
/// Most target groups in a forward action.
pub const FORWARD_GROUPS: usize = 10;
/// A quota of the control API. Ours: lists and transactions stay bounded.
pub const QUOTA: Range = 1..=1_000_000;
/// Most tags of a resource. Source: VPC Lattice user guide, "Quotas".
pub const TAGS: usize = 50;
/// Most bytes of an auth policy in IAM JSON, white space outside texts not counted. The upper end is the API model's `max` of
/// `AuthPolicyString`.
pub const AUTH_POLICY_BYTES: Range = 1024..=102_400;

/// Times of requests, in milliseconds, zero for no limit: up to ten years.
pub const MILLIS_OR_NONE: Range = 0..=315_360_000_000;
/// Attempts at a request after the first.
pub const RETRIES: Range = 0..=100;
/// Statuses after which a request may be tried again.
pub const RETRY_STATUS: Range = 400..=599;
/// Most of them.
pub const RETRY_STATUSES: usize = 32;
/// Waits before another attempt, in milliseconds.
pub const BACK_OFF: Range = 1..=60_000;
/// Requests that may be tried again at the same time in any case.
pub const RETRY_CONCURRENCY: Range = 0..=100_000;
/// Time after which a second attempt begins beside the first, in milliseconds.
pub const HEDGE_DELAY: Range = 1..=3_600_000;

/// Requests or connections that a target may have at a time. Source: App Mesh API reference, `VirtualNodeConnectionPool`.
pub const POOL: Range = 1..=2_147_483_647;
/// Requests that may wait for a place at a target, zero for none.
pub const PENDING: Range = 0..=2_147_483_647;

/// Streams on one HTTP/2 connection to a target.
pub const STREAMS: Range = 1..=10_000;
/// How long a connection to a target is kept without a request, in seconds; zero for not at all.
pub const KEEP_ALIVE: Range = 0..=604_800;

/// Largest header block of a request, in bytes. The upper end is what the HTTP engine takes.
pub const HEADER_BYTES: Range = 1024..=1_048_575;
/// Most header fields of a request. The upper end is what the HTTP engine takes.
pub const HEADERS: Range = 1..=256;
/// Times of the gateway that may be switched off with zero, in seconds: up to a week.
pub const TIME_OR_NONE: Range = 0..=604_800;
/// Deadlines of the gateway, in seconds.
pub const DEADLINE: Range = 1..=3600;
/// Most open client connections.
pub const CONNECTIONS: Range = 1..=10_000_000;
/// Most open connections of one client or of one VPC; zero for no limit.
pub const CONNECTIONS_OR_NONE: Range = 0..=10_000_000;
/// Most connections to targets kept open between requests. Not zero: the engine's pool bounds nothing then.
pub const IDLE_TARGET_CONNECTIONS: Range = 1..=10_000_000;
/// Grace period of a stop, in seconds.
pub const STOP_GRACE: Range = 0..=86_400;
/// Allowed difference between clocks, in seconds.
pub const CLOCK_SKEW: Range = 0..=3600;
/// Time between two readings of an identity provider's keys, in seconds. A day is what issuers announce new keys ahead of using them.
pub const KEY_REFRESH: Range = 10..=86_400;
/// Time to live of DNS answers, in seconds.
pub const TTL: Range = 0..=86_400;
/// Bounds of the time for which the addresses of a name count, in seconds. Zero would have the gateway ask without pause.
pub const DISCOVERY_TTL: Range = 1..=86_400;
/// Longest wait for the addresses of a name, in milliseconds.
pub const DISCOVERY_TIMEOUT: Range = 100..=30_000;
/// Most DNS servers that are asked about one name.
pub const RESOLVERS: usize = 8;
/// Longest wait for a function's answer, in seconds: as long as functions may run. Source: AWS Lambda developer guide, "Quotas".
pub const FUNCTION_TIMEOUT: Range = 1..=900;
/// Most requests that are with one function at a time.
pub const INVOCATIONS: Range = 1..=100_000;
/// Length of the address of a function's endpoint.
pub const FUNCTION_ENDPOINT: Lengths = 1..=2048;
/// Time between two exports of metrics, in seconds; zero for none.
pub const METRICS_INTERVAL: Range = 0..=86_400;
/// Longest wait for the answer to an export, in seconds.
pub const EXPORT_TIMEOUT: Range = 1..=300;
/// One of so many requests is traced; zero for none.
pub const SAMPLE_ONE_IN: Range = 0..=1_000_000_000;
/// How long a request takes that is kept for it, in milliseconds.
pub const SLOW_MILLIS: Range = 1..=3_600_000;
/// Worker threads.
pub const WORKERS: Range = 1..=1024;
/// Length of a destination's ARN. Source: VPC Lattice API reference, `CreateAccessLogSubscription`.
pub const DESTINATION_ARN: Lengths = 20..=2048;
/// Length of a prefix of keys. S3 takes keys of 1024 bytes; what follows the prefix takes up to 300.
pub const S3_PREFIX: Lengths = 0..=512;
/// How long a request waits for room in the spool, in seconds. A minute is the idle timeout of most clients.
pub const LOG_BLOCK: Range = 1..=60;
/// Size of a spool, in MiB: segments are an eighth of it, and one holds the largest record 4 times.
pub const SPOOL_MEGABYTES: Range = 8..=16_777_216;
/// How long records wait for others, in seconds.
pub const LOG_BATCH_SECONDS: Range = 0..=3600;
/// Records in an object, in MiB.
pub const LOG_BATCH_MEGABYTES: Range = 1..=4096;
/// Time between two requests to make records permanent, in milliseconds.
pub const SPOOL_SYNC: Range = 0..=60_000;
/// How long shipped records stay, in minutes: a month at most.
pub const SPOOL_KEEP: Range = 0..=43_200;
/// Dead letters, in MiB.
pub const DEAD_LETTER_MEGABYTES: Range = 1..=65_536;
/// Size of a rotating file, in MiB.
pub const ROTATION_MEGABYTES: Range = 1..=1_048_576;
/// Age of a rotating file, in hours: a year at most.
pub const ROTATION_HOURS: Range = 1..=8760;
/// Old files of a rotating file.
pub const ROTATION_KEEP: Range = 0..=1000;
