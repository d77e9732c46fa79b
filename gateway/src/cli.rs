//! The command line: one file per command, with its options, its help, what it does and its tests.
//!
//! A command writes its result to standard output and says what went wrong on standard error. Its exit code says who must act:
//! 0 nobody, 1 something failed while running (or the request that `explain` is asked about would be refused, or `test` or `policy lint` found something), 2 the command line or the configuration is wrong.

mod admin;
mod ca;
mod control;
mod demo;
mod echo;
#[cfg(test)]
mod examples;
mod explain;
mod failure;
pub mod inputs;
mod log_level;
mod logs;
mod output;
mod policy;
mod ready;
#[cfg(test)]
mod reference;
mod schema;
mod serve;
mod stop;
mod test;
mod validate;
mod version;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use failure::Failure;

/// Trellis: an application network that anybody can run.
#[derive(Debug, Parser)]
#[command(name = "trellis", version, max_term_width = 120, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  something failed while running; of `explain`: the request would be refused; of `test` and
     `policy lint`: something was found
  2  the command line or the configuration is wrong

Examples:
  trellis demo                                try it: gateway, targets and curl lines to paste
  trellis validate --config trellis.yaml      every problem of a configuration at once
  trellis serve --config trellis.yaml         run it";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Ca(ca::Ca),
    Control(control::Control),
    Echo(echo::Echo),
    Validate(validate::Validate),
    Explain(explain::Explain),
    LogLevel(log_level::LogLevel),
    Logs(logs::Logs),
    Policy(policy::Policy),
    Ready(ready::Ready),
    Schema(schema::Schema),
    Test(test::Test),
    Version(version::Version),
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    // Not locked: access records may go to standard output while a command runs.
    let mut out = io::stdout();
    match cli.command.run(&mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&mut io::stderr()),
    }
}

impl Command {
    fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Serve(serve) => serve.run(out),
            Self::Demo(demo) => demo.run(out),
            Self::Ca(ca) => ca.run(out),
            Self::Control(control) => control.run(out),
            Self::Echo(echo) => echo.run(out),
            Self::Validate(validate) => validate.run(out),
            Self::Explain(explain) => explain.run(out),
            Self::LogLevel(level) => level.run(out),
            Self::Logs(logs) => logs.run(out),
            Self::Policy(policy) => policy.run(out),
            Self::Ready(ready) => ready.run(out),
            Self::Schema(schema) => schema.run(out),
            Self::Test(test) => test.run(out),
            Self::Version(version) => version.run(out),
        }
    }
}

#[cfg(test)]
mod tests;
