//! `AssumeRoleWithWebIdentity`: no signature, but the token of an identity provider.
//!
//! Source: STS API reference, `AssumeRoleWithWebIdentity`; IAM user guide, "Available keys for AWS OIDC federation", "Pass session
//! tags in AWS STS".

use std::collections::BTreeMap;

use trellis_policy::calls::CallBy;

use super::{
    Trace,
    assume::{Granted, Wish},
    error::{Code, Fault},
    request::{Given, Tags, packed_size},
};
use crate::{
    call::Call,
    realm::{Disbelief, Realm, Vouched},
};

const ACTION: &str = "sts:AssumeRoleWithWebIdentity";

pub(super) fn assume(
    given: Given<'_>,
    call: &Call,
    realm: &Realm<'_>,
    trace: &mut Trace,
) -> Result<String, Fault> {
    let token = given.web_identity_token()?;
    let wish = Wish::read(given, Tags::default())?;
    trace.role = Some(super::error::shown(wish.role_arn));
    let percent = packed_size(wish.policy.as_deref(), &wish.tags)?;
    // Source: IAM user guide, "Create an OpenID Connect identity provider": a role trusts providers of its own account.
    let account = wish.role_arn.split(':').nth(4).unwrap_or_default();
    let vouched = (realm.believe)(token, account, call.at).map_err(disbelieved)?;
    trace.caller = Some(format!("{}:{}", vouched.issuer, vouched.subject));
    let role = realm.policies.calls().role(wish.role_arn);
    let mut context = wish.context(role, call, realm);
    context.set("aws:FederatedProvider", [vouched.provider.clone()]);
    for (key, values) in keys(&vouched) {
        context.set(&format!("{}:{key}", vouched.issuer), values);
    }
    let denied = |action: &str| {
        Fault::new(
            Code::AccessDenied,
            format!("Not authorized to perform {action}"),
        )
    };
    let Some(role) = role else {
        return Err(denied(ACTION).because("there is no such role"));
    };
    for action in std::iter::once(ACTION).chain(wish.further_actions()) {
        let by = CallBy::Federated(&vouched.provider);
        realm
            .policies
            .calls()
            .may_assume(role, by, action, &context)
            .map_err(|refusal| denied(action).because(refusal))?;
    }
    let life = wish.life(role, false)?;
    let granted = Granted {
        role,
        wish,
        life,
        percent,
        federated_provider: Some(vouched.provider.as_str().into()),
    };
    let more = [
        ("SubjectFromWebIdentityToken", vouched.subject.as_str()),
        ("Provider", vouched.provider.as_str()),
        ("Audience", vouched.audience.as_str()),
    ];
    granted.begin("AssumeRoleWithWebIdentityResult", call, realm, trace, &more)
}

fn disbelieved(disbelief: Disbelief) -> Fault {
    match disbelief {
        Disbelief::Expired => Fault::new(
            Code::ExpiredTokenException,
            "Token expired: the web identity token that was passed is expired.",
        ),
        Disbelief::NoProvider => Fault::new(
            Code::InvalidIdentityToken,
            "No OpenIDConnect provider found in your account for the issuer and audience of the token.",
        ),
        Disbelief::Invalid(reason) => Fault::new(
            Code::InvalidIdentityToken,
            "The web identity token that was passed could not be verified.",
        )
        .because(reason),
    }
}

/// The claims as condition keys.
///
/// `aud` is `azp` where a token has that, and `oaud` is then the audience.
fn keys(vouched: &Vouched) -> BTreeMap<&str, Vec<String>> {
    let mut keys: BTreeMap<&str, Vec<String>> = vouched
        .claims
        .iter()
        .map(|(name, values)| (name.as_str(), values.clone()))
        .collect();
    keys.insert("sub", vec![vouched.subject.clone()]);
    if let Some(party) = keys.get("azp").cloned() {
        keys.insert("oaud", vec![vouched.audience.clone()]);
        keys.insert("aud", party);
    } else {
        keys.insert("aud", vec![vouched.audience.clone()]);
    }
    keys
}
