//! Which API a call is for. All of them share one address; the scope of the signature says which one is meant.
//!
//! The scope is only looked at here, to find out who should verify it: each API accepts signatures for itself alone.

use http::{Method, header::AUTHORIZATION};

use crate::{
    call::{Answer, Call},
    ec2::Ec2,
    iam::Iam,
    lattice::{self, Premises},
    neighbor::{self, Api as _},
    realm::Realm,
    sts,
    tagging::Tagging,
};

/// Answers a call, whatever API it is for.
pub fn answer(call: &Call, realm: &Realm<'_>, premises: Option<Premises<'_>>) -> Answer {
    let scope = scope_service(call);
    let of_lattice = match scope.as_deref() {
        Some(service) => service == lattice::SERVICE,
        // Calls that need no signature are the security token service's; it serves no path but this one.
        None => call.path.as_ref() != "/" || !matches!(call.method, Method::POST | Method::GET),
    };
    let Some(premises) = premises else {
        return sts::answer(call, realm);
    };
    match scope.as_deref() {
        _ if of_lattice => lattice::answer(call, realm, premises),
        Some(Ec2::SERVICE) => neighbor::answer::<Ec2>(call, realm, premises),
        Some(Iam::SERVICE) => neighbor::answer::<Iam>(call, realm, premises),
        Some(Tagging::SERVICE) => neighbor::answer::<Tagging>(call, realm, premises),
        _ => sts::answer(call, realm),
    }
}

/// The name of the service in the scope of a signature, in the header or in the query.
fn scope_service(call: &Call) -> Option<String> {
    let header = call.headers.get(AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok());
    let in_header = header.and_then(|text| text.split_once("Credential=").map(|(_, rest)| rest));
    let in_query = || {
        let pairs = call.query.as_deref().unwrap_or_default().split('&');
        let mut credentials = pairs.filter_map(|pair| pair.strip_prefix("X-Amz-Credential="));
        credentials.next()
    };
    let credential = match in_header {
        Some(text) => text.split([',', ' ']).next().unwrap_or_default().to_owned(),
        None => in_query()?.replace("%2F", "/").replace("%2f", "/"),
    };
    // `AKIA…/20261125/us-west-2/vpc-lattice/aws4_request`; without the region in Signature Version 4A.
    let mut parts = credential.rsplit('/');
    parts.next()?;
    parts.next().map(str::to_owned)
}

#[cfg(test)]
mod tests;
