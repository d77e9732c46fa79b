//! The life of a request, in order.
//!
//! accept → **match → authenticate → authorize → choose → forward → record**. Accepting is [`crate::listen`]'s; the rest is here,
//! one call each, in the order in which the engine calls its filters. What has been established about a request is its
//! `Stage`: only one that holds a `Permit` can choose a target.

mod answer;
mod decide;
mod exchange;
mod failure;
mod forward;
mod halt;
mod report;
mod request;
mod respond;
mod tell;
#[cfg(test)]
mod tests;
pub mod walk;

pub use report::{record_refused_stream, refuse_malformed};

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use pingora_core::{
    apps::HttpServerOptions, modules::http::HttpModules, server::configuration::ServerConf,
    upstreams::peer::HttpPeer,
};
use pingora_error::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, HttpProxy, ProxyHttp, Session, http_proxy};
use trellis_access_logs::Recorder;

use crate::shared::Shared;
pub use exchange::{Exchange, Match, Stage};

/// The HTTP engine of one worker.
pub type Engine = HttpProxy<Gateway>;

/// Attempts at a request whose kept connection turned out to be closed by the target. Only requests that may be repeated get
/// more than one.
const ATTEMPTS: usize = 3;

/// Makes the engine of worker `index`, which keeps up to `idle_targets` connections to targets open between requests.
pub fn engine(shared: Arc<Shared>, index: usize, idle_targets: usize) -> Engine {
    let conf = ServerConf {
        threads: 1,
        max_retries: ATTEMPTS,
        upstream_keepalive_pool_size: idle_targets,
        // Targets are not verified, as in VPC Lattice; the engine wants some root nevertheless, and loading the system's for
        // each worker would cost memory for nothing.
        ca_file: Some(shared.target_roots.clone()),
        ..ServerConf::default()
    };
    let gateway = Gateway {
        recorder: shared.writer.recorder(),
        dice: Dice::new(shared.seed, index),
        shared,
    };
    let mut engine = http_proxy(&Arc::new(conf), gateway);
    let mut options = HttpServerOptions::default();
    // Our own filter refuses the method, with a record; the engine would refuse it without one.
    options.allow_connect_method_proxying = true;
    engine.server_options = Some(options);
    engine
}

/// What the engine asks about each request.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    recorder: Recorder,
    dice: Dice,
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

    /// Match, authenticate, authorize, choose a group; answers itself what goes no further.
    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        exchange.arrive(session, &self.shared)?;
        request::forget_spelling(session.req_header_mut())?;
        let head = session.req_header();
        let decided = decide::decide(head, exchange)
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

    /// Choose a target.
    async fn upstream_peer(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<Box<HttpPeer>> {
        exchange.upgrade = forward::asks_for_websocket(session);
        forward::choose_target(exchange, &[])
    }

    /// Forward: clean headers.
    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        request::prepare_request(request, exchange)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        exchange.announce_end(session);
        respond::prepare_response(response, exchange)
    }

    async fn response_trailer_filter(
        &self,
        _session: &mut Session,
        trailers: &mut http::HeaderMap,
        exchange: &mut Exchange,
    ) -> Result<Option<Bytes>> {
        exchange.see_grpc_status(trailers);
        Ok(None)
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
        report::record(session, exchange, &self.shared, &self.recorder);
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
