//! The little world that the tests of this crate ask questions in: two accounts, one network, two services, a few callers.

use std::{
    borrow::Cow,
    net::IpAddr,
    path::Path,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use trellis_model::{
    config::{AuthType, Config, PolicyLanguage, PolicyText},
    id::{ServiceId, VpcId},
    load::{Inputs, Source, load},
    name::AccountId,
    problem::Place,
};

use crate::{Action, Caller, Explanation, Policies, Refusal, Request, compile};

pub(crate) const CHECKOUT: &str = "arn:aws:iam::111122223333:user/checkout";
pub(crate) const AUDITOR: &str = "arn:aws:iam::444455556666:user/auditor";
pub(crate) const READER: &str = "arn:aws:sts::111122223333:assumed-role/reader/night";
pub(crate) const READER_ROLE: &str = "arn:aws:iam::111122223333:role/reader";
pub(crate) const WRITER: &str = "arn:aws:sts::444455556666:assumed-role/writer/day";
pub(crate) const CALLERS: [&str; 5] = ["anonymous", CHECKOUT, AUDITOR, READER, WRITER];

/// Account 111122223333 is in an organization, account 444455556666 is not.
const HOME: &str = r#"
account: "111122223333"
region: us-west-2
organization: {id: o-home, paths: ["o-home/r-1/ou-a/", "o-home/r-1/ou-b/"]}
vpcs: [{name: shop, id: vpc-0123456789abcdef0, cidrs: [10.0.0.0/16], attachments: [{listen: [127.0.0.1]}]}]
serviceNetworks:
  - name: net
    vpcAssociations: [{vpcIdentifier: shop}]
    serviceAssociations: [{serviceIdentifier: orders}, {serviceIdentifier: catalog}]
services:
  - name: orders
    tags: {Env: prod, tier: "1"}
    listeners: [{name: http, protocol: HTTP, port: 8080, defaultAction: {fixedResponse: {statusCode: 404}}}]
  - name: catalog
    listeners: [{name: http, protocol: HTTP, port: 8080, defaultAction: {fixedResponse: {statusCode: 404}}}]
principals:
  users: [{name: checkout, tags: {Team: web, level: "3"}, accessKeys: [{id: AKIACHECKOUT00000000, secret: {env: SECRET}}]}]
  roles: [{name: reader, tags: {Team: ops}, accessKeys: [{id: AKIAREADER0000000000, secret: {env: SECRET}, sessionName: night}]}]
"#;

const ABROAD: &str = r#"
account: "444455556666"
principals:
  users: [{name: auditor, accessKeys: [{id: AKIAAUDITOR000000000, secret: {env: SECRET}}]}]
  roles: [{name: writer, accessKeys: [{id: AKIAWRITER0000000000, secret: {env: SECRET}, sessionName: day}]}]
"#;

struct NoFiles;

impl Inputs for NoFiles {
    fn read(&self, _: &Path) -> Result<String, String> {
        Err("there are no files".to_owned())
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "SECRET").then(|| "0123456789012345678901234567890123456789".to_owned())
    }
}

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let source = |path: &str, text: &str| Source {
        path: path.into(),
        text: Ok(text.to_owned()),
    };
    match load(
        &[source("home.yaml", HOME), source("abroad.yaml", ABROAD)],
        &NoFiles,
    ) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{problems}"),
    }
});

/// The configuration of a single document.
pub(crate) fn load_one(text: &str) -> Config {
    let source = Source {
        path: "one.yaml".into(),
        text: Ok(text.to_owned()),
    };
    match load(&[source], &NoFiles) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{problems}"),
    }
}

/// The configuration without any policy.
pub(crate) fn config() -> Config {
    CONFIG.clone()
}

/// A policy text: JSON, or else Cedar.
pub(crate) fn policy(text: &str) -> PolicyText {
    let language = if text.trim_start().starts_with('{') {
        PolicyLanguage::Iam
    } else {
        PolicyLanguage::Cedar
    };
    PolicyText {
        language,
        text: text.into(),
        place: Place {
            file: Some(Arc::new("policy.json".into())),
            ..Place::default()
        },
    }
}

/// The policies of a layer in a test.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Given<'a> {
    /// Auth type `NONE`.
    None,
    /// Auth type `AWS_IAM` without a policy; for callers, no policy.
    NoPolicy,
    /// Auth type `AWS_IAM` with this policy.
    Policy(&'a str),
}

impl Given<'_> {
    fn auth(self) -> (AuthType, Option<PolicyText>) {
        match self {
            Self::None => (AuthType::None, None),
            Self::NoPolicy => (AuthType::AwsIam, None),
            Self::Policy(text) => (AuthType::AwsIam, Some(policy(text))),
        }
    }
}

/// The configuration with policies: of the network, of the service `orders`, and of every caller.
pub(crate) fn config_with(network: Given<'_>, service: Given<'_>, identity: Given<'_>) -> Config {
    let mut config = config();
    let guarded = Arc::make_mut(&mut config.service_networks[0]);
    (guarded.auth_type, guarded.auth_policy) = network.auth();
    let guarded = Arc::make_mut(&mut config.services[0]);
    (guarded.auth_type, guarded.auth_policy) = service.auth();
    let (_, identity) = identity.auth();
    for user in &mut config.users {
        let user = Arc::make_mut(user);
        user.policies = identity.iter().cloned().collect();
    }
    for role in &mut config.roles {
        let role = Arc::make_mut(role);
        role.policies = identity.iter().cloned().collect();
    }
    config
}

pub(crate) fn policies_with(
    network: Given<'_>,
    service: Given<'_>,
    identity: Given<'_>,
) -> Policies {
    match compile(&config_with(network, service, identity)) {
        Ok(policies) => policies,
        Err(problems) => panic!("{problems}"),
    }
}

/// A request to the service `orders`.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) action: Action,
    pub(crate) caller: &'static str,
    /// A caller of its own, in place of the one above.
    pub(crate) session: Option<Caller>,
    pub(crate) method: String,
    pub(crate) path: Vec<u8>,
    pub(crate) query: Option<Vec<u8>>,
    pub(crate) authority: &'static str,
    pub(crate) headers: Vec<(Cow<'static, str>, Vec<u8>)>,
    pub(crate) port: u16,
    pub(crate) source_ip: IpAddr,
    pub(crate) source_vpc: Cow<'static, str>,
    pub(crate) source_vpc_owner: Cow<'static, str>,
    pub(crate) secure_transport: bool,
    pub(crate) seconds: u64,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            action: Action::Invoke,
            caller: "anonymous",
            session: None,
            method: "GET".to_owned(),
            path: b"/rates/1".to_vec(),
            query: None,
            authority: "orders.test",
            headers: Vec::new(),
            port: 8080,
            source_ip: IpAddr::from([10, 0, 3, 4]),
            source_vpc: "vpc-0123456789abcdef0".into(),
            source_vpc_owner: "111122223333".into(),
            secure_transport: false,
            seconds: 1_700_000_000,
        }
    }
}

impl Call {
    /// By this caller.
    pub(crate) fn by(caller: &'static str) -> Self {
        Self {
            caller,
            ..Self::default()
        }
    }

    /// With this method, path and perhaps query: `GET /a?b=c`.
    pub(crate) fn line(mut self, line: &str) -> Self {
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes().to_vec())),
            None => (target, None),
        };
        self.method = method.to_owned();
        self.path = path.as_bytes().to_vec();
        self.query = query;
        self
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Hands the request to the policies in question.
    pub(crate) fn with<T>(&self, policies: &Policies, then: impl FnOnce(&Request<'_>) -> T) -> T {
        self.with_service(policies, CONFIG.services[0].id, then)
    }

    /// The same, for another service.
    pub(crate) fn with_service<T>(
        &self,
        policies: &Policies,
        service: ServiceId,
        then: impl FnOnce(&Request<'_>) -> T,
    ) -> T {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value).unwrap(),
            );
        }
        let vpc: VpcId = self.source_vpc.parse().unwrap();
        let owner: AccountId = self.source_vpc_owner.parse().unwrap();
        let known = match self.caller {
            "anonymous" => Caller::Anonymous,
            arn => Caller::Principal(policies.principal_by_arn(arn).unwrap()),
        };
        let caller = self.session.clone().unwrap_or(known);
        then(&Request {
            action: self.action,
            network: policies.network(CONFIG.service_networks[0].id).unwrap(),
            service: policies.service(service).unwrap(),
            caller: &caller,
            method: &self.method,
            path: &self.path,
            query: self.query.as_deref(),
            authority: self.authority.as_bytes(),
            headers: &headers,
            port: self.port,
            source_ip: self.source_ip,
            source_vpc: &vpc,
            source_vpc_owner: &owner,
            secure_transport: self.secure_transport,
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds),
        })
    }

    /// The answer. Cedar's authorizer must agree.
    pub(crate) fn ask(&self, policies: &Policies) -> Result<(), Refusal> {
        let decided = self.ask_twice(policies);
        let by_cedar = self.with(policies, |request| policies.authorize_by_cedar(request));
        assert_eq!(decided, by_cedar, "Cedar's authorizer differs: {self:?}");
        decided
    }

    /// The answer, asked twice: the second may come from the cache and must be the same.
    pub(crate) fn ask_twice(&self, policies: &Policies) -> Result<(), Refusal> {
        self.with(policies, |request| {
            let first = policies.authorize(request).map(drop);
            let second = policies.authorize(request).map(drop);
            assert_eq!(first, second, "a cached decision differs: {self:?}");
            first
        })
    }

    pub(crate) fn explain(&self, policies: &Policies) -> Explanation {
        self.with(policies, |request| policies.explain(request))
    }
}

/// ARN of the service `orders`.
pub(crate) fn service_arn() -> String {
    CONFIG.services[0].arn.to_string()
}

/// ARN of the service network.
pub(crate) fn network_arn() -> String {
    CONFIG.service_networks[0].arn.to_string()
}

/// A policy of one statement.
pub(crate) fn statement(body: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{{{body}}}]}}"#)
}
