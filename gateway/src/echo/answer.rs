//! One request to an echo, and its answer.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header,
    request::Parts,
};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use serde::Serialize;

use super::{
    Health, Shared,
    body::{Answer, Content, Died, Framing, Pieces},
    function, grpc,
    readable::readable,
    switches::{Death, Reading, Switches},
    websocket,
};

/// Most bytes of a request body that are given back; the rest is only counted and hashed.
const BODY_SHOWN: usize = 64 * 1024;

/// The trailer sent when trailers are asked for; its value is the echo's name.
pub(super) const TRAILER: &str = "x-echo-trailer";

/// What is known about a connection.
#[derive(Debug)]
pub(super) struct ConnectionFacts {
    pub(super) peer: SocketAddr,
    pub(super) local: Option<SocketAddr>,
    pub(super) tls: Option<TlsFacts>,
}

/// What a TLS handshake agreed on.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TlsFacts {
    version: Option<String>,
    cipher: Option<String>,
    server_name: Option<String>,
    alpn: Option<String>,
}

impl TlsFacts {
    pub(super) fn of(connection: &rustls::ServerConnection) -> Self {
        Self {
            version: connection
                .protocol_version()
                .map(|version| format!("{version:?}")),
            cipher: connection
                .negotiated_cipher_suite()
                .map(|suite| format!("{:?}", suite.suite())),
            server_name: connection.server_name().map(str::to_owned),
            alpn: connection
                .alpn_protocol()
                .map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
        }
    }
}

/// The description of a request, as the echo gives it back.
#[derive(Serialize)]
struct Description<'a> {
    name: &'a str,
    method: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    version: String,
    /// `:authority` or the authority of an absolute request target.
    authority: Option<&'a str>,
    /// Names in lower case, in order of arrival; lines of one name stand together.
    headers: Vec<(&'a str, String)>,
    body: BodyDescription,
    trailers: Vec<(&'a str, String)>,
    peer: SocketAddr,
    local: Option<SocketAddr>,
    tls: Option<&'a TlsFacts>,
}

/// The body of a request: its length, its digest and its beginning.
#[derive(Serialize, Default)]
struct BodyDescription {
    length: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// Answers one request. The error ends the connection or stream without an answer.
pub(super) async fn answer(
    shared: Arc<Shared>,
    facts: Arc<ConnectionFacts>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Died> {
    if request.uri().path() == shared.healthy_path {
        return Ok(healthy(*shared.health.borrow()));
    }
    shared.requests.fetch_add(1, Ordering::Relaxed);
    if grpc::is_grpc(&request) {
        return Ok(grpc::answer(&shared, &facts, request));
    }
    if websocket::is_handshake(&request) {
        return Ok(websocket::accept(request));
    }
    let (head, body) = request.into_parts();
    if function::is_call(&head) {
        let (status, result) = function::result(body).await?;
        return Ok(content(status, "application/json", result));
    }
    let switches = match Switches::of(&head) {
        Ok(switches) => switches,
        Err(error) => return Ok(text(StatusCode::BAD_REQUEST, &format!("{error}\n"))),
    };
    if switches.death == Some(Death::Before) {
        return Err(Died);
    }
    let (body, trailers) = match switches.reading {
        Reading::Whole => read(body).await?,
        Reading::HeadOnly => (BodyDescription::default(), HeaderMap::new()),
    };
    if let Some(delay) = switches.delay {
        tokio::time::sleep(delay).await;
    }
    let content = match switches.bytes {
        Some(length) => Content::Filler(length),
        None => Content::Bytes(describe(&shared, &facts, &head, body, &trailers)),
    };
    Ok(respond(&shared.name, &head, switches, content))
}

fn healthy(health: Health) -> Response<Answer> {
    match health {
        Health::Healthy => text(StatusCode::OK, "healthy\n"),
        Health::Unhealthy => text(StatusCode::SERVICE_UNAVAILABLE, "unhealthy\n"),
    }
}

fn text(status: StatusCode, text: &str) -> Response<Answer> {
    content(
        status,
        "text/plain",
        Bytes::copy_from_slice(text.as_bytes()),
    )
}

fn content(status: StatusCode, kind: &'static str, bytes: Bytes) -> Response<Answer> {
    let mut response = Response::new(Answer::Pieces(Pieces::new(Content::Bytes(bytes))));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Reads a body to its end.
async fn read(mut body: Incoming) -> Result<(BodyDescription, HeaderMap), Died> {
    if body.is_end_stream() {
        return Ok((BodyDescription::default(), HeaderMap::new()));
    }
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    let mut shown = Vec::new();
    let mut length = 0;
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        // The caller is gone, so no answer can reach it.
        let frame = frame.map_err(|_| Died)?;
        match frame.into_data() {
            Ok(data) => {
                length += data.len() as u64;
                digest.update(&data);
                let room = BODY_SHOWN - shown.len();
                shown.extend(data.iter().take(room));
            }
            Err(frame) => {
                if let Ok(more) = frame.into_trailers() {
                    trailers.extend(more);
                }
            }
        }
    }
    Ok((BodyDescription::new(length, shown, digest), trailers))
}

impl BodyDescription {
    fn new(length: u64, shown: Vec<u8>, digest: ring::digest::Context) -> Self {
        if length == 0 {
            return Self::default();
        }
        let truncated = length > shown.len() as u64;
        let (text, base64) = match String::from_utf8(shown) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(BASE64.encode(error.as_bytes()))),
        };
        Self {
            length,
            sha256: Some(hexadecimal(digest.finish().as_ref())),
            text,
            base64,
            truncated,
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn describe(
    shared: &Shared,
    facts: &ConnectionFacts,
    head: &Parts,
    body: BodyDescription,
    trailers: &HeaderMap,
) -> Bytes {
    let description = Description {
        name: &shared.name,
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query(),
        version: format!("{:?}", head.version),
        authority: head.uri.authority().map(http::uri::Authority::as_str),
        headers: lines(&head.headers),
        body,
        trailers: lines(trailers),
        peer: facts.peer,
        local: facts.local,
        tls: facts.tls.as_ref(),
    };
    readable(&description).into()
}

/// Header lines as text; bytes that are not UTF-8 show as U+FFFD.
pub(super) fn lines(headers: &HeaderMap) -> Vec<(&str, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str(), value)
        })
        .collect()
}

fn respond(name: &str, head: &Parts, switches: Switches, content: Content) -> Response<Answer> {
    let content_type = match content {
        Content::Bytes(_) => "application/json",
        Content::Filler(_) => "application/octet-stream",
    };
    let name = HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static("-"));
    let mut pieces = Pieces::new(content)
        .framing(switches.framing)
        .pace(switches.pace);
    if switches.death == Some(Death::Halfway) {
        pieces = pieces.dies();
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert("x-echo-name", name.clone());
    if switches.trailers.is_some() {
        headers.insert(header::TRAILER, HeaderValue::from_static(TRAILER));
        let trailers = HeaderMap::from_iter([(HeaderName::from_static(TRAILER), name)]);
        pieces = pieces.framing(Framing::Streamed).trailers(trailers);
    }
    for (name, value) in switches.headers {
        headers.append(name, value);
    }
    let mut body = Answer::Pieces(pieces);
    if head.method == Method::HEAD {
        // The length of what a GET would bring, and nothing else.
        if let Some(length) = body.size_hint().exact() {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        body = Answer::Empty;
    }
    let mut response = Response::new(body);
    *response.status_mut() = switches.status.unwrap_or(StatusCode::OK);
    *response.headers_mut() = headers;
    response
}
