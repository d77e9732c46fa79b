//! Asking the admin listener of a running gateway.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::failure::Failure;

/// Where the admin listener is, when nobody says otherwise.
pub(super) const USUAL: &str = "127.0.0.1:9901";

/// Longest wait for each step.
const DEADLINE: Duration = Duration::from_secs(5);

/// Largest answer.
const LARGEST: u64 = 1024 * 1024;

/// What the listener answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Asks one question.
pub(super) fn ask(address: &str, method: &str, target: &str) -> Result<Answer, Failure> {
    let socket: SocketAddr = address.parse().map_err(|_| {
        let message =
            format!("`{address}` is not the address of admin pages: it takes ADDRESS:PORT");
        Failure::Usage(message.into())
    })?;
    let failed = |error: std::io::Error| {
        let why = crate::reason::reason(&error);
        Failure::runtime(format!("cannot ask the gateway at `{address}`: {why}"))
    };
    let mut stream = TcpStream::connect_timeout(&socket, DEADLINE).map_err(failed)?;
    for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
        set(&stream, Some(DEADLINE)).map_err(failed)?;
    }
    let request =
        format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut bytes = Vec::new();
    stream
        .take(LARGEST)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    read(&bytes).ok_or_else(|| {
        Failure::runtime(format!(
            "what answers at `{address}` is not the admin listener of a gateway"
        ))
    })
}

/// An answer whose end is that of its connection.
fn read(bytes: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some(Answer {
        status,
        body: body.to_owned(),
    })
}

/// A value as a query has it. Spec: RFC 3986 §2.3: letters, digits and a few signs stand for themselves.
pub(super) fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b',' => {
                text.push(char::from(byte));
            }
            // Writing into memory does not fail.
            _ => _ = write!(text, "%{byte:02X}"),
        }
    }
    text
}
