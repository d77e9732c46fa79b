//! The `Condition` element.

mod sense;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{Reader, Spot, nearest};
use crate::{
    iam::{
        condition::{ArnPattern, Condition, Quantifier, Relation, Test, parse_bool, parse_network},
        date::Moment,
        number::Number,
        template::Template,
    },
    json::Node,
    key::Key,
    request::Action,
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
    Date(Relation),
    Ip,
    Binary,
}

/// Base operators: name, what it compares, is it negated?
const OPERATORS: [(&str, Base, bool); 27] = [
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
    ("DateEquals", Base::Date(Relation::Equal), false),
    ("DateNotEquals", Base::Date(Relation::Equal), true),
    ("DateLessThan", Base::Date(Relation::Less), false),
    (
        "DateLessThanEquals",
        Base::Date(Relation::LessOrEqual),
        false,
    ),
    ("DateGreaterThan", Base::Date(Relation::Greater), false),
    (
        "DateGreaterThanEquals",
        Base::Date(Relation::GreaterOrEqual),
        false,
    ),
    ("BinaryEquals", Base::Binary, false),
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
    /// The conditions of a statement about these actions.
    pub(super) fn conditions(
        &mut self,
        node: &Node,
        spot: &Spot,
        actions: &[Action],
    ) -> Vec<Condition> {
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
                    let condition =
                        self.condition(operator, key, &member.name, &member.node, &spot);
                    if let Some(condition) = &condition
                        && !self.attached.is_about_calls()
                    {
                        self.make_sense(condition, &member.name, actions, &spot);
                    }
                    conditions.extend(condition);
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
        match self.parse_key(name) {
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
        let (test, templates) = self.test(operator.base, &values)?;
        Some(Condition {
            label: format!("{}.{written}", operator.name).into(),
            quantifier: operator.quantifier,
            negated: operator.negated,
            if_exists: operator.if_exists,
            key,
            test,
            templates: templates.into(),
        })
    }

    /// The test with its values, and those that have variables.
    fn test(&mut self, base: Base, values: &[(String, Spot)]) -> Option<(Test, Vec<Template>)> {
        let mut templates = Vec::new();
        let test = match base {
            Base::Equals => Test::Equals(self.plain_texts(values, &mut templates)?),
            Base::EqualsIgnoreCase => {
                let texts = self.plain_texts(values, &mut templates)?;
                let lower = texts.iter().map(|text| text.to_lowercase().into());
                Test::EqualsIgnoreCase(lower.collect())
            }
            Base::Like => Test::Like(self.each(values, &mut templates, |_, template, _, _| {
                Some(template.pattern())
            })?),
            Base::Arn => Test::Arn(self.each(values, &mut templates, Self::arn_pattern)?),
            Base::Bool => Test::Bool(self.parsed(values, "`true` or `false`", parse_bool)?),
            Base::Null => Test::Null(self.parsed(values, "`true` or `false`", parse_bool)?),
            Base::Numeric(relation) => {
                let wanted = "a number: digits, with a point if need be";
                Test::Numeric(relation, self.parsed(values, wanted, Number::parse)?)
            }
            Base::Date(relation) => {
                let wanted = "a date such as `2026-11-25T12:00:00Z`, or seconds since 1970";
                Test::Date(relation, self.parsed(values, wanted, Moment::parse)?)
            }
            Base::Ip => {
                let wanted = "an address or a range such as `10.0.0.0/8`";
                Test::Ip(self.parsed(values, wanted, parse_network)?)
            }
            Base::Binary => {
                let wanted = "base64 such as `QmluYXJ5`";
                Test::Binary(self.parsed(values, wanted, |text| {
                    BASE64.decode(text).ok().map(Into::into)
                })?)
            }
        };
        Some((test, templates))
    }

    fn plain_texts(
        &mut self,
        values: &[(String, Spot)],
        templates: &mut Vec<Template>,
    ) -> Option<Vec<Box<str>>> {
        self.each(values, templates, |_, template, _, _| {
            Some(template.plain())
        })
    }

    /// Reads every value that may have variables, so that all problems are reported. `read` gives `None` for a wrong one, and
    /// `Some(None)` for one with variables.
    fn each<T>(
        &mut self,
        values: &[(String, Spot)],
        templates: &mut Vec<Template>,
        mut read: impl FnMut(&mut Self, &Template, &str, &Spot) -> Option<Option<T>>,
    ) -> Option<Vec<T>> {
        let (mut found, mut whole) = (Vec::new(), true);
        for (text, spot) in values {
            let template = self.template(text, spot);
            match template.and_then(|template| {
                let value = read(self, &template, text, spot)?;
                Some((template, value))
            }) {
                Some((_, Some(value))) => found.push(value),
                Some((template, None)) => templates.push(template),
                None => whole = false,
            }
        }
        found.shrink_to_fit();
        whole.then_some(found)
    }

    /// Reads every value that has no variables.
    fn parsed<T>(
        &mut self,
        values: &[(String, Spot)],
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let (mut found, mut whole) = (Vec::new(), true);
        for (text, spot) in values {
            if let Some(value) = parse(text) {
                found.push(value);
            } else {
                whole = false;
                self.error(spot, format!("`{text}` is not {wanted}"), "");
            }
        }
        found.shrink_to_fit();
        whole.then_some(found)
    }

    #[expect(clippy::option_option, reason = "wrong, or only known with a request")]
    fn arn_pattern(
        &mut self,
        template: &Template,
        text: &str,
        spot: &Spot,
    ) -> Option<Option<ArnPattern>> {
        let Some(steps) = template.steps() else {
            return Some(None);
        };
        let pattern = ArnPattern::from_steps(&steps);
        if pattern.is_none() {
            let wanted = "an ARN of six parts, `arn:partition:service:region:account:resource`, each with wildcards if need be";
            self.error(spot, format!("`{text}` is not {wanted}"), "");
        }
        pattern.map(Some)
    }
}
