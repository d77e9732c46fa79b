//! The `Condition` element.

use super::{Reader, Spot, nearest};
use crate::{
    iam::{
        condition::{ArnPattern, Condition, Quantifier, Relation, Test, parse_bool, parse_network},
        number::Number,
    },
    json::Node,
    key::Key,
    wildcard::Pattern,
};

/// Most conditions in one statement: each is a level of nesting in the Cedar policy. No policy within AWS's quota of 10 KB has
/// as many.
const MAX_CONDITIONS: usize = 256;

/// What a base operator compares.
#[derive(Debug, Clone, Copy)]
enum Base {
    Equals,
    EqualsIgnoreCase,
    Like,
    Arn,
    Bool,
    Null,
    Numeric(Relation),
    Ip,
    /// Known to IAM, not to this version.
    Later,
}

/// Base operators: name, what it compares, is it negated?
const OPERATORS: [(&str, Base, bool); 28] = [
    ("StringEquals", Base::Equals, false),
    ("StringNotEquals", Base::Equals, true),
    ("StringEqualsIgnoreCase", Base::EqualsIgnoreCase, false),
    ("StringNotEqualsIgnoreCase", Base::EqualsIgnoreCase, true),
    ("StringLike", Base::Like, false),
    ("StringNotLike", Base::Like, true),
    ("ArnEquals", Base::Arn, false),
    ("ArnNotEquals", Base::Arn, true),
    ("ArnLike", Base::Arn, false),
    ("ArnNotLike", Base::Arn, true),
    ("Bool", Base::Bool, false),
    ("Null", Base::Null, false),
    ("NumericEquals", Base::Numeric(Relation::Equal), false),
    ("NumericNotEquals", Base::Numeric(Relation::Equal), true),
    ("NumericLessThan", Base::Numeric(Relation::Less), false),
    (
        "NumericLessThanEquals",
        Base::Numeric(Relation::LessOrEqual),
        false,
    ),
    (
        "NumericGreaterThan",
        Base::Numeric(Relation::Greater),
        false,
    ),
    (
        "NumericGreaterThanEquals",
        Base::Numeric(Relation::GreaterOrEqual),
        false,
    ),
    ("IpAddress", Base::Ip, false),
    ("NotIpAddress", Base::Ip, true),
    ("DateEquals", Base::Later, false),
    ("DateNotEquals", Base::Later, true),
    ("DateLessThan", Base::Later, false),
    ("DateLessThanEquals", Base::Later, false),
    ("DateGreaterThan", Base::Later, false),
    ("DateGreaterThanEquals", Base::Later, false),
    ("BinaryEquals", Base::Later, false),
    ("BinaryNotEquals", Base::Later, true),
];

/// An operator with its prefix and suffix.
#[derive(Debug, Clone, Copy)]
struct Operator<'a> {
    name: &'a str,
    quantifier: Quantifier,
    base: Base,
    negated: bool,
    if_exists: bool,
}

impl Reader<'_> {
    pub(super) fn conditions(&mut self, node: &Node, spot: &Spot) -> Vec<Condition> {
        let mut conditions = Vec::new();
        let operators = self
            .members(node, spot, "an object of operators")
            .unwrap_or_default();
        for member in operators {
            let spot = spot.member(member);
            let operator = self.operator(&member.name, &spot);
            let keys = self.members(&member.node, &spot, "an object of condition keys");
            for member in keys.unwrap_or_default() {
                let spot = spot.member(member);
                let key = self.key(&member.name, &spot);
                if let (Some(operator), Some(key)) = (operator, key) {
                    conditions.extend(self.condition(
                        operator,
                        key,
                        &member.name,
                        &member.node,
                        &spot,
                    ));
                }
            }
        }
        if conditions.len() > MAX_CONDITIONS {
            let message = format!("the statement has {} conditions", conditions.len());
            self.error(spot, message, format!("{MAX_CONDITIONS} are the most"));
        }
        conditions
    }

    fn operator<'t>(&mut self, name: &'t str, spot: &Spot) -> Option<Operator<'t>> {
        let (quantifier, rest) = match name.split_once(':') {
            Some(("ForAnyValue", rest)) => (Quantifier::Any, rest),
            Some(("ForAllValues", rest)) => (Quantifier::All, rest),
            _ => (Quantifier::Plain, name),
        };
        let (base_name, if_exists) = match rest.strip_suffix("IfExists") {
            Some(base) => (base, true),
            None => (rest, false),
        };
        let Some((_, base, negated)) = OPERATORS.iter().find(|(known, ..)| *known == base_name)
        else {
            let hint = nearest(base_name, OPERATORS.iter().map(|(known, ..)| *known));
            let hint = hint.map_or(String::new(), |known| format!("the nearest is `{known}`"));
            self.error(spot, format!("`{name}` is not a condition operator"), hint);
            return None;
        };
        let operator = Operator {
            name,
            quantifier,
            base: *base,
            negated: *negated,
            if_exists,
        };
        match base {
            Base::Later => {
                self.error(
                    spot,
                    format!("the operator `{name}` is not supported yet"),
                    "",
                );
                None
            }
            Base::Null if if_exists => {
                // Source: IAM user guide, "…IfExists condition operators": any operator except Null.
                self.error(
                    spot,
                    "`Null` cannot have `IfExists`",
                    "`Null` itself asks whether the key exists",
                );
                None
            }
            Base::Null if quantifier != Quantifier::Plain => {
                self.error(
                    spot,
                    "`Null` cannot have a prefix",
                    "`Null` asks whether the key exists, not for its values",
                );
                None
            }
            _ => Some(operator),
        }
    }

    fn key(&mut self, name: &str, spot: &Spot) -> Option<Key> {
        match Key::parse(name) {
            Ok(key) => Some(key),
            Err(unknown) => {
                let hint = unknown
                    .nearest
                    .map_or(String::new(), |known| format!("the nearest is `{known}`"));
                self.error(spot, format!("`{name}` is not a condition key"), hint);
                None
            }
        }
    }

    fn condition(
        &mut self,
        operator: Operator<'_>,
        key: Key,
        written: &str,
        node: &Node,
        spot: &Spot,
    ) -> Option<Condition> {
        let values = self.scalars(node, spot)?;
        let test = self.test(operator.base, &values)?;
        Some(Condition {
            label: format!("{}.{written}", operator.name).into(),
            quantifier: operator.quantifier,
            negated: operator.negated,
            if_exists: operator.if_exists,
            key,
            test,
        })
    }

    fn test(&mut self, base: Base, values: &[(String, Spot)]) -> Option<Test> {
        Some(match base {
            Base::Equals => Test::Equals(self.each(values, Self::plain)?),
            Base::EqualsIgnoreCase => {
                Test::EqualsIgnoreCase(self.each(values, |reader, text, spot| {
                    Some(reader.plain(text, spot)?.to_lowercase().into())
                })?)
            }
            Base::Like => Test::Like(self.each(values, Self::pattern)?),
            Base::Arn => Test::Arn(self.each(values, Self::arn_pattern)?),
            Base::Bool => Test::Bool(self.each(values, Self::boolean)?),
            Base::Null => Test::Null(self.each(values, Self::boolean)?),
            Base::Numeric(relation) => Test::Numeric(
                relation,
                self.each(values, |reader, text, spot| {
                    let number = Number::parse(text);
                    reader.require(
                        number,
                        text,
                        "a number: digits, with a point if need be",
                        spot,
                    )
                })?,
            ),
            Base::Ip => Test::Ip(self.each(values, |reader, text, spot| {
                let network = parse_network(text);
                reader.require(
                    network,
                    text,
                    "an address or a range such as `10.0.0.0/8`",
                    spot,
                )
            })?),
            Base::Later => return None,
        })
    }

    /// Reads every value, so that all problems are reported.
    fn each<T>(
        &mut self,
        values: &[(String, Spot)],
        mut read: impl FnMut(&mut Self, &str, &Spot) -> Option<T>,
    ) -> Option<Vec<T>> {
        let read: Vec<Option<T>> = values
            .iter()
            .map(|(text, spot)| read(self, text, spot))
            .collect();
        read.into_iter().collect()
    }

    fn require<T>(&mut self, value: Option<T>, text: &str, wanted: &str, spot: &Spot) -> Option<T> {
        if value.is_none() {
            self.error(spot, format!("`{text}` is not {wanted}"), "");
        }
        value
    }

    fn boolean(&mut self, text: &str, spot: &Spot) -> Option<bool> {
        self.require(parse_bool(text), text, "`true` or `false`", spot)
    }

    fn arn_pattern(&mut self, text: &str, spot: &Spot) -> Option<ArnPattern> {
        if text == "*" {
            return Some(ArnPattern::new(std::array::from_fn(|_| {
                Pattern::parse("*")
            })));
        }
        let parts: Option<Vec<Pattern>> = text
            .splitn(6, ':')
            .map(|part| self.pattern(part, spot))
            .collect();
        let parts: Option<[Pattern; 6]> = parts?.try_into().ok();
        let wanted = "an ARN of six parts, `arn:partition:service:region:account:resource`, each with wildcards if need be";
        self.require(parts, text, wanted, spot).map(ArnPattern::new)
    }
}
