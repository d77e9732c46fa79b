//! Policies compiled from Cedar's syntax tree into something that decides in nanoseconds.
//!
//! Cedar's authorizer takes tens of microseconds, most of them for building entities and a context that a policy then looks at
//! once. A program reads the facts of a request where they are. It is typed: the compiler knows of each expression whether it is a
//! Boolean, a text, a number, an address, a date or several texts, and whatever it does not know has no program and is left to
//! the authorizer. What is left to fail at run time is what Cedar has too: an overflow, and a value that is not there.
//!
//! Nothing here recurses deeper than the syntax tree, which the readers of policies bound, and no test takes longer than linear time
//! in the request ([`crate::wildcard`]); the authorizer's own `like` is quadratic, another reason to keep it from requests.
//!
//! Proof: `program/tests.rs` and `reference.rs` ask both and compare.

mod compile;
mod run;

use std::fmt;

use ipnet::IpNet;

use crate::{cedar::translate::Meaning, iam::date::Moment, wildcard::Pattern};

pub(crate) use compile::{compile_iam, compile_native};
pub(crate) use run::Env;

/// A policy: it applies when each of its clauses holds, in this order.
#[derive(Debug)]
pub(crate) struct Program {
    clauses: Box<[Test]>,
    /// Position of the clause about resources, which is left out where the service decides that it holds.
    resource: Option<usize>,
}

/// Why a program did not come to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// An attribute or a tag is not there.
    Missing,
    /// A number left the range of 64 bits.
    Overflow,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "a value that the policy reads is not there",
            Self::Overflow => "a number is too large",
        })
    }
}

/// An expression that is true or false.
#[derive(Debug)]
enum Test {
    Constant(bool),
    Not(Box<Test>),
    /// As far as the first that does not hold.
    All(Box<[Test]>),
    /// As far as the first that holds.
    Any(Box<[Test]>),
    If(Box<[Test; 3]>),
    /// What native code decides: a condition of an IAM statement that Cedar cannot say.
    Slot(Meaning),
    /// The action is `Invoke`, so that the context has what only requests have.
    IsRequest,
    SecureTransport,
    /// The caller is one of these, or belongs to one of them.
    CallerIn(Box<Members>),
    CallerIs(Kind),
    /// The service is one of these; their ARNs are in order.
    ServiceIn(Box<[Box<str>]>),
    Has(Text),
    /// The caller has temporary credentials, of which it is known when they were given.
    HasIssueTime,
    HasSeveral(Texts),
    TextEquals(Text, Text),
    /// The texts are in order.
    TextIn(Text, Box<[Box<str>]>),
    /// It fits one of these.
    Like(Text, Box<[Pattern]>),
    Contains(Texts, Text),
    /// One of the values is among these, which are in order.
    ContainsAny(Texts, Box<[Box<str>]>),
    /// Each of these is among the values.
    ContainsAll(Texts, Box<[Box<str>]>),
    /// Each of the values is among these, which are in order.
    Within(Texts, Box<[Box<str>]>),
    Compare(Order, Number, Number),
    InRange(IpNet),
    Before(Order, Moment),
}

/// How two values stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Kinds of callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    User,
    Session,
    Anonymous,
    /// One that no caller is.
    Other,
}

/// Principals, each list in order.
#[derive(Debug, Default)]
struct Members {
    accounts: Vec<Box<str>>,
    users: Vec<Box<str>>,
    roles: Vec<Box<str>>,
    sessions: Vec<Box<str>>,
    anonymous: bool,
}

/// An expression that is a text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Text {
    Literal(Box<str>),
    Resource,
    Method,
    Path,
    ServiceArn,
    NetworkArn,
    SourceVpc,
    SourceVpcOwner,
    Header(Box<str>),
    CallerArn,
    PrincipalArn,
    Account,
    PrincipalType,
    UserId,
    UserName,
    SourceIdentity,
    FederatedProvider,
    Organization,
    PrincipalTag(Box<str>),
    ServiceTag(Box<str>),
}

/// An expression that is several texts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Texts {
    Query(Box<str>),
    OrganizationPaths,
}

/// An expression that is a whole number.
#[derive(Debug)]
enum Number {
    Literal(i64),
    Port,
    EpochTime,
    Negated(Box<Number>),
    Sum(Box<[Number; 2]>),
    Difference(Box<[Number; 2]>),
    Product(Box<[Number; 2]>),
}

#[cfg(test)]
mod tests;
