//! TLS towards targets: whom we trust, whom we ask for, what we show.
//!
//! One [`TargetTls`] does the handshakes of a group, of its requests as well as of its probes. Without `tls` in its document nothing is
//! verified. Source: VPC Lattice user guide, "Target groups": the load balancer does not validate target certificates, so expired and
//! self-signed ones work. With it, a chain must lead to one of the authorities, be valid now and be for one of the names; otherwise
//! the handshake fails before a byte of a request is sent.
//!
//! No session is resumed: a resumed one shows no certificate, so one that has ended or was exchanged would go on unseen, and a probe
//! would not try what it is there to try. Connections are kept open between requests, which is where the saving is.

#[cfg(test)]
mod tests;
mod verify;

use std::{fmt, io, sync::Arc, time::SystemTime};

use ring::digest::{Context, SHA256};
use rustls::{
    ClientConfig, SupportedProtocolVersion,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::ring::default_provider,
    pki_types::{IpAddr, ServerName},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};
use trellis_model::{
    config::{self, PeerName, ShownCertificate, TargetGroup, TlsVersion},
    problem::{Place, Problem},
};

use self::verify::{AnyCertificate, OneOf};
use super::{Authorities, AuthoritiesError, Http, leaf::Leaf};

/// Most authorities of a file. The bundles of operating systems have some 150.
const MOST_AUTHORITIES: usize = 1000;

/// Handshakes with the targets of a group.
pub struct TargetTls {
    key: u64,
    http1: TlsConnector,
    http2: TlsConnector,
    name: Option<ServerName<'static>>,
    shown_until: Option<SystemTime>,
}

impl TargetTls {
    /// Handshakes that verify nothing.
    ///
    /// # Errors
    ///
    /// The cryptography library supports no version of TLS.
    pub fn unverified() -> Result<Self, rustls::Error> {
        let verifier = Arc::new(AnyCertificate::default());
        let made = |http| connector(Arc::clone(&verifier) as _, None, TlsVersion::Tls12, http);
        Ok(Self {
            key: 0,
            http1: made(Http::One)?,
            http2: made(Http::Two)?,
            name: None,
            shown_until: None,
        })
    }

    /// Handshakes as the document of a group says. `domain`: what targets are asked for where it does not say. Gives what its author
    /// should look at as well.
    ///
    /// # Errors
    ///
    /// Authorities or certificate cannot be used, or the domain cannot be asked for.
    pub fn verified(
        group: &TargetGroup,
        terms: &config::TargetTls,
        domain: Option<&str>,
        now: SystemTime,
    ) -> Result<(Self, Vec<Problem>), Problem> {
        let authorities = Authorities::read_up_to(MOST_AUTHORITIES, &terms.authorities, now)
            .map_err(|error| refused(&terms.place, &error))?;
        let broken = |what: String| Problem::error(terms.place.clone(), what);
        let name = match (&terms.server_name, domain) {
            (Some(name), _) => server_name(name),
            (None, Some(domain)) => server_name(&PeerName::Domain(domain.into())),
            (None, None) => None,
        };
        let shown = terms.certificate.as_ref();
        let shown = shown.map(|shown| read(shown, now)).transpose()?;
        let roots = authorities.roots();
        let verifier: Arc<dyn ServerCertVerifier> = if terms.alternative_names.is_empty() {
            WebPkiServerVerifier::builder_with_provider(
                Arc::clone(roots),
                Arc::new(default_provider()),
            )
            .build()
            .map_err(|error| broken(format!("the authorities cannot be used: {error}")))?
        } else {
            Arc::new(OneOf::new(Arc::clone(roots), &terms.alternative_names))
        };
        let (key, shown_until, mut warnings) = match shown {
            Some((leaf, warnings)) => (Some(leaf.key), Some(leaf.not_after), warnings),
            None => (None, None, Vec::new()),
        };
        warnings.extend(authorities.ended().iter().map(|number| {
            let message = format!("the certificate of authority {number} has expired");
            Problem::warning(terms.place.below(".caFile"), message)
                .hint("authorities are trusted as long as they are in the file")
        }));
        let made = |http| {
            connector(
                Arc::clone(&verifier),
                key.as_ref(),
                terms.minimum_version,
                http,
            )
            .map_err(|error| broken(format!("TLS cannot be set up: {error}")))
        };
        let tls = Self {
            key: digest(group, terms, name.as_ref()),
            http1: made(Http::One)?,
            http2: made(Http::Two)?,
            name,
            shown_until,
        };
        Ok((tls, warnings))
    }

    /// When the certificate ends that is shown to targets, if one is.
    pub fn shown_until(&self) -> Option<SystemTime> {
        self.shown_until
    }

    /// Tells connections made under these terms from those made under others, of this group or another one. Zero: nothing is verified.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// A handshake over `stream`, for HTTP of this version. `otherwise` is whom to ask for where the terms do not say.
    ///
    /// A target that does not take part in ALPN is not refused.
    pub async fn connect<S>(
        &self,
        stream: S,
        http: Http,
        otherwise: ServerName<'static>,
    ) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = match http {
            Http::One => &self.http1,
            Http::Two => &self.http2,
        };
        let name = self.name.clone().unwrap_or(otherwise);
        connector.connect(name, stream).await
    }
}

impl fmt::Debug for TargetTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetTls")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn connector(
    verifier: Arc<dyn ServerCertVerifier>,
    shown: Option<&Arc<CertifiedKey>>,
    minimum: TlsVersion,
    http: Http,
) -> Result<TlsConnector, rustls::Error> {
    let versions: &[&SupportedProtocolVersion] = match minimum {
        TlsVersion::Tls12 => &[&TLS13, &TLS12],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match shown {
        Some(key) => {
            let resolver = SingleCertAndKey::from(Arc::clone(key));
            builder.with_client_cert_resolver(Arc::new(resolver))
        }
        None => builder.with_no_client_auth(),
    };
    let protocol: &[u8] = match http {
        Http::One => b"http/1.1",
        Http::Two => b"h2",
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The name as TLS wants it; `None` when it cannot be asked for.
fn server_name(name: &PeerName) -> Option<ServerName<'static>> {
    match name {
        PeerName::Domain(name) => ServerName::try_from(name.to_string()).ok(),
        PeerName::Address(address) => Some(ServerName::IpAddress(IpAddr::from(*address))),
        PeerName::Uri(_) => None,
    }
}

/// Reads the certificate that targets are shown.
fn read(shown: &ShownCertificate, now: SystemTime) -> Result<(Leaf, Vec<Problem>), Problem> {
    let leaf = Leaf::from_pem(shown.chain.as_bytes(), shown.key.expose().as_bytes());
    let leaf = leaf.map_err(|error| {
        let (what, member) = if error.is_about_key() {
            ("private key", ".privateKeyFile")
        } else {
            ("certificate", ".certificateFile")
        };
        let message = format!("the {what} file {error}");
        Problem::error(shown.place.below(member), message)
    })?;
    let ended = (leaf.not_after < now).then(|| {
        let message = "the certificate that targets are shown has expired";
        Problem::warning(shown.place.clone(), message)
            .hint("replace the files; the gateway reads them again by itself")
    });
    Ok((leaf, ended.into_iter().collect()))
}

/// The part of a problem that a file of authorities has.
fn refused(place: &Place, error: &AuthoritiesError) -> Problem {
    Problem::error(place.below(".caFile"), format!("the file {error}")).hint(error.hint())
}

/// Changes with whatever could make a connection one that would not be made any more. Never zero.
fn digest(
    group: &TargetGroup,
    terms: &config::TargetTls,
    name: Option<&ServerName<'static>>,
) -> u64 {
    let mut context = Context::new(&SHA256);
    let shown = terms.certificate.as_ref();
    let parts = [
        group.id.to_string(),
        terms.authorities.to_string(),
        format!("{name:?}"),
        format!("{:?}", terms.alternative_names),
        format!("{:?}", terms.minimum_version),
        shown.map_or_else(String::new, |shown| shown.chain.to_string()),
    ];
    for part in parts {
        // With their lengths, so that no two lists of parts are spelled the same.
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    let (first, _) = digest
        .as_ref()
        .split_first_chunk()
        .unwrap_or((&[0; 8], &[]));
    u64::from_be_bytes(*first).max(1)
}
