//! The policies of one network, service or principal, compiled; and what they say about one request.
//!
//! Many services share one policy: equal texts are one layer. For a caller, a service and an action a layer is cut to a
//! [`Slice`], the policies that can apply at all; a slice knows which facts of a request it depends on. Programs
//! ([`crate::program`]) decide what stays, and Cedar's authorizer what has no program.

pub(crate) mod reach;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use cedar_policy::{Policy, PolicySet};
use parking_lot::Mutex;

use crate::{
    cedar::{
        CedarError,
        ask::{Asker, Question},
        native::Native,
        translate::{self, Meaning, Slot, Translation},
    },
    facts::Fact,
    iam::{Effect, Statement, condition::Condition, template::Template},
    principal::Principal,
    program::{Env, Failure, Program, compile_iam},
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

/// An IAM statement and what was compiled from its translation.
#[derive(Debug)]
pub(crate) struct Iam {
    statement: Statement,
    program: Program,
    /// What of a request makes a difference, the clause about resources apart.
    demand: Box<[Fact]>,
    /// What of a request makes a difference to the clause about resources.
    resource_demand: Box<[Fact]>,
}

/// A statement within a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kept {
    position: u32,
    /// Does it hold for every path?
    every_path: bool,
}

/// The policies of a layer that can apply to requests of one caller to one service.
#[derive(Debug)]
pub(crate) struct Slice {
    /// Those that deny, in order.
    denying: Box<[Kept]>,
    /// Those that allow, in order.
    allowing: Box<[Kept]>,
    /// Those that have no program, and what they read.
    others: Option<Question>,
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
    /// The first statement that allows; unless one denies.
    pub(crate) allowed: Option<usize>,
}

impl Layer {
    pub(crate) fn new(mut statements: Vec<Compiled>) -> Self {
        statements.shrink_to_fit();
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
                let every_path = compiled.keeps(action, principal, service_arn, &beginning)?;
                Some(Kept {
                    position,
                    every_path,
                })
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
        let mut demand = BTreeSet::new();
        let (mut denying, mut allowing) = (Vec::new(), Vec::new());
        let mut others: Option<(Vec<Policy>, BTreeSet<Fact>)> = None;
        for kept in kept {
            let Some(compiled) = self.statements.get(kept.position as usize) else {
                continue;
            };
            match &compiled.body {
                Body::Iam(iam) => {
                    demand.extend(iam.demand.iter().cloned());
                    if !kept.every_path {
                        demand.extend(iam.resource_demand.iter().cloned());
                    }
                }
                Body::Native(native) => {
                    let varying = native.reads.iter().filter(|fact| fact.varies());
                    demand.extend(varying.cloned());
                    if native.program.is_none() {
                        let (policies, reads) = others.get_or_insert_default();
                        policies.push(native.policy.clone());
                        reads.extend(native.reads.iter().cloned());
                        continue;
                    }
                }
            }
            match compiled.effect {
                Effect::Deny => denying.push(*kept),
                Effect::Allow => allowing.push(*kept),
            }
        }
        let others = others.map(|(policies, reads)| {
            Ok(Question {
                policies: PolicySet::from_policies(policies).map_err(CedarError::new)?,
                reads: reads.into_iter().collect(),
                slots: Vec::new(),
            })
        });
        Ok(Slice {
            denying: denying.into(),
            allowing: allowing.into(),
            others: others.transpose()?,
            demand: demand.into_iter().collect(),
        })
    }

    /// What the policies of a slice say about a request.
    pub(crate) fn answer(&self, slice: &Slice, asker: &Asker<'_>, env: &Env<'_>) -> Answer {
        let others = slice.others.as_ref();
        let mut answer = others.map_or_else(Answer::default, |others| asker.answer(others));
        for kept in &slice.denying {
            if self.applies(*kept, env, &mut answer) {
                answer.denied = Some(earlier(answer.denied, *kept));
                // Nothing can change the answer any more.
                return answer;
            }
        }
        for kept in &slice.allowing {
            // Once one allows, only a failure can change the answer, and IAM statements do not fail.
            let settled = answer.allowed.is_some() && self.is_iam(*kept);
            if !settled && self.applies(*kept, env, &mut answer) {
                answer.allowed = Some(earlier(answer.allowed, *kept));
            }
        }
        answer
    }

    fn is_iam(&self, kept: Kept) -> bool {
        let compiled = self.statements.get(kept.position as usize);
        compiled.is_some_and(|compiled| !compiled.is_native())
    }

    /// Does a statement apply? A failure is noted.
    fn applies(&self, kept: Kept, env: &Env<'_>, answer: &mut Answer) -> bool {
        let position = kept.position as usize;
        let compiled = self.statements.get(position);
        let result = match compiled.map(|compiled| &compiled.body) {
            Some(Body::Iam(iam)) => iam
                .program
                .applies(env, Some(&iam.statement), kept.every_path),
            Some(Body::Native(native)) => match &native.program {
                Some(program) => program.applies(env, None, false),
                None => Err(Failure::Missing),
            },
            None => Err(Failure::Missing),
        };
        result.unwrap_or_else(|failure| {
            let earliest = answer.failed.as_ref().map(|(position, _)| *position);
            if earliest.is_none_or(|earliest| Some(position) < earliest) {
                answer.failed = Some((Some(position), failure.to_string()));
            }
            false
        })
    }
}

/// The earlier of two positions.
fn earlier(found: Option<usize>, kept: Kept) -> usize {
    let position = kept.position as usize;
    found.map_or(position, |found| found.min(position))
}

impl Compiled {
    /// Can it apply? Then: does it hold for every path?
    fn keeps(
        &self,
        action: Action,
        principal: Option<&Principal>,
        service_arn: &str,
        beginning: &str,
    ) -> Option<bool> {
        match &self.body {
            Body::Native(native) => native.actions.contains(&action).then_some(false),
            Body::Iam(iam) => {
                let statement = &iam.statement;
                if !statement.actions.contains(&action)
                    || !reach::is_about(&statement.principals, principal)
                {
                    return None;
                }
                match reach::resources(&statement.resources, action, service_arn, beginning) {
                    Reach::Never => None,
                    Reach::Always => Some(true),
                    Reach::Depends => Some(false),
                }
            }
        }
    }

    /// The whole policy as Cedar has it, with what it reads and the names of its clauses: for explanations.
    pub(crate) fn whole(&self, position: usize, env: &Env<'_>) -> Result<Whole, CedarError> {
        match &self.body {
            Body::Native(native) => Ok(Whole {
                policy: native.policy.clone(),
                labels: native.labels.clone(),
                reads: native.reads.iter().cloned().collect(),
                slots: Vec::new(),
            }),
            Body::Iam(iam) => {
                let translation = translate::translate(&iam.statement, position)?;
                let slots = translation.slots.iter().map(|slot| {
                    let value = env.slot(&iam.statement, slot.meaning);
                    (slot.name.to_string(), value)
                });
                let clauses = translation.clauses.iter();
                let reads = translation.reads.union(&translation.resource_reads);
                Ok(Whole {
                    policy: translation.policy()?,
                    labels: clauses.map(|clause| clause.label.clone()).collect(),
                    reads: reads.cloned().collect(),
                    slots: slots.collect(),
                })
            }
        }
    }

    /// Was it written in Cedar?
    pub(crate) fn is_native(&self) -> bool {
        matches!(self.body, Body::Native(_))
    }
}

/// A policy as Cedar has it.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) policy: Policy,
    /// Names of its clauses.
    pub(crate) labels: Vec<Box<str>>,
    pub(crate) reads: Vec<Fact>,
    /// Its slots with their values.
    pub(crate) slots: Vec<(String, bool)>,
}

/// Compiles an IAM statement.
pub(crate) fn compile_statement(
    mut statement: Statement,
    id: usize,
    name: Arc<str>,
) -> Result<Compiled, CedarError> {
    statement.shrink();
    let translation = translate::translate(&statement, id)?;
    let program =
        compile_iam(&translation).ok_or_else(|| CedarError::new("a part of it has no program"))?;
    let (resource_demand, demand) = demands(&statement, &translation);
    Ok(Compiled {
        name,
        effect: statement.effect,
        body: Body::Iam(Box::new(Iam {
            statement,
            program,
            demand,
            resource_demand,
        })),
    })
}

/// What of a request makes a difference to the clause about resources, and to the rest.
fn demands(statement: &Statement, translation: &Translation) -> (Box<[Fact]>, Box<[Fact]>) {
    let varying = |reads: &BTreeSet<Fact>| -> BTreeSet<Fact> {
        reads.iter().filter(|fact| fact.varies()).cloned().collect()
    };
    let mut resources = varying(&translation.resource_reads);
    let mut rest = varying(&translation.reads);
    for Slot { meaning, .. } in &translation.slots {
        match meaning {
            Meaning::Resource => {
                let templates = statement.resources.templates.iter();
                resources.extend(templates.flat_map(Template::facts));
                resources.insert(Fact::Resource);
            }
            Meaning::Condition(position) => {
                let conditions = statement.conditions.get(*position).into_iter();
                rest.extend(conditions.flat_map(Condition::facts));
            }
        }
    }
    (resources.into_iter().collect(), rest.into_iter().collect())
}

#[cfg(test)]
impl Layer {
    /// What Cedar's authorizer says about a request when it is given every policy whole: nothing cut, nothing compiled.
    pub(crate) fn answer_by_authorizer(&self, asker: &Asker<'_>, env: &Env<'_>) -> Answer {
        let mut question = Question::default();
        let mut reads = BTreeSet::new();
        for (position, compiled) in self.statements.iter().enumerate() {
            let whole = compiled.whole(position, env).unwrap();
            question.policies.add(whole.policy).unwrap();
            reads.extend(whole.reads);
            question.slots.extend(whole.slots);
        }
        question.reads = reads.into_iter().collect();
        asker.answer(&question)
    }
}
