//! The life of a connection: admitted to a VPC, TLS, requests one after the other or side by side, and its end.

use std::{
    future::Future,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};

use pingora_core::{apps::HttpServerApp as _, protocols::http::ServerSession};
use tokio::{net::TcpStream, sync::watch};
use trellis_model::{config::Limits, id::VpcId};

use super::{http2, slots::Slot};
use crate::{
    conn::{Conn, Cut, Facts, NextHead, Transport},
    h1::HeadLimits,
    proxy::{self, Engine},
    shared::Shared,
    snapshot::PortProtocols,
    telemetry::{
        Counted, Open,
        events::{ConnectionRefused, Handshake, Refused},
    },
    tls::{Http, Negotiated, Terminator},
};

/// Idle timeout of a connection on which no service has been called yet.
///
/// Source: VPC Lattice user guide, "Quotas": the default idle timeout is 60 seconds.
const FIRST_IDLE: Duration = Duration::from_secs(60);

/// Longest TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection that was cut may still take to end by itself.
const AFTER_CUT: Duration = Duration::from_secs(1);

/// What the worker is doing, as its connections see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Serving.
    Running,
    /// No new requests.
    Draining,
    /// The grace period is over.
    Cut,
}

/// A connection that belongs to a VPC and may run.
#[derive(Debug)]
pub(super) struct Admitted {
    stream: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
    vpc: VpcId,
    opened: Instant,
    shared: Arc<Shared>,
    /// Given back at the end.
    slot: (Slot, Counted, Open),
}

/// Decides whose connection this is. `None`: nobody's, or there are too many; it is closed without a word, because a stranger
/// learns nothing.
pub(super) fn admit(
    stream: TcpStream,
    peer: SocketAddr,
    listening: SocketAddr,
    shared: &Arc<Shared>,
) -> Option<Admitted> {
    let snapshot = shared.snapshot.load();
    // Only a wildcard socket needs to ask the kernel for the address that the client chose.
    let local = if listening.ip().is_unspecified() {
        stream.local_addr().ok()?
    } else {
        listening
    };
    let refuse = |reason| {
        shared.telemetry.emit(&ConnectionRefused {
            peer,
            local,
            reason,
        });
    };
    let counted = shared.telemetry.connection_opened();
    let assigned = shared.slots.take(&snapshot.limits).and_then(|mut slot| {
        let view = snapshot
            .attach(local.ip(), peer.ip())
            .ok_or(Refused::UnknownVpc)?;
        slot.assign(&snapshot.limits, &view.vpc, peer.ip())?;
        Ok((slot, view))
    });
    let (slot, view) = assigned.map_err(refuse).ok()?;
    Some(Admitted {
        stream,
        peer,
        local,
        vpc: view.vpc.clone(),
        opened: Instant::now(),
        shared: Arc::clone(shared),
        slot: (slot, counted, view.metrics.connection_opened()),
    })
}

impl Admitted {
    /// Serves the connection to its end.
    pub(super) async fn run(self, engine: Arc<Engine>, phase: watch::Receiver<Phase>) {
        let Self {
            stream,
            peer,
            local,
            vpc,
            opened,
            shared,
            slot,
        } = self;
        let snapshot = shared.snapshot.load_full();
        let limits = snapshot.limits.clone();
        let Some(view) = snapshot.view(&vpc) else {
            return;
        };
        let Some(encrypted) = expects_tls(&stream, view.protocols(local.port())).await else {
            return;
        };
        let terminator = encrypted.then(|| view.tls.clone());
        drop(snapshot);
        let began = Instant::now();
        let (transport, tls) = match terminator {
            None => (Transport::Plain(stream), None),
            Some(terminator) => match handshake(stream, peer, &terminator, &shared).await {
                Some((transport, tls)) => (transport, Some(tls)),
                None => return,
            },
        };
        let http = tls.as_ref().map_or(Http::One, |tls| tls.http);
        let handshake = tls.is_some().then(|| began.elapsed());
        let facts = Facts::new(vpc, (peer, local), tls, opened, FIRST_IDLE)
            .opened_in(began.saturating_duration_since(opened), handshake);
        let facts = Arc::new(facts);
        let (goaway, shutdown) = watch::channel(false);
        let conn = Box::new(Conn::new(transport, Arc::clone(&facts)));
        // By reference: a future that is moved into another is kept twice, and most connections are idle.
        let serving = pin!(serve(conn, http, engine, shared, limits.clone(), shutdown));
        Clock {
            facts,
            limits,
            goaway,
            phase,
        }
        .watch(serving)
        .await;
        drop(slot);
    }
}

/// Does the client of this port speak TLS? Where the VPC has both kinds of listener on one port, the first byte tells.
async fn expects_tls(stream: &TcpStream, protocols: PortProtocols) -> Option<bool> {
    match protocols {
        PortProtocols::Http => Some(false),
        PortProtocols::Https => Some(true),
        PortProtocols::Both => {
            let mut first = [0];
            let peeked = tokio::time::timeout(HANDSHAKE_TIMEOUT, stream.peek(&mut first)).await;
            // Spec: RFC 8446 §5.1, content type 22 is a handshake record.
            matches!(peeked, Ok(Ok(1))).then_some(first == [22])
        }
        PortProtocols::None => None,
    }
}

async fn handshake(
    stream: TcpStream,
    peer: SocketAddr,
    terminator: &Terminator,
    shared: &Shared,
) -> Option<(Transport, Negotiated)> {
    let event = match tokio::time::timeout(HANDSHAKE_TIMEOUT, terminator.accept(stream)).await {
        Ok(Ok((stream, negotiated))) => {
            shared.telemetry.emit(&Handshake::Ok);
            return Some((Transport::Tls(Box::new(stream)), negotiated));
        }
        Ok(Err(ref error)) => {
            shared.telemetry.emit(&Handshake::Failed { peer, error });
            return None;
        }
        Err(_) => Handshake::Timeout { peer },
    };
    shared.telemetry.emit(&event);
    None
}

/// Serves requests until there are no more.
async fn serve(
    mut conn: Box<Conn>,
    http: Http,
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    limits: Limits,
    shutdown: watch::Receiver<bool>,
) {
    let head_limits = HeadLimits {
        bytes: limits.header_bytes,
        fields: limits.headers,
    };
    let mut first = true;
    if http == Http::Two {
        return Box::pin(serve_http2(conn, engine, shared, limits, shutdown)).await;
    }
    loop {
        match conn
            .next_head(head_limits, limits.header_timeout, first)
            .await
        {
            NextHead::Ready => {}
            NextHead::Http2 => {
                return Box::pin(serve_http2(conn, engine, shared, limits, shutdown)).await;
            }
            NextHead::Closed => return,
            NextHead::Refused(violation) => {
                let answer = proxy::refuse_malformed(&shared, conn.facts(), violation);
                return Box::pin(conn.answer_and_close(&answer)).await;
            }
        }
        first = false;
        let session = ServerSession::new_http1(conn);
        let Some(reusable) = engine.process_new_http(session, &shutdown).await else {
            return;
        };
        let (stream, _) = reusable.consume();
        let Ok(same) = stream.into_any().downcast::<Conn>() else {
            return;
        };
        conn = same;
    }
}

async fn serve_http2(
    mut conn: Box<Conn>,
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    limits: Limits,
    goaway: watch::Receiver<bool>,
) {
    conn.speak_http2(http2::list_bytes(&limits), limits.header_timeout);
    conn.facts().idle_since(Instant::now());
    http2::serve(conn, engine, shared, limits, goaway).await;
}

/// Watches the deadlines of a connection with a single timer: waits of its requests, its lifetime, the worker's stop.
struct Clock {
    facts: Arc<Facts>,
    limits: Limits,
    /// Tells the HTTP/2 engine to send GOAWAY.
    goaway: watch::Sender<bool>,
    phase: watch::Receiver<Phase>,
}

impl Clock {
    /// Runs `serving` to its end, or to the end that the clock sets it.
    async fn watch(mut self, mut serving: Pin<&mut impl Future<Output = ()>>) {
        let mut retire_at = self
            .limits
            .connection_lifetime
            .map(|lifetime| self.facts.opened + lifetime);
        let mut cut_at: Option<Instant> = None;
        let timer = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(timer);
        let mut give_up_at: Option<Instant> = None;
        let mut gone_at: Option<Instant> = None;
        loop {
            // A lost branch loses nothing: the clock's state is in the variables above, `serving` is polled again.
            tokio::select! {
                biased;
                () = &mut serving => return,
                changed = self.phase.changed() => {
                    let phase = if changed.is_ok() { *self.phase.borrow_and_update() } else { Phase::Cut };
                    self.retire();
                    if phase == Phase::Cut {
                        self.facts.cut(Cut::Stop);
                        give_up_at = Some(Instant::now() + AFTER_CUT);
                    }
                }
                () = &mut timer => {}
            }
            let now = Instant::now();
            let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
            if is_over(give_up_at) {
                return;
            }
            if is_over(self.facts.deadline()) {
                self.facts.expire();
                self.goaway.send_replace(true);
                // Whoever does not answer to GOAWAY either is not waited for, unless a request came in between.
                gone_at.get_or_insert(now + AFTER_CUT);
            }
            if is_over(gone_at) && self.facts.is_idle() {
                return;
            }
            if is_over(retire_at) {
                self.retire();
                retire_at = None;
                cut_at = self.limits.wind_down.map(|wind_down| now + wind_down);
            }
            if is_over(cut_at) {
                self.facts.cut(Cut::Lifetime);
                cut_at = None;
                give_up_at = Some(now + AFTER_CUT);
            }
            // Looked at once; what runs then is ended by the lifetime of the connection.
            let gone_soon = gone_at.filter(|at| *at > now);
            let next = [retire_at, cut_at, give_up_at, gone_soon]
                .into_iter()
                .flatten()
                .chain([self.next_look(now)])
                .min();
            timer.as_mut().reset(next.unwrap_or(now).into());
        }
    }

    /// When to look at the deadline of the requests again. They move it without telling, so that a request costs no timer; a new
    /// deadline is never nearer than the shortest wait there is, and noticed at most that much late.
    fn next_look(&self, now: Instant) -> Instant {
        let unnoticed = now + self.limits.header_timeout.max(Duration::from_secs(1));
        match self.facts.deadline() {
            Some(deadline) if deadline > now => deadline.min(unnoticed),
            _ => unnoticed,
        }
    }

    fn retire(&self) {
        self.facts.retire();
        self.goaway.send_replace(true);
    }
}
