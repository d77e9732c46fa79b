//! From text to document.

use std::{path::PathBuf, sync::Arc};

use crate::{
    document::Document,
    load::Source,
    problem::{Place, Problem},
};

/// A file whose document could be read.
#[derive(Debug)]
pub(super) struct File {
    /// As problems name it.
    pub(super) path: Arc<PathBuf>,
    /// What it says.
    pub(super) document: Document,
}

/// Reads the document of a file; what is wrong with its shape goes to `problems`.
pub(super) fn parse(source: &Source, problems: &mut Vec<Problem>) -> Option<File> {
    let path = Arc::new(source.path.clone());
    let document = if source
        .path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        serde_json::from_str(&source.text).map_err(|error| error.to_string())
    } else {
        serde_saphyr::from_str(&source.text).map_err(|error| error.to_string())
    };
    match document {
        Ok(document) => Some(File { path, document }),
        Err(message) => {
            let place = Place {
                file: Some(path),
                ..Place::default()
            };
            problems.push(Problem::error(place, message));
            None
        }
    }
}
