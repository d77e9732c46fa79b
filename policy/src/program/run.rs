//! Running a program on the facts of a request. Hot: no lock, and no allocation but the resource's text, once per decision.

use std::{borrow::Cow, cell::OnceCell, cmp::Ordering};

use super::{Failure, Kind, Members, Number, Order, Program, Test, Text, Texts};
use crate::{
    cedar::translate::Meaning,
    facts::{Facts, Values, epoch_seconds, path_text},
    iam::{Statement, date::Moment},
    key::Key,
    principal::PrincipalType,
    request::{Action, Request},
    wildcard::any_fits,
};

/// What programs run on: one request, for all layers.
#[derive(Debug)]
pub(crate) struct Env<'a> {
    pub(crate) facts: &'a Facts<'a>,
    /// The resource's text, once it was asked for.
    resource: OnceCell<String>,
}

impl<'a> Env<'a> {
    pub(crate) fn new(facts: &'a Facts<'a>) -> Self {
        Self {
            facts,
            resource: OnceCell::new(),
        }
    }

    fn resource(&self) -> &str {
        self.resource.get_or_init(|| self.facts.resource())
    }

    /// The value of a slot of a statement.
    pub(crate) fn slot(&self, statement: &Statement, meaning: Meaning) -> bool {
        match meaning {
            Meaning::Resource => statement.resources.any_fits(self.resource(), self.facts),
            Meaning::Condition(position) => statement
                .conditions
                .get(position)
                .is_some_and(|condition| condition.holds(self.facts)),
        }
    }

    fn is_request(&self) -> bool {
        self.facts.request.action == Action::Invoke
    }
}

impl Program {
    /// Does the policy apply? With `every_path` the clause about resources is known to hold. Slots are of the statement.
    pub(crate) fn applies(
        &self,
        env: &Env<'_>,
        statement: Option<&Statement>,
        every_path: bool,
    ) -> Result<bool, Failure> {
        let skipped = self.resource.filter(|_| every_path);
        let run = Run { env, statement };
        for (position, clause) in self.clauses.iter().enumerate() {
            if Some(position) != skipped && !run.test(clause)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// One policy on one request.
struct Run<'a> {
    env: &'a Env<'a>,
    statement: Option<&'a Statement>,
}

fn among(texts: &[Box<str>], text: &str) -> bool {
    texts.binary_search_by(|known| (**known).cmp(text)).is_ok()
}

impl Run<'_> {
    fn test(&self, test: &Test) -> Result<bool, Failure> {
        let facts = self.env.facts;
        Ok(match test {
            Test::Constant(value) => *value,
            Test::Not(inner) => !self.test(inner)?,
            Test::All(tests) => self.until(tests, false)?,
            Test::Any(tests) => self.until(tests, true)?,
            Test::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                let chosen = if self.test(condition)? {
                    then
                } else {
                    otherwise
                };
                self.test(chosen)?
            }
            Test::Slot(meaning) => {
                let statement = self.statement.ok_or(Failure::Missing)?;
                self.env.slot(statement, *meaning)
            }
            Test::IsRequest => self.env.is_request(),
            Test::SecureTransport => self.http()?.secure_transport,
            Test::CallerIn(members) => members.has(facts),
            Test::CallerIs(kind) => *kind == caller_kind(facts),
            Test::ServiceIn(arns) => among(arns, facts.service_arn),
            Test::Has(name) => self.has(name)?,
            Test::HasIssueTime => {
                let principal = self.env.facts.principal;
                principal.is_some_and(|principal| principal.issued.is_some())
            }
            Test::HasSeveral(name) => self.has_several(name)?,
            Test::TextEquals(left, right) => self.text(left)? == self.text(right)?,
            Test::TextIn(value, known) => among(known, &self.text(value)?),
            Test::Like(value, patterns) => any_fits(patterns, &self.text(value)?),
            Test::Contains(values, wanted) => self.texts(values)?.contains(&self.text(wanted)?),
            Test::ContainsAny(values, wanted) => {
                self.texts(values)?.iter().any(|value| among(wanted, value))
            }
            Test::ContainsAll(values, wanted) => {
                let values = self.texts(values)?;
                let has = |wanted: &str| values.iter().any(|value| **value == *wanted);
                wanted.iter().all(|wanted| has(wanted))
            }
            Test::Within(values, wanted) => {
                self.texts(values)?.iter().all(|value| among(wanted, value))
            }
            Test::Compare(order, left, right) => {
                order.holds(self.number(left)?.cmp(&self.number(right)?))
            }
            Test::InRange(network) => network.contains(&self.http()?.source_ip.to_canonical()),
            Test::Before(order, moment) => {
                let now = Moment::of_seconds(epoch_seconds(self.http()?.now));
                order.holds(now.cmp(moment))
            }
        })
    }

    /// The first test that gives `end` ends it; else the contrary.
    fn until(&self, tests: &[Test], end: bool) -> Result<bool, Failure> {
        for test in tests {
            if self.test(test)? == end {
                return Ok(end);
            }
        }
        Ok(!end)
    }

    /// The request, where it has what only HTTP has.
    fn http(&self) -> Result<&Request<'_>, Failure> {
        if self.env.is_request() {
            Ok(self.env.facts.request)
        } else {
            Err(Failure::Missing)
        }
    }

    /// Is a text there? To ask for a header where there are none fails.
    fn has(&self, name: &Text) -> Result<bool, Failure> {
        if matches!(name, Text::Header(_)) {
            self.http()?;
        }
        Ok(self.text(name).is_ok())
    }

    /// Is one value there at least? To ask for a query parameter where there is no query fails.
    fn has_several(&self, name: &Texts) -> Result<bool, Failure> {
        if matches!(name, Texts::Query(_)) {
            self.http()?;
        }
        Ok(self.texts(name).is_ok())
    }

    fn text<'s>(&'s self, text: &'s Text) -> Result<Cow<'s, str>, Failure> {
        let facts = self.env.facts;
        let request = facts.request;
        let principal = facts.principal;
        let found = match text {
            Text::Literal(text) => Some(&**text),
            Text::Resource => Some(self.env.resource()),
            Text::ServiceArn => Some(facts.service_arn),
            Text::NetworkArn => Some(facts.network_arn),
            Text::SourceVpc => Some(request.source_vpc.as_str()),
            Text::SourceVpcOwner => Some(request.source_vpc_owner.as_str()),
            Text::CallerArn => principal.map(|principal| &*principal.arn),
            Text::PrincipalArn => principal.map(|principal| &*principal.principal_arn),
            Text::Account => {
                Some(principal.map_or("anonymous", |principal| principal.account.as_str()))
            }
            Text::PrincipalType => {
                Some(principal.map_or("Anonymous", |principal| principal.kind.as_str()))
            }
            Text::UserId => Some(principal.map_or("anonymous", |principal| &principal.user_id)),
            Text::UserName => principal.and_then(|principal| principal.user_name()),
            Text::SourceIdentity => {
                principal.and_then(|principal| principal.source_identity.as_deref())
            }
            Text::FederatedProvider => {
                principal.and_then(|principal| principal.federated_provider.as_deref())
            }
            Text::Organization => principal
                .and_then(|principal| principal.organization.as_ref())
                .map(|organization| &*organization.id),
            Text::PrincipalTag(name) => facts.principal_tag(name),
            Text::ServiceTag(name) => facts.service_tag(name),
            Text::Method => Some(request.method).filter(|_| self.env.is_request()),
            Text::Path if self.env.is_request() => return Ok(path_text(request.path)),
            Text::Header(name) if self.env.is_request() => {
                return facts.header(name).ok_or(Failure::Missing);
            }
            Text::Path | Text::Header(_) => None,
        };
        found.map(Cow::Borrowed).ok_or(Failure::Missing)
    }

    /// The values, at least one.
    fn texts(&self, texts: &Texts) -> Result<Values<'_>, Failure> {
        let values = match texts {
            Texts::Query(name) => self.http().map(|_| self.env.facts.query(name))?,
            Texts::OrganizationPaths => {
                let values = self.env.facts.values(&Key::PrincipalOrgPaths);
                values.unwrap_or_default()
            }
        };
        if values.is_empty() {
            return Err(Failure::Missing);
        }
        Ok(values)
    }

    fn number(&self, number: &Number) -> Result<i64, Failure> {
        let both = |pair: &[Number; 2]| -> Result<(i64, i64), Failure> {
            let [left, right] = pair;
            Ok((self.number(left)?, self.number(right)?))
        };
        let result = match number {
            Number::Literal(value) => Some(*value),
            Number::Port => Some(self.env.facts.request.port.into()),
            Number::EpochTime => Some(epoch_seconds(self.http()?.now)),
            Number::Negated(number) => self.number(number)?.checked_neg(),
            Number::Sum(pair) => {
                let (left, right) = both(pair)?;
                left.checked_add(right)
            }
            Number::Difference(pair) => {
                let (left, right) = both(pair)?;
                left.checked_sub(right)
            }
            Number::Product(pair) => {
                let (left, right) = both(pair)?;
                left.checked_mul(right)
            }
        };
        result.ok_or(Failure::Overflow)
    }
}

impl Order {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

fn caller_kind(facts: &Facts<'_>) -> Kind {
    match facts.principal.map(|principal| principal.kind) {
        Some(PrincipalType::User) => Kind::User,
        Some(PrincipalType::AssumedRole) => Kind::Session,
        None => Kind::Anonymous,
    }
}

impl Members {
    /// Is the caller one of them, or does it belong to one of them?
    fn has(&self, facts: &Facts<'_>) -> bool {
        let Some(principal) = facts.principal else {
            return self.anonymous;
        };
        among(&self.accounts, principal.account.as_str())
            || match principal.kind {
                PrincipalType::User => among(&self.users, &principal.arn),
                PrincipalType::AssumedRole => {
                    among(&self.roles, &principal.principal_arn)
                        || among(&self.sessions, &principal.arn)
                }
            }
    }
}
