use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    time::UNIX_EPOCH,
};

use trellis_model::config::Secret;
use trellis_policy::session::{Bearer, Session, TokenError};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn session() -> Session {
    Session {
        access_key_id: "ASIATEST".into(),
        secret: Secret::new("secret"),
        bearer: Bearer::User {
            arn: "arn:aws:iam::111122223333:user/checkout".into(),
        },
        tags: BTreeMap::new(),
        transitive: BTreeSet::new(),
        source_identity: None,
        federated_provider: None,
        policies: Vec::new(),
        issued: start(),
        expires: start() + LONGEST_SESSION,
    }
}

fn seal(keychain: &Keychain) -> String {
    keychain.shared().load().seal(&session(), [7; 12]).unwrap()
}

fn opens(keychain: &Keychain, token: &str) -> bool {
    match keychain.shared().load().open(token.as_bytes()) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error, TokenError::Invalid);
            false
        }
    }
}

fn given(keys: &[(&str, &str)]) -> Vec<SessionKey> {
    let key = |(id, secret): &(&str, &str)| SessionKey {
        id: (*id).into(),
        secret: Secret::new(secret),
    };
    keys.iter().map(key).collect()
}

/// A keychain that runs with the keys of this folder, at this time.
fn own(folder: &Path, now: SystemTime) -> Keychain {
    let keychain = Keychain::new(folder);
    let prepared = keychain.prepare(&[], true, now).unwrap();
    assert!(prepared.warning.is_none());
    keychain.commit(prepared);
    keychain
}

#[test]
fn own_keys_are_made_once_and_only_their_owner_may_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("data");
    let token = seal(&own(&below, start()));
    let mode = fs::metadata(below.join("session-keys"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(&below).unwrap().count(), 1, "no draft is left");
    // The next start finds them.
    assert!(opens(&own(&below, start() + HOUR), &token));
    // Another gateway does not have them.
    let other = tempfile::tempdir().unwrap();
    assert!(!opens(&own(other.path(), start()), &token));
}

#[test]
fn a_new_key_seals_each_day_and_an_old_one_opens_as_long_as_its_tokens_can_live() {
    let folder = tempfile::tempdir().unwrap();
    let keychain = own(folder.path(), start());
    let first = seal(&keychain);
    assert!(matches!(
        keychain.rotate(start() + 23 * HOUR),
        Rotation::None
    ));
    assert!(matches!(
        keychain.rotate(start() + 24 * HOUR),
        Rotation::Done
    ));
    let second = seal(&keychain);
    assert_ne!(first, second);
    assert!(opens(&keychain, &first) && opens(&keychain, &second));
    assert!(matches!(
        keychain.rotate(start() + 48 * HOUR),
        Rotation::Done
    ));
    assert!(opens(&keychain, &first), "it sealed 24 hours ago, for 36");
    assert!(matches!(
        keychain.rotate(start() + 72 * HOUR),
        Rotation::Done
    ));
    assert!(
        !opens(&keychain, &first),
        "nothing sealed with it can be valid"
    );
    assert!(opens(&keychain, &second));
    let after_restart = own(folder.path(), start() + 73 * HOUR);
    assert!(opens(&after_restart, &second) && !opens(&after_restart, &first));
}

#[test]
fn a_rotation_that_cannot_be_kept_changes_nothing_and_is_tried_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let keychain = own(&data, start());
    let token = seal(&keychain);
    fs::rename(&data, folder.path().join("away")).unwrap();
    fs::write(&data, "a file where the folder should be").unwrap();
    let later = start() + 25 * HOUR;
    assert!(matches!(keychain.rotate(later), Rotation::Failed(_)));
    assert!(opens(&keychain, &token));
    assert!(matches!(
        keychain.rotate(later + Duration::from_secs(2)),
        Rotation::None
    ));
    fs::remove_file(&data).unwrap();
    assert!(matches!(keychain.rotate(later + RETRY), Rotation::Done));
    assert!(opens(&keychain, &token));
}

#[test]
fn given_keys_open_what_any_of_them_sealed_and_the_first_one_seals() {
    const A: (&str, &str) = ("a", "the first secret, of 32 letters or more");
    const B: (&str, &str) = ("b", "the second secret, of 32 letters or more");
    const B_AGAIN: (&str, &str) = ("b", "another secret under the name of the second");
    let folder = tempfile::tempdir().unwrap();
    let with = |keys: &[(&str, &str)]| {
        let keychain = Keychain::new(folder.path());
        keychain.commit(keychain.prepare(&given(keys), true, start()).unwrap());
        keychain
    };
    let (by_a, by_b) = (seal(&with(&[A])), seal(&with(&[B, A])));
    for (keys, opens_a, opens_b) in [
        (&[A][..], true, false),
        (&[A, B], true, true),
        (&[B, A], true, true),
        (&[B], false, true),
        (&[B_AGAIN, A], true, false),
    ] {
        let keychain = with(keys);
        assert_eq!(opens(&keychain, &by_a), opens_a, "{keys:?}");
        assert_eq!(opens(&keychain, &by_b), opens_b, "{keys:?}");
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "own keys are not made"
    );
}

#[test]
fn without_tokens_to_give_there_are_no_keys() {
    let folder = tempfile::tempdir().unwrap();
    let keychain = Keychain::new(folder.path());
    keychain.commit(keychain.prepare(&[], false, start()).unwrap());
    assert!(keychain.shared().load().is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_an_open_one_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session-keys");
    let token = seal(&own(folder.path(), start()));
    let right = fs::read_to_string(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let keychain = Keychain::new(folder.path());
    let prepared = keychain.prepare(&[], true, start()).unwrap();
    let warning = prepared.warning.as_ref().unwrap().to_string();
    assert!(warning.contains("mode 644, should be 600"), "{warning}");
    keychain.commit(prepared);
    assert!(opens(&keychain, &token));
    let short = right.replacen("\"secret\": \"", "\"secret\": \"\", \"x\": \"", 1);
    for wrong in [
        "",
        "{}",
        r#"{"keys":[]}"#,
        right.get(..right.len() / 2).unwrap(),
        &short,
    ] {
        fs::write(&path, wrong).unwrap();
        let problem = keychain
            .prepare(&[], true, start())
            .unwrap_err()
            .to_string();
        assert!(
            problem.contains("is not a file of session keys"),
            "{problem}"
        );
        assert!(!problem.contains("secret\""), "{problem}");
    }
}
