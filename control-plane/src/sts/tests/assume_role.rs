//! `AssumeRole`: whom a trust lets, what may be asked for, and what the session is then.

use super::*;

/// Each trust with those whom it lets and their refusing twins.
#[test]
fn who_may_assume_which_role() {
    for (key, role, wanted) in [
        ("AKIAALICE", "of-alice", None),
        ("AKIABOB", "of-alice", DENIED),
        // Trusted through the account: a permission of one's own is needed.
        ("AKIABOB", "of-account", None),
        ("AKIAALICE", "of-account", DENIED),
        ("AKIABOUNDED", "of-account", DENIED),
        ("AKIAEVE", "of-account", DENIED),
        // A denial of one's own counts whoever trusts.
        ("AKIADENIED", "of-denied", DENIED),
        ("AKIABOB", "of-denied", DENIED),
        // Whoever trusts everybody still asks for a permission.
        ("AKIABOB", "of-all", None),
        ("AKIAALICE", "of-all", DENIED),
        ("AKIAERIC", "of-all", None),
        ("AKIAED", "of-all", DENIED),
        // From another account both sides must allow, also when the trust names the caller.
        ("AKIABOB", "abroad@444455556666", None),
        ("AKIAALICE", "abroad@444455556666", DENIED),
        ("AKIAERIC", "abroad@444455556666", DENIED),
        // What trusts nobody, and what does not exist.
        ("AKIABOB", "untrusting", DENIED),
        ("AKIABOB", "web", DENIED),
        ("AKIABOB", "gone", DENIED),
    ] {
        let answer = assume(&lasting(key), role, "");
        check(&answer, wanted, &format!("{key} {role}"));
        if wanted.is_some() {
            let message = element(&answer.body, "Message");
            assert!(message.contains(
                "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::"
            ));
        }
    }
}

#[test]
fn a_role_that_does_not_exist_looks_like_one_that_does_not_trust() {
    let text = |role: &str| {
        let answer = assume(&lasting("AKIABOB"), role, "");
        (answer.status, answer.body.replace(role, "ROLE"))
    };
    assert_eq!(text("gone"), text("untrusting"));
}

#[test]
fn conditions_of_trust_hold_or_refuse() {
    let right = "&ExternalId=4711&RoleSessionName=alice-1";
    for (more, wanted) in [
        (right, None),
        ("&RoleSessionName=alice-1", DENIED),
        ("&ExternalId=4712&RoleSessionName=alice-1", DENIED),
        ("&ExternalId=4711&RoleSessionName=bob-1", DENIED),
    ] {
        check(
            &assume(&lasting("AKIAALICE"), "conditioned", more),
            wanted,
            more,
        );
    }
}

#[test]
fn tags_and_source_identities_need_permissions_of_their_own() {
    let tag =
        |key: &str, value: &str| format!("&Tags.member.1.Key={key}&Tags.member.1.Value={value}");
    for (role, more, wanted) in [
        ("tagged", tag("team", "web"), None),
        ("tagged", tag("team", "ops"), DENIED),
        ("tagged", "&SourceIdentity=alice".to_owned(), None),
        ("tagged", "&SourceIdentity=bob".to_owned(), DENIED),
        ("of-alice", tag("team", "web"), DENIED),
        ("of-alice", "&SourceIdentity=alice".to_owned(), DENIED),
    ] {
        check(&assume(&lasting("AKIAALICE"), role, &more), wanted, &more);
    }
}

#[test]
fn parameters_out_of_their_ranges_are_refused() {
    let long = "x".repeat(2049);
    let tags = |count: usize, length: usize| -> String {
        let mut text = String::new();
        for n in 1..=count {
            let value = "v".repeat(length);
            write!(
                text,
                "&Tags.member.{n}.Key=k{n}&Tags.member.{n}.Value={value}"
            )
            .unwrap();
        }
        text
    };
    let policy = |text: &str| format!("&Policy={}", encoded(text));
    for (more, wanted) in [
        ("&DurationSeconds=900".to_owned(), None),
        ("&DurationSeconds=7200".to_owned(), None),
        ("&DurationSeconds=7201".to_owned(), INVALID),
        ("&DurationSeconds=899".to_owned(), INVALID),
        ("&DurationSeconds=43201".to_owned(), INVALID),
        ("&DurationSeconds=long".to_owned(), INVALID),
        ("&DurationSeconds=-900".to_owned(), INVALID),
        ("&RoleSessionName=x".to_owned(), INVALID),
        ("&RoleSessionName=a%20b".to_owned(), INVALID),
        ("&RoleSessionName=a/b".to_owned(), INVALID),
        ("&ExternalId=x".to_owned(), INVALID),
        ("&SourceIdentity=aws:x".to_owned(), INVALID),
        ("&SerialNumber=x".to_owned(), DENIED),
        (
            "&PolicyArns.member.1.arn=arn:aws:iam::aws:policy/X".to_owned(),
            INVALID,
        ),
        (policy(r#"{"Version":"2012-10-17","Statement":[]}"#), None),
        (policy("{"), Some("MalformedPolicyDocument")),
        (
            policy(
                r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#,
            ),
            Some("MalformedPolicyDocument"),
        ),
        (policy(&long), INVALID),
        (tags(51, 1), INVALID),
        (tags(50, 200), Some("PackedPolicyTooLarge")),
        ("&Tags.member.1.Key=".to_owned(), INVALID),
        (
            "&Tags.member.1.Key=aws:x".to_owned(),
            Some("InvalidParameterValue"),
        ),
        (
            "&Tags.member.1.Key=a&Tags.member.2.Key=A".to_owned(),
            Some("InvalidParameterValue"),
        ),
        (
            "&TransitiveTagKeys.member.1=a".to_owned(),
            Some("InvalidParameterValue"),
        ),
        (
            "&ExternalId=1234&ExternalId=1234".to_owned(),
            Some("MalformedQueryString"),
        ),
    ] {
        check(
            &assume(&lasting("AKIAALICE"), "of-alice", &more),
            wanted,
            &more,
        );
    }
}

#[test]
fn an_assumed_session_says_who_it_is_and_how_long() {
    let answer = assume(&lasting("AKIAALICE"), "of-alice", "&DurationSeconds=900");
    let body = &answer.body;
    assert_eq!(
        element(body, "Arn"),
        "arn:aws:sts::111122223333:assumed-role/of-alice/work"
    );
    assert!(element(body, "AssumedRoleId").starts_with("AROA"));
    assert_eq!(element(body, "Expiration"), "2027-01-15T08:15:00Z");
    assert!(!body.contains("PackedPolicySize"));
    let signer = credentials(&answer);
    assert_eq!(signer.key.len(), 20);
    assert!(signer.key.starts_with("ASIA"));
    assert_eq!(signer.secret.len(), 40);
    let session = session(&answer);
    assert_eq!(session.issued, at(NOW));
    assert_eq!(session.expires, at(NOW + 900));
    // It signs, and is somebody else than who asked for it.
    let who = ask(&sign(
        call("Action=GetCallerIdentity"),
        &signer,
        "us-west-2",
        "sts",
    ));
    assert_eq!(
        element(&who.body, "Arn"),
        "arn:aws:sts::111122223333:assumed-role/of-alice/work"
    );
    assert_eq!(element(&who.body, "UserId"), element(body, "AssumedRoleId"));
    assert_eq!(element(&who.body, "Account"), "111122223333");
    // Until it is over.
    let mut late = sign(
        call("Action=GetCallerIdentity"),
        &signer,
        "us-west-2",
        "sts",
    );
    late.at = at(NOW + 240);
    check(&ask(&late), None, "in time");
}

#[test]
fn a_session_hands_on_its_identity_and_its_transitive_tags() {
    let more = "&Tags.member.1.Key=team&Tags.member.1.Value=web&TransitiveTagKeys.member.1=team&SourceIdentity=alice";
    let first = credentials(&assume(&lasting("AKIAALICE"), "tagged", more));
    let second = assume(
        &first,
        "second",
        "&Tags.member.1.Key=cost&Tags.member.1.Value=1",
    );
    let session = session(&second);
    assert_eq!(session.source_identity.as_deref(), Some("alice"));
    assert_eq!(session.tags.get("team").map(String::as_str), Some("web"));
    assert_eq!(session.tags.get("cost").map(String::as_str), Some("1"));
    assert!(session.transitive.contains("team") && !session.transitive.contains("cost"));
    assert!(matches!(&session.bearer, Bearer::Role { arn, .. } if arn.ends_with("role/second")));
    for (more, wanted) in [
        ("&SourceIdentity=alice", None),
        ("&SourceIdentity=other", DENIED),
        (
            "&Tags.member.1.Key=TEAM&Tags.member.1.Value=ops",
            Some("InvalidParameterValue"),
        ),
        // A session assumed from another one lasts an hour at most.
        ("&DurationSeconds=3600", None),
        ("&DurationSeconds=3601", INVALID),
    ] {
        check(&assume(&first, "second", more), wanted, more);
    }
}

#[test]
fn a_session_policy_limits_what_its_session_may_assume() {
    let policy = |action: &str| {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"{action}","Resource":"*"}}}}"#
        );
        format!("&Policy={}", encoded(&text))
    };
    for (action, wanted) in [("sts:*", None), ("vpc-lattice-svcs:*", DENIED)] {
        let answer = assume(&lasting("AKIAALICE"), "tagged", &policy(action));
        assert_eq!(element(&answer.body, "PackedPolicySize"), "2");
        check(&assume(&credentials(&answer), "second", ""), wanted, action);
    }
}
