//! Policies, whose content another crate checks.

use serde_json::{Map, Value};

use super::Checker;
use crate::{
    document::Policy,
    load::{
        path::Step,
        scalar,
        tree::{NodeId, Shape},
    },
};

impl Checker<'_> {
    pub(super) fn policy(&mut self, id: NodeId) -> Option<Value> {
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
}
