//! Asking Cedar's own authorizer: what the program compiled from a policy is proven equal to, what decides where there is no
//! program, and what explanations are made of.

use std::collections::BTreeMap;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicyId, PolicySet, Response,
    RestrictedExpression,
};

use crate::{
    cedar::{CedarError, Vocabulary},
    facts::{Fact, Facts, Values, epoch_seconds, path_text},
    key::Key,
    layer::Answer,
    request::Action,
};

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

/// Policies and the attributes that they read.
#[derive(Debug, Default)]
pub(crate) struct Question {
    pub(crate) policies: PolicySet,
    pub(crate) reads: Vec<Fact>,
    /// Booleans of the context that native code fills.
    pub(crate) slots: Vec<(String, bool)>,
}

/// Who asks for what, and all that can be known of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) caller: &'a CedarCaller,
    pub(crate) facts: &'a Facts<'a>,
}

impl Asker<'_> {
    /// What policies whose ids are positions say, put together.
    pub(crate) fn answer(&self, question: &Question) -> Answer {
        let response = match self.ask(question) {
            Ok(response) => response,
            Err(error) => {
                return Answer {
                    failed: Some((None, error.to_string())),
                    ..Answer::default()
                };
            }
        };
        let position = |id: &PolicyId| AsRef::<str>::as_ref(id).parse::<usize>().ok();
        let first = response.diagnostics().reason().filter_map(position).min();
        let denied = response.decision() == Decision::Deny;
        let failed = response.diagnostics().errors().map(|error| {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(inner) = error;
            (position(inner.policy_id()), error.to_string())
        });
        Answer {
            denied: first.filter(|_| denied),
            allowed: first.filter(|_| !denied),
            failed: failed.min(),
        }
    }

    /// Evaluates policies, with exactly the attributes that they read.
    pub(crate) fn ask(&self, question: &Question) -> Result<Response, CedarError> {
        let facts = self.facts;
        let mut entities: Vec<Entity> = Vec::new();
        let mut attributes: Attributes = question
            .slots
            .iter()
            .map(|(name, value)| (name.clone(), RestrictedExpression::new_bool(*value)))
            .collect();
        for fact in &question.reads {
            if *fact == Fact::Service {
                entities.push(self.vocabulary.service_entity(facts)?);
            } else {
                attributes.extend(attribute(fact, facts));
            }
        }
        // A connection has no headers and no query, so their attributes are absent, as the schema says.
        if facts.request.action == Action::Invoke {
            let of = |name, uid, tags: Option<Tags>| tags.map(|tags| (name, uid, tags));
            let found = [
                of(
                    "headers",
                    self.vocabulary.headers(),
                    headers(&question.reads, facts),
                ),
                of(
                    "query",
                    self.vocabulary.query(),
                    query(&question.reads, facts),
                ),
            ];
            for (name, uid, tags) in found.into_iter().flatten() {
                let entity = Entity::new_with_tags(uid.clone(), [], [], tags);
                entities.push(entity.map_err(CedarError::new)?);
                attributes.push((name.to_owned(), RestrictedExpression::new_entity_uid(uid)));
            }
        }
        let request = cedar_policy::Request::new(
            self.caller.uid.clone(),
            self.vocabulary.action(facts.request.action),
            self.vocabulary.service(facts.service_arn),
            Context::from_pairs(attributes).map_err(CedarError::new)?,
            None,
        )
        .map_err(CedarError::new)?;
        let authorizer = Authorizer::new();
        if entities.is_empty() {
            return Ok(authorizer.is_authorized(&request, &question.policies, &self.caller.ready));
        }
        entities.extend(self.caller.entities.iter().cloned());
        let entities = Entities::from_entities(entities, None).map_err(CedarError::new)?;
        Ok(authorizer.is_authorized(&request, &question.policies, &entities))
    }
}

type Attributes = Vec<(String, RestrictedExpression)>;

/// The same name may be asked for alone and among all; the value is the same.
type Tags = BTreeMap<String, RestrictedExpression>;

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn texts(values: Values<'_>) -> RestrictedExpression {
    let values = values.into_iter();
    RestrictedExpression::new_set(
        values.map(|value| RestrictedExpression::new_string(value.into_owned())),
    )
}

/// The headers that are read; `None` when the policies do not look at headers at all.
fn headers(reads: &[Fact], facts: &Facts<'_>) -> Option<Tags> {
    let mut tags: Option<Tags> = None;
    for fact in reads {
        match fact {
            Fact::Headers => drop(tags.get_or_insert_default()),
            Fact::Header(name) => {
                let values = facts.values(&Key::RequestHeader(name.clone()));
                let value = values.and_then(|values| values.into_iter().next());
                let tag = value.map(|value| (name.to_string(), text(&value)));
                tags.get_or_insert_default().extend(tag);
            }
            Fact::AllHeaders => {
                let all = facts.all_headers().into_iter();
                tags.get_or_insert_default()
                    .extend(all.map(|(name, value)| (name, text(&value))));
            }
            _ => {}
        }
    }
    tags
}

/// The query parameters that are read; `None` when the policies do not look at the query at all.
fn query(reads: &[Fact], facts: &Facts<'_>) -> Option<Tags> {
    let mut tags: Option<Tags> = None;
    for fact in reads {
        match fact {
            Fact::Queries => drop(tags.get_or_insert_default()),
            Fact::Query(name) => {
                let values = facts.values(&Key::RequestQueryString(name.clone()));
                let tag = values.map(|values| (name.to_string(), texts(values)));
                tags.get_or_insert_default().extend(tag);
            }
            Fact::AllQueries => {
                let all = facts.all_queries().into_iter();
                tags.get_or_insert_default()
                    .extend(all.map(|(name, values)| (name, texts(values))));
            }
            _ => {}
        }
    }
    tags
}

/// A plain attribute of the context; `None` when the request does not have it.
fn attribute(fact: &Fact, facts: &Facts<'_>) -> Option<(String, RestrictedExpression)> {
    let request = facts.request;
    let text = |name: &str, value: &str| Some((name.to_owned(), text(value)));
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
            let time = facts.values(&Key::CurrentTime)?.into_iter().next()?;
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
