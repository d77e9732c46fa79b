//! What the neighbors of VPC Lattice have in common: as much of AWS's other services as unmodified clients of Lattice need, each in a
//! module of its own.
//!
//! A call is authenticated, read, authorized and performed, as those of Lattice are. What a service refuses it refuses in its own
//! words; what no service does by itself (signatures, permissions, failures) is told in the [`Dialect`] of its protocol.

mod refusal;

use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use trellis_model::name::{AccountId, Region};
use trellis_policy::calls::CallContext;

pub(crate) use self::refusal::{Dialect, Refusal};
use crate::{
    call::{Answer, Call, Content, Outcome},
    caller::{self, SignedBy},
    lattice::{Premises, fresh_number},
    plane::{ControlPlane, Draft},
    query::Parameters,
    realm::{RANDOM_BYTES, Realm},
    resource::Stamp,
};

/// A service beside VPC Lattice.
pub(crate) trait Api {
    /// Its name in the scope of signatures.
    const SERVICE: &'static str;
    /// How it tells what goes wrong.
    const DIALECT: Dialect;
    /// Names of its operations.
    const OPERATIONS: &'static [&'static str];
    /// What a call says besides its operation.
    type Input;

    /// The operation of a call, one of [`Api::OPERATIONS`], and its input.
    fn read(call: &Call) -> Result<(&'static str, Self::Input), Refusal>;
    /// Performs an operation: the body of the answer.
    fn perform(
        operation: &'static str,
        input: &Self::Input,
        visit: &Visit<'_>,
    ) -> Result<String, Refusal>;
}

/// One call while it is performed: who calls, and what there is to answer with.
#[derive(Clone, Copy)]
pub(crate) struct Visit<'a> {
    pub(crate) premises: Premises<'a>,
    /// The caller's account.
    pub(crate) account: &'a AccountId,
    /// The caller's name, if it is a user.
    pub(crate) user: Option<&'a str>,
    pub(crate) now: Stamp,
    /// Id of the call.
    pub(crate) id: &'a str,
    /// Draws a random number, for ids.
    pub(crate) draw: &'a dyn Fn() -> u64,
    /// Random bytes for secrets, if the system gave any.
    pub(crate) random: Option<&'a [u8; RANDOM_BYTES]>,
    /// Says whether the caller's policies allow something, and why not.
    pub(crate) gate: &'a dyn Fn(Ask<'_>) -> Result<(), String>,
}

/// What is asked of the caller's policies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// `iam:CreateUser`.
    pub(crate) action: &'a str,
    /// An ARN, or `*`.
    pub(crate) resource: &'a str,
    /// Condition keys and their values, besides those that every call has.
    pub(crate) keys: &'a [(String, Vec<String>)],
}

impl<'a> Visit<'a> {
    pub(crate) fn plane(&self) -> &'a ControlPlane {
        self.premises.plane
    }

    pub(crate) fn region(&self) -> &'a Region {
        self.premises.plane.region()
    }

    /// A number for a new id: the later, the larger.
    pub(crate) fn fresh_number(&self) -> u64 {
        fresh_number(self.now, self.draw)
    }

    /// Refuses what the caller's policies do not allow.
    pub(crate) fn may(&self, action: &str, resource: &str) -> Result<(), Refusal> {
        self.may_given(action, resource, &[])
    }

    /// The same with condition keys.
    pub(crate) fn may_given(
        &self,
        action: &str,
        resource: &str,
        keys: &[(String, Vec<String>)],
    ) -> Result<(), Refusal> {
        let ask = Ask {
            action,
            resource,
            keys,
        };
        (self.gate)(ask).map_err(Refusal::Denied)
    }

    /// Makes a change, and answers with what `make` returns.
    pub(crate) fn change<R>(
        &self,
        make: impl Fn(&mut Draft<'_>) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        self.plane().change(make)
    }
}

/// Answers a call of a neighbor.
pub(crate) fn answer<A: Api>(call: &Call, realm: &Realm<'_>, premises: Premises<'_>) -> Answer {
    let mut outcome = Outcome::default();
    let result = perform::<A>(call, realm, premises, &mut outcome);
    let (status, body) = match result {
        Ok(body) => (StatusCode::OK, body),
        Err(refusal) => {
            let told = A::DIALECT.tell(&refusal, &call.id);
            outcome.error = Some(told.code);
            outcome.reason = Some(refusal.reason());
            (told.status, told.body)
        }
    };
    Answer {
        content: A::DIALECT.content(),
        error_type: outcome
            .error
            .filter(|_| A::DIALECT.content() != Content::Xml),
        ..Answer::xml(status, body, outcome)
    }
}

fn perform<A: Api>(
    call: &Call,
    realm: &Realm<'_>,
    premises: Premises<'_>,
    outcome: &mut Outcome,
) -> Result<String, Refusal> {
    let caller = caller::authenticate(call, realm, A::SERVICE)?;
    outcome.caller = Some(caller.principal.arn.to_string());
    // One rate for all APIs: what they cost is the same store and the same disk.
    premises
        .throttle
        .admit(&caller.principal.account, call.at)?;
    let (operation, input) = A::read(call)?;
    outcome.operation = Some(operation);
    let gate = |ask: Ask<'_>| ask_policies(&caller, ask, call, realm);
    let visit = Visit {
        premises,
        account: &caller.principal.account,
        user: caller.principal.user_name(),
        now: Stamp::of(call.at),
        id: &call.id,
        draw: realm.draw,
        // All zeros is what is left where the system gave none.
        random: Some(&realm.random).filter(|random| **random != [0; RANDOM_BYTES]),
        gate: &gate,
    };
    A::perform(operation, &input, &visit)
}

fn ask_policies(
    caller: &SignedBy,
    ask: Ask<'_>,
    call: &Call,
    realm: &Realm<'_>,
) -> Result<(), String> {
    let mut context = CallContext::new(call.at, call.source, false);
    context.describe(&caller.principal);
    context.set("aws:RequestedRegion", [realm.region.as_str().to_owned()]);
    for (key, values) in ask.keys {
        context.set(key, values.iter().cloned());
    }
    caller.may(realm, (ask.action, ask.resource), &context)
}

/// Reads a call of a JSON protocol: the operation stands in `X-Amz-Target` behind a prefix.
pub(crate) fn read_json<A: Api>(
    call: &Call,
    prefix: &str,
) -> Result<(&'static str, Value), Refusal> {
    let target = call.headers.get("x-amz-target");
    let target = target.and_then(|value| value.to_str().ok());
    let named = target.and_then(|target| target.strip_prefix(prefix)?.strip_prefix('.'));
    let operation = named
        .and_then(|name| A::OPERATIONS.iter().find(|known| **known == name))
        .filter(|_| call.method == Method::POST && &*call.path == "/")
        .ok_or_else(|| Refusal::unknown(named.unwrap_or_default()))?;
    let body = if call.body.is_empty() {
        Value::Object(serde_json::Map::new())
    } else {
        serde_json::from_slice(&call.body)
            .map_err(|error| Refusal::Unreadable(format!("the body is not JSON: {error}")))?
    };
    Ok((operation, body))
}

/// The input of a JSON call as a type of its own.
pub(crate) fn input<T: DeserializeOwned>(value: &Value) -> Result<T, Refusal> {
    T::deserialize(value).map_err(|error| Refusal::Unreadable(error.to_string()))
}

/// Reads a call of the Query protocol.
pub(crate) fn read_query<A: Api>(
    call: &Call,
    version: &str,
) -> Result<(&'static str, Parameters), Refusal> {
    let text = match call.method {
        Method::POST => &call.body[..],
        Method::GET => call.query.as_deref().unwrap_or_default().as_bytes(),
        _ => return Err(Refusal::unknown("")),
    };
    let parameters =
        Parameters::parse(text).map_err(|error| Refusal::Unreadable(error.to_string()))?;
    let name = parameters.find("Action").unwrap_or_default();
    let right_version = parameters.find("Version").is_none_or(|v| v == version);
    let known = A::OPERATIONS
        .iter()
        .find(|known| **known == name)
        .filter(|_| right_version && &*call.path == "/");
    match known {
        Some(operation) => Ok((operation, parameters)),
        None => Err(Refusal::unknown(name)),
    }
}

#[cfg(test)]
pub(crate) mod tests;
