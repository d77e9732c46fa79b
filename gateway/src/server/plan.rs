//! Everything that can refuse a configuration, tried before anything changes; all problems at once.

use std::{
    collections::{BTreeSet, HashSet},
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::SystemTime,
};

use tokio::runtime::Handle;
use trellis_access_logs::{ShipError, SpoolError, Writer, writer};
use trellis_control_plane::ControlPlane;
use trellis_model::{
    config::{Config, GatewaySettings, LogDestination},
    problem::{Place, Problem, Problems, Severity},
};

use super::Bell;
use crate::{
    check,
    control::{self, StoreWatch},
    discovery::Discoverer,
    dns,
    jwks::{Pace, PublishedKeys},
    listen::{self, BindError, Prepared},
    reason::{Chain, reason},
    session_keys::{self, Keychain},
    shared::Shared,
    snapshot::{self, Change, Compiled, Ingredients, TlsTerms},
    telemetry::{Telemetry, events::ListenerFailed},
    tls::{
        ca::{CaError, InternalCa},
        store::Certificates,
    },
};

/// What of a configuration could have failed and did not.
pub(super) struct Plan {
    pub(super) compiled: Compiled,
    pub(super) certificates: Certificates,
    pub(super) sockets: Prepared,
    pub(super) dns: dns::Prepared,
    pub(super) session_keys: session_keys::Prepared,
    pub(super) warnings: Problems,
}

/// What runs already, and is kept where a configuration still wants it.
#[derive(Debug)]
pub(super) struct Running<'a> {
    /// The configuration and its certificates, if one runs.
    pub(super) configured: Option<(&'a Config, Certificates)>,
    pub(super) sockets: BTreeSet<SocketAddr>,
    pub(super) dns: BTreeSet<SocketAddr>,
    /// What files alone declare: what they want to listen on must be free.
    pub(super) files: &'a Config,
}

impl<'a> Running<'a> {
    /// Nothing runs yet.
    fn nothing(files: &'a Config) -> Self {
        Self {
            configured: None,
            sockets: BTreeSet::new(),
            dns: BTreeSet::new(),
            files,
        }
    }

    /// The sockets that are wanted. One that cannot be had for what was created through the API alone is a warning: whoever created it is
    /// another tenant, perhaps, and nobody else's changes wait for it. It is tried again with the next change.
    fn prepare(
        &self,
        mut wanted: BTreeSet<SocketAddr>,
        workers: usize,
    ) -> Result<(Prepared, Vec<BindError>), Vec<BindError>> {
        let errors = match listen::prepare(&self.sockets, wanted.clone(), workers) {
            Ok(prepared) => return Ok((prepared, Vec::new())),
            Err(errors) => errors,
        };
        let required = snapshot::sockets(self.files);
        if errors.iter().any(|error| required.contains(&error.address)) {
            return Err(errors);
        }
        for error in &errors {
            wanted.remove(&error.address);
        }
        let prepared = listen::prepare(&self.sockets, wanted, workers)?;
        Ok((prepared, errors))
    }
}

/// What outlives configurations: of TLS, the keys of session tokens and of identity providers, the names of targets.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) tls: TlsTerms,
    pub(super) keychain: Keychain,
    pub(super) published: PublishedKeys,
    pub(super) discoverer: Discoverer,
}

impl Terms {
    /// Serves calls of the control address, with the keys of session tokens.
    pub(super) fn serve(
        &self,
        listener: TcpListener,
        runtime: &Handle,
        shared: &Arc<Shared>,
        api: control::Api,
    ) -> io::Result<control::Control> {
        control::Control::start(listener, runtime, shared, self.keychain.shared(), api)
    }
}

/// What a gateway has from its start to its end.
pub(super) struct Foundation {
    pub(super) terms: Terms,
    /// Path of the file with the root certificate alone.
    pub(super) roots: String,
    pub(super) admin: Option<TcpListener>,
    pub(super) control: Option<TcpListener>,
    /// What the control plane knows, where there is one.
    pub(super) plane: Option<Arc<ControlPlane>>,
    /// Rung when that changes.
    pub(super) bell: Bell,
    /// What files declare, with what the control plane knows.
    pub(super) config: Arc<Config>,
}

/// The foundation and the first plan.
pub(super) fn first(
    files: &Arc<Config>,
    mut warnings: Problems,
    around: (usize, &Arc<Telemetry>),
) -> Result<(Foundation, Plan), Problems> {
    let ca = open_ca(files);
    let bell = Bell::default();
    // The data folder is there by now, unless there was no making it.
    let plane = files
        .gateway
        .control
        .map(|_| open_plane(files, around.1, &bell));
    let plane = plane.transpose();
    let config = match &plane {
        Ok(Some(plane)) => plane.configuration(files, SystemTime::now()),
        Ok(None) | Err(_) => Arc::clone(files),
    };
    let bind_at = |address: Option<SocketAddr>, setting| {
        address.map(|address| bind(address, setting)).transpose()
    };
    let admin = bind_at(config.gateway.admin, "gateway.admin");
    let control = bind_at(config.gateway.control, "gateway.control");
    let planned = if let Ok((terms, _)) = &ca {
        let told = terms.tls.ca.warnings().iter();
        warnings
            .extend(told.map(|text| Problem::warning(setting("gateway.dataDir"), text.as_str())));
        let change = Change::first(&config);
        let around = (around.0, &**around.1);
        plan(&change, warnings, terms, &Running::nothing(files), around)
    } else {
        // Without a CA there is no plan; what is wrong besides is looked for all the same.
        warnings.extend(check::check(&config));
        Err(warnings)
    };
    let sockets = both(admin, control);
    let ((((terms, roots), plane), (admin, control)), plan) =
        both(both(both(ca, plane), sockets), planned)?;
    Ok((
        Foundation {
            terms,
            roots,
            admin,
            control,
            plane,
            bell,
            config,
        },
        plan,
    ))
}

/// Tries out a configuration: certificates, policies, sockets, destinations of records.
pub(super) fn plan(
    change: &Change<'_>,
    mut warnings: Problems,
    terms: &Terms,
    running: &Running<'_>,
    (workers, telemetry): (usize, &Telemetry),
) -> Result<Plan, Problems> {
    let config = change.config;
    let now = SystemTime::now();
    let configured = running.configured.as_ref();
    let (certificates, found) = match configured {
        Some((before, certificates)) => {
            let services = &change.difference().services;
            Certificates::follow(config, (before, certificates), services, now)
        }
        None => Certificates::load(config, &Certificates::default(), now),
    };
    warnings.extend(found);
    if !change.difference().access_log_subscriptions.is_same() {
        let before = configured.map(|(before, _)| *before);
        warnings.extend(destinations(config, before));
    }
    let settings = &config.gateway;
    let session_keys =
        terms
            .keychain
            .prepare(&settings.session_keys, settings.control.is_some(), now);
    let with = Ingredients {
        tls: &terms.tls,
        certificates: &certificates,
        session_keys: terms.keychain.shared(),
        published: &terms.published,
    };
    let compiled = snapshot::compile(change, &with);
    let sockets = match &compiled {
        Ok(compiled) => compiled.sockets(config),
        Err(_) => snapshot::sockets(config),
    };
    let sockets = running.prepare(sockets, workers);
    let busy = |error: BindError| {
        telemetry.emit(&ListenerFailed);
        let what = format!("{error}{}", wanted_by(config, error.address));
        unavailable(Place::default(), &what, &error.cause)
    };
    let dns = dns::prepare(&running.dns, config.gateway.dns.as_ref());
    match (compiled, sockets, dns, session_keys) {
        (Ok(compiled), Ok((sockets, not_had)), Ok(dns), Ok(session_keys))
            if !warnings.has_errors() =>
        {
            warnings.extend(not_had.into_iter().map(|error| Problem {
                severity: Severity::Warning,
                ..busy(error)
            }));
            warnings.extend(compiled.warnings().iter().cloned());
            warnings.extend(session_keys.warning.clone());
            Ok(Plan {
                compiled,
                certificates,
                sockets,
                dns,
                session_keys,
                warnings,
            })
        }
        (compiled, sockets, dns, session_keys) => {
            warnings.extend(compiled.err().into_iter().flatten());
            warnings.extend(session_keys.err());
            warnings.extend(sockets.err().into_iter().flatten().map(busy));
            let of_dns = dns.err().into_iter().flatten();
            warnings.extend(of_dns.map(|error| {
                let place = setting("gateway.dns.listen");
                unavailable(place, &error.to_string(), &error.source)
            }));
            Err(warnings)
        }
    }
}

/// Both, or the problems of both.
fn both<A, B>(first: Result<A, Problems>, second: Result<B, Problems>) -> Result<(A, B), Problems> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (first, second) => {
            let mut problems = first.err().unwrap_or_default();
            problems.extend(second.err().into_iter().flatten());
            Err(problems)
        }
    }
}

fn setting(path: &str) -> Place {
    Place {
        path: path.to_owned(),
        ..Place::default()
    }
}

/// Something cannot be listened on, for this reason.
fn unavailable(place: Place, what: &str, cause: &io::Error) -> Problem {
    let problem = Problem::error(place, format!("{what}: {}", reason(cause)));
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            problem.hint("another process listens there, or another part of the configuration; `ss -ltnup` shows which")
        }
        io::ErrorKind::PermissionDenied => {
            problem.hint("a port below 1024 needs the capability CAP_NET_BIND_SERVICE")
        }
        io::ErrorKind::AddrNotAvailable => problem.hint("`ip address` shows those that there are"),
        _ => problem,
    }
}

/// Whose port an address has, for a message: the first listener whose callers arrive there.
fn wanted_by(config: &Config, address: SocketAddr) -> String {
    let arrives = |network: &&Arc<trellis_model::config::ServiceNetwork>| {
        let vpcs = config
            .vpcs
            .iter()
            .filter(|vpc| network.vpcs.iter().any(|member| member.vpc == vpc.id));
        vpcs.flat_map(|vpc| &vpc.attachments)
            .any(|attachment| attachment.listen.contains(&address.ip()))
    };
    let mut services = config
        .service_networks
        .iter()
        .filter(arrives)
        .flat_map(|network| &network.services)
        .filter_map(|member| config.services.iter().find(|s| s.id == member.service));
    let found = services.find_map(|service| {
        let mut listeners = service.listeners.iter();
        let listener = listeners.find(|listener| listener.port == address.port())?;
        Some((service, listener))
    });
    found.map_or_else(String::new, |(service, listener)| {
        format!(
            " for listener `{}` of service `{}`",
            listener.name, service.name
        )
    })
}

/// New destinations of access records that cannot be written. Those that are in use may have their troubles: records wait for them.
fn destinations(config: &Config, running: Option<&Config>) -> Vec<Problem> {
    let running = running
        .iter()
        .flat_map(|running| &running.access_log_subscriptions);
    let mut tried: HashSet<LogDestination> = running
        .map(|subscription| subscription.destination.clone())
        .collect();
    let new = config
        .access_log_subscriptions
        .iter()
        .filter(|subscription| tried.insert(subscription.destination.clone()));
    new.filter_map(|subscription| {
        let error = writer::check(&subscription.destination).err()?;
        let place = subscription.place.below(".destination");
        Some(Problem::error(
            place,
            format!(
                "access records cannot be written to {}: {}",
                subscription.destination,
                reason(&error)
            ),
        ))
    })
    .collect()
}

/// Opens the spools of subscriptions to log storage that are new; those that cannot be opened refuse the configuration.
pub(super) fn spools(config: &Config, writer: &Writer) -> Result<(), Problems> {
    let failed = writer.prepare(&config.access_log_subscriptions);
    let problems: Problems = failed
        .into_iter()
        .map(|(subscription, error)| {
            let message = format!(
                "access records cannot be shipped to {}: {error}",
                subscription.destination
            );
            let problem = Problem::error(subscription.place.clone(), message);
            match error {
                ShipError::Spool(SpoolError::InUse { .. }) => {
                    problem.hint("each gateway has a `dataDir` of its own")
                }
                _ => problem,
            }
        })
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// The CA in the data folder, and beside it the root certificate without its key: the engine reads nothing else from a file of
/// roots.
fn open_ca(config: &Config) -> Result<(Terms, String), Problems> {
    let refused = |message: String| {
        Problems::from_iter([Problem::error(setting("gateway.dataDir"), message)])
    };
    let ca = InternalCa::open(&config.gateway.data_dir, SystemTime::now()).map_err(|error| {
        let problem = Problem::error(setting("gateway.dataDir"), Chain(&error).to_string());
        Problems::from_iter([match error {
            CaError::Write { .. } => {
                problem.hint("a folder that the gateway may write; `--data-dir` names one too")
            }
            _ => problem,
        }])
    })?;
    let path = ca.path().with_file_name("certificate.pem");
    // A data folder that was filled before may be read-only.
    let there = std::fs::read(&path).is_ok_and(|bytes| bytes == ca.root_pem().as_bytes());
    if !there {
        std::fs::write(&path, ca.root_pem()).map_err(|error| {
            refused(format!(
                "cannot write `{}`: {}",
                path.display(),
                reason(&error)
            ))
        })?;
    }
    Ok((
        Terms {
            tls: TlsTerms::new(Arc::new(ca)),
            keychain: Keychain::new(&config.gateway.data_dir),
            published: PublishedKeys::new(Pace::default()),
            discoverer: Discoverer::default(),
        },
        path.to_string_lossy().into_owned(),
    ))
}

/// The store of the control plane in the data folder.
fn open_plane(
    config: &Config,
    telemetry: &Arc<Telemetry>,
    bell: &Bell,
) -> Result<Arc<ControlPlane>, Problems> {
    let listener = Arc::new(StoreWatch::new(Arc::clone(telemetry), bell.clone()));
    let opened = control::open(config, listener);
    opened.map(Arc::new).map_err(|error| {
        let problem = Problem::error(setting("gateway.dataDir"), Chain(&error).to_string());
        Problems::from_iter([problem.hint(
            "the store of the control plane must be this gateway's alone; without `gateway.control` it is not opened",
        )])
    })
}

fn bind(address: SocketAddr, path: &str) -> Result<TcpListener, Problems> {
    TcpListener::bind(address).map_err(|cause| {
        let what = format!("cannot listen on {address}");
        Problems::from_iter([unavailable(setting(path), &what, &cause)])
    })
}

/// Settings that a reload does not change.
pub(super) fn kept_settings(before: &Config, after: &Config) -> Vec<Problem> {
    let (before, after) = (&before.gateway, &after.gateway);
    let idle_targets = |settings: &GatewaySettings| settings.limits.idle_target_connections;
    let changed = [
        ("gateway.admin", before.admin != after.admin),
        ("gateway.control", before.control != after.control),
        ("gateway.workers", before.workers != after.workers),
        ("gateway.dataDir", before.data_dir != after.data_dir),
        ("gateway.spool", before.spool != after.spool),
        (
            "gateway.limits.idleTargetConnections",
            idle_targets(before) != idle_targets(after),
        ),
    ];
    changed
        .iter()
        .filter(|(_, changed)| *changed)
        .map(|(path, _)| Problem::warning(setting(path), "takes effect at the next start"))
        .collect()
}
