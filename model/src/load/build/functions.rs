//! Target groups of type LAMBDA, and how functions are called.

use std::{net::Ipv6Addr, sync::Arc};

use super::{Builder, gateway::given};
use crate::{
    arn::Arn,
    config::{
        AwsSigner, EventVersion, FunctionArn, FunctionCall, FunctionGroup, FunctionNames,
        HttpEndpoint,
    },
    document,
    id::TargetGroupId,
    load::path::At,
    name::partition,
    ranges,
};

/// Requests that are with a function at a time, where nothing else is said: what an AWS account may run to begin with.
const CONCURRENCY: usize = 1000;

/// What `gateway.functions` says, for groups that say nothing themselves.
#[derive(Debug)]
struct Api {
    endpoint: HttpEndpoint,
    names: FunctionNames,
    signer: Option<AwsSigner>,
    /// Is it AWS's own? It takes no request without a signature.
    is_aws: bool,
}

impl<'a> Builder<'a> {
    /// The target groups of type LAMBDA; the others are [`Self::build_target_groups`]'.
    ///
    /// Beside them: how functions are called of which nothing else is said.
    pub(super) fn build_function_groups(
        &mut self,
    ) -> (Vec<Arc<FunctionGroup>>, Option<FunctionCall>) {
        let api = self.function_api();
        let mut groups = Vec::new();
        for (position, file) in self.files.iter().enumerate() {
            let root = At::file(position);
            let list = root.member("targetGroups");
            for (index, written) in file.document.target_groups.iter().enumerate() {
                if written.kind == document::TargetGroupType::Lambda {
                    let at = list.index(index);
                    let place = (position, index);
                    let group = self.function_group(&at, place, written, api.as_ref());
                    groups.extend(group.map(Arc::new));
                }
            }
        }
        let call = api.map(|api| FunctionCall::Invoke {
            endpoint: api.endpoint,
            names: api.names,
            signer: api.signer,
        });
        (groups, call)
    }

    fn function_group(
        &mut self,
        at: &At<'_>,
        (file, index): (usize, usize),
        written: &'a document::TargetGroup,
        api: Option<&Api>,
    ) -> Option<FunctionGroup> {
        let account = self.account(file).clone();
        let name = self.name(
            &at.member("name"),
            &written.name,
            &ranges::TARGET_GROUP_NAME,
            TargetGroupId::PREFIX,
        );
        let event = self.event_version(&at.member("config"), written.config.as_ref());
        let (at_function, defaults) = (at.member("function"), document::FunctionCall::default());
        let call = written.function.as_ref().unwrap_or(&defaults);
        let timeout = call.timeout_seconds.map(|seconds| {
            let at = at_function.member("timeoutSeconds");
            self.seconds(&at, Some(seconds), &ranges::FUNCTION_TIMEOUT, 0)
        });
        let concurrency = self.number(
            &at_function.member("maxConcurrentInvocations"),
            call.max_concurrent_invocations,
            &ranges::INVOCATIONS,
            CONCURRENCY,
        );
        let call = self.function_call(&at_function, call, api);
        let tags = self.tags(&at.member("tags"), &written.tags);
        self.unbalanced(at, written);
        let function = self.function_target(&at.member("targets"), file, &written.targets);
        if !self
            .target_groups
            .is_first(self.owner(file), &written.name, file, index)
        {
            return None;
        }
        let id = TargetGroupId::derive(&account, &self.region, &[&written.name]);
        Some(FunctionGroup {
            id,
            arn: Arn::lattice(&account, &self.region, format_args!("targetgroup/{id}")),
            name: name?,
            account,
            function: function?,
            event,
            call: call?,
            timeout: given(timeout)?,
            concurrency: concurrency?,
            tags,
            place: self.place(at),
        })
    }

    /// The version of events, and a report of everything else in `config`: functions have none of it.
    fn event_version(
        &mut self,
        at: &At<'_>,
        config: Option<&document::TargetGroupConfig>,
    ) -> EventVersion {
        let Some(config) = config else {
            return EventVersion::V1;
        };
        for (member, is_there) in [
            ("protocol", config.protocol.is_some()),
            ("port", config.port.is_some()),
            ("protocolVersion", config.protocol_version.is_some()),
            ("vpcIdentifier", config.vpc_identifier.is_some()),
            ("ipAddressType", config.ip_address_type.is_some()),
            ("healthCheck", config.health_check.is_some()),
        ] {
            if is_there {
                let message = format!("a target group of type LAMBDA has no `{member}`");
                self.error(&at.member(member), message).hint("leave it out");
            }
        }
        match config.lambda_event_structure_version {
            None | Some(document::EventVersion::V1) => EventVersion::V1,
            Some(document::EventVersion::V2) => EventVersion::V2,
        }
    }

    /// Reports what is about finding and choosing targets: there is one, which is named.
    fn unbalanced(&mut self, at: &At<'_>, written: &document::TargetGroup) {
        for (member, is_there) in [
            ("balancing", written.balancing.is_some()),
            ("outlierDetection", written.outlier_detection.is_some()),
            ("connectionPool", written.connection_pool.is_some()),
            ("discovery", written.discovery.is_some()),
        ] {
            if is_there {
                let message = format!("a target group of type LAMBDA has no `{member}`");
                self.error(&at.member(member), message).hint("leave it out");
            }
        }
    }

    /// The one target: a function of the group's account and region.
    ///
    /// A function of another account would be called with credentials that its owner gave to somebody else.
    fn function_target(
        &mut self,
        at: &At<'_>,
        file: usize,
        written: &[document::Target],
    ) -> Option<FunctionArn> {
        if written.len() != 1 {
            let message = format!(
                "{} targets in a target group of type LAMBDA, which has exactly one",
                written.len()
            );
            self.error(at, message);
        }
        let mut function = None;
        for (index, target) in written.iter().enumerate() {
            let at = at.index(index);
            for (member, is_there) in [
                ("port", target.port.is_some()),
                ("weight", target.weight.is_some()),
                ("zone", target.zone.is_some()),
            ] {
                if is_there {
                    self.error(&at.member(member), format!("a function has no {member}"))
                        .hint("leave it out");
                }
            }
            function = self.function_arn(&at.member("id"), file, &target.id);
        }
        function.filter(|_| written.len() == 1)
    }

    fn function_arn(&mut self, at: &At<'_>, file: usize, text: &str) -> Option<FunctionArn> {
        if !self.length(at, text, &ranges::TARGET_ID) {
            return None;
        }
        let beginning = format!(
            "arn:{}:lambda:{}:{}:function:",
            partition(&self.region),
            self.region,
            self.account(file)
        );
        let Some(parts) = FunctionArn::parse(text) else {
            self.error(at, format!("`{text}` is not the ARN of a function"))
                .hint(format!(
                    "such as `{beginning}orders`, perhaps with `:version` or `:alias`"
                ));
            return None;
        };
        if !text.starts_with(&beginning) {
            self.error(
                at,
                format!("`{text}` is a function of another account or region"),
            )
            .hint(format!("one that begins with `{beginning}`"));
            return None;
        }
        Some(parts.into())
    }

    fn function_call(
        &mut self,
        at: &At<'_>,
        written: &document::FunctionCall,
        api: Option<&Api>,
    ) -> Option<FunctionCall> {
        let authorities = self.authorities(&at.member("caFile"), written.ca_file.as_deref());
        let endpoint = written
            .endpoint
            .as_ref()
            .map(|text| self.endpoint(&at.member("endpoint"), text, authorities));
        if written.ca_file.is_some() && written.endpoint.is_none() {
            self.error(&at.member("caFile"), "`caFile` without an `endpoint`")
                .hint("the authorities of `gateway.functions` stand there");
        }
        if written.mode == Some(document::FunctionMode::Event) {
            return self.event_call(at, written, given(endpoint)?);
        }
        let endpoint = given(endpoint)?;
        if let Some(endpoint) = &endpoint
            && endpoint.path.contains('?')
        {
            self.error(&at.member("endpoint"), "the Invoke API has no query here")
                .hint("`mode: EVENT` posts to the whole address");
            return None;
        }
        let signer = self.signer(at, written.region.as_deref(), written.credentials.as_ref());
        let signer = given(signer)?;
        // What is wrong with the gateway's was reported there.
        let api = api?;
        let is_aws = endpoint.is_none() && api.is_aws;
        let signer = match (signer, &endpoint) {
            (None, None) => api.signer.clone(),
            (own, _) => own,
        };
        if signer.is_none() && is_aws {
            self.error(at, "no credentials to call the function with")
                .hint("`gateway.functions.credentials`, or an `endpoint` that wants none, such as a local emulator's");
            return None;
        }
        Some(FunctionCall::Invoke {
            endpoint: endpoint.unwrap_or_else(|| api.endpoint.clone()),
            names: written.names.map_or(api.names, Into::into),
            signer,
        })
    }

    /// Events posted to a server that knows nothing of the Invoke API.
    fn event_call(
        &mut self,
        at: &At<'_>,
        written: &document::FunctionCall,
        endpoint: Option<HttpEndpoint>,
    ) -> Option<FunctionCall> {
        for (member, is_there) in [
            ("region", written.region.is_some()),
            ("credentials", written.credentials.is_some()),
            ("names", written.names.is_some()),
        ] {
            if is_there {
                self.error(
                    &at.member(member),
                    format!("`{member}` is for `mode: INVOKE`"),
                )
                .hint("posted events are not signed and name no function");
            }
        }
        if written.endpoint.is_none() {
            self.error(at, "`mode: EVENT` without an `endpoint`")
                .hint("where events are posted, such as `http://127.0.0.1:8000/events`");
        }
        endpoint.map(|endpoint| FunctionCall::Event { endpoint })
    }

    /// `gateway.functions`, or AWS; `None` when it is wrong.
    fn function_api(&mut self) -> Option<Api> {
        let defaults = document::FunctionApi::default();
        let found = self.files.iter().enumerate().find_map(|(position, file)| {
            let gateway = file.document.gateway.as_ref()?;
            Some((position, gateway.functions.as_ref()?))
        });
        let (file, written) = found.unwrap_or((0, &defaults));
        let root = At::file(file);
        let (gateway, suffix) = (
            root.member("gateway"),
            amazon_domain(partition(&self.region)),
        );
        let at = gateway.member("functions");
        let authorities = self.authorities(&at.member("caFile"), written.ca_file.as_deref());
        let signer = self.signer(&at, written.region.as_deref(), written.credentials.as_ref());
        let aws = format!("https://lambda.{}.{suffix}", self.region);
        let text = written.endpoint.as_deref().unwrap_or(&aws);
        let endpoint = self.endpoint(&at.member("endpoint"), text, authorities)?;
        if endpoint.path.contains('?') {
            self.error(&at.member("endpoint"), "the Invoke API has no query here");
            return None;
        }
        Some(Api {
            endpoint,
            names: written.names.map_or(FunctionNames::Arn, Into::into),
            signer: given(signer)?,
            is_aws: written.endpoint.is_none(),
        })
    }

    /// What requests are signed with: `None` where nothing is said, `Some(None)` where it is wrong.
    #[expect(
        clippy::option_option,
        reason = "the outer layer is consumed at once by `given`"
    )]
    pub(super) fn signer(
        &mut self,
        at: &At<'_>,
        region: Option<&str>,
        written: Option<&document::AwsCredentials>,
    ) -> Option<Option<AwsSigner>> {
        let region = match region {
            None => Some(self.region.clone()),
            Some(text) => self.parsed(&at.member("region"), text),
        };
        let written = written?;
        let at = at.member("credentials");
        let (in_id, id) = (at.member("accessKeyId"), written.access_key_id.as_str());
        let mut right = self.length(&in_id, id, &ranges::ACCESS_KEY_ID);
        if right && !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.error(&in_id, format!("`{id}` is not the id of an access key"))
                .hint("letters, digits and underscores");
            right = false;
        }
        let secret = self.secret(&at.member("secretAccessKey"), &written.secret_access_key);
        let token = written.session_token.as_ref().map(|source| {
            let at = at.member("sessionToken");
            let token = self.secret(&at, source)?;
            let printable = token.expose().bytes().all(|b| b.is_ascii_graphic());
            if !printable {
                self.error(&at, "a session token has printable characters only");
            }
            printable.then_some(token)
        });
        let signer = move || {
            right.then_some(())?;
            Some(AwsSigner {
                region: region?,
                access_key: id.into(),
                secret: secret?,
                session_token: given(token)?,
            })
        };
        Some(signer())
    }

    /// Certificates of authorities from a file: `Some(None)` for those of the system, `None` when the file cannot be read.
    #[expect(
        clippy::option_option,
        reason = "the outer layer is consumed at once by `?`"
    )]
    pub(super) fn authorities(
        &mut self,
        at: &At<'_>,
        file: Option<&str>,
    ) -> Option<Option<Arc<str>>> {
        let Some(written) = file else {
            return Some(None);
        };
        let path = self.relative(at.steps().0, written);
        self.policy_file(at, &path).map(Some)
    }

    /// An address of an HTTP server.
    #[expect(
        clippy::option_option,
        reason = "`None` for authorities that cannot be read, which was reported"
    )]
    pub(super) fn endpoint(
        &mut self,
        at: &At<'_>,
        text: &str,
        authorities: Option<Option<Arc<str>>>,
    ) -> Option<HttpEndpoint> {
        if !self.length(at, text, &ranges::FUNCTION_ENDPOINT) {
            return None;
        }
        let Some(endpoint) = read_endpoint(text) else {
            self.error(at, format!("`{text}` is not the address of an HTTP server"))
                .hint("such as `https://lambda.example.com` or `http://127.0.0.1:4566`");
            return None;
        };
        let authorities = authorities?;
        if authorities.is_some() && !endpoint.tls {
            self.error(at, format!("`{text}` is not encrypted, and has a `caFile`"))
                .hint("`https://…`, or leave out `caFile`");
            return None;
        }
        Some(HttpEndpoint {
            authorities,
            ..endpoint
        })
    }
}

/// `http://` or `https://`, a host, perhaps a port, perhaps a path and a query. No user, no fragment.
fn read_endpoint(text: &str) -> Option<HttpEndpoint> {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    let (scheme, rest) = text.split_once("://").filter(|_| printable)?;
    let tls = match scheme {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/?".contains(&b);
    if !(path.is_empty() || path.starts_with('/')) || !path.bytes().all(fits) {
        return None;
    }
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        (host, port)
    } else {
        let end = authority.find(':').unwrap_or(authority.len());
        let (host, port) = authority.split_at_checked(end)?;
        if !is_host(host) {
            return None;
        }
        (host, port)
    };
    let port = match port.strip_prefix(':') {
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => {
            port.parse().ok().filter(|port| *port != 0)?
        }
        None if port.is_empty() && tls => 443,
        None if port.is_empty() => 80,
        Some(_) | None => return None,
    };
    Some(HttpEndpoint {
        tls,
        host: host.into(),
        port,
        authority: authority.into(),
        path: path.into(),
        authorities: None,
    })
}

fn is_host(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        })
}

/// The domain of AWS's services. Source: AWS general reference, "Service endpoints", for each partition.
pub(super) fn amazon_domain(partition: &str) -> &'static str {
    match partition {
        "aws-cn" => "amazonaws.com.cn",
        _ => "amazonaws.com",
    }
}

impl From<document::FunctionNames> for FunctionNames {
    fn from(written: document::FunctionNames) -> Self {
        match written {
            document::FunctionNames::Arn => Self::Arn,
            document::FunctionNames::Name => Self::Name,
        }
    }
}
