//! What a request brings to the choice of its target.

use std::net::SocketAddr;

use crate::target::TargetKey;

/// What a request brings to the choice of its target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Addresses of targets that failed this request before; others come first.
    pub tried: &'a [SocketAddr],
}

impl Wanted<'_> {
    pub(super) fn has_tried(&self, target: &TargetKey) -> bool {
        self.tried.contains(&target.address())
    }
}
