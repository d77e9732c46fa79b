//! From Cedar's syntax tree to a program. `None` for what has no program; the authorizer decides it then.

use cedar_policy::pst::{
    BinaryOp, Clause, EntityType, EntityUID, Expr, Literal, PatternElem, PrincipalConstraint,
    ResourceConstraint, Template, UnaryOp, Var,
};
use ipnet::IpNet;

use super::{Kind, Members, Number, Order, Program, Test, Text, Texts};
use crate::{
    cedar::translate::{Element, Slot, Translation},
    iam::date::Moment,
    wildcard::{Part, Pattern},
};

/// Compiles an IAM statement. Its clause about principals has no part in the program: it is decided with the slice
/// (`layer/reach.rs`).
pub(crate) fn compile_iam(translation: &Translation) -> Option<Program> {
    let slots = &translation.slots;
    let mut clauses = Vec::new();
    let mut resource = None;
    for (written, clause) in translation
        .clauses
        .iter()
        .zip(translation.template.clauses())
    {
        match written.element {
            Element::Principal => continue,
            Element::Resource => resource = Some(clauses.len()),
            Element::Condition => {}
        }
        clauses.push(of_clause(clause, slots)?);
    }
    Some(Program {
        clauses: clauses.into(),
        resource,
    })
}

/// Compiles a native policy. Its action has no part in the program: a slice has only policies of one action.
pub(crate) fn compile_native(template: &Template) -> Option<Program> {
    let mut clauses = vec![
        of_principal(&template.principal)?,
        of_resource(&template.resource)?,
    ];
    clauses.retain(|clause| !matches!(clause, Test::Constant(true)));
    for clause in template.clauses() {
        clauses.push(of_clause(clause, &[])?);
    }
    Some(Program {
        clauses: clauses.into(),
        resource: None,
    })
}

fn of_clause(clause: &Clause, slots: &[Slot]) -> Option<Test> {
    match clause {
        Clause::When(expression) => test(expression, slots),
        Clause::Unless(expression) => Some(not(test(expression, slots)?)),
    }
}

fn of_principal(constraint: &PrincipalConstraint) -> Option<Test> {
    use cedar_policy::pst::EntityOrSlot::Entity;

    match constraint {
        PrincipalConstraint::Any => Some(Test::Constant(true)),
        PrincipalConstraint::Eq(Entity(uid)) => caller_is_one(uid),
        PrincipalConstraint::In(Entity(uid)) => caller_in([uid]),
        PrincipalConstraint::Is(kind) => Some(Test::CallerIs(kind_of(kind)?)),
        PrincipalConstraint::IsIn(kind, Entity(uid)) => {
            let both = [Test::CallerIs(kind_of(kind)?), caller_in([uid])?];
            Some(Test::All(both.into()))
        }
        _ => None,
    }
}

fn of_resource(constraint: &ResourceConstraint) -> Option<Test> {
    use cedar_policy::pst::EntityOrSlot::Entity;

    match constraint {
        ResourceConstraint::Any => Some(Test::Constant(true)),
        ResourceConstraint::Eq(Entity(uid)) | ResourceConstraint::In(Entity(uid)) => {
            service_in([uid])
        }
        ResourceConstraint::Is(kind) => Some(Test::Constant(name(kind)? == "Service")),
        _ => None,
    }
}

/// The name of one of our entity types.
fn name(kind: &EntityType) -> Option<&str> {
    let EntityType(name) = kind;
    let ours = matches!(name.namespace.as_slice(), [only] if only.as_str() == "Trellis");
    ours.then(|| name.id.as_str())
}

fn kind_of(kind: &EntityType) -> Option<Kind> {
    Some(match name(kind)? {
        "User" => Kind::User,
        "Session" => Kind::Session,
        "Anonymous" => Kind::Anonymous,
        _ => Kind::Other,
    })
}

fn caller_is_one(uid: &EntityUID) -> Option<Test> {
    match name(&uid.ty)? {
        "User" | "Session" | "Anonymous" => caller_in([uid]),
        // A caller belongs to an account or role, and is none.
        _ => Some(Test::Constant(false)),
    }
}

fn caller_in<'u>(uids: impl IntoIterator<Item = &'u EntityUID>) -> Option<Test> {
    let mut members = Members::default();
    for uid in uids {
        let id = uid.eid.as_str();
        match name(&uid.ty)? {
            "Account" => members.accounts.push(id.into()),
            "User" => members.users.push(id.into()),
            "Role" => members.roles.push(id.into()),
            "Session" => members.sessions.push(id.into()),
            "Anonymous" => members.anonymous |= id == "anonymous",
            _ => {}
        }
    }
    let lists = [
        &mut members.accounts,
        &mut members.users,
        &mut members.roles,
        &mut members.sessions,
    ];
    for list in lists {
        list.sort_unstable();
        list.shrink_to_fit();
    }
    Some(Test::CallerIn(Box::new(members)))
}

fn service_in<'u>(uids: impl IntoIterator<Item = &'u EntityUID>) -> Option<Test> {
    let mut arns = Vec::new();
    for uid in uids {
        if name(&uid.ty)? == "Service" {
            arns.push(uid.eid.as_str().into());
        }
    }
    Some(Test::ServiceIn(sorted(arns)))
}

fn sorted(mut texts: Vec<Box<str>>) -> Box<[Box<str>]> {
    texts.sort_unstable();
    texts.dedup();
    texts.into()
}

fn not(test: Test) -> Test {
    match test {
        Test::Constant(value) => Test::Constant(!value),
        Test::Not(test) => *test,
        test => Test::Not(Box::new(test)),
    }
}

fn test(expression: &Expr, slots: &[Slot]) -> Option<Test> {
    match expression {
        Expr::Literal(Literal::Bool(value)) => Some(Test::Constant(*value)),
        Expr::UnaryOp {
            op: UnaryOp::Not,
            expr,
        } => Some(not(test(expr, slots)?)),
        Expr::BinaryOp {
            op: op @ (BinaryOp::And | BinaryOp::Or),
            left,
            right,
        } => {
            let mut tests = Vec::new();
            for side in [left, right] {
                // A chain is one list.
                match (op, test(side, slots)?) {
                    (BinaryOp::And, Test::All(more)) | (BinaryOp::Or, Test::Any(more)) => {
                        tests.extend(more);
                    }
                    (_, one) => tests.push(one),
                }
            }
            Some(match op {
                BinaryOp::And => Test::All(tests.into()),
                _ => any(join_likes(tests)),
            })
        }
        Expr::BinaryOp { op, left, right } => binary(*op, left, right, slots),
        Expr::IfThenElse {
            cond,
            then_expr,
            else_expr,
        } => {
            let parts = [
                test(cond, slots)?,
                test(then_expr, slots)?,
                test(else_expr, slots)?,
            ];
            Some(Test::If(Box::new(parts)))
        }
        Expr::GetAttr { expr, attr } if is_context(expr) => match attr.as_str() {
            "secureTransport" => Some(Test::SecureTransport),
            attr => {
                let slot = slots.iter().find(|slot| slot.name == attr)?;
                Some(Test::Slot(slot.meaning))
            }
        },
        Expr::HasAttr { expr, attrs } if attrs.len() == 1 => has(expr, attrs.first()),
        Expr::Like { expr, pattern } => {
            let pattern = pattern_of(pattern);
            Some(Test::Like(text(expr)?, [pattern].into()))
        }
        Expr::Is {
            expr,
            entity_type,
            in_expr,
        } if is_var(expr, &Var::Principal) => {
            let is = Test::CallerIs(kind_of(entity_type)?);
            match in_expr {
                Some(group) => Some(Test::All([is, caller_in(uids(group)?)?].into())),
                None => Some(is),
            }
        }
        _ => None,
    }
}

fn any(mut tests: Vec<Test>) -> Test {
    match tests.pop() {
        Some(only) if tests.is_empty() => only,
        last => {
            tests.extend(last);
            Test::Any(tests.into())
        }
    }
}

/// One test in place of several of the same text against patterns, when they follow one another.
fn join_likes(tests: Vec<Test>) -> Vec<Test> {
    let mut joined: Vec<Test> = Vec::with_capacity(tests.len());
    for test in tests {
        match (joined.last_mut(), test) {
            (Some(Test::Like(text, patterns)), Test::Like(other, more)) if *text == other => {
                let both = std::mem::take(patterns).into_iter().chain(more);
                *patterns = both.collect();
            }
            (_, test) => joined.push(test),
        }
    }
    joined
}

fn is_var(expression: &Expr, var: &Var) -> bool {
    matches!(expression, Expr::Var(found) if found == var)
}

fn is_context(expression: &Expr) -> bool {
    is_var(expression, &Var::Context)
}

/// `context.<attr>`.
fn is_attribute(expression: &Expr, wanted: &str) -> bool {
    matches!(expression, Expr::GetAttr { expr, attr } if is_context(expr) && attr == wanted)
}

/// `<owner> has <attr>`.
fn has(owner: &Expr, attr: &str) -> Option<Test> {
    let Expr::Var(var) = owner else {
        return None;
    };
    Some(match (var, attr) {
        (
            Var::Context,
            "method" | "path" | "headers" | "query" | "sourceIp" | "secureTransport"
            | "currentTime" | "epochTime",
        ) => Test::IsRequest,
        (
            Var::Context,
            "resource"
            | "port"
            | "serviceArn"
            | "serviceNetworkArn"
            | "sourceVpc"
            | "sourceVpcOwnerAccount",
        )
        | (Var::Principal, "account" | "kind" | "userId")
        | (Var::Resource, "arn") => Test::Constant(true),
        (Var::Principal, "tokenIssueTime") => Test::HasIssueTime,
        (Var::Principal, "organizationPaths") => Test::HasSeveral(Texts::OrganizationPaths),
        (Var::Principal, attr) => Test::Has(of_principal_text(attr)?),
        _ => return None,
    })
}

fn pattern_of(elements: &[PatternElem]) -> Pattern {
    let mut parts = Vec::with_capacity(elements.len());
    for element in elements {
        match element {
            PatternElem::Wildcard => parts.push(Part::Many),
            PatternElem::Char(c) => {
                let mut buffer = [0; 4];
                parts.extend(c.encode_utf8(&mut buffer).bytes().map(Part::Byte));
            }
        }
    }
    Pattern::new(parts)
}

fn binary(op: BinaryOp, left: &Expr, right: &Expr, slots: &[Slot]) -> Option<Test> {
    match op {
        BinaryOp::Eq => equal(left, right, slots),
        BinaryOp::NotEq => Some(not(equal(left, right, slots)?)),
        BinaryOp::Less => compare(Order::Less, left, right),
        BinaryOp::LessEq => compare(Order::LessOrEqual, left, right),
        BinaryOp::Greater => compare(Order::Greater, left, right),
        BinaryOp::GreaterEq => compare(Order::GreaterOrEqual, left, right),
        BinaryOp::In if is_var(left, &Var::Principal) => caller_in(uids(right)?),
        BinaryOp::In if is_var(left, &Var::Resource) => service_in(uids(right)?),
        BinaryOp::Contains => match literals(left) {
            Some(known) => Some(Test::TextIn(text(right)?, sorted(known))),
            None => Some(Test::Contains(texts(left)?, text(right)?)),
        },
        BinaryOp::ContainsAny => {
            let (several, wanted) = match literals(right) {
                Some(wanted) => (texts(left)?, wanted),
                None => (texts(right)?, literals(left)?),
            };
            Some(Test::ContainsAny(several, sorted(wanted)))
        }
        BinaryOp::ContainsAll => match literals(right) {
            Some(wanted) => Some(Test::ContainsAll(texts(left)?, sorted(wanted))),
            None => Some(Test::Within(texts(right)?, sorted(literals(left)?))),
        },
        BinaryOp::HasTag => match tag(left, right)? {
            Tag::One(text) => Some(Test::Has(text)),
            Tag::Several(texts) => Some(Test::HasSeveral(texts)),
        },
        BinaryOp::IsInRange if is_attribute(left, "sourceIp") => {
            Some(Test::InRange(network(right)?))
        }
        _ => None,
    }
}

fn equal(left: &Expr, right: &Expr, slots: &[Slot]) -> Option<Test> {
    match (left, right) {
        (Expr::Var(Var::Principal), Expr::Literal(Literal::EntityUID(uid)))
        | (Expr::Literal(Literal::EntityUID(uid)), Expr::Var(Var::Principal)) => {
            return caller_is_one(uid);
        }
        (Expr::Var(Var::Resource), Expr::Literal(Literal::EntityUID(uid)))
        | (Expr::Literal(Literal::EntityUID(uid)), Expr::Var(Var::Resource)) => {
            return service_in([uid]);
        }
        (other, Expr::Literal(Literal::Bool(wanted)))
        | (Expr::Literal(Literal::Bool(wanted)), other) => {
            let test = test(other, slots)?;
            return Some(if *wanted { test } else { not(test) });
        }
        _ => {}
    }
    if let (Some(left), Some(right)) = (text(left), text(right)) {
        return Some(Test::TextEquals(left, right));
    }
    compare(Order::Equal, left, right)
}

fn compare(order: Order, left: &Expr, right: &Expr) -> Option<Test> {
    if is_attribute(left, "currentTime") {
        return Some(Test::Before(order, moment(right)?));
    }
    if is_attribute(right, "currentTime") {
        let turned = match order {
            Order::Equal => Order::Equal,
            Order::Less => Order::Greater,
            Order::LessOrEqual => Order::GreaterOrEqual,
            Order::Greater => Order::Less,
            Order::GreaterOrEqual => Order::LessOrEqual,
        };
        return Some(Test::Before(turned, moment(left)?));
    }
    Some(Test::Compare(order, number(left)?, number(right)?))
}

/// An entity, or a set of entities.
fn uids(expression: &Expr) -> Option<Vec<&EntityUID>> {
    match expression {
        Expr::Literal(Literal::EntityUID(uid)) => Some(vec![uid]),
        Expr::Set(items) => items
            .iter()
            .map(|item| match &**item {
                Expr::Literal(Literal::EntityUID(uid)) => Some(uid),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// A set of texts that are known now.
fn literals(expression: &Expr) -> Option<Vec<Box<str>>> {
    let Expr::Set(items) = expression else {
        return None;
    };
    let text = |item: &Expr| match item {
        Expr::Literal(Literal::String(text)) => Some(text.as_str().into()),
        _ => None,
    };
    items.iter().map(|item| text(item)).collect()
}

/// The argument of a constructor such as `ip("…")`.
fn argument(expression: &Expr, wanted: UnaryOp) -> Option<&str> {
    match expression {
        Expr::UnaryOp { op, expr } if *op == wanted => match &**expr {
            Expr::Literal(Literal::String(text)) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn network(expression: &Expr) -> Option<IpNet> {
    let text = argument(expression, UnaryOp::Ip)?;
    let address = || {
        text.parse()
            .ok()
            .map(|address: std::net::IpAddr| address.into())
    };
    text.parse().ok().or_else(address)
}

fn moment(expression: &Expr) -> Option<Moment> {
    Moment::parse(argument(expression, UnaryOp::Datetime)?)
}

/// A tag with a name that is known now.
enum Tag {
    One(Text),
    Several(Texts),
}

fn tag(owner: &Expr, name: &Expr) -> Option<Tag> {
    let Expr::Literal(Literal::String(name)) = name else {
        return None;
    };
    let name: Box<str> = name.as_str().into();
    match owner {
        Expr::Var(Var::Principal) => Some(Tag::One(Text::PrincipalTag(name))),
        Expr::Var(Var::Resource) => Some(Tag::One(Text::ServiceTag(name))),
        owner if is_attribute(owner, "headers") => Some(Tag::One(Text::Header(name))),
        owner if is_attribute(owner, "query") => Some(Tag::Several(Texts::Query(name))),
        _ => None,
    }
}

fn of_principal_text(attr: &str) -> Option<Text> {
    Some(match attr {
        "arn" => Text::CallerArn,
        "principalArn" => Text::PrincipalArn,
        "account" => Text::Account,
        "kind" => Text::PrincipalType,
        "userId" => Text::UserId,
        "username" => Text::UserName,
        "sourceIdentity" => Text::SourceIdentity,
        "federatedProvider" => Text::FederatedProvider,
        "organization" => Text::Organization,
        _ => return None,
    })
}

fn text(expression: &Expr) -> Option<Text> {
    match expression {
        Expr::Literal(Literal::String(text)) => Some(Text::Literal(text.as_str().into())),
        Expr::GetAttr { expr, attr } => match &**expr {
            Expr::Var(Var::Principal) => of_principal_text(attr),
            Expr::Var(Var::Resource) if attr == "arn" => Some(Text::ServiceArn),
            Expr::Var(Var::Context) => Some(match attr.as_str() {
                "resource" => Text::Resource,
                "method" => Text::Method,
                "path" => Text::Path,
                "serviceArn" => Text::ServiceArn,
                "serviceNetworkArn" => Text::NetworkArn,
                "sourceVpc" => Text::SourceVpc,
                "sourceVpcOwnerAccount" => Text::SourceVpcOwner,
                _ => return None,
            }),
            _ => None,
        },
        Expr::BinaryOp {
            op: BinaryOp::GetTag,
            left,
            right,
        } => match tag(left, right)? {
            Tag::One(text) => Some(text),
            Tag::Several(_) => None,
        },
        _ => None,
    }
}

fn texts(expression: &Expr) -> Option<Texts> {
    match expression {
        Expr::GetAttr { expr, attr } if is_var(expr, &Var::Principal) => {
            (attr == "organizationPaths").then_some(Texts::OrganizationPaths)
        }
        Expr::BinaryOp {
            op: BinaryOp::GetTag,
            left,
            right,
        } => match tag(left, right)? {
            Tag::Several(texts) => Some(texts),
            Tag::One(_) => None,
        },
        _ => None,
    }
}

fn number(expression: &Expr) -> Option<Number> {
    let pair = |left: &Expr, right: &Expr| Some(Box::new([number(left)?, number(right)?]));
    match expression {
        Expr::Literal(Literal::Long(value)) => Some(Number::Literal(*value)),
        expression if is_attribute(expression, "port") => Some(Number::Port),
        expression if is_attribute(expression, "epochTime") => Some(Number::EpochTime),
        Expr::UnaryOp {
            op: UnaryOp::Neg,
            expr,
        } => Some(Number::Negated(Box::new(number(expr)?))),
        Expr::BinaryOp { op, left, right } => match op {
            BinaryOp::Add => Some(Number::Sum(pair(left, right)?)),
            BinaryOp::Sub => Some(Number::Difference(pair(left, right)?)),
            BinaryOp::Mul => Some(Number::Product(pair(left, right)?)),
            _ => None,
        },
        _ => None,
    }
}
