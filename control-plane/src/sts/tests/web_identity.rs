//! `AssumeRoleWithWebIdentity`: tokens that are believed and trusted, and their refusing twins.

use super::*;

#[test]
fn web_identities_are_believed_and_trusted_or_not() {
    let assume = |token: &str, role: &str, more: &str| {
        let body =
            assuming(role, more).replace("Action=AssumeRole&", "Action=AssumeRoleWithWebIdentity&");
        ask(&call(&format!("{body}&WebIdentityToken={token}")))
    };
    let invalid = Some("InvalidIdentityToken");
    for (token, role, more, wanted) in [
        ("orders", "web", "", None),
        ("catalog", "web", "", DENIED),
        ("other-provider", "web", "", DENIED),
        ("late", "web", "", Some("ExpiredTokenException")),
        ("foreign", "web", "", invalid),
        ("forged", "web", "", invalid),
        ("orders", "gone", "", DENIED),
        ("orders", "abroad@444455556666", "", invalid),
        ("orders", "untrusting", "", DENIED),
        // Whoever trusts everybody does not trust an identity provider that it has not named.
        ("orders", "of-all", "", DENIED),
        ("orders", "of-alice", "", DENIED),
        ("orders", "web", "&DurationSeconds=3601", INVALID),
        ("orders", "web", "&SourceIdentity=me", DENIED),
    ] {
        check(
            &assume(token, role, more),
            wanted,
            &format!("{token} {role} {more}"),
        );
    }
    let answer = assume("orders", "web", "");
    let body = &answer.body;
    assert_eq!(
        element(body, "SubjectFromWebIdentityToken"),
        "system:serviceaccount:shop:orders"
    );
    assert_eq!(element(body, "Audience"), "sts.amazonaws.com");
    assert_eq!(
        element(body, "Arn"),
        "arn:aws:sts::111122223333:assumed-role/web/work"
    );
    let session = session(&answer);
    assert_eq!(
        session.federated_provider.as_deref(),
        Some("arn:aws:iam::111122223333:oidc-provider/issuer.test/a")
    );
}
