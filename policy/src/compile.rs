//! From a configuration to everything that decisions need.

use std::collections::HashMap;

use ring::digest;
use trellis_model::{
    arn::Arn,
    config::{AuthType, Config, Role, User},
    id::{ServiceId, ServiceNetworkId},
    problem::{Problem, Problems},
};

use crate::{
    decision::{Layer, Permit, Refusal, RefusalKind},
    explain::{Explanation, LayerExplanation, Outcome},
    principal::{Caller, Principal, PrincipalIndex, PrincipalType},
    request::Request,
};

/// Position of a service network in the compiled policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkIndex(u32);

/// Position of a service in the compiled policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceIndex(u32);

#[derive(Debug)]
struct Guarded<Id> {
    id: Id,
    arn: Arn,
    auth_type: AuthType,
}

/// All that decisions of one snapshot need: principals and the policies of networks, services and principals.
#[derive(Debug)]
pub struct Policies {
    principals: Vec<Principal>,
    by_arn: HashMap<Box<str>, PrincipalIndex>,
    networks: Vec<Guarded<ServiceNetworkId>>,
    network_index: HashMap<ServiceNetworkId, NetworkIndex>,
    services: Vec<Guarded<ServiceId>>,
    service_index: HashMap<ServiceId, ServiceIndex>,
    warnings: Vec<Problem>,
}

/// Compiles the principals and policies of a configuration, or reports every problem of every policy.
pub fn compile(config: &Config) -> Result<Policies, Problems> {
    let mut principals = Vec::new();
    for user in &config.users {
        principals.push(user_principal(user, config));
    }
    for role in &config.roles {
        for key in &role.access_keys {
            principals.push(session_principal(role, &key.session_name, config));
        }
    }
    let mut table: Vec<Principal> = Vec::new();
    let mut by_arn = HashMap::new();
    for principal in principals {
        if !by_arn.contains_key(&principal.arn) {
            by_arn.insert(principal.arn.clone(), PrincipalIndex(index(table.len())));
            table.push(principal);
        }
    }
    let networks: Vec<_> = config
        .service_networks
        .iter()
        .map(|network| Guarded {
            id: network.id,
            arn: network.arn.clone(),
            auth_type: network.auth_type,
        })
        .collect();
    let services: Vec<_> = config
        .services
        .iter()
        .map(|service| Guarded {
            id: service.id,
            arn: service.arn.clone(),
            auth_type: service.auth_type,
        })
        .collect();
    Ok(Policies {
        principals: table,
        by_arn,
        network_index: networks
            .iter()
            .enumerate()
            .map(|(position, network)| (network.id, NetworkIndex(index(position))))
            .collect(),
        networks,
        service_index: services
            .iter()
            .enumerate()
            .map(|(position, service)| (service.id, ServiceIndex(index(position))))
            .collect(),
        services,
        warnings: Vec::new(),
    })
}

fn index(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn user_principal(user: &User, config: &Config) -> Principal {
    Principal {
        arn: user.arn.as_str().into(),
        principal_arn: user.arn.as_str().into(),
        account: user.account.clone(),
        kind: PrincipalType::User,
        name: user.name.clone(),
        session_name: None,
        user_id: unique_id("AIDA", user.arn.as_str()).into(),
        tags: user.tags.clone(),
        organization: config.organizations.get(&user.account).cloned(),
    }
}

fn session_principal(role: &Role, session: &str, config: &Config) -> Principal {
    let arn = Arn::assumed_role(&role.account, &config.region, &role.name, session);
    Principal {
        arn: arn.as_str().into(),
        principal_arn: role.arn.as_str().into(),
        account: role.account.clone(),
        kind: PrincipalType::AssumedRole,
        name: role.name.clone(),
        session_name: Some(session.into()),
        user_id: format!("{}:{session}", unique_id("AROA", role.arn.as_str())).into(),
        tags: role.tags.clone(),
        organization: config.organizations.get(&role.account).cloned(),
    }
}

/// The unique id of a user or role, derived from its ARN: four letters for the kind, seventeen characters.
fn unique_id(prefix: &str, arn: &str) -> String {
    const ALPHABET: [char; 32] = [
        'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R',
        'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', '2', '3', '4', '5', '6', '7',
    ];
    let digest = digest::digest(&digest::SHA256, arn.as_bytes());
    let letters = digest
        .as_ref()
        .iter()
        .take(17)
        .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)));
    prefix.chars().chain(letters.copied()).collect()
}

impl Policies {
    /// The service network with this id.
    pub fn network(&self, id: ServiceNetworkId) -> Option<NetworkIndex> {
        self.network_index.get(&id).copied()
    }

    /// The service with this id.
    pub fn service(&self, id: ServiceId) -> Option<ServiceIndex> {
        self.service_index.get(&id).copied()
    }

    /// A principal of this configuration.
    pub fn principal(&self, index: PrincipalIndex) -> Option<&Principal> {
        self.principals.get(index.0 as usize)
    }

    /// The principal with this ARN: a user, or a session of a role.
    pub fn principal_by_arn(&self, arn: &str) -> Option<PrincipalIndex> {
        self.by_arn.get(arn).copied()
    }

    /// What the authors of the policies should look at, although the policies run.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// May the request pass? The only source of permits.
    pub fn authorize(&self, request: &Request<'_>) -> Result<Permit, Refusal> {
        let network = self.networks.get(request.network.0 as usize);
        let service = self.services.get(request.service.0 as usize);
        for (layer, auth_type) in [
            (Layer::Network, network.map(|network| network.auth_type)),
            (Layer::Service, service.map(|service| service.auth_type)),
        ] {
            if auth_type != Some(AuthType::None) {
                return Err(Refusal {
                    layer,
                    kind: RefusalKind::Implicit,
                    statement: None,
                    action: request.action,
                });
            }
        }
        Ok(Permit::new(request.caller))
    }

    /// Why may the request pass or not? From the same compiled data as [`Policies::authorize`].
    pub fn explain(&self, request: &Request<'_>) -> Explanation {
        let outcome = self.authorize(request);
        let caller = match request.caller {
            Caller::Anonymous => None,
            Caller::Principal(index) => self.principal(index),
        };
        let caller = caller.map_or("anonymous", |principal| &principal.arn);
        let arn = self
            .services
            .get(request.service.0 as usize)
            .map_or("", |service| service.arn.as_str());
        let path = String::from_utf8_lossy(request.path);
        Explanation {
            allowed: outcome.is_ok(),
            caller: caller.to_owned(),
            action: request.action,
            resource: format!("{arn}{path}"),
            refused_by: outcome.as_ref().err().map(|refusal| refusal.layer),
            public_text: outcome
                .as_ref()
                .err()
                .map(|refusal| refusal.public_text(caller, arn, &path)),
            layers: Layer::ALL
                .iter()
                .map(|&layer| LayerExplanation {
                    layer,
                    counted: false,
                    reason: String::new(),
                    outcome: None::<Outcome>,
                    deciding: None,
                    statements: Vec::new(),
                })
                .collect(),
        }
    }
}
