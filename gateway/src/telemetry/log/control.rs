//! Changing what the log says while the process runs.
//!
//! A process has one log, as `tracing` has it, so there is one control of it, made with the log. A change holds for a while and is taken
//! back by itself: a forgotten `debug` fills disks.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::{LogError, parse_filter};

/// Longest filter that is taken at run time, in bytes.
const LONGEST: usize = 1024;

/// The control of this process' log, once there is one.
static CONTROL: OnceLock<Control> = OnceLock::new();

/// What the log says now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The filter.
    pub filter: String,
    /// When it is taken back; none when it is the one that the process was started with.
    pub reverts_in: Option<Duration>,
}

/// Why the filter was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Nobody set the log up: the process is no gateway.
    #[error("the log of this process cannot be changed")]
    None,
    /// It is longer than anybody means.
    #[error("the filter has more than {LONGEST} bytes")]
    Long,
    /// It looks into spans and fields, whose patterns cost what their author likes.
    #[error("filters by span or field are taken at the start only")]
    Spans,
    /// It is not understood.
    #[error(transparent)]
    Filter(#[from] LogError),
    /// The log is gone.
    #[error("the log is gone")]
    Gone(#[source] reload::Error),
}

pub(super) struct Control {
    handle: reload::Handle<EnvFilter, Registry>,
    first: String,
    changed: Mutex<Option<(String, Instant)>>,
}

impl Control {
    pub(super) fn keep(handle: reload::Handle<EnvFilter, Registry>, first: &str) {
        // There is no second log, so there is no second control.
        let _ = CONTROL.set(Self {
            handle,
            first: first.to_owned(),
            changed: Mutex::new(None),
        });
    }
}

/// What the log says now, as of `now`.
pub fn heard(now: Instant) -> Option<Heard> {
    let control = CONTROL.get()?;
    Some(match &*control.changed.lock() {
        Some((filter, until)) => Heard {
            filter: filter.clone(),
            reverts_in: Some(until.saturating_duration_since(now)),
        },
        None => Heard {
            filter: control.first.clone(),
            reverts_in: None,
        },
    })
}

/// Changes the filter until `until`.
pub fn change(filter: &str, until: Instant) -> Result<(), ChangeError> {
    let parsed = check(filter)?;
    let control = CONTROL.get().ok_or(ChangeError::None)?;
    let mut changed = control.changed.lock();
    control.handle.reload(parsed).map_err(ChangeError::Gone)?;
    *changed = Some((filter.to_owned(), until));
    Ok(())
}

/// Is the filter one that can be taken at run time?
pub(super) fn check(filter: &str) -> Result<EnvFilter, ChangeError> {
    if filter.len() > LONGEST {
        return Err(ChangeError::Long);
    }
    if filter.contains(['[', ']', '{', '}', '"']) {
        return Err(ChangeError::Spans);
    }
    Ok(parse_filter(filter)?)
}

/// Takes a change back if its time is over, or in any case with `now` as none. Tells whether there was something to take back.
pub fn revert(now: Option<Instant>) -> bool {
    let Some(control) = CONTROL.get() else {
        return false;
    };
    let mut changed = control.changed.lock();
    let due = changed
        .as_ref()
        .is_some_and(|(_, until)| now.is_none_or(|now| now >= *until));
    if due {
        // The first filter was understood at the start.
        if let Ok(filter) = parse_filter(&control.first) {
            let _ = control.handle.reload(filter);
        }
        *changed = None;
    }
    due
}
