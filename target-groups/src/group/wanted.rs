//! What a request brings to the choice of its target.

use std::{net::SocketAddr, time::Instant};

use crate::target::TargetKey;

/// What a request brings to the choice of its target.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// A number spread evenly over all 64 bits, another one for each choice.
    pub random: u64,
    /// When the choice is made.
    pub now: Instant,
    /// The hash ([`crate::hash::of`]) of what the group's algorithm hashes; `None` when the request has none of it.
    pub hash: Option<u64>,
    /// The target that the client had before and would like to have again.
    pub sticky: Option<&'a TargetKey>,
    /// Addresses of targets that failed this request before; others come first.
    pub tried: &'a [SocketAddr],
}

impl Wanted<'_> {
    /// Any target.
    pub fn any(random: u64, now: Instant) -> Self {
        Self {
            random,
            now,
            hash: None,
            sticky: None,
            tried: &[],
        }
    }

    pub(super) fn has_tried(&self, target: &TargetKey) -> bool {
        self.tried.contains(&target.address())
    }
}
