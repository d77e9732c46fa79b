//! Target groups: which target a request goes to, and what is known about each target.
//!
//! * [`Group`] is the live state of one target group, shared by all worker threads and surviving every change of the
//!   configuration. [`Group::choose`] is on the path of every request; everything else happens when something changes.
//! * [`health`] decides when a target is healthy, from the outcomes of probes that somebody else makes.
//! * [`status`] names what users see: statuses and reason codes.
//! * [`function`] turns requests into the events of functions, and their results into answers.
//! * [`weights`] chooses among the target groups of a forward action.
//! * [`outliers`] tells when failing requests eject a target, from outcomes that somebody else reports.
//!
//! Rules, with "VPC Lattice user guide" as the source unless a module says otherwise:
//!
//! * Round robin over the healthy targets of the group. When no target is healthy, over all of them (fail open). Groups
//!   whose targets are not checked use all of them.
//! * What a configuration adds is in [`trellis_model::config::Balancing`]: other algorithms, weights, slow start, zones, a panic
//!   threshold.
//! * A deregistered target gets nothing new and stays *draining* until its running requests end, for at most 60 s.
//!
//! This crate has no clock, no dice, no I/O and starts no task: time and random numbers are arguments. `clippy.toml` keeps it so.

mod bits;
pub mod function;
pub mod group;
pub mod hash;
pub mod health;
mod maglev;
pub mod outliers;
pub mod running;
mod shares;
pub mod status;
pub mod target;
pub mod weights;

pub use group::{CheckEpoch, CheckPlan, DRAIN_PERIOD, Group, NoTarget, Use, Wanted};
pub use health::ProbeOutcome;
pub use outliers::Outcome;
pub use running::{Repeat, Request, Running};
pub use status::{ReasonCode, StatusChange, TargetStatus, TargetView};
pub use target::{Chosen, Lease, TargetKey, Verdict};
pub use weights::WeightedChoice;
