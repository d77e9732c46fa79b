//! The policies of one network, service or principal, compiled; and what they say about one request.
//!
//! Many services share one policy: equal texts are one layer. For a caller, a service and an action a layer is cut to a
//! [`Slice`], the policies that can apply at all; a slice knows which facts of a request it depends on. Cutting is native and
//! only ever leaves out what surely does not apply; Cedar still evaluates the whole policy for what stays.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet,
    RestrictedExpression,
};
use parking_lot::Mutex;

use crate::{
    cedar::{
        CedarError, Vocabulary,
        native::Native,
        translate::{self, Meaning, ResourceClause, Slot, Translation},
    },
    facts::{Fact, Facts, epoch_seconds, path_text},
    iam::{Effect, Principals, Resources, Statement, condition::Condition, template::Template},
    principal::{Principal, PrincipalType},
    request::Action,
    wildcard::Reach,
};

/// Most slices kept per layer; further ones are made anew each time a view of them is.
const MAX_SLICES: usize = 1_024;

/// The policies of one layer.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(crate) statements: Vec<Compiled>,
    /// Slices by what they keep, so that ten thousand services with one policy share one.
    slices: Mutex<HashMap<Box<[Kept]>, Arc<Slice>>>,
}

/// One statement, or one native policy.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// Its name for operators: `Sid` or id in backticks, or its position.
    pub(crate) name: Arc<str>,
    pub(crate) effect: Effect,
    pub(crate) body: Body,
}

/// Where it came from.
#[derive(Debug)]
pub(crate) enum Body {
    Iam(Box<Iam>),
    Native(Box<Native>),
}

/// An IAM statement and its translations.
#[derive(Debug)]
pub(crate) struct Iam {
    statement: Statement,
    /// With the resource clause.
    full: Translation,
    /// Without it.
    any_path: Translation,
}

/// A statement within a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kept {
    position: u32,
    /// Is the resource clause kept?
    resource: bool,
}

/// The policies of a layer that can apply to requests of one caller to one service.
#[derive(Debug)]
pub(crate) struct Slice {
    policies: PolicySet,
    /// What Cedar reads.
    reads: Box<[Fact]>,
    /// What native code fills, with the position of the statement.
    slots: Box<[(u32, Slot)]>,
    /// What of a request makes a difference.
    pub(crate) demand: Box<[Fact]>,
}

/// What a layer says about a request; statements by position.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Answer {
    /// The first statement that denies.
    pub(crate) denied: Option<usize>,
    /// A statement that could not be evaluated, and why. `None` for the position when it was not a single statement.
    pub(crate) failed: Option<(Option<usize>, String)>,
    /// The first statement that allows.
    pub(crate) allowed: Option<usize>,
}

/// The caller as Cedar knows it.
#[derive(Debug)]
pub(crate) struct CedarCaller {
    uid: EntityUid,
    entities: Vec<Entity>,
    /// The same, ready for evaluation.
    ready: Entities,
}

impl CedarCaller {
    pub(crate) fn new((uid, entities): (EntityUid, Vec<Entity>)) -> Result<Self, CedarError> {
        let ready = Entities::from_entities(entities.clone(), None).map_err(CedarError::new)?;
        Ok(Self {
            uid,
            entities,
            ready,
        })
    }
}

impl Layer {
    pub(crate) fn new(statements: Vec<Compiled>) -> Self {
        Self {
            statements,
            slices: Mutex::default(),
        }
    }

    /// The policies that can apply to requests of this caller with this action to this service.
    pub(crate) fn slice(
        &self,
        action: Action,
        principal: Option<&Principal>,
        service_arn: &str,
    ) -> Result<Arc<Slice>, CedarError> {
        let beginning = format!("{service_arn}/");
        let kept: Box<[Kept]> = (0_u32..)
            .zip(&self.statements)
            .filter_map(|(position, compiled)| {
                let resource = compiled.keeps(action, principal, service_arn, &beginning)?;
                Some(Kept { position, resource })
            })
            .collect();
        if let Some(slice) = self.slices.lock().get(&kept) {
            return Ok(Arc::clone(slice));
        }
        let slice = Arc::new(self.cut(&kept)?);
        let mut slices = self.slices.lock();
        if slices.len() < MAX_SLICES {
            slices.insert(kept, Arc::clone(&slice));
        }
        Ok(slice)
    }

    fn cut(&self, kept: &[Kept]) -> Result<Slice, CedarError> {
        let mut policies = PolicySet::new();
        let mut reads = BTreeSet::new();
        let mut demand = BTreeSet::new();
        let mut slots = Vec::new();
        for kept in kept {
            let Some(compiled) = self.statements.get(kept.position as usize) else {
                continue;
            };
            let (policy, own_reads, own_slots) = compiled.cedar(kept.resource);
            policies.add(policy.clone()).map_err(CedarError::new)?;
            reads.extend(own_reads.iter().cloned());
            for slot in own_slots {
                demand.extend(compiled.slot_facts(slot));
                slots.push((kept.position, slot.clone()));
            }
        }
        demand.extend(reads.iter().filter(|fact| fact.varies()).cloned());
        Ok(Slice {
            policies,
            reads: reads.into_iter().collect(),
            slots: slots.into(),
            demand: demand.into_iter().collect(),
        })
    }

    /// What the policies of a slice say about a request.
    pub(crate) fn answer(
        &self,
        slice: &Slice,
        vocabulary: &Vocabulary,
        caller: &CedarCaller,
        facts: &Facts<'_>,
    ) -> Answer {
        match self.evaluate(slice, vocabulary, caller, facts) {
            Ok(answer) => answer,
            Err(error) => Answer {
                failed: Some((None, error.to_string())),
                ..Answer::default()
            },
        }
    }

    fn evaluate(
        &self,
        slice: &Slice,
        vocabulary: &Vocabulary,
        caller: &CedarCaller,
        facts: &Facts<'_>,
    ) -> Result<Answer, CedarError> {
        let slots = slice.slots.iter().filter_map(|(position, slot)| {
            let statement = self.statements.get(*position as usize)?;
            Some((slot.name.to_string(), statement.fill(slot, facts)))
        });
        let response = ask(
            &slice.policies,
            &slice.reads,
            slots,
            vocabulary,
            caller,
            facts,
        )?;
        let position = |id: &PolicyId| AsRef::<str>::as_ref(id).parse::<usize>().ok();
        let first = response.diagnostics().reason().filter_map(position).min();
        let denied = response.decision() == Decision::Deny;
        Ok(Answer {
            denied: first.filter(|_| denied),
            allowed: first.filter(|_| !denied),
            failed: response.diagnostics().errors().next().map(|error| {
                let cedar_policy::AuthorizationError::PolicyEvaluationError(inner) = error;
                (position(inner.policy_id()), error.to_string())
            }),
        })
    }
}

/// Evaluates policies on a request, with exactly the attributes that they read.
pub(crate) fn ask(
    policies: &PolicySet,
    reads: &[Fact],
    slots: impl Iterator<Item = (String, bool)>,
    vocabulary: &Vocabulary,
    caller: &CedarCaller,
    facts: &Facts<'_>,
) -> Result<cedar_policy::Response, CedarError> {
    let mut attributes: Vec<(String, RestrictedExpression)> = slots
        .map(|(name, value)| (name, RestrictedExpression::new_bool(value)))
        .collect();
    let mut more: Vec<Entity> = Vec::new();
    let mut headers: Option<Vec<(String, RestrictedExpression)>> = None;
    let mut query: Option<Vec<(String, RestrictedExpression)>> = None;
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let texts = |values: crate::facts::Values<'_>| {
        RestrictedExpression::new_set(
            values
                .into_iter()
                .map(|value| RestrictedExpression::new_string(value.into_owned())),
        )
    };
    for fact in reads {
        match fact {
            Fact::Headers => drop(headers.get_or_insert_default()),
            Fact::Header(name) => {
                let value = facts.values(&crate::key::Key::RequestHeader(name.clone()));
                let tag = value
                    .and_then(|values| values.into_iter().next())
                    .map(|value| (name.to_string(), text(&value)));
                headers.get_or_insert_default().extend(tag);
            }
            Fact::AllHeaders => {
                let all = facts.all_headers();
                headers
                    .get_or_insert_default()
                    .extend(all.into_iter().map(|(name, value)| (name, text(&value))));
            }
            Fact::Queries => drop(query.get_or_insert_default()),
            Fact::Query(name) => {
                let values = facts.values(&crate::key::Key::RequestQueryString(name.clone()));
                query
                    .get_or_insert_default()
                    .extend(values.map(|values| (name.to_string(), texts(values))));
            }
            Fact::AllQueries => {
                let all = facts.all_queries();
                query
                    .get_or_insert_default()
                    .extend(all.into_iter().map(|(name, values)| (name, texts(values))));
            }
            Fact::Service => more.push(vocabulary.service_entity(facts)?),
            fact => attributes.extend(attribute(fact, facts)),
        }
    }
    // A connection has no headers and no query, so their attributes are absent, as the schema says.
    let http = facts.request.action == Action::Invoke;
    for (name, uid, tags) in [
        ("headers", vocabulary.headers(), headers),
        ("query", vocabulary.query(), query),
    ] {
        if let Some(tags) = tags.filter(|_| http) {
            // The same name may have been asked for alone and among all; the value is the same.
            let tags: HashMap<String, RestrictedExpression> = tags.into_iter().collect();
            more.push(Entity::new_with_tags(uid.clone(), [], [], tags).map_err(CedarError::new)?);
            attributes.push((name.to_owned(), RestrictedExpression::new_entity_uid(uid)));
        }
    }
    let request = cedar_policy::Request::new(
        caller.uid.clone(),
        vocabulary.action(facts.request.action),
        vocabulary.service(facts.service_arn),
        Context::from_pairs(attributes).map_err(CedarError::new)?,
        None,
    )
    .map_err(CedarError::new)?;
    let authorizer = Authorizer::new();
    if more.is_empty() {
        return Ok(authorizer.is_authorized(&request, policies, &caller.ready));
    }
    more.extend(caller.entities.iter().cloned());
    let entities = Entities::from_entities(more, None).map_err(CedarError::new)?;
    Ok(authorizer.is_authorized(&request, policies, &entities))
}

/// A plain attribute of the context; `None` when the request does not have it.
fn attribute(fact: &Fact, facts: &Facts<'_>) -> Option<(String, RestrictedExpression)> {
    let request = facts.request;
    let text = |name: &str, value: &str| {
        Some((
            name.to_owned(),
            RestrictedExpression::new_string(value.to_owned()),
        ))
    };
    let http = request.action == Action::Invoke;
    match fact {
        Fact::Resource => text("resource", &facts.resource()),
        Fact::Port => Some((
            "port".to_owned(),
            RestrictedExpression::new_long(request.port.into()),
        )),
        Fact::ServiceArn => text("serviceArn", facts.service_arn),
        Fact::NetworkArn => text("serviceNetworkArn", facts.network_arn),
        Fact::SourceVpc => text("sourceVpc", request.source_vpc.as_str()),
        Fact::SourceVpcOwner => text("sourceVpcOwnerAccount", request.source_vpc_owner.as_str()),
        _ if !http => None,
        Fact::Method => text("method", request.method),
        Fact::Path => text("path", &path_text(request.path)),
        Fact::SourceIp => {
            let address = request.source_ip.to_canonical().to_string();
            Some(("sourceIp".to_owned(), RestrictedExpression::new_ip(address)))
        }
        Fact::SecureTransport => Some((
            "secureTransport".to_owned(),
            RestrictedExpression::new_bool(request.secure_transport),
        )),
        Fact::CurrentTime => {
            let time = facts
                .values(&crate::key::Key::CurrentTime)?
                .into_iter()
                .next()?;
            Some((
                "currentTime".to_owned(),
                RestrictedExpression::new_datetime(time),
            ))
        }
        Fact::EpochTime => Some((
            "epochTime".to_owned(),
            RestrictedExpression::new_long(epoch_seconds(request.now)),
        )),
        _ => None,
    }
}

impl Compiled {
    /// Can it apply? `Some(true)` when the path decides, `Some(false)` when the path makes no difference.
    fn keeps(
        &self,
        action: Action,
        principal: Option<&Principal>,
        service_arn: &str,
        beginning: &str,
    ) -> Option<bool> {
        match &self.body {
            Body::Native(native) => native.actions.contains(&action).then_some(true),
            Body::Iam(iam) => {
                let statement = &iam.statement;
                if !statement.actions.contains(&action) || !can_be(&statement.principals, principal)
                {
                    return None;
                }
                match reach(&statement.resources, action, service_arn, beginning) {
                    Reach::Never => None,
                    Reach::Always => Some(false),
                    Reach::Depends => Some(true),
                }
            }
        }
    }

    /// The policy with what it reads and its slots.
    fn cedar(&self, resource: bool) -> (&Policy, &BTreeSet<Fact>, &[Slot]) {
        match &self.body {
            Body::Native(native) => (&native.policy, &native.reads, &[]),
            Body::Iam(iam) => {
                let translation = if resource { &iam.full } else { &iam.any_path };
                (&translation.policy, &translation.reads, &translation.slots)
            }
        }
    }

    /// The whole policy, for explanations: with labels of its clauses, what it reads and its slots.
    pub(crate) fn whole(&self) -> (&Policy, &[Box<str>], &BTreeSet<Fact>, &[Slot]) {
        match &self.body {
            Body::Native(native) => (&native.policy, &native.labels, &native.reads, &[]),
            Body::Iam(iam) => {
                let full = &iam.full;
                (&full.policy, &full.labels, &full.reads, &full.slots)
            }
        }
    }

    /// Was it written in Cedar?
    pub(crate) fn is_native(&self) -> bool {
        matches!(self.body, Body::Native(_))
    }

    /// The facts that a slot depends on.
    fn slot_facts(&self, slot: &Slot) -> Vec<Fact> {
        let Body::Iam(iam) = &self.body else {
            return Vec::new();
        };
        let statement = &iam.statement;
        match slot.meaning {
            Meaning::Resource => {
                let templates = statement.resources.templates.iter();
                let variables = templates.flat_map(Template::facts);
                variables.chain([Fact::Resource]).collect()
            }
            Meaning::Condition(position) => {
                let conditions = statement.conditions.get(position).into_iter();
                conditions.flat_map(Condition::facts).collect()
            }
        }
    }

    /// The value of a slot.
    pub(crate) fn fill(&self, slot: &Slot, facts: &Facts<'_>) -> bool {
        let Body::Iam(iam) = &self.body else {
            return false;
        };
        let statement = &iam.statement;
        match slot.meaning {
            Meaning::Resource => statement.resources.any_fits(&facts.resource(), facts),
            Meaning::Condition(position) => statement
                .conditions
                .get(position)
                .is_some_and(|condition| condition.holds(facts)),
        }
    }
}

/// Compiles an IAM statement.
pub(crate) fn compile_statement(
    statement: Statement,
    id: usize,
    name: Arc<str>,
) -> Result<Compiled, CedarError> {
    let full = translate::translate(&statement, id, ResourceClause::Kept)?;
    let any_path = translate::translate(&statement, id, ResourceClause::Dropped)?;
    Ok(Compiled {
        name,
        effect: statement.effect,
        body: Body::Iam(Box::new(Iam {
            statement,
            full,
            any_path,
        })),
    })
}

/// Can a statement with these principals be about the caller? When in doubt, yes: Cedar decides.
fn can_be(principals: &Principals, principal: Option<&Principal>) -> bool {
    let Principals::Listed(list) = principals else {
        return true;
    };
    let Some(principal) = principal else {
        return false;
    };
    let among = |list: &[Box<str>], text: &str| list.iter().any(|listed| **listed == *text);
    among(&list.accounts, principal.account.as_str())
        || match principal.kind {
            PrincipalType::User => among(&list.users, &principal.arn),
            PrincipalType::AssumedRole => {
                among(&list.sessions, &principal.arn)
                    || among(&list.roles, &principal.principal_arn)
            }
        }
}

/// Does the service alone already decide whether a resource fits?
pub(crate) fn reach(
    resources: &Resources,
    action: Action,
    service_arn: &str,
    beginning: &str,
) -> Reach {
    let mut reached = Reach::Never;
    for template in &resources.templates {
        let outline = template.outline();
        let possible = match action {
            Action::Invoke => outline.reach(beginning) != Reach::Never,
            Action::Connect => outline.matches(service_arn),
        };
        if possible {
            reached = Reach::Depends;
        }
    }
    for pattern in &resources.patterns {
        let one = match action {
            Action::Invoke => pattern.reach(beginning),
            Action::Connect if pattern.matches(service_arn) => Reach::Always,
            Action::Connect => Reach::Never,
        };
        reached = match (reached, one) {
            (Reach::Always, _) | (_, Reach::Always) => Reach::Always,
            (Reach::Depends, _) | (_, Reach::Depends) => Reach::Depends,
            (Reach::Never, Reach::Never) => Reach::Never,
        };
    }
    match (resources.negated, reached) {
        (false, reached) => reached,
        (true, Reach::Always) => Reach::Never,
        (true, Reach::Never) => Reach::Always,
        (true, Reach::Depends) => Reach::Depends,
    }
}
