//! Connections of the admin listener.

#[cfg(test)]
mod tests;

use std::{convert::Infallible, future::Future, io, net::SocketAddr, pin::pin, sync::Arc};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time,
};

use super::pages::Site;

/// Bounds of the admin listener. Fixed: nobody tunes them, and generous for people, probes and scrapers together.
mod bounds {
    use std::time::Duration;

    /// Most connections; further ones are closed at once.
    pub(super) const CONNECTIONS: usize = 64;
    /// Longest wait for the head of a request, the first or the next; scrapers ask again within it.
    pub(super) const HEAD: Duration = Duration::from_secs(30);
    /// Largest head, and most of an answer that waits in memory for a slow reader.
    pub(super) const BUFFER: usize = 64 * 1024;
    /// Age at which a connection ends, whatever it is doing: a reader that slow is gone.
    pub(super) const LIFETIME: Duration = Duration::from_secs(300);
    /// Wait after a failure to accept, which is mostly a lack of descriptors.
    pub(super) const AFTER_FAILURE: Duration = Duration::from_millis(100);
    /// How long answers in course may take once the gateway stops.
    pub(super) const STOP: Duration = Duration::from_secs(2);
}

/// Serves `site` on `listener` until `stop` is over, then lets answers in course finish for two seconds.
///
/// Must run inside a tokio runtime with I/O and time, other than those of the workers. Fails only if the socket cannot be used.
pub async fn serve(
    listener: std::net::TcpListener,
    site: Site,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let free = Arc::new(Semaphore::new(bounds::CONNECTIONS));
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        // A lost branch leaves nothing behind: accepting and joining can be dropped and called again.
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // No permit, no service: the stream is closed here.
                    if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
                        let connection = connection(stream, peer, site.clone(), stopped.clone());
                        connections.spawn(async move {
                            connection.await;
                            drop(permit);
                        });
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin listener cannot accept connections");
                    time::sleep(bounds::AFTER_FAILURE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let _ = stopping.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    // What does not end in time is cut when the set is dropped.
    let _ = time::timeout(bounds::STOP, all).await;
    Ok(())
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    site: Site,
    mut stopped: watch::Receiver<bool>,
) {
    let service = service_fn(move |request: Request<Incoming>| answer(request, site.clone()));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds::HEAD)
            .max_buf_size(bounds::BUFFER)
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut end = pin!(time::sleep(bounds::LIFETIME));
    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            ended = &mut connection => break ended,
            () = &mut end => return,
            _ = stopped.changed(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "an admin connection ended early");
    }
}

async fn answer(
    request: Request<Incoming>,
    site: Site,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // The body is dropped unread; hyper closes the connection where that matters.
    let (head, _) = request.into_parts();
    let page = move || site.answer(&head);
    // Away from the reactor: a page over ten thousand services takes a while.
    let answer = tokio::task::spawn_blocking(page).await;
    Ok(answer.unwrap_or_else(|error| {
        tracing::error!(%error, "an admin page panicked");
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer
    }))
}
