//! The life of a request, in order.
//!
//! accept → **match → authenticate → authorize → choose → forward → record**. Accepting is [`crate::listen`]'s; the rest is here,
//! one call each, in the order in which the engine calls its filters. What has been established about a request is its
//! `Stage`: only one that holds a `Permit` can choose a target.

mod affinity;
mod answer;
mod attempt;
mod connections;
mod decide;
mod exchange;
mod failure;
mod forward;
mod function;
mod halt;
mod outcome;
mod repeat;
mod report;
mod request;
mod respond;
mod spans;
mod stopwatch;
mod tell;
#[cfg(test)]
mod tests;
mod upstream;
pub mod walk;

pub use report::{record_refused_stream, refuse_malformed};

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use pingora_core::{
    apps::HttpServerOptions, connectors::ConnectorOptions, modules::http::HttpModules,
    server::configuration::ServerConf, upstreams::peer::HttpPeer,
};
use pingora_error::{Error, ErrorType, Result};
use pingora_proxy::{FailToProxy, HttpProxy, ProxyHttp, Session, http_proxy};
use trellis_access_logs::Recorder;

use crate::{functions, shared::Shared};
use connections::Connections;
pub use exchange::{Exchange, Match, Stage};

/// The HTTP engine of one worker.
pub type Engine = HttpProxy<Gateway>;

/// Makes the engine of worker `index`, which keeps up to `idle_targets` connections to targets open between requests.
pub fn engine(shared: Arc<Shared>, index: usize, idle_targets: usize) -> Engine {
    let conf = ServerConf {
        threads: 1,
        upstream_keepalive_pool_size: idle_targets,
        // The engine does no TLS with targets; it wants some root nevertheless, and loading the system's for
        // each worker would cost memory for nothing.
        ca_file: Some(shared.target_roots.clone()),
        ..ServerConf::default()
    };
    let gateway = Gateway {
        functions: functions::Client::default(),
        recorder: shared.writer.recorder(),
        dice: Dice::new(shared.seed, index),
        connections: Connections::new(&ConnectorOptions::from_server_conf(&conf)),
        shared,
    };
    // The engine's own way to targets is not taken, so it needs no pool to speak of.
    let conf = ServerConf {
        upstream_keepalive_pool_size: 1,
        ..conf
    };
    let mut engine = http_proxy(&Arc::new(conf), gateway);
    let mut options = HttpServerOptions::default();
    // Our own filter refuses the method, with a record; the engine would refuse it without one.
    options.allow_connect_method_proxying = true;
    engine.server_options = Some(options);
    engine
}

/// What the engine asks about each request.
pub struct Gateway {
    shared: Arc<Shared>,
    recorder: Recorder,
    functions: functions::Client,
    dice: Dice,
    connections: Connections,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

/// Random numbers for weighted choices: `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
///
/// Nothing depends on their being unpredictable. The seed comes from outside, so that a test can repeat a run.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

    pub(crate) fn new(seed: u64, index: usize) -> Self {
        Self(AtomicU64::new(
            seed ^ (index as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9),
        ))
    }

    pub(crate) fn roll(&self) -> u64 {
        let mut z = self
            .0
            .fetch_add(Self::GAMMA, Ordering::Relaxed)
            .wrapping_add(Self::GAMMA);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange::begin()
    }

    /// The gateway changes no content: no compression, nothing else between filters and wire.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    /// Match, authenticate, authorize, make sure of the record, choose a group; answers itself what goes no further.
    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        exchange.arrive(session, &self.shared)?;
        request::forget_spelling(session.req_header_mut())?;
        let head = session.req_header();
        exchange.begin_trace(&head.headers, &self.dice);
        let decided = decide::decide(head, exchange);
        let recorded = report::admit(exchange).await;
        let head = session.req_header();
        let decided = recorded
            .and(decided)
            .and_then(|()| forward::choose_group(head, exchange, self.dice.roll()));
        match decided {
            Ok(()) => {
                forward::set_deadlines(session, exchange);
                Ok(false)
            }
            Err(halt) => {
                halt.into_answer().send(session, exchange).await?;
                Ok(true)
            }
        }
    }

    /// Choose a target, forward, pass on the answer: all of it here, so that the engine's own way to targets is not taken.
    async fn proxy_upstream_filter(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<bool> {
        if !function::answer(
            session,
            exchange,
            (&self.functions, &self.dice),
            &self.shared,
        )
        .await?
        {
            repeat::forward(&self.connections, &self.dice, session, exchange).await?;
        }
        Ok(false)
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _exchange: &mut Exchange,
    ) -> Result<Box<HttpPeer>> {
        Error::e_explain(
            ErrorType::InternalError,
            "a request came past the filter that forwards it",
        )
    }

    /// What went wrong becomes a status, a reason for the record and, if nothing was sent yet, an answer.
    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        exchange: &mut Exchange,
    ) -> FailToProxy {
        failure::conclude(session, error, exchange).await
    }

    /// Record.
    async fn logging(
        &self,
        session: &mut Session,
        _error: Option<&Error>,
        exchange: &mut Exchange,
    ) {
        let draw = self.dice.roll();
        report::record(session, exchange, &self.shared, &self.recorder, draw);
    }

    /// Failures are in the record and the metrics; a log line per failed request would let any client fill a disk.
    fn suppress_error_log(&self, _session: &Session, _exchange: &Exchange, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _exchange: &Exchange,
        _error: &Error,
        _context: pingora_proxy::ProxyWarnLogContext,
    ) -> bool {
        true
    }
}
