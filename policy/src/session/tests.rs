use std::{sync::Arc, time::UNIX_EPOCH};

use arc_swap::ArcSwap;
use proptest::prelude::*;
use trellis_model::config::Secret;

use super::{opened::Opened, seal::MAX_TOKEN_BYTES, *};
use crate::{bearers::BoundSession, principal::Caller, world};

const NONCE: [u8; NONCE_BYTES] = [9; NONCE_BYTES];
const READER: &str = "arn:aws:iam::111122223333:role/reader";

pub(crate) fn key(name: &str) -> SealingKey {
    SealingKey::new(
        name,
        &Secret::new(&format!(
            "{name} {name} {name} and then at least 32 characters"
        )),
    )
    .unwrap()
}

fn keys(names: &[&str]) -> SealingKeys {
    SealingKeys::new(names.iter().map(|name| key(name)).collect())
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn session() -> Session {
    Session {
        access_key_id: "ASIAEXAMPLE".into(),
        secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        bearer: Bearer::Role {
            arn: READER.into(),
            session_name: "night".into(),
        },
        tags: BTreeMap::from([("team".to_owned(), "web".to_owned())]),
        transitive: BTreeSet::from(["team".to_owned()]),
        source_identity: Some("alice".into()),
        federated_provider: Some("https://issuer.test".into()),
        policies: vec![r#"{"Version":"2012-10-17","Statement":[]}"#.into()],
        issued: at(1_000),
        expires: at(4_600),
    }
}

fn text() -> impl Strategy<Value = Box<str>> {
    "\\PC{0,40}".prop_map(Into::into)
}

prop_compose! {
    fn sessions()(
        id in text(), secret in text(), arn in text(), name in proptest::option::of(text()),
        tags in proptest::collection::btree_map("\\PC{1,20}", "\\PC{0,40}", 0..5),
        identity in proptest::option::of(text()), provider in proptest::option::of(text()),
        policies in proptest::collection::vec(text(), 0..3),
        issued in 0..u64::from(u32::MAX), life in 0..200_000_u64,
    ) -> Session {
        let bearer = match name {
            Some(session_name) => Bearer::Role { arn, session_name },
            None => Bearer::User { arn },
        };
        Session {
            access_key_id: id,
            secret: Secret::new(&secret),
            bearer,
            transitive: tags.keys().take(2).cloned().collect(),
            tags,
            source_identity: identity,
            federated_provider: provider,
            policies,
            issued: at(issued),
            expires: at(issued + life),
        }
    }
}

proptest! {
    #[test]
    fn what_is_sealed_opens_as_it_was(session in sessions(), nonce: [u8; NONCE_BYTES]) {
        let token = keys(&["a"]).seal(&session, nonce).unwrap();
        prop_assert_eq!(keys(&["b", "a"]).open(token.as_bytes()).unwrap(), session);
    }

    #[test]
    fn with_any_bit_flipped_nothing_opens(bit in 0..8_usize, at: prop::sample::Index) {
        let mut token = keys(&["a"]).seal(&session(), NONCE).unwrap().into_bytes();
        let place = at.index(token.len());
        token[place] ^= 1 << bit;
        prop_assert_eq!(keys(&["a"]).open(&token), Err(TokenError::Invalid));
    }

    #[test]
    fn cut_or_lengthened_nothing_opens(at: prop::sample::Index, more in "[A-Za-z0-9_=-]{1,8}") {
        let token = keys(&["a"]).seal(&session(), NONCE).unwrap();
        let cut = &token.as_bytes()[..at.index(token.len())];
        prop_assert_eq!(keys(&["a"]).open(cut), Err(TokenError::Invalid));
        prop_assert_eq!(keys(&["a"]).open((token + &more).as_bytes()), Err(TokenError::Invalid));
    }

    #[test]
    fn whatever_is_not_a_token_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(keys(&["a", "b"]).open(&bytes), Err(TokenError::Invalid));
    }
}

#[test]
fn every_single_bit_of_the_sealed_bytes_counts() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let token = keys(&["a"]).seal(&session(), NONCE).unwrap();
    let sealed = URL_SAFE_NO_PAD.decode(&token).unwrap();
    assert!(keys(&["a"]).open(token.as_bytes()).is_ok());
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let token = URL_SAFE_NO_PAD.encode(&changed);
        assert_eq!(
            keys(&["a"]).open(token.as_bytes()),
            Err(TokenError::Invalid),
            "bit {bit}"
        );
    }
}

#[test]
fn only_a_key_with_the_same_name_and_secret_opens() {
    let token = keys(&["a", "b"]).seal(&session(), NONCE).unwrap();
    let other_secret = Secret::new("another secret that has 32 characters");
    let same_name = SealingKeys::new(vec![SealingKey::new("a", &other_secret).unwrap()]);
    for (keys, opens) in [
        (keys(&["a"]), true),
        (keys(&["b", "a"]), true),
        (keys(&["b"]), false),
        (same_name, false),
        (SealingKeys::default(), false),
    ] {
        let opened = keys.open(token.as_bytes());
        assert_eq!(opened.is_ok(), opens, "{keys:?}: {opened:?}");
    }
    assert!(SealingKey::new("short", &Secret::new("only 31 characters, and not one")).is_none());
}

#[test]
fn a_session_that_needs_too_large_a_token_is_not_sealed() {
    let mut large = session();
    large.policies = vec!["x".repeat(MAX_TOKEN_BYTES * 3 / 4).into()];
    assert!(matches!(
        keys(&["a"]).seal(&large, NONCE),
        Err(SealError::TooLarge { bytes }) if bytes > MAX_TOKEN_BYTES
    ));
    assert_eq!(
        SealingKeys::default().seal(&session(), NONCE),
        Err(SealError::Cipher)
    );
    let long = vec![b'A'; MAX_TOKEN_BYTES + 1];
    assert_eq!(keys(&["a"]).open(&long), Err(TokenError::Invalid));
}

#[test]
fn neither_sessions_nor_keys_show_their_secrets() {
    let shown = format!("{:?} {:?} {:?}", session(), keys(&["a"]), key("a"));
    for secret in ["wJalr", "Statement", "a a a", "alice"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// The session that a token was opened to.
fn bound(opened: &Opened) -> Arc<BoundSession> {
    match &opened.caller {
        Caller::Session(session) => Arc::clone(session),
        caller => panic!("{caller:?} is no session"),
    }
}

/// What becomes of a token that a request brings with this access key at this time.
fn find(session: &Session, access_key: &str, now: u64) -> Result<Arc<BoundSession>, TokenError> {
    let policies = world::policies_with(world::Given::None, world::Given::None, world::Given::None);
    let keys = Arc::new(ArcSwap::from_pointee(keys(&["a"])));
    let token = keys.load().seal(session, NONCE).unwrap();
    let sessions = policies.sessions(keys);
    let first = sessions.find(token.as_bytes(), access_key.as_bytes(), at(now));
    let again = sessions.find(token.as_bytes(), access_key.as_bytes(), at(now));
    match (first, again) {
        (Ok(first), Ok(again)) => {
            assert!(Arc::ptr_eq(&first, &again), "the second was remembered");
            assert_eq!(sessions.opened(), 1);
            Ok(bound(&first))
        }
        (first, again) => {
            assert_eq!(first.as_ref().err(), again.as_ref().err());
            first.map(|opened| bound(&opened))
        }
    }
}

#[test]
fn a_token_counts_for_its_access_key_until_it_expires() {
    for (access_key, now, outcome) in [
        ("ASIAEXAMPLE", 1_000, Ok(())),
        ("ASIAEXAMPLE", 4_599, Ok(())),
        ("ASIAEXAMPLE", 4_600, Err(TokenError::Expired)),
        ("ASIAOTHER", 1_000, Err(TokenError::OtherAccessKey)),
        ("", 1_000, Err(TokenError::OtherAccessKey)),
    ] {
        let found = find(&session(), access_key, now).map(drop);
        assert_eq!(found, outcome, "{access_key} at {now}");
    }
}

#[test]
fn a_remembered_session_expires_like_any_other() {
    let policies = world::policies_with(world::Given::None, world::Given::None, world::Given::None);
    let keys = Arc::new(ArcSwap::from_pointee(keys(&["a"])));
    let token = keys.load().seal(&session(), NONCE).unwrap();
    let sessions = policies.sessions(keys);
    let find = |now| {
        sessions
            .find(token.as_bytes(), b"ASIAEXAMPLE", at(now))
            .map(drop)
    };
    assert_eq!(find(4_599), Ok(()));
    assert_eq!(find(4_600), Err(TokenError::Expired));
}

#[test]
fn a_session_is_nobodys_once_its_role_or_user_is_gone() {
    let of = |bearer| Session {
        bearer,
        ..session()
    };
    let role = |arn: &str| Bearer::Role {
        arn: arn.into(),
        session_name: "night".into(),
    };
    let user = |arn: &str| Bearer::User { arn: arn.into() };
    let cases = [
        (role(READER), true),
        (role("arn:aws:iam::111122223333:role/gone"), false),
        (role("arn:aws:iam::999999999999:role/reader"), false),
        (user(world::CHECKOUT), true),
        (user("arn:aws:iam::111122223333:user/gone"), false),
        // A role is no user, and a user no role.
        (user(READER), false),
        (role(world::CHECKOUT), false),
    ];
    for (bearer, there) in cases {
        let found = find(&of(bearer.clone()), "ASIAEXAMPLE", 2_000);
        assert_eq!(found.is_ok(), there, "{bearer:?}: {found:?}");
        if let Err(error) = found {
            assert_eq!(error, TokenError::NoBearer);
        }
    }
}

#[test]
fn a_session_with_a_policy_that_cannot_be_read_is_refused() {
    let broken = Session {
        policies: vec![r#"{"Statement":[{"Effect":"Perhaps"}]}"#.into()],
        ..session()
    };
    assert_eq!(
        find(&broken, "ASIAEXAMPLE", 2_000).map(drop),
        Err(TokenError::Policy)
    );
}

#[test]
fn the_principal_of_a_session_is_its_role_with_what_the_session_brings() {
    let bound = find(&session(), "ASIAEXAMPLE", 2_000).unwrap();
    let principal = bound.principal();
    assert_eq!(
        &*principal.arn,
        "arn:aws:sts::111122223333:assumed-role/reader/night"
    );
    assert_eq!(&*principal.principal_arn, READER);
    assert_eq!(principal.kind.as_str(), "AssumedRole");
    assert_eq!(principal.user_name(), None);
    assert!(principal.user_id.starts_with("AROA") && principal.user_id.ends_with(":night"));
    assert_eq!(principal.tags.get("team").map(String::as_str), Some("web"));
    assert_eq!(principal.source_identity.as_deref(), Some("alice"));
    assert_eq!(
        principal.federated_provider.as_deref(),
        Some("https://issuer.test")
    );
    assert_eq!(principal.issued, Some(at(1_000)));
}

#[test]
fn the_principal_of_a_users_session_is_the_user_with_the_time_of_issue() {
    let of_user = Session {
        bearer: Bearer::User {
            arn: world::CHECKOUT.into(),
        },
        tags: BTreeMap::new(),
        transitive: BTreeSet::new(),
        source_identity: None,
        federated_provider: None,
        ..session()
    };
    let bound = find(&of_user, "ASIAEXAMPLE", 2_000).unwrap();
    let principal = bound.principal();
    assert_eq!(&*principal.arn, world::CHECKOUT);
    assert_eq!(&*principal.principal_arn, world::CHECKOUT);
    assert_eq!(principal.kind.as_str(), "User");
    assert_eq!(principal.user_name(), Some("checkout"));
    assert!(principal.user_id.starts_with("AIDA"));
    assert_eq!(principal.tags.get("Team").map(String::as_str), Some("web"));
    assert_eq!(principal.issued, Some(at(1_000)));
}

/// Gives out tokens and remembers the opened ones.
struct Opener {
    keys: Arc<ArcSwap<SealingKeys>>,
    sessions: Sessions,
    sealed: u32,
}

impl Opener {
    fn new() -> Self {
        let none = world::Given::None;
        let keys = Arc::new(ArcSwap::from_pointee(keys(&["a"])));
        Self {
            sessions: world::policies_with(none, none, none).sessions(Arc::clone(&keys)),
            keys,
            sealed: 0,
        }
    }

    /// So many tokens of one session, no two of them the same.
    fn seal(&mut self, session: &Session, count: usize) -> Vec<String> {
        let one = |_| {
            self.sealed += 1;
            let mut nonce = [0; NONCE_BYTES];
            nonce[..4].copy_from_slice(&self.sealed.to_be_bytes());
            self.keys.load().seal(session, nonce).unwrap()
        };
        (0..count).map(one).collect()
    }

    /// How many of these tokens are remembered, asked for from the last to the first.
    fn remembered(&self, tokens: &[String], now: u64) -> usize {
        let known = |token: &&String| {
            let before = self.sessions.opened();
            let found = self
                .sessions
                .find(token.as_bytes(), b"ASIAEXAMPLE", at(now));
            assert!(found.is_ok(), "{found:?}");
            self.sessions.opened() == before
        };
        tokens.iter().rev().filter(known).count()
    }
}

fn small() -> Session {
    Session {
        policies: Vec::new(),
        ..session()
    }
}

/// With a session policy of nearly the longest kind.
fn large() -> Session {
    let statement = r#"{"Effect":"Allow","Action":"vpc-lattice-svcs:Invoke","Resource":"*"}"#;
    let statements = vec![statement; 28].join(",");
    let policy = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    assert!((1_950..2_048).contains(&policy.len()));
    Session {
        policies: vec![policy.into()],
        ..session()
    }
}

/// The memory has sixteen parts of 1 024 places; a policy of 2 KB takes more than sixty of them.
#[test]
fn what_is_remembered_is_bounded_by_what_it_weighs() {
    let mut opener = Opener::new();
    let tokens = opener.seal(&small(), 300);
    assert_eq!(opener.remembered(&tokens, 2_000), 0);
    assert_eq!(opener.remembered(&tokens, 2_000), 300);
    let mut opener = Opener::new();
    let tokens = opener.seal(&large(), 300);
    assert_eq!(opener.remembered(&tokens, 2_000), 0);
    let kept = opener.remembered(&tokens, 2_000);
    assert!((1..=16 * 16).contains(&kept), "{kept} of 300");
}

#[test]
fn sessions_that_are_over_make_room_for_those_that_are_not() {
    let mut opener = Opener::new();
    let brief = Session {
        expires: at(2_500),
        ..large()
    };
    let over = opener.seal(&brief, 300);
    assert_eq!(opener.remembered(&over, 2_000), 0);
    let live = opener.seal(&large(), 48);
    assert_eq!(opener.remembered(&live, 2_600), 0);
    assert_eq!(opener.remembered(&live, 2_600), 48);
}
