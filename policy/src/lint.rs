//! What a reviewer of policies would want to be told, although the policies run.
//!
//! [`compile`](crate::compile()) warns of what a policy says by itself. Here policies are looked at together with what they guard
//! and with who can call: what is open to everybody, what is never asked for, who can never sign. Every finding has a [`Code`].

mod statements;

use std::collections::{HashMap, HashSet};

use cedar_policy::pst::PrincipalConstraint;
use trellis_model::{
    config::{
        AuthPolicyMode, AuthType, Config, PolicyLanguage, PolicyText, Role, Service,
        ServiceNetwork, TargetGroup, TargetProtocol, User,
    },
    id::ServiceId,
    name::Name,
    problem::{Code, Place, Problem},
};

use crate::{
    compile::NATIVE,
    iam::{
        Effect,
        read::{Attached, read},
    },
};

/// Every finding about the policies of a configuration and about what they guard, beside those that
/// [`Policies::warnings`](crate::Policies::warnings) has. Policies with errors are passed over: they are not for review yet.
pub fn lint(config: &Config) -> Vec<Problem> {
    let mut linter = Linter::new(config);
    for network in &config.service_networks {
        linter.network(network);
    }
    for service in &config.services {
        linter.service(service);
    }
    let all: Vec<&Service> = config.services.iter().map(|service| &**service).collect();
    for user in &config.users {
        linter.user(user, &all);
    }
    for role in &config.roles {
        linter.role(role, &all);
    }
    for group in &config.target_groups {
        linter.target_group(group);
    }
    linter.findings
}

struct Linter<'a> {
    services: HashMap<ServiceId, &'a Service>,
    /// A network whose policy does not count, of each service that is in one.
    open: HashMap<ServiceId, &'a Name>,
    /// Ids of all VPCs.
    vpcs: HashSet<&'a str>,
    /// Does any policy of a network or service count?
    policed: bool,
    findings: Vec<Problem>,
}

/// A network or service with its policies.
struct Guard<'g> {
    what: String,
    place: &'g Place,
    counted: bool,
    mode: AuthPolicyMode,
    policy: Option<&'g PolicyText>,
    shadow: Option<&'g PolicyText>,
}

/// What a policy is attached to.
struct Scope<'s> {
    attached: Attached,
    /// Does it count?
    counted: bool,
    /// The services that it is about.
    services: &'s [&'s Service],
}

impl<'a> Linter<'a> {
    fn new(config: &'a Config) -> Self {
        let networks = config
            .service_networks
            .iter()
            .map(|network| network.auth_type);
        let services = config.services.iter().map(|service| service.auth_type);
        let open = config
            .service_networks
            .iter()
            .filter(|network| network.auth_type == AuthType::None)
            .flat_map(|network| {
                network
                    .services
                    .iter()
                    .map(move |of| (of.service, &network.name))
            });
        Self {
            open: open.collect(),
            services: config
                .services
                .iter()
                .map(|service| (service.id, &**service))
                .collect(),
            vpcs: config.vpcs.iter().map(|vpc| vpc.id.as_str()).collect(),
            policed: networks
                .chain(services)
                .any(|auth_type| auth_type == AuthType::AwsIam),
            findings: Vec::new(),
        }
    }

    fn find(&mut self, code: Code, place: &Place, message: String, hint: &str) {
        let finding = Problem::warning(place.clone(), message);
        self.findings.push(finding.code(code).hint(hint));
    }

    fn network(&mut self, network: &ServiceNetwork) {
        if network.vpcs.is_empty() && network.auth_policy.is_some() {
            let message = format!(
                "no VPC is in service network `{}`: its policy is never consulted",
                network.name
            );
            let hint = "name one in `vpcAssociations`";
            self.find(Code::NeverConsulted, &network.place, message, hint);
        }
        let members: Vec<&Service> = network
            .services
            .iter()
            .filter_map(|association| self.services.get(&association.service).copied())
            .collect();
        self.auth_policies(
            &Guard {
                what: format!("service network `{}`", network.name),
                place: &network.place,
                counted: network.auth_type == AuthType::AwsIam,
                mode: network.auth_policy_mode,
                policy: network.auth_policy.as_ref(),
                shadow: network.shadow_auth_policy.as_ref(),
            },
            &members,
        );
    }

    fn service(&mut self, service: &Service) {
        let open = self.open.get(&service.id);
        if let Some(network) = open.filter(|_| service.auth_type == AuthType::None) {
            let message = format!(
                "service `{}` takes requests from anybody in service network `{}`: neither asks who is calling",
                service.name, network
            );
            let hint = "`authType: AWS_IAM` and an `authPolicy`, on one of them or both";
            self.find(Code::NoAuthentication, &service.place, message, hint);
        }
        self.auth_policies(
            &Guard {
                what: format!("service `{}`", service.name),
                place: &service.place,
                counted: service.auth_type == AuthType::AwsIam,
                mode: service.auth_policy_mode,
                policy: service.auth_policy.as_ref(),
                shadow: service.shadow_auth_policy.as_ref(),
            },
            &[service],
        );
    }

    /// The policy of a network or service, and the candidate for it.
    fn auth_policies(&mut self, guard: &Guard<'_>, services: &[&Service]) {
        if guard.counted && guard.mode == AuthPolicyMode::Audit {
            let message = format!(
                "the auth policy of {} is in audit: it refuses nothing",
                guard.what
            );
            let hint = "`authPolicyMode: ENFORCE`, once the records show no surprises";
            self.find(Code::NotEnforced, guard.place, message, hint);
        }
        // A candidate is meant to count.
        for (policy, counted) in [(guard.policy, guard.counted), (guard.shadow, true)] {
            let scope = Scope {
                attached: Attached::ToResource,
                counted,
                services,
            };
            if let Some(policy) = policy {
                self.policy(policy, &scope);
            }
        }
    }

    fn user(&mut self, user: &User, all: &[&Service]) {
        let who = format!("user `{}`", user.name);
        self.principal(&user.place, &who, !user.access_keys.is_empty());
        self.identity_policies(&user.place, &who, &user.policies, all);
    }

    fn role(&mut self, role: &Role, all: &[&Service]) {
        let who = format!("role `{}`", role.name);
        let can_sign = !role.access_keys.is_empty() || role.trust_policy.is_some();
        self.principal(&role.place, &who, can_sign);
        self.identity_policies(&role.place, &who, &role.policies, all);
    }

    fn principal(&mut self, place: &Place, who: &str, can_sign: bool) {
        if !can_sign {
            let message = format!("{who} has no access key: nobody can sign as it");
            self.find(
                Code::NoCredentials,
                place,
                message,
                "add `accessKeys`, or remove it",
            );
        }
    }

    fn identity_policies(
        &mut self,
        place: &Place,
        who: &str,
        policies: &[PolicyText],
        all: &[&Service],
    ) {
        if policies.is_empty() && self.policed {
            let message =
                format!("{who} has no policy: what it signs is refused wherever a policy counts");
            let hint = "identities need a permission too; add `policies` that allow `vpc-lattice-svcs:Invoke`";
            self.find(Code::NoIdentityPolicy, place, message, hint);
        }
        for policy in policies {
            let scope = Scope {
                attached: Attached::ToIdentity,
                counted: self.policed,
                services: all,
            };
            self.policy(policy, &scope);
        }
    }

    fn target_group(&mut self, group: &TargetGroup) {
        if group.protocol == TargetProtocol::Https && group.tls.is_none() {
            let message = format!(
                "targets of `{}` are reached over TLS, and their certificates are not verified",
                group.name
            );
            let hint = "as in VPC Lattice: whoever takes over the address of a target can pose as it; `tls` of the group says whom to trust";
            self.find(Code::UnverifiedTls, &group.place, message, hint);
        }
    }

    fn policy(&mut self, policy: &PolicyText, scope: &Scope<'_>) {
        match policy.language {
            PolicyLanguage::Iam => {
                if let Ok((document, _)) = read(policy, scope.attached, None) {
                    self.statements(policy, &document, scope);
                }
            }
            PolicyLanguage::Cedar => self.natives(policy, scope),
        }
    }

    /// Native policies that permit everybody, without a condition.
    fn natives(&mut self, policy: &PolicyText, scope: &Scope<'_>) {
        let Some((natives, _)) = NATIVE
            .as_ref()
            .ok()
            .and_then(|reader| reader.read(policy, 0).ok())
        else {
            return;
        };
        if scope.attached == Attached::ToIdentity || !scope.counted {
            return;
        }
        for (position, native) in natives.iter().enumerate() {
            let Ok(tree) = native.policy.to_pst() else {
                continue;
            };
            let body = tree.body();
            let everybody = matches!(body.principal, PrincipalConstraint::Any);
            if native.effect == Effect::Allow && everybody && native.labels.is_empty() {
                let name = match &native.annotated {
                    Some(id) => format!("`{id}`"),
                    None => (position + 1).to_string(),
                };
                let message = format!("Cedar policy {name}: {}", statements::PUBLIC);
                self.find(
                    Code::PublicAccess,
                    &policy.place,
                    message,
                    statements::PUBLIC_HINT,
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
