//! The control plane: what clients of AWS's own APIs find on the address `gateway.control`.
//!
//! That is VPC Lattice ([`lattice`]), temporary credentials ([`sts`]), and as much of a few neighbors as clients of VPC Lattice need.
//! [`server`] reads calls from connections, bounded in every direction, and knows nothing of what they mean; [`answer`] finds out which
//! API a call is for. What runs (policies, keys, time, random numbers) is handed in for each call as a [`Realm`], so a call is answered
//! under one snapshot from its beginning to its end.

mod administrator;
mod call;
mod caller;
mod catalog;
mod data_plane;
mod ec2;
mod files;
mod front;
mod iam;
pub mod lattice;
mod neighbor;
mod plane;
mod query;
mod realm;
mod resource;
pub mod server;
pub mod store;
pub mod sts;
mod tagging;
mod xml;

pub use administrator::{ADMINISTRATOR, AdministratorError, AdministratorKey};
pub use call::{Answer, Call, Content, Outcome};
pub use front::answer;
pub use plane::{ControlPlane, Listener};
pub use realm::{Believe, Disbelief, RANDOM_BYTES, Realm, Vouched};
