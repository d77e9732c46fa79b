//! `trellis log-level`.

use std::io::Write;

use clap::Args;

use super::{admin, failure::Failure};

/// Show or change what a running gateway logs.
///
/// A change holds for a while and is then taken back by itself; nothing of the configuration changes.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct LogLevel {
    /// `error`, `warn`, `info`, `debug`, or a filter as in `RUST_LOG`; absent: show the present one.
    filter: Option<String>,
    /// Address of the gateway's admin listener.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = admin::USUAL)]
    admin: String,
    /// For how many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Take a change back now.
    #[arg(long, conflicts_with = "filter")]
    reset: bool,
}

const AFTER_HELP: &str = "\
Examples:
  trellis log-level --admin 127.0.0.1:9901
  trellis log-level debug --seconds 60 --admin 127.0.0.1:9901
  trellis log-level info,trellis_gateway::proxy=debug --admin 127.0.0.1:9901
  trellis log-level --reset --admin 127.0.0.1:9901";

impl LogLevel {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let (method, target) = match &self.filter {
            None if self.reset => ("DELETE", "/log".to_owned()),
            None => ("GET", "/log".to_owned()),
            Some(filter) => {
                let filter = admin::encoded(filter);
                let target = format!("/log?filter={filter}&seconds={}", self.seconds);
                ("PUT", target)
            }
        };
        let answer = admin::ask(&self.admin, method, &target)?;
        if answer.status != 200 {
            let said = answer.body.trim_end().to_owned();
            return Err(match answer.status {
                400 => Failure::Usage(said.into()),
                _ => Failure::runtime(said),
            });
        }
        out.write_all(answer.body.as_bytes())?;
        Ok(())
    }
}
