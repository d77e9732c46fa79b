//! JSON for people at a terminal.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// JSON with a member per line and a header per line, but no more lines than that.
pub(super) fn readable(value: &impl Serialize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, TwoLevels::default());
    // What is described here always serializes, and a vector takes all that is written; an empty answer would say otherwise.
    let _ = value.serialize(&mut serializer);
    text.push(b'\n');
    text
}

/// Breaks lines on the first two levels of JSON and on no deeper one.
#[derive(Default)]
struct TwoLevels {
    depth: usize,
    /// Nothing was written since the last opening bracket.
    empty: bool,
}

impl TwoLevels {
    fn line(&self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        match self.depth {
            0 => out.write_all(b"\n"),
            1 => out.write_all(b"\n  "),
            2 => out.write_all(b"\n    "),
            _ => Ok(()),
        }
    }

    fn item(&mut self, out: &mut (impl Write + ?Sized), first: bool) -> io::Result<()> {
        self.empty = false;
        match (first, self.depth) {
            (true, _) => self.line(out),
            (false, 0..=2) => {
                out.write_all(b",")?;
                self.line(out)
            }
            (false, _) => out.write_all(b", "),
        }
    }

    fn end(&mut self, out: &mut (impl Write + ?Sized), bracket: u8) -> io::Result<()> {
        self.depth -= 1;
        if self.depth < 2 && !self.empty {
            self.line(out)?;
        }
        self.empty = false;
        out.write_all(&[bracket])
    }
}

impl Formatter for TwoLevels {
    fn begin_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.empty = true;
        out.write_all(b"[")
    }

    fn end_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b']')
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.item(out, first)
    }

    fn begin_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.empty = true;
        out.write_all(b"{")
    }

    fn end_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b'}')
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.item(out, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}
