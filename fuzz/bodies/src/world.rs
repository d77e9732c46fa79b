//! The little world that bodies ask questions in: two accounts, one network, one service, a few callers.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use trellis_model::{
    config::{Config, PolicyLanguage, PolicyText},
    load::{Inputs, Source, load},
    problem::Place,
};

pub(crate) const CHECKOUT: &str = "arn:aws:iam::111122223333:user/checkout";
pub(crate) const AUDITOR: &str = "arn:aws:iam::444455556666:user/auditor";
pub(crate) const READER: &str = "arn:aws:sts::111122223333:assumed-role/reader/night";
pub(crate) const READER_ROLE: &str = "arn:aws:iam::111122223333:role/reader";
pub(crate) const REGION: &str = "us-west-2";
pub(crate) const KEY_ID: &str = "AKIACHECKOUT00000000";
pub(crate) const SECRET: &str = "0123456789012345678901234567890123456789";

/// When everything happens, in seconds since 1970.
pub(crate) const NOW: u64 = 1_763_979_072;
/// The same moment as signatures have it.
pub(crate) const DATE: &str = "20251124T101112Z";

const HOME: &str = r#"
account: "111122223333"
region: us-west-2
organization: {id: o-home, paths: ["o-home/r-1/ou-a/", "o-home/r-1/ou-b/"]}
vpcs: [{name: shop, id: vpc-0123456789abcdef0, cidrs: [10.0.0.0/16], attachments: [{listen: [127.0.0.1]}]}]
serviceNetworks:
  - name: net
    vpcAssociations: [{vpcIdentifier: shop}]
    serviceAssociations: [{serviceIdentifier: orders}]
services:
  - name: orders
    authType: AWS_IAM
    tags: {Env: prod, tier: "1"}
    listeners: [{name: http, protocol: HTTP, port: 8080, defaultAction: {fixedResponse: {statusCode: 404}}}]
principals:
  users: [{name: checkout, tags: {Team: web, level: "3"}, accessKeys: [{id: AKIACHECKOUT00000000, secret: {env: SECRET}}]}]
  roles: [{name: reader, tags: {Team: ops}, accessKeys: [{id: AKIAREADER0000000000, secret: {env: SECRET}, sessionName: night}]}]
"#;

const ABROAD: &str = r#"
account: "444455556666"
principals:
  users: [{name: auditor, accessKeys: [{id: AKIAAUDITOR000000000, secret: {env: SECRET}}]}]
"#;

/// What every caller may do, as far as its own policies are concerned.
const EVERYTHING: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;

struct NoFiles;

impl Inputs for NoFiles {
    fn read(&self, _: &Path) -> Result<String, String> {
        Err("there are no files".to_owned())
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "SECRET").then(|| SECRET.to_owned())
    }
}

/// The configuration, in which callers may do everything and the service has no policy yet.
pub(crate) fn config() -> Config {
    let source = |path: &str, text: &str| Source {
        path: path.into(),
        text: Ok(text.to_owned()),
    };
    let sources = [source("home.yaml", HOME), source("abroad.yaml", ABROAD)];
    let mut config = load(&sources, &NoFiles).unwrap().config;
    let everything = text(PolicyLanguage::Iam, EVERYTHING);
    for user in &mut config.users {
        Arc::make_mut(user).policies = vec![everything.clone()];
    }
    for role in &mut config.roles {
        Arc::make_mut(role).policies = vec![everything.clone()];
    }
    config
}

/// A policy.
pub(crate) fn text(language: PolicyLanguage, text: &str) -> PolicyText {
    PolicyText {
        language,
        text: text.into(),
        place: Place::default(),
    }
}

pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

/// A text from bytes, unless they are none.
pub(crate) fn utf8(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// The parts of an input between bytes of zero; as many as wanted, empty where there are too few.
pub(crate) fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}
