//! Lines for problems that know their path only, and the order of the report.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Inputs, Source, parse::Format, tree::Tree};
use crate::problem::Problem;

/// Gives every problem its line and sorts the report: by file in the order of `sources`, then by line.
///
/// Files that are no source, such as policies, come last and are read once more.
pub(super) fn locate(
    mut problems: Vec<Problem>,
    sources: &[Source],
    inputs: &dyn Inputs,
) -> Vec<Problem> {
    let positions: HashMap<&Path, usize> = sources
        .iter()
        .enumerate()
        .map(|(position, source)| (source.path.as_path(), position))
        .collect();
    let mut trees: HashMap<Arc<PathBuf>, Option<Tree>> = HashMap::new();
    for problem in &mut problems {
        if problem.place.file.is_none() && !problem.place.path.is_empty() {
            problem.place.file = document_with(&problem.place.path, sources);
        }
        let (Some(file), None, false) = (
            &problem.place.file,
            problem.place.line,
            problem.place.path.is_empty(),
        ) else {
            continue;
        };
        let tree =
            trees
                .entry(Arc::clone(file))
                .or_insert_with(|| match positions.get(file.as_path()) {
                    Some(position) => sources.get(*position).and_then(tree_of),
                    // Cedar and other languages are no trees, and have their own positions.
                    None => inputs
                        .read(file)
                        .ok()
                        .and_then(|text| Tree::parse(&text, Format::Json).ok()),
                });
        problem.place.line = tree.as_ref().map(|tree| tree.line_of(&problem.place.path));
    }
    problems.sort_by_key(|problem| {
        let position = problem
            .place
            .file
            .as_ref()
            .and_then(|file| positions.get(file.as_path()).copied());
        (position.unwrap_or(usize::MAX), problem.place.line)
    });
    problems
}

/// The document in which something stands at this path.
fn document_with(path: &str, sources: &[Source]) -> Option<Arc<PathBuf>> {
    sources
        .iter()
        .find(|source| tree_of(source).is_some_and(|tree| tree.has(path)))
        .map(|source| Arc::new(source.path.clone()))
}

fn tree_of(source: &Source) -> Option<Tree> {
    Tree::parse(source.text.as_ref().ok()?, Format::of(source)?).ok()
}
