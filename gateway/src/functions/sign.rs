//! Signatures of calls of the Invoke API.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use http::Request;
use trellis_model::config::AwsSigner;

/// The service that is signed for.
const SERVICE: &str = "lambda";

/// Adds a signature to a request whose body is `body`. `None` when it cannot be made, which no configuration brings about.
pub(super) fn add_signature<B>(
    request: &mut Request<B>,
    body: &[u8],
    signer: &AwsSigner,
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
        .name(SERVICE)
        .time(at)
        .settings(SigningSettings::default())
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
