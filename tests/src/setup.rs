//! What a gateway is configured with: a document of one account, built up by a scenario.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use trellis_model::config::Config;

use crate::{address::Address, gateway::Gateway, signer::Key};

/// Changes a loaded configuration where documents have no words: times below their least value.
type Adjust = Arc<dyn Fn(&mut Config) + Send + Sync>;

/// How the ARNs of functions of the first account begin; what follows is the group's name.
pub const FUNCTION: &str = "arn:aws:lambda:us-west-2:111122223333:function:";

/// The document of one account.
///
/// It begins with a VPC `shop`, attached by a loopback address of its own; a service network `commerce`, of which the VPC is a
/// member; and a subscription to the network's access records.
pub struct Setup {
    pub(crate) document: Value,
    pub(crate) address: Address,
    pub(crate) http: u16,
    pub(crate) https: u16,
    pub(crate) folder: TempDir,
    pub(crate) adjustments: Vec<Adjust>,
}

impl Setup {
    /// The first account, which also has the settings of the gateway.
    pub fn new() -> Self {
        let mut this = Self::of_account("111122223333");
        let admin = this.address.socket();
        this.document["gateway"] = json!({
            "admin": admin.to_string(),
            "dataDir": this.folder.path().join("data"),
            "workers": 2,
            "limits": {"stopGraceSeconds": 5},
        });
        this
    }

    /// Another account beside the first: see [`Self::start_with`].
    pub fn of_account(account: &str) -> Self {
        let mut address = Address::claim();
        let (http, https) = (address.port(), address.port());
        let folder = TempDir::new().expect("a folder");
        let document = json!({
            "account": account,
            "region": "us-west-2",
            "vpcs": [{"name": "shop", "attachments": [{"listen": [address.ip()]}]}],
            "serviceNetworks": [{
                "name": "commerce",
                "vpcAssociations": [{"vpcIdentifier": "shop"}],
                "serviceAssociations": [],
            }],
            "services": [],
            "targetGroups": [],
            "principals": {"users": [], "roles": []},
            "accessLogSubscriptions": [{
                "resourceIdentifier": "commerce",
                "destination": {"file": folder.path().join("access.jsonl")},
            }],
        });
        Self {
            document,
            address,
            http,
            https,
            folder,
            adjustments: Vec::new(),
        }
    }

    /// A service `orders` whose requests all go to one group with these targets.
    pub fn with_orders<'t>(targets: impl IntoIterator<Item = &'t crate::Target>) -> Self {
        Self::new()
            .group("orders-targets", targets)
            .service("orders", &forward(&[("orders-targets", 100)]))
    }

    /// The address that the VPC is attached by.
    pub fn ip(&self) -> Ipv4Addr {
        self.address.ip()
    }

    /// The port of HTTP listeners.
    pub fn http_port(&self) -> u16 {
        self.http
    }

    /// The port of HTTPS listeners.
    pub fn https_port(&self) -> u16 {
        self.https
    }

    /// Another port on which nobody listens.
    pub fn free_port(&mut self) -> u16 {
        self.address.port()
    }

    /// The path of a file of the scenario.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Without this service.
    #[must_use]
    pub fn without_service(mut self, name: &str) -> Self {
        let services = self.list("services");
        services.retain(|service| service["name"] != name);
        let members = self.at("serviceNetworks.commerce.serviceAssociations");
        let members = members.as_array_mut().expect("a list");
        members.retain(|member| member["serviceIdentifier"] != name);
        self
    }

    /// A service `<name>.test` in the network, with an HTTP and an HTTPS listener that do `action` unless a rule says otherwise.
    #[must_use]
    pub fn service(mut self, name: &str, action: &Value) -> Self {
        let listener = |name: &str, protocol: &str, port: u16| json!({"name": name, "protocol": protocol, "port": port, "defaultAction": action, "rules": []});
        let service = json!({
            "name": name,
            "customDomainName": format!("{name}.test"),
            "listeners": [
                listener("http", "HTTP", self.http),
                listener("https", "HTTPS", self.https),
            ],
        });
        self.list("services").push(service);
        let membership = json!({"serviceIdentifier": name});
        self.at("serviceNetworks.commerce.serviceAssociations")
            .as_array_mut()
            .expect("a list")
            .push(membership);
        self
    }

    /// A group of these targets, HTTP/1.1 in the clear, not checked.
    #[must_use]
    pub fn group<'t>(
        self,
        name: &str,
        targets: impl IntoIterator<Item = &'t crate::Target>,
    ) -> Self {
        let addresses: Vec<_> = targets.into_iter().map(crate::Target::address).collect();
        self.group_at(name, &addresses)
    }

    /// The same with addresses.
    #[must_use]
    pub fn group_at(mut self, name: &str, addresses: &[SocketAddr]) -> Self {
        let targets: Vec<_> = addresses.iter().map(target).collect();
        self.list("targetGroups").push(json!({
            "name": name,
            "type": "IP",
            "config": {
                "protocol": "HTTP",
                "vpcIdentifier": "shop",
                "healthCheck": {"enabled": false},
            },
            "targets": targets,
        }));
        self
    }

    /// A group as the document has it.
    #[must_use]
    pub fn add_group(mut self, group: Value) -> Self {
        self.list("targetGroups").push(group);
        self
    }

    /// A group of a function that is called as `call` says, and given events of this version.
    #[must_use]
    pub fn function(mut self, name: &str, version: &str, call: &Value) -> Self {
        self.list("targetGroups").push(json!({
            "name": name,
            "type": "LAMBDA",
            "config": {"lambdaEventStructureVersion": version},
            "function": call,
            "targets": [{"id": format!("{FUNCTION}{name}")}],
        }));
        self
    }

    /// A service `orders` whose requests all go to a function at this target, which speaks the Invoke API.
    pub fn with_function(target: &crate::Target) -> Self {
        let endpoint = format!("http://{}", target.address());
        Self::new()
            .function("orders", "V2", &json!({"endpoint": endpoint}))
            .service("orders", &forward(&[("orders", 100)]))
    }

    /// Replaces the targets of a group.
    #[must_use]
    pub fn targets(self, group: &str, targets: &[&crate::Target]) -> Self {
        let targets: Vec<_> = targets.iter().map(|of| target(&of.address())).collect();
        self.set(&format!("targetGroups.{group}.targets"), json!(targets))
    }

    /// Auth type and policy of the network and of the service `orders`.
    #[must_use]
    pub fn guarded(mut self, network: &Guard, service: &Guard) -> Self {
        for (path, guard) in [
            ("serviceNetworks.commerce", network),
            ("services.orders", service),
        ] {
            let resource = self.at(path).as_object_mut().expect("an object");
            resource.remove("authPolicy");
            let auth_type = match guard {
                Guard::Off => "NONE",
                Guard::Bare => "AWS_IAM",
                Guard::By(policy) => {
                    resource.insert("authPolicy".to_owned(), policy.clone());
                    "AWS_IAM"
                }
            };
            resource.insert("authType".to_owned(), auth_type.into());
        }
        self
    }

    /// A user with this key and these identity-based policies.
    #[must_use]
    pub fn user(mut self, name: &str, key: &Key, policies: &[Value]) -> Self {
        let secret = self.secret(key);
        let user = json!({
            "name": name,
            "policies": policies,
            "accessKeys": [{"id": key.id, "secret": {"file": secret}}],
        });
        self.at("principals.users")
            .as_array_mut()
            .expect("a list")
            .push(user);
        self
    }

    /// A role with a key whose holder is the session `session`.
    #[must_use]
    pub fn role(mut self, name: &str, session: &str, key: &Key, policies: &[Value]) -> Self {
        let secret = self.secret(key);
        let role = json!({
            "name": name,
            "policies": policies,
            "accessKeys": [{"id": key.id, "secret": {"file": secret}, "sessionName": session}],
        });
        self.at("principals.roles")
            .as_array_mut()
            .expect("a list")
            .push(role);
        self
    }

    fn secret(&self, key: &Key) -> PathBuf {
        let path = self.file(&key.id);
        std::fs::write(&path, Key::secret_of(&key.id)).expect("a writable folder");
        path
    }

    /// Sets what stands at `path`, `services.orders.listeners.http.rules`: members by their key, items of a list by their name.
    #[must_use]
    pub fn set(mut self, path: &str, value: Value) -> Self {
        *self.at(path) = value;
        self
    }

    /// Changes what was loaded, for times that documents do not allow to be so short.
    #[must_use]
    pub fn adjust(mut self, change: impl Fn(&mut Config) + Send + Sync + 'static) -> Self {
        self.adjustments.push(Arc::new(change));
        self
    }

    /// Runs it.
    pub async fn start(self) -> Gateway {
        Gateway::start(vec![self]).await
    }

    /// Runs it beside these accounts.
    pub async fn start_with(self, others: impl IntoIterator<Item = Self>) -> Gateway {
        let setups = std::iter::once(self).chain(others);
        Gateway::start(setups.collect()).await
    }

    pub(crate) fn list(&mut self, name: &str) -> &mut Vec<Value> {
        self.document[name].as_array_mut().expect("a list")
    }

    fn at(&mut self, path: &str) -> &mut Value {
        path.split('.').fold(&mut self.document, |value, key| {
            if value.is_array() {
                let items = value.as_array_mut().expect("a list");
                let item = items.iter_mut().find(|item| item["name"] == key);
                item.unwrap_or_else(|| panic!("no `{key}` in `{path}`"))
            } else {
                &mut value[key]
            }
        })
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.document)
    }
}

fn target(address: &SocketAddr) -> Value {
    json!({"id": address.ip(), "port": address.port()})
}

/// How a network or a service is guarded.
#[derive(Debug, Clone, PartialEq)]
pub enum Guard {
    /// `authType: NONE`.
    Off,
    /// `AWS_IAM` without a policy.
    Bare,
    /// `AWS_IAM` with this policy.
    By(Value),
}

/// Forwards to these groups by weight.
pub fn forward(groups: &[(&str, u16)]) -> Value {
    let groups: Vec<_> = groups
        .iter()
        .map(|(name, weight)| json!({"targetGroupIdentifier": name, "weight": weight}))
        .collect();
    json!({"forward": {"targetGroups": groups}})
}

/// A policy of a resource that lets `principal` invoke everything.
pub fn allow(principal: &Value) -> Value {
    policy(&[
        json!({"Effect": "Allow", "Principal": principal, "Action": "vpc-lattice-svcs:Invoke", "Resource": "*"}),
    ])
}

/// A policy of a resource that lets everybody invoke everything, but for `principal`.
pub fn deny(principal: &Value) -> Value {
    policy(&[
        json!({"Effect": "Allow", "Principal": "*", "Action": "vpc-lattice-svcs:Invoke", "Resource": "*"}),
        json!({"Effect": "Deny", "Principal": principal, "Action": "vpc-lattice-svcs:Invoke", "Resource": "*"}),
    ])
}

/// An identity-based policy with one statement of this effect about everything.
pub fn identity(effect: &str) -> Value {
    policy(&[json!({"Effect": effect, "Action": "vpc-lattice-svcs:Invoke", "Resource": "*"})])
}

/// A policy of these statements.
pub fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}
