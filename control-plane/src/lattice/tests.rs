//! Operations without signatures and sockets: what they answer, and what becomes of the catalog.

#![expect(
    clippy::needless_pass_by_value,
    reason = "inputs are written where they are used, with `json!`"
)]

mod associations;
mod calls;
mod coverage;
mod policies;
mod refusals;
mod resources;
mod services;
mod store;
mod target_groups;

use std::{
    cell::Cell,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use trellis_model::{
    arn::Arn,
    config::{Config, Vpc},
    id::{TargetGroupId, VpcId},
    load::{Inputs, Source, load},
    name::{AccountId, Region},
};

use super::{
    Exchange, LiveTargets, Premises, Quotas, TargetHealth, Throttle,
    error::ApiError,
    operations,
    schema::{API, Operation},
};
use crate::{
    plane::{ControlPlane, Listener},
    resource::Stamp,
    store::StoreError,
};

/// Two tenants.
pub(crate) const ONE: &str = "111122223333";
pub(crate) const TWO: &str = "444455556666";

/// A VPC of each.
pub(crate) const VPC_ONE: &str = "vpc-00000000000000001";
pub(crate) const VPC_TWO: &str = "vpc-00000000000000002";

/// Nothing is expected to be wrong with the store.
struct Quiet;

impl Listener for Quiet {
    fn changed(&self) {}
    fn unreadable(&self, what: &str) {
        panic!("{what}");
    }
    fn failed(&self, error: &StoreError) {
        panic!("{error}");
    }
}

/// What the data plane is made to say of targets.
#[derive(Debug, Default)]
pub(crate) struct Live(pub(crate) Mutex<Vec<(String, Option<u16>, TargetHealth)>>);

impl LiveTargets for Live {
    fn targets(&self, _: TargetGroupId) -> Vec<(String, Option<u16>, TargetHealth)> {
        self.0.lock().clone()
    }
}

/// A control plane, and a clock.
pub(crate) struct World {
    pub(crate) plane: ControlPlane,
    pub(crate) live: Live,
    pub(crate) quotas: Quotas,
    pub(crate) now: Cell<SystemTime>,
    pub(crate) drawn: Cell<u64>,
    store: Arc<store::Faulty>,
    pub(crate) throttle: Throttle,
}

fn vpc(id: &str, owner: &str) -> Arc<Vpc> {
    let region: Region = "us-west-2".parse().unwrap();
    let account: AccountId = owner.parse().unwrap();
    let id: VpcId = id.parse().unwrap();
    Arc::new(Vpc {
        arn: Arn::vpc(&account, &region, &id),
        id,
        name: "shop".parse().unwrap(),
        account,
        cidrs: vec![
            "10.0.0.0/16".parse().unwrap(),
            "fd00:1::/64".parse().unwrap(),
        ],
        attachments: Vec::new(),
        resolvers: Arc::default(),
        address_book: [("i-0123456789abcdef0".into(), [10, 0, 0, 9].into())].into(),
    })
}

impl World {
    pub(crate) fn new() -> Self {
        let store = Arc::new(store::Faulty::default());
        let region = "us-west-2".parse().unwrap();
        let plane = ControlPlane::start(Arc::clone(&store) as _, region, Arc::new(Quiet)).unwrap();
        plane.set_vpcs([vpc(VPC_ONE, ONE), vpc(VPC_TWO, TWO)]);
        Self {
            plane,
            live: Live::default(),
            quotas: Quotas::default(),
            now: Cell::new(UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
            drawn: Cell::new(0),
            store,
            throttle: Throttle::default(),
        }
    }

    /// Performs an operation for an account. The answer has what the model says it must have.
    pub(crate) fn ask(
        &self,
        account: &str,
        operation: &str,
        input: Value,
    ) -> Result<Value, ApiError> {
        // Every call a little later than the one before.
        self.pass(Duration::from_millis(1));
        if coverage::is_recording() {
            // Once with a store that takes nothing, which must change nothing.
            self.store.fails(true);
            let failed = self.perform(account, operation, input.clone());
            coverage::record(operation, &input, &failed);
            self.store.fails(false);
        }
        let answer = self.perform(account, operation, input.clone());
        coverage::record(operation, &input, &answer);
        if let Err(error) = &answer {
            let documented = &API.operation(operation).unwrap().errors;
            let code = error.code();
            assert!(
                documented.iter().any(|known| known == code),
                "{operation}: {code}"
            );
        }
        answer
    }

    fn perform(&self, account: &str, operation: &str, input: Value) -> Result<Value, ApiError> {
        let operation = API.operation(operation).unwrap();
        let input = input.as_object().unwrap().clone();
        let complaints = API.check(operation.input, &input);
        if !complaints.0.is_empty() {
            return Err(ApiError::complaints(complaints));
        }
        let output = self.exchange(account, operation, &input, operations::perform)?;
        let output = API.project(operation.output, output);
        for member in API.members(operation.output) {
            let there = output.get(&member.name).is_some();
            assert!(
                there || !member.required,
                "{}: {}",
                operation.name,
                member.name
            );
        }
        Ok(output)
    }

    pub(super) fn premises(&self) -> Premises<'_> {
        Premises {
            plane: &self.plane,
            live: &self.live,
            quotas: &self.quotas,
            throttle: &self.throttle,
            auth_policy_bytes: 10_240,
        }
    }

    /// What somebody makes of an exchange.
    pub(crate) fn exchange<R>(
        &self,
        account: &str,
        operation: &Operation,
        input: &Map<String, Value>,
        work: impl FnOnce(&Exchange<'_>) -> R,
    ) -> R {
        let account = account.parse().unwrap();
        work(&Exchange {
            operation,
            input,
            premises: self.premises(),
            account: &account,
            now: Stamp::of(self.now.get()),
            draw: &|| {
                self.drawn.set(self.drawn.get() + 1);
                self.drawn.get()
            },
        })
    }

    /// The same for the first tenant, when it goes well.
    pub(crate) fn ok(&self, operation: &str, input: Value) -> Value {
        self.ask(ONE, operation, input)
            .unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    /// The same for the first tenant, when it is refused: the code and the message.
    pub(crate) fn refused(&self, operation: &str, input: Value) -> (String, String) {
        self.refused_to(ONE, operation, input)
    }

    pub(crate) fn refused_to(
        &self,
        account: &str,
        operation: &str,
        input: Value,
    ) -> (String, String) {
        let error = match self.ask(account, operation, input) {
            Ok(answer) => panic!("{operation} answered {answer}"),
            Err(error) => error,
        };
        let message = error.body()["message"].as_str().unwrap().to_owned();
        (error.code().to_owned(), message)
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.now.set(self.now.get() + time);
    }

    /// Creates a service with this name; its id.
    pub(crate) fn service(&self, name: &str) -> String {
        id(&self.ok("CreateService", json!({"name": name})))
    }

    /// Creates a service network with this name; its id.
    pub(crate) fn network(&self, name: &str) -> String {
        id(&self.ok("CreateServiceNetwork", json!({"name": name})))
    }

    /// Creates a target group of IP addresses with this name; its id.
    pub(crate) fn group(&self, name: &str) -> String {
        let config = json!({"protocol": "HTTP", "port": 80, "vpcIdentifier": VPC_ONE});
        id(&self.ok(
            "CreateTargetGroup",
            json!({"name": name, "type": "IP", "config": config}),
        ))
    }

    /// Creates a listener of a service that answers 404; its id.
    pub(crate) fn listener(&self, service: &str, name: &str, port: u16) -> String {
        id(&self.ok(
            "CreateListener",
            json!({
                "serviceIdentifier": service,
                "name": name,
                "protocol": "HTTP",
                "port": port,
                "defaultAction": not_found(),
            }),
        ))
    }

    /// The ids in a list.
    pub(crate) fn listed(&self, operation: &str, input: Value) -> Vec<String> {
        let answer = self.ok(operation, input);
        let items = answer["items"].as_array().unwrap();
        items.iter().map(id).collect()
    }
}

/// The configuration of files beside which everything is: the VPCs, and a way to call functions.
pub(crate) fn files() -> Arc<Config> {
    struct Nothing;
    impl Inputs for Nothing {
        fn read(&self, _: &Path) -> Result<String, String> {
            Err("not in this test".to_owned())
        }
        fn variable(&self, _: &str) -> Option<String> {
            None
        }
    }
    let source = Source {
        path: "a.yaml".into(),
        text: Ok(format!(
            "account: \"{ONE}\"\nregion: us-west-2\nvpcs: [{{name: shop, id: {VPC_ONE}, cidrs: [10.0.0.0/16]}}]\n"
        )),
    };
    Arc::new(load(&[source], &Nothing).unwrap().config)
}

/// The id in an answer.
pub(crate) fn id(answer: &Value) -> String {
    answer["id"].as_str().unwrap().to_owned()
}

pub(crate) fn not_found() -> Value {
    json!({"fixedResponse": {"statusCode": 404}})
}

pub(crate) fn forward(group: &str) -> Value {
    json!({"forward": {"targetGroups": [{"targetGroupIdentifier": group}]}})
}

/// A rule that applies to a path.
pub(crate) fn rule(service: &str, listener: &str, name: &str, priority: u16) -> Value {
    json!({
        "serviceIdentifier": service,
        "listenerIdentifier": listener,
        "name": name,
        "priority": priority,
        "match": {"httpMatch": {"pathMatch": {"match": {"prefix": "/"}}}},
        "action": not_found(),
    })
}

pub(crate) fn assert_code(refusal: &(String, String), code: &str, part: &str) {
    assert_eq!(refusal.0, code, "{}", refusal.1);
    assert!(refusal.1.contains(part), "{}", refusal.1);
}
