//! Which attributes a Cedar policy reads, found in its syntax tree.
//!
//! What is not recognised counts as reading everything: a request is then given all it has, and its decision is not cached.

use std::collections::BTreeSet;

use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, Template, Var};

use crate::facts::Fact;

/// The facts that a policy reads.
pub(crate) fn reads(template: &Template) -> BTreeSet<Fact> {
    let mut found = BTreeSet::new();
    for clause in template.clauses() {
        let (Clause::When(expression) | Clause::Unless(expression)) = clause;
        walk(expression, &mut found);
    }
    found
}

/// Everything that a context can hold.
const EVERYTHING: [Fact; 14] = [
    Fact::Resource,
    Fact::Port,
    Fact::Method,
    Fact::Path,
    Fact::AllHeaders,
    Fact::AllQueries,
    Fact::SourceVpc,
    Fact::SourceVpcOwner,
    Fact::SourceIp,
    Fact::SecureTransport,
    Fact::CurrentTime,
    Fact::EpochTime,
    Fact::ServiceArn,
    Fact::NetworkArn,
];

/// The fact behind an attribute of the context. The validator has already refused any other name.
fn attribute(name: &str) -> Option<Fact> {
    Some(match name {
        "resource" => Fact::Resource,
        "port" => Fact::Port,
        "method" => Fact::Method,
        "path" => Fact::Path,
        "headers" => Fact::AllHeaders,
        "query" => Fact::AllQueries,
        "sourceVpc" => Fact::SourceVpc,
        "sourceVpcOwnerAccount" => Fact::SourceVpcOwner,
        "sourceIp" => Fact::SourceIp,
        "secureTransport" => Fact::SecureTransport,
        "currentTime" => Fact::CurrentTime,
        "epochTime" => Fact::EpochTime,
        "serviceArn" => Fact::ServiceArn,
        "serviceNetworkArn" => Fact::NetworkArn,
        _ => return None,
    })
}

/// `context.headers.getTag("x")`, `context.query.hasTag("x")`: the one header or parameter.
fn one_tag(left: &Expr, right: &Expr) -> Option<Fact> {
    let Expr::GetAttr { expr, attr } = left else {
        return None;
    };
    let (Expr::Var(Var::Context), Expr::Literal(Literal::String(name))) = (&**expr, right) else {
        return None;
    };
    match attr.as_str() {
        "headers" => Some(Fact::Header(name.as_str().into())),
        "query" => Some(Fact::Query(name.as_str().into())),
        _ => None,
    }
}

fn walk(expression: &Expr, found: &mut BTreeSet<Fact>) {
    match expression {
        Expr::Var(Var::Context) => found.extend(EVERYTHING),
        Expr::Var(Var::Resource) => {
            found.insert(Fact::Service);
        }
        Expr::Literal(_) | Expr::Var(_) | Expr::Slot(_) => {}
        Expr::GetAttr { expr, attr } => match (&**expr, attribute(attr)) {
            (Expr::Var(Var::Context), Some(fact)) => {
                found.insert(fact);
            }
            _ => walk(expr, found),
        },
        Expr::HasAttr { expr, attrs } => match (&**expr, attribute(attrs.first())) {
            (Expr::Var(Var::Context), Some(Fact::AllHeaders)) => {
                found.insert(Fact::Headers);
            }
            (Expr::Var(Var::Context), Some(Fact::AllQueries)) => {
                found.insert(Fact::Queries);
            }
            (Expr::Var(Var::Context), Some(fact)) => {
                found.insert(fact);
            }
            _ => walk(expr, found),
        },
        Expr::BinaryOp { op, left, right } => {
            let tag = matches!(op, BinaryOp::GetTag | BinaryOp::HasTag)
                .then(|| one_tag(left, right))
                .flatten();
            if let Some(fact) = tag {
                found.insert(fact);
            } else {
                walk(left, found);
                walk(right, found);
            }
        }
        Expr::UnaryOp { expr, .. } | Expr::Like { expr, .. } => walk(expr, found),
        Expr::Is { expr, in_expr, .. } => {
            walk(expr, found);
            if let Some(expr) = in_expr {
                walk(expr, found);
            }
        }
        Expr::IfThenElse {
            cond,
            then_expr,
            else_expr,
        } => [cond, then_expr, else_expr]
            .into_iter()
            .for_each(|expr| walk(expr, found)),
        Expr::Set(items) => items.iter().for_each(|expr| walk(expr, found)),
        Expr::Record(members) => members.values().for_each(|expr| walk(expr, found)),
        // Not part of a policy text, or of a later version of Cedar.
        _ => {
            found.extend(EVERYTHING);
            found.insert(Fact::Service);
        }
    }
}

/// Characters of the longest pattern in a policy.
pub(crate) fn longest_pattern(template: &Template) -> usize {
    let clauses = template.clauses().iter().map(|clause| match clause {
        Clause::When(expression) | Clause::Unless(expression) => longest(expression),
    });
    clauses.max().unwrap_or(0)
}

fn longest(expression: &Expr) -> usize {
    let of = |parts: &[&Expr]| parts.iter().map(|part| longest(part)).max().unwrap_or(0);
    match expression {
        Expr::Like { expr, pattern } => pattern.len().max(longest(expr)),
        Expr::BinaryOp { left, right, .. } => of(&[left, right]),
        Expr::IfThenElse {
            cond,
            then_expr,
            else_expr,
        } => of(&[cond, then_expr, else_expr]),
        Expr::UnaryOp { expr, .. } | Expr::GetAttr { expr, .. } | Expr::HasAttr { expr, .. } => {
            longest(expr)
        }
        Expr::Is { expr, in_expr, .. } => {
            longest(expr).max(in_expr.as_ref().map_or(0, |expr| longest(expr)))
        }
        Expr::Set(items) => items.iter().map(|item| longest(item)).max().unwrap_or(0),
        Expr::Record(members) => members
            .values()
            .map(|item| longest(item))
            .max()
            .unwrap_or(0),
        Expr::Literal(_) | Expr::Var(_) | Expr::Slot(_) | Expr::Unknown { .. } => 0,
        // Of a later version of Cedar: as long as can be.
        _ => usize::MAX,
    }
}
