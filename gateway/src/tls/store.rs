//! Certificates from files: read and checked with the configuration, read again when the files change.
//!
//! [`Certificates::load`] belongs to loading a configuration and reports every problem. What it made stays alive while
//! snapshots come and go: [`Certificates::refresh`], called now and then, looks at the files and swaps a changed certificate in
//! place. New files that cannot be used leave the old certificate where it is.
//!
//! Files are looked at by their metadata. Certificate and key are two files, so whoever replaces them leaves a moment in which
//! they do not fit; a failure is therefore only reported when the second look finds the same files.

mod file;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::sign::CertifiedKey;
use trellis_model::{
    config::{Carried, CertificateFiles, Config, Service},
    id::ServiceId,
    name::DomainName,
    problem::{Problem, Problems},
};

use self::file::{Fingerprint, read};
use super::leaf::{Chain, Cover, Leaf};

/// Remaining life at which a certificate is worth a warning.
const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 24 * 60 * 60);
const DAY: u64 = 24 * 60 * 60;

/// The certificates of all services that have files.
#[derive(Debug, Clone, Default)]
pub struct Certificates {
    by_service: Arc<HashMap<ServiceId, Arc<FileCertificate>>>,
}

impl Certificates {
    /// Reads and checks the files of every service. Blocks on files.
    ///
    /// What `previous` holds for the same files and domain is carried on and only looked at again. Problems are errors, except
    /// for what clients may still accept: expiry, order of the chain, a name that only the common name covers.
    pub fn load(config: &Config, previous: &Self, now: SystemTime) -> (Self, Problems) {
        Self::read(&config.services, HashMap::new(), previous, now)
    }

    /// The same for a configuration that follows `before`, whose certificates are `previous`: the files of services that are the
    /// same are not looked at. [`Self::refresh`] does that, whether or not anything is configured anew.
    pub fn follow(
        config: &Config,
        (before, previous): (&Config, &Self),
        carried: &Carried,
        now: SystemTime,
    ) -> (Self, Problems) {
        let gone = carried
            .gone()
            .filter_map(|position| before.services.get(position));
        let gone: Vec<ServiceId> = gone
            .map(|service| service.id)
            .filter(|id| previous.by_service.contains_key(id))
            .collect();
        let newcomers = carried.newcomers();
        let newcomers = newcomers.filter_map(|position| config.services.get(position));
        let mut newcomers = newcomers
            .filter(|service| service.certificate.is_some())
            .peekable();
        if gone.is_empty() && newcomers.peek().is_none() {
            return (previous.clone(), Problems::default());
        }
        let mut kept = HashMap::clone(&previous.by_service);
        for id in gone {
            kept.remove(&id);
        }
        Self::read(newcomers, kept, previous, now)
    }

    fn read<'a>(
        services: impl IntoIterator<Item = &'a Arc<Service>>,
        mut by_service: HashMap<ServiceId, Arc<FileCertificate>>,
        previous: &Self,
        now: SystemTime,
    ) -> (Self, Problems) {
        let mut problems = Problems::default();
        for service in services {
            // Files without a custom domain have nothing to be for; the documents' report warned of them.
            let (Some(files), Some(domain)) =
                (service.certificate.as_deref(), &service.custom_domain)
            else {
                continue;
            };
            let known = previous
                .by_service
                .get(&service.id)
                .filter(|known| known.files == *files && known.domain == *domain);
            match FileCertificate::load(known, files, domain, now) {
                Ok((certificate, warnings)) => {
                    problems.extend(warnings);
                    by_service.insert(service.id, certificate);
                }
                Err(problem) => problems.push(problem),
            }
        }
        let by_service = Arc::new(by_service);
        (Self { by_service }, problems)
    }

    /// The certificate of a service, if it has files. Keep it in the snapshot and ask it for its current key.
    pub fn of(&self, service: ServiceId) -> Option<&Arc<FileCertificate>> {
        self.by_service.get(&service)
    }

    /// Looks whether files have changed and takes what is new and usable. Blocks on files; call it every few seconds and on
    /// SIGHUP, off the request path.
    pub fn refresh(&self, now: SystemTime) -> Vec<CertificateEvent> {
        self.by_service
            .values()
            .filter_map(|certificate| certificate.refresh(now))
            .collect()
    }

    /// Every certificate, for metrics and the admin view.
    pub fn iter(&self) -> impl Iterator<Item = (ServiceId, &FileCertificate)> {
        self.by_service.iter().map(|(id, kept)| (*id, &**kept))
    }
}

/// What a look at the files found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateEvent {
    /// New files are in use.
    Replaced {
        /// The domain they are for.
        domain: DomainName,
        /// What clients may stumble over.
        warnings: Vec<Problem>,
    },
    /// New files cannot be used; the old certificate stays. Reported once per change of the files.
    Refused {
        /// The domain they are for.
        domain: DomainName,
        /// What is wrong.
        problem: Problem,
    },
    /// The certificate in use is near the end of its life, or past it. Reported once for each.
    Expiring {
        /// The domain it is for.
        domain: DomainName,
        /// The warning.
        problem: Problem,
    },
}

/// The certificate of one custom domain, live: its key changes when its files do.
pub struct FileCertificate {
    files: CertificateFiles,
    domain: DomainName,
    current: ArcSwap<Loaded>,
    watch: Mutex<Watch>,
}

struct Loaded {
    key: Arc<CertifiedKey>,
    not_after: SystemTime,
}

/// What was seen at the last look.
struct Watch {
    loaded: Fingerprint,
    failed: Option<Failure>,
    expiry: Expiry,
}

struct Failure {
    seen: Fingerprint,
    reported: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Expiry {
    Far,
    Near,
    Past,
}

impl FileCertificate {
    fn load(
        known: Option<&Arc<Self>>,
        files: &CertificateFiles,
        domain: &DomainName,
        now: SystemTime,
    ) -> Result<(Arc<Self>, Vec<Problem>), Problem> {
        let seen = Fingerprint::of(files);
        let leaf = read(files, domain)?;
        let warnings = warnings(&leaf, files, domain, now);
        let expiry = expiry(leaf.not_after, now);
        let loaded = Arc::new(Loaded::from(leaf));
        let watch = Watch {
            loaded: seen,
            failed: None,
            expiry,
        };
        let certificate = if let Some(known) = known {
            known.current.store(loaded);
            *known.watch.lock() = watch;
            Arc::clone(known)
        } else {
            Arc::new(Self {
                files: files.clone(),
                domain: domain.clone(),
                current: ArcSwap::new(loaded),
                watch: Mutex::new(watch),
            })
        };
        Ok((certificate, warnings))
    }

    /// The chain and key to present now.
    pub fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.current.load().key)
    }

    /// The domain it is for.
    pub fn domain(&self) -> &DomainName {
        &self.domain
    }

    /// End of its life.
    pub fn expires(&self) -> SystemTime {
        self.current.load().not_after
    }

    fn refresh(&self, now: SystemTime) -> Option<CertificateEvent> {
        let mut watch = self.watch.lock();
        let seen = Fingerprint::of(&self.files);
        let event = if seen == watch.loaded {
            watch.failed = None;
            None
        } else {
            self.replace(&mut watch, seen, now)
        };
        event.or_else(|| self.note_expiry(&mut watch, now))
    }

    fn replace(
        &self,
        watch: &mut Watch,
        seen: Fingerprint,
        now: SystemTime,
    ) -> Option<CertificateEvent> {
        if let Some(failure) = &watch.failed
            && failure.seen == seen
            && failure.reported
        {
            return None;
        }
        match read(&self.files, &self.domain) {
            Ok(leaf) => {
                let warnings = warnings(&leaf, &self.files, &self.domain, now);
                watch.loaded = seen;
                watch.failed = None;
                watch.expiry = expiry(leaf.not_after, now);
                self.current.store(Arc::new(leaf.into()));
                Some(CertificateEvent::Replaced {
                    domain: self.domain.clone(),
                    warnings,
                })
            }
            Err(problem) => {
                let again = watch
                    .failed
                    .as_ref()
                    .is_some_and(|before| before.seen == seen);
                watch.failed = Some(Failure {
                    seen,
                    reported: again,
                });
                again.then(|| CertificateEvent::Refused {
                    domain: self.domain.clone(),
                    problem,
                })
            }
        }
    }

    fn note_expiry(&self, watch: &mut Watch, now: SystemTime) -> Option<CertificateEvent> {
        let not_after = self.expires();
        let reached = expiry(not_after, now);
        let worse = reached > watch.expiry;
        watch.expiry = reached;
        let problem = expiry_problem(&self.files, not_after, now).filter(|_| worse)?;
        Some(CertificateEvent::Expiring {
            domain: self.domain.clone(),
            problem,
        })
    }
}

impl fmt::Debug for FileCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCertificate")
            .field("domain", &self.domain)
            .field("certificate", &self.files.certificate)
            .field("expires", &self.expires())
            .finish_non_exhaustive()
    }
}

impl From<Leaf> for Loaded {
    fn from(leaf: Leaf) -> Self {
        Self {
            key: leaf.key,
            not_after: leaf.not_after,
        }
    }
}

fn expiry(not_after: SystemTime, now: SystemTime) -> Expiry {
    match not_after.duration_since(now) {
        Err(_) => Expiry::Past,
        Ok(remaining) if remaining < EXPIRY_WARNING => Expiry::Near,
        Ok(_) => Expiry::Far,
    }
}

fn expiry_problem(
    files: &CertificateFiles,
    not_after: SystemTime,
    now: SystemTime,
) -> Option<Problem> {
    let file = files.certificate.display();
    let message = match expiry(not_after, now) {
        Expiry::Far => return None,
        Expiry::Near => {
            let remaining = not_after.duration_since(now).unwrap_or_default().as_secs();
            match remaining / DAY {
                0 => format!("the certificate in `{file}` expires within a day"),
                days => format!("the certificate in `{file}` expires in {days} days"),
            }
        }
        Expiry::Past => format!("the certificate in `{file}` has expired"),
    };
    Some(
        Problem::warning(files.place.clone(), message)
            .hint("replace the files; the gateway reads them again by itself"),
    )
}

/// What clients may stumble over although the certificate can be presented.
fn warnings(
    leaf: &Leaf,
    files: &CertificateFiles,
    domain: &DomainName,
    now: SystemTime,
) -> Vec<Problem> {
    let file = files.certificate.display();
    let warning = |message: String| Problem::warning(files.place.clone(), message);
    let mut found: Vec<Problem> = expiry_problem(files, leaf.not_after, now)
        .into_iter()
        .collect();
    if leaf.not_before > now {
        found.push(warning(format!(
            "the certificate in `{file}` is not valid yet"
        )));
    }
    if leaf.chain == Chain::Broken {
        found.push(
            warning(format!(
                "the certificates in `{file}` do not follow each other"
            ))
            .hint("the leaf first, then each issuer in turn"),
        );
    }
    if leaf.covers(domain.as_str()) == Cover::CommonName {
        found.push(warning(format!(
            "`{domain}` is covered by the common name in `{file}` only, which most clients ignore"
        )));
    }
    found
}
