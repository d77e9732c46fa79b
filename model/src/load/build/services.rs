//! Services and listeners.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{
    Builder,
    gateway::{given, unless_zero},
    references::Declared,
    traffic::Written,
};
use crate::{
    arn::Arn,
    config::{
        CertificateFiles, Listener, ListenerProtocol, Service, Timeouts, Traffic, TrustStore,
    },
    document,
    id::{ListenerId, RuleId, ServiceId, TargetGroupId},
    load::path::At,
    name::{DomainName, GENERATED_SHARD, generated_zone},
    ranges,
};

/// A service while its listeners and rules are built.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a, 't> {
    pub(super) file: usize,
    pub(super) id: ServiceId,
    pub(super) name: &'a str,
    /// What counts where its rules say nothing else.
    pub(super) traffic: &'t Arc<Traffic>,
}

/// Which service uses a target group, by id and name: a group serves one service only.
pub(super) type Users<'a> = HashMap<TargetGroupId, (ServiceId, &'a str)>;

impl<'a> Builder<'a> {
    pub(super) fn declare_services(&mut self, position: usize) {
        let Some(file) = self.files.get(position) else {
            return;
        };
        for (index, service) in file.document.services.iter().enumerate() {
            let id = ServiceId::derive(self.account(position), &self.region, &[&service.name]);
            let declared = Declared {
                id,
                file: position,
                index,
            };
            if let Some(first) =
                self.services
                    .declare(self.owner(position), &service.name, declared)
            {
                let first = (first.file, first.index);
                let root = At::file(position);
                let at = root.member("services");
                self.taken(
                    &at.index(index).member("name"),
                    &service.name,
                    "services",
                    first,
                );
            }
        }
    }

    pub(super) fn build_services(&mut self, trust_stores: &[TrustStore]) -> Vec<Arc<Service>> {
        let mut services = Vec::new();
        let mut users = Users::new();
        for (position, file) in self.files.iter().enumerate() {
            let root = At::file(position);
            let list = root.member("services");
            for (index, written) in file.document.services.iter().enumerate() {
                let at = list.index(index);
                let Some(mut service) = self.service(&at, position, index, written, &mut users)
                else {
                    continue;
                };
                service.client_certificates =
                    self.client_certificates(&at, position, written, trust_stores);
                services.push(Arc::new(service));
            }
        }
        services
    }

    fn service(
        &mut self,
        at: &At<'_>,
        file: usize,
        index: usize,
        written: &'a document::Service,
        users: &mut Users<'a>,
    ) -> Option<Service> {
        let account = self.account(file).clone();
        let name = self.name(
            &at.member("name"),
            &written.name,
            &ranges::SERVICE_NAME,
            ServiceId::PREFIX,
        );
        let auth_type = written.auth_type.unwrap_or_default();
        let auth_policy = self.auth_policy(at, auth_type, written.auth_policy.as_ref());
        let auth_policy_mode = self.auth_policy_mode(at, auth_type, written.auth_policy_mode);
        let shadow_auth_policy = self.sized_policy(
            &at.member("shadowAuthPolicy"),
            written.shadow_auth_policy.as_ref(),
        );
        let custom_domain = written
            .custom_domain_name
            .as_deref()
            .map(|text| self.custom_domain(&at.member("customDomainName"), text));
        let certificate = written.certificate.as_ref().map(|certificate| {
            let at = at.member("certificate");
            if written.custom_domain_name.is_none() {
                self.warning(&at, "has no effect without `customDomainName`")
                    .hint("generated names get their certificates from the internal CA");
            }
            Box::new(CertificateFiles {
                certificate: self.relative(file, &certificate.certificate_file),
                private_key: self.relative(file, &certificate.private_key_file),
                place: self.place(&at),
            })
        });
        let idle_timeout = self.idle_timeout(at, written);
        let tags = self.tags(&at.member("tags"), &written.tags);
        let id = ServiceId::derive(&account, &self.region, &[&written.name]);
        let traffic = self.service_traffic(at, written, idle_timeout);
        let owner = Owner {
            file,
            id,
            name: &written.name,
            traffic: &traffic.clone().unwrap_or_default(),
        };
        let listeners = self.listeners(at, owner, &written.listeners, users);
        let idle_timeout = traffic?.timeouts.idle;
        if !self
            .services
            .is_first(self.owner(file), &written.name, file, index)
        {
            return None;
        }
        let generated = format!(
            "{}-{}.{GENERATED_SHARD}.{}",
            written.name,
            id.suffix(),
            generated_zone(&self.region)
        );
        Some(Service {
            id,
            arn: Arn::lattice(&account, &self.region, format_args!("service/{id}")),
            name: name?,
            account,
            generated_domain: generated.parse().ok()?,
            custom_domain: given(custom_domain)?,
            certificate,
            client_certificates: None,
            auth_type: auth_type.into(),
            auth_policy,
            auth_policy_mode,
            shadow_auth_policy,
            idle_timeout: unless_zero(idle_timeout?),
            listeners: listeners?,
            tags,
            place: self.place(at),
        })
    }

    /// What requests to the service may take, unless a rule says otherwise.
    fn service_traffic(
        &mut self,
        at: &At<'_>,
        written: &document::Service,
        idle: Option<Duration>,
    ) -> Option<Arc<Traffic>> {
        let outer = Traffic {
            timeouts: Timeouts {
                idle,
                ..Timeouts::default()
            },
            ..Traffic::default()
        };
        let written = Written {
            timeouts: written.timeouts.as_ref(),
            retry_policy: written.retry_policy.as_ref(),
            hedging: written.hedging.as_ref(),
        };
        let outer = self.alike.traffic.share(outer);
        self.traffic(at, written, &outer)
    }

    fn idle_timeout(&mut self, at: &At<'_>, written: &document::Service) -> Option<Duration> {
        let own = self.seconds(
            &at.member("idleTimeoutSeconds"),
            written.idle_timeout_seconds,
            &ranges::IDLE_TIMEOUT,
            60,
        );
        let limits = at.member("limits");
        match written
            .limits
            .as_ref()
            .and_then(|limits| limits.idle_timeout_seconds)
        {
            Some(longer) => self.seconds(
                &limits.member("idleTimeoutSeconds"),
                Some(longer),
                &ranges::LONG_IDLE_TIMEOUT,
                60,
            ),
            None => own,
        }
    }

    fn custom_domain(&mut self, at: &At<'_>, text: &str) -> Option<DomainName> {
        let lower = text.to_ascii_lowercase();
        let plain = lower.strip_suffix('.').unwrap_or(&lower);
        if !self.length(at, text, &ranges::CUSTOM_DOMAIN) {
            return None;
        }
        let Ok(domain) = plain.parse::<DomainName>() else {
            let hint = if text.contains('*') {
                "a wildcard cannot be a custom domain name"
            } else {
                "such as `orders.shop.test`"
            };
            self.error(at, format!("`{text}` is not a domain name"))
                .hint(hint);
            return None;
        };
        // A name whose last label is a number is an address to every URL parser, so no client could ever send it.
        if plain
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
        {
            self.error(at, format!("`{text}` is an address, not a domain name"))
                .hint("such as `orders.shop.test`");
            return None;
        }
        if plain
            .strip_suffix(&generated_zone(&self.region))
            .is_some_and(|above| above.is_empty() || above.ends_with('.'))
        {
            self.error(at, format!("`{text}` is among the generated names"))
                .hint("a domain name of your own");
            return None;
        }
        Some(domain)
    }

    fn listeners(
        &mut self,
        at: &At<'_>,
        owner: Owner<'a, '_>,
        written: &'a [document::Listener],
        users: &mut Users<'a>,
    ) -> Option<Vec<Listener>> {
        let list = at.member("listeners");
        let mut names: HashSet<&str> = HashSet::new();
        let mut ports: HashMap<u16, &str> = HashMap::new();
        let mut listeners = Some(Vec::with_capacity(written.len()));
        for (index, listener) in written.iter().enumerate() {
            let at = list.index(index);
            let port = self.listener_port(&at, listener);
            if !names.insert(&listener.name) {
                self.error(
                    &at.member("name"),
                    format!(
                        "{:?} is taken by another listener of this service",
                        listener.name
                    ),
                );
            }
            if let Some(port) = port
                && let Some(other) = ports.insert(port, &listener.name)
            {
                self.error(
                    &at.member("port"),
                    format!("{port} is taken by listener {other:?}"),
                );
            }
            match (
                self.listener(&at, owner, listener, port, users),
                &mut listeners,
            ) {
                (Some(built), Some(all)) => all.push(built),
                _ => listeners = None,
            }
        }
        listeners
    }

    fn listener_port(&mut self, at: &At<'_>, written: &document::Listener) -> Option<u16> {
        let default = match written.protocol {
            document::ListenerProtocol::Http => 80,
            document::ListenerProtocol::Https => 443,
        };
        self.number(&at.member("port"), written.port, &ranges::PORT, default)
    }

    fn listener(
        &mut self,
        at: &At<'_>,
        owner: Owner<'a, '_>,
        written: &'a document::Listener,
        port: Option<u16>,
        users: &mut Users<'a>,
    ) -> Option<Listener> {
        let name = self.name(
            &at.member("name"),
            &written.name,
            &ranges::LISTENER_NAME,
            ListenerId::PREFIX,
        );
        let default_action = self.action(
            &at.member("defaultAction"),
            owner,
            &written.default_action,
            users,
        );
        let rules = self.rules(at, owner, written, users);
        let account = self.account(owner.file);
        let id = ListenerId::derive(account, &self.region, &[owner.name, &written.name]);
        Some(Listener {
            id,
            arn: Arn::lattice(
                account,
                &self.region,
                format_args!("service/{}/listener/{id}", owner.id),
            ),
            name: name?,
            protocol: match written.protocol {
                document::ListenerProtocol::Http => ListenerProtocol::Http,
                document::ListenerProtocol::Https => ListenerProtocol::Https,
            },
            port: port?,
            rules: rules?,
            // Four parts, so that it differs from the rule that the user calls `default`, which has three.
            default_rule: RuleId::derive(
                account,
                &self.region,
                &[owner.name, &written.name, "default", ""],
            ),
            default_action: default_action?,
        })
    }
}
