//! Names of TLS versions, cipher suites and groups as access records show them: OpenSSL's.

use rustls::{CipherSuite, NamedGroup, ProtocolVersion};

/// The OpenSSL name of a cipher suite, `ECDHE-RSA-AES128-GCM-SHA256`; `-` for a suite that the gateway never negotiates.
///
/// Source: VPC Lattice user guide, "Access logs", field `sslCipher`; names as in `openssl ciphers`.
pub fn cipher_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        _ => "-",
    }
}

/// The name of a TLS version, `TLSv1.3`; `-` for a version that the gateway never negotiates.
///
/// Source: VPC Lattice user guide, "Access logs", field `tlsVersion`.
pub fn version_name(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        _ => "-",
    }
}

/// The name of a group of the key exchange, `X25519`; none for a group that the gateway never negotiates.
pub(super) fn group_name(group: NamedGroup) -> Option<&'static str> {
    match group {
        NamedGroup::X25519 => Some("X25519"),
        NamedGroup::secp256r1 => Some("P-256"),
        NamedGroup::secp384r1 => Some("P-384"),
        _ => None,
    }
}
