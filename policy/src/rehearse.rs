//! Policies that are evaluated and decide nothing: those in audit, and candidates beside the active ones.
//!
//! A candidate world is compiled from the same texts: every auth policy in audit is enforced there, and every candidate stands in the
//! place of its policy. A request that meets neither costs one look; one that does is decided a second time by the same code, with
//! views and a cache of their own.

use std::sync::Arc;

use crate::{
    authorize::Verdict,
    compile::{Guarded, Policies},
    decision::Refusal,
    explain::Explanation,
    request::Request,
};

impl Policies {
    /// Is any policy in audit, or a candidate?
    pub fn has_rehearsals(&self) -> bool {
        self.candidate.is_some()
    }

    /// What would be decided if policies in audit were enforced and candidates took the place of what they are candidates for. `None`
    /// where neither the network nor the service of the request has any.
    pub fn rehearse(&self, request: &Request<'_>) -> Option<Result<(), Refusal>> {
        match self.rehearsal(request)?.verdict(request) {
            Verdict::Allow(_) => Some(Ok(())),
            Verdict::Refuse(refusal) => Some(Err(refusal)),
        }
    }

    /// The same, told in full.
    pub fn explain_rehearsal(&self, request: &Request<'_>) -> Option<Explanation> {
        Some(self.rehearsal(request)?.explain(request))
    }

    /// The candidate world, when it differs for this request.
    fn rehearsal(&self, request: &Request<'_>) -> Option<&Policies> {
        let candidate = self.candidate.as_deref()?;
        let rehearsed = |guarded: Option<&Arc<Guarded>>| guarded.is_some_and(|one| one.rehearsed);
        let network = self.networks.get(request.network.0 as usize);
        let service = self.services.get(request.service.0 as usize);
        (rehearsed(network) || rehearsed(service)).then_some(candidate)
    }
}

#[cfg(test)]
mod tests;
