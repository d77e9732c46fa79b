//! The control plane: what clients of AWS's own APIs find on the address `gateway.control`.
//!
//! Today that is the security token service ([`sts`]): temporary credentials for roles. [`server`] reads calls from connections,
//! bounded in every direction, and knows nothing of what they mean; [`call`] and [`query`] are the protocol, [`sts`] the service.
//! What runs (policies, keys, time, random numbers) is handed in for each call as a [`Realm`], so a call is answered under one
//! snapshot from its beginning to its end.

mod call;
mod catalog;
mod data_plane;
mod files;
mod front;
pub mod lattice;
mod plane;
mod query;
mod realm;
mod resource;
pub mod server;
pub mod store;
pub mod sts;
mod xml;

pub use call::{Answer, Call, Content, Outcome};
pub use front::answer;
pub use plane::{ControlPlane, Listener};
pub use realm::{Believe, Disbelief, RANDOM_BYTES, Realm, Vouched};
