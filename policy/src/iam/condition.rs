//! Condition operators: what each compares, and what it means when the key is missing or has several values.
//!
//! [`Condition::holds`] is the meaning of a condition in native code. Conditions that Cedar can express itself are translated and
//! never come here on the request path; for the others this fills the *slot* that the Cedar policy reads.
//!
//! Source: IAM user guide, "IAM JSON policy elements: Condition operators" and "Multivalued context keys".

use std::{cmp::Ordering, net::IpAddr};

use ipnet::IpNet;

use crate::{
    facts::{Fact, KeyValues, Values},
    iam::{date::Moment, number::Number, template::Template},
    key::Key,
    wildcard::{self, Part, Pattern},
};

/// One operator with one key and its values.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    /// The operator and the key as written, for explanations: `StringLike.aws:PrincipalArn`.
    pub(crate) label: Box<str>,
    pub(crate) quantifier: Quantifier,
    /// `…Not…`: no value may compare equal.
    pub(crate) negated: bool,
    /// `…IfExists`: true when the key is missing.
    pub(crate) if_exists: bool,
    pub(crate) key: Key,
    pub(crate) test: Test,
    /// Values with variables, beside those of the test.
    pub(crate) templates: Box<[Template]>,
}

/// How the values of a multivalued key are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    /// No prefix: some value must compare equal; negated, none may.
    Plain,
    /// `ForAnyValue:` some value must satisfy the operator.
    Any,
    /// `ForAllValues:` every value must satisfy the operator; true when there is none.
    All,
}

/// What a value is compared with. Several values in a policy are alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    /// `StringEquals`.
    Equals(Vec<Box<str>>),
    /// `StringEqualsIgnoreCase`, with the values in lower case.
    EqualsIgnoreCase(Vec<Box<str>>),
    /// `StringLike`.
    Like(Vec<Pattern>),
    /// `ArnEquals` and `ArnLike`, which are the same.
    Arn(Vec<ArnPattern>),
    /// `Bool`.
    Bool(Vec<bool>),
    /// `Null`: is the key missing? Several values are alternatives here too.
    Null(Vec<bool>),
    /// `Numeric…`: the value stands in this relation to one of the numbers.
    Numeric(Relation, Vec<Number>),
    /// `Date…`: the value stands in this relation to one of the moments.
    Date(Relation, Vec<Moment>),
    /// `IpAddress`.
    Ip(Vec<IpNet>),
    /// `BinaryEquals`: the bytes of the value.
    Binary(Vec<Box<[u8]>>),
}

/// How a number or a date is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
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

/// An ARN with wildcards in each of its six parts; a wildcard stays within its part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArnPattern([Pattern; 6]);

impl ArnPattern {
    /// A pattern from its steps. A colon that stands for itself parts it; `*` alone is any ARN. `None` when it has fewer than six
    /// parts.
    pub(crate) fn from_steps(steps: &[Part]) -> Option<Self> {
        if steps == [Part::Many] {
            return Some(Self(std::array::from_fn(|_| Pattern::parse("*"))));
        }
        let parts = steps.splitn(6, |step| *step == Part::Byte(b':'));
        let parts: Vec<Pattern> = parts
            .map(|part| Pattern::new(part.iter().copied()))
            .collect();
        parts.try_into().ok().map(Self)
    }

    /// Does one of the patterns fit? Many of them on a long text are tried together, part by part.
    fn any_matches(patterns: &[Self], text: &str) -> bool {
        if wildcard::are_few(patterns.len(), text) {
            return patterns.iter().any(|pattern| pattern.matches(text));
        }
        let mut left: Vec<&Self> = patterns.iter().collect();
        let mut parts = text.splitn(6, ':');
        for position in 0..6 {
            let Some(part) = parts.next() else {
                return false;
            };
            let own = left.iter().filter_map(|pattern| pattern.0.get(position));
            let fits = wildcard::fitting(own, part);
            left = left
                .into_iter()
                .zip(fits)
                .filter_map(|(one, fits)| fits.then_some(one))
                .collect();
        }
        !left.is_empty()
    }

    fn matches(&self, text: &str) -> bool {
        let mut parts = text.splitn(6, ':');
        self.0
            .iter()
            .all(|pattern| parts.next().is_some_and(|part| pattern.matches(part)))
    }
}

impl Condition {
    /// Does the condition hold?
    pub(crate) fn holds(&self, facts: &impl KeyValues) -> bool {
        let values = facts.values_of(&self.key);
        if let Test::Null(wanted) = &self.test {
            return wanted.contains(&values.is_none());
        }
        match values {
            Some(values) => self.holds_for(&values, facts),
            None => self.when_missing(),
        }
    }

    /// What the condition is when the request does not have the key.
    pub(crate) fn when_missing(&self) -> bool {
        match self.quantifier {
            _ if self.if_exists => true,
            Quantifier::Plain => self.negated,
            Quantifier::Any => false,
            Quantifier::All => true,
        }
    }

    /// The facts of a request that it depends on.
    pub(crate) fn facts(&self) -> impl Iterator<Item = Fact> {
        let templates = self.templates.iter().flat_map(Template::facts);
        self.key.fact().into_iter().chain(templates)
    }

    fn holds_for(&self, values: &Values<'_>, facts: &impl KeyValues) -> bool {
        let mut equal = values.iter().map(|value| {
            let mut templates = self.templates.iter();
            self.test.matches(value)
                || templates.any(|template| self.test.matches_filled(template, value, facts))
        });
        match self.quantifier {
            Quantifier::Plain => equal.any(|equal| equal) != self.negated,
            Quantifier::Any => equal.any(|equal| equal != self.negated),
            Quantifier::All => equal.all(|equal| equal != self.negated),
        }
    }
}

impl Test {
    /// Does one value compare equal with one of the policy's values?
    pub(crate) fn matches(&self, value: &str) -> bool {
        match self {
            Self::Equals(texts) => texts.iter().any(|text| **text == *value),
            Self::EqualsIgnoreCase(texts) => {
                let value = value.to_lowercase();
                texts.iter().any(|text| **text == *value)
            }
            Self::Like(patterns) => wildcard::any_fits(patterns, value),
            Self::Arn(patterns) => ArnPattern::any_matches(patterns, value),
            Self::Bool(wanted) => parse_bool(value).is_some_and(|value| wanted.contains(&value)),
            // Answered before any value is looked at.
            Self::Null(_) => false,
            Self::Numeric(relation, numbers) => Number::parse(value).is_some_and(|value| {
                let mut orders = numbers.iter().map(|number| value.cmp(number));
                orders.any(|order| relation.holds(order))
            }),
            Self::Date(relation, moments) => Moment::parse(value).is_some_and(|value| {
                let mut orders = moments.iter().map(|moment| value.cmp(moment));
                orders.any(|order| relation.holds(order))
            }),
            Self::Ip(networks) => parse_ip(value)
                .is_some_and(|address| networks.iter().any(|network| network.contains(&address))),
            Self::Binary(wanted) => wanted.iter().any(|bytes| **bytes == *value.as_bytes()),
        }
    }

    /// Does one value compare equal with a text whose variables are filled in? Only texts and ARNs have variables.
    fn matches_filled(&self, template: &Template, value: &str, facts: &impl KeyValues) -> bool {
        match self {
            Self::Equals(_) => template.fill_plain(facts).is_some_and(|text| text == value),
            Self::EqualsIgnoreCase(_) => template
                .fill_plain(facts)
                .is_some_and(|text| text.to_lowercase() == value.to_lowercase()),
            Self::Like(_) => template
                .fill_pattern(facts)
                .is_some_and(|pattern| pattern.matches(value)),
            Self::Arn(_) => template
                .fill(facts)
                .and_then(|steps| ArnPattern::from_steps(&steps))
                .is_some_and(|pattern| pattern.matches(value)),
            Self::Bool(_)
            | Self::Null(_)
            | Self::Numeric(..)
            | Self::Date(..)
            | Self::Ip(_)
            | Self::Binary(_) => false,
        }
    }
}

/// `true` or `false`, in any case.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// An address; one of IPv4 written in IPv6 is one of IPv4.
fn parse_ip(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

/// A network, or an address as the network of that address alone; one of IPv4 written in IPv6 is one of IPv4.
pub(crate) fn parse_network(text: &str) -> Option<IpNet> {
    let Ok(network) = text.parse::<IpNet>() else {
        return parse_ip(text).map(IpNet::from);
    };
    let mapped = match network.addr().to_canonical() {
        IpAddr::V4(address) if network.addr().is_ipv6() => {
            let bits = network.prefix_len().checked_sub(MAPPED_BITS);
            bits.and_then(|bits| IpNet::new(address.into(), bits).ok())
        }
        _ => None,
    };
    Some(mapped.unwrap_or(network))
}

/// Length of `::ffff:0:0/96`. Spec: RFC 4291 §2.5.5.2.
const MAPPED_BITS: u8 = 96;

#[cfg(test)]
mod tests;
