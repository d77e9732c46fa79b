//! `trellis serve`: run the gateway.

use std::{io::Write, net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use clap::{Args, ValueEnum};

use super::{
    failure::Failure,
    inputs::{Configuration, Overrides},
};
use crate::{
    server::{self, ServeError},
    telemetry::log::{self, LogFormat},
};

/// Run the gateway.
///
/// Reloads when a file of the configuration changes and on SIGHUP, without touching running connections; a configuration with problems
/// is reported and the running one goes on. SIGTERM and SIGINT stop: no new connections, running requests may finish.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Serve {
    /// A configuration file, or a folder whose .yaml, .yml and .json files are one configuration.
    #[arg(long, value_name = "PATH")]
    config: PathBuf,
    /// Address of metrics, health and the running configuration; wins over `gateway.admin`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<SocketAddr>,
    /// Folder for what must survive a restart; wins over `gateway.dataDir`.
    #[arg(long, value_name = "PATH")]
    data_dir: Option<PathBuf>,
    /// Number of worker threads; wins over `gateway.workers`. Default: one per core.
    #[arg(long, value_name = "NUMBER")]
    workers: Option<NonZeroUsize>,
    /// The form of the log on standard error.
    #[arg(long, value_enum, default_value_t = LogForm::Text)]
    log_format: LogForm,
    /// What is logged: error, warn, info, debug, or a filter such as `info,trellis_gateway::proxy=debug`.
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
}

const AFTER_HELP: &str = "\
Examples:
  trellis serve --config trellis.yaml
  trellis serve --config ./conf.d --workers 4 --log-format json
  kill -HUP $(pidof trellis)      reload, and open the files of access records again";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogForm {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Serve {
    pub(super) fn run(self, _out: &mut dyn Write) -> Result<(), Failure> {
        let format = match self.log_format {
            LogForm::Text => LogFormat::Text,
            LogForm::Json => LogFormat::Json,
        };
        log::init(format, self.log_level.as_deref()).map_err(Failure::runtime)?;
        let overrides = Overrides {
            admin: self.admin,
            dns_listen: Vec::new(),
            data_dir: self.data_dir,
            workers: self.workers,
        };
        let configuration = Configuration::new(self.config).overridden(overrides);
        server::serve(&configuration, seed(), |_| {}).map_err(Failure::from)
    }
}

/// Where the random numbers of this process begin.
pub(super) fn seed() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    high ^ low
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Configuration(problems) => Self::Configuration(problems),
            ServeError::System(_) => Self::runtime(error),
        }
    }
}
