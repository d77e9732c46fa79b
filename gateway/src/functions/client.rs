//! One call of a function's server, from connection to answer.

use std::{
    io,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Response,
    body::{Body as _, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time,
};
use trellis_target_groups::function::{Fault, RESULT_BYTES};

use super::{
    Call, Held, Protocol,
    pool::{Connection, Key, Pool},
    sign,
};
use crate::reason::reason;

const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");

/// Most bytes of an answer's head.
const HEAD_BYTES: usize = 64 * 1024;

/// What a function's server answered, in the form that a function's result is read from.
#[derive(Debug)]
pub struct Reply {
    /// The function's result.
    pub result: Vec<u8>,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no connection to the server.
    #[error("no connection to the function's endpoint: {0}")]
    Connect(String),
    /// There was no whole answer in time.
    #[error("no answer of the function in time")]
    Deadline,
    /// The server closed the connection before its answer was whole.
    #[error("the function's endpoint closed the connection")]
    Closed,
    /// What the server sent is no HTTP.
    #[error("what the function's endpoint sent is no answer: {0}")]
    Protocol(String),
    /// The server answered, but not with a result.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The gateway holds as many bytes for functions as it may.
    #[error("too many bytes are held for functions")]
    Memory,
    /// The request cannot be made.
    #[error("the call cannot be signed")]
    Unsigned,
}

/// Makes the calls of one worker.
#[derive(Debug, Default)]
pub struct Client {
    pool: Pool,
}

/// The times that a call may take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For everything.
    pub whole: Duration,
}

impl Client {
    /// Calls a function with this event. `held` takes the answer's bytes.
    ///
    /// May be dropped at any time: then the connection is closed, and the server sees that nobody waits.
    pub async fn call(
        &self,
        call: &Call,
        event: Vec<u8>,
        times: Times,
        held: &mut Held,
    ) -> Result<Reply, CallError> {
        time::timeout(times.whole, self.exchange(call, event.into(), times, held))
            .await
            .unwrap_or(Err(CallError::Deadline))
    }

    async fn exchange(
        &self,
        call: &Call,
        event: Bytes,
        times: Times,
        held: &mut Held,
    ) -> Result<Reply, CallError> {
        let key = Key {
            group: call.group,
            endpoint: call.endpoint.clone(),
        };
        let mut request = request(call, &event)?;
        let (mut connection, answer) = loop {
            let kept = self.pool.take(&key);
            let is_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => connect(call, times.connect).await?,
            };
            // A kept connection that is closing has not been ready since it was kept.
            if connection.sender.ready().await.is_err() && is_kept {
                continue;
            }
            match connection.sender.try_send_request(request).await {
                Ok(answer) => break (connection, answer),
                Err(mut error) => match error.take_message() {
                    // Nothing of it was sent: it may go over another connection. A request that was sent is never sent twice, since
                    // the function may have run.
                    Some(unsent) if is_kept => request = unsent,
                    _ => return Err(broken(&error.into_error())),
                },
            }
        };
        let result = read(call, answer, held).await;
        // Whatever is odd about a server may have left something on the connection.
        if result.is_ok() && connection.sender.ready().await.is_ok() {
            self.pool.keep(key, connection);
        }
        result
    }
}

fn request(call: &Call, event: &Bytes) -> Result<Request<Full<Bytes>>, CallError> {
    let mut request = Request::post(&call.target)
        .header(header::HOST, &*call.endpoint.authority)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "trellis")
        .body(Full::new(event.clone()))
        .map_err(|_| CallError::Unsigned)?;
    if let Protocol::Invoke(signer) = &call.protocol {
        request
            .headers_mut()
            .insert(INVOCATION_TYPE, HeaderValue::from_static("RequestResponse"));
        if let Some(signer) = signer {
            sign::add_signature(&mut request, event, signer, SystemTime::now())
                .ok_or(CallError::Unsigned)?;
        }
    }
    Ok(request)
}

async fn connect(call: &Call, longest: Duration) -> Result<Connection, CallError> {
    let failed = |error: io::Error| CallError::Connect(reason(&error));
    let connecting = async {
        let endpoint = &call.endpoint;
        let stream = TcpStream::connect((&*endpoint.host, endpoint.port))
            .await
            .map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        match &call.tls {
            None => begin(stream).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                begin(stream.map_err(failed)?).await
            }
        }
    };
    time::timeout(longest, connecting)
        .await
        .unwrap_or_else(|_| Err(CallError::Connect("no answer in time".to_owned())))
}

async fn begin<S>(stream: S) -> Result<Connection, CallError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| CallError::Connect(error.to_string()))?;
    let mut driver = JoinSet::new();
    driver.spawn(async {
        // How it ends is told to whoever waits for an answer.
        let _ = connection.await;
    });
    Ok(Connection { sender, driver })
}

/// Reads an answer to its end, and finds the result in it.
async fn read(
    call: &Call,
    answer: Response<Incoming>,
    held: &mut Held,
) -> Result<Reply, CallError> {
    check_status(call, &answer)?;
    let announced = answer.body().size_hint().lower();
    if announced > RESULT_BYTES as u64 {
        return Err(Fault::TooLarge.into());
    }
    let mut result = BytesMut::new();
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else {
            // Trailers say nothing of a result.
            continue;
        };
        if result.len() + data.len() > RESULT_BYTES {
            return Err(Fault::TooLarge.into());
        }
        if !held.take(data.len()) {
            return Err(CallError::Memory);
        }
        result.extend_from_slice(&data);
    }
    Ok(Reply {
        result: result.into(),
    })
}

/// Source: Lambda API reference, `Invoke`: 200 for a synchronous call, with `X-Amz-Function-Error` when the function failed; 429 when too
/// many run. Any 2xx of another server is taken: it has no reason to know that only one means success.
fn check_status(call: &Call, answer: &Response<Incoming>) -> Result<(), Fault> {
    let status = answer.status();
    let right = match call.protocol {
        Protocol::Invoke(_) => status == StatusCode::OK,
        Protocol::Event => status.is_success(),
    };
    if status == StatusCode::TOO_MANY_REQUESTS {
        Err(Fault::Throttled)
    } else if !right {
        Err(Fault::Refused(status.as_u16()))
    } else if answer.headers().contains_key(FUNCTION_ERROR) {
        Err(Fault::FunctionError)
    } else {
        Ok(())
    }
}

fn broken(error: &hyper::Error) -> CallError {
    if error.is_parse() || error.is_parse_too_large() || error.is_parse_status() {
        CallError::Protocol(error.to_string())
    } else {
        CallError::Closed
    }
}
