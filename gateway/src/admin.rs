//! The admin listener: metrics, health, and what runs, for operators and their tools.
//!
//! It shows, and changes nothing but what the log says, for a while; configuration changes through its files and SIGHUP. Nobody is
//! asked who they are, so it belongs on loopback or a network of the operators' own. It is bounded in connections and times, reads no bodies, and is served beside the data plane,
//! never on a worker: a slow scrape delays no request.

mod accounts;
mod config;
mod log;
mod pages;
mod serve;
pub(crate) mod targets;

pub use config::redacted;
pub use pages::{Introspect, Readiness, Site};
pub use serve::serve;
pub use targets::{GroupStatus, TargetState, group_statuses};
