//! The reference page: a table for each object of the schema.

use std::{collections::VecDeque, fmt::Write};

use serde_json::{Map, Value};

use super::SCHEMA;

const INTRODUCTION: &str = "\
# Configuration reference

Generated from the types that read the files; do not edit. `trellis schema` prints the same as a JSON Schema for editors.

A configuration is one file or a folder of files, YAML (`.yaml`, `.yml`) or JSON (`.json`). Members are spelled as in the VPC Lattice
API; what Trellis adds begins with \"Trellis:\". Unknown members are refused, and so are parts of VPC Lattice that this version does not
support: the protocols `TCP` and `TLS_PASSTHROUGH`, `certificateArn`, security groups, resource gateways and resource configurations.
";

/// The configuration reference in Markdown.
pub fn reference() -> String {
    let mut page = Page {
        text: INTRODUCTION.to_owned(),
        waiting: VecDeque::new(),
        seen: Vec::new(),
    };
    page.section("The file", &SCHEMA);
    while let Some(name) = page.waiting.pop_front() {
        if let Some(schema) = definition(&name) {
            page.section(&name, schema);
        }
    }
    page.text
}

/// The definition that a schema's `$ref` names.
pub(crate) fn definition(name: &str) -> Option<&'static Value> {
    SCHEMA.get("$defs")?.get(name)
}

/// The name of the definition that a schema refers to.
pub(crate) fn referred(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

struct Page {
    text: String,
    /// Definitions that are mentioned and have no section yet.
    waiting: VecDeque<String>,
    seen: Vec<String>,
}

impl Page {
    // Writing to a `String` cannot fail.
    fn line(&mut self, line: &str) {
        _ = writeln!(self.text, "{line}");
    }

    fn section(&mut self, title: &str, schema: &Value) {
        self.line(&format!("\n## {title}\n\n{}\n", description(schema)));
        self.line("| Member | Type | Default | Range | Meaning |\n| --- | --- | --- | --- | --- |");
        if let Some(members) = schema.get("properties").and_then(Value::as_object) {
            let required: Vec<_> = texts(schema.get("required")).collect();
            self.members(members, |name| {
                if required.contains(&name) {
                    "required"
                } else {
                    ""
                }
            });
        }
        for alternative in alternatives(schema) {
            match alternative.get("properties").and_then(Value::as_object) {
                Some(members) if alternative.get("description").is_some() && members.len() == 1 => {
                    let meaning = description(alternative);
                    for (name, member) in members {
                        let kind = self.kind(member);
                        self.line(&format!(
                            "| `{name}` | {kind} | one of these | {} | {} |",
                            range(member),
                            cell(&meaning)
                        ));
                    }
                }
                Some(members) => self.members(members, |_| "one of these"),
                None => {
                    let name = alternative
                        .get("const")
                        .and_then(Value::as_str)
                        .map_or_else(String::new, |name| format!("`{name}`"));
                    let kind = self.kind(alternative);
                    self.line(&format!(
                        "| {name} | {kind} | one of these | | {} |",
                        cell(&description(alternative))
                    ));
                }
            }
        }
    }

    fn members(&mut self, members: &Map<String, Value>, presence: impl Fn(&str) -> &'static str) {
        for (name, member) in members {
            let kind = self.kind(member);
            let default = match member.get("default") {
                Some(Value::String(text)) => format!("`{text}`"),
                Some(value) => format!("`{value}`"),
                None => presence(name).to_owned(),
            };
            let own = description(member);
            // A list of values has no section of its own, so its description goes with the member.
            let values = enumeration(member)
                .map(description)
                .filter(|text| *text != own)
                .unwrap_or_default();
            let meaning = [own, values].join(" ");
            self.line(&format!(
                "| `{name}` | {kind} | {default} | {} | {} |",
                range(member),
                cell(meaning.trim())
            ));
        }
    }

    /// The type of a member in words, with a link where it is an object.
    fn kind(&mut self, schema: &Value) -> String {
        if let Some(values) = enumeration(schema) {
            return texts(values.get("enum"))
                .map(|value| format!("`{value}`"))
                .collect::<Vec<_>>()
                .join(", ");
        }
        if let Some(name) = referred(schema) {
            if !self.seen.iter().any(|seen| seen == name) {
                self.seen.push(name.to_owned());
                self.waiting.push_back(name.to_owned());
            }
            return format!("[{name}](#{})", name.to_lowercase());
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("array") => format!(
                "list of {}",
                schema
                    .get("items")
                    .map(|items| self.kind(items))
                    .unwrap_or_default()
            ),
            Some("object")
                if schema
                    .get("additionalProperties")
                    .is_some_and(Value::is_object) =>
            {
                "map of text to text".to_owned()
            }
            Some("object") => "object".to_owned(),
            Some("integer") => "whole number".to_owned(),
            Some("boolean") => "`true`, `false`".to_owned(),
            _ => "text".to_owned(),
        }
    }
}

/// The definition that lists the values of a member, if it has such a list.
fn enumeration(schema: &Value) -> Option<&Value> {
    let schema = referred(schema).and_then(definition).unwrap_or(schema);
    (schema.get("type")? == "string" && schema.get("enum").is_some()).then_some(schema)
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf"]
        .into_iter()
        .filter_map(|keyword| schema.get(keyword)?.as_array())
        .flatten()
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn description(schema: &Value) -> String {
    schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// The range of a number, or of the length of a text.
fn range(schema: &Value) -> String {
    let number = |keyword| schema.get(keyword).and_then(Value::as_i64);
    match (
        number("minimum"),
        number("maximum"),
        number("minLength"),
        number("maxLength"),
    ) {
        (Some(least), Some(most), _, _) => format!("{least} to {most}"),
        (_, _, Some(least), Some(most)) => format!("{least} to {most} characters"),
        (_, _, None, Some(most)) => format!("{most} characters at most"),
        _ => match schema.get("enum").and_then(Value::as_array) {
            Some(values) => values
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
            None => String::new(),
        },
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
