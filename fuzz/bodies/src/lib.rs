//! What the fuzz targets do: one function per parser of outside bytes, each with a claim that must hold for every input.
//!
//! libFuzzer calls them (`scripts/fuzz`), and so does an ordinary test (`tests/replay.rs`), with the seeds of `fuzz/seeds` and some
//! thousands of mutations of them. A function that returns found nothing; it panics on what must not be.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a body reports what it finds by a panic, and what it builds for itself is known to be right"
)]

mod certificates;
mod functions;
mod http;
mod lattice;
pub mod mutation;
mod policies;
mod signatures;
mod sts;
mod tokens;
mod traces;
mod world;

/// One target.
#[derive(Debug)]
pub struct Target {
    /// Its name: that of the file in `fuzz_targets`, and of the folder in `seeds`.
    pub name: &'static str,
    /// What it does.
    pub body: fn(&[u8]),
    /// How many mutations of its seeds the replay runs: about two seconds of them in a build that is not optimised.
    pub mutations: usize,
}

/// Every target.
pub const TARGETS: [Target; 19] = [
    target("iam", policies::iam, 700),
    target("cedar", policies::cedar, 300),
    target("trust", policies::trust, 700),
    target("wildcard", policies::wildcard, 1_500),
    target("authorization", signatures::authorization, 20_000),
    target("presigned", signatures::presigned, 10_000),
    target("canonical", signatures::canonical, 4_000),
    target("session", tokens::session, 10_000),
    target("jwt", tokens::jwt, 10_000),
    target("jwks", tokens::jwks, 10_000),
    target("certificate", certificates::certificate, 100_000),
    target("sts", sts::call, 2_000),
    target("lattice", lattice::call, 20_000),
    target("authority", http::authority, 50_000),
    target("http1", http::http1, 10_000),
    target("http2", http::http2, 10_000),
    target("dns", http::dns, 10_000),
    target("function", functions::result, 200_000),
    target("trace", traces::trace, 50_000),
];

const fn target(name: &'static str, body: fn(&[u8]), mutations: usize) -> Target {
    Target {
        name,
        body,
        mutations,
    }
}

/// Runs the body of a target.
///
/// # Panics
///
/// When the claim of the target does not hold, or there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap().body)(data);
}
