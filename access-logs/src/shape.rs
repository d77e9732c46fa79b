//! How records look in one subscription: which of them, which fields, in JSON or as text.
//!
//! A [`Shape`] is made once per snapshot; nothing is parsed on the request path. Whatever the shape, a record is exactly one line of
//! at most [`MAX_LINE`](crate::json::MAX_LINE) bytes. In lines of text every value is written like the inside of a JSON string, and
//! the character that separates it from what follows is escaped in it, so that a line can be split back.
//!
//! Hot.

#[cfg(test)]
mod tests;
mod text;

use trellis_model::{
    config::{LogLayout, LogShape},
    record::{Field, FieldSet, PathPattern, Sampling, template::Template},
};

use self::text::Within;
use crate::{
    json::{Line, Stamp},
    record::{GrpcCode, Record},
};

/// How records look in one subscription.
#[derive(Debug)]
pub struct Shape {
    layout: Layout,
    hidden: FieldSet,
    hidden_paths: Box<[PathPattern]>,
    sampling: Sampling,
}

#[derive(Debug)]
enum Layout {
    /// JSON: fields of VPC Lattice's, then those of `trellis`; before each value goes what stands before it.
    Fields {
        own: Box<[(&'static [u8], Field)]>,
        additions: Box<[(&'static [u8], Field)]>,
    },
    Text(Template),
    /// JSON with members of texts; before each goes its key.
    Members(Box<[(Box<[u8]>, Template)]>),
}

impl Default for Shape {
    fn default() -> Self {
        Self::new(&LogShape::default())
    }
}

impl Shape {
    /// The shape that a configuration asks for.
    pub fn new(wanted: &LogShape) -> Self {
        let layout = match &wanted.layout {
            LogLayout::Fields(fields) => {
                let members = |additions: bool| {
                    let members = fields
                        .iter()
                        .filter(|field| field.is_addition() == additions)
                        .map(|field| (field.description().before.as_bytes(), field));
                    members.collect()
                };
                Layout::Fields {
                    own: members(false),
                    additions: members(true),
                }
            }
            LogLayout::Text(template) => Layout::Text(template.clone()),
            LogLayout::Members(members) => {
                let members = members.iter().map(|(key, template)| {
                    let mut before = b",\"".to_vec();
                    crate::json::push_escaped(key.as_bytes(), &mut before);
                    before.extend_from_slice(b"\":\"");
                    (before.into(), template.clone())
                });
                Layout::Members(members.collect())
            }
        };
        Self {
            layout,
            hidden: wanted.hidden,
            hidden_paths: wanted.hidden_paths.clone(),
            sampling: wanted.sampling,
        }
    }

    /// For how many requests the record stands; none when it is left out. What was refused or failed never is, nor what a policy in
    /// audit would refuse.
    fn stands_for(&self, record: &Record<'_>) -> Option<u32> {
        if self.sampling == Sampling::NONE {
            return Some(1);
        }
        let candidate = record.trellis.candidate;
        let failed = record.failure.is_some()
            || record.auth_denied.is_some()
            || candidate.is_some_and(|candidate| candidate.denied.is_some())
            || record.grpc.is_some_and(|code| code != GrpcCode::Code(0));
        let (Some(status), false) = (record.response_code, failed) else {
            return Some(1);
        };
        let one_in = self.sampling.one_in(status);
        record
            .draw
            .is_multiple_of(u64::from(one_in))
            .then_some(one_in)
    }
}

/// Writes records; remembers the second it wrote last.
#[derive(Debug, Clone, Default)]
pub struct Encoder {
    stamp: Stamp,
}

impl Encoder {
    /// Appends `record` to `out` as one line, unless the shape leaves it out; tells whether it did.
    pub fn encode(&mut self, record: &Record<'_>, shape: &Shape, out: &mut Vec<u8>) -> bool {
        let Some(stands_for) = shape.stands_for(record) else {
            return false;
        };
        // Enough for a common record; longer ones grow it.
        out.reserve(2048);
        let mut line = Line::new(out);
        line.hidden = shape.hidden;
        line.hidden_paths = &shape.hidden_paths;
        line.stands_for = stands_for;
        match &shape.layout {
            Layout::Fields { own, additions } => self.object(own, additions, record, &mut line),
            Layout::Text(template) => {
                text::template(template, Within::Line, record, &mut line, &mut self.stamp);
            }
            Layout::Members(members) => {
                line.raw(b"{");
                for (index, (before, value)) in members.iter().enumerate() {
                    line.raw(without_comma(before, index == 0));
                    text::template(value, Within::Json, record, &mut line, &mut self.stamp);
                    line.raw(b"\"");
                }
                line.raw(b"}");
            }
        }
        line.raw(b"\n");
        true
    }

    fn object(
        &mut self,
        own: &[(&'static [u8], Field)],
        additions: &[(&'static [u8], Field)],
        record: &Record<'_>,
        line: &mut Line<'_>,
    ) {
        line.raw(b"{");
        let is_empty = self.members(own, record, line);
        if !additions.is_empty() {
            line.raw(without_comma(b",\"trellis\":{", is_empty));
            self.members(additions, record, line);
            line.raw(b"}");
        }
        line.raw(b"}");
    }

    /// Writes the members that the record has; tells whether it has none of them.
    fn members(
        &mut self,
        members: &[(&'static [u8], Field)],
        record: &Record<'_>,
        line: &mut Line<'_>,
    ) -> bool {
        let mut first = true;
        for (before, field) in members {
            let start = line.out.len();
            line.raw(without_comma(before, first));
            if line.value(*field, record, &mut self.stamp) {
                first = false;
            } else {
                line.out.truncate(start);
            }
        }
        first
    }
}

/// What stands before a member; the first one has no comma before it.
fn without_comma(before: &[u8], is_first: bool) -> &[u8] {
    before.get(usize::from(is_first)..).unwrap_or_default()
}

/// Appends `record` to `out` as one JSON object with every field, and a newline.
pub fn encode_json(record: &Record<'_>, out: &mut Vec<u8>) {
    Encoder::default().encode(record, &Shape::default(), out);
}
