//! Who makes a call, and whether the caller's policies allow it. The same for every API of the control address; each says in its own
//! words what came of it.

use http::{HeaderValue, header::HOST};
use trellis_policy::{
    Principal,
    calls::{CallContext, CallRefusal},
    session::Session,
    sigv4::{Presigned, SignatureError, SignedParts},
};

use crate::{call::Call, realm::Realm};

/// Who signed a call, and with which session.
#[derive(Debug)]
pub(crate) struct SignedBy {
    pub(crate) principal: Principal,
    pub(crate) session: Option<Session>,
}

/// Why nobody knows who makes a call.
#[derive(Debug)]
pub(crate) enum Stranger {
    /// It is not signed.
    Unsigned,
    /// Its signature does not hold.
    Signature(SignatureError),
    /// Not to be: its signature holds and is nobody's.
    Nobody,
}

/// Signature → caller, for the API that signatures name `service`.
pub(crate) fn authenticate(
    call: &Call,
    realm: &Realm<'_>,
    service: &'static str,
) -> Result<SignedBy, Stranger> {
    let parts = SignedParts {
        method: call.method.as_str(),
        path: call.path.as_bytes(),
        query: call.query.as_deref().map(str::as_bytes),
        authority: call
            .headers
            .get(HOST)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default(),
        headers: &call.headers,
        presigned: Presigned::Counts,
    };
    let signed = realm
        .verifier
        .verify_call(&parts, &call.body, service, call.at)
        .map_err(Stranger::Signature)?
        .ok_or(Stranger::Unsigned)?;
    let principal = realm.policies.caller(&signed.caller).cloned();
    Ok(SignedBy {
        principal: principal.ok_or(Stranger::Nobody)?,
        session: signed.session().cloned(),
    })
}

impl SignedBy {
    /// Refuses what the caller's policies do not allow, with the text that AWS's services have for it.
    pub(crate) fn may(
        &self,
        realm: &Realm<'_>,
        (action, resource): (&str, &str),
        context: &CallContext,
    ) -> Result<(), String> {
        let session = self.session.as_ref();
        let session_policies = session.map_or(&[][..], |session| &session.policies);
        let decided = realm.policies.calls().may_call(
            &self.principal,
            session_policies,
            (action, resource),
            context,
        );
        decided.map_err(|refusal| denied(&self.principal.arn, action, resource, refusal))
    }
}

fn denied(caller: &str, action: &str, resource: &str, refusal: CallRefusal) -> String {
    let noun = refusal.by.noun();
    let why = if refusal.explicit {
        let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
            "an"
        } else {
            "a"
        };
        format!("with an explicit deny in {article} {noun}")
    } else {
        format!("because no {noun} allows the {action} action")
    };
    format!("User: {caller} is not authorized to perform: {action} on resource: {resource} {why}")
}
