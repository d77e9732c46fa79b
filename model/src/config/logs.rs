//! Who gets the access records.

use std::path::PathBuf;

use crate::{
    arn::Arn,
    id::{AccessLogSubscriptionId, ServiceId, ServiceNetworkId},
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
    /// Whose records.
    pub resource: LoggedResource,
    /// Where they go.
    pub destination: LogDestination,
    /// Which of them, and how they look.
    pub shape: LogShape,
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogDestination {
    /// JSON lines appended to a file.
    File(PathBuf),
    /// JSON lines on standard output.
    Stdout,
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
