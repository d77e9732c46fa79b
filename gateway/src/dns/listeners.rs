//! The set of addresses that DNS is answered on, which follows the configuration.
//!
//! As with the listeners of services, what is new is bound before a change is taken up, so that a port in use refuses it, and what
//! stays is not touched.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use tokio::runtime::Handle;
use trellis_model::config::DnsSettings;

use super::{BindError, Bound, Observer, RunningNames, Server, Settings};
use crate::telemetry::Telemetry;

/// Longest wait for answers in course when an address is closed: the longest that a forwarded question takes.
const GRACE: Duration = Duration::from_secs(2);

/// Servers by the address that the configuration names.
#[derive(Debug, Default)]
pub struct Listeners {
    servers: BTreeMap<SocketAddr, Server>,
}

/// Sockets bound for a configuration that is about to run.
#[derive(Debug)]
pub struct Prepared {
    wanted: BTreeSet<SocketAddr>,
    sockets: BTreeMap<SocketAddr, Bound>,
    settings: Settings,
}

/// Binds what `dns` wants beyond what is `open`: all of it, or nothing and every address that could not be bound.
pub fn prepare(
    open: &BTreeSet<SocketAddr>,
    dns: Option<&DnsSettings>,
) -> Result<Prepared, Vec<BindError>> {
    let wanted: BTreeSet<SocketAddr> = dns
        .iter()
        .flat_map(|dns| dns.listen.iter().copied())
        .collect();
    let mut sockets = BTreeMap::new();
    let mut errors = Vec::new();
    for address in wanted.difference(open) {
        match Bound::bind(&[*address]) {
            Ok(bound) => {
                sockets.insert(*address, bound);
            }
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let settings = Settings {
        forward: dns.map(|dns| dns.forward.clone()).unwrap_or_default(),
        ttl: dns.map_or(Duration::ZERO, |dns| dns.ttl),
    };
    Ok(Prepared {
        wanted,
        sockets,
        settings,
    })
}

impl Listeners {
    /// The addresses that the configuration names and that are answered on.
    pub fn open(&self) -> BTreeSet<SocketAddr> {
        self.servers.keys().copied().collect()
    }

    /// The addresses as bound, which differ from those of the configuration where it says port 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.servers
            .values()
            .flat_map(|server| server.addresses().iter().copied())
            .collect()
    }

    /// Answers on what was prepared, with its settings everywhere, and no longer on what is not wanted. A socket that the runtime
    /// cannot take is an event, and tried again at the next change.
    pub fn commit(
        &mut self,
        prepared: Prepared,
        runtime: &Handle,
        names: &Arc<RunningNames>,
        telemetry: &Arc<Telemetry>,
    ) {
        let Prepared {
            wanted,
            sockets,
            settings,
        } = prepared;
        for address in self.open().difference(&wanted) {
            if let Some(server) = self.servers.remove(address) {
                runtime.spawn(server.stop(GRACE));
            }
        }
        for server in self.servers.values() {
            server.configure(settings.clone());
        }
        for (address, bound) in sockets {
            let directory = Arc::clone(names) as _;
            let observer = Arc::clone(telemetry) as _;
            match bound.serve(runtime, settings.clone(), directory, observer) {
                Ok(server) => drop(self.servers.insert(address, server)),
                Err(error) => telemetry.failed(address, &error),
            }
        }
    }

    /// Stops answering, and waits for what is being answered.
    pub async fn stop(self) {
        for server in self.servers.into_values() {
            server.stop(GRACE).await;
        }
    }
}
