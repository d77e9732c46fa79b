//! Paths within documents: `services[1].listeners[0].rules[2].priority`.

use std::fmt::Write;

/// A place in a document while the loader is there. Building one costs nothing; it becomes a text only when there is a problem.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    parent: Option<&'a At<'a>>,
    step: Step<'a>,
}

/// The last step of a path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    /// The file itself, by its position.
    File(usize),
    /// A member of an object.
    Member(&'a str),
    /// An item of a list.
    Index(usize),
    /// A key of a map, freely chosen by the user.
    Key(&'a str),
}

impl<'a> At<'a> {
    /// The whole document of the file at this position.
    pub(super) fn file(position: usize) -> Self {
        Self {
            parent: None,
            step: Step::File(position),
        }
    }

    /// A member of the object that is here.
    pub(super) fn member(&'a self, name: &'a str) -> Self {
        Self {
            parent: Some(self),
            step: Step::Member(name),
        }
    }

    /// An item of the list that is here.
    pub(super) fn index(&'a self, index: usize) -> Self {
        Self {
            parent: Some(self),
            step: Step::Index(index),
        }
    }

    /// An entry of the map that is here.
    pub(super) fn key(&'a self, key: &'a str) -> Self {
        Self {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    /// The steps from the file to here, and the file's position.
    pub(super) fn steps(&self) -> (usize, Vec<Step<'a>>) {
        let mut steps = Vec::new();
        let mut at = *self;
        loop {
            match (at.step, at.parent) {
                (Step::File(position), _) => {
                    steps.reverse();
                    return (position, steps);
                }
                (step, Some(parent)) => {
                    steps.push(step);
                    at = *parent;
                }
                (_, None) => return (0, steps),
            }
        }
    }
}

/// Appends a step to the text of a path.
pub(super) fn push_step(text: &mut String, step: Step<'_>) {
    match step {
        Step::File(_) => {}
        Step::Member(name) => {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(name);
        }
        // Writing to a `String` cannot fail.
        Step::Index(index) => _ = write!(text, "[{index}]"),
        Step::Key(key) => _ = write!(text, "[{key:?}]"),
    }
}
