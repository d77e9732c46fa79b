//! What holds for every operation: signatures, sessions that are over, calls that nobody serves, and a service without keys.

use super::*;

#[test]
fn signatures_are_verified_like_those_of_requests() {
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
    let alice = lasting("AKIAALICE");
    let signed = |region, service| sign(call(body), &alice, region, service);
    let wrong = |change: fn(&mut Call)| {
        let mut call = signed("us-west-2", "sts");
        change(&mut call);
        call
    };
    let mismatch = Some("SignatureDoesNotMatch");
    let bad_secret = Signer {
        secret: "another".to_owned(),
        ..alice.clone()
    };
    let bad_token = Signer {
        token: Some("token".to_owned()),
        ..alice.clone()
    };
    for (call, wanted, told) in [
        (signed("us-west-2", "sts"), None, "right"),
        (signed("us-east-1", "sts"), None, "the region of the world"),
        (signed("eu-west-1", "sts"), mismatch, "another region"),
        (
            signed("us-west-2", "vpc-lattice-svcs"),
            mismatch,
            "another service",
        ),
        (call(body), Some("MissingAuthenticationToken"), "unsigned"),
        (
            wrong(|call| call.body = Bytes::from_static(b"Action=GetSessionToken")),
            mismatch,
            "another body",
        ),
        (wrong(|call| call.at = at(NOW + 301)), mismatch, "late"),
        (
            sign(call(body), &bad_secret, "us-west-2", "sts"),
            mismatch,
            "another secret",
        ),
        (
            sign(call(body), &lasting("AKIANOBODY"), "us-west-2", "sts"),
            Some("InvalidClientTokenId"),
            "nobody's",
        ),
        (
            sign(call(body), &bad_token, "us-west-2", "sts"),
            Some("InvalidClientTokenId"),
            "a token",
        ),
        (
            wrong(|call| {
                call.headers.insert(
                    "authorization",
                    HeaderValue::from_static("AWS4-HMAC-SHA256 x"),
                );
            }),
            Some("IncompleteSignature"),
            "malformed",
        ),
    ] {
        check(&ask(&call), wanted, told);
    }
    let mut get = call("");
    get.method = Method::GET;
    get.query = Some(body.into());
    check(&ask(&sign(get, &alice, "us-west-2", "sts")), None, "GET");
}

#[test]
fn an_expired_session_is_told_so() {
    let answer = assume(&lasting("AKIAALICE"), "of-alice", "&DurationSeconds=900");
    let mut expired = session(&answer);
    expired.expires = at(NOW);
    let signer = Signer {
        token: Some(WORLD.keys.seal(&expired, [3; 12]).unwrap()),
        ..credentials(&answer)
    };
    let who = ask(&sign(
        call("Action=GetCallerIdentity"),
        &signer,
        "us-west-2",
        "sts",
    ));
    check(&who, Some("ExpiredToken"), "expired");
}

#[test]
fn what_is_not_served_is_told_so() {
    let with = |change: fn(&mut Call)| {
        let mut call = call("Action=GetCallerIdentity&Version=2011-06-15");
        change(&mut call);
        call
    };
    for (call, wanted) in [
        (call("Action=GetFederationToken"), "InvalidAction"),
        (
            call("Action=GetCallerIdentity&Version=2010-01-01"),
            "InvalidAction",
        ),
        (call("Version=2011-06-15"), "MissingAction"),
        (call(""), "MissingAction"),
        (call("Action=%"), "MalformedQueryString"),
        (with(|call| call.path = "/services".into()), "InvalidAction"),
        (with(|call| call.method = Method::PUT), "InvalidAction"),
    ] {
        check(&ask(&call), Some(wanted), wanted);
    }
}

#[test]
fn without_keys_nothing_is_given_out() {
    let call = sign(
        call(&assuming("of-alice", "")),
        &lasting("AKIAALICE"),
        "us-west-2",
        "sts",
    );
    let answer = ask_with(&call, &SealingKeys::default());
    check(&answer, Some("InternalFailure"), "no keys");
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
}
