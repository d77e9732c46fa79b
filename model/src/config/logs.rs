//! Who gets the access records, and how.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{Hash, Hasher},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use super::{AwsSigner, HttpEndpoint, Secret};
use crate::{
    arn::Arn,
    id::{AccessLogSubscriptionId, ServiceId, ServiceNetworkId},
    name::AccountId,
    problem::Place,
    record::{FieldSet, PathPattern, Sampling, template::Template},
};

/// A subscription to the access records of a service network or service.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessLogSubscription {
    /// Its id.
    pub id: AccessLogSubscriptionId,
    /// Its ARN.
    pub arn: Arn,
    /// Its owner.
    pub account: AccountId,
    /// Whose records.
    pub resource: LoggedResource,
    /// Where they go.
    pub destination: LogDestination,
    /// Which of them, and how they look.
    pub shape: LogShape,
    /// How they get there; of no effect for files and standard output.
    pub delivery: Delivery,
    /// Where the subscription was written, for problems that show when the destination is opened.
    pub place: Place,
}

/// What a subscription listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoggedResource {
    /// All requests that came through a network.
    ServiceNetwork(ServiceNetworkId),
    /// All requests to a service.
    Service(ServiceId),
}

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LogDestination {
    /// JSON lines appended to a file.
    File(PathBuf),
    /// The same, to a file that is renamed and begun anew now and then.
    RotatingFile(PathBuf, Rotation),
    /// JSON lines on standard output.
    Stdout,
    /// Log storage that is reached over the network, by way of a spool on disk.
    Store(Arc<LogStore>),
}

/// When a file is begun anew, and how many old ones stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rotation {
    /// Size from which on it is. Default 100 MiB.
    pub bytes: u64,
    /// Age from which on it is, if age counts.
    pub age: Option<Duration>,
    /// Old files that stay. Default 5.
    pub keep: u16,
}

/// Log storage that is reached over the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStore {
    /// The destination for those who look at it: an ARN, or kind and address.
    pub name: Box<str>,
    /// The server that is called.
    pub endpoint: HttpEndpoint,
    /// What is spoken to it.
    pub kind: LogStoreKind,
}

impl Hash for LogStore {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Display for LogDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::RotatingFile(path, _) => write!(f, "`{}`", path.display()),
            Self::Stdout => f.write_str("standard output"),
            Self::Store(store) => write!(f, "`{}`", store.name),
        }
    }
}

/// Kinds of log storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogStoreKind {
    /// Objects in a bucket of S3, or of what speaks its protocol.
    S3 {
        /// The bucket.
        bucket: Box<str>,
        /// What the keys of all objects begin with; empty, or ends in `/`.
        prefix: Box<str>,
        /// Is the bucket a part of the path, rather than of the host's name?
        path_style: bool,
        /// How objects are compressed. Default gzip.
        compression: Compression,
        /// What requests are signed with.
        signer: Option<AwsSigner>,
    },
    /// Events in a log group of CloudWatch Logs.
    CloudWatchLogs {
        /// The log group.
        group: Box<str>,
        /// Is it created when it is not there? Default no.
        create_group: bool,
        /// What requests are signed with.
        signer: Option<AwsSigner>,
    },
    /// A delivery stream of Data Firehose.
    Firehose {
        /// The stream.
        stream: Box<str>,
        /// What requests are signed with.
        signer: Option<AwsSigner>,
    },
    /// An OpenTelemetry collector, over HTTP.
    Otlp {
        /// What requests show to be let in.
        bearer: Option<Secret>,
    },
    /// Grafana Loki.
    Loki {
        /// The tenant, where Loki has more than one.
        tenant: Option<Box<str>>,
        /// Labels of the stream, besides those that the gateway gives it.
        labels: BTreeMap<String, String>,
        /// What requests show to be let in.
        bearer: Option<Secret>,
    },
}

/// How objects are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// As VPC Lattice does it.
    Gzip,
    /// Smaller and faster.
    Zstd,
}

/// How records get from the spool to log storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What happens when records cannot be accepted. Default: the oldest are dropped.
    pub when_full: WhenFull,
    /// Most bytes of its spool, shipped records that are still kept included. Default 1 GiB.
    pub spool_bytes: u64,
    /// Longest time that a record waits for others to be sent with.
    pub batch: Duration,
    /// Bytes of records from which on they wait no longer; no more go into one object or call.
    pub batch_bytes: u64,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            when_full: WhenFull::DropOldest,
            spool_bytes: 1 << 30,
            batch: Duration::from_secs(2),
            batch_bytes: 256 << 20,
        }
    }
}

/// What happens when records cannot be accepted: the disk budget is used up, or the disk takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// The oldest records that have not been shipped make room.
    DropOldest,
    /// New records are dropped.
    DropNew,
    /// Requests wait for room, this long at most; then their records are dropped.
    Block(Duration),
    /// Requests are refused.
    Refuse,
}

/// The spool that all subscriptions with log storage share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolSettings {
    /// Most bytes of all spools together, dead letters included. Default 8 GiB.
    pub bytes: u64,
    /// Time between two requests to the disk to make records permanent; none: with every write. Default 1 s.
    pub sync: Duration,
    /// How long shipped records stay, to be shipped again. Default 1 h.
    pub keep: Duration,
    /// Most bytes of dead letters of one subscription. Default 64 MiB.
    pub dead_letter_bytes: u64,
}

/// Which records a subscription gets, and how they look.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogShape {
    /// What is written of a record, and how.
    pub layout: LogLayout,
    /// Fields whose values are not shown.
    pub hidden: FieldSet,
    /// Segments of paths that are not shown.
    pub hidden_paths: Box<[PathPattern]>,
    /// Which records are left out.
    pub sampling: Sampling,
}

impl Default for LogShape {
    /// Everything, in JSON with VPC Lattice's names.
    fn default() -> Self {
        Self {
            layout: LogLayout::Fields(FieldSet::ALL),
            hidden: FieldSet::NONE,
            hidden_paths: Box::default(),
            sampling: Sampling::NONE,
        }
    }
}

/// What is written of a record, and how.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LogLayout {
    /// JSON with these fields, in the order of the record.
    Fields(FieldSet),
    /// A line of text.
    Text(Template),
    /// JSON with these members, whose values are texts.
    Members(Box<[(Box<str>, Template)]>),
}
