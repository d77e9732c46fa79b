//! What is reported about policies, once each.

use std::collections::BTreeSet;

use super::*;
use crate::world::{Given, config_with, policy};

/// Principals are looked at from two sides, lasting keys and sessions; whoever wrote a policy reads of each slip in it once.
#[test]
fn what_is_wrong_with_the_policy_of_a_principal_is_reported_once() {
    let warned = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"vpc-lattice-svcs:Invke","Resource":"*"}]}"#;
    let broken = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Perhaps"}]}"#;
    let with = |text: &str, of_user: bool| {
        let mut config = config_with(Given::None, Given::None, Given::NoPolicy);
        if of_user {
            Arc::make_mut(&mut config.users[0]).policies = vec![policy(text)];
        } else {
            Arc::make_mut(&mut config.roles[0]).policies = vec![policy(text)];
        }
        config
    };
    for of_user in [true, false] {
        let policies = compile(&with(warned, of_user)).unwrap();
        assert_eq!(policies.warnings().len(), 1, "{:?}", policies.warnings());
        let problems = compile(&with(broken, of_user)).unwrap_err().to_string();
        let different: BTreeSet<&str> = problems.lines().collect();
        assert_eq!(different.len(), problems.lines().count(), "{problems}");
    }
}

mod changes;
