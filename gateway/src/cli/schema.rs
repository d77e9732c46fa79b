//! `trellis schema`: what configuration files may hold, for editors.

use std::io::Write;

use clap::Args;

use super::{failure::Failure, output::write_json};

/// Print the JSON Schema of configuration files.
///
/// Editors that know the schema complete and check while you type. In YAML a first line such as
/// `# yaml-language-server: $schema=trellis.schema.json` names it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  trellis schema > trellis.schema.json")]
pub(super) struct Schema {}

impl Schema {
    #[expect(
        clippy::unused_self,
        reason = "commands are run alike; this one has no options"
    )]
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        Ok(write_json(out, &trellis_model::schema::json_schema())?)
    }
}

#[cfg(test)]
mod tests;
