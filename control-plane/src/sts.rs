//! The security token service: temporary credentials for roles and users.
//!
//! | operation | who may | what comes out |
//! |---|---|---|
//! | `GetCallerIdentity` | whoever signs | who that is |
//! | `GetSessionToken` | a user, with an access key of its own | temporary credentials of the user |
//! | `AssumeRole` | whom the role's trust policy and the caller's own policies let | a session of the role |
//! | `AssumeRoleWithWebIdentity` | whom an identity provider vouches for and the role trusts | a session of the role |
//!
//! A role that does not exist, one that does not trust the caller and one that the caller has no permission for are answered
//! alike. Nothing is stored: the answer holds the session, sealed.
//!
//! Source: STS API reference, version 2011-06-15.

mod assume;
mod credentials;
mod error;
mod request;
mod web;

use http::{Method, StatusCode};
use trellis_policy::Principal;

use self::{
    error::{Code, Fault},
    request::Given,
};
use crate::{
    call::{Answer, Call, Outcome},
    caller::{self, SignedBy, Stranger},
    query::Parameters,
    realm::Realm,
    xml::Xml,
};

/// The name of the service in the scope of signatures.
const SERVICE: &str = "sts";

/// The one version of the API.
const VERSION: &str = "2011-06-15";

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Largest body that makes sense: a policy and fifty tags, each letter of them three bytes, each byte three letters.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    AssumeRole,
    AssumeRoleWithWebIdentity,
    GetCallerIdentity,
    GetSessionToken,
}

impl Operation {
    const ALL: [Self; 4] = [
        Self::AssumeRole,
        Self::AssumeRoleWithWebIdentity,
        Self::GetCallerIdentity,
        Self::GetSessionToken,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::AssumeRole => "AssumeRole",
            Self::AssumeRoleWithWebIdentity => "AssumeRoleWithWebIdentity",
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::GetSessionToken => "GetSessionToken",
        }
    }
}

/// Names of all operations, for whoever counts calls by name.
pub const OPERATIONS: [&str; 4] = [
    "AssumeRole",
    "AssumeRoleWithWebIdentity",
    "GetCallerIdentity",
    "GetSessionToken",
];

/// What of a call is known while it is answered.
#[derive(Debug, Default)]
struct Trace {
    operation: Option<&'static str>,
    caller: Option<String>,
    role: Option<String>,
    session: Option<String>,
}

/// Answers a call.
pub fn answer(call: &Call, realm: &Realm<'_>) -> Answer {
    let mut trace = Trace::default();
    let result = perform(call, realm, &mut trace);
    let (status, body, error, reason) = match result {
        Ok(body) => (StatusCode::OK, body, None, None),
        Err(fault) => (
            fault.code.status(),
            fault.body(NAMESPACE, &call.id),
            Some(fault.code.name()),
            Some(fault.reason.unwrap_or(fault.message)),
        ),
    };
    let outcome = Outcome {
        operation: trace.operation,
        error,
        caller: trace.caller,
        role: trace.role,
        session: trace.session,
        reason,
    };
    Answer::xml(status, body, outcome)
}

fn perform(call: &Call, realm: &Realm<'_>, trace: &mut Trace) -> Result<String, Fault> {
    let text = match call.method {
        Method::POST => &call.body[..],
        Method::GET => call.query.as_deref().unwrap_or_default().as_bytes(),
        _ => return Err(Fault::invalid_action("only GET and POST make calls")),
    };
    if &*call.path != "/" {
        return Err(Fault::invalid_action(
            "nothing is served here but the security token service, at /",
        ));
    }
    let parameters = Parameters::parse(text).map_err(Fault::malformed)?;
    let operation = operation(&parameters)?;
    trace.operation = Some(operation.name());
    let given = Given::new(&parameters);
    let result = match operation {
        Operation::AssumeRoleWithWebIdentity => web::assume(given, call, realm, trace)?,
        signed => {
            let caller = authenticate(call, realm)?;
            trace.caller = Some(caller.principal.arn.to_string());
            match signed {
                Operation::AssumeRole => assume::assume(given, &caller, call, realm, trace)?,
                Operation::GetSessionToken => {
                    credentials::session_token(given, &caller, call, realm)?
                }
                _ => identity(&caller.principal),
            }
        }
    };
    Ok(respond(operation.name(), &result, &call.id))
}

fn operation(parameters: &Parameters) -> Result<Operation, Fault> {
    let Some(name) = parameters.find("Action") else {
        return Err(Fault::new(
            Code::MissingAction,
            "The request is missing an action or a required parameter.",
        ));
    };
    let version = parameters.find("Version").unwrap_or(VERSION);
    let known = Operation::ALL
        .into_iter()
        .find(|known| known.name() == name);
    known.filter(|_| version == VERSION).ok_or_else(|| {
        Fault::invalid_action(&format!(
            "Could not find operation {} for version {}",
            error::shown(name),
            error::shown(version)
        ))
    })
}

/// Signature → caller. A call without one has no business here.
fn authenticate(call: &Call, realm: &Realm<'_>) -> Result<SignedBy, Fault> {
    caller::authenticate(call, realm, SERVICE).map_err(|stranger| match stranger {
        Stranger::Unsigned => Fault::new(
            Code::MissingAuthenticationToken,
            "Request is missing Authentication Token",
        ),
        Stranger::Signature(error) => Fault::signature(&error),
        Stranger::Nobody => Fault::internal(),
    })
}

fn identity(principal: &Principal) -> String {
    let mut xml = Xml::default();
    xml.within("GetCallerIdentityResult", |xml| {
        xml.text("Arn", &principal.arn);
        xml.text("UserId", &principal.user_id);
        xml.text("Account", principal.account.as_str());
    });
    xml.finish()
}

fn respond(operation: &str, result: &str, id: &str) -> String {
    let mut xml = Xml::default();
    xml.within_namespace(&format!("{operation}Response"), NAMESPACE, |xml| {
        xml.raw(result);
        xml.within("ResponseMetadata", |xml| xml.text("RequestId", id));
    });
    xml.finish()
}

#[cfg(test)]
mod tests;
