//! The careful reading: a tree against the schema, all problems of shape at once.
//!
//! What is wrong is reported and left out, as little as possible, so that the checks of meaning can run on the rest: a value of the
//! wrong kind is read as what was probably meant, an unknown member is skipped, and an item that cannot be read takes nothing with it
//! when its list is one of independent things. The positions of the items that stay are kept, because problems name the positions
//! that the user sees.

mod choices;
mod policies;

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use serde_json::{Map, Value};

use super::{
    parse::Lost,
    path::{Step, push_step},
    scalar,
    tree::{Entry, NodeId, Shape, Tree},
};
use crate::{
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
            .map(|entry| self.shape(entry.value))
            .filter(|shape| !scalar::is_null(shape));
        match name {
            Some(Shape::Plain(name) | Shape::Text(name)) => self.lost.names.push(name.clone()),
            _ => self.lost.members.push(list.to_owned()),
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

/// The first sentence of a description, worded as a hint.
fn first_sentence(text: &str) -> String {
    // What is marked as our own in the reference page needs no mark here.
    let text = text.strip_prefix("Trellis: ").unwrap_or(text);
    let first = text.split_once(". ").map_or(text, |(first, _)| first);
    let mut rest = first.trim_end_matches('.').chars();
    match (rest.next(), rest.clone().next()) {
        // A capital of the sentence, not one of an abbreviation.
        (Some(capital), Some(next)) if next.is_lowercase() => {
            capital.to_lowercase().chain(rest).collect()
        }
        (capital, _) => capital.into_iter().chain(rest).collect(),
    }
}
