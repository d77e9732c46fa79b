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
    h2::Opened,
    proxy::{self, Engine},
    shared::Shared,
};

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
    options.max_header_list_size(u32::try_from(list_bytes(&limits)).unwrap_or(u32::MAX));
    // Bounds what a client that does not read holds, stream by stream.
    options.max_send_buffer_size(SEND_BYTES);
    let Ok(mut connection) = handshake(conn, Some(options)).await else {
        if facts.is_malformed() {
            proxy::record_refused_stream(&shared, &facts, None);
        }
        return;
    };
    // Every stream's task holds a sender; the channel ends with the last of them.
    let (running, mut ended) = mpsc::channel::<()>(1);
    let stopping = goaway.clone();
    let mut told = false;
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
                        record_refused(facts.refused(), &shared, &facts);
                    }
                    accepted
                })
                .await
            } => accepted,
        };
        match accepted {
            Ok(Some(H2Accept::Session(session))) => {
                let head = session.req_header();
                facts.accept(head.method.as_str().as_bytes(), head.raw_path());
                let (engine, stopping, running) =
                    (Arc::clone(&engine), stopping.clone(), running.clone());
                // Not owned by the connection: a stream outlives it by the time that its record takes.
                tokio::spawn(async move {
                    let session = ServerSession::new_http2(session);
                    engine.process_new_http(session, &stopping).await;
                    drop(running);
                });
            }
            // Our own rules leave the engine none to refuse; if it finds one, its stream is recorded with the end of the connection.
            Ok(Some(H2Accept::Rejected)) => facts.find_malformed(),
            // An error is a client that is gone without a word; its streams notice for themselves.
            Ok(None) | Err(_) => break,
        }
    }
    let left = facts.left();
    if facts.is_malformed() && left.is_empty() && running.strong_count() == 1 {
        // No request will tell why the connection ended.
        proxy::record_refused_stream(&shared, &facts, None);
    } else {
        let refused = |opened: &Opened| opened.fault.is_some() || facts.is_malformed();
        record_refused(left.into_iter().filter(refused), &shared, &facts);
    }
    drop((connection, running));
    while ended.recv().await.is_some() {}
}

fn record_refused(streams: impl IntoIterator<Item = Opened>, shared: &Arc<Shared>, facts: &Facts) {
    for opened in streams {
        proxy::record_refused_stream(shared, facts, Some(&opened));
    }
}

/// Twice what a head may have: what is a little too large gets our own answer, and only what is far too large has its stream reset.
pub(super) fn list_bytes(limits: &Limits) -> usize {
    2 * (limits.header_bytes + limits.headers * FIELD_OVERHEAD)
}
