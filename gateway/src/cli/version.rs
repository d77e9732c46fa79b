//! `trellis version`.

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::{
    failure::Failure,
    output::{OutputFormat, write_json},
};

/// Print the version.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  trellis version\n  trellis version --output json")]
pub(super) struct Version {
    /// The form of the result.
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

impl Version {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let version = env!("CARGO_PKG_VERSION");
        match self.output {
            OutputFormat::Text => writeln!(out, "trellis {version}")?,
            OutputFormat::Json => write_json(out, &json!({"version": version}))?,
        }
        Ok(())
    }
}
