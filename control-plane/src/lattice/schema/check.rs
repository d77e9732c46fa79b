//! Is an input well formed? Every complaint at once.

use serde_json::{Map, Value};

use super::{Api, Bounds, Member, Pattern, Shape, ShapeIndex};

/// Most complaints that are told; an input may have as many as it has members.
const MAX_COMPLAINTS: usize = 50;

/// Longest part of a value that is repeated, in characters.
const SHOWN: usize = 64;

/// What is wrong with one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// Where: `defaultAction.forward.targetGroups[0].weight`.
    pub(crate) name: String,
    /// What, in the words of AWS's own services.
    pub(crate) message: String,
    /// Is it of the wrong type, so that it could not even be read?
    pub(crate) unreadable: bool,
}

/// What is wrong with an input.
#[derive(Debug, Default)]
pub(crate) struct Complaints(pub(crate) Vec<Complaint>);

impl Complaints {
    fn add(&mut self, name: &str, message: String, unreadable: bool) {
        if self.0.len() < MAX_COMPLAINTS {
            self.0.push(Complaint {
                name: name.to_owned(),
                message,
                unreadable,
            });
        }
    }

    fn constraint(&mut self, name: &str, value: &str, constraint: &str) {
        let message =
            format!("Value {value} at '{name}' failed to satisfy constraint: {constraint}");
        self.add(name, message, false);
    }

    fn unreadable(&mut self, name: &str, found: &Value, wanted: &str) {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "a Boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.add(name, format!("'{name}' is {found}, not {wanted}"), true);
    }
}

impl Api {
    /// What is wrong with `value` as an input of this shape. Members that the shape does not have are nobody's concern.
    pub(crate) fn check(&self, shape: ShapeIndex, value: &Map<String, Value>) -> Complaints {
        let mut complaints = Complaints::default();
        self.members_of(self.members(shape), value, "", &mut complaints);
        complaints
    }

    fn value(&self, shape: ShapeIndex, value: &Value, at: &str, complaints: &mut Complaints) {
        match self.shape(shape) {
            Shape::Structure { members, union } => match value {
                Value::Object(object) => {
                    if *union {
                        one_of(members, object, at, complaints);
                    }
                    self.members_of(members, object, at, complaints);
                }
                other => complaints.unreadable(at, other, "an object"),
            },
            Shape::List { member, lengths } => match value {
                Value::Array(items) => {
                    length(*lengths, items.len(), at, "a list", complaints);
                    for (position, item) in items.iter().enumerate() {
                        let at = format!("{at}[{position}]");
                        self.value(*member, item, &at, complaints);
                    }
                }
                other => complaints.unreadable(at, other, "a list"),
            },
            Shape::Map {
                key,
                value: kind,
                lengths,
            } => match value {
                Value::Object(entries) => {
                    length(*lengths, entries.len(), at, "a map", complaints);
                    for (name, value) in entries {
                        let at = format!("{at}.{}", shown(name));
                        self.value(*key, &Value::from(name.as_str()), &at, complaints);
                        self.value(*kind, value, &at, complaints);
                    }
                }
                other => complaints.unreadable(at, other, "an object"),
            },
            Shape::Text {
                lengths,
                pattern,
                values,
            } => match value {
                Value::String(text) => {
                    check_text(text, *lengths, pattern.as_ref(), values, at, complaints);
                }
                other => complaints.unreadable(at, other, "a string"),
            },
            Shape::Integer(bounds) => match value.as_i64() {
                Some(number) => check_number(number, *bounds, at, complaints),
                None => complaints.unreadable(at, value, "a whole number"),
            },
            Shape::Boolean => {
                if !value.is_boolean() {
                    complaints.unreadable(at, value, "a Boolean");
                }
            }
            // No input has one.
            Shape::Timestamp => complaints.unreadable(at, value, "a timestamp"),
        }
    }

    fn members_of(
        &self,
        members: &[Member],
        object: &Map<String, Value>,
        at: &str,
        complaints: &mut Complaints,
    ) {
        for member in members {
            let at = if at.is_empty() {
                member.name.clone()
            } else {
                format!("{at}.{}", member.name)
            };
            match object.get(&member.name) {
                None | Some(Value::Null) => {
                    if member.required {
                        complaints.constraint(&at, "null", "Member must not be null");
                    }
                }
                Some(value) => self.value(member.shape, value, &at, complaints),
            }
        }
    }
}

/// A union has exactly one of its members.
fn one_of(members: &[Member], object: &Map<String, Value>, at: &str, complaints: &mut Complaints) {
    let given = |member: &&Member| object.get(&member.name).is_some_and(|v| !v.is_null());
    if members.iter().filter(given).count() != 1 {
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        let message = format!("'{at}' must have exactly one of: {}", names.join(", "));
        complaints.add(at, message, false);
    }
}

fn length(lengths: Bounds, found: usize, at: &str, what: &str, complaints: &mut Complaints) {
    let found = i64::try_from(found).unwrap_or(i64::MAX);
    let value = format!("({what} of {found})");
    if let Some(least) = lengths.least.filter(|least| found < *least) {
        let constraint = format!("Member must have length greater than or equal to {least}");
        complaints.constraint(at, &value, &constraint);
    }
    if let Some(most) = lengths.most.filter(|most| found > *most) {
        let constraint = format!("Member must have length less than or equal to {most}");
        complaints.constraint(at, &value, &constraint);
    }
}

fn check_text(
    text: &str,
    lengths: Bounds,
    pattern: Option<&Pattern>,
    values: &[String],
    at: &str,
    complaints: &mut Complaints,
) {
    let count = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let quoted = format!("'{}'", shown(text));
    if let Some(least) = lengths.least.filter(|least| count < *least) {
        let constraint = format!("Member must have length greater than or equal to {least}");
        complaints.constraint(at, &quoted, &constraint);
    }
    if let Some(most) = lengths.most.filter(|most| count > *most) {
        let constraint = format!("Member must have length less than or equal to {most}");
        complaints.constraint(at, &quoted, &constraint);
        // No pattern is tried on a text of any length.
        return;
    }
    if let Some(pattern) = pattern.filter(|pattern| !pattern.fits(text)) {
        let constraint = format!(
            "Member must satisfy regular expression pattern: {}",
            pattern.source
        );
        complaints.constraint(at, &quoted, &constraint);
    }
    if !values.is_empty() && !values.iter().any(|value| value == text) {
        let constraint = format!(
            "Member must satisfy enum value set: [{}]",
            values.join(", ")
        );
        complaints.constraint(at, &quoted, &constraint);
    }
}

fn check_number(number: i64, bounds: Bounds, at: &str, complaints: &mut Complaints) {
    let quoted = format!("'{number}'");
    if let Some(least) = bounds.least.filter(|least| number < *least) {
        let constraint = format!("Member must have value greater than or equal to {least}");
        complaints.constraint(at, &quoted, &constraint);
    }
    if let Some(most) = bounds.most.filter(|most| number > *most) {
        let constraint = format!("Member must have value less than or equal to {most}");
        complaints.constraint(at, &quoted, &constraint);
    }
}

/// Something of the caller's, short enough to be repeated.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
