//! Networks and services with their policies.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use trellis_model::{
    arn::Arn,
    config::{AuthPolicyMode, AuthType, Carried, PolicyText, Service, ServiceNetwork},
};

use super::{index, layers::Compiler};
use crate::{cedar::lower_case_tags, iam::read::Attached, layer::Layer};

/// A number that is never used twice in a process, for what decisions depend on: what is remembered of decisions is found by it.
pub(crate) fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What one resource brings to a decision.
#[derive(Debug, Clone)]
pub(crate) struct Guarded {
    /// [`fresh`], so that it stands for all that is here.
    pub(crate) id: u64,
    pub(crate) arn: Arn,
    /// Its policies; `None` while its auth type is `NONE`. `AWS_IAM` without a policy is a layer without statements.
    pub(crate) layer: Option<Arc<Layer>>,
    /// Was there a policy at all?
    pub(crate) has_policy: bool,
    /// Is its policy in audit, so that it counts for candidates only?
    pub(crate) audited: bool,
    /// Is its policy in audit, or has it a candidate? Then what is said here and what is rehearsed may differ.
    pub(crate) rehearsed: bool,
    /// Tags by key in lower case.
    pub(crate) tags: Box<[(Box<str>, Box<str>)]>,
}

/// All networks, or all services.
#[derive(Debug)]
pub(crate) struct All {
    /// As they are enforced, in the order of the configuration.
    pub(crate) active: Vec<Arc<Guarded>>,
    /// As they are rehearsed, in the same order: the same where nothing else is rehearsed. `None` where that is so of all.
    pub(crate) rehearsed: Option<Vec<Arc<Guarded>>>,
}

/// A network or service as configured.
struct Written<'a> {
    arn: &'a Arn,
    auth_type: AuthType,
    mode: AuthPolicyMode,
    policy: Option<&'a PolicyText>,
    shadow: Option<&'a PolicyText>,
    tags: Box<[(Box<str>, Box<str>)]>,
}

/// The service networks. `before` has what `carried` says was there before, as it is enforced and as it is rehearsed.
pub(super) fn networks(
    compiler: &mut Compiler,
    networks: &[Arc<ServiceNetwork>],
    carried: &Carried,
    before: Before<'_>,
) -> All {
    all(networks, carried, before, |network| {
        compiler.guarded(&Written {
            arn: &network.arn,
            auth_type: network.auth_type,
            mode: network.auth_policy_mode,
            policy: network.auth_policy.as_ref(),
            shadow: network.shadow_auth_policy.as_ref(),
            tags: Box::default(),
        })
    })
}

/// The services, likewise.
pub(super) fn services(
    compiler: &mut Compiler,
    services: &[Arc<Service>],
    carried: &Carried,
    before: Before<'_>,
) -> All {
    all(services, carried, before, |service| {
        compiler.guarded(&Written {
            arn: &service.arn,
            auth_type: service.auth_type,
            mode: service.auth_policy_mode,
            policy: service.auth_policy.as_ref(),
            shadow: service.shadow_auth_policy.as_ref(),
            tags: lower_case_tags(&service.tags).into(),
        })
    })
}

/// What was compiled before: as it is enforced, and as it is rehearsed if that differed anywhere.
pub(super) type Before<'a> = (&'a [Arc<Guarded>], Option<&'a [Arc<Guarded>]>);

fn all<T>(
    configured: &[Arc<T>],
    carried: &Carried,
    (active_before, rehearsed_before): Before<'_>,
    mut compile: impl FnMut(&T) -> (Arc<Guarded>, Option<Arc<Guarded>>),
) -> All {
    let mut active: Vec<Arc<Guarded>> = Vec::with_capacity(configured.len());
    let mut rehearsed: Option<Vec<Arc<Guarded>>> = None;
    for (position, one) in configured.iter().enumerate() {
        let from = carried.from(position);
        let known = from.and_then(|from| active_before.get(from));
        let (enforced, candidate) = match (known, from, rehearsed_before) {
            (Some(known), Some(from), Some(rehearsed)) if known.rehearsed => {
                (Arc::clone(known), rehearsed.get(from).cloned())
            }
            (Some(known), ..) => (Arc::clone(known), None),
            (None, ..) => compile(one),
        };
        if candidate.is_some() && rehearsed.is_none() {
            rehearsed = Some(active.clone());
        }
        if let Some(rehearsed) = &mut rehearsed {
            rehearsed.push(candidate.unwrap_or_else(|| Arc::clone(&enforced)));
        }
        active.push(enforced);
    }
    All { active, rehearsed }
}

impl Compiler {
    /// What is enforced, and what else is rehearsed.
    fn guarded(&mut self, written: &Written<'_>) -> (Arc<Guarded>, Option<Arc<Guarded>>) {
        let mut layer_of = |policy: Option<&PolicyText>| {
            let policies = policy.map_or(&[] as &[_], std::slice::from_ref);
            self.layer(Attached::ToResource, policies)
        };
        // A policy is read also while it does not count: switching it on must not bring surprises.
        let layer = layer_of(written.policy);
        let shadow = written.shadow.map(|policy| (layer_of(Some(policy)), true));
        let has_policy = written.policy.is_some();
        let counts = written.auth_type == AuthType::AwsIam;
        let audited = counts && written.mode == AuthPolicyMode::Audit;
        let candidate = shadow.or_else(|| audited.then(|| (Arc::clone(&layer), has_policy)));
        let active = Guarded {
            id: fresh(),
            arn: written.arn.clone(),
            layer: (counts && !audited).then_some(layer),
            has_policy,
            rehearsed: candidate.is_some(),
            audited,
            tags: written.tags.clone(),
        };
        let rehearsed = candidate.map(|(layer, has_policy)| {
            Arc::new(Guarded {
                id: fresh(),
                layer: Some(layer),
                has_policy,
                ..active.clone()
            })
        });
        (Arc::new(active), rehearsed)
    }
}

/// Positions by id.
pub(super) fn numbered<Id: Hash + Eq, Index>(
    ids: impl Iterator<Item = Id>,
    new: impl Fn(u32) -> Index,
) -> HashMap<Id, Index, foldhash::fast::RandomState> {
    ids.enumerate()
        .map(|(position, id)| (id, new(index(position))))
        .collect()
}
