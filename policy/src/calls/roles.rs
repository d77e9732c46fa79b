//! Who may assume which role.

use std::{collections::HashMap, sync::Arc, time::Duration};

use foldhash::fast::RandomState;

use trellis_model::{
    config::{Carried, Config, PolicyText, Role, User},
    name::AccountId,
    problem::{Problem, Problems, Severity},
};

use super::{
    Call, CallBy, CallContext, CallLayer, CallRefusal, Grant, Said, grant, say, say_all,
    session_policy,
};
use crate::{
    iam::read::{
        Attached,
        calls::{CallStatement, read_calls},
    },
    principal::Principal,
};

/// A role as whoever wants to assume it meets it.
#[derive(Debug)]
pub struct AssumableRole {
    /// Its ARN.
    pub arn: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its account.
    pub account: AccountId,
    /// Longest life of a session.
    pub longest: Duration,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// Whom it trusts; nobody, without a trust policy.
    trust: Vec<CallStatement>,
}

/// Whoever has policies of its own.
#[derive(Debug)]
enum Own {
    User(Arc<User>),
    Role(Arc<Role>),
}

impl Own {
    /// Its policies and its permissions boundary.
    fn policies(&self) -> (&[PolicyText], Option<&PolicyText>) {
        match self {
            Self::User(user) => (&user.policies, user.permissions_boundary.as_ref()),
            Self::Role(role) => (&role.policies, role.permissions_boundary.as_ref()),
        }
    }
}

/// The policies of a configuration as far as calls are concerned.
#[derive(Debug)]
pub struct CallPolicies {
    roles: HashMap<Box<str>, Arc<AssumableRole>, RandomState>,
    /// By ARN of the user or role.
    own: HashMap<Box<str>, Own, RandomState>,
}

impl CallPolicies {
    /// Reads the trust policies, of roles that are not carried over from those before; the problems that come with the result are
    /// warnings.
    pub(crate) fn compile(
        config: &Config,
        before: Option<(&Self, &Carried)>,
    ) -> Result<(Self, Vec<Problem>), Problems> {
        let mut problems = Vec::new();
        let mut roles: HashMap<Box<str>, Arc<AssumableRole>, RandomState> = HashMap::default();
        let mut own: HashMap<Box<str>, Own, RandomState> = HashMap::default();
        for user in &config.users {
            own.insert(user.arn.as_str().into(), Own::User(Arc::clone(user)));
        }
        for (position, role) in config.roles.iter().enumerate() {
            own.insert(role.arn.as_str().into(), Own::Role(Arc::clone(role)));
            let carried = before.filter(|(_, carried)| carried.from(position).is_some());
            let carried = carried.and_then(|(before, _)| before.roles.get(role.arn.as_str()));
            if let Some(known) = carried {
                roles.insert(role.arn.as_str().into(), Arc::clone(known));
                continue;
            }
            let trust = match &role.trust_policy {
                None => Ok((Vec::new(), Vec::new())),
                Some(policy) => read_calls(policy, Attached::Trust),
            };
            match trust {
                Err(found) => problems.extend(found),
                Ok((trust, found)) => {
                    problems.extend(found);
                    let tags = role.tags.iter();
                    let assumable = AssumableRole {
                        arn: role.arn.as_str().into(),
                        name: role.name.clone(),
                        account: role.account.clone(),
                        longest: role.max_session_duration,
                        tags: tags.map(|(k, v)| (k.clone(), v.clone())).collect(),
                        trust,
                    };
                    roles.insert(assumable.arn.clone(), Arc::new(assumable));
                }
            }
        }
        if problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
        {
            return Err(problems.into_iter().collect());
        }
        Ok((Self { roles, own }, problems))
    }

    /// The role with this ARN.
    pub fn role(&self, arn: &str) -> Option<&AssumableRole> {
        self.roles.get(arn).map(|role| &**role)
    }

    /// May the caller do this with the role, as its trust policy and the caller's own policies have it?
    ///
    /// Within one account it is enough that the trust policy names the caller or its role; whoever is trusted through an account,
    /// or as one of all, needs a permission of its own, and so does everybody from another account.
    ///
    /// Source: IAM user guide, "Policy evaluation logic" and "Cross-account policy evaluation logic". That a trust in everybody
    /// (`*`) asks for a permission of one's own is ours.
    pub fn may_assume(
        &self,
        role: &AssumableRole,
        by: CallBy<'_>,
        action: &str,
        context: &CallContext,
    ) -> Result<(), CallRefusal> {
        let action = action.to_ascii_lowercase();
        let call = Call {
            action: &action,
            resource: &role.arn,
            context,
        };
        let refused = |by, explicit| Err(CallRefusal { by, explicit });
        let own = match by {
            CallBy::Federated(_) => Vec::new(),
            CallBy::Principal {
                principal,
                session_policies,
            } => self.own(principal, session_policies, call),
        };
        let trust = say(&role.trust, call, |statement| grant(statement, by));
        if trust == Said::Denied {
            return refused(CallLayer::Trust, true);
        }
        if let Some((layer, _)) = own.iter().find(|(_, said)| *said == Said::Denied) {
            return refused(*layer, true);
        }
        let Said::Allowed(mut grant) = trust else {
            return refused(CallLayer::Trust, false);
        };
        if let CallBy::Principal { principal, .. } = by
            && principal.account != role.account
        {
            grant = Grant::Broad;
        }
        let missing = own.iter().find(|(layer, said)| {
            let asked = match grant {
                Grant::Direct => false,
                Grant::Role => *layer != CallLayer::Identity,
                Grant::Broad => true,
            };
            asked && !matches!(said, Said::Allowed(_))
        });
        match missing {
            Some((layer, _)) => refused(*layer, false),
            None => Ok(()),
        }
    }

    /// May a principal do this with a resource of its own account, as its own policies and their limits have it? Each of them must
    /// allow it, and none deny.
    pub fn may_call(
        &self,
        principal: &Principal,
        session_policies: &[Box<str>],
        (action, resource): (&str, &str),
        context: &CallContext,
    ) -> Result<(), CallRefusal> {
        let action = action.to_ascii_lowercase();
        let call = Call {
            action: &action,
            resource,
            context,
        };
        let own = self.own(principal, session_policies, call);
        let denied = own.iter().find(|(_, said)| *said == Said::Denied);
        let missing = || own.iter().find(|(_, said)| *said == Said::Nothing);
        match denied.or_else(missing) {
            Some((by, said)) => Err(CallRefusal {
                by: *by,
                explicit: *said == Said::Denied,
            }),
            None => Ok(()),
        }
    }

    /// What the caller's own policies and their limits say.
    fn own(
        &self,
        principal: &Principal,
        session_policies: &[Box<str>],
        call: Call<'_>,
    ) -> Vec<(CallLayer, Said)> {
        let Some(own) = self.own.get(&principal.principal_arn) else {
            // Nobody that is not in the configuration has a permission.
            return vec![(CallLayer::Identity, Said::Denied)];
        };
        let (policies, boundary) = own.policies();
        let mut said = vec![(CallLayer::Identity, say_all(policies, call))];
        if let Some(boundary) = boundary {
            said.push((CallLayer::Boundary, say_all([boundary], call)));
        }
        if !session_policies.is_empty() {
            let policies: Vec<PolicyText> = session_policies
                .iter()
                .map(|text| session_policy(text))
                .collect();
            said.push((CallLayer::Session, say_all(&policies, call)));
        }
        said
    }
}
