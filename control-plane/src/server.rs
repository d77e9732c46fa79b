//! Connections of the control address: from bytes to calls and back, bounded in every direction.

#[cfg(test)]
mod tests;

use std::{
    convert::Infallible, future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::SystemTime,
};

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
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

use crate::{Answer, Call, lattice};

/// Bounds of the control address. Fixed: generous for SDKs, which ask once an hour per process.
mod bounds {
    use std::time::Duration;

    /// Most connections; further ones are closed at once.
    pub(super) const CONNECTIONS: usize = 256;
    /// Longest wait for the head of a call, the first or the next.
    pub(super) const HEAD: Duration = Duration::from_secs(10);
    /// Longest wait for a body once its head is there.
    pub(super) const BODY: Duration = Duration::from_secs(10);
    /// Largest head, and most of an answer that waits in memory for a slow reader.
    pub(super) const BUFFER: usize = 64 * 1024;
    /// Age at which a connection ends, whatever it is doing.
    pub(super) const LIFETIME: Duration = Duration::from_secs(300);
    /// Wait after a failure to accept, which is mostly a lack of descriptors.
    pub(super) const AFTER_FAILURE: Duration = Duration::from_millis(100);
    /// How long answers in course may take once the gateway stops.
    pub(super) const STOP: Duration = Duration::from_secs(2);
}

/// Answers calls. Called on a thread that may be busy for a while; it must not wait.
pub type Answerer = Arc<dyn Fn(&Call) -> Answer + Send + Sync>;

/// Serves calls on `listener` until `stop` is over, then lets answers in course finish for two seconds.
///
/// Must run inside a tokio runtime with I/O and time, other than those of the workers. Fails only if the socket cannot be used.
pub async fn serve(
    listener: std::net::TcpListener,
    answerer: Answerer,
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
                        let connection = connection(stream, peer, Arc::clone(&answerer), stopped.clone());
                        connections.spawn(async move {
                            connection.await;
                            drop(permit);
                        });
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the control address cannot accept connections");
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
    answerer: Answerer,
    mut stopped: watch::Receiver<bool>,
) {
    let service =
        service_fn(move |request: Request<Incoming>| answer(request, peer, Arc::clone(&answerer)));
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
        tracing::debug!(%peer, %error, "a control connection ended early");
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    answerer: Answerer,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let id: Box<str> = uuid::Uuid::new_v4().to_string().into();
    let (head, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(status) => return Ok(respond_empty(status, &id)),
    };
    let call = Call {
        method: head.method,
        path: head.uri.path().into(),
        query: head.uri.query().map(Into::into),
        headers: head.headers,
        body,
        source: peer.ip(),
        at: SystemTime::now(),
        id: id.clone(),
    };
    // Away from the reactor: a session policy takes a while to read.
    let ended = tokio::task::spawn_blocking(move || answerer(&call)).await;
    Ok(match ended {
        Ok(answer) => respond(answer, &id),
        Err(error) => {
            tracing::error!(%error, "a call panicked");
            respond_empty(StatusCode::INTERNAL_SERVER_ERROR, &id)
        }
    })
}

/// The whole body, or the status that says why not.
async fn read(body: Incoming) -> Result<Bytes, StatusCode> {
    let whole = Limited::new(body, lattice::MAX_BODY_BYTES).collect();
    match time::timeout(bounds::BODY, whole).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(StatusCode::PAYLOAD_TOO_LARGE)
        }
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

fn respond_empty(status: StatusCode, id: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(""));
    *response.status_mut() = status;
    identify(response.headers_mut(), id);
    // A body that was not read to its end leaves nothing to go on with.
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

fn respond(answer: Answer, id: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer.body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    if answer.status != StatusCode::NO_CONTENT {
        let media_type = HeaderValue::from_static(answer.content.media_type());
        headers.insert(header::CONTENT_TYPE, media_type);
    }
    if let Some(name) = answer.error_type {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(name));
    }
    if let Some(seconds) = answer.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    identify(headers, id);
    response
}

/// What every answer says.
fn identify(headers: &mut HeaderMap, id: &str) {
    // Credentials are nothing to keep on the way.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-amzn-requestid", id);
    }
}
