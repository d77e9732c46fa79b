//! Signatures of calls of AWS's APIs, and of what is like them.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use trellis_model::config::AwsSigner;

use super::http::Call;

/// The services that are signed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    S3,
    Logs,
    Firehose,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Logs => "logs",
            Self::Firehose => "firehose",
        }
    }

    /// Spec: AWS General Reference, "Create a signed request": S3 encodes paths once, normalizes none, and wants the body's hash in a
    /// header.
    fn settings(self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        if self == Self::S3 {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        settings
    }
}

/// Adds a signature to a request whose body is `body`; without a signer, none.
pub(super) fn add_signature(
    request: &mut Call,
    body: &[u8],
    service: Service,
    signer: Option<&AwsSigner>,
    at: SystemTime,
) -> Result<(), String> {
    let Some(signer) = signer else {
        return Ok(());
    };
    try_add(request, body, (service, signer), at)
        .ok_or_else(|| "the call cannot be signed".to_owned())
}

fn try_add(
    request: &mut Call,
    body: &[u8],
    (service, signer): (Service, &AwsSigner),
    at: SystemTime,
) -> Option<()> {
    let token = signer.session_token.as_ref();
    let identity = Credentials::new(
        &*signer.access_key,
        signer.secret.expose(),
        token.map(|token| token.expose().to_owned()),
        None,
        "trellis",
    )
    .into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(signer.region.as_str())
        .name(service.name())
        .time(at)
        .settings(service.settings())
        .build()
        .ok()?
        .into();
    let target = request.uri().path_and_query()?.as_str().to_owned();
    let headers = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let host = request.headers().get(http::header::HOST)?.to_str().ok()?;
    let url = format!("https://{host}{target}");
    let signable = SignableRequest::new(
        request.method().as_str(),
        url,
        headers,
        SignableBody::Bytes(body),
    );
    let (signature, _) = sign(signable.ok()?, &parameters).ok()?.into_parts();
    let (fields, _) = signature.into_parts();
    for field in fields {
        let mut value = http::HeaderValue::from_str(field.value()).ok()?;
        value.set_sensitive(true);
        let name = http::HeaderName::from_bytes(field.name().as_bytes()).ok()?;
        request.headers_mut().insert(name, value);
    }
    Some(())
}
