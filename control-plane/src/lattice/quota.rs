//! How many of everything there may be.
//!
//! Source: VPC Lattice user guide, "Quotas for Amazon VPC Lattice"; codes as Service Quotas has them.

pub use trellis_model::config::Quotas;

use super::error::{ApiError, ResourceType};

/// Refuses what would be one too many.
pub(crate) fn within(
    quota: usize,
    there: usize,
    kind: ResourceType,
    code: &'static str,
    what: &str,
) -> Result<(), ApiError> {
    if there < quota {
        return Ok(());
    }
    Err(ApiError::Quota {
        kind,
        code,
        message: format!("The quota of {quota} {what} has been reached."),
    })
}
