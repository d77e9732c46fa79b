//! `trellis control`: the store of the control API, while no gateway has it open.

use std::{io::Write, path::PathBuf, sync::Arc};

use clap::{Args, Subcommand};
use trellis_control_plane::{ADMINISTRATOR, Listener, store::StoreError};

use super::{failure::Failure, inputs::Configuration};
use crate::control::{self, NewAdministrator};

/// Look after the store of the control API. The gateway must not be running.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Control {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    ResetAdministrator(ResetAdministrator),
}

/// Give the user `administrator` another access key.
///
/// For when its key is lost. The keys that it had are gone; the new one is printed and kept in `administrator.json` in the data folder.
/// A user that was deleted is made again.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
struct ResetAdministrator {
    /// The configuration, whose data folder is used.
    #[arg(long, value_name = "PATH")]
    config: PathBuf,
}

const AFTER_HELP: &str = "\
Examples:
  trellis control reset-administrator --config trellis.yaml";

/// Tells on standard error what is wrong with the store.
struct Complaints;

impl Listener for Complaints {
    fn changed(&self) {}

    fn unreadable(&self, what: &str) {
        eprintln!("trellis: {what}");
    }

    fn failed(&self, error: &StoreError) {
        eprintln!("trellis: {error}");
    }
}

impl Control {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        let Command::ResetAdministrator(ResetAdministrator { config }) = self.command;
        let loaded = Configuration::new(config)
            .load()
            .map_err(Failure::Configuration)?;
        let made = control::reset_administrator(&loaded.config, Arc::new(Complaints))
            .map_err(Failure::runtime)?
            .ok_or_else(|| Failure::runtime("the configuration names no account"))?;
        let NewAdministrator { account, key, file } = &made;
        writeln!(
            out,
            "The user `{ADMINISTRATOR}` of account {account} has another key:\n\n  AWS_ACCESS_KEY_ID={}\n  AWS_SECRET_ACCESS_KEY={}\n\nIt is kept in {}.",
            key.id,
            key.secret.expose(),
            file.display(),
        )?;
        Ok(())
    }
}
