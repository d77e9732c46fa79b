//! Texts that targets and records are told, put together once and shared by all requests.

use bytes::Bytes;
use http::HeaderValue;
use trellis_access_logs::json::Tags;
use trellis_model::id::ServiceNetworkId;
use trellis_policy::{Principal, certificate::ClientCertificate};

use super::{CallerTexts, Membership, Service, TargetGroup};

/// Source: VPC Lattice user guide, "HTTP targets"; separators as observed, `; `.
pub(super) fn caller_texts(
    principal: &Principal,
    certificate: Option<&ClientCertificate>,
) -> CallerTexts {
    let organization = principal.organization.as_ref();
    let id = organization.map(|organization| &*organization.id);
    let path = organization
        .and_then(|organization| organization.paths.first())
        .map(|path| &**path);
    let mut identity = vec![format!("Principal={}", principal.arn)];
    let mut tags = vec![format!("principal={}", escape(&principal.arn))];
    if let Some(id) = id {
        identity.push(format!("PrincipalOrgID={id}"));
        tags.push(format!("principalorgid={}", escape(id)));
    }
    if let Some(path) = path {
        identity.push(format!("PrincipalOrgPath={path}"));
        tags.push(format!("principalorgpath={}", escape(path)));
    }
    if let Some(session) = &principal.session_name {
        identity.push(format!("SessionName={session}"));
    }
    identity.push("Type=AWS_IAM".to_owned());
    identity.extend(certificate.into_iter().flat_map(certified));
    tags.extend(
        principal
            .tags
            .iter()
            .map(|(key, value)| format!("{}={}", escape(key), escape(value))),
    );
    let record_tags = principal
        .tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    CallerTexts {
        identity: header_value(identity.join("; ")),
        tags: header_value(tags.join("; ")),
        record_tags: Tags::new(record_tags),
    }
}

/// The members that the user guide has for IAM Roles Anywhere. A text that a reader may take for two members is left out: it is not ours
/// but that of whoever the certificate is from.
fn certified(certificate: &ClientCertificate) -> impl Iterator<Item = String> {
    let members = [
        ("X509Issuer/OU", certificate.issuer_ou.as_deref()),
        (
            "X509SAN/DNS",
            certificate.dns_names.first().map(|name| &**name),
        ),
        ("X509SAN/NameCN", certificate.directory_cn.as_deref()),
        ("X509SAN/URI", certificate.uri.as_deref()),
        ("X509Subject/CN", certificate.subject_cn()),
    ];
    members.into_iter().filter_map(|(name, value)| {
        let value = value.filter(|value| !value.contains([';', '\\']))?;
        Some(format!("{name}={value}"))
    })
}

/// `ServiceArn=…; ServiceNetworkArn=…; TargetGroupArn=…`, for each network that the service is in.
pub(super) fn target_headers(
    service: &Service,
    group: &TargetGroup,
) -> Box<[(ServiceNetworkId, HeaderValue)]> {
    let text = |network: &Membership| {
        let text = format!(
            "ServiceArn={}; ServiceNetworkArn={}; TargetGroupArn={}",
            service.arn, network.arn, group.arn
        );
        (network.network, header_value(text))
    };
    service.memberships.iter().map(text).collect()
}

/// A `;` in a value must not look like a separator.
fn escape(value: &str) -> String {
    value.replace(';', "\\;")
}

/// Text of ours as a header value. Names, ids and tags are checked at load; what could not be sent all the same is left empty rather
/// than sent mangled.
pub(super) fn header_value(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static(""))
}
