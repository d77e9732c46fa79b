//! What comes out of the authorizer: a permit, or a refusal that says which layer and which statement.

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};

use crate::{principal::Caller, request::Action};

/// The key to forwarding. Only the authorizer makes one, there is no second copy, and it says for whom it was made.
#[derive(Debug)]
#[must_use = "a permit that is dropped forwards nothing"]
pub struct Permit {
    caller: Caller,
    grounds: Grounds,
}

impl Permit {
    pub(crate) fn new(caller: Caller, grounds: Grounds) -> Self {
        Self { caller, grounds }
    }

    /// Why it was made.
    pub fn grounds(&self) -> Grounds {
        self.grounds
    }

    /// Whom the permit is for.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// Which statement of each counted layer allowed a request: the first one. [`crate::Policies::allowing`] has their names.
///
/// Small, because decisions are kept by the thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grounds([u16; Layer::ALL.len()]);

impl Grounds {
    /// No layer counts.
    pub const NONE: Self = Self([u16::MAX; Layer::ALL.len()]);

    /// With the statement at this position of a layer.
    pub(crate) fn with(mut self, layer: Layer, position: usize) -> Self {
        if let Some(own) = self.0.get_mut(layer as usize) {
            *own = u16::try_from(position).unwrap_or(u16::MAX);
        }
        self
    }

    /// The position of the statement of a layer.
    pub(crate) fn position(self, layer: Layer) -> Option<usize> {
        let position = self.0.get(layer as usize).copied()?;
        (position != u16::MAX).then_some(usize::from(position))
    }
}

/// One of the places that policies come from, in the order in which missing permissions are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// The auth policy of the service network.
    Network,
    /// The auth policy of the service.
    Service,
    /// The policies of the caller.
    Identity,
    /// The permissions boundary of the caller.
    Boundary,
    /// The policies that came with the caller's session.
    Session,
}

impl Layer {
    /// Every layer, in order.
    pub const ALL: [Self; 5] = [
        Self::Network,
        Self::Service,
        Self::Identity,
        Self::Boundary,
        Self::Session,
    ];

    /// A word for it, in headers and tests.
    pub fn word(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Service => "service",
            Self::Identity => "identity",
            Self::Boundary => "boundary",
            Self::Session => "session",
        }
    }

    /// Its name in explanations and in the object `trellis` of access records; `authDeniedReason` knows only the first three.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "Network",
            Self::Service => "Service",
            Self::Identity => "Identity",
            Self::Boundary => "PermissionsBoundary",
            Self::Session => "SessionPolicy",
        }
    }

    /// The policy of this layer in public texts: `network-based policy`.
    ///
    /// Source: VPC Lattice user guide, "Troubleshoot auth policies"; IAM user guide, "Troubleshoot access denied error messages",
    /// for the last two.
    fn noun(self) -> &'static str {
        match self {
            Self::Network => "network-based policy",
            Self::Service => "service-based policy",
            Self::Identity => "identity-based policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
        }
    }
}

/// For explanations.
impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Layer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a layer refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum RefusalKind {
    /// A statement denies.
    Explicit,
    /// No statement allows.
    Implicit,
    /// A policy could not be evaluated, so nothing it might have said can be relied on.
    EvaluationFailed,
}

/// A request that may not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The layer that refused.
    pub layer: Layer,
    /// Why.
    pub kind: RefusalKind,
    /// The statement that denied or failed, for operators: its `Sid` in backticks or its position. `None` for a missing allow.
    pub statement: Option<Arc<str>>,
    pub(crate) action: Action,
}

impl Refusal {
    /// The body of the 403 answer, without a final newline. `who` is the caller's ARN or `anonymous`, `path` the path as sent.
    ///
    /// A failed evaluation reads like a missing permission: whoever is outside learns nothing about the policy.
    ///
    /// Source: VPC Lattice user guide, "Troubleshoot auth policies", and answers captured from the service.
    pub fn public_text(&self, who: &str, service_arn: &str, path: &str) -> String {
        let Self { layer, action, .. } = self;
        let noun = layer.noun();
        let why = match self.kind {
            RefusalKind::Explicit => {
                // Spec: VPC Lattice user guide and captured answers: "in a service-based policy".
                let article = if self.layer == Layer::Identity {
                    "an"
                } else {
                    "a"
                };
                format!("with an explicit deny in {article} {noun}")
            }
            RefusalKind::Implicit | RefusalKind::EvaluationFailed => {
                format!("because no {noun} allows the {action} action")
            }
        };
        format!(
            "AccessDeniedException: User: {who} is not authorized to perform: {action} on resource: {service_arn}{path} {why}"
        )
    }
}

/// For operators.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layer = self.layer.noun();
        match (self.kind, &self.statement) {
            (RefusalKind::Explicit, Some(statement)) => {
                write!(f, "denied by {statement} of the {layer}")
            }
            (RefusalKind::Explicit, None) => write!(f, "denied by the {layer}"),
            (RefusalKind::Implicit, _) => write!(f, "no {layer} allows it"),
            (RefusalKind::EvaluationFailed, Some(statement)) => {
                write!(f, "{statement} of the {layer} could not be evaluated")
            }
            (RefusalKind::EvaluationFailed, None) => {
                write!(f, "the {layer} could not be evaluated")
            }
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests;
