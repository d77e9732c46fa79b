//! What limits an identity: permissions boundaries and session policies, alone and together, each allow with its refusing twins.
//!
//! Source: IAM user guide, "Policy evaluation logic", "Permissions boundaries for IAM entities", "Session policies".

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, UNIX_EPOCH},
};

use trellis_model::config::Secret;

use super::*;
use crate::{
    Caller, RefusalKind, compile,
    decision::Layer as LayerName,
    world::{self, CHECKOUT, Call, Given, READER, READER_ROLE, config_with, policy, statement},
};

const ALLOW: &str = r#""Effect":"Allow","Action":"vpc-lattice-svcs:Invoke","Resource":"*""#;
const ALLOW_GET: &str = r#""Effect":"Allow","Action":"vpc-lattice-svcs:Invoke","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}"#;
const ALLOW_POST: &str = r#""Effect":"Allow","Action":"vpc-lattice-svcs:Invoke","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"POST"}}"#;
const DENY: &str = r#""Effect":"Deny","Action":"*","Resource":"*""#;
const OTHER_SERVICE: &str = r#""Effect":"Allow","Action":"s3:*","Resource":"*""#;
const EVERYBODY: &str =
    r#""Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*""#;

fn session(policies: &[&str]) -> Session {
    Session {
        access_key_id: "ASIAEXAMPLE".into(),
        secret: Secret::new("secret"),
        bearer: Bearer::Role {
            arn: READER_ROLE.into(),
            session_name: "night".into(),
        },
        tags: BTreeMap::new(),
        transitive: BTreeSet::new(),
        source_identity: None,
        federated_provider: None,
        policies: policies.iter().map(|body| statement(body).into()).collect(),
        issued: UNIX_EPOCH,
        expires: UNIX_EPOCH + Duration::from_secs(3600),
    }
}

/// What becomes of a `GET`, with these policies of the service, the role, its boundary and the session.
fn ask(
    service: Given<'_>,
    identity: &str,
    boundary: Option<&str>,
    session: &Session,
) -> Result<(), (LayerName, RefusalKind)> {
    let identity = statement(identity);
    let mut config = config_with(Given::None, service, Given::Policy(&identity));
    for role in &mut config.roles {
        Arc::make_mut(role).permissions_boundary = boundary.map(|body| policy(&statement(body)));
    }
    let policies = compile(&config).unwrap();
    let bound = policies.callers.bearers.bind(session).unwrap();
    let arn = bound.principal().arn.clone();
    let call = Call {
        session: Some(Caller::Session(bound)),
        ..Call::default()
    };
    let outcome = call.ask(&policies);
    let explanation = call.explain(&policies);
    assert_eq!(explanation.allowed, outcome.is_ok());
    assert_eq!(*explanation.caller, *arn);
    assert_eq!(
        explanation.refused_by,
        outcome.as_ref().err().map(|refusal| refusal.layer)
    );
    outcome.map_err(|refusal| (refusal.layer, refusal.kind))
}

#[test]
fn what_one_of_the_limits_does_not_allow_is_refused() {
    use LayerName::{Boundary, Identity, Session};
    use RefusalKind::{Explicit, Implicit};
    type Case<'a> = (
        &'a str,
        Option<&'a str>,
        &'a [&'a str],
        Result<(), (LayerName, RefusalKind)>,
    );
    let cases: [Case<'_>; 16] = [
        (ALLOW, None, &[], Ok(())),
        (OTHER_SERVICE, None, &[], Err((Identity, Implicit))),
        // A boundary limits, and gives nothing.
        (ALLOW, Some(ALLOW), &[], Ok(())),
        (ALLOW, Some(ALLOW_GET), &[], Ok(())),
        (ALLOW, Some(ALLOW_POST), &[], Err((Boundary, Implicit))),
        (ALLOW, Some(OTHER_SERVICE), &[], Err((Boundary, Implicit))),
        (ALLOW, Some(DENY), &[], Err((Boundary, Explicit))),
        (OTHER_SERVICE, Some(ALLOW), &[], Err((Identity, Implicit))),
        // So do the policies of a session.
        (ALLOW, None, &[ALLOW_GET], Ok(())),
        (ALLOW, None, &[ALLOW_POST], Err((Session, Implicit))),
        (ALLOW, None, &[DENY], Err((Session, Explicit))),
        (OTHER_SERVICE, None, &[ALLOW], Err((Identity, Implicit))),
        // Several of them are read as one.
        (ALLOW, None, &[ALLOW_POST, ALLOW_GET], Ok(())),
        (ALLOW, None, &[ALLOW_GET, DENY], Err((Session, Explicit))),
        // Both limits count.
        (ALLOW, Some(ALLOW), &[ALLOW_POST], Err((Session, Implicit))),
        (ALLOW, Some(ALLOW_POST), &[ALLOW], Err((Boundary, Implicit))),
    ];
    let service = statement(EVERYBODY);
    for (identity, boundary, policies, outcome) in cases {
        let found = ask(
            Given::Policy(&service),
            identity,
            boundary,
            &session(policies),
        );
        assert_eq!(
            found, outcome,
            "{identity} within {boundary:?} and {policies:?}"
        );
    }
}

#[test]
fn the_texts_name_the_boundary_and_the_session() {
    let service = statement(EVERYBODY);
    let identity = statement(ALLOW);
    let mut config = config_with(
        Given::None,
        Given::Policy(&service),
        Given::Policy(&identity),
    );
    Arc::make_mut(&mut config.users[0]).permissions_boundary = Some(policy(&statement(ALLOW_POST)));
    let policies = compile(&config).unwrap();
    let text = |call: &Call| call.explain(&policies).public_text.unwrap();
    let of_user = text(&Call::by(CHECKOUT));
    assert!(
        of_user
            .ends_with("because no permissions boundary allows the vpc-lattice-svcs:Invoke action"),
        "{of_user}"
    );
    let bound = policies.callers.bearers.bind(&session(&[DENY])).unwrap();
    let of_session = text(&Call {
        session: Some(Caller::Session(bound)),
        ..Call::default()
    });
    assert!(
        of_session.ends_with("with an explicit deny in a session policy"),
        "{of_session}"
    );
}

/// A session is matched as its role and as itself, and its tags are its own before they are the role's.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn policies_see_the_role_and_what_the_session_brings() {
    let tagged = |tags: &[(&str, &str)]| Session {
        tags: tags
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..session(&[])
    };
    let named = |name: &str| Session {
        bearer: Bearer::Role {
            arn: READER_ROLE.into(),
            session_name: name.into(),
        },
        ..session(&[])
    };
    let principal = |arn: &str| {
        format!(
            r#""Effect":"Allow","Principal":{{"AWS":"{arn}"}},"Action":"vpc-lattice-svcs:Invoke","Resource":"*""#
        )
    };
    let condition = |key: &str, value: &str| {
        format!(r#"{EVERYBODY},"Condition":{{"StringEquals":{{"{key}":"{value}"}}}}"#)
    };
    let user_id = {
        let policies = world::policies_with(Given::None, Given::None, Given::None);
        let bound = policies.callers.bearers.bind(&session(&[])).unwrap();
        bound.principal().user_id.to_string()
    };
    let night = session(&[]);
    let vouched = Session {
        source_identity: Some("alice".into()),
        federated_provider: Some("issuer".into()),
        ..session(&[])
    };
    let issued_before = |date: &str| {
        format!(r#"{EVERYBODY},"Condition":{{"DateLessThan":{{"aws:TokenIssueTime":"{date}"}}}}"#)
    };
    for (statement_body, session, allowed) in [
        (principal(READER_ROLE), &night, true),
        (principal(READER), &night, true),
        (principal("111122223333"), &night, true),
        (principal(READER), &named("day"), false),
        (principal(READER_ROLE), &named("day"), true),
        (principal(CHECKOUT), &night, false),
        (condition("aws:PrincipalArn", READER_ROLE), &night, true),
        (condition("aws:PrincipalArn", READER), &night, false),
        (condition("aws:PrincipalType", "AssumedRole"), &night, true),
        (condition("aws:PrincipalType", "User"), &night, false),
        (condition("aws:userid", &user_id), &night, true),
        (condition("aws:userid", &user_id), &named("day"), false),
        (condition("aws:username", "reader"), &night, false),
        (condition("aws:PrincipalTag/Team", "ops"), &night, true),
        (
            condition("aws:PrincipalTag/team", "web"),
            &tagged(&[("team", "web")]),
            true,
        ),
        (
            condition("aws:PrincipalTag/Team", "ops"),
            &tagged(&[("team", "web")]),
            false,
        ),
        (
            condition("aws:PrincipalTag/Team", "ops"),
            &tagged(&[("cost", "1")]),
            true,
        ),
        (
            condition("aws:PrincipalTag/cost", "1"),
            &tagged(&[("cost", "1")]),
            true,
        ),
        (condition("aws:PrincipalTag/cost", "1"), &night, false),
        (condition("aws:SourceIdentity", "alice"), &vouched, true),
        (condition("aws:SourceIdentity", "bob"), &vouched, false),
        (condition("aws:SourceIdentity", "alice"), &night, false),
        (condition("aws:FederatedProvider", "issuer"), &vouched, true),
        (condition("aws:FederatedProvider", "issuer"), &night, false),
        (issued_before("2001-01-01T00:00:00Z"), &night, true),
        (issued_before("1969-01-01T00:00:00Z"), &night, false),
    ] {
        let service = statement(&statement_body);
        let found = ask(Given::Policy(&service), ALLOW, None, session);
        assert_eq!(
            found.is_ok(),
            allowed,
            "{statement_body} for {session:?}: {found:?}"
        );
    }
}

/// The active policies and the candidates beside them meet the same session; what one of them worked out for it must not be taken
/// for the other's.
#[test]
fn what_a_session_may_do_by_a_candidate_is_not_what_it_may_do() {
    let allow = statement(ALLOW);
    let deny = statement(&EVERYBODY.replace("Allow", "Deny"));
    let everybody = statement(EVERYBODY);
    let mut config = config_with(
        Given::None,
        Given::Policy(&everybody),
        Given::Policy(&allow),
    );
    Arc::make_mut(&mut config.services[0]).shadow_auth_policy = Some(policy(&deny));
    let policies = compile(&config).unwrap();
    let bound = policies.callers.bearers.bind(&session(&[])).unwrap();
    let call = Call {
        session: Some(Caller::Session(bound)),
        ..Call::default()
    };
    for _ in 0..2 {
        assert!(call.ask(&policies).is_ok());
        let rehearsed = call.with(&policies, |request| policies.rehearse(request));
        assert!(rehearsed.is_some_and(|outcome| outcome.is_err()));
    }
}
