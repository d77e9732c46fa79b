//! Who is calling, and may they: signatures, IAM JSON and Cedar policies, decisions.
//!
//! [`compile()`] turns the policies and principals of a configuration into [`Policies`], once per snapshot. Per request,
//! [`Policies::authorize`] gives a [`Permit`], which is the only key to forwarding, or a [`Refusal`];
//! [`Policies::explain`] tells the whole story from the same compiled data.
//!
//! The crate does no I/O, reads no clock and starts no thread: time and texts are arguments.

mod authorize;
mod bearers;
mod cache;
pub mod calls;
mod cedar;
pub mod certificate;
mod compile;
#[cfg(test)]
mod corpus;
mod decision;
mod explain;
mod facts;
mod iam;
mod identity;
mod json;
pub mod jwt;
mod key;
mod layer;
mod lint;
mod principal;
mod program;
#[cfg(test)]
mod reference;
mod rehearse;
mod request;
pub mod session;
pub mod sigv4;
mod wildcard;
#[cfg(test)]
mod world;

pub use bearers::BoundSession;
pub use cache::Lookups;
pub use cedar::SCHEMA as CEDAR_SCHEMA;
pub use compile::{
    NetworkIndex, Policies, ServiceIndex, check_auth_policy, check_identity_policy, compile,
    compile_after, unique_id,
};
pub use decision::{Grounds, Layer, Permit, Refusal, RefusalKind};
pub use explain::{Explanation, LayerExplanation, Nearest, Outcome, StatementExplanation};
pub use identity::{Given, Identified, Identities, IdentityError, Origin, Proof, Testimony};
pub use lint::lint;
pub use principal::{Caller, Principal, PrincipalIndex, PrincipalType};
pub use request::{Action, Request};
