//! Method, URL and headers of the command line, as a client would send them.

use std::{net::SocketAddr, time::SystemTime};

use http::Version;
use rustls_pki_types::{CertificateDer, ServerName};
use trellis_routing::Authority;

use super::caller::Place;
use crate::proxy::walk::{Sender, Supposed};

/// What no client can send as part of a line.
const LINE_BREAKS: [char; 3] = ['\r', '\n', '\0'];

/// Why the command line describes no request. Its author must act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RequestError {
    /// Not a URL that a client could connect to.
    #[error("`{url}` is not a URL that begins with http:// or https://")]
    Url {
        /// As given.
        url: String,
    },
    /// No name and value.
    #[error("`{header}` is not a header: it takes a name, a colon and a value")]
    Header {
        /// As given.
        header: String,
    },
    /// It would be more than one line.
    #[error("`{}` has a line break in it", text.escape_debug())]
    LineBreak {
        /// As given.
        text: String,
    },
}

/// Method, URL and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    method: String,
    encrypted: bool,
    /// The host to connect to, where the URL has a readable one, without brackets and trailing dot.
    host: Option<String>,
    port: u16,
    authority: String,
    target: String,
    fields: Vec<(String, String)>,
}

impl Line {
    /// Reads them. What is wrong with host, path or a header value is for the gateway to say, not for us.
    pub(super) fn read(method: &str, url: &str, headers: &[String]) -> Result<Self, RequestError> {
        let texts = [method, url]
            .into_iter()
            .chain(headers.iter().map(String::as_str));
        if let Some(text) = texts.into_iter().find(|text| text.contains(LINE_BREAKS)) {
            return Err(RequestError::LineBreak {
                text: text.to_owned(),
            });
        }
        let (encrypted, rest) = scheme(url).ok_or_else(|| RequestError::Url {
            url: url.to_owned(),
        })?;
        // A fragment stays with the client.
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let target = if target.starts_with('/') {
            target.to_owned()
        } else {
            format!("/{target}")
        };
        let default_port = if encrypted { 443 } else { 80 };
        let parsed = Authority::parse(authority.as_bytes()).ok();
        let port = match &parsed {
            Some(parsed) => parsed.port(),
            None => authority
                .rsplit(':')
                .next()
                .and_then(|port| port.parse().ok()),
        };
        let mut line = Self {
            method: method.to_owned(),
            encrypted,
            host: parsed.map(|parsed| String::from_utf8_lossy(parsed.host()).into_owned()),
            port: port.unwrap_or(default_port),
            authority: authority.to_owned(),
            target,
            fields: Vec::new(),
        };
        line.add_headers(headers)?;
        Ok(line)
    }

    fn add_headers(&mut self, headers: &[String]) -> Result<(), RequestError> {
        let mut named = false;
        for header in headers {
            let (name, value) = header
                .split_once(':')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| RequestError::Header {
                    header: header.clone(),
                })?;
            let value = value.trim_matches([' ', '\t']);
            // A second one is sent beside the first, for the gateway to refuse.
            if name.eq_ignore_ascii_case("host") && !named {
                named = true;
                value.clone_into(&mut self.authority);
            } else {
                self.fields.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(())
    }

    /// The version that clients would use.
    pub(super) fn usual_version(&self) -> Version {
        let grpc = self.fields.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("content-type") && value.starts_with("application/grpc")
        });
        if self.encrypted || grpc {
            Version::HTTP_2
        } else {
            Version::HTTP_11
        }
    }

    /// The request, sent from and to this place.
    pub(super) fn supposed(
        self,
        place: &Place,
        version: Version,
        (sender, certificates): (Sender, Vec<CertificateDer<'static>>),
        at: SystemTime,
    ) -> Supposed {
        let server_name = self.server_name();
        Supposed {
            peer: place.peer,
            local: SocketAddr::new(place.local, self.port),
            tls: self.encrypted.then_some(server_name),
            version,
            method: self.method,
            target: self.target,
            authority: self.authority,
            fields: self.fields,
            certificates,
            sender,
            at,
        }
    }

    /// The server name that a TLS client asks for. Spec: RFC 6066 §3: names only, no addresses.
    fn server_name(&self) -> Option<Box<str>> {
        match ServerName::try_from(self.host.as_deref()?) {
            Ok(ServerName::DnsName(name)) => Some(name.as_ref().to_ascii_lowercase().into()),
            _ => None,
        }
    }
}

/// Splits off the scheme, and tells whether it is that of TLS.
fn scheme(url: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let encrypted = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return None,
    };
    (!rest.is_empty()).then_some((encrypted, rest))
}
