//! `trellis logs`: access records on their way to log storage.

use std::{io::Write, path::PathBuf, sync::Arc, time::SystemTime};

use clap::{Args, Subcommand};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use trellis_access_logs::ship::replay::{From, ReplayError, Replayed, replay};
use trellis_model::config::{AccessLogSubscription, Config};

use super::{
    failure::Failure,
    inputs::Configuration,
    output::{OutputFormat, write_json},
};
use crate::functions;

/// Access records on their way to log storage.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Logs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ship(Ship),
}

/// Ship records again that are still on disk: shipped ones that were kept, ones that wait, dead letters.
///
/// Reads the spool in the data folder and changes nothing there, so it may run beside a gateway. Records that log storage has already are
/// there twice afterwards.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
struct Ship {
    /// The configuration.
    #[arg(long, value_name = "PATH")]
    config: PathBuf,
    /// The subscription, by id or ARN.
    #[arg(long, value_name = "ID")]
    subscription: String,
    /// Where to begin: the number of a segment, as in the names of files in the spool, or a time as in `2026-01-31T12:00:00Z`.
    #[arg(long, value_name = "SEGMENT|TIME", value_parser = beginning, required_unless_present = "dead_letters")]
    from: Option<From>,
    /// Ship the records that log storage refused, instead.
    #[arg(long, conflicts_with = "from")]
    dead_letters: bool,
    /// The form of the result.
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

const AFTER_HELP: &str = "\
Examples:
  trellis logs ship --config trellis.yaml --subscription als-094e2ee61761fb9c7 --from 2026-01-31T12:00:00Z
  trellis logs ship --config trellis.yaml --subscription als-094e2ee61761fb9c7 --dead-letters";

fn beginning(text: &str) -> Result<From, String> {
    if let Ok(number) = text.parse() {
        return Ok(From::Segment(number));
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .map(|time| From::Time(SystemTime::from(time)))
        .map_err(|_| "neither the number of a segment nor a time".to_owned())
}

impl Logs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        match self.command {
            Command::Ship(ship) => ship.run(out),
        }
    }
}

impl Ship {
    fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        let loaded = Configuration::new(self.config.clone()).load();
        let config = loaded.map_err(Failure::Configuration)?.config;
        let subscription = find(&config, &self.subscription)?;
        let from = self.from.unwrap_or(From::DeadLetters);
        let tls: trellis_access_logs::ship::TlsFor = Arc::new(functions::client_config);
        let spools = config.gateway.data_dir.join("spool");
        let text = self.output == OutputFormat::Text;
        let mut last = 0;
        let mut progress = |done: Replayed| {
            // A line for each hundred thousand; whoever reads JSON wants the result alone.
            if text && done.records / 100_000 > last {
                last = done.records / 100_000;
                let _ = writeln!(out, "{} records so far", done.records);
            }
        };
        let done =
            replay(&spools, subscription, from, &tls, &mut progress).map_err(
                |error| match error {
                    ReplayError::NotShipped => Failure::Usage(error.into()),
                    ReplayError::Spool { .. } | ReplayError::Store { .. } => {
                        Failure::runtime(error)
                    }
                },
            )?;
        match self.output {
            OutputFormat::Text => writeln!(
                out,
                "{} records shipped, {} refused, {} damaged",
                done.records, done.refused, done.damaged
            )?,
            OutputFormat::Json => write_json(
                out,
                &json!({
                    "records": done.records,
                    "refused": done.refused,
                    "damaged": done.damaged,
                }),
            )?,
        }
        Ok(())
    }
}

fn find<'a>(config: &'a Config, wanted: &str) -> Result<&'a AccessLogSubscription, Failure> {
    let mut subscriptions = config.access_log_subscriptions.iter();
    let found = subscriptions.find(|it| it.arn.as_str() == wanted || it.id.to_string() == wanted);
    let found = found.map(|subscription| &**subscription);
    found.ok_or_else(|| Failure::Usage(format!("there is no subscription `{wanted}`").into()))
}
