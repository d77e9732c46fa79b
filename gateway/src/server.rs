//! The running gateway: started from a configuration, changed by further ones, stopped.
//!
//! A change is made in two steps. Everything that can refuse it comes first (certificates, policies, sockets) and is reported
//! whole; then the registry, the snapshot and the listeners follow, which cannot fail. So a rejected change leaves no trace.

mod background;
mod overlay;
mod plan;
mod process;
mod state;
mod watch;

pub use background::Background;
pub use overlay::{Bell, Outcome, Overlay, Stopping};
pub use state::State;
pub use watch::{ServeError, serve};

use std::{
    fmt, io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use trellis_access_logs::{Settings, Spooling, Writer};
use trellis_model::{
    config::{Config, Limits},
    load::Loaded,
    problem::{Problem, Problems},
};

use self::plan::{Foundation, Plan, Running, Terms};

use crate::{
    control::{Api, Control, Resources},
    discovery, dns, functions,
    listen::{Listeners, Prepared, Worker},
    otlp,
    registry::Registry,
    session_keys::Rotation,
    shared::Shared,
    snapshot::{Change, Compiled, Snapshot, Surroundings},
    telemetry::{
        CertificateKind, Expiry, Telemetry, collect_age, collect_decisions, collect_records,
        collect_spools,
        events::{
            CertificateExpiring, CertificateFailed, CertificateLoaded, ListenerClosed,
            ListenerOpened, LogChanged, SessionKeyFailed, SessionKeyRotated, SnapshotApplied,
            SnapshotRejected, Started, StopBegan, Stopped, TargetStatusChanged,
        },
        log,
    },
    tls::store::{CertificateEvent, Certificates},
};

/// Longest wait for the last access records when the gateway stops.
const RECORDS_GRACE: Duration = Duration::from_secs(5);

/// Why a gateway could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot run here; its author must act.
    #[error("{0}")]
    Configuration(Problems),
    /// The system refused something that no configuration asked for.
    #[error("the system refused to start the gateway")]
    System(#[from] io::Error),
}

/// Gives problems that are found after loading the lines of the documents that they are in.
pub struct Locator(Box<dyn Fn(Problems) -> Problems + Send>);

impl Locator {
    /// One that asks this.
    pub fn new(locate: impl Fn(Problems) -> Problems + Send + 'static) -> Self {
        Self(Box::new(locate))
    }

    fn locate(&self, problems: Problems) -> Problems {
        // It reads the documents once more, for nothing where nothing was found.
        if problems.is_empty() {
            return problems;
        }
        (self.0)(problems)
    }

    fn locate_one(&self, problem: Problem) -> Problem {
        let located = self.locate(Problems::from_iter([problem.clone()]));
        located.into_iter().next().unwrap_or(problem)
    }
}

impl fmt::Debug for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locator")
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Server {
    locator: Locator,
    /// What the files say.
    files: Arc<Config>,
    /// What is kept beside them.
    overlay: Option<Arc<dyn Overlay>>,
    bell: Bell,
    shared: Arc<Shared>,
    state: Arc<State>,
    listeners: Listeners,
    registry: Arc<Registry>,
    certificates: Certificates,
    terms: Terms,
    background: Background,
    control: Option<Control>,
    dns: dns::Listeners,
    names: Arc<dns::RunningNames>,
}

impl Server {
    /// Starts a gateway. When this returns, its sockets listen. Blocks its thread meanwhile.
    ///
    /// `seed` is where the random numbers begin that spread requests and probes.
    pub fn start(loaded: Loaded, locator: Locator, seed: u64) -> Result<Self, StartError> {
        let began = Instant::now();
        let (files, warnings) = (Arc::new(loaded.config), loaded.warnings);
        let telemetry = Telemetry::new(SystemTime::now());
        let workers = worker_count(&files);
        let (foundation, plan) = plan::first(&files, warnings, (workers, &telemetry))
            .map_err(|problems| StartError::Configuration(locator.locate(problems)))?;
        let Foundation {
            terms,
            roots,
            admin,
            control,
            plane,
            bell,
            config,
        } = foundation;

        let writer = start_writer(&config, &telemetry, seed)?;
        plan::spools(&config, &writer)
            .map_err(|problems| StartError::Configuration(locator.locate(problems)))?;
        let registry = Arc::new(new_registry(&telemetry));
        let Plan {
            compiled,
            certificates,
            sockets,
            dns,
            session_keys,
            warnings,
        } = plan;
        terms.keychain.commit(session_keys);
        let names = look_up(&config, &terms, &registry);
        let around = Surroundings {
            registry: &registry,
            telemetry: &telemetry,
            tls: &terms.tls,
            writer: Some(&*writer),
        };
        let snapshot = realize(compiled, &Change::first(&config), 1, &around);
        let (spans, outlet) = otlp::queue(&telemetry);
        let shared = Arc::new(Shared {
            snapshot: ArcSwap::from_pointee(snapshot),
            early_recorder: writer.recorder(),
            spans,
            slots: Arc::default(),
            function_memory: functions::Memory::default(),
            target_roots: roots,
            telemetry,
            writer,
            seed,
        });
        let listeners = Listeners::new(start_workers(workers, &config.gateway.limits, &shared)?);
        let state = Arc::new(State::of(&shared, &registry, &config));
        let given = (admin, outlet);
        let background = Background::start(given, &state, &registry, &shared.telemetry, seed)?;
        let start = |(listener, plane)| {
            let api = Api::new(plane, &registry, &state);
            terms.serve(listener, background.runtime(), &shared, api)
        };
        let control = control.zip(plane.as_ref()).map(start).transpose()?;
        collect(&shared);
        let mut server = Self {
            locator,
            files,
            overlay: plane.map(|plane| Arc::new(Resources::of(&plane)) as _),
            bell,
            names: Arc::new(dns::RunningNames::new(Arc::clone(&shared))),
            dns: dns::Listeners::default(),
            shared,
            state,
            listeners,
            registry,
            certificates,
            terms,
            background,
            control,
        };
        server.open(sockets, dns);
        server.attend(Some(names));
        server.tell_started(workers);
        server.tell_applied(1, warnings, began);
        Ok(server)
    }

    /// Takes over what was loaded, or says that it is refused and leaves everything as it is: a change of the configuration's files
    /// from its beginning to its log line and its metrics. Gives the generation that runs from now on, or every problem.
    pub fn reload(&mut self, loaded: Result<Loaded, Problems>) -> Result<u64, Problems> {
        let applied = loaded.and_then(
            |Loaded {
                 mut config,
                 warnings,
             }| {
                // What was read again with the same content is not compiled again.
                config.share_with(&self.files);
                let files = Arc::new(config);
                let before = std::mem::replace(&mut self.files, files);
                let applied = self
                    .with_overlay(&self.files)
                    .and_then(|config| self.apply(config, warnings));
                applied.map_err(|problems| {
                    self.files = before;
                    // Whoever asks is told of what runs, not of what was refused.
                    let _ = self.with_overlay(&self.files);
                    self.locator.locate(problems)
                })
            },
        );
        self.tell_refused(&applied);
        applied
    }

    /// Keeps these resources beside those of the files from now on, and runs them. Changes of them are told with the [`Self::bell`].
    pub fn attach(&mut self, overlay: Arc<dyn Overlay>) -> Result<u64, Problems> {
        self.overlay = Some(overlay);
        self.follow()
    }

    /// How the overlay tells that it has changed.
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Takes over what the overlay says now, and tells those who wait for it.
    pub fn follow(&mut self) -> Result<u64, Problems> {
        // Whoever comes from now on may have changed what is about to be looked at, or may not: the next round is for them.
        let waiting = self.bell.take_waiting();
        let files = Arc::clone(&self.files);
        let applied = self.with_overlay(&files).and_then(|config| {
            if Arc::ptr_eq(&config, &self.state.config()) {
                return Ok(self.shared.snapshot.load().generation);
            }
            self.apply(config, Problems::default())
        });
        self.tell_refused(&applied);
        waiting.tell(applied.clone());
        applied
    }

    fn with_overlay(&self, files: &Arc<Config>) -> Result<Arc<Config>, Problems> {
        match &self.overlay {
            Some(overlay) => overlay.over(files),
            None => Ok(Arc::clone(files)),
        }
    }

    fn tell_refused(&self, applied: &Result<u64, Problems>) {
        if let Err(problems) = applied {
            let running = Some(self.shared.snapshot.load().generation);
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            self.shared.telemetry.emit(&SnapshotRejected {
                running,
                problems: &problems,
            });
            self.state.reject(problems);
        }
    }

    /// Takes over another configuration, or refuses it whole and leaves everything as it is.
    ///
    /// Settings of the process itself (`gateway.admin`, `gateway.control`, `gateway.workers`, `gateway.dataDir`, `gateway.spool`) keep their first value until the next
    /// start; a change of them is a warning.
    fn apply(&mut self, config: Arc<Config>, mut warnings: Problems) -> Result<u64, Problems> {
        let began = Instant::now();
        let (before, runs) = (self.state.config(), self.state.snapshot());
        warnings.extend(plan::kept_settings(&before, &config));
        let running = Running {
            configured: Some((&before, self.certificates.clone())),
            sockets: self.listeners.open().clone(),
            dns: self.dns.open(),
            files: &self.files,
        };
        let around = (self.listeners.workers(), &*self.shared.telemetry);
        let change = Change::after(&config, (&before, &runs));
        let plan = plan::plan(&change, warnings, &self.terms, &running, around)?;
        plan::spools(&config, &self.shared.writer)?;
        let generation = runs.generation + 1;
        let Plan {
            compiled,
            certificates,
            sockets,
            dns,
            session_keys,
            warnings,
        } = plan;
        let same_names = before.gateway.discovery == config.gateway.discovery
            && change.difference().target_groups.is_same();
        let names = (!same_names).then(|| look_up(&config, &self.terms, &self.registry));
        let around = Surroundings {
            registry: &self.registry,
            telemetry: &self.shared.telemetry,
            tls: &self.terms.tls,
            writer: Some(&*self.shared.writer),
        };
        let snapshot = realize(compiled, &change, generation, &around);
        self.terms.keychain.commit(session_keys);
        self.shared.snapshot.store(Arc::new(snapshot));
        if change.may_remove() {
            self.shared.telemetry.settle();
        }
        self.open(sockets, dns);
        self.certificates = certificates;
        self.state.replace_config(config);
        self.attend(names);
        self.tell_applied(generation, warnings, began);
        Ok(generation)
    }

    /// Listens and answers DNS on what was prepared, and no longer on what is not wanted.
    fn open(&mut self, sockets: Prepared, names: dns::Prepared) {
        let telemetry = &self.shared.telemetry;
        announce(telemetry, self.listeners.commit(sockets));
        self.dns
            .commit(names, self.background.runtime(), &self.names, telemetry);
    }

    /// Reads the keys of the running configuration's identity providers, and asks for the names of its targets where they may be others
    /// than before.
    fn attend(&self, names: Option<discovery::Prepared>) {
        let (config, telemetry) = (self.state.config(), &self.shared.telemetry);
        let runtime = self.background.runtime();
        self.terms.published.follow(&config, runtime, telemetry);
        let around = discovery::Around {
            runtime,
            registry: &self.registry,
            telemetry,
            seed: self.shared.seed,
        };
        if let Some(names) = names {
            self.terms.discoverer.follow(&config, names, &around);
        }
    }

    fn tell_started(&self, workers: usize) {
        self.shared.telemetry.emit(&Started {
            version: env!("CARGO_PKG_VERSION"),
            workers,
        });
    }

    fn tell_applied(&self, generation: u64, warnings: Problems, began: Instant) {
        self.tell_expiries();
        let warnings = &self.locator.locate(warnings);
        self.shared.telemetry.emit(&SnapshotApplied {
            generation,
            services: self.shared.snapshot.load().services.len(),
            warnings,
            took: began.elapsed(),
            at: SystemTime::now(),
        });
    }

    /// Tells the metrics when the certificates in use end.
    fn tell_expiries(&self) {
        let ca = &self.terms.tls.ca;
        let mut expiries = vec![Expiry {
            kind: CertificateKind::Ca,
            name: "internal".into(),
            not_after: ca.root_expires(),
        }];
        let services = self.certificates.iter();
        expiries.extend(services.map(|(_, certificate)| Expiry {
            kind: CertificateKind::Service,
            name: certificate.domain().as_str().into(),
            not_after: certificate.expires(),
        }));
        expiries.extend(self.registry.client_certificates().into_iter().map(
            |(group, not_after)| Expiry {
                kind: CertificateKind::TargetClient,
                name: group.to_string().into(),
                not_after,
            },
        ));
        self.shared.telemetry.certificates(expiries);
    }

    /// Looks for changed certificate files and takes what is usable.
    pub fn refresh_certificates(&self) {
        let telemetry = &self.shared.telemetry;
        let events = self.certificates.refresh(SystemTime::now());
        if !events.is_empty() {
            self.tell_expiries();
        }
        for event in events {
            match event {
                CertificateEvent::Replaced { domain, warnings } => {
                    telemetry.emit(&CertificateLoaded {
                        domain: domain.as_str(),
                        warnings: &self.locator.locate(warnings.into_iter().collect()),
                    });
                }
                CertificateEvent::Refused { domain, problem } => {
                    telemetry.emit(&CertificateFailed {
                        domain: domain.as_str(),
                        problem: &self.locator.locate_one(problem),
                    });
                }
                CertificateEvent::Expiring { domain, problem } => {
                    telemetry.emit(&CertificateExpiring {
                        domain: domain.as_str(),
                        problem: &self.locator.locate_one(problem),
                    });
                }
            }
        }
    }

    /// Makes a new key for session tokens when it is time.
    pub fn rotate_session_keys(&self) {
        let telemetry = &self.shared.telemetry;
        match self.terms.keychain.rotate(SystemTime::now()) {
            Rotation::None => {}
            Rotation::Done => telemetry.emit(&SessionKeyRotated),
            Rotation::Failed(error) => telemetry.emit(&SessionKeyFailed { error: &error }),
        }
    }

    /// Lets go of the metrics of resources that the last request under an older configuration has left.
    pub fn settle_metrics(&self) {
        self.shared.telemetry.settle();
    }

    /// Lets the log say again what it said at the start, when the time of a change is over.
    pub fn revert_log(&self) {
        let now = Instant::now();
        if log::revert(Some(now))
            && let Some(heard) = log::heard(now)
        {
            self.shared.telemetry.emit(&LogChanged {
                filter: &heard.filter,
                seconds: None,
            });
        }
    }

    /// Closes and opens the files of access records again, after a rotation.
    pub fn reopen_records(&self) {
        self.shared.writer.reopen();
    }

    /// What the admin pages show, for whoever runs in the same process.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Address of the admin pages.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.background.admin_address()
    }

    /// Address of the security token service.
    pub fn control_address(&self) -> Option<SocketAddr> {
        self.control.as_ref().map(Control::address)
    }

    /// Addresses on which DNS is answered.
    pub fn dns_addresses(&self) -> Vec<SocketAddr> {
        self.dns.addresses()
    }

    /// Metrics and events.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.shared.telemetry
    }

    /// Stops accepting, lets running requests finish within the grace period of the running configuration, writes the last records.
    ///
    /// Blocks its thread until all of that is done, which takes little longer than the grace period at most.
    pub fn stop(self) {
        let grace = self.state.config().gateway.limits.stop_grace;
        self.state.stopping();
        self.shared.telemetry.emit(&StopBegan { grace });
        // Names first: whoever asks from now on should find another gateway.
        self.background.finish(self.dns.stop());
        if let Some(control) = self.control {
            self.background.finish(control.stop());
        }
        let cut = self.listeners.stop(grace);
        self.terms.published.stop();
        self.terms.discoverer.stop();
        self.background.stop();
        let records = self.shared.writer.stop(RECORDS_GRACE);
        self.shared.telemetry.emit(&Stopped { cut, records });
    }
}

/// Lets the metrics page count what is counted elsewhere.
fn collect(shared: &Arc<Shared>) {
    let counters = shared.writer.counters();
    shared
        .telemetry
        .collect(move |samples| collect_records(&counters, samples));
    // Not a reference of its own: the telemetry is part of what it would hold.
    let running = Arc::downgrade(shared);
    shared.telemetry.collect(move |samples| {
        if let Some(shared) = running.upgrade() {
            let snapshot = shared.snapshot.load();
            collect_decisions(snapshot.policies.decision_lookups(), samples);
            collect_age(snapshot.built, samples);
            collect_spools(&shared.writer.spools(), samples);
        }
    });
}

/// The part of a change that cannot fail.
fn realize(
    compiled: Compiled,
    change: &Change<'_>,
    generation: u64,
    around: &Surroundings<'_>,
) -> Snapshot {
    compiled.hand_over(change, around.registry, Instant::now());
    compiled.build(change, generation, around)
}

/// Asks for names of targets that nobody has asked for yet, so that their groups have targets from the beginning.
fn look_up(config: &Config, terms: &Terms, registry: &Registry) -> discovery::Prepared {
    let names = discovery::prepare(config, &terms.discoverer.known());
    registry.seed(names.addresses());
    names
}

/// The writer of access records, with what they need on their way to log storage.
fn start_writer(config: &Config, telemetry: &Arc<Telemetry>, seed: u64) -> io::Result<Arc<Writer>> {
    let settings = Settings {
        spooling: Some(Spooling {
            folder: config.gateway.data_dir.join("spool"),
            settings: config.gateway.spool.clone(),
            tls: Arc::new(functions::client_config),
            seed,
        }),
        ..Settings::default()
    };
    Writer::start(settings, Arc::clone(telemetry) as _).map(Arc::new)
}

fn worker_count(config: &Config) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    config
        .gateway
        .workers
        .map_or_else(cores, std::num::NonZeroUsize::get)
}

fn new_registry(telemetry: &Arc<Telemetry>) -> Registry {
    let telemetry = Arc::clone(telemetry);
    Registry::new(Arc::new(move |event| {
        telemetry.emit(&TargetStatusChanged(event));
    }))
}

fn start_workers(count: usize, limits: &Limits, shared: &Arc<Shared>) -> io::Result<Vec<Worker>> {
    let idle_targets = limits.idle_target_connections.div_ceil(count);
    (0..count)
        .map(|index| Worker::start(index, idle_targets, Arc::clone(shared)))
        .collect()
}

fn announce(telemetry: &Telemetry, (opened, closed): (Vec<SocketAddr>, Vec<SocketAddr>)) {
    for address in opened {
        telemetry.emit(&ListenerOpened { address });
    }
    for address in closed {
        telemetry.emit(&ListenerClosed { address });
    }
}
