//! JSON into a tree. The text has passed `serde_json` before, so this reader is short; it still trusts nothing.

use crate::load::parse::Format;

use super::{Arena, Entry, MAX_DEPTH, NodeId, Shape, SyntaxError, Tree};

/// Reads one JSON value.
pub(super) fn parse(text: &str) -> Result<Tree, SyntaxError> {
    let mut reader = Reader {
        rest: text,
        line: 1,
        arena: Arena::default(),
    };
    let root = reader.value(0)?;
    reader.skip_space();
    if !reader.rest.is_empty() {
        return Err(reader.error("something follows the document"));
    }
    Ok(reader.arena.finish(root, Format::Json))
}

struct Reader<'t> {
    rest: &'t str,
    line: u32,
    arena: Arena,
}

impl<'t> Reader<'t> {
    fn value(&mut self, depth: u32) -> Result<NodeId, SyntaxError> {
        self.skip_space();
        let line = self.line;
        if depth > MAX_DEPTH {
            return Err(self.error(&format!(
                "lists and objects are nested more than {MAX_DEPTH} deep"
            )));
        }
        let shape = match self.rest.as_bytes().first() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Shape::Text(self.text()?),
            _ => Shape::Literal(self.literal()?),
        };
        self.arena.add(line, shape)
    }

    fn object(&mut self, depth: u32) -> Result<Shape, SyntaxError> {
        let mut entries = Vec::new();
        self.take('{');
        while !self.take('}') {
            if !entries.is_empty() && !self.take(',') {
                return Err(self.error("expected `,` or `}`"));
            }
            self.skip_space();
            let line = self.line;
            let key = self.text()?;
            if !self.take(':') {
                return Err(self.error("expected `:`"));
            }
            let value = self.value(depth + 1)?;
            entries.push(Entry { key, line, value });
        }
        Ok(Shape::Object(entries))
    }

    fn list(&mut self, depth: u32) -> Result<Shape, SyntaxError> {
        let mut items = Vec::new();
        self.take('[');
        while !self.take(']') {
            if !items.is_empty() && !self.take(',') {
                return Err(self.error("expected `,` or `]`"));
            }
            items.push(self.value(depth + 1)?);
        }
        Ok(Shape::List(items))
    }

    /// A text in quotes: its end is found here, its escapes are read by `serde_json`.
    fn text(&mut self) -> Result<String, SyntaxError> {
        let mut escaped = false;
        let end = self.rest.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let (quoted, rest) = end
            .and_then(|end| self.rest.split_at_checked(end + 2))
            .ok_or_else(|| self.error("expected a text"))?;
        let text = serde_json::from_str(quoted).map_err(|_| self.error("expected a text"))?;
        self.rest = rest;
        Ok(text)
    }

    /// A number, `true`, `false` or `null`.
    fn literal(&mut self) -> Result<serde_json::Value, SyntaxError> {
        let end = self
            .rest
            .find([',', ']', '}', ' ', '\t', '\r', '\n'])
            .unwrap_or(self.rest.len());
        let (word, rest) = self
            .rest
            .split_at_checked(end)
            .ok_or_else(|| self.error("expected a value"))?;
        let value = serde_json::from_str(word).map_err(|_| self.error("expected a value"))?;
        self.rest = rest;
        Ok(value)
    }

    /// Skips white space and takes this character if it is next.
    fn take(&mut self, wanted: char) -> bool {
        self.skip_space();
        let after = self.rest.strip_prefix(wanted);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn skip_space(&mut self) {
        let trimmed: &'t str = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let skipped = self.rest.len() - trimmed.len();
        let lines = self
            .rest
            .bytes()
            .take(skipped)
            .filter(|byte| *byte == b'\n')
            .count();
        self.line = self
            .line
            .saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        self.rest = trimmed;
    }

    fn error(&self, message: &str) -> SyntaxError {
        SyntaxError::at(self.line, message)
    }
}
