//! `trellis ca`: the root certificate of the internal CA.

use std::{io::Write, path::PathBuf, time::SystemTime};

use clap::Args;

use super::{failure::Failure, inputs::Configuration};
use crate::tls::ca::InternalCa;

/// Print the root certificate of the internal CA, for clients to trust.
///
/// The CA signs for generated names and for custom domains without certificate files. It is made at first use, in `gateway.dataDir`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Ca {
    /// The configuration whose data folder holds the CA.
    #[arg(long, value_name = "PATH", required_unless_present = "data_dir")]
    config: Option<PathBuf>,
    /// The data folder itself.
    #[arg(long, value_name = "PATH")]
    data_dir: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  trellis ca --config trellis.yaml > root.pem
  curl --cacert root.pem https://orders.shop.test:8443/";

impl Ca {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        let data_dir = match (self.data_dir, self.config) {
            (Some(data_dir), _) => data_dir,
            (None, Some(config)) => {
                let loaded = Configuration::new(config).load().map_err(Failure::Configuration)?;
                loaded.config.gateway.data_dir
            }
            (None, None) => return Err(Failure::runtime("either --config or --data-dir is needed")),
        };
        let ca = InternalCa::open(&data_dir, SystemTime::now()).map_err(Failure::runtime)?;
        out.write_all(ca.root_pem().as_bytes())?;
        Ok(())
    }
}
