//! The gateway of Trellis: the one crate that does I/O on the request path.

pub mod admin;
mod check;
pub mod cli;
pub mod conn;
pub mod control;
pub mod discovery;
pub mod dns;
pub mod echo;
mod files;
pub mod functions;
pub mod h1;
pub mod h2;
pub mod jwks;
pub mod listen;
pub mod pools;
pub mod probe;
pub mod proxy;
mod reason;
pub mod registry;
pub mod server;
pub mod session_keys;
pub mod shared;
pub mod snapshot;
pub mod stickiness;
pub mod telemetry;
pub mod tls;
pub mod trace;
