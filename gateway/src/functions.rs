//! Functions as the gateway calls them: the Lambda Invoke API, or any HTTP server that events are posted to.
//!
//! What a call needs is worked out when a configuration is compiled ([`compile`]): the request line, the way to verify the server, the
//! credentials. [`Client`] makes the calls, one client for each worker, over connections that it keeps. What becomes of a request
//! and of an answer is pure and lives in [`trellis_target_groups::function`].
//!
//! Everything is bounded: each call in time, its answer in size, the calls of a function in number (the group's own limit), the bytes
//! that all calls hold ([`Memory`]), and the connections that wait for another call.

mod client;
mod memory;
mod pool;
mod sign;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio_rustls::TlsConnector;
use trellis_model::{
    config::{
        AwsSigner, Carried, Config, EventVersion, FunctionCall, FunctionGroup, FunctionNames,
        HttpEndpoint,
    },
    id::TargetGroupId,
    problem::{Problem, Problems},
};
use trellis_target_groups::function::Invocations;

pub use client::{CallError, Client, Reply, Times};
pub use memory::{Held, Memory};

use crate::reason::reason;

/// Longest wait for a function's answer where neither the group nor the service sets one: as long as a function may run.
const LONGEST: Duration = Duration::from_secs(900);

/// A function, ready to be called.
#[derive(Debug)]
pub struct Function {
    /// Its ARN, as registered.
    pub arn: Box<str>,
    /// Form of its events.
    pub event: EventVersion,
    /// Most requests that are with it at a time.
    pub concurrency: usize,
    /// Those that are.
    pub invocations: Arc<Invocations>,
    timeout: Option<Duration>,
    call: Arc<Call>,
}

impl Function {
    /// Longest wait for its answer, for a service with this idle timeout.
    pub fn timeout(&self, idle: Option<Duration>) -> Duration {
        self.timeout.or(idle).unwrap_or(LONGEST)
    }

    /// What a request to it looks like, and where it goes.
    pub fn call(&self) -> &Arc<Call> {
        &self.call
    }
}

/// What is the same in all calls of a function.
pub struct Call {
    /// Connections are shared with no other group, even where the server is the same.
    group: TargetGroupId,
    endpoint: HttpEndpoint,
    /// Path and query of requests.
    target: String,
    protocol: Protocol,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// What is spoken to the server.
#[derive(Debug)]
enum Protocol {
    Invoke(Option<AwsSigner>),
    Event,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("group", &self.group)
            .field("authority", &self.endpoint.authority)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// What could have failed of the functions of a configuration, by target group.
pub type Calls = HashMap<TargetGroupId, Arc<Call>>;

/// Prepares the calls of all functions. Reads the system's root certificates where a server is verified with them.
pub fn compile(config: &Config) -> Result<Calls, Problems> {
    compile_after(config, None).map(Arc::unwrap_or_clone)
}

/// The same for a configuration that follows another: with the calls of that one, and what the two have in common.
pub fn compile_after(
    config: &Config,
    before: Option<(&Arc<Calls>, &Carried)>,
) -> Result<Arc<Calls>, Problems> {
    if let Some((calls, _)) = before.filter(|(_, carried)| carried.is_same()) {
        return Ok(Arc::clone(calls));
    }
    let mut authorities = Authorities::default();
    let mut calls = Calls::new();
    let mut problems = Problems::default();
    for (position, group) in config.function_groups.iter().enumerate() {
        let known = before.filter(|(_, carried)| carried.from(position).is_some());
        if let Some(known) = known.and_then(|(calls, _)| calls.get(&group.id)) {
            calls.insert(group.id, Arc::clone(known));
            continue;
        }
        match call(group, &mut authorities) {
            Ok(call) => _ = calls.insert(group.id, Arc::new(call)),
            Err(what) => {
                let place = group.place.below(".function");
                problems.extend([Problem::error(place, what)]);
            }
        }
    }
    if problems.is_empty() {
        Ok(Arc::new(calls))
    } else {
        Err(problems)
    }
}

/// The function of a group with the call that was prepared for it.
pub fn function(group: &FunctionGroup, call: Arc<Call>, invocations: Arc<Invocations>) -> Function {
    Function {
        arn: group.function.as_str().into(),
        event: group.event,
        concurrency: group.concurrency,
        invocations,
        timeout: group.timeout,
        call,
    }
}

fn call(group: &FunctionGroup, authorities: &mut Authorities) -> Result<Call, String> {
    let endpoint = group.call.endpoint();
    let (target, protocol) = match &group.call {
        FunctionCall::Event { endpoint } => {
            let path: &str = &endpoint.path;
            // Spec: RFC 9112 §3.2.1: an absent path is sent as `/`.
            let path = if path.is_empty() { "/" } else { path };
            (path.to_owned(), Protocol::Event)
        }
        FunctionCall::Invoke { names, signer, .. } => {
            let target = invoke_target(group, endpoint, *names);
            (target, Protocol::Invoke(signer.clone()))
        }
    };
    let tls = if endpoint.tls {
        let name = ServerName::try_from(endpoint.host.to_string())
            .map_err(|_| format!("`{}` is not a name that TLS can verify", endpoint.host))?;
        Some((authorities.connector(endpoint)?, name))
    } else {
        None
    };
    Ok(Call {
        group: group.id,
        endpoint: endpoint.clone(),
        target,
        protocol,
        tls,
    })
}

/// Source: Lambda API reference, `Invoke`.
fn invoke_target(group: &FunctionGroup, endpoint: &HttpEndpoint, names: FunctionNames) -> String {
    let function = &group.function;
    let name = match names {
        FunctionNames::Arn => function.unqualified().replace(':', "%3A"),
        FunctionNames::Name => function.name().to_owned(),
    };
    let base = endpoint.path.trim_end_matches('/');
    let target = format!("{base}/2015-03-31/functions/{name}/invocations");
    match function.qualifier() {
        None => target,
        Some(qualifier) => format!("{target}?Qualifier={}", qualifier.replace('$', "%24")),
    }
}

/// Connectors by the authorities that they trust, each made once.
#[derive(Default)]
struct Authorities(HashMap<Option<Arc<str>>, Result<TlsConnector, String>>);

impl Authorities {
    fn connector(&mut self, endpoint: &HttpEndpoint) -> Result<TlsConnector, String> {
        let made = self.0.entry(endpoint.authorities.clone());
        made.or_insert_with(|| client_config(endpoint).map(TlsConnector::from))
            .clone()
    }
}

/// How connections to a server are encrypted: verified with the authorities that it was given with, or the system's. Blocks on the
/// files of the latter.
pub fn client_config(endpoint: &HttpEndpoint) -> Result<Arc<ClientConfig>, String> {
    tls(endpoint.authorities.as_deref())
}

/// TLS with servers whose certificates these authorities, in PEM, have signed, or those of the system. Blocks on the files of the latter.
pub(crate) fn connector(authorities: Option<&str>) -> Result<TlsConnector, String> {
    tls(authorities).map(TlsConnector::from)
}

fn tls(authorities: Option<&str>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    if let Some(pem) = authorities {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate =
                certificate.map_err(|error| format!("`caFile` is no PEM: {error}"))?;
            roots
                .add(certificate)
                .map_err(|error| format!("a certificate of `caFile` cannot be used: {error}"))?;
        }
        if roots.is_empty() {
            return Err("`caFile` holds no certificate".to_owned());
        }
    } else {
        let found = rustls_native_certs::load_native_certs().map_err(|error| {
            format!(
                "the system's root certificates cannot be read: {}",
                reason(&error)
            )
        })?;
        roots.add_parsable_certificates(found);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
