//! Why a command did not succeed, and the exit code that says so.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use trellis_model::problem::Problems;

use crate::reason::Chain;

/// Why a command did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The configuration is wrong; its author must act. Exit code 2.
    Configuration(Problems),
    /// The same, and the report has already been written as the command's result.
    ConfigurationReported,
    /// The command line asks for something that cannot be; its author must act. Exit code 2.
    Usage(Box<dyn Error + Send + Sync>),
    /// The request in question would be refused, which has already been written as the command's result. Exit code 1.
    Refused,
    /// What was asked for was found wanting, which has already been written as the command's result. Exit code 1.
    Reported,
    /// Something failed while running. Exit code 1.
    Runtime(Box<dyn Error + Send + Sync>),
}

impl Failure {
    /// Wraps an error that is not the configuration's.
    pub(super) fn runtime(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Runtime(error.into())
    }

    /// Says what happened and gives the exit code.
    pub(super) fn report(&self, err: &mut dyn Write) -> ExitCode {
        // When standard error is gone the exit code still speaks.
        match self {
            // Whoever read our output, `head` for one, had enough of it.
            Self::Runtime(error) if is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
            Self::Runtime(error) => {
                let _ = writeln!(err, "trellis: {}", Chain(error.as_ref()));
                ExitCode::from(1)
            }
            Self::Usage(error) => {
                let _ = writeln!(err, "trellis: {}", Chain(error.as_ref()));
                ExitCode::from(2)
            }
            Self::Configuration(problems) => {
                let _ = writeln!(err, "{problems}");
                ExitCode::from(2)
            }
            Self::Refused | Self::Reported => ExitCode::from(1),
            Self::ConfigurationReported => ExitCode::from(2),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::runtime(error)
    }
}

fn is_broken_pipe(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests;
