//! A document as a tree with line numbers: what the second, careful reading works on.
//!
//! YAML and JSON become the same tree. It is an arena: an alias refers to the node that its anchor names, so a text of a few lines
//! cannot fill the memory. How deep a tree is and how large it would be with every alias written out is known for each node when
//! it is finished; beyond the bounds the text is refused, so that whoever walks a tree may do so recursively.

mod json;
mod yaml;

use crate::load::parse::Format;

/// Deepest nesting of lists and objects.
const MAX_DEPTH: u32 = 64;
/// How many nodes aliases may add to those that the text has.
const MAX_ALIASED: u64 = 1_000_000;

/// A text that is no tree: what is wrong and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) line: Option<u32>,
}

impl SyntaxError {
    fn at(line: u32, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            line: Some(line),
        }
    }
}

/// A document with line numbers.
#[derive(Debug)]
pub(super) struct Tree {
    format: Format,
    nodes: Vec<Node>,
    root: NodeId,
}

/// A node of one tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(u32);

/// A value with the line on which it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: u32,
    pub(super) shape: Shape,
    depth: u32,
    size: u64,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Shape {
    /// A YAML scalar without quotes: what it means depends on what is wanted.
    Plain(String),
    /// A text that is surely a text.
    Text(String),
    /// A JSON number, boolean or null.
    Literal(serde_json::Value),
    /// A list.
    List(Vec<NodeId>),
    /// An object, its keys in the order of the text, repeated ones included.
    Object(Vec<Entry>),
}

/// A member of an object.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: u32,
    pub(super) value: NodeId,
}

impl Tree {
    /// Reads a text whose size was checked.
    pub(super) fn parse(text: &str, format: Format) -> Result<Self, SyntaxError> {
        match format {
            Format::Yaml => yaml::parse(text),
            Format::Json => json::parse(without_mark(text)),
        }
    }

    /// Was the text YAML?
    pub(super) fn is_yaml(&self) -> bool {
        self.format == Format::Yaml
    }

    /// The whole document.
    pub(super) fn root(&self) -> NodeId {
        self.root
    }

    /// A node of this tree.
    pub(super) fn node(&self, id: NodeId) -> &Node {
        // INVARIANT: ids are made by `Arena::add` of the same tree, which never shrinks; a foreign id would find the root.
        self.nodes
            .get(id.0 as usize)
            .unwrap_or_else(|| self.root_node())
    }

    fn root_node(&self) -> &Node {
        const NOTHING: &Node = &Node {
            line: 1,
            shape: Shape::Literal(serde_json::Value::Null),
            depth: 0,
            size: 1,
        };
        self.nodes.get(self.root.0 as usize).unwrap_or(NOTHING)
    }

    /// The line on which the deepest part of a path stands that there is: `services[1].rules[2].priority`.
    pub(super) fn line_of(&self, path: &str) -> u32 {
        self.follow(path).0
    }

    /// Does something stand at the whole of this path?
    pub(super) fn has(&self, path: &str) -> bool {
        self.follow(path).1.is_empty()
    }

    /// The line of the deepest part of a path that there is, and the part that there is not.
    fn follow<'p>(&self, path: &'p str) -> (u32, &'p str) {
        let (mut rest, mut id, mut line) = (path, self.root, self.root_node().line);
        while !rest.is_empty() {
            let Some((next, at, left)) = self.step(id, rest) else {
                break;
            };
            (id, line, rest) = (next, at, left);
        }
        (line, rest)
    }

    /// One step of a path: the node it leads to, its line, what is left of the path.
    fn step<'p>(&self, id: NodeId, path: &'p str) -> Option<(NodeId, u32, &'p str)> {
        match &self.node(id).shape {
            Shape::List(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                let item = *items.get(index.parse::<usize>().ok()?)?;
                Some((item, self.node(item).line, rest))
            }
            Shape::Object(entries) => {
                // A key may hold dots and brackets, so the longest key that fits is the one that is meant.
                let fitting = entries
                    .iter()
                    .filter_map(|entry| Some((entry, after_key(path, &entry.key)?)));
                let (entry, rest) = fitting.max_by_key(|(entry, _)| entry.key.len())?;
                Some((entry.value, entry.line, rest))
            }
            Shape::Plain(_) | Shape::Text(_) | Shape::Literal(_) => None,
        }
    }
}

/// The text without a byte order mark, which editors on Windows write and JSON parsers may pass over.
///
/// Spec: RFC 8259 §8.1.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// What follows in a path after this key, `.key` or `["key"]`, if it begins with it.
fn after_key<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    let rest = if path.starts_with("[\"") {
        path.strip_prefix(&format!("[{key:?}]"))?
    } else {
        path.strip_prefix('.').unwrap_or(path).strip_prefix(key)?
    };
    (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
}

/// A tree in the making.
#[derive(Debug, Default)]
struct Arena {
    nodes: Vec<Node>,
}

impl Arena {
    /// Adds a finished node, unless it is too deep or stands for too much.
    fn add(&mut self, line: u32, shape: Shape) -> Result<NodeId, SyntaxError> {
        let (mut depth, mut size) = (0, 1);
        let mut count = |child: &NodeId| {
            if let Some(child) = self.nodes.get(child.0 as usize) {
                depth = depth.max(child.depth + 1);
                size = child.size.saturating_add(size);
            }
        };
        match &shape {
            Shape::List(items) => items.iter().for_each(&mut count),
            Shape::Object(entries) => entries.iter().for_each(|entry| count(&entry.value)),
            Shape::Plain(_) | Shape::Text(_) | Shape::Literal(_) => {}
        }
        if depth > MAX_DEPTH {
            return Err(SyntaxError::at(
                line,
                format!("lists and objects are nested more than {MAX_DEPTH} deep"),
            ));
        }
        if size > self.nodes.len() as u64 + 1 + MAX_ALIASED {
            return Err(SyntaxError::at(line, "aliases repeat too much"));
        }
        let id = u32::try_from(self.nodes.len())
            .map_err(|_| SyntaxError::at(line, "too many values"))?;
        self.nodes.push(Node {
            line,
            shape,
            depth,
            size,
        });
        Ok(NodeId(id))
    }

    fn finish(self, root: NodeId, format: Format) -> Tree {
        Tree {
            format,
            nodes: self.nodes,
            root,
        }
    }
}
