//! Why a request may pass or not: every layer, every statement, and what of it did not hold.

use std::fmt;

use serde::Serialize;

use crate::decision::{Layer, RefusalKind};
use crate::request::Action;

/// The whole story of one decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// May the request pass?
    pub allowed: bool,
    /// The caller: its ARN, or `anonymous`.
    pub caller: String,
    /// What it wants to do.
    pub action: Action,
    /// What it wants to do it to: the ARN of the service and the path.
    pub resource: String,
    /// The layer that refused, when one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_by: Option<Layer>,
    /// The text the caller gets, when refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_text: Option<String>,
    /// The three layers: network, service, identity.
    pub layers: Vec<LayerExplanation>,
}

/// What one layer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerExplanation {
    /// Which layer.
    pub layer: Layer,
    /// Does it count?
    pub counted: bool,
    /// Why it counts or not.
    pub reason: String,
    /// What it says; `None` when it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The statement that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deciding: Option<String>,
    /// Every statement of the layer.
    pub statements: Vec<StatementExplanation>,
}

/// What a layer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It allows the request.
    Allow,
    /// It denies the request.
    ExplicitDeny,
    /// It does not allow the request.
    ImplicitDeny,
    /// It could not be evaluated, which refuses the request.
    EvaluationFailed,
}

impl From<RefusalKind> for Outcome {
    fn from(kind: RefusalKind) -> Self {
        match kind {
            RefusalKind::Explicit => Self::ExplicitDeny,
            RefusalKind::Implicit => Self::ImplicitDeny,
            RefusalKind::EvaluationFailed => Self::EvaluationFailed,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allows",
            Self::ExplicitDeny => "denies",
            Self::ImplicitDeny => "does not allow",
            Self::EvaluationFailed => "could not be evaluated",
        })
    }
}

/// What one statement says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatementExplanation {
    /// Its name: `Sid` in backticks, or its position.
    pub statement: String,
    /// `Allow` or `Deny`.
    pub effect: &'static str,
    /// Does it apply to the request?
    pub applies: bool,
    /// The parts that do not hold, when it does not apply: `Principal`, `Action`, `Resource`, `Condition.<operator>.<key>`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
    /// Why it could not be evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.allowed { "allowed" } else { "refused" };
        write!(
            f,
            "{verdict}: {} {} on {}",
            self.caller, self.action, self.resource
        )?;
        for layer in &self.layers {
            write!(f, "\n  {layer}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LayerExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.layer)?;
        match (self.outcome, &self.deciding) {
            (None, _) => write!(f, "not counted")?,
            (Some(outcome), None) => write!(f, "{outcome}")?,
            (Some(outcome), Some(deciding)) => write!(f, "{outcome}, by {deciding}")?,
        }
        write!(f, " ({})", self.reason)?;
        for statement in &self.statements {
            write!(f, "\n    {statement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for StatementExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) ", self.statement, self.effect)?;
        match (&self.error, self.applies) {
            (Some(error), _) => write!(f, "could not be evaluated: {error}"),
            (None, true) => write!(f, "applies"),
            (None, false) => write!(
                f,
                "does not apply: {} does not hold",
                self.failed.join(", ")
            ),
        }
    }
}
