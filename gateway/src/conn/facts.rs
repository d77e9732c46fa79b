//! What is known about a connection for as long as it lives.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderValue;
use parking_lot::Mutex;
use trellis_model::id::VpcId;

use super::{opened::Openings, standing::Standing};
use crate::{h2::Opened, tls::Negotiated};

/// What is known about a connection for as long as it lives, and the few signals between its owner and its requests.
#[derive(Debug)]
pub struct Facts {
    /// The caller's VPC, decided by the attachment.
    pub vpc: VpcId,
    /// The client.
    pub peer: SocketAddr,
    /// The address that the client connected to.
    pub local: SocketAddr,
    /// What the client's certificate is worth, once a request has asked.
    pub(super) standing: Mutex<Option<Arc<Standing>>>,
    /// TLS, where the client speaks it.
    pub tls: Option<Negotiated>,
    /// When the connection was accepted.
    pub opened: Instant,
    /// The client's address as targets are told it, `x-forwarded-for`.
    pub client_header: HeaderValue,
    /// The port that the client connected to, `x-forwarded-port`.
    pub port_header: HeaderValue,
    /// How long it took from the accepted connection to its first byte, and to shake hands.
    opening: (Duration, Option<Duration>),
    /// Has a request been told that?
    opening_told: AtomicBool,
    cut: AtomicU8,
    malformed: AtomicBool,
    retired: AtomicBool,
    expired: AtomicBool,
    /// Milliseconds after `opened` at which the wait in course has lasted too long; `u64::MAX` when none is.
    deadline: AtomicU64,
    /// The same for a head that is being sent while requests may be running (HTTP/2).
    head_deadline: AtomicU64,
    /// Idle timeout of the last service called, in milliseconds; `u32::MAX` for none.
    idle_millis: AtomicU32,
    /// Requests running side by side (HTTP/2).
    running: AtomicU32,
    /// Requests that are not yet the engine's (HTTP/2).
    openings: Openings,
}

/// Why a connection is cut while requests are running on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Cut {
    /// Its lifetime and the time to wind down are over.
    Lifetime = 1,
    /// The gateway stops and the grace period is over.
    Stop = 2,
}

impl Facts {
    /// Facts of a connection accepted at `opened`, with the idle timeout that holds until a service is known.
    pub fn new(
        vpc: VpcId,
        (peer, local): (SocketAddr, SocketAddr),
        tls: Option<Negotiated>,
        opened: Instant,
        idle: Duration,
    ) -> Self {
        let facts = Self {
            vpc,
            peer,
            local,
            standing: Mutex::new(None),
            tls,
            opened,
            client_header: client_header(peer.ip()),
            port_header: HeaderValue::from(local.port()),
            opening: (Duration::ZERO, None),
            opening_told: AtomicBool::new(true),
            cut: AtomicU8::new(0),
            malformed: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            expired: AtomicBool::new(false),
            deadline: AtomicU64::new(u64::MAX),
            head_deadline: AtomicU64::new(u64::MAX),
            idle_millis: AtomicU32::new(0),
            running: AtomicU32::new(0),
            openings: Openings::default(),
        };
        facts.set_idle(Some(idle));
        facts
    }

    /// With the time that it took from the accepted connection to the beginning of TLS or of the first request, and that of TLS.
    #[must_use]
    pub fn opened_in(mut self, accept: Duration, tls: Option<Duration>) -> Self {
        self.opening = (accept, tls);
        self.opening_told = AtomicBool::new(false);
        self
    }

    /// Those times, for the first request that asks.
    pub fn take_opening(&self) -> Option<(Duration, Option<Duration>)> {
        // Reading first spares later requests the write.
        let first = !self.opening_told.load(Ordering::Relaxed)
            && !self.opening_told.swap(true, Ordering::Relaxed);
        first.then_some(self.opening)
    }

    /// From now on every read and write fails.
    pub fn cut(&self, reason: Cut) {
        self.cut.store(reason as u8, Ordering::Relaxed);
    }

    /// Has the connection been cut, and why?
    pub fn was_cut(&self) -> Option<Cut> {
        match self.cut.load(Ordering::Relaxed) {
            1 => Some(Cut::Lifetime),
            2 => Some(Cut::Stop),
            _ => None,
        }
    }

    /// What the client sends is malformed; nothing further of it is read.
    ///
    /// The HTTP/2 engine loses the cause of a failed read on its way to our filters, so it travels here.
    pub fn find_malformed(&self) {
        self.malformed.store(true, Ordering::Relaxed);
        self.retire();
    }

    /// Has the client sent something malformed?
    pub fn is_malformed(&self) -> bool {
        self.malformed.load(Ordering::Relaxed)
    }

    /// The request in course, if any, is the last one on this connection.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Is the request in course the last one?
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// The wait in course has lasted too long.
    pub fn expire(&self) {
        self.expired.store(true, Ordering::Relaxed);
    }

    /// Has the wait in course lasted too long?
    pub fn is_expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    /// Sets the idle timeout, that of the service just called.
    pub fn set_idle(&self, idle: Option<Duration>) {
        let millis = idle.map_or(u32::MAX, |idle| {
            u32::try_from(idle.as_millis()).unwrap_or(u32::MAX)
        });
        self.idle_millis.store(millis, Ordering::Relaxed);
    }

    /// The idle timeout.
    pub fn idle(&self) -> Option<Duration> {
        let millis = self.idle_millis.load(Ordering::Relaxed);
        (millis != u32::MAX).then(|| Duration::from_millis(millis.into()))
    }

    /// A wait begins that may last until `deadline`, or for ever.
    pub fn wait_until(&self, deadline: Option<Instant>) {
        self.deadline
            .store(self.millis_until(deadline), Ordering::Relaxed);
    }

    /// What the client has begun to send before a request is whole must be complete by this time, whatever else runs.
    pub fn wait_for_head(&self, deadline: Option<Instant>) {
        self.head_deadline
            .store(self.millis_until(deadline), Ordering::Relaxed);
    }

    fn millis_until(&self, deadline: Option<Instant>) -> u64 {
        deadline.map_or(u64::MAX, |deadline| {
            u64::try_from(deadline.saturating_duration_since(self.opened).as_millis())
                .unwrap_or(u64::MAX)
        })
    }

    /// No request is running since `now`: the idle timeout begins.
    pub fn idle_since(&self, now: Instant) {
        self.wait_until(self.idle().map(|idle| now + idle));
    }

    /// An HTTP/2 request begins.
    pub fn begin_stream(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.wait_until(None);
    }

    /// An HTTP/2 request has ended at `now`.
    pub fn end_stream(&self, now: Instant) {
        if self.running.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.idle_since(now);
        }
    }

    /// Is no HTTP/2 request running?
    pub fn is_idle(&self) -> bool {
        self.running.load(Ordering::Relaxed) == 0
    }

    /// The client has opened a stream.
    pub(super) fn open(&self, opened: Opened) {
        self.openings.open(opened);
    }

    /// The engine has reset these streams for what the client did.
    pub(super) fn reset(&self, streams: impl Iterator<Item = u32>) {
        self.openings.reset(streams);
    }

    /// The engine has handed out the stream of this request.
    pub fn accept(&self, method: &[u8], path: &[u8]) {
        self.openings.accept(method, path);
    }

    /// The requests that were refused by their heads, or reset before the engine handed them out, since the last call; for when it
    /// has handed out whatever it will.
    pub fn refused(&self) -> Vec<Opened> {
        self.openings.refused()
    }

    /// Those, and all that were never handed out; for when the connection has ended.
    pub fn left(&self) -> Vec<Opened> {
        self.openings.rest()
    }

    /// The end of the wait in course, if it has one.
    pub fn deadline(&self) -> Option<Instant> {
        let millis = self
            .deadline
            .load(Ordering::Relaxed)
            .min(self.head_deadline.load(Ordering::Relaxed));
        (millis != u64::MAX).then(|| self.opened + Duration::from_millis(millis))
    }
}

/// An address has none of the characters that a header may not hold.
fn client_header(client: IpAddr) -> HeaderValue {
    let text = client.to_canonical().to_string();
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static("unknown"))
}
