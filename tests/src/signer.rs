//! Signs requests with AWS's own signer, which shares no code with the gateway's verifier beyond key derivation.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
        SigningParams, SigningSettings, UriPathNormalizationMode, sign,
    },
    sign::{v4, v4a},
};
use http::{HeaderName, HeaderValue};

use crate::message::Request;

/// An access key, and how it is used.
#[derive(Debug, Clone)]
pub struct Key {
    /// Public part.
    pub id: String,
    /// Secret part.
    pub secret: String,
    token: Option<String>,
    region: String,
    service: String,
    at: SystemTime,
    double: bool,
    /// Signs the payload, which must be empty.
    payload: bool,
    /// Of Signature Version 4A.
    regions: Option<String>,
    /// Signs the query, which then holds so long.
    expires: Option<Duration>,
}

impl Key {
    /// A key with this id, and the secret that [`Self::secret_of`] makes of it.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: Self::secret_of(id),
            token: None,
            region: "us-west-2".to_owned(),
            service: "vpc-lattice-svcs".to_owned(),
            at: SystemTime::now(),
            double: true,
            payload: false,
            regions: None,
            expires: None,
        }
    }

    /// The secret of a key in all scenarios.
    pub fn secret_of(id: &str) -> String {
        format!("secret-of-{id}")
    }

    /// The same key with another secret: whoever signs with it does not know the right one.
    #[must_use]
    pub fn forged(mut self) -> Self {
        self.secret.push('!');
        self
    }

    /// Signs as if the clock showed `skew` less.
    #[must_use]
    pub fn behind(mut self, skew: Duration) -> Self {
        self.at -= skew;
        self
    }

    /// Signs as if the clock showed `skew` more.
    #[must_use]
    pub fn ahead(mut self, skew: Duration) -> Self {
        self.at += skew;
        self
    }

    /// Signs for another region.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.region);
        self
    }

    /// Signs for another service.
    #[must_use]
    pub fn for_service(mut self, service: &str) -> Self {
        service.clone_into(&mut self.service);
        self
    }

    /// Signs for a set of regions, by Signature Version 4A.
    #[must_use]
    pub fn for_regions(mut self, regions: &str) -> Self {
        self.regions = Some(regions.to_owned());
        self
    }

    /// Signs the query instead of a header.
    #[must_use]
    pub fn presigning(mut self, expires: Duration) -> Self {
        self.expires = Some(expires);
        self
    }

    /// Sends this session token.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// The session token that it sends.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Signs the payload, which must be empty, as calls of the control API want it signed.
    #[must_use]
    pub fn signing_payload(mut self) -> Self {
        self.payload = true;
        self
    }

    /// Encodes the path once, as AWS's Go sample does, and does not normalize it.
    #[must_use]
    pub fn encoding_once(mut self) -> Self {
        self.double = false;
        self
    }

    /// Adds the signature to `request`.
    pub(crate) fn sign(&self, request: &mut Request) {
        let credentials = Credentials::new(
            &*self.id,
            &*self.secret,
            self.token.clone(),
            None,
            "scenario",
        );
        let identity = credentials.into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        if !self.double {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        if self.expires.is_some() {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = self.expires;
        }
        let params: SigningParams<'_> = match &self.regions {
            None => v4::SigningParams::builder()
                .identity(&identity)
                .region(&self.region)
                .name(&self.service)
                .time(self.at)
                .settings(settings)
                .build()
                .unwrap()
                .into(),
            Some(regions) => v4a::SigningParams::builder()
                .identity(&identity)
                .region_set(regions)
                .name(&self.service)
                .time(self.at)
                .settings(settings)
                .build()
                .unwrap()
                .into(),
        };
        let url = format!("http://{}{}", request.host, request.path);
        let texts = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let signable = SignableRequest::new(
            request.method.as_str(),
            url,
            texts,
            if self.payload {
                SignableBody::Bytes(&[])
            } else {
                SignableBody::UnsignedPayload
            },
        )
        .unwrap();
        let (instructions, _) = sign(signable, &params).unwrap().into_parts();
        let (signed, parameters) = instructions.into_parts();
        for (name, value) in parameters {
            let separator = if request.path.contains('?') { '&' } else { '?' };
            let value = encoded(&value);
            request.path = format!("{}{separator}{name}={value}", request.path);
        }
        for header in signed {
            let name: HeaderName = header.name().parse().unwrap();
            let value = HeaderValue::from_str(header.value()).unwrap();
            request.headers.push((name, value));
        }
    }
}

/// A value as it stands in a query.
fn encoded(value: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    value.bytes().map(byte).collect()
}
