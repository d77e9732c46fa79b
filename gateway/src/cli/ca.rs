//! `trellis ca`: the root certificate that clients install.

use std::{
    io::Write,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args;
use serde_json::json;

use super::{
    failure::Failure,
    inputs::Configuration,
    output::{OutputFormat, write_json},
};
use crate::tls::ca::InternalCa;

/// Print the root certificate of the internal CA.
///
/// The internal CA signs the certificates of generated names, and of custom domain names without a certificate of their own. It is
/// made when it is first needed, by this command or by `trellis serve`, and kept in the data folder.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Ca {
    /// The configuration, whose data folder is used.
    #[arg(long, value_name = "PATH", required_unless_present = "data_dir")]
    config: Option<PathBuf>,
    /// The data folder itself.
    #[arg(long, value_name = "FOLDER", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
    /// The form of the result.
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

const AFTER_HELP: &str = "\
Examples:
  trellis ca --config trellis.yaml > trellis-ca.pem
  curl --cacert trellis-ca.pem https://orders.shop.test/
  trellis ca --data-dir ./trellis-data --output json";

impl Ca {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        let data_dir = match (self.data_dir, self.config) {
            (Some(folder), _) => folder,
            (None, Some(path)) => Configuration::new(path)
                .data_dir()
                .map_err(Failure::Configuration)?,
            // The command line demands one of the two.
            (None, None) => return Err(Failure::ConfigurationReported),
        };
        let ca = InternalCa::open(&data_dir, SystemTime::now()).map_err(Failure::runtime)?;
        match self.output {
            OutputFormat::Text => write!(out, "{}", ca.root_pem())?,
            OutputFormat::Json => {
                let expires = ca
                    .root_expires()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                write_json(
                    out,
                    &json!({"certificate": ca.root_pem(), "expiresAt": expires.as_secs(), "file": ca.path()}),
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
