//! The harness of the end-to-end scenarios: a real gateway, real targets, clients, all in one process and on loopback.
//!
//! A scenario reads as a sentence: [`Setup`] says what is configured, [`Gateway`] runs it, a [`Connection`] or [`Gateway::send`]
//! calls it, [`Target`] tells what arrived, [`Record`] what was written down about it.
//!
//! What every scenario checks without saying so, when its gateway is dropped:
//! * the gateway logged nothing at `warn` or `error` that the scenario did not expect ([`Gateway::expect_log`]);
//! * each request has exactly one access record, and the metrics count the same;
//! * each request that failed was looked at by the scenario ([`Gateway::record_of`]);
//! * metrics of trouble (rejected configurations, lost records, failed handshakes) are zero unless expected
//!   ([`Gateway::expect_metric`]);
//! * nothing is left: no connection, no request in flight.
//!
//! Every wait has a deadline ([`within`], [`eventually`]); none is a guess at how long something takes. Each gateway listens on
//! a loopback address of its own ([`Address`]), so scenarios run side by side, with those of other processes as well.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    reason = "a harness of tests: what is not as expected ends the test"
)]

mod address;
mod client;
mod dns;
mod gateway;
mod message;
mod raw;
mod record;
mod schema;
mod setup;
mod signer;
mod target;
mod tls;
mod wait;
mod witness;

pub use address::Address;
pub use client::{Answer, Broken, Connection, Pending, Streaming, Via};
pub use dns::{DnsServer, Says};
pub use gateway::{Caller, Gateway, UNKNOWN_NAME};
pub use message::{Payload, Request};
pub use raw::Raw;
pub use record::Record;
pub use setup::{FUNCTION, Guard, Setup, allow, deny, forward, identity, policy};
pub use signer::Key;
pub use target::{Reply, Seen, Target};
pub use tls::{ClientIdentity, Issuer, TargetSide, Trust};
pub use wait::{eventually, within};
