//! TLS towards targets of the running configuration.

use serde_json::{Value, json};
use trellis_model::config::{PeerName, TargetTls, TlsVersion};

use super::{REDACTED, list};

/// Certificates are told by where documents name their files: that is what an operator knows.
pub(super) fn target_tls(tls: &TargetTls) -> Value {
    let certificate = tls.certificate.as_ref();
    json!({
        "serverName": tls.server_name.as_ref().map(name),
        "subjectAlternativeNames": list(&tls.alternative_names, name),
        "certificate": certificate.map(|shown| json!({"writtenAt": shown.place.path, "privateKey": REDACTED})),
        "minimumVersion": match tls.minimum_version {
            TlsVersion::Tls12 => "TLSv1.2",
            TlsVersion::Tls13 => "TLSv1.3",
        },
    })
}

fn name(name: &PeerName) -> Value {
    match name {
        PeerName::Domain(text) | PeerName::Uri(text) => json!(text),
        PeerName::Address(address) => json!(address),
    }
}
