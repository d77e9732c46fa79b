//! The WebSocket side of an echo: every data frame comes back as it is.
//!
//! Frames are echoed one by one with their `FIN` bit and opcode, so that a fragmented message comes back in the same fragments.
//! Spec: RFC 6455 §4.2 (handshake), §5.2 (frames), §5.5 (control frames), §7.4 (close codes).

use std::io;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::body::Answer;

/// Appended to the client's key before hashing. Spec: RFC 6455 §1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Largest frame taken.
const LARGEST_FRAME: u64 = 16 * 1024 * 1024;

const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// Is this the opening handshake of a WebSocket?
pub(super) fn is_handshake<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_11
        && names(request.headers(), &header::UPGRADE, "websocket")
        && names(request.headers(), &header::CONNECTION, "upgrade")
        && request.headers().contains_key(header::SEC_WEBSOCKET_KEY)
}

/// Does the list header `name` contain `token`, in any case?
fn names(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}

/// Accepts the handshake; a task of its own echoes until the client closes.
pub(super) fn accept(mut request: Request<Incoming>) -> Response<Answer> {
    let mut response = Response::new(Answer::Empty);
    if request.headers().get(header::SEC_WEBSOCKET_VERSION) != Some(&HeaderValue::from_static("13"))
    {
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        response.headers_mut().insert(
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        );
        return response;
    }
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
    let Some(accept) = key.and_then(|key| accept_value(key.as_bytes())) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let ended = match upgrade.await {
            Ok(upgraded) => echo(&mut TokioIo::new(upgraded)).await,
            Err(error) => Err(io::Error::other(error)),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a WebSocket ended early");
        }
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn accept_value(key: &[u8]) -> Option<HeaderValue> {
    let mut digest = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(key);
    digest.update(GUID.as_bytes());
    HeaderValue::from_str(&BASE64.encode(digest.finish())).ok()
}

/// A frame with its mask taken off.
#[derive(Debug, PartialEq, Eq)]
struct WebSocketFrame {
    /// `FIN`, the reserved bits and the opcode.
    first: u8,
    payload: Vec<u8>,
}

/// What is wrong with a frame: the close code to answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Violation {
    /// 1002.
    Protocol,
    /// 1009.
    TooLarge,
}

impl WebSocketFrame {
    fn opcode(&self) -> u8 {
        self.first & 0x0F
    }

    fn close(violation: Violation) -> Self {
        let code: u16 = match violation {
            Violation::Protocol => 1002,
            Violation::TooLarge => 1009,
        };
        Self {
            first: 0x80 | CLOSE,
            payload: code.to_be_bytes().to_vec(),
        }
    }

    async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Result<Self, Violation>> {
        let first = stream.read_u8().await?;
        let second = stream.read_u8().await?;
        let length = match second & 0x7F {
            126 => stream.read_u16().await?.into(),
            127 => stream.read_u64().await?,
            short => short.into(),
        };
        let masked = second & 0x80 != 0;
        let control = first & 0x08 != 0;
        // No extension was agreed on, so the reserved bits are zero; control frames are short and whole.
        if !masked || first & 0x70 != 0 || (control && (length > 125 || first & 0x80 == 0)) {
            return Ok(Err(Violation::Protocol));
        }
        let Some(size) = usize::try_from(length)
            .ok()
            .filter(|_| length <= LARGEST_FRAME)
        else {
            return Ok(Err(Violation::TooLarge));
        };
        let mut mask = [0; 4];
        stream.read_exact(&mut mask).await?;
        let mut payload = vec![0; size];
        stream.read_exact(&mut payload).await?;
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        Ok(Ok(Self { first, payload }))
    }

    async fn write(&self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let mut head = vec![self.first];
        let length = self.payload.len();
        if let (Ok(length), true) = (u8::try_from(length), length < 126) {
            head.push(length);
        } else if let Ok(length) = u16::try_from(length) {
            head.push(126);
            head.extend(length.to_be_bytes());
        } else {
            head.push(127);
            head.extend((length as u64).to_be_bytes());
        }
        stream.write_all(&head).await?;
        stream.write_all(&self.payload).await?;
        stream.flush().await
    }
}

async fn echo(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    loop {
        let mut frame = match WebSocketFrame::read(stream).await? {
            Ok(frame) => frame,
            Err(violation) => {
                WebSocketFrame::close(violation).write(stream).await?;
                return stream.shutdown().await;
            }
        };
        match frame.opcode() {
            PONG => {}
            PING => {
                frame.first = 0x80 | PONG;
                frame.write(stream).await?;
            }
            CLOSE => {
                frame.write(stream).await?;
                return stream.shutdown().await;
            }
            _ => frame.write(stream).await?,
        }
    }
}
