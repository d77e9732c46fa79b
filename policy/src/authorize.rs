//! May the request pass?
//!
//! Layers: N, the policy of the service network, counts when the network's auth type is `AWS_IAM`; S, the policy of the service,
//! likewise; I, the policies of the caller, counts when the caller is authenticated and N or S counts. With I count, where the caller
//! has them, its permissions boundary and the policies of its session, as layers of their own: what one of them does not allow,
//! the others cannot make up for. The request may pass when no counted layer denies and every counted layer allows. The first
//! missing permission is reported in this order; a denial anywhere is reported before any missing permission. A counted layer in
//! which a policy fails to evaluate refuses.
//!
//! Source: VPC Lattice user guide, "Control access to VPC Lattice services using auth policies"; IAM user guide, "Policy
//! evaluation logic".
//!
//! A request first finds its *view*: the layers that count for this network, service, caller and action, each cut to the
//! policies that can apply, and the facts that they depend on. A view is made once and kept. Where no fact makes a difference
//! the view holds the decision itself; else the values of the facts are the key into the cache of decisions; what is not there
//! is evaluated. No lock is held while anything is evaluated.

use std::{
    collections::{BTreeSet, HashMap},
    hash::BuildHasher,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::fast::RandomState;
use parking_lot::RwLock;
use smallvec::SmallVec;

use crate::{
    cache::{Cache, Lookups},
    cedar::{
        CedarError,
        ask::{Asker, CedarCaller},
    },
    compile::{Known, NetworkIndex, Policies, ServiceIndex},
    decision::{Grounds, Layer as LayerName, Permit, Refusal, RefusalKind},
    facts::{Fact, Facts, Fingerprint},
    layer::{Answer, Layer, Slice},
    principal::{Caller, PrincipalIndex},
    program::Env,
    request::{Action, Request},
};

/// Sets of eight decisions each: 32 768 decisions, 16 MiB of keys at the very most and a tenth of that in practice.
const CACHE_SETS: usize = 4_096;

/// Parts of the table of views, each behind its own lock.
const VIEW_SHARDS: usize = 64;

/// Most views per part; a full part is emptied. 65 536 views in all.
const VIEWS_PER_SHARD: usize = 1_024;

/// Most views that a session keeps of its own; beyond, all of them are made anew.
const VIEWS_PER_SESSION: usize = 64;

/// What decisions leave behind: views and cached decisions, both bounded.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Never used twice in a process. The views of a session tell by it which policies they are of: the active ones and a candidate
    /// beside them meet the same sessions.
    id: u64,
    decisions: Cache<Verdict>,
    views: Box<[RwLock<Views>]>,
    hasher: RandomState,
    next_view: AtomicU64,
}

impl Default for Memory {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            decisions: Cache::new(CACHE_SETS),
            views: std::iter::repeat_with(RwLock::default)
                .take(VIEW_SHARDS)
                .collect(),
            hasher: RandomState::default(),
            next_view: AtomicU64::new(0),
        }
    }
}

/// One part of the table of views, or the views of one session: those go when it goes, because they hold its policies.
pub(crate) type Views = HashMap<ViewKey, Arc<View>, RandomState>;

/// What a view is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ViewKey {
    memory: u64,
    network: NetworkIndex,
    service: ServiceIndex,
    /// None for anonymous callers, and for a session among its own views.
    principal: Option<PrincipalIndex>,
    action: Action,
}

/// The counted layers as one caller meets them at one service.
#[derive(Debug)]
pub(crate) struct View {
    /// Never used twice, so that decisions of a view that is gone are never found again.
    id: u64,
    pub(crate) layers: Vec<(LayerName, Arc<Layer>, Arc<Slice>)>,
    demand: Box<[Fact]>,
    /// The decision, when no fact makes a difference.
    constant: OnceLock<Verdict>,
}

/// A decision that can be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allow(Grounds),
    Refuse(Refusal),
}

impl Policies {
    /// May the request pass? The only source of permits.
    ///
    /// An index that is not of these policies is refused.
    pub fn authorize(&self, request: &Request<'_>) -> Result<Permit, Refusal> {
        match self.verdict(request) {
            Verdict::Allow(grounds) => Ok(Permit::new(request.caller.clone(), grounds)),
            Verdict::Refuse(refusal) => Err(refusal),
        }
    }

    /// Lookups in the cache of decisions since these policies were compiled. Decisions that no fact of a request makes differ are
    /// kept elsewhere and not looked up.
    pub fn decision_lookups(&self) -> Lookups {
        self.memory.decisions.lookups()
    }

    pub(crate) fn verdict(&self, request: &Request<'_>) -> Verdict {
        let facts = match self.facts(request) {
            Ok(facts) => facts,
            Err(layer) => return failed(layer, request.action),
        };
        if !self.counts(LayerName::Network, request) && !self.counts(LayerName::Service, request) {
            return Verdict::Allow(Grounds::NONE);
        }
        let Ok(view) = self.view(request) else {
            return failed(LayerName::Network, request.action);
        };
        if view.demand.is_empty() {
            let verdict = view.constant.get_or_init(|| self.evaluate(&view, &facts));
            return verdict.clone();
        }
        let mut key = Fingerprint::new();
        let whole = view.demand.iter().all(|fact| facts.write(fact, &mut key));
        if !whole {
            return self.evaluate(&view, &facts);
        }
        if let Some(verdict) = self.memory.decisions.get(view.id, &key) {
            return verdict;
        }
        let verdict = self.evaluate(&view, &facts);
        self.memory.decisions.put(view.id, &key, verdict.clone());
        verdict
    }

    /// What policies can ask about the request; the layer that cannot be known when an index is foreign.
    pub(crate) fn facts<'a>(&'a self, request: &'a Request<'a>) -> Result<Facts<'a>, LayerName> {
        let network = self
            .networks
            .get(request.network.0 as usize)
            .ok_or(LayerName::Network)?;
        let service = self
            .services
            .get(request.service.0 as usize)
            .ok_or(LayerName::Service)?;
        let known = match request.caller {
            Caller::Anonymous => None,
            caller => Some(self.known(caller).ok_or(LayerName::Identity)?),
        };
        Ok(Facts {
            request,
            principal: known.map(|known| &known.principal),
            principal_tags: known.map_or(&[], |known| &known.tags),
            network_arn: network.arn.as_str(),
            service_arn: service.arn.as_str(),
            service_tags: &service.tags,
        })
    }

    pub(crate) fn known<'a>(&'a self, caller: &'a Caller) -> Option<&'a Known> {
        match caller {
            Caller::Anonymous => None,
            Caller::Principal(index) => self.principals.get(index.0 as usize),
            Caller::Session(session) => Some(&session.known),
        }
    }

    pub(crate) fn cedar_caller<'a>(&'a self, caller: &'a Caller) -> &'a CedarCaller {
        self.known(caller)
            .map_or(&self.anonymous, |known| &known.cedar)
    }

    /// Names of the statements on which a permit rests, by layer, for a request of this caller to this network and service.
    pub fn allowing<'a>(
        &'a self,
        (network, service): (NetworkIndex, ServiceIndex),
        caller: &'a Caller,
        grounds: Grounds,
    ) -> [Option<&'a str>; LayerName::ALL.len()] {
        LayerName::ALL.map(|name| {
            let position = grounds.position(name)?;
            let layer = self.counted_of(name, (network, service), caller)?;
            Some(&*layer.statements.get(position)?.name)
        })
    }

    /// The policies of a layer, when it counts.
    pub(crate) fn counted<'a>(
        &'a self,
        layer: LayerName,
        request: &Request<'a>,
    ) -> Option<&'a Arc<Layer>> {
        self.counted_of(layer, (request.network, request.service), request.caller)
    }

    fn counted_of<'a>(
        &'a self,
        layer: LayerName,
        (network, service): (NetworkIndex, ServiceIndex),
        caller: &'a Caller,
    ) -> Option<&'a Arc<Layer>> {
        let network = self.networks.get(network.0 as usize)?.layer.as_ref();
        let service = self.services.get(service.0 as usize)?.layer.as_ref();
        match layer {
            LayerName::Network => network,
            LayerName::Service => service,
            LayerName::Identity | LayerName::Boundary | LayerName::Session => {
                let consulted = network.is_some() || service.is_some();
                let known = self.known(caller).filter(|_| consulted)?;
                match layer {
                    LayerName::Boundary => known.boundary.as_ref(),
                    LayerName::Session => known.restriction.as_ref(),
                    _ => Some(&known.layer),
                }
            }
        }
    }

    fn counts(&self, layer: LayerName, request: &Request<'_>) -> bool {
        self.counted(layer, request).is_some()
    }

    pub(crate) fn view(&self, request: &Request<'_>) -> Result<Arc<View>, CedarError> {
        let key = ViewKey {
            memory: self.memory.id,
            network: request.network,
            service: request.service,
            principal: match request.caller {
                Caller::Principal(index) => Some(*index),
                Caller::Anonymous | Caller::Session(_) => None,
            },
            action: request.action,
        };
        let (views, most) = if let Caller::Session(session) = request.caller {
            (&session.views, VIEWS_PER_SESSION)
        } else {
            let shard = self.memory.hasher.hash_one(key) % (VIEW_SHARDS as u64);
            let shard = usize::try_from(shard).unwrap_or(0);
            let Some(shard) = self.memory.views.get(shard) else {
                return self.make_view(request).map(Arc::new);
            };
            (shard, VIEWS_PER_SHARD)
        };
        if let Some(view) = views.read().get(&key) {
            return Ok(Arc::clone(view));
        }
        let view = Arc::new(self.make_view(request)?);
        let mut views = views.write();
        if views.len() >= most {
            views.clear();
        }
        // Another worker may have been faster; then its view stays.
        Ok(Arc::clone(views.entry(key).or_insert(view)))
    }

    fn make_view(&self, request: &Request<'_>) -> Result<View, CedarError> {
        let service_arn = self
            .services
            .get(request.service.0 as usize)
            .map_or("", |service| service.arn.as_str());
        let principal = self.known(request.caller).map(|known| &known.principal);
        let mut layers = Vec::new();
        for name in LayerName::ALL {
            if let Some(layer) = self.counted(name, request) {
                let slice = layer.slice(request.action, principal, service_arn)?;
                layers.push((name, Arc::clone(layer), slice));
            }
        }
        let demand: BTreeSet<Fact> = layers
            .iter()
            .flat_map(|(_, _, slice)| slice.demand.iter().cloned())
            .collect();
        Ok(View {
            id: self.memory.next_view.fetch_add(1, Ordering::Relaxed),
            layers,
            demand: demand.into_iter().collect(),
            constant: OnceLock::new(),
        })
    }

    fn evaluate(&self, view: &View, facts: &Facts<'_>) -> Verdict {
        let answers = view.answers(&self.asker(facts), &Env::new(facts));
        self.conclude(&answers, facts.request)
    }

    fn conclude(&self, answers: &Answers, request: &Request<'_>) -> Verdict {
        let Some((layer, kind, statement)) = combine(answers) else {
            let allowing = answers
                .iter()
                .filter_map(|(layer, answer)| Some((*layer, answer.allowed?)));
            return Verdict::Allow(allowing.fold(Grounds::NONE, |grounds, (layer, position)| {
                grounds.with(layer, position)
            }));
        };
        let statement = statement.and_then(|position| {
            let policies = self.counted(layer, request)?;
            let statement = policies.statements.get(position)?;
            Some(Arc::clone(&statement.name))
        });
        Verdict::Refuse(Refusal {
            layer,
            kind,
            statement,
            action: request.action,
        })
    }

    /// What Cedar needs to know of a request.
    pub(crate) fn asker<'a>(&'a self, facts: &'a Facts<'a>) -> Asker<'a> {
        Asker {
            vocabulary: &self.vocabulary,
            caller: self.cedar_caller(facts.request.caller),
            facts,
        }
    }
}

impl View {
    /// What each counted layer says.
    pub(crate) fn answers(&self, asker: &Asker<'_>, env: &Env<'_>) -> Answers {
        self.layers
            .iter()
            .map(|(name, layer, slice)| (*name, layer.answer(slice, asker, env)))
            .collect()
    }
}

/// What the layers say, in their order.
pub(crate) type Answers = SmallVec<[(LayerName, Answer); 3]>;

fn failed(layer: LayerName, action: Action) -> Verdict {
    Verdict::Refuse(Refusal {
        layer,
        kind: RefusalKind::EvaluationFailed,
        statement: None,
        action,
    })
}

/// What refuses, if anything: a denial before a failed evaluation before a missing permission, each in the order of the layers.
fn combine(answers: &[(LayerName, Answer)]) -> Option<(LayerName, RefusalKind, Option<usize>)> {
    let denied = answers
        .iter()
        .find_map(|(layer, answer)| Some((*layer, RefusalKind::Explicit, Some(answer.denied?))));
    let failed = || {
        answers.iter().find_map(|(layer, answer)| {
            let (statement, _) = answer.failed.as_ref()?;
            Some((*layer, RefusalKind::EvaluationFailed, *statement))
        })
    };
    let missing = || {
        answers
            .iter()
            .find(|(_, answer)| answer.allowed.is_none())
            .map(|(layer, _)| (*layer, RefusalKind::Implicit, None))
    };
    denied.or_else(failed).or_else(missing)
}

#[cfg(test)]
impl Policies {
    /// The same decision by Cedar's authorizer alone, which is given every counted policy whole.
    pub(crate) fn authorize_by_cedar(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let facts = self.facts(request).unwrap();
        let (asker, env) = (self.asker(&facts), Env::new(&facts));
        let answers = LayerName::ALL.into_iter().filter_map(|name| {
            let layer = self.counted(name, request)?;
            Some((name, layer.answer_by_authorizer(&asker, &env)))
        });
        match self.conclude(&answers.collect(), request) {
            Verdict::Allow(_) => Ok(()),
            Verdict::Refuse(refusal) => Err(refusal),
        }
    }
}

#[cfg(test)]
mod tests;
