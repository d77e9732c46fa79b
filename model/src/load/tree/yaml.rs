//! YAML into a tree: anchors, aliases and merge keys resolved.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use crate::load::parse::Format;

use super::{Arena, Entry, MAX_DEPTH, NodeId, Shape, SyntaxError, Tree};

/// Reads a text of one YAML document; an empty one is null.
pub(super) fn parse(text: &str) -> Result<Tree, SyntaxError> {
    let mut reader = Reader::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| syntax_error(&error))?;
        reader.event(event, u32::try_from(span.start.line()).unwrap_or(u32::MAX))?;
    }
    let root = match reader.root {
        Some(root) => root,
        None => reader.arena.add(1, Shape::Plain(String::new()))?,
    };
    Ok(reader.arena.finish(root, Format::Yaml))
}

fn syntax_error(error: &ScanError) -> SyntaxError {
    SyntaxError {
        message: error.info().to_owned(),
        line: u32::try_from(error.marker().line()).ok(),
    }
}

/// Does a tag say that something is a text? Tags beyond those of YAML's own types mean nothing here and are refused.
fn known_tag(tag: Option<&Tag>, line: u32) -> Result<bool, SyntaxError> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() => Ok(tag.suffix == "str"),
        Some(tag) => Err(SyntaxError::at(
            line,
            format!("the tag `{tag}` means nothing here"),
        )),
    }
}

#[derive(Default)]
struct Reader {
    arena: Arena,
    /// Lists and objects that are not finished, the outermost first.
    open: Vec<Open>,
    /// Finished nodes that have an anchor.
    anchors: HashMap<usize, NodeId>,
    root: Option<NodeId>,
    documents: usize,
}

/// A list or object that is not finished.
struct Open {
    line: u32,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<NodeId>),
    Object {
        entries: Vec<Entry>,
        /// Values of `<<`.
        merges: Vec<NodeId>,
        key: Option<(Key, u32)>,
    },
}

enum Key {
    Text(String),
    Merge,
}

impl Reader {
    fn event(&mut self, event: Event<'_>, line: u32) -> Result<(), SyntaxError> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(SyntaxError::at(line, "a second document in one file"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = known_tag(tag.as_deref(), line)? || style != ScalarStyle::Plain;
                if self.is_merge_key(&text, style) {
                    self.set_key(Key::Merge, line);
                    return Ok(());
                }
                let shape = if quoted {
                    Shape::Text(text.into_owned())
                } else {
                    Shape::Plain(text.into_owned())
                };
                self.finished(line, anchor, shape)?;
            }
            Event::SequenceStart(anchor, _) => {
                self.begin(line, anchor, Content::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                known_tag(tag.as_deref(), line)?;
                self.begin(
                    line,
                    anchor,
                    Content::Object {
                        entries: Vec::new(),
                        merges: Vec::new(),
                        key: None,
                    },
                )?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(line)?,
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).copied();
                let node = node.ok_or_else(|| {
                    SyntaxError::at(line, "an alias inside of what it stands for")
                })?;
                self.place(node, line)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn begin(&mut self, line: u32, anchor: usize, content: Content) -> Result<(), SyntaxError> {
        if self.open.len() >= MAX_DEPTH as usize {
            return Err(SyntaxError::at(
                line,
                format!("lists and objects are nested more than {MAX_DEPTH} deep"),
            ));
        }
        self.open.push(Open {
            line,
            anchor,
            content,
        });
        Ok(())
    }

    fn end(&mut self, line: u32) -> Result<(), SyntaxError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let shape = match open.content {
            Content::List(items) => Shape::List(items),
            Content::Object {
                mut entries,
                merges,
                ..
            } => {
                for merge in merges {
                    self.merge(&mut entries, merge, line)?;
                }
                Shape::Object(entries)
            }
        };
        self.finished(open.line, open.anchor, shape)
    }

    /// Adds the entries of a merged object that the object itself does not have.
    fn merge(&self, entries: &mut Vec<Entry>, merge: NodeId, line: u32) -> Result<(), SyntaxError> {
        let sources = match self.shape(merge) {
            Some(Shape::List(items)) => items.clone(),
            _ => vec![merge],
        };
        for source in sources {
            let Some(Shape::Object(merged)) = self.shape(source) else {
                return Err(SyntaxError::at(line, "`<<` merges objects only"));
            };
            for entry in merged {
                if !entries.iter().any(|own| own.key == entry.key) {
                    entries.push(entry.clone());
                }
            }
        }
        Ok(())
    }

    fn shape(&self, id: NodeId) -> Option<&Shape> {
        self.arena.nodes.get(id.0 as usize).map(|node| &node.shape)
    }

    fn finished(&mut self, line: u32, anchor: usize, shape: Shape) -> Result<(), SyntaxError> {
        let node = self.arena.add(line, shape)?;
        if anchor != 0 {
            self.anchors.insert(anchor, node);
        }
        self.place(node, line)
    }

    /// Puts a finished node where the text has it.
    fn place(&mut self, node: NodeId, line: u32) -> Result<(), SyntaxError> {
        let Some(open) = self.open.last_mut() else {
            self.root.get_or_insert(node);
            return Ok(());
        };
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Object {
                entries,
                merges,
                key,
            } => match key.take() {
                Some((Key::Text(key), line)) => entries.push(Entry {
                    key,
                    line,
                    value: node,
                }),
                Some((Key::Merge, _)) => merges.push(node),
                None => {
                    let shape = self
                        .arena
                        .nodes
                        .get(node.0 as usize)
                        .map(|node| &node.shape);
                    let Some(Shape::Plain(text) | Shape::Text(text)) = shape else {
                        return Err(SyntaxError::at(line, "a key that is not a text"));
                    };
                    *key = Some((Key::Text(text.clone()), line));
                }
            },
        }
        Ok(())
    }

    fn is_merge_key(&self, text: &str, style: ScalarStyle) -> bool {
        let wanted = self
            .open
            .last()
            .is_some_and(|open| matches!(open.content, Content::Object { key: None, .. }));
        wanted && style == ScalarStyle::Plain && text == "<<"
    }

    fn set_key(&mut self, merge: Key, at: u32) {
        if let Some(Open {
            content: Content::Object { key, .. },
            ..
        }) = self.open.last_mut()
        {
            *key = Some((merge, at));
        }
    }
}
