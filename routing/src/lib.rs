//! Where a request goes: from the authority to a service, and from method, path and headers to a rule.
//!
//! Both answers come from tables that are compiled once per snapshot and never change: [`HostTable`], one per service network,
//! and [`RuleTable`], one per listener. The crate decides nothing else. It knows nothing of tenants: whoever asks has already
//! chosen the table of the caller's own network. It knows nothing of actions either; it answers with the position of the rule.
//!
//! Everything here runs for every request: no lock, no I/O, no clock, and no allocation except where a function says so.

pub mod authority;
pub mod hosts;
pub mod rules;

pub use self::{
    authority::{Authority, AuthorityError},
    hosts::{DuplicateHost, HostTable, ServiceIndex},
    rules::{Mismatch, RequestParts, RuleTable, Trial},
};
