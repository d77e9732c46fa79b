//! Texts that targets and records are told, put together once and shared by all requests.

use bytes::Bytes;
use http::HeaderValue;
use trellis_access_logs::json::Tags;
use trellis_policy::Principal;

use super::{CallerTexts, Network, Service, TargetGroup};

/// Source: VPC Lattice user guide, "HTTP targets"; separators as observed, `; `.
pub(super) fn caller_texts(principal: &Principal) -> CallerTexts {
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

/// `ServiceArn=…; ServiceNetworkArn=…; TargetGroupArn=…`, for each network that the service is in.
pub(super) fn target_headers(
    networks: &[Network],
    service: &Service,
    group: &TargetGroup,
) -> Box<[(usize, HeaderValue)]> {
    let text = |position: &usize| {
        let network = networks.get(*position)?;
        let text = format!(
            "ServiceArn={}; ServiceNetworkArn={}; TargetGroupArn={}",
            service.arn, network.arn, group.arn
        );
        Some((*position, header_value(text)))
    };
    service.networks.iter().filter_map(text).collect()
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
