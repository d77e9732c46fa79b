//! `trellis schema`: what configuration files and files of tests may hold, for editors.

use std::io::Write;

use clap::Args;

use super::{failure::Failure, output::write_json, test};

/// Print the JSON Schema of configuration files, or of files of tests.
///
/// Editors that know the schema complete and check while you type. In YAML a first line such as
/// `# yaml-language-server: $schema=trellis.schema.json` names it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  trellis schema > trellis.schema.json\n  trellis schema --tests > trellis.tests.schema.json"
)]
pub(super) struct Schema {
    /// Print the JSON Schema of the files that `trellis test` takes
    #[arg(long)]
    tests: bool,
}

impl Schema {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        if self.tests {
            return Ok(write_json(out, &test::schema())?);
        }
        Ok(write_json(out, &trellis_model::schema::json_schema())?)
    }
}

#[cfg(test)]
mod tests;
