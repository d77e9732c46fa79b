//! From documents to a [`Config`]: parsing, checking, resolving.
//!
//! What is decided here:
//! * **Everything at once.** A report holds every problem of every file, each with file, document path, line, the value and what would
//!   be right. Nothing is guessed and nothing unknown is ignored.
//! * **Shape first by the fast way.** A file is deserialized straight into its document. Only when something is wrong anywhere is its
//!   text read a second time, into a tree with line numbers, which is checked against the schema and gives the lines.
//! * **Hostile input costs little.** Size, nesting and aliases are bounded, and no step is quadratic in the input.
//! * **No I/O.** Files that documents name and environment variables come through [`Inputs`].

mod build;
mod check;
mod lines;
mod nearest;
mod parse;
mod path;
mod scalar;
mod tree;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::{config::Config, problem::Problems};

/// One file of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path, as problems name it; relative paths in the file are relative to its folder. The extension tells the format: `.yaml`
    /// and `.yml` or `.json`.
    pub path: PathBuf,
    /// What it holds, or why it cannot be read, without naming it. The others are checked all the same.
    pub text: Result<String, String>,
}

/// What documents refer to: the loader's only way to the outside.
pub trait Inputs {
    /// The text of a file; the error says why there is none, without naming the file.
    fn read(&self, path: &Path) -> Result<String, String>;

    /// The value of an environment variable, if it is set.
    fn variable(&self, name: &str) -> Option<String>;
}

/// A configuration and what its author should know about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Problems that do not stop it from being used.
    pub warnings: Problems,
}

/// What could be made of files that perhaps may not be used.
#[derive(Debug, Clone)]
pub struct Examined {
    /// The configuration. With errors among the problems it lacks what is wrong, has defaults for settings that are wrong, and must
    /// not run; it serves to find more problems, so that one report can hold them all.
    pub config: Config,
    /// Every problem found, the warnings included, in the order of files and lines.
    pub problems: Problems,
}

/// Makes one configuration of these files.
///
/// `Err` holds every problem found, the warnings included, in the order of files and lines.
pub fn load(sources: &[Source], inputs: &dyn Inputs) -> Result<Loaded, Problems> {
    let Examined { config, problems } = examine(sources, inputs);
    if problems.has_errors() {
        return Err(problems);
    }
    Ok(Loaded {
        config,
        warnings: problems,
    })
}

/// Finds every problem of these files, and makes of them what can be made.
pub fn examine(sources: &[Source], inputs: &dyn Inputs) -> Examined {
    let mut problems = Vec::new();
    let files: Vec<_> = sources
        .iter()
        .map(|source| parse::parse(source, &mut problems))
        .collect();
    let config = build::build(&files, inputs, &mut problems);
    drop(files);
    Examined {
        config,
        problems: lines::locate(problems, sources, inputs)
            .into_iter()
            .collect(),
    }
}

/// Gives problems that others found in these documents, or in policy files that the documents name, the lines that their paths
/// stand on, and brings them into the order of files and lines. A problem that names a path but no file is one of the document that
/// has the path.
pub fn locate(problems: Problems, sources: &[Source], inputs: &dyn Inputs) -> Problems {
    lines::locate(problems.into_iter().collect(), sources, inputs)
        .into_iter()
        .collect()
}
