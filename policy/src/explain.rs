//! Why a request may pass or not: every layer, every statement, and what of it did not hold.

use std::{fmt, sync::Arc};

use cedar_policy::{
    Decision, Policy, PolicySet,
    pst::{
        ActionConstraint, Effect, PolicyID, PrincipalConstraint, ResourceConstraint, StaticPolicy,
        Template,
    },
};
use serde::Serialize;

use crate::{
    authorize::Answers,
    cedar::{CedarError, ask::Question},
    compile::{Guarded, Policies},
    decision::{Layer, RefusalKind},
    facts::{Facts, path_text},
    layer::{Answer, Compiled},
    principal::Caller,
    program::Env,
    request::{Action, Request},
};

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
    /// The layers: network, service, identity, and what limits the identity, where there is such a thing.
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
    /// For a layer that does not allow: the statement that comes nearest to allowing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<Nearest>,
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

/// A statement that would have allowed the request but for what is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Nearest {
    /// Its name.
    pub statement: String,
    /// The parts that do not hold.
    pub failed: Vec<String>,
}

/// The allowing statement of which least does not hold: one about the action, then about the caller, then about the resource, then
/// the one with the fewest conditions that fail; among equals the first.
fn nearest(statements: &[StatementExplanation]) -> Option<Nearest> {
    let candidates = statements.iter().filter(|statement| {
        statement.effect == "Allow" && statement.error.is_none() && !statement.applies
    });
    let distance = |statement: &&StatementExplanation| {
        let lacks = |part: &str| {
            let mut failed = statement.failed.iter();
            failed.any(|failed| failed.eq_ignore_ascii_case(part))
        };
        let parts = ["Action", "Principal", "Resource"].map(lacks);
        (parts, statement.failed.len())
    };
    candidates.min_by_key(distance).map(|statement| Nearest {
        statement: statement.statement.clone(),
        failed: statement.failed.clone(),
    })
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
        if let Some(Nearest { statement, failed }) = &self.nearest {
            let failed = failed.join(", ");
            write!(
                f,
                "\n    nearest to allowing it: {statement}, but {failed} does not hold"
            )?;
        }
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

impl Policies {
    /// Why may the request pass or not? From the same compiled data as [`Policies::authorize`], in full and unhurried.
    pub fn explain(&self, request: &Request<'_>) -> Explanation {
        let outcome = self.authorize(request);
        let refusal = outcome.as_ref().err();
        let known = self.known(request.caller);
        let caller = known.map_or("anonymous", |known| &known.principal.arn);
        let facts = self.facts(request).ok();
        let service_arn = facts.map_or("", |facts| facts.service_arn);
        let path = path_text(request.path);
        let view = self.view(request).ok();
        let answers = match (&view, &facts) {
            (Some(view), Some(facts)) => view.answers(&self.asker(facts), &Env::new(facts)),
            _ => Answers::new(),
        };
        Explanation {
            allowed: outcome.is_ok(),
            caller: caller.to_owned(),
            action: request.action,
            resource: facts.map_or(String::new(), |facts| facts.resource()),
            refused_by: refusal.map(|refusal| refusal.layer),
            public_text: refusal.map(|refusal| refusal.public_text(caller, service_arn, &path)),
            layers: Layer::ALL
                .into_iter()
                .filter(|layer| is_told(*layer) || self.counted(*layer, request).is_some())
                .map(|layer| {
                    let answer = answers.iter().find(|(name, _)| *name == layer);
                    self.explain_layer(
                        layer,
                        answer.map(|(_, answer)| answer),
                        request,
                        facts.as_ref(),
                    )
                })
                .collect(),
        }
    }

    fn explain_layer(
        &self,
        layer: Layer,
        answer: Option<&Answer>,
        request: &Request<'_>,
        facts: Option<&Facts<'_>>,
    ) -> LayerExplanation {
        let policies = self.counted(layer, request);
        let deciding = answer.and_then(|answer| {
            let failed = answer.failed.as_ref().and_then(|(statement, _)| *statement);
            answer.denied.or(failed).or(answer.allowed)
        });
        let named = policies
            .zip(deciding)
            .and_then(|(policies, position)| policies.statements.get(position));
        let statements: Vec<StatementExplanation> = match (policies, facts) {
            (Some(policies), Some(facts)) => policies
                .statements
                .iter()
                .enumerate()
                .map(|(position, statement)| self.explain_statement(position, statement, facts))
                .collect(),
            _ => Vec::new(),
        };
        let outcome = answer.map(|answer| match answer {
            Answer {
                denied: Some(_), ..
            } => Outcome::ExplicitDeny,
            Answer {
                failed: Some(_), ..
            } => Outcome::EvaluationFailed,
            Answer {
                allowed: Some(_), ..
            } => Outcome::Allow,
            _ => Outcome::ImplicitDeny,
        });
        LayerExplanation {
            layer,
            counted: policies.is_some(),
            reason: self.counting_reason(layer, request),
            outcome,
            nearest: (outcome == Some(Outcome::ImplicitDeny))
                .then(|| nearest(&statements))
                .flatten(),
            deciding: named.map(|statement| statement.name.to_string()),
            statements,
        }
    }

    fn counting_reason(&self, layer: Layer, request: &Request<'_>) -> String {
        let of = |what: &str, guarded: Option<&Arc<Guarded>>| match guarded
            .map(|guarded| &**guarded)
        {
            Some(Guarded {
                layer: None,
                audited: true,
                ..
            }) => format!("the auth policy of the {what} is in audit"),
            Some(Guarded { layer: None, .. }) => format!("the auth type of the {what} is NONE"),
            Some(Guarded {
                has_policy: false, ..
            }) => {
                format!(
                    "the auth type of the {what} is AWS_IAM, and without a policy nothing is allowed"
                )
            }
            Some(_) => format!("the auth type of the {what} is AWS_IAM"),
            None => format!("the {what} is not known"),
        };
        match layer {
            Layer::Network => of(
                "service network",
                self.networks.get(request.network.0 as usize),
            ),
            Layer::Service => of("service", self.services.get(request.service.0 as usize)),
            Layer::Identity => match (request.caller, self.counted(layer, request)) {
                (Caller::Anonymous, _) => "the caller is anonymous".to_owned(),
                (_, None) => "both auth types are NONE".to_owned(),
                (_, Some(policies)) if policies.statements.is_empty() => {
                    "the caller is authenticated, and without a policy nothing is allowed"
                        .to_owned()
                }
                (_, Some(_)) => "the caller is authenticated".to_owned(),
            },
            Layer::Boundary => "the caller has a permissions boundary".to_owned(),
            Layer::Session => "the caller's session has policies".to_owned(),
        }
    }

    fn explain_statement(
        &self,
        position: usize,
        compiled: &Compiled,
        facts: &Facts<'_>,
    ) -> StatementExplanation {
        let (mut failed, error) = match self.parts(position, compiled, facts) {
            Ok(parts) => parts,
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        failed.dedup();
        StatementExplanation {
            statement: compiled.name.to_string(),
            effect: compiled.effect.as_str(),
            applies: failed.is_empty() && error.is_none(),
            failed,
            error,
        }
    }

    /// Evaluates each part of a policy as a policy of its own. Gives the parts that do not hold, and the first that fails when
    /// all before it hold: in the whole policy that is where evaluation stops.
    fn parts(
        &self,
        position: usize,
        compiled: &Compiled,
        facts: &Facts<'_>,
    ) -> Result<(Vec<String>, Option<String>), CedarError> {
        let whole = compiled.whole(position, &Env::new(facts))?;
        let tree = whole.policy.to_pst().map_err(CedarError::new)?;
        let body = tree.body();
        let permit = || {
            Template::new(
                PolicyID("part".into()),
                Effect::Permit,
                PrincipalConstraint::Any,
                ActionConstraint::Any,
                ResourceConstraint::Any,
            )
        };
        let action = if compiled.is_native() {
            "action"
        } else {
            "Action"
        };
        let mut parts: Vec<(&str, Template)> = vec![
            (
                "principal",
                with(permit(), |part| part.principal = body.principal.clone()),
            ),
            (
                action,
                with(permit(), |part| part.action = body.action.clone()),
            ),
            (
                "resource",
                with(permit(), |part| part.resource = body.resource.clone()),
            ),
        ];
        for (label, clause) in whole.labels.iter().zip(body.clauses()) {
            let part = permit()
                .try_with_clauses([clause.clone()])
                .map_err(CedarError::new)?;
            parts.push((label, part));
        }
        let mut question = Question {
            policies: PolicySet::new(),
            reads: whole.reads,
            slots: whole.slots,
        };
        let asker = self.asker(facts);
        let mut failed = Vec::new();
        for (label, template) in parts {
            let part = StaticPolicy::try_from(template).map_err(CedarError::new)?;
            let part = Policy::from_pst(part.into()).map_err(CedarError::new)?;
            question.policies = PolicySet::from_policies([part]).map_err(CedarError::new)?;
            let response = asker.ask(&question)?;
            if let Some(error) = response.diagnostics().errors().next() {
                // An error counts only where evaluation gets that far.
                let reached = failed.is_empty();
                return Ok((failed, reached.then(|| format!("{label}: {error}"))));
            }
            if response.decision() == Decision::Deny {
                failed.push(label.to_owned());
            }
        }
        Ok((failed, None))
    }
}

/// Is this layer told of also where it does not count? Most callers have no boundary and no session policies.
fn is_told(layer: Layer) -> bool {
    matches!(layer, Layer::Network | Layer::Service | Layer::Identity)
}

/// A part with one thing changed.
fn with(mut part: Template, change: impl FnOnce(&mut Template)) -> Template {
    change(&mut part);
    part
}

#[cfg(test)]
mod tests;
