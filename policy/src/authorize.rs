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
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
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
    compile::{Guarded, Known, NetworkIndex, Policies, ServiceIndex, fresh},
    decision::{Grounds, Layer as LayerName, Permit, Refusal, RefusalKind},
    facts::{Fact, Facts, Fingerprint},
    layer::{Answer, Layer, Slice},
    principal::Caller,
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
///
/// It outlives configurations. A view is found by numbers that stand for the policies and the caller that it was made for
/// ([`fresh`]), so whatever is compiled anew finds none of the views, and none of the decisions, of what it replaces.
#[derive(Debug)]
pub(crate) struct Memory {
    /// [`fresh`]. The views of a session tell by it which policies they are of: the active ones and a candidate
    /// beside them meet the same sessions.
    id: u64,
    decisions: Cache<Verdict>,
    views: Box<[RwLock<Views>]>,
    hasher: RandomState,
    next_view: AtomicU64,
    /// The part of the table that is tidied next.
    tidied: AtomicUsize,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            id: fresh(),
            decisions: Cache::new(CACHE_SETS),
            views: std::iter::repeat_with(RwLock::default)
                .take(VIEW_SHARDS)
                .collect(),
            hasher: RandomState::default(),
            next_view: AtomicU64::new(0),
            tidied: AtomicUsize::new(0),
        }
    }
}

impl Memory {
    /// Forgets views of policies and callers that are gone, in one part of the table at each call: with every configuration that
    /// follows another. So what views keep of a policy is gone soon after the policy is.
    pub(crate) fn tidy(&self) {
        let part = self.tidied.fetch_add(1, Ordering::Relaxed) % VIEW_SHARDS;
        if let Some(part) = self.views.get(part) {
            part.write().retain(|_, view| view.is_of_living());
        }
    }

    /// How many views are kept.
    #[cfg(test)]
    pub(crate) fn views(&self) -> usize {
        self.views.iter().map(|part| part.read().len()).sum()
    }
}

/// One part of the table of views, or the views of one session: those go when it goes, because they hold its policies.
pub(crate) type Views = HashMap<ViewKey, Arc<View>, RandomState>;

/// What a view is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ViewKey {
    memory: u64,
    network: u64,
    service: u64,
    /// None for anonymous callers, and for a session among its own views.
    principal: Option<u64>,
    action: Action,
}

/// The counted layers as one caller meets them at one service.
#[derive(Debug)]
pub(crate) struct View {
    /// Never used twice in a memory, so that decisions of a view that is gone are never found again.
    id: u64,
    network: Weak<Guarded>,
    service: Weak<Guarded>,
    /// `None` where the view goes with its caller anyway.
    principal: Option<Weak<Known>>,
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

    /// Lookups in the cache of decisions since it was begun, with the first configuration. Decisions that no fact of a request makes differ are
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
            Caller::Principal(_) => self.lasting(caller).map(|known| &**known),
            Caller::Session(session) => Some(&session.known),
        }
    }

    /// A principal of the configuration itself.
    fn lasting(&self, caller: &Caller) -> Option<&Arc<Known>> {
        match caller {
            Caller::Principal(index) => self.callers.principals.get(index.0 as usize),
            Caller::Anonymous | Caller::Session(_) => None,
        }
    }

    pub(crate) fn cedar_caller<'a>(&'a self, caller: &'a Caller) -> &'a CedarCaller {
        self.known(caller)
            .map_or(&self.callers.anonymous, |known| &known.cedar)
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
        let guarded = (
            self.networks.get(request.network.0 as usize),
            self.services.get(request.service.0 as usize),
        );
        let (Some(network), Some(service)) = guarded else {
            return self.make_view(request).map(Arc::new);
        };
        let principal = self.lasting(request.caller).map(|known| known.id);
        if principal.is_none() && matches!(request.caller, Caller::Principal(_)) {
            // It must not be taken for an anonymous caller's.
            return self.make_view(request).map(Arc::new);
        }
        let key = ViewKey {
            memory: self.memory.id,
            network: network.id,
            service: service.id,
            principal,
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
        let network = self.networks.get(request.network.0 as usize);
        let service = self.services.get(request.service.0 as usize);
        let service_arn = service.map_or("", |service| service.arn.as_str());
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
            network: network.map(Arc::downgrade).unwrap_or_default(),
            service: service.map(Arc::downgrade).unwrap_or_default(),
            principal: self.lasting(request.caller).map(Arc::downgrade),
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
            vocabulary: &self.callers.vocabulary,
            caller: self.cedar_caller(facts.request.caller),
            facts,
        }
    }
}

impl View {
    /// Is what it was made for still part of any configuration?
    fn is_of_living(&self) -> bool {
        let lives = |guarded: &Weak<Guarded>| guarded.strong_count() > 0;
        let principal = self.principal.as_ref();
        lives(&self.network)
            && lives(&self.service)
            && principal.is_none_or(|known| known.strong_count() > 0)
    }

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
