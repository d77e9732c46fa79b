//! The operator's log: lines on standard error, as text or as JSON.
//!
//! Standard output is left to access records.

mod control;
#[cfg(test)]
mod tests;

pub use control::{ChangeError, Heard, change, heard, revert};

use std::io::{self, IsTerminal};

use tracing_subscriber::{
    EnvFilter, filter::LevelFilter, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people, with colours on a terminal.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// What is heard when nobody says otherwise. `error`: someone must act; `warn`: the gateway coped; `info`: lifecycle; `debug`:
/// one request's reasoning.
pub const DEFAULT_FILTER: &str = "info";

/// Said before the user's filter, which may take it back: the HTTP engine writes a line for every exchange that a client or a
/// target breaks off. Those are in the access records and metrics; as log lines they would let anybody fill the operator's disk.
const QUIET: &str = "pingora=off,pingora_core=off,pingora_proxy=off,pingora_pool=off,pingora_error=off,\
    h2=error,hyper=error,rustls=error,hickory_proto=error,notify=error";

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not understood.
    #[error("log filter `{filter}` is not understood")]
    Filter {
        /// As written.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// A part of the filter is one word, but no level: it would silence everything but a module of that name.
    #[error(
        "`{word}` is not a level of the log: `error`, `warn`, `info`, `debug`, `trace` or `off`"
    )]
    Level {
        /// The word.
        word: String,
    },
    /// There is a log already.
    #[error("the log was set up before")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Sets up the log of the process. `filter` is in the notation of `RUST_LOG`: `debug`, or `info,trellis_gateway::proxy=debug`;
/// absent means [`DEFAULT_FILTER`].
pub fn init(format: LogFormat, filter: Option<&str>) -> Result<(), LogError> {
    let written = filter.unwrap_or(DEFAULT_FILTER);
    let (filter, handle) = reload::Layer::new(parse_filter(written)?);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Text => registry
            .with(lines.with_ansi(io::stderr().is_terminal()))
            .try_init(),
        LogFormat::Json => registry
            .with(lines.json().flatten_event(true).with_current_span(false))
            .try_init(),
    }
    .map_err(LogError::Twice)?;
    control::Control::keep(handle, written);
    Ok(())
}

/// Lets the thread that will run `work` log where the current one does.
///
/// A process has one log, and for it this changes nothing. A program that holds several gateways (the end-to-end tests do) can
/// so tell whose line it is.
pub(crate) fn inherit<T>(work: impl FnOnce() -> T + Send) -> impl FnOnce() -> T + Send {
    let log = tracing::dispatcher::get_default(tracing::Dispatch::clone);
    move || tracing::dispatcher::with_default(&log, work)
}

fn parse_filter(filter: &str) -> Result<EnvFilter, LogError> {
    let words = filter.split(',').map(str::trim);
    for word in words.filter(|word| !word.is_empty() && !word.contains(['=', '[', ':'])) {
        if word.parse::<LevelFilter>().is_err() {
            return Err(LogError::Level {
                word: word.to_owned(),
            });
        }
    }
    EnvFilter::try_new(format!("{QUIET},{filter}")).map_err(|source| LogError::Filter {
        filter: filter.to_owned(),
        source,
    })
}
