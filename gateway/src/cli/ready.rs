//! `trellis ready`.

use std::io::Write;

use clap::Args;

use super::{admin, failure::Failure};

/// Ask a running gateway whether clients may be sent to it: the health check of containers.
///
/// Exit code 0: they may; 1: not now, or nobody answers.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  trellis ready --admin 127.0.0.1:9901")]
pub(super) struct Ready {
    /// Address of the gateway's admin listener.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = admin::USUAL)]
    admin: String,
}

impl Ready {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let answer = admin::ask(&self.admin, "GET", "/readyz")?;
        out.write_all(answer.body.as_bytes())?;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(Failure::Reported)
        }
    }
}
