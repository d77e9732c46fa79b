//! `GetSessionToken`: temporary credentials of users.

use super::*;

#[test]
fn users_get_temporary_credentials_and_sessions_do_not() {
    let token = |signer: &Signer, more: &str| {
        let body = format!("Action=GetSessionToken&Version=2011-06-15{more}");
        ask(&sign(call(&body), signer, "us-west-2", "sts"))
    };
    let answer = token(&lasting("AKIAALICE"), "");
    let signer = credentials(&answer);
    assert_eq!(session(&answer).expires, at(NOW + 43_200));
    let who = ask(&sign(
        call("Action=GetCallerIdentity"),
        &signer,
        "us-west-2",
        "sts",
    ));
    assert_eq!(
        element(&who.body, "Arn"),
        "arn:aws:iam::111122223333:user/alice"
    );
    check(&token(&signer, ""), DENIED, "with a session of a user");
    let role = credentials(&assume(&signer, "of-alice", ""));
    check(&token(&role, ""), DENIED, "with a session of a role");
    for (seconds, wanted) in [
        ("900", None),
        ("129600", None),
        ("129601", INVALID),
        ("899", INVALID),
    ] {
        let more = format!("&DurationSeconds={seconds}");
        check(&token(&lasting("AKIAALICE"), &more), wanted, seconds);
    }
}
