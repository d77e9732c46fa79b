//! The main loop of `trellis serve`: signals, changed files, changes of the overlay.
//!
//! Changes are heard of in two ways: the system tells of them at once, and every few seconds the files are looked at.

mod changes;

use std::{collections::BTreeMap, io, path::PathBuf, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval},
};
use trellis_model::{load::Loaded, problem::Problems};

use self::changes::Changes;
use super::{
    Locator, Server, StartError,
    process::{allow_all_descriptors, on_own_thread},
};
use crate::{
    cli::inputs::{Configuration, documents},
    files::Marks,
};

/// How often files are looked at, whatever the system tells of changes: nothing is told of a folder that was replaced as a whole, of a
/// link above the watched folder that points elsewhere now, or by a file system over the network.
const LOOK_PERIOD: Duration = Duration::from_secs(2);

/// Why `trellis serve` ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration cannot be used; its author must act.
    #[error("{0}")]
    Configuration(Problems),
    /// The system refused something.
    #[error("the system refused")]
    System(#[from] io::Error),
}

impl From<StartError> for ServeError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Configuration(problems) => Self::Configuration(problems),
            StartError::System(error) => Self::System(error),
        }
    }
}

/// Runs a gateway until SIGTERM or SIGINT; reloads on SIGHUP and when its files change. `ready` is called once it listens.
pub fn serve(
    configuration: &Configuration,
    seed: u64,
    ready: impl FnOnce(&Server),
) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Signals first: one that comes while the gateway starts must not kill it half started.
    let mut signals = runtime.block_on(async { Signals::new() })?;
    allow_all_descriptors();
    let mut known = Known::default();
    let documents = configuration.clone();
    let locator = Locator::new(move |problems| documents.locate(problems));
    let (started, files) = on_own_thread(|| {
        let (loaded, files) = known.load(configuration);
        let started = loaded
            .map_err(ServeError::Configuration)
            .and_then(|loaded| Ok(Server::start(loaded, locator, seed)?));
        (started, files)
    });
    let mut server = started?;
    ready(&server);
    let changes = Changes::watch(configuration.path(), &files);
    runtime.block_on(run(
        &mut server,
        configuration,
        known,
        changes,
        &mut signals,
    ));
    server.stop();
    Ok(())
}

async fn run(
    server: &mut Server,
    configuration: &Configuration,
    mut known: Known,
    mut changes: Changes,
    signals: &mut Signals,
) {
    let bell = server.bell().clone();
    let mut looks = interval(LOOK_PERIOD);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Nothing is lost with a branch not taken: signals and changes wait in their channels.
        tokio::select! {
            () = bell.rung() => {
                on_own_thread(|| {
                    // Those who wait have been told of a refusal, and so have the log and the metrics.
                    let _ = server.follow();
                });
                continue;
            }
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
            _ = signals.hangup.recv() => {
                server.reopen_records();
                server.refresh_certificates();
            }
            () = changes.settled() => {
                if !known.changed(configuration) {
                    continue;
                }
            }
            _ = looks.tick() => {
                server.refresh_certificates();
                server.rotate_session_keys();
                server.settle_metrics();
                server.revert_log();
                if !on_own_thread(|| known.changed(configuration)) {
                    continue;
                }
            }
        }
        let files = on_own_thread(|| {
            let (loaded, files) = known.load(configuration);
            // A refusal has been told, and the configuration before runs on: nothing is left to do about it here.
            let _ = server.reload(loaded);
            files
        });
        changes.follow(&files);
    }
}

/// What the configuration's files were like when they were read.
#[derive(Debug, Default)]
struct Known {
    marks: BTreeMap<PathBuf, Option<Marks>>,
}

impl Known {
    /// Loads the configuration; gives the files that were read as well.
    fn load(&mut self, configuration: &Configuration) -> (Result<Loaded, Problems>, Vec<PathBuf>) {
        // What changes while the files are read counts as a change after it.
        let before = self.look(configuration);
        let (loaded, files) = configuration.load_watched();
        self.marks = before;
        for file in &files {
            if !self.marks.contains_key(file) {
                self.marks.insert(file.clone(), Marks::of(file));
            }
        }
        (loaded, files)
    }

    /// Is any file another one than when it was read?
    fn changed(&self, configuration: &Configuration) -> bool {
        self.look(configuration) != self.marks
    }

    /// The files that were read before and the documents that there are now.
    fn look(&self, configuration: &Configuration) -> BTreeMap<PathBuf, Option<Marks>> {
        let documents = documents(configuration.path()).unwrap_or_default();
        let files = self.marks.keys().cloned().chain(documents);
        files.map(|file| (file.clone(), Marks::of(&file))).collect()
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}
