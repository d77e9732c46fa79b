//! Servers that the gateway calls on its own account: where they are, and what requests to them are signed with.

use std::sync::Arc;

use super::Secret;
use crate::name::Region;

/// What requests to an API of AWS, or to something like it, are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsSigner {
    /// Region of signatures.
    pub region: Region,
    /// Public part of the access key.
    pub access_key: Box<str>,
    /// Its secret part.
    pub secret: Secret,
    /// Session token of temporary credentials.
    pub session_token: Option<Secret>,
}

/// An HTTP server: `scheme://authority` and the beginning, or the whole, of the path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpEndpoint {
    /// Is the connection encrypted, and the server verified?
    pub tls: bool,
    /// Name or address, without brackets.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
    /// Host and port as `Host` has them.
    pub authority: Box<str>,
    /// Path, perhaps with a query; empty, or begins with `/`.
    pub path: Box<str>,
    /// Certificates, in PEM, of the authorities that the server is verified with; `None` for those of the system.
    pub authorities: Option<Arc<str>>,
}
