//! `trellis schema`: what configuration files, files of tests, Cedar policies and access records may hold, for editors and checkers.

use std::io::Write;

use clap::Args;

use super::{failure::Failure, output::write_json, test};

/// Print the JSON Schema of configuration files, of files of tests or of access records, or the schema of Cedar policies.
///
/// Editors that know the JSON Schema complete and check while you type. In YAML a first line such as
/// `# yaml-language-server: $schema=trellis.schema.json` names it. With `--cedar`: what policies written in Cedar can name, in
/// Cedar's notation; policies are validated against it when they are loaded, and `cedar validate` does it before that.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  trellis schema > trellis.schema.json\n  trellis schema --tests > trellis.tests.schema.json\n  trellis schema --records > access-record.schema.json\n  trellis schema --cedar > trellis.cedarschema\n  cedar validate --schema trellis.cedarschema --policies orders.cedar"
)]
pub(super) struct Schema {
    /// Print the JSON Schema of the files that `trellis test` takes
    #[arg(long)]
    tests: bool,
    /// Print the JSON Schema of access records in JSON
    #[arg(long, conflicts_with = "tests")]
    records: bool,
    /// Print the schema of Cedar policies
    #[arg(long, conflicts_with_all = ["tests", "records"])]
    cedar: bool,
}

impl Schema {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        if self.tests {
            return Ok(write_json(out, &test::schema())?);
        }
        if self.records {
            return Ok(write_json(
                out,
                &trellis_model::record::schema::json_schema(),
            )?);
        }
        if self.cedar {
            return Ok(out.write_all(trellis_policy::CEDAR_SCHEMA.as_bytes())?);
        }
        Ok(write_json(out, &trellis_model::schema::json_schema())?)
    }
}

#[cfg(test)]
mod tests;
