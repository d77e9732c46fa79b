//! The control address: the APIs of AWS that clients find there, over whatever snapshot runs.

mod administrator;
mod overlay;
mod store;
mod watch;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Instant,
};

use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;
use tokio::{runtime::Handle, sync::oneshot, task::JoinHandle};
use trellis_control_plane::{
    Answer, Call, ControlPlane, Disbelief, RANDOM_BYTES, Realm, Vouched,
    lattice::{LiveTargets, Premises, TargetHealth, Throttle},
    server::{self, Answerer},
};
use trellis_model::id::TargetGroupId;
use trellis_target_groups::TargetView;

use trellis_policy::{Testimony, jwt::JwtError};

use crate::{
    registry::Registry, server::State, session_keys, shared::Shared,
    telemetry::events::CallAnswered,
};

pub use administrator::{BootstrapError, NewAdministrator};
pub use overlay::Resources;
pub use store::{OpenError, open, reset_administrator};
pub use watch::StoreWatch;

/// Only the gateway's own user reads secrets.
const PRIVATE: u32 = 0o600;

/// The listener of a running gateway.
#[derive(Debug)]
pub struct Control {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Control {
    /// Answers calls on this socket.
    pub fn start(
        listener: TcpListener,
        runtime: &Handle,
        shared: &Arc<Shared>,
        keys: &session_keys::Shared,
        api: Api,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let answerer = answerer(Arc::clone(shared), Arc::clone(keys), api);
        let task = runtime.spawn(async move {
            // An error means that the owner is gone, which is a reason to stop as well.
            let stopping = async { drop(stopped.await) };
            if let Err(error) = server::serve(listener, answerer, stopping).await {
                tracing::error!(%error, "the control address cannot be served");
            }
        });
        Ok(Self {
            address,
            stop,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets answers in course finish, for a short while.
    pub async fn stop(self) {
        drop(self.stop);
        // It ends by itself; that it panicked has been told where it happened.
        let _ = self.task.await;
    }
}

/// What the API of VPC Lattice is served from.
#[derive(Debug, Clone)]
pub struct Api {
    /// All resources.
    pub plane: Arc<ControlPlane>,
    /// The live target groups.
    pub registry: Arc<Registry>,
    /// The running configuration, for its quotas.
    pub state: Arc<State>,
}

impl Api {
    /// The API over these.
    pub fn new(plane: &Arc<ControlPlane>, registry: &Arc<Registry>, state: &Arc<State>) -> Self {
        Self {
            plane: Arc::clone(plane),
            registry: Arc::clone(registry),
            state: Arc::clone(state),
        }
    }
}

impl LiveTargets for Registry {
    fn targets(&self, group: TargetGroupId) -> Vec<(String, Option<u16>, TargetHealth)> {
        let live = self.group(group).into_iter();
        let retired = self.retired().into_iter();
        let groups = live.chain(retired.filter(|retired| retired.id() == group));
        let health = |target: TargetView| {
            let health = TargetHealth {
                status: target.status.as_str(),
                reason: target.reason.map(trellis_target_groups::ReasonCode::as_str),
            };
            (target.id.to_string(), Some(target.port()), health)
        };
        groups.flat_map(|group| group.view()).map(health).collect()
    }
}

fn answerer(shared: Arc<Shared>, keys: session_keys::Shared, api: Api) -> Answerer {
    let throttle = Throttle::default();
    Arc::new(move |call| {
        let began = Instant::now();
        let snapshot = shared.snapshot.load_full();
        let mut random = [0; RANDOM_BYTES];
        // Without random bytes nothing can be given out, and what asks for none goes on.
        let drawn = SystemRandom::new().fill(&mut random).is_ok();
        let none = session_keys::Shared::default();
        let keys = if drawn { &keys } else { &none };
        let realm = Realm {
            policies: &snapshot.policies,
            verifier: &snapshot.verifier,
            keys: &keys.load(),
            region: snapshot.verifier.region(),
            believe: &|token, account, now| {
                let testimony = snapshot.identities.vouch(token.as_bytes(), account, now);
                vouched(testimony.map_err(disbelieved)?)
            },
            random,
            draw: &draw,
        };
        let config = api.state.config();
        let premises = Premises {
            plane: &api.plane,
            live: &*api.registry,
            quotas: &config.gateway.quotas,
            throttle: &throttle,
            auth_policy_bytes: snapshot.limits.auth_policy_bytes,
        };
        let answer = trellis_control_plane::answer(call, &realm, Some(premises));
        tell(&shared, call, &answer, began);
        answer
    })
}

/// A random number for an id. Where the system has none left, ids differ by their time alone; one that is taken is drawn again.
fn draw() -> u64 {
    let mut bytes = [0; 8];
    let _ = SystemRandom::new().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

fn disbelieved(error: JwtError) -> Disbelief {
    match error {
        JwtError::Expired { .. } => Disbelief::Expired,
        JwtError::UnknownIssuer { .. } | JwtError::Audience { .. } => Disbelief::NoProvider,
        error => Disbelief::Invalid(error.to_string()),
    }
}

fn vouched(testimony: Testimony<'_>) -> Result<Vouched, Disbelief> {
    let Testimony {
        provider,
        issuer,
        token,
    } = testimony;
    let nobody = || Disbelief::Invalid("the token has no `sub`".to_owned());
    let subject = token.subject.as_ref().ok_or_else(nobody)?;
    let claims = token.claims.iter();
    Ok(Vouched {
        provider: provider.to_string(),
        issuer: issuer.to_owned(),
        subject: subject.to_string(),
        audience: token.audience.to_string(),
        claims: claims
            .map(|(name, value)| (name.clone(), texts(value)))
            .collect(),
    })
}

/// The values of a claim as condition keys have them; objects are none.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => vec![number.to_string()],
        Value::Bool(value) => vec![value.to_string()],
        Value::Array(items) => items
            .iter()
            .filter(|item| !item.is_array())
            .flat_map(texts)
            .collect(),
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

fn tell(shared: &Shared, call: &Call, answer: &Answer, began: Instant) {
    shared.telemetry.emit(&CallAnswered {
        id: &call.id,
        source: call.source,
        outcome: &answer.outcome,
        took: began.elapsed(),
    });
}
