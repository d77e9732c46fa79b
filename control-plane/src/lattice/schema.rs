//! The API as its own model describes it: operations, shapes, constraints.
//!
//! The model is data (`control-plane/api/vpc-lattice.json`, derived from botocore's, Apache-2.0), read once. It decides which inputs are
//! well formed ([`Api::check`]) and which members an answer has ([`Api::project`]), so neither is written down a second time.

mod check;
mod read;

use std::sync::{LazyLock, OnceLock};

use fancy_regex::Regex;
use http::{Method, StatusCode};
use serde_json::{Map, Value};

pub(crate) use check::{Complaint, Complaints};

/// The API, as this program was built with it.
pub(crate) static API: LazyLock<Api> = LazyLock::new(|| {
    const MODEL: &str = include_str!("../../api/vpc-lattice.json");
    #[expect(
        clippy::expect_used,
        reason = "the text is part of the program, and a unit test reads it"
    )]
    read::read(MODEL).expect("the model of the API can be read")
});

/// Operations and shapes.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) operations: Vec<Operation>,
    shapes: Vec<Shape>,
}

/// Position of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShapeIndex(usize);

/// One operation.
#[derive(Debug)]
pub(crate) struct Operation {
    /// Its name, `CreateService`.
    pub(crate) name: String,
    /// The method of its requests.
    pub(crate) method: Method,
    /// The parts of its path between slashes.
    pub(crate) path: Vec<Segment>,
    /// The status of a success.
    pub(crate) status: StatusCode,
    /// What it is asked with.
    pub(crate) input: ShapeIndex,
    /// What it answers with.
    pub(crate) output: ShapeIndex,
    /// The names of the errors that it is documented to answer with.
    #[cfg(test)]
    pub(crate) errors: Vec<String>,
}

/// A part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Exactly this.
    Text(String),
    /// A value, for this member of the input.
    Label(String),
}

/// A kind of value.
#[derive(Debug)]
enum Shape {
    Structure {
        members: Vec<Member>,
        union: bool,
    },
    List {
        member: ShapeIndex,
        lengths: Bounds,
    },
    Map {
        key: ShapeIndex,
        value: ShapeIndex,
        lengths: Bounds,
    },
    Text {
        lengths: Bounds,
        pattern: Option<Pattern>,
        values: Vec<String>,
    },
    Integer(Bounds),
    Boolean,
    Timestamp,
}

/// Least and most, both allowed.
#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    least: Option<i64>,
    most: Option<i64>,
}

/// A member of a structure.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its name, here and on the wire.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) shape: ShapeIndex,
    /// Must it be there?
    pub(crate) required: bool,
    /// Where it stands.
    pub(crate) location: Location,
}

/// Where a member stands in a request or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Location {
    Path,
    Query,
    Header,
    Body,
}

/// A regular expression that the whole of a text must fit. Made when it is first wanted: most are not.
#[derive(Debug)]
struct Pattern {
    source: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            compiled: OnceLock::new(),
        }
    }

    fn compile(&self) -> Option<&Regex> {
        let compiled = self.compiled.get_or_init(|| {
            // Patterns are Java's, where `\d` is an ASCII digit, and are meant for the whole text, which they do not say.
            let ascii = self.source.replace(r"\d", "[0-9]");
            Regex::new(&format!(r"\A(?:{ascii})\z")).ok()
        });
        compiled.as_ref()
    }

    /// Does the whole text fit? Nothing fits a pattern that cannot be tried.
    fn fits(&self, text: &str) -> bool {
        self.compile()
            .is_some_and(|regex| regex.is_match(text).unwrap_or(false))
    }
}

impl Api {
    /// The operation with this name.
    #[cfg(test)]
    pub(crate) fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.iter().find(|known| known.name == name)
    }

    fn shape(&self, index: ShapeIndex) -> &Shape {
        static NOTHING: Shape = Shape::Boolean;
        self.shapes.get(index.0).unwrap_or(&NOTHING)
    }

    /// The members of a structure; none, when it is something else.
    pub(crate) fn members(&self, index: ShapeIndex) -> &[Member] {
        match self.shape(index) {
            Shape::Structure { members, .. } => members,
            _ => &[],
        }
    }

    /// Does a shape hold several values?
    pub(crate) fn is_list(&self, index: ShapeIndex) -> bool {
        matches!(self.shape(index), Shape::List { .. })
    }

    /// Is every text of a certain length one of these values?
    #[cfg(test)]
    pub(crate) fn takes_any_text(&self, index: ShapeIndex) -> bool {
        matches!(self.shape(index), Shape::Text { pattern: None, values, .. } if values.is_empty())
    }

    /// A value that came as text, in a query: what is not of the wanted type stays a text, and is complained of later.
    pub(crate) fn read_text(&self, index: ShapeIndex, text: String) -> Value {
        match self.shape(index) {
            Shape::Integer(_) => text.parse::<i64>().map_or(Value::String(text), Value::from),
            Shape::Boolean => text
                .parse::<bool>()
                .map_or(Value::String(text), Value::from),
            _ => Value::String(text),
        }
    }

    /// What `value` has of the members of a shape: no others, no nulls, in the order of the model.
    pub(crate) fn project(&self, index: ShapeIndex, value: Value) -> Value {
        match (self.shape(index), value) {
            (Shape::Structure { members, .. }, Value::Object(mut object)) => {
                let mut kept = Map::new();
                for member in members {
                    match object.remove(&member.name) {
                        None | Some(Value::Null) => {}
                        Some(value) => {
                            kept.insert(member.name.clone(), self.project(member.shape, value));
                        }
                    }
                }
                Value::Object(kept)
            }
            (Shape::List { member, .. }, Value::Array(items)) => items
                .into_iter()
                .map(|item| self.project(*member, item))
                .collect(),
            (_, value) => value,
        }
    }
}

#[cfg(test)]
mod tests;
