//! From text to document: straight, and when that fails, by a second reading that finds every problem.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use serde::de::IgnoredAny;

use super::{
    Source,
    check::{self, Checked},
    path::{Step, push_step},
    tree::{SyntaxError, Tree, without_mark},
};
use crate::{
    document::Document,
    problem::{Place, Problem},
};

/// Largest file.
const MAX_BYTES: usize = 64 << 20;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// YAML 1.2.
    Yaml,
    /// JSON.
    Json,
}

impl Format {
    /// The format that the path's extension tells.
    pub(super) fn of(source: &Source) -> Option<Self> {
        match source.path.extension()?.to_str()? {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// A file whose document could be read, perhaps only in part.
#[derive(Debug, Default)]
pub(super) struct File {
    /// As problems name it.
    pub(super) path: Arc<PathBuf>,
    /// What it says, without what is wrong.
    pub(super) document: Document,
    /// For each list that items were left out of: the original positions of those that stayed.
    pub(super) kept: HashMap<String, Vec<usize>>,
    /// What was left out.
    pub(super) lost: Lost,
}

/// What a file says but its document does not, because it is wrong.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    /// Names of resources.
    pub(super) names: Vec<String>,
    /// Members of the document that are missing, in whole or with some items whose names nobody knows.
    pub(super) members: Vec<String>,
    /// Is the whole document missing?
    pub(super) everything: bool,
}

impl Lost {
    fn all() -> Self {
        Self {
            everything: true,
            ..Self::default()
        }
    }
}

impl File {
    /// The text of a path, in the positions that the user sees.
    pub(super) fn path_text(&self, steps: &[Step<'_>]) -> String {
        let mut text = String::new();
        if self.kept.is_empty() {
            for step in steps {
                push_step(&mut text, *step);
            }
            return text;
        }
        let mut inside = String::new();
        for step in steps {
            let original = match step {
                Step::Index(index) => {
                    let kept = self.kept.get(&inside).and_then(|kept| kept.get(*index));
                    Step::Index(kept.copied().unwrap_or(*index))
                }
                other => *other,
            };
            push_step(&mut text, original);
            push_step(&mut inside, *step);
        }
        text
    }
}

/// Reads the document of a file; what is wrong with its shape goes to `problems`.
pub(super) fn parse(source: &Source, problems: &mut Vec<Problem>) -> File {
    let path = Arc::new(source.path.clone());
    let place = |line| Place {
        file: Some(Arc::clone(&path)),
        line,
        ..Place::default()
    };
    let outcome = match (&source.text, Format::of(source)) {
        (Err(reason), _) => Err(Problem::error(
            place(None),
            format!("cannot be read: {reason}"),
        )),
        (Ok(text), _) if text.len() > MAX_BYTES => Err(Problem::error(
            place(None),
            format!("larger than {} MiB", MAX_BYTES >> 20),
        )
        .hint("use several files")),
        (Ok(_), None) => Err(Problem::error(place(None), "neither YAML nor JSON")
            .hint("a name that ends in `.yaml`, `.yml` or `.json`")),
        (Ok(text), Some(format)) => match straight(text, format) {
            Some(document) => Ok(File {
                path: Arc::clone(&path),
                document,
                ..File::default()
            }),
            None => second_reading(text, format, &path, problems)
                .map_err(|error| Problem::error(place(error.line), error.message)),
        },
    };
    outcome.unwrap_or_else(|problem| {
        problems.push(problem);
        File {
            path,
            lost: Lost::all(),
            ..File::default()
        }
    })
}

/// The document, if all is well with its shape.
fn straight(text: &str, format: Format) -> Option<Document> {
    match format {
        Format::Json => serde_json::from_str(without_mark(text)).ok(),
        Format::Yaml => serde_saphyr::from_str_with_options(text, options()).ok(),
    }
}

/// Bounds for texts of up to 64 MiB with ten thousand services, and YAML 1.2 rather than 1.1.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 64 << 20,
            max_nodes: 64 << 20,
            max_depth: 64,
            max_documents: 1,
        },
        emit_comments: false,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn second_reading(
    text: &str,
    format: Format,
    path: &Arc<PathBuf>,
    problems: &mut Vec<Problem>,
) -> Result<File, SyntaxError> {
    if format == Format::Json
        && let Err(error) = serde_json::from_str::<IgnoredAny>(without_mark(text))
    {
        return Err(SyntaxError {
            message: in_our_words(&error.to_string()),
            line: u32::try_from(error.line()).ok(),
        });
    }
    let tree = Tree::parse(text, format)?;
    let before = problems.len();
    let Checked { value, kept, lost } = check::check(&tree, path, problems);
    match serde_json::from_value(value) {
        Ok(document) => Ok(File {
            path: Arc::clone(path),
            document,
            kept,
            lost,
        }),
        // The careful reading found problems already, and what it left is not worth more reading.
        Err(_) if problems.len() > before => Ok(File {
            path: Arc::clone(path),
            lost: Lost::all(),
            ..File::default()
        }),
        Err(error) => Err(SyntaxError {
            message: error.to_string(),
            line: None,
        }),
    }
}

/// What `serde_json` says of a text that is no JSON, without the position, which stands elsewhere in our messages.
fn in_our_words(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    if let Some(inside) = message.strip_prefix("EOF while parsing ") {
        return format!("the text ends where {inside} should go on");
    }
    match message {
        "key must be a string" => "expected a key in double quotes",
        "expected value" => "expected a value",
        "trailing comma" => "nothing follows the last comma",
        "trailing characters" => "something follows the document",
        "expected ident" => "expected `true`, `false` or `null`",
        other => other,
    }
    .to_owned()
}

/// What the fast and the careful reading each say of a file, for the test that they agree.
#[cfg(test)]
pub(super) fn verdicts(source: &Source) -> (bool, bool) {
    let format = Format::of(source).unwrap();
    let text = source.text.as_ref().unwrap();
    let mut problems = Vec::new();
    let careful = second_reading(text, format, &Arc::new(source.path.clone()), &mut problems);
    (
        straight(text, format).is_some(),
        careful.is_ok() && problems.is_empty(),
    )
}
