//! The careful reading: a tree against the schema, all problems of shape at once.
//!
//! What is wrong is reported and left out, as little as possible, so that the checks of meaning can run on the rest: a value of the
//! wrong kind is read as what was probably meant, an unknown member is skipped, and an item that cannot be read takes nothing with it
//! when its list is one of independent things. The positions of the items that stay are kept, because problems name the positions
//! that the user sees.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use serde_json::{Map, Value};

use super::{
    nearest::nearest,
    parse::Lost,
    path::{Step, push_step},
    scalar,
    tree::{Entry, NodeId, Shape, Tree},
};
use crate::{
    document::Policy,
    problem::{Place, Problem},
    schema::{SCHEMA, definition, referred},
};

/// Types of list items that are left out alone when they cannot be read: nothing else is wrong for want of one.
const INDEPENDENT: [&str; 14] = [
    "AccessKey",
    "AccessLogSubscription",
    "HeaderMatch",
    "Listener",
    "Role",
    "RoleAccessKey",
    "Rule",
    "Service",
    "ServiceAssociation",
    "ServiceNetwork",
    "TargetGroup",
    "User",
    "Vpc",
    "VpcAssociation",
];

/// Members that VPC Lattice has and this version does not support, and what to do instead.
const UNSUPPORTED_MEMBERS: [(&str, &str); 12] = [
    (
        "certificateArn",
        "`certificate` with the paths of two files",
    ),
    (
        "destinationArn",
        "`destination`: `stdout` or `{file: path}`",
    ),
    ("dnsOptions", ""),
    ("lambdaEventStructureVersion", ""),
    ("privateDnsEnabled", ""),
    ("resourceConfigurations", ""),
    ("resourceGateways", ""),
    (
        "securityGroupIds",
        "`sources` of the VPC's attachments limit who may connect",
    ),
    (
        "securityGroups",
        "`sources` of the VPC's attachments limit who may connect",
    ),
    ("serviceNetworkLogType", ""),
    ("sharingConfig", ""),
    ("subnets", "`cidrs` of the VPC"),
];

/// Values that VPC Lattice has and this version does not support.
const UNSUPPORTED_VALUES: [&str; 3] = ["LAMBDA", "TCP", "TLS_PASSTHROUGH"];

/// What the careful reading gives.
#[derive(Debug)]
pub(super) struct Checked {
    /// The document without what is wrong.
    pub(super) value: Value,
    /// For each list that items were left out of: the original positions of those that stayed.
    pub(super) kept: HashMap<String, Vec<usize>>,
    /// What was left out.
    pub(super) lost: Lost,
}

/// Checks a document's tree; what is wrong goes to `problems`.
pub(super) fn check(tree: &Tree, file: &Arc<PathBuf>, problems: &mut Vec<Problem>) -> Checked {
    let mut checker = Checker {
        tree,
        file,
        problems,
        path: String::new(),
        inside: String::new(),
        kept: Vec::new(),
        lost: Lost::default(),
    };
    let value = checker.document();
    Checked {
        value,
        kept: checker.kept.into_iter().collect(),
        lost: checker.lost,
    }
}

struct Checker<'c> {
    tree: &'c Tree,
    file: &'c Arc<PathBuf>,
    problems: &'c mut Vec<Problem>,
    /// Where the checker is, in the positions of the text.
    path: String,
    /// Where it is, in the positions of what will be left.
    inside: String,
    /// Lists that items were left out of, by their path in the positions of what will be left.
    kept: Vec<(String, Vec<usize>)>,
    lost: Lost,
}

impl<'c> Checker<'c> {
    /// The whole document. Each of its members is left out alone.
    fn document(&mut self) -> Value {
        let root = self.tree.root();
        let mut document = Map::new();
        let Shape::Object(entries) = self.shape(root) else {
            if !scalar::is_null(self.shape(root)) {
                let message = format!("{} is not a configuration", scalar::shown(self.shape(root)));
                self.report(
                    self.tree.node(root).line,
                    message,
                    Some("an object with members such as `services`".to_owned()),
                );
                self.lost.everything = true;
            }
            return Value::Object(document);
        };
        self.members(entries, &SCHEMA, |checker, key, value| match value {
            Some(value) => _ = document.insert(key.to_owned(), value),
            None => checker.lost.members.push(key.to_owned()),
        });
        Value::Object(document)
    }

    fn value(&mut self, id: NodeId, schema: &'c Value) -> Option<Value> {
        let name = referred(schema);
        if name == Some("Policy") {
            return self.policy(id);
        }
        let schema = name.and_then(definition).unwrap_or(schema);
        if let Some(alternatives) = schema.get("oneOf").and_then(Value::as_array) {
            return self.union(id, alternatives, name == Some("SecretSource"));
        }
        match (schema.get("type").and_then(Value::as_str), self.shape(id)) {
            (Some("object"), Shape::Object(entries)) => self.object(id, entries, schema),
            (Some("array"), Shape::List(items)) => self.list(items, schema.get("items")?),
            // One item without the brackets: read as meant, and reported.
            (Some("array"), Shape::Plain(_) | Shape::Text(_) | Shape::Object(_)) => {
                let shown = scalar::shown(self.shape(id));
                self.problem(
                    id,
                    format!("{shown} is not a list"),
                    Some("`[…]` around the value".to_owned()),
                );
                let item = self.value(id, schema.get("items")?)?;
                Some(Value::Array(vec![item]))
            }
            (Some(wanted @ ("object" | "array")), shape) => {
                let noun = if wanted == "object" {
                    "an object"
                } else {
                    "a list"
                };
                let shown = scalar::shown(shape);
                self.problem(id, format!("{shown} is not {noun}"), None);
                None
            }
            (Some(wanted), shape) => self.scalar(id, shape, wanted, schema),
            (None, _) => None,
        }
    }

    /// A text, number or boolean. One that is written as another is read as meant, and reported.
    fn scalar(
        &mut self,
        id: NodeId,
        shape: &'c Shape,
        wanted: &str,
        schema: &'c Value,
    ) -> Option<Value> {
        match scalar::read(shape, wanted) {
            Ok(Value::String(text)) if schema.get("enum").is_some() => {
                self.one_of(id, text, schema)
            }
            Ok(value) => Some(value),
            // In YAML the fast reading takes a number in quotes for a number, so this one does.
            Err(scalar::Mistake {
                meant: Some(meant), ..
            }) if self.tree.is_yaml() && matches!(shape, Shape::Text(_)) => Some(meant),
            Err(mistake) => {
                self.problem(id, mistake.message, mistake.hint);
                mistake.meant
            }
        }
    }

    fn one_of(&mut self, id: NodeId, text: String, schema: &'c Value) -> Option<Value> {
        let values: Vec<&str> = schema
            .get("enum")?
            .as_array()?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        if values.contains(&text.as_str()) {
            return Some(Value::String(text));
        }
        let listed = quoted(&values);
        if UNSUPPORTED_VALUES.contains(&text.as_str()) {
            let message =
                format!("`{text}` is part of VPC Lattice, but this version does not support it");
            self.problem(id, message, Some(format!("one of {listed}")));
        } else {
            let hint = nearest(&text.to_ascii_uppercase(), values)
                .map(|value| format!("did you mean `{value}`?"));
            self.problem(
                id,
                format!("`{}` is not one of {listed}", scalar::short(&text)),
                hint,
            );
        }
        None
    }

    fn object(&mut self, id: NodeId, entries: &'c [Entry], schema: &'c Value) -> Option<Value> {
        let mut whole = true;
        let mut object = Map::new();
        self.members(entries, schema, |_, key, value| match value {
            Some(value) => _ = object.insert(key.to_owned(), value),
            None => whole = false,
        });
        for name in schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !entries.iter().any(|entry| entry.key == name) {
                let hint =
                    member(schema, name).and_then(|member| member.get("description")?.as_str());
                self.problem(id, format!("`{name}` is missing"), hint.map(first_sentence));
                whole = false;
            }
        }
        whole.then_some(Value::Object(object))
    }

    /// Checks the members of an object, or the entries of a map, and hands over what each is worth.
    fn members(
        &mut self,
        entries: &'c [Entry],
        schema: &'c Value,
        mut take: impl FnMut(&mut Self, &'c str, Option<Value>),
    ) {
        let values = schema
            .get("additionalProperties")
            .filter(|values| values.is_object());
        let required = schema.get("required").and_then(Value::as_array);
        let mut seen = HashSet::with_capacity(entries.len());
        for entry in entries {
            let key = entry.key.as_str();
            let step = if values.is_some() {
                Step::Key(key)
            } else {
                Step::Member(key)
            };
            let (here, inside) = self.enter(step, step);
            if !seen.insert(key) {
                self.report(entry.line, "this key appears twice".to_owned(), None);
            } else if let Some(schema) = values.or_else(|| member(schema, key)) {
                let optional = values.is_none()
                    && !required.is_some_and(|names| names.iter().any(|name| name == key));
                if !(optional && scalar::is_null(self.shape(entry.value))) {
                    let value = self.value(entry.value, schema);
                    take(self, key, value);
                }
            } else {
                self.unknown(entry, schema);
            }
            self.leave(here, inside);
        }
    }

    fn unknown(&mut self, entry: &Entry, schema: &Value) {
        let key = entry.key.as_str();
        if let Some((_, instead)) = UNSUPPORTED_MEMBERS.iter().find(|(name, _)| *name == key) {
            let hint = (!instead.is_empty()).then(|| (*instead).to_owned());
            let message =
                format!("`{key}` is part of VPC Lattice, but this version does not support it");
            return self.report(entry.line, message, hint);
        }
        let known: Vec<&str> = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        let hint = match nearest(key, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known here are {}", quoted(&known)),
        };
        self.report(
            entry.line,
            format!("unknown key `{}`", scalar::short(key)),
            Some(hint),
        );
    }

    fn list(&mut self, items: &'c [NodeId], schema: &'c Value) -> Option<Value> {
        let independent = referred(schema).is_some_and(|name| INDEPENDENT.contains(&name));
        let (mut values, mut kept, mut whole) = (Vec::with_capacity(items.len()), Vec::new(), true);
        for (index, item) in items.iter().enumerate() {
            let (here, inside) = self.enter(Step::Index(index), Step::Index(values.len()));
            let lists = self.kept.len();
            let value = self.value(*item, schema);
            self.leave(here, inside);
            if let Some(value) = value {
                values.push(value);
                kept.push(index);
            } else {
                self.kept.truncate(lists);
                whole = false;
                self.lose(*item, referred(schema));
            }
        }
        if !whole && independent {
            self.kept.push((self.inside.clone(), kept));
        }
        (whole || independent).then_some(Value::Array(values))
    }

    /// Remembers what is left out, because references to it are no further problem.
    fn lose(&mut self, item: NodeId, kind: Option<&str>) {
        let list = match kind {
            Some("Vpc") => "vpcs",
            Some("ServiceNetwork") => "serviceNetworks",
            Some("Service") => "services",
            Some("TargetGroup") => "targetGroups",
            _ => return,
        };
        let entries = match self.shape(item) {
            Shape::Object(entries) => entries.as_slice(),
            _ => &[],
        };
        let name = entries
            .iter()
            .find(|entry| entry.key == "name")
            .map(|entry| self.shape(entry.value));
        match name {
            Some(Shape::Plain(name) | Shape::Text(name)) => self.lost.names.push(name.clone()),
            _ => self.lost.members.push(list.to_owned()),
        }
    }

    /// Exactly one of several members, or one of several words. What stands where a secret's source should be may be the secret.
    fn union(&mut self, id: NodeId, alternatives: &'c [Value], secret: bool) -> Option<Value> {
        let words: Vec<_> = alternatives
            .iter()
            .filter_map(|alternative| alternative.get("const")?.as_str())
            .collect();
        let members: Vec<_> = alternatives
            .iter()
            .filter_map(|alternative| alternative.get("properties")?.as_object())
            .flatten()
            .map(|(name, schema)| (name.as_str(), schema))
            .collect();
        let names: Vec<_> = members.iter().map(|(name, _)| *name).collect();
        match self.shape(id) {
            Shape::Plain(text) | Shape::Text(text) if words.contains(&text.as_str()) => {
                Some(Value::String(text.clone()))
            }
            Shape::Object(entries) => self.only_member(id, entries, &members, &names),
            shape => {
                let shown = if secret {
                    "this".to_owned()
                } else {
                    scalar::shown(shape)
                };
                let words = if words.is_empty() {
                    String::new()
                } else {
                    format!("{}, or ", quoted(&words))
                };
                self.problem(
                    id,
                    format!("{shown} does not fit here"),
                    Some(format!("{words}an object with {}", either(&names))),
                );
                None
            }
        }
    }

    fn only_member(
        &mut self,
        id: NodeId,
        entries: &'c [Entry],
        members: &[(&'c str, &'c Value)],
        names: &[&str],
    ) -> Option<Value> {
        let mut found: Option<(&str, Option<Value>)> = None;
        let mut wrong = false;
        for entry in entries {
            let step = Step::Member(&entry.key);
            let (here, inside) = self.enter(step, step);
            match (members.iter().find(|(name, _)| *name == entry.key), &found) {
                (Some((name, schema)), None) => {
                    let value = self.value(entry.value, schema);
                    found = Some((name, value));
                }
                (Some(_), Some((other, _))) => {
                    let message = if *other == entry.key {
                        "this key appears twice".to_owned()
                    } else {
                        format!("`{}` and `{other}` exclude each other", entry.key)
                    };
                    self.report(entry.line, message, None);
                    wrong = true;
                }
                (None, _) => {
                    let hint = nearest(&entry.key, names.iter().copied())
                        .map_or_else(|| either(names), |name| format!("did you mean `{name}`?"));
                    self.report(
                        entry.line,
                        format!("unknown key `{}`", scalar::short(&entry.key)),
                        Some(hint),
                    );
                    wrong = true;
                }
            }
            self.leave(here, inside);
        }
        match found {
            Some((name, Some(value))) => {
                Some(Value::Object(Map::from_iter([(name.to_owned(), value)])))
            }
            Some((_, None)) => None,
            None => {
                if !wrong {
                    self.problem(id, format!("{} is missing", either(names)), None);
                }
                None
            }
        }
    }

    fn policy(&mut self, id: NodeId) -> Option<Value> {
        let value = self.json(id)?;
        let mistake = match &value {
            Value::Object(object) => Policy::from_object(object.clone()).err(),
            Value::String(_) => None,
            _ => Some("neither an object nor a text"),
        };
        if let Some(mistake) = mistake {
            let hint =
                "an IAM policy with `Statement`, its JSON text, `{file: path}` or `{cedar: text}`";
            self.problem(id, mistake.to_owned(), Some(hint.to_owned()));
            return None;
        }
        Some(value)
    }

    /// Any JSON value: the content of an IAM policy, which another crate checks.
    fn json(&mut self, id: NodeId) -> Option<Value> {
        match self.shape(id) {
            Shape::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let (here, inside) = self.enter(Step::Index(index), Step::Index(index));
                    values.push(self.json(*item));
                    self.leave(here, inside);
                }
                values
                    .into_iter()
                    .collect::<Option<Vec<_>>>()
                    .map(Value::Array)
            }
            Shape::Object(entries) => {
                let (mut object, mut whole) = (Map::new(), true);
                for entry in entries {
                    let step = Step::Member(&entry.key);
                    let (here, inside) = self.enter(step, step);
                    if object.contains_key(&entry.key) {
                        self.report(entry.line, "this key appears twice".to_owned(), None);
                    } else if let Some(value) = self.json(entry.value) {
                        object.insert(entry.key.clone(), value);
                    } else {
                        whole = false;
                    }
                    self.leave(here, inside);
                }
                whole.then_some(Value::Object(object))
            }
            shape => Some(scalar::untyped(shape)),
        }
    }

    fn shape(&self, id: NodeId) -> &'c Shape {
        &self.tree.node(id).shape
    }

    /// Goes one step down; what it gives back is for [`Self::leave`].
    fn enter(&mut self, step: Step<'_>, inside: Step<'_>) -> (usize, usize) {
        let lengths = (self.path.len(), self.inside.len());
        push_step(&mut self.path, step);
        push_step(&mut self.inside, inside);
        lengths
    }

    fn leave(&mut self, here: usize, inside: usize) {
        self.path.truncate(here);
        self.inside.truncate(inside);
    }

    fn problem(&mut self, id: NodeId, message: String, hint: Option<String>) {
        self.report(self.tree.node(id).line, message, hint);
    }

    fn report(&mut self, line: u32, message: String, hint: Option<String>) {
        let place = Place {
            file: Some(Arc::clone(self.file)),
            path: self.path.clone(),
            line: Some(line),
        };
        let problem = Problem::error(place, message);
        self.problems.push(match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
    }
}

fn member<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    schema.get("properties")?.get(name)
}

fn first_sentence(text: &str) -> String {
    text.split_once(". ")
        .map_or(text, |(first, _)| first)
        .trim_end_matches('.')
        .to_owned()
}

/// `a`, `b`, `c`
fn quoted(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// one of `a`, `b`
fn either(names: &[&str]) -> String {
    format!("one of {}", quoted(names))
}
