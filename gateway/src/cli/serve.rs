//! `trellis serve`: the gateway.

use std::{io::Write, net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use clap::{Args, ValueEnum};
use ring::rand::SecureRandom as _;

use super::{
    failure::Failure,
    inputs::{Configuration, Overrides},
};
use crate::{
    server::{self, ServeError},
    telemetry::log::{self, LogError},
};

/// Run the gateway.
///
/// Reloads when its files change and on SIGHUP; a configuration that is refused leaves the running one alone. SIGTERM and Ctrl-C
/// stop it: running requests may finish within the grace period. Access records may go to standard output, the log goes to standard
/// error.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Serve {
    /// A configuration file, or a folder whose .yaml, .yml and .json files are one configuration.
    #[arg(long, value_name = "PATH")]
    config: PathBuf,
    /// Address of metrics, health and the running configuration; wins over `gateway.admin`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<SocketAddr>,
    /// Address that DNS answers on, may be given more than once; wins over `gateway.dns.listen`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    dns_listen: Vec<SocketAddr>,
    /// Folder for what must survive a restart; wins over `gateway.dataDir`.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Number of worker threads; wins over `gateway.workers`.
    #[arg(long, value_name = "NUMBER")]
    workers: Option<NonZeroUsize>,
    #[command(flatten)]
    log: Log,
}

const AFTER_HELP: &str = "\
Examples:
  trellis serve --config trellis.yaml
  trellis serve --config ./conf.d --admin 127.0.0.1:9901 --log-format json
  trellis serve --config trellis.yaml --log-level info,trellis_gateway::proxy=debug
  kill -HUP $(pidof trellis)                  load the configuration again";

/// How the log is written.
#[derive(Debug, Args)]
pub(super) struct Log {
    /// The form of the log's lines.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// What is logged: `error`, `warn`, `info`, `debug`, or a filter as in `RUST_LOG`.
    #[arg(long, value_name = "LEVEL", env = "TRELLIS_LOG")]
    log_level: Option<String>,
}

/// The form of the log's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Log {
    /// Sets up the log of the process. A filter that is not understood is a mistake of the command line.
    pub(super) fn start(&self) -> Result<(), Failure> {
        let format = match self.log_format {
            LogFormat::Text => log::LogFormat::Text,
            LogFormat::Json => log::LogFormat::Json,
        };
        log::init(format, self.log_level.as_deref()).map_err(|error| match error {
            LogError::Filter { .. } | LogError::Level { .. } => Failure::Usage(Box::new(error)),
            LogError::Twice(_) => Failure::runtime(error),
        })
    }
}

impl Serve {
    pub(super) fn run(self, _out: &mut dyn Write) -> Result<(), Failure> {
        self.log.start()?;
        server::serve(&self.configuration(), seed()?, |_| {}).map_err(Failure::from)
    }

    fn configuration(self) -> Configuration {
        Configuration::new(self.config).overridden(Overrides {
            admin: self.admin,
            dns_listen: self.dns_listen,
            data_dir: self.data_dir,
            workers: self.workers,
        })
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Configuration(problems) => Self::Configuration(problems),
            ServeError::System(_) => Self::runtime(error),
        }
    }
}

/// Where the random numbers of the gateway begin.
pub(super) fn seed() -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Failure::runtime("the system gives no random numbers"))?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests;
