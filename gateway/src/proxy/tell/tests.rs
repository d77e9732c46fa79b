//! The header that explains a decision.

use trellis_policy::{Action, Explanation, Layer, LayerExplanation, Nearest, Outcome};

use super::header_text;

fn layer(layer: Layer, outcome: Option<Outcome>) -> LayerExplanation {
    LayerExplanation {
        layer,
        counted: outcome.is_some(),
        reason: "for the test".to_owned(),
        outcome,
        deciding: None,
        nearest: None,
        statements: Vec::new(),
    }
}

fn explanation() -> Explanation {
    Explanation {
        allowed: false,
        caller: "arn:aws:iam::111122223333:user/admin".to_owned(),
        action: Action::Invoke,
        resource: "-".to_owned(),
        refused_by: Some(Layer::Service),
        public_text: None,
        layers: vec![
            LayerExplanation {
                deciding: Some("statement `Every\"body\u{e9}`".to_owned()),
                ..layer(Layer::Network, Some(Outcome::Allow))
            },
            LayerExplanation {
                nearest: Some(Nearest {
                    statement: "statement 2".to_owned(),
                    failed: vec![
                        "Resource".to_owned(),
                        "Condition.Bool.aws:SecureTransport".to_owned(),
                    ],
                }),
                ..layer(Layer::Service, Some(Outcome::ImplicitDeny))
            },
            layer(Layer::Identity, None),
        ],
    }
}

#[test]
fn every_layer_is_told() {
    assert_eq!(
        header_text(&explanation(), |_| true),
        "refused;by=service, network;says=allow;by=\"statement `Every\\\"body?`\", \
         service;says=implicit-deny;nearest=\"statement 2\";failed=\"Resource Condition.Bool.aws:SecureTransport\", \
         identity;counted=?0"
    );
}

#[test]
fn of_policies_of_others_only_the_outcome_is_told() {
    assert_eq!(
        header_text(&explanation(), |layer| layer == Layer::Identity),
        "refused;by=service, network;says=allow, service;says=implicit-deny, identity;counted=?0"
    );
}

#[test]
fn long_names_are_cut() {
    let mut explanation = explanation();
    explanation.layers[0].deciding = Some("x".repeat(10_000));
    assert!(header_text(&explanation, |_| true).len() < 1_000);
}
