//! What an admin who asks for it is told of a decision, in a header of the answer.
//!
//! Nobody is told anything unless the configuration lists principals (`gateway.explain`). One of them is told when the request is
//! proven to be its own and carries [`EXPLAIN`]; of policies of other accounts it learns only what the layer says, which the answer
//! shows anyway, and no statement. The header never reaches targets, and what targets put under its name never reaches clients.

use std::fmt::Write as _;

use http::{HeaderName, HeaderValue};
use trellis_model::arn::Arn;
use trellis_policy::{Caller, Explanation, Layer, LayerExplanation, Outcome};

use super::{
    decide::{Arrival, Head},
    exchange::Match,
};

/// The header that asks, and the one that tells.
pub(super) const EXPLAIN: HeaderName = HeaderName::from_static("x-trellis-explain");

/// Longest text taken from a policy, in characters: a name of a statement, or the parts that do not hold.
const LONGEST: usize = 256;

/// What the caller is told, if it asked and may know.
pub(super) fn explanation(
    head: &Head<'_>,
    arrival: &Arrival<'_>,
    matched: Match,
    caller: &Caller,
) -> Option<HeaderValue> {
    let snapshot = arrival.snapshot;
    if snapshot.explain_to.is_empty() || !head.has(&EXPLAIN) {
        return None;
    }
    let principal = snapshot.policies.caller(caller)?;
    let listed = |arn: &str| snapshot.explain_to.contains(arn);
    if !listed(&principal.arn) && !listed(&principal.principal_arn) {
        return None;
    }
    let network = snapshot.networks.get(matched.network)?;
    let service = snapshot.service(matched.service)?;
    let account = principal.account.as_str();
    let own = |layer: Layer| match layer {
        Layer::Network => account_of(&network.arn) == Some(account),
        Layer::Service => service.account.as_str() == account,
        Layer::Identity | Layer::Boundary | Layer::Session => true,
    };
    let question = head.question(arrival, matched, caller)?;
    let explanation = snapshot.policies.explain(&question);
    HeaderValue::from_str(&header_text(&explanation, own)).ok()
}

fn account_of(arn: &Arn) -> Option<&str> {
    arn.as_str().split(':').nth(4)
}

/// The explanation as a list of tokens with parameters: the decision, then each layer.
///
/// Spec: RFC 9651 §3.1, lists, §3.3.3, strings: printable ASCII, with `"` and `\` escaped.
fn header_text(explanation: &Explanation, own: impl Fn(Layer) -> bool) -> String {
    let mut text = match explanation.refused_by {
        Some(layer) => format!("refused;by={}", layer.word()),
        None => "allowed".to_owned(),
    };
    for layer in &explanation.layers {
        // Writing to a string cannot fail.
        let _ = write!(text, ", {}", layer.layer.word());
        write_layer(&mut text, layer, own(layer.layer));
    }
    text
}

fn write_layer(text: &mut String, layer: &LayerExplanation, own: bool) {
    let Some(outcome) = layer.outcome else {
        text.push_str(";counted=?0");
        return;
    };
    let says = match outcome {
        Outcome::Allow => "allow",
        Outcome::ExplicitDeny => "explicit-deny",
        Outcome::ImplicitDeny => "implicit-deny",
        Outcome::EvaluationFailed => "evaluation-failed",
    };
    let _ = write!(text, ";says={says}");
    if !own {
        return;
    }
    if let Some(deciding) = &layer.deciding {
        let _ = write!(text, ";by={}", quoted(deciding));
    }
    if let Some(nearest) = &layer.nearest {
        let _ = write!(text, ";nearest={}", quoted(&nearest.statement));
        let _ = write!(text, ";failed={}", quoted(&nearest.failed.join(" ")));
    }
}

/// A string of a structured field. What is not printable ASCII becomes `?`.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars().take(LONGEST) {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
