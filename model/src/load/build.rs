//! From documents to the configuration: names, ranges, uniqueness, references.
//!
//! Every function looks at all of its document and reports whatever is wrong, and only then gives up on the value. So one wrong name
//! does not hide the next problem.

mod alike;
mod balancing;
mod discovery;
mod functions;
mod gateway;
mod health;
mod identities;
mod logs;
mod networks;
mod principals;
mod references;
mod rules;
mod services;
mod strays;
mod target_groups;
mod target_tls;
mod telemetry;
mod traffic;
mod trust;
mod values;
mod vpcs;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use self::{alike::Alike, references::Names};
use super::{Inputs, parse::File, path::At};
use crate::{
    config::{Config, Organization},
    id::{ServiceId, ServiceNetworkId, TargetGroupId, VpcId},
    name::{AccountId, Region},
    problem::{Code, Place, Problem, Severity},
};

/// Builds the configuration of these files, without what is wrong. With errors in `problems` it cannot be used.
pub(super) fn build(files: &[File], inputs: &dyn Inputs, problems: &mut Vec<Problem>) -> Config {
    let mut builder = Builder::new(files, inputs);
    let config = builder.config();
    problems.append(&mut builder.problems);
    let wrong = |problem: &Problem| problem.severity == Severity::Error;
    if !problems.iter().any(wrong) {
        builder.warn_of_strays(&config);
        problems.append(&mut builder.problems);
    }
    config
}

/// An account, by its position among the accounts of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct AccountIndex(usize);

/// What all parts of the work share.
struct Builder<'a> {
    files: &'a [File],
    inputs: &'a dyn Inputs,
    region: Region,
    accounts: Vec<AccountId>,
    /// Stands for an account that is wrong or missing, which was reported, while the rest is checked.
    no_account: AccountId,
    /// The account of each file.
    owners: Vec<AccountIndex>,
    problems: Vec<Problem>,
    vpcs: Names<'a, VpcId>,
    networks: Names<'a, ServiceNetworkId>,
    services: Names<'a, ServiceId>,
    target_groups: Names<'a, TargetGroupId>,
    /// Files that policies were read from.
    policy_files: HashMap<PathBuf, Option<Arc<str>>>,
    /// Names of resources that a document has but wrongly, so that they were left out.
    lost: HashSet<&'a str>,
    /// Members of documents of which something was left out that nobody knows the name of.
    lost_members: HashSet<&'a str>,
    /// Was a whole document left out?
    lost_everything: bool,
    /// Ids of access keys seen so far.
    access_keys: HashSet<&'a str>,
    /// The zone of the gateway, once its settings are known.
    zone: Option<Box<str>>,
    /// The DNS servers of VPCs that name none, once the settings of the gateway are known.
    resolvers: Arc<[SocketAddr]>,
    /// Most bytes of an auth policy, once the settings of the gateway are known.
    auth_policy_bytes: usize,
    alike: Alike,
}

impl<'a> Builder<'a> {
    fn new(files: &'a [File], inputs: &'a dyn Inputs) -> Self {
        let mut builder = Self {
            files,
            inputs,
            region: values::placeholder("unknown"),
            accounts: Vec::new(),
            no_account: values::placeholder("000000000000"),
            owners: Vec::new(),
            problems: Vec::new(),
            vpcs: Names::new(),
            networks: Names::new(),
            services: Names::new(),
            target_groups: Names::new(),
            policy_files: HashMap::new(),
            lost: HashSet::new(),
            lost_members: HashSet::new(),
            lost_everything: false,
            access_keys: HashSet::new(),
            zone: None,
            resolvers: Arc::default(),
            auth_policy_bytes: 0,
            alike: Alike::default(),
        };
        for file in files {
            builder
                .lost
                .extend(file.lost.names.iter().map(String::as_str));
            builder
                .lost_members
                .extend(file.lost.members.iter().map(String::as_str));
            builder.lost_everything |= file.lost.everything;
        }
        builder.find_region();
        builder.find_accounts();
        builder.declare();
        builder
    }

    fn config(&mut self) -> Config {
        let mut gateway = self.gateway();
        self.auth_policy_bytes = gateway.limits.auth_policy_bytes;
        self.zone.clone_from(&gateway.zone);
        self.resolvers = Arc::clone(&gateway.discovery.resolvers);
        let (vpcs, address_books) = self.build_vpcs();
        let target_groups = self.build_target_groups(&vpcs, &address_books);
        let trust_stores = self.build_trust_stores();
        let (function_groups, functions) = self.build_function_groups();
        gateway.functions = functions;
        let services = self.build_services(&trust_stores);
        let service_networks = self.build_networks(&services);
        let (users, roles) = self.build_principals();
        let identity_providers = self.build_identity_providers();
        let mappings = self.build_mappings(&identity_providers, &trust_stores, (&users, &roles));
        let organizations = self.organizations();
        let access_log_subscriptions = self.build_subscriptions();
        Config {
            gateway,
            region: self.region.clone(),
            vpcs,
            service_networks,
            services,
            target_groups,
            function_groups,
            users,
            roles,
            identity_providers,
            trust_stores,
            mappings,
            organizations,
            access_log_subscriptions,
        }
    }

    /// One region over all files.
    fn find_region(&mut self) {
        let mut found: Option<(usize, &str)> = None;
        for (position, file) in self.files.iter().enumerate() {
            let Some(text) = file.document.region.as_deref() else {
                continue;
            };
            let root = At::file(position);
            let at = root.member("region");
            match found {
                None => {
                    found = Some((position, text));
                    if let Some(region) = self.parsed(&at, text) {
                        self.region = region;
                    }
                }
                Some((first, other)) if other != text => {
                    let file = self.file_name(first);
                    self.error(
                        &at,
                        format!("`{text}` is not the region `{other}` of {file}"),
                    )
                    .hint("one gateway serves one region");
                }
                Some(_) => {}
            }
        }
        if self.files.is_empty() {
            self.report(Problem::error(Place::default(), "no configuration files"));
        } else if found.is_none() && !self.is_lost("region", "") {
            self.error(&At::file(0), "no file names the region")
                .hint("add `region: us-west-2`, or the region you use");
        }
    }

    /// Each file's account: its own, or the only one that the others name.
    fn find_accounts(&mut self) {
        let mut own = Vec::new();
        for (position, file) in self.files.iter().enumerate() {
            let root = At::file(position);
            let account = file.document.account.as_deref().map(|text| {
                let parsed = self.parsed(&root.member("account"), text);
                self.intern_account(parsed.unwrap_or_else(|| self.no_account.clone()))
            });
            own.push(account);
        }
        let mut named: Vec<_> = own.iter().flatten().copied().collect();
        named.sort_unstable();
        named.dedup();
        for (position, account) in own.into_iter().enumerate() {
            let account = match (account, named.as_slice()) {
                (Some(account), _) => account,
                (None, [only]) => *only,
                (None, several) => {
                    if self.is_lost("account", "") {
                        // The account may stand in what could not be read.
                    } else if several.is_empty() && position == 0 {
                        self.error(&At::file(0), "no file names the account")
                            .hint("add `account: \"111122223333\"`, 12 digits");
                    } else if !several.is_empty() {
                        self.error(
                            &At::file(position),
                            "no account, and the other files name several",
                        )
                        .hint("add `account: \"111122223333\"`, 12 digits");
                    }
                    self.intern_account(self.no_account.clone())
                }
            };
            self.owners.push(account);
        }
    }

    fn intern_account(&mut self, account: AccountId) -> AccountIndex {
        // Configurations have few accounts, and this runs once per file.
        let known = self.accounts.iter().position(|other| *other == account);
        AccountIndex(known.unwrap_or_else(|| {
            self.accounts.push(account);
            self.accounts.len() - 1
        }))
    }

    /// Enters the names of everything that can be referred to, and reports names that are taken.
    fn declare(&mut self) {
        for position in 0..self.files.len() {
            self.declare_vpcs(position);
            self.declare_networks(position);
            self.declare_services(position);
            self.declare_target_groups(position);
        }
    }

    fn organizations(&mut self) -> BTreeMap<AccountId, Organization> {
        let mut organizations = BTreeMap::new();
        for (position, file) in self.files.iter().enumerate() {
            let Some(written) = &file.document.organization else {
                continue;
            };
            let root = At::file(position);
            let at = root.member("organization");
            let digits = written.id.strip_prefix("o-").unwrap_or_default();
            if digits.is_empty()
                || !digits
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            {
                self.error(
                    &at.member("id"),
                    format!("`{}` is not the id of an organization", written.id),
                )
                .hint("`o-` and lower-case letters or digits, such as `o-a1b2c3d4e5`");
            }
            let prefix = format!("{}/", written.id);
            for (index, path) in written.paths.iter().enumerate() {
                if !path.starts_with(&prefix) || !path.ends_with('/') {
                    self.error(
                        &at.member("paths").index(index),
                        format!("`{path}` is not a path in organization `{}`", written.id),
                    )
                    .hint(format!("such as `{prefix}r-f6g7/ou-f6g7-h8i9j0/`"));
                }
            }
            let organization = Organization {
                id: written.id.as_str().into(),
                paths: written
                    .paths
                    .iter()
                    .map(|path| path.as_str().into())
                    .collect(),
            };
            let account = self.account(position).clone();
            if let Some(other) = organizations.insert(account.clone(), organization.clone())
                && other != organization
            {
                self.error(
                    &at,
                    format!("another file gives account `{account}` a different organization"),
                );
            }
        }
        organizations
    }

    fn owner(&self, file: usize) -> AccountIndex {
        self.owners.get(file).copied().unwrap_or(AccountIndex(0))
    }

    /// The account that owns the resources of a file.
    fn account(&self, file: usize) -> &AccountId {
        self.accounts
            .get(self.owner(file).0)
            .unwrap_or(&self.no_account)
    }

    fn file_name(&self, position: usize) -> String {
        self.files
            .get(position)
            .map(|file| file.path.display().to_string())
            .unwrap_or_default()
    }

    /// A path that a document names, relative to the document's folder.
    fn relative(&self, file: usize, path: &str) -> PathBuf {
        let folder = self
            .files
            .get(file)
            .and_then(|file| file.path.parent())
            .unwrap_or(Path::new(""));
        folder.join(path)
    }

    /// A place in a document, for a problem or a policy.
    fn place(&self, at: &At<'_>) -> Place {
        let (position, steps) = at.steps();
        let file = self.files.get(position);
        Place {
            file: file.map(|file| Arc::clone(&file.path)),
            path: file.map(|file| file.path_text(&steps)).unwrap_or_default(),
            line: None,
        }
    }

    /// Where a resource was first named, as seen from `at`: `services[3]`, and of which file when it is another.
    fn seen_from(&self, at: &At<'_>, first: &At<'_>) -> String {
        let (here, there) = (self.place(at), self.place(first));
        if here.file == there.file {
            there.path
        } else {
            format!("{} of {}", there.path, self.file_name(first.steps().0))
        }
    }

    /// Reports a problem that stops the configuration from being used.
    fn error(&mut self, at: &At<'_>, message: impl Into<String>) -> Reported<'_> {
        let problem = Problem::error(self.place(at), message);
        self.report(problem)
    }

    /// Reports a problem that the configuration can live with.
    fn warning(&mut self, at: &At<'_>, message: impl Into<String>) -> Reported<'_> {
        let problem = Problem::warning(self.place(at), message);
        self.report(problem)
    }

    fn report(&mut self, problem: Problem) -> Reported<'_> {
        self.problems.push(problem);
        Reported(self.problems.last_mut())
    }
}

/// A problem just reported, to which its kind and a hint may be added.
struct Reported<'p>(Option<&'p mut Problem>);

impl Reported<'_> {
    fn code(mut self, code: Code) -> Self {
        if let Some(problem) = &mut self.0 {
            problem.code = Some(code);
        }
        self
    }

    fn hint(self, hint: impl Into<String>) {
        if let Some(problem) = self.0 {
            problem.hint = Some(hint.into());
        }
    }
}
