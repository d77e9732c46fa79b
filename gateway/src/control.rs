//! The control address: the security token service over whatever snapshot runs.

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
    Answer, Call, Disbelief, RANDOM_BYTES, Realm, Vouched,
    server::{self, Answerer},
    sts,
};

use trellis_policy::{Testimony, jwt::JwtError};

use crate::{session_keys, shared::Shared, telemetry::events::CallAnswered};

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
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let answerer = answerer(Arc::clone(shared), Arc::clone(keys));
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

fn answerer(shared: Arc<Shared>, keys: session_keys::Shared) -> Answerer {
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
        };
        let answer = sts::answer(call, &realm);
        tell(&shared, call, &answer, began);
        answer
    })
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
