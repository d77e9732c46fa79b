//! An HTTP/2 connection: its streams, each with a task of its own, and its end.
//!
//! The engine has a loop for this. Ours differs in what it owes: a stream that the engine refuses by itself has a record too, the
//! size of a head follows the configuration, and the connection is not over before its streams are.

use std::{
    future::{Future as _, poll_fn},
    sync::Arc,
};

use pingora_core::{
    apps::HttpServerApp as _,
    protocols::{
        Digest, GetProxyDigest as _,
        http::{
            ServerSession,
            v2::server::{H2Accept, HttpSession, default_h2_options, handshake},
        },
    },
};
use tokio::sync::{mpsc, watch};
use trellis_model::config::Limits;

use crate::{
    conn::{Conn, Facts},
    proxy::{self, Engine},
    shared::Shared,
};

/// Streams that the engine refuses before the connection is closed: whoever sends that many is not a client with a mistake.
const REFUSALS: u32 = 32;

/// Bytes of answers held for one stream until the client has room for them.
const SEND_BYTES: usize = 64 * 1024;

/// What HTTP/2 counts for a field beyond its name and value. Spec: RFC 9113 §6.5.2, `SETTINGS_MAX_HEADER_LIST_SIZE`.
const FIELD_OVERHEAD: usize = 32;

/// Serves streams until the client ends the connection, or `goaway` was told and the streams that run have ended.
pub(super) async fn serve(
    conn: Box<Conn>,
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    limits: Limits,
    mut goaway: watch::Receiver<bool>,
) {
    let facts = Arc::clone(conn.facts());
    let digest = Arc::new(Digest {
        proxy_digest: conn.get_proxy_digest(),
        ..Digest::default()
    });
    let mut options = default_h2_options();
    options.max_header_list_size(head_size(&limits));
    // Bounds what a client that does not read holds, stream by stream.
    options.max_send_buffer_size(SEND_BYTES);
    let Ok(mut connection) = handshake(conn, Some(options)).await else {
        if facts.is_malformed() {
            record_refused(1, &shared, &facts);
        }
        return;
    };
    // Every stream's task holds a sender; the channel ends with the last of them.
    let (running, mut ended) = mpsc::channel::<()>(1);
    let stopping = goaway.clone();
    let mut told = false;
    let mut tally = Tally::default();
    loop {
        // Nothing is lost with a branch not taken: accepting is safe to drop, the channel keeps its value.
        let accepted = tokio::select! {
            biased;
            _ = goaway.wait_for(|told| *told), if !told => {
                connection.graceful_shutdown();
                told = true;
                continue;
            }
            accepted = async {
                let accepting = HttpSession::from_h2_conn(&mut connection, Arc::clone(&digest));
                tokio::pin!(accepting);
                // While it waits, everything that has come has been looked at, and what was not handed out was refused.
                poll_fn(|cx| {
                    let accepted = accepting.as_mut().poll(cx);
                    if accepted.is_pending() {
                        record_refused(tally.refused(facts.streams()), &shared, &facts);
                    }
                    accepted
                })
                .await
            } => accepted,
        };
        match accepted {
            Ok(Some(H2Accept::Session(session))) => {
                tally.seen += 1;
                let (engine, stopping, running) =
                    (Arc::clone(&engine), stopping.clone(), running.clone());
                // Not owned by the connection: a stream outlives it by the time that its record takes.
                tokio::spawn(async move {
                    let session = ServerSession::new_http2(session);
                    engine.process_new_http(session, &stopping).await;
                    drop(running);
                });
            }
            Ok(Some(H2Accept::Rejected)) => {
                tally.seen += 1;
                tally.answered += 1;
                record_refused(1, &shared, &facts);
                if tally.answered == REFUSALS {
                    break;
                }
            }
            // An error is a client that is gone without a word; its streams notice for themselves.
            Ok(None) | Err(_) => break,
        }
    }
    if facts.is_malformed() {
        // One record at least says why the connection ended.
        record_refused(tally.lost(facts.streams()).max(1), &shared, &facts);
    }
    drop((connection, running));
    while ended.recv().await.is_some() {}
}

fn record_refused(streams: u32, shared: &Arc<Shared>, facts: &Facts) {
    for _ in 0..streams {
        proxy::record_refused_stream(shared, facts);
    }
}

/// The streams of a connection that the engine keeps to itself, because it refuses their heads: it resets them and tells nobody.
#[derive(Debug, Default)]
struct Tally {
    /// Streams that have become requests, or were told or found to be refused.
    seen: u32,
    /// Streams that the engine told us it has answered with a refusal.
    answered: u32,
    /// Resets that were accounted for.
    resets: u32,
}

impl Tally {
    /// How many more streams were refused without a word, given how many were opened and how many reset.
    fn refused(&mut self, (opened, resets): (u32, u32)) -> u32 {
        let unseen = opened.saturating_sub(self.seen);
        let refused = unseen.min(resets.saturating_sub(self.resets));
        self.resets = resets;
        self.seen += refused;
        refused
    }

    /// How many streams went down with the connection, never seen.
    fn lost(&self, (opened, _): (u32, u32)) -> u32 {
        opened.saturating_sub(self.seen)
    }
}

/// Twice what a head may have: what is a little too large gets our own answer and a record, and only what is far too large is left
/// to the engine's codec.
fn head_size(limits: &Limits) -> u32 {
    let size = 2 * (limits.header_bytes + limits.headers * FIELD_OVERHEAD);
    u32::try_from(size).unwrap_or(u32::MAX)
}
