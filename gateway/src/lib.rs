//! The gateway of Trellis: the one crate that does I/O on the request path.

pub mod admin;
pub mod cli;
pub mod conn;
pub mod echo;
pub mod h1;
pub mod probe;
pub mod registry;
pub mod telemetry;
pub mod tls;
