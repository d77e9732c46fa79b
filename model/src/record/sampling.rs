//! Which requests a subscription leaves out.

/// Keeps one of so many of the requests that nothing was wrong with. Zero and one keep all.
///
/// What was refused or failed is always kept: a record that is missing must never be the one that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sampling {
    /// Of those answered below 300.
    pub success: u32,
    /// Of those answered 3xx.
    pub redirection: u32,
    /// Of those that the target answered 4xx.
    pub client_error: u32,
}

impl Sampling {
    /// Keeps everything.
    pub const NONE: Self = Self {
        success: 1,
        redirection: 1,
        client_error: 1,
    };

    /// For how many requests a kept one with this status stands.
    pub fn one_in(self, status: u16) -> u32 {
        let one_in = match status {
            100..=299 => self.success,
            300..=399 => self.redirection,
            400..=499 => self.client_error,
            _ => 1,
        };
        one_in.max(1)
    }
}
