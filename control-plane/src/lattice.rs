//! The API of VPC Lattice, in the protocol restJson1.
//!
//! A call is authenticated, counted, routed, read, checked against the model, authorized and performed, in this order; the first step that
//! refuses answers. What an operation does stands in [`mod@operations`], one file for each family of resources; what inputs and
//! outputs look like is the model's ([`schema`]).
//!
//! Source: VPC Lattice API reference, version 2022-11-30.

mod access;
pub(crate) mod arns;
pub(crate) mod error;
mod exchange;
mod operations;
pub(crate) mod page;
mod quota;
mod route;
pub(crate) mod schema;
mod throttle;
pub(crate) mod token;

use http::StatusCode;
use serde_json::{Map, Value};

use self::{
    error::{ApiError, ValidationReason},
    schema::{API, Location, Operation},
};
pub(crate) use self::{
    exchange::{Exchange, fresh_number},
    operations::{tags, view},
};
use crate::{
    call::{Answer, Call, Outcome},
    caller::{self, SignedBy, Stranger},
    plane::ControlPlane,
    realm::Realm,
    resource::Stamp,
};
pub use exchange::{LiveTargets, TargetHealth};
pub use quota::Quotas;
pub use throttle::{Rate, Throttle};

/// The name of the service in the scope of signatures.
pub(crate) const SERVICE: &str = "vpc-lattice";

/// Largest body that is read. The largest that makes sense is an auth policy of 102,400 characters, each six bytes.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// Names of all operations, for whoever counts calls by name.
pub fn operations() -> impl Iterator<Item = &'static str> {
    API.operations
        .iter()
        .map(|operation| operation.name.as_str())
}

/// What calls of this API are answered with besides the realm.
#[derive(Debug, Clone, Copy)]
pub struct Premises<'a> {
    /// All resources.
    pub plane: &'a ControlPlane,
    /// How the targets of groups do.
    pub live: &'a dyn LiveTargets,
    /// How many of everything an account may have.
    pub quotas: &'a Quotas,
    /// How fast accounts may call.
    pub throttle: &'a Throttle,
    /// Most bytes of an auth policy.
    pub auth_policy_bytes: usize,
}

/// What of a call is known while it is answered.
#[derive(Debug, Default)]
struct Trace {
    operation: Option<&'static str>,
    caller: Option<String>,
}

/// Answers a call.
pub fn answer(call: &Call, realm: &Realm<'_>, premises: Premises<'_>) -> Answer {
    let mut trace = Trace::default();
    let result = perform(call, realm, premises, &mut trace);
    let outcome = |error: Option<&ApiError>| Outcome {
        operation: trace.operation,
        error: error.map(ApiError::code),
        caller: trace.caller.clone(),
        role: None,
        session: None,
        reason: error.map(ApiError::reason),
    };
    match result {
        Ok((status, body)) => {
            let body = if status == StatusCode::NO_CONTENT {
                String::new()
            } else {
                body.to_string()
            };
            Answer::json(status, body, outcome(None))
        }
        Err(error) => {
            let mut answer = Answer::json(
                error.status(),
                error.body().to_string(),
                outcome(Some(&error)),
            );
            answer.error_type = Some(error.code());
            answer.retry_after = error.retry_after();
            answer
        }
    }
}

fn perform(
    call: &Call,
    realm: &Realm<'_>,
    premises: Premises<'_>,
    trace: &mut Trace,
) -> Result<(StatusCode, Value), ApiError> {
    let caller = authenticate(call, realm)?;
    trace.caller = Some(caller.principal.arn.to_string());
    premises
        .throttle
        .admit(&caller.principal.account, call.at)?;
    let Some(found) = route::find(&call.method, &call.path) else {
        return Err(ApiError::Validation {
            reason: ValidationReason::UnknownOperation,
            message: format!("no operation answers {} on this path", call.method),
            fields: Vec::new(),
        });
    };
    let (operation, mut input) = found?;
    trace.operation = Some(&operation.name);
    route::read_query(
        operation,
        call.query.as_deref().unwrap_or_default(),
        &mut input,
    )?;
    read_body(operation, &call.body, &mut input)?;
    let complaints = API.check(operation.input, &input);
    if !complaints.0.is_empty() {
        return Err(ApiError::complaints(complaints));
    }
    let exchange = Exchange {
        operation,
        input: &input,
        premises,
        account: &caller.principal.account,
        now: Stamp::of(call.at),
        draw: realm.draw,
    };
    access::authorize(&exchange, &caller, call, realm)?;
    let output = operations::perform(&exchange)?;
    Ok((operation.status, API.project(operation.output, output)))
}

/// Signature → caller. A call without one has no business here.
fn authenticate(call: &Call, realm: &Realm<'_>) -> Result<SignedBy, ApiError> {
    caller::authenticate(call, realm, SERVICE).map_err(|stranger| match stranger {
        Stranger::Unsigned => ApiError::unsigned(),
        Stranger::Signature(error) => ApiError::signature(&error),
        Stranger::Nobody => ApiError::Internal("a verified signature is nobody's".to_owned()),
    })
}

#[cfg(test)]
pub(crate) mod tests;

/// Adds the members that stand in the body. What the operation does not know is nobody's concern.
fn read_body(
    operation: &Operation,
    body: &[u8],
    input: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    if body.is_empty() {
        return Ok(());
    }
    let wanted = |name: &str| {
        let members = API.members(operation.input).iter();
        let mut in_body = members.filter(|member| member.location == Location::Body);
        in_body.any(|member| member.name == name)
    };
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => {
            input.extend(members.into_iter().filter(|(name, _)| wanted(name)));
            Ok(())
        }
        Ok(_) => Err(ApiError::unreadable(
            "the body is not a JSON object".to_owned(),
        )),
        Err(error) => Err(ApiError::unreadable(format!(
            "the body is not JSON: {error}"
        ))),
    }
}
