//! End to end: the real gateway, real targets, real clients. Each module is a chapter, each test a sentence.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "scenarios: what is not as expected ends the test"
)]

mod answers;
mod balance;
mod balancing;
mod bodies;
mod client_certificates;
mod decisions;
mod discovery;
mod ends;
mod excess;
mod faults;
mod functions;
mod headers;
mod hostile;
mod identities;
mod overlay;
mod pools;
mod probes;
mod protocols;
mod records;
mod rehearsals;
mod reloads;
mod retries;
mod rollouts;
mod signals;
mod sts;
mod target_tls;
mod tenants;
mod tls;
