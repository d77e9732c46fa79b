//! From an IAM statement to a Cedar policy.
//!
//! | IAM | Cedar |
//! |---|---|
//! | `Allow`, `Deny` | `permit`, `forbid` |
//! | account, role, user, session | `principal in [Trellis::Account::"…"]` and so on |
//! | `Action` | `action in […]`, resolved when read |
//! | `Resource` | `context.resource like "…"` |
//! | `StringEquals`, `StringLike`, `Null`, `Bool` on a Boolean | `==`, `contains`, `like`, `has` |
//! | keys of several values | sets: `containsAny`, `containsAll` |
//! | everything else: `?`, ignored case, ARNs, numbers, addresses | a *slot*: a Boolean of the context, filled by native code |
//!
//! A slot is filled before evaluation, and only when a policy that can apply reads it. Decision record 0003 argues why.

use std::{collections::BTreeSet, sync::Arc};

use cedar_policy::{
    Policy,
    pst::{
        self, ActionConstraint, BinaryOp, Clause, EntityType, EntityUID, Expr, Literal, Name,
        NonEmpty, PatternElem, PrincipalConstraint, ResourceConstraint, SmolStr, Template, UnaryOp,
        Var,
    },
};

use crate::{
    cedar::{CedarError, action_name},
    facts::Fact,
    iam::{
        Effect, PrincipalList, Principals, Resources, Statement,
        condition::{Condition, Quantifier, Test},
    },
    key::Key,
    wildcard::{Part, Pattern},
};

/// A statement in Cedar.
#[derive(Debug, Clone)]
pub(crate) struct Translation {
    pub(crate) template: Template,
    /// For each `when` of the policy, the part of the statement that it stands for.
    pub(crate) clauses: Vec<Written>,
    /// The attributes that it reads, the clause about resources apart.
    pub(crate) reads: BTreeSet<Fact>,
    /// What the clause about resources reads.
    pub(crate) resource_reads: BTreeSet<Fact>,
    /// The slots that it reads.
    pub(crate) slots: Vec<Slot>,
}

/// The part of a statement that a clause stands for.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) element: Element,
    /// As written: `Principal`, `NotResource`, `Condition.StringLike.aws:PrincipalArn`.
    pub(crate) label: Box<str>,
}

/// Kinds of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    Principal,
    Resource,
    Condition,
}

impl Translation {
    /// The policy, for Cedar's authorizer and validator.
    pub(crate) fn policy(&self) -> Result<Policy, CedarError> {
        let policy = pst::StaticPolicy::try_from(self.template.clone()).map_err(CedarError::new)?;
        Policy::from_pst(policy.into()).map_err(CedarError::new)
    }
}

/// A Boolean of the context that native code fills.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// Its attribute in the context.
    pub(crate) name: SmolStr,
    pub(crate) meaning: Meaning,
}

/// What a slot says about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The condition at this position of the statement holds.
    Condition(usize),
    /// One of the statement's resource patterns fits.
    Resource,
}

/// Translates a statement. `id` becomes the policy's id and part of the slots' names.
pub(crate) fn translate(statement: &Statement, id: usize) -> Result<Translation, CedarError> {
    let mut writer = Writer {
        id,
        reads: BTreeSet::new(),
        slots: Vec::new(),
    };
    let mut written: Vec<Written> = Vec::new();
    let mut clauses: Vec<Clause> = Vec::new();
    let mut add = |element, label: Box<str>, expression| {
        written.push(Written { element, label });
        clauses.push(Clause::When(Arc::new(expression)));
    };
    if let Some(expression) = principals(&statement.principals)? {
        let label = match statement.principals {
            Principals::Others(_) => "NotPrincipal",
            _ => "Principal",
        };
        add(Element::Principal, label.into(), expression);
    }
    let label = if statement.resources.negated {
        "NotResource"
    } else {
        "Resource"
    };
    let resources = writer.resources(&statement.resources);
    add(Element::Resource, label.into(), resources);
    let resource_reads = std::mem::take(&mut writer.reads);
    for (position, condition) in statement.conditions.iter().enumerate() {
        let label = format!("Condition.{}", condition.label);
        let expression = writer.condition(condition, position);
        add(Element::Condition, label.into(), expression);
    }
    let actions = statement
        .actions
        .iter()
        .map(|action| entity("Action", action_name(*action)));
    let template = Template::new(
        pst::PolicyID(id.to_string().into()),
        match statement.effect {
            Effect::Allow => pst::Effect::Permit,
            Effect::Deny => pst::Effect::Forbid,
        },
        PrincipalConstraint::Any,
        ActionConstraint::In(actions.collect::<Result<_, _>>()?),
        ResourceConstraint::Any,
    )
    .try_with_clauses(clauses)
    .map_err(CedarError::new)?;
    Ok(Translation {
        template,
        clauses: written,
        reads: writer.reads,
        resource_reads,
        slots: writer.slots,
    })
}

fn entity(kind: &str, id: &str) -> Result<EntityUID, CedarError> {
    let name = Name::qualified(["Trellis"], kind).map_err(CedarError::new)?;
    Ok(EntityUID {
        ty: EntityType(name),
        eid: id.into(),
    })
}

/// `None` when the clause is always true.
fn principals(principals: &Principals) -> Result<Option<Expr>, CedarError> {
    match principals {
        Principals::Everybody => Ok(None),
        Principals::Listed(list) => Ok(Some(any([
            member("Account", &list.accounts)?,
            member("User", &list.users)?,
            member("Role", &list.roles)?,
            member("Session", &list.sessions)?,
        ]
        .into_iter()
        .flatten()))),
        Principals::Others(list) => Ok(Some(not(excepted(list)?))),
    }
}

/// A user is excepted when it and its account are listed, a session when it, its role and its account are.
fn excepted(list: &PrincipalList) -> Result<Expr, CedarError> {
    let Some(account) = member("Account", &list.accounts)? else {
        return Ok(boolean(false));
    };
    let user = member("User", &list.users)?;
    let session = member("Session", &list.sessions)?.zip(member("Role", &list.roles)?);
    let ways = user
        .into_iter()
        .chain(session.map(|(session, role)| and(session, role)));
    Ok(and(account, any(ways)))
}

/// `principal in [Trellis::<kind>::"…", …]`; `None` for an empty list.
fn member(kind: &str, ids: &[Box<str>]) -> Result<Option<Expr>, CedarError> {
    if ids.is_empty() {
        return Ok(None);
    }
    let uids = ids.iter().map(|id| {
        let uid = entity(kind, id)?;
        Ok(Arc::new(Expr::Literal(Literal::EntityUID(uid))))
    });
    let uids = uids.collect::<Result<Vec<_>, CedarError>>()?;
    Ok(Some(binary(
        BinaryOp::In,
        Expr::Var(Var::Principal),
        Expr::Set(uids),
    )))
}

/// How Cedar reaches the value of a key.
struct Access {
    present: Expr,
    value: Expr,
    shape: Shape,
}

/// What a value is in Cedar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    Texts,
    Boolean,
    /// A number, an address or a date, which IAM compares as text or in its own way.
    Other,
}

fn access(key: &Key) -> Access {
    let of = |var: Var, name: &str, shape| Access {
        present: has(Expr::Var(var.clone()), name),
        value: attribute(Expr::Var(var), name),
        shape,
    };
    let tag = |owner: Expr, name: &str, shape| Access {
        present: binary(BinaryOp::HasTag, owner.clone(), text(name)),
        value: binary(BinaryOp::GetTag, owner, text(name)),
        shape,
    };
    let within = |attr: &str, name: &str, shape| {
        let inner = tag(attribute(Expr::Var(Var::Context), attr), name, shape);
        Access {
            present: and(has(Expr::Var(Var::Context), attr), inner.present),
            ..inner
        }
    };
    match key {
        Key::Port => of(Var::Context, "port", Shape::Other),
        Key::RequestMethod => of(Var::Context, "method", Shape::Text),
        Key::RequestPath => of(Var::Context, "path", Shape::Text),
        Key::RequestHeader(name) => within("headers", name, Shape::Text),
        Key::RequestQueryString(name) => within("query", name, Shape::Texts),
        Key::ServiceNetworkArn => of(Var::Context, "serviceNetworkArn", Shape::Text),
        Key::ServiceArn => of(Var::Context, "serviceArn", Shape::Text),
        Key::SourceVpc => of(Var::Context, "sourceVpc", Shape::Text),
        Key::SourceVpcOwnerAccount => of(Var::Context, "sourceVpcOwnerAccount", Shape::Text),
        Key::SourceIp => of(Var::Context, "sourceIp", Shape::Other),
        Key::SecureTransport => of(Var::Context, "secureTransport", Shape::Boolean),
        Key::CurrentTime => of(Var::Context, "currentTime", Shape::Other),
        Key::EpochTime => of(Var::Context, "epochTime", Shape::Other),
        Key::PrincipalArn => of(Var::Principal, "principalArn", Shape::Text),
        Key::PrincipalAccount => of(Var::Principal, "account", Shape::Text),
        Key::PrincipalType => of(Var::Principal, "kind", Shape::Text),
        Key::PrincipalOrgId => of(Var::Principal, "organization", Shape::Text),
        Key::PrincipalOrgPaths => of(Var::Principal, "organizationPaths", Shape::Texts),
        Key::UserId => of(Var::Principal, "userId", Shape::Text),
        Key::UserName => of(Var::Principal, "username", Shape::Text),
        Key::SourceIdentity => of(Var::Principal, "sourceIdentity", Shape::Text),
        Key::FederatedProvider => of(Var::Principal, "federatedProvider", Shape::Text),
        Key::TokenIssueTime => of(Var::Principal, "tokenIssueTime", Shape::Other),
        Key::Absent | Key::OfCall(_) => Access {
            present: boolean(false),
            value: text(""),
            shape: Shape::Text,
        },
        Key::PrincipalTag(name) => tag(Expr::Var(Var::Principal), name, Shape::Text),
        Key::ResourceTag(name) => tag(Expr::Var(Var::Resource), name, Shape::Text),
    }
}

/// The facts that Cedar must be given to reach the value of a key.
fn needed(key: &Key) -> Option<Fact> {
    match key {
        Key::ServiceArn => Some(Fact::ServiceArn),
        Key::ServiceNetworkArn => Some(Fact::NetworkArn),
        Key::ResourceTag(_) => Some(Fact::Service),
        key => key.fact(),
    }
}

struct Writer {
    id: usize,
    reads: BTreeSet<Fact>,
    slots: Vec<Slot>,
}

impl Writer {
    fn slot(&mut self, meaning: Meaning) -> Expr {
        let name: SmolStr = format!("slot{}_{}", self.id, self.slots.len()).into();
        self.slots.push(Slot {
            name: name.clone(),
            meaning,
        });
        attribute(Expr::Var(Var::Context), &name)
    }

    fn resources(&mut self, resources: &Resources) -> Expr {
        let beyond =
            resources.patterns.iter().any(Pattern::has_single) || !resources.templates.is_empty();
        let fits = if beyond {
            self.slot(Meaning::Resource)
        } else {
            self.reads.insert(Fact::Resource);
            like_any(
                &attribute(Expr::Var(Var::Context), "resource"),
                &resources.patterns,
            )
        };
        if resources.negated { not(fits) } else { fits }
    }

    fn condition(&mut self, condition: &Condition, position: usize) -> Expr {
        let access = access(&condition.key);
        let direct = match &condition.test {
            Test::Null(wanted) => Some(null(access.present, wanted)),
            // A key that is never there needs no test.
            _ if condition.key == Key::Absent => Some(boolean(condition.when_missing())),
            _ if !condition.templates.is_empty() => None,
            test => equal(test, &access, condition.quantifier, condition.negated).map(|holds| {
                if condition.when_missing() {
                    Expr::IfThenElse {
                        cond: Arc::new(access.present),
                        then_expr: Arc::new(holds),
                        else_expr: Arc::new(boolean(true)),
                    }
                } else {
                    and(access.present, holds)
                }
            }),
        };
        match direct {
            Some(expression) => {
                self.reads.extend(needed(&condition.key));
                expression
            }
            None => self.slot(Meaning::Condition(position)),
        }
    }
}

fn null(present: Expr, wanted: &[bool]) -> Expr {
    match (wanted.contains(&true), wanted.contains(&false)) {
        (true, true) => boolean(true),
        (true, false) => not(present),
        (false, true) => present,
        (false, false) => boolean(false),
    }
}

/// Does the test hold for a value that is there? `None` when Cedar cannot say.
fn equal(test: &Test, access: &Access, quantifier: Quantifier, negated: bool) -> Option<Expr> {
    let value = access.value.clone();
    let equal = match (test, access.shape) {
        (Test::Equals(texts), Shape::Text) => match texts.as_slice() {
            [only] => binary(BinaryOp::Eq, value, text(only)),
            several => binary(BinaryOp::Contains, set(several), value),
        },
        (Test::Like(patterns), Shape::Text) if !patterns.iter().any(Pattern::has_single) => {
            like_any(&value, patterns)
        }
        (Test::Bool(wanted), Shape::Boolean) => {
            match (wanted.contains(&true), wanted.contains(&false)) {
                (true, true) => boolean(true),
                (true, false) => value,
                (false, true) => not(value),
                (false, false) => boolean(false),
            }
        }
        (Test::Equals(texts), Shape::Texts) => {
            let wanted = set(texts);
            return Some(match (quantifier, negated) {
                (Quantifier::Plain | Quantifier::Any, false) => {
                    binary(BinaryOp::ContainsAny, value, wanted)
                }
                (Quantifier::Plain | Quantifier::All, true) => {
                    not(binary(BinaryOp::ContainsAny, value, wanted))
                }
                (Quantifier::Any, true) => not(binary(BinaryOp::ContainsAll, wanted, value)),
                (Quantifier::All, false) => binary(BinaryOp::ContainsAll, wanted, value),
            });
        }
        _ => return None,
    };
    // One value: every quantifier means the same.
    Some(if negated { not(equal) } else { equal })
}

fn like_any(value: &Expr, patterns: &[Pattern]) -> Expr {
    any(patterns.iter().map(|pattern| Expr::Like {
        expr: Arc::new(value.clone()),
        pattern: elements(pattern),
    }))
}

/// A pattern without `?` in Cedar's form.
fn elements(pattern: &Pattern) -> Vec<PatternElem> {
    let mut elements = Vec::new();
    let mut literal: Vec<u8> = Vec::new();
    let flush = |literal: &mut Vec<u8>, elements: &mut Vec<PatternElem>| {
        let whole = String::from_utf8_lossy(literal);
        elements.extend(whole.chars().map(PatternElem::Char));
        literal.clear();
    };
    for part in &pattern.parts() {
        match part {
            Part::Byte(byte) => literal.push(*byte),
            Part::Many | Part::One => {
                flush(&mut literal, &mut elements);
                elements.push(PatternElem::Wildcard);
            }
        }
    }
    flush(&mut literal, &mut elements);
    elements
}

fn boolean(value: bool) -> Expr {
    Expr::Literal(Literal::Bool(value))
}

fn text(value: &str) -> Expr {
    Expr::Literal(Literal::String(value.into()))
}

fn set(texts: &[Box<str>]) -> Expr {
    Expr::Set(texts.iter().map(|value| Arc::new(text(value))).collect())
}

fn attribute(owner: Expr, name: &str) -> Expr {
    Expr::GetAttr {
        expr: Arc::new(owner),
        attr: name.into(),
    }
}

fn has(owner: Expr, name: &str) -> Expr {
    Expr::HasAttr {
        expr: Arc::new(owner),
        attrs: NonEmpty::new(name.into()),
    }
}

fn not(expression: Expr) -> Expr {
    Expr::UnaryOp {
        op: UnaryOp::Not,
        expr: Arc::new(expression),
    }
}

fn and(left: Expr, right: Expr) -> Expr {
    binary(BinaryOp::And, left, right)
}

fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp {
        op,
        left: Arc::new(left),
        right: Arc::new(right),
    }
}

/// Some of them holds; `false` when there is none. The tree is balanced, so that a thousand alternatives nest ten deep.
fn any(alternatives: impl IntoIterator<Item = Expr>) -> Expr {
    let mut level: Vec<Expr> = alternatives.into_iter().collect();
    while level.len() > 1 {
        let mut next = Vec::with_capacity(level.len().div_ceil(2));
        let mut pairs = level.into_iter();
        while let Some(left) = pairs.next() {
            next.push(match pairs.next() {
                Some(right) => binary(BinaryOp::Or, left, right),
                None => left,
            });
        }
        level = next;
    }
    level.pop().unwrap_or(boolean(false))
}
