//! A snapshot that nothing runs.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use arc_swap::ArcSwap;
use trellis_model::{
    config::Config,
    problem::{Place, Problem, Problems},
};

use super::{Change, Ingredients, Snapshot, Surroundings, TlsTerms, compile};
use crate::{
    jwks::{Pace, PublishedKeys},
    registry::Registry,
    session_keys,
    telemetry::Telemetry,
    tls::{ca::InternalCa, store::Certificates},
};

/// Compiles a configuration as the gateway does, without running it: no socket, no file, no probe, no record.
///
/// Targets are as they would be before their first check. Certificates are not read: the snapshot knows which names it would
/// answer for, and shows certificates that nobody trusts.
pub fn preview(config: &Config, now: SystemTime) -> Result<Snapshot, Problems> {
    let ca = InternalCa::unkept(now).map_err(|error| {
        Problems::from_iter([Problem::error(Place::default(), error.to_string())])
    })?;
    let tls = TlsTerms::new(Arc::new(ca));
    // Keys of a data folder belong to whoever runs with it.
    let session_keys = session_keys::configured(&config.gateway.session_keys);
    let session_keys = Arc::new(ArcSwap::from_pointee(session_keys));
    // Nothing is read from a server, so tokens of providers that publish their keys have none.
    let published = PublishedKeys::new(Pace::default());
    let change = Change::first(config);
    let with = Ingredients {
        tls: &tls,
        certificates: &Certificates::default(),
        session_keys: &session_keys,
        published: &published,
    };
    let compiled = compile(&change, &with)?;
    let registry = Registry::new(Arc::new(|_| {}));
    compiled.hand_over(&change, &registry, Instant::now());
    let around = Surroundings {
        registry: &registry,
        telemetry: &Telemetry::new(now),
        tls: &tls,
        writer: None,
    };
    Ok(compiled.build(&change, FIRST, &around))
}

/// Generation of a snapshot that nothing came before.
const FIRST: u64 = 1;
