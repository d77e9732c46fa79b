//! Hears what a gateway logs.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Once},
};

use std::sync::Mutex;
use tracing::{
    Dispatch, Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
};

/// Lines that a gateway logged at `warn` or `error`, and that no one has expected yet.
#[derive(Debug, Clone)]
pub(crate) struct Witness {
    lines: Arc<Mutex<Vec<String>>>,
    log: Dispatch,
}

impl Witness {
    pub(crate) fn new() -> Self {
        hear_panics();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = Dispatch::new(tracing_subscriber::registry().with(Listener {
            lines: Arc::clone(&lines),
        }));
        Self { lines, log }
    }

    /// Runs `work` so that this witness hears it, and the threads of a gateway that it starts.
    pub(crate) fn hear<T>(&self, work: impl FnOnce() -> T) -> T {
        tracing::dispatcher::with_default(&self.log, work)
    }

    /// Takes the first line that contains `text`.
    pub(crate) fn take(&self, text: &str) -> Option<String> {
        let mut lines = self.lines.lock().unwrap();
        let position = lines.iter().position(|line| line.contains(text))?;
        Some(lines.remove(position))
    }

    /// Takes all that is left.
    pub(crate) fn rest(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

/// A panic in a task is caught by the runtime and would go unnoticed.
fn hear_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            tracing::error!(%panic, "panic");
            before(panic);
        }));
    });
}

struct Listener {
    lines: Arc<Mutex<Vec<String>>>,
}

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        // The gateway's own lines: those of the HTTP engine are off by default, see `telemetry::log`.
        if *metadata.level() > Level::WARN || !metadata.target().starts_with("trellis") {
            return;
        }
        let mut line = Line(format!("{} {}:", metadata.level(), metadata.target()));
        event.record(&mut line);
        self.lines.lock().unwrap().push(line.0);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, " {value:?}");
        } else {
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }
}
