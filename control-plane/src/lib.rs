//! The control plane: what clients of AWS's own APIs find on the address `gateway.control`.
//!
//! Today that is the security token service ([`sts`]): temporary credentials for roles. [`server`] reads calls from connections,
//! bounded in every direction, and knows nothing of what they mean; [`call`] and [`query`] are the protocol, [`sts`] the service.
//! What runs (policies, keys, time, random numbers) is handed in for each call as a [`Realm`], so a call is answered under one
//! snapshot from its beginning to its end.

mod call;
mod query;
mod realm;
pub mod server;
pub mod sts;
mod xml;

pub use call::{Answer, Call, Outcome};
pub use realm::{Believe, Disbelief, RANDOM_BYTES, Realm, Vouched};
