//! The facts of one request, as the gateway established them.

use std::{fmt, net::IpAddr, time::SystemTime};

use http::HeaderMap;
use serde::{Serialize, Serializer};
use trellis_model::{id::VpcId, name::AccountId};

use crate::{
    compile::{NetworkIndex, ServiceIndex},
    principal::Caller,
};

/// What a request wants to do to a service.
///
/// Source: Service Authorization Reference, "Actions defined by Amazon VPC Lattice Services".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Send an HTTP request; the resource is the service with the path.
    Invoke,
    /// Open a connection that is passed through; the resource is the service. Only the connection can be known: port, service,
    /// service network, VPC and its owner.
    Connect,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 2] = [Self::Invoke, Self::Connect];

    /// The name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invoke => "vpc-lattice-svcs:Invoke",
            Self::Connect => "vpc-lattice-svcs:Connect",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A request as the policies see it. Everything in it was established by the gateway; nothing is believed on the caller's word
/// except what is the caller's to say (method, path, query, headers).
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What it wants to do.
    pub action: Action,
    /// The service network through which it came.
    pub network: NetworkIndex,
    /// The service it is for.
    pub service: ServiceIndex,
    /// Who sent it.
    pub caller: &'a Caller,
    /// The method, as sent.
    pub method: &'a str,
    /// The path as sent, without the query; begins with `/` except for the asterisk form.
    pub path: &'a [u8],
    /// What follows the first `?`, without it.
    pub query: Option<&'a [u8]>,
    /// `Host` or `:authority`, as sent: what the header `host` is to policies, whatever the version of HTTP.
    pub authority: &'a [u8],
    /// The header fields as the caller sent them.
    pub headers: &'a HeaderMap,
    /// Port of the listener.
    pub port: u16,
    /// The caller's address.
    pub source_ip: IpAddr,
    /// The VPC that the attachment gives.
    pub source_vpc: &'a VpcId,
    /// Owner of that VPC.
    pub source_vpc_owner: &'a AccountId,
    /// Did it come over TLS?
    pub secure_transport: bool,
    /// The time at which the request arrived.
    pub now: SystemTime,
}
