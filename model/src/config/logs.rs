//! Who gets the access records.

use std::path::PathBuf;

use crate::{
    arn::Arn,
    id::{AccessLogSubscriptionId, ServiceId, ServiceNetworkId},
    problem::Place,
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
