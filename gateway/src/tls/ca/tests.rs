use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::pki_types::{CertificateDer, UnixTime, pem::PemObject as _};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::{CaError, InternalCa, issued::GENERATION};
use crate::tls::provider;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn now() -> SystemTime {
    // Whole seconds, as certificates have them.
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// Does a client that trusts the root accept the chain for `name` at `moment`?
fn accepts(
    ca: &InternalCa,
    chain: &[CertificateDer<'static>],
    name: &str,
    moment: SystemTime,
) -> bool {
    use rustls::client::danger::ServerCertVerifier as _;
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.root_pem().as_bytes()).unwrap())
        .unwrap();
    let verifier =
        rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .unwrap();
    let moment = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let name = name.to_owned().try_into().unwrap();
    verifier
        .verify_server_cert(
            &chain[0],
            &chain[1..],
            &name,
            &[],
            UnixTime::since_unix_epoch(moment),
        )
        .is_ok()
}

#[test]
fn the_root_is_made_once_and_only_its_owner_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("not/there/yet");
    let first = InternalCa::open(&data, now()).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(first.path()), 0o600);
    assert_eq!(mode(first.path().parent().unwrap()), 0o700);
    assert_eq!(first.warnings(), [] as [String; 0]);
    assert!(!first.root_pem().contains("PRIVATE"));

    let second = InternalCa::open(&data, now()).unwrap();
    assert_eq!(first.root_pem(), second.root_pem());
    assert_eq!(first.root_expires(), second.root_expires());
    let kept: Vec<_> = fs::read_dir(data.join("ca")).unwrap().collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let leaf = second.certificate("a.test", now()).unwrap();
    assert!(accepts(&first, &leaf.cert, "a.test", now()));
}

#[test]
fn two_starts_at_once_agree_on_one_root() {
    let folder = tempfile::tempdir().unwrap();
    let roots: Vec<String> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| InternalCa::open(folder.path(), now()).unwrap()))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap().root_pem().to_owned())
            .collect()
    });
    assert!(roots.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_leaf_is_for_one_name_and_for_ninety_days() {
    let folder = tempfile::tempdir().unwrap();
    let ca = InternalCa::open(folder.path(), now()).unwrap();
    let generated = "orders-0123456789abcdef0.7d67968.vpc-lattice-svcs.us-west-2.on.aws";
    for name in [
        "a.test",
        "with_underscore.a.test",
        generated,
        &format!("{generated}.{generated}"),
    ] {
        let leaf = ca.certificate(name, now()).unwrap();
        assert!(accepts(&ca, &leaf.cert, name, now()), "{name}");
        assert!(accepts(&ca, &leaf.cert, name, now() - DAY / 48), "{name}");
        assert!(
            accepts(&ca, &leaf.cert, name, now() + 90 * DAY - DAY / 24),
            "{name}"
        );
        assert!(!accepts(&ca, &leaf.cert, name, now() + 91 * DAY), "{name}");
        assert!(!accepts(&ca, &leaf.cert, "b.test", now()), "{name}");
        assert!(leaf.keys_match().is_ok());
    }
}

#[test]
fn no_two_certificates_share_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let ca = InternalCa::open(folder.path(), now()).unwrap();
    let mut numbers: Vec<_> = (0..50)
        .map(|n| {
            let leaf = ca.certificate(&format!("a{n}.test"), now()).unwrap();
            let (_, parsed) = X509Certificate::from_der(&leaf.cert[0]).unwrap();
            parsed.raw_serial().to_vec()
        })
        .collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 50);
}

#[test]
fn a_leaf_does_not_outlive_the_root() {
    let folder = tempfile::tempdir().unwrap();
    InternalCa::open(folder.path(), now()).unwrap();
    let late = now() + 3600 * DAY;
    let ca = InternalCa::open(folder.path(), late).unwrap();
    assert!(
        ca.warnings()[0].contains("expires in 50 days"),
        "{:?}",
        ca.warnings()
    );
    let leaf = ca.certificate("a.test", late).unwrap();
    assert!(accepts(&ca, &leaf.cert, "a.test", late + 49 * DAY));
    let error = ca.certificate("b.test", late + 51 * DAY).unwrap_err();
    assert!(matches!(error, CaError::Expired { .. }));
    let error = InternalCa::open(folder.path(), late + 51 * DAY).unwrap_err();
    assert!(error.to_string().contains("ca/root.pem"), "{error}");
}

#[test]
fn the_cache_is_bounded_and_keeps_what_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let ca = InternalCa::open(folder.path(), now()).unwrap();
    let kept = ca.certificate("kept.test", now()).unwrap();
    for n in 0..3 * GENERATION {
        ca.certificate(&format!("a{n}.test"), now()).unwrap();
        if n % 16 == 0 {
            let again = ca.certificate("kept.test", now()).unwrap();
            assert!(Arc::ptr_eq(&kept, &again));
        }
    }
    assert!(ca.issued.read().len() <= 2 * GENERATION);
}

/// A damaged file is refused, with its name, and left as it is.
fn check_corrupt(text: &[u8], wanted: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca/root.pem");
    fs::create_dir(folder.path().join("ca")).unwrap();
    fs::write(&path, text).unwrap();
    let error = InternalCa::open(folder.path(), now())
        .unwrap_err()
        .to_string();
    assert!(error.contains(&path.display().to_string()), "{error}");
    assert!(error.contains(wanted), "{error}");
    assert_eq!(fs::read(&path).unwrap(), text);
}

#[test]
fn a_damaged_file_is_named_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let ca = InternalCa::open(folder.path(), now()).unwrap();
    let whole = fs::read_to_string(ca.path()).unwrap();
    let (certificate, key) = whole.split_at(whole.find("-----BEGIN PRIVATE").unwrap());
    let elsewhere = tempfile::tempdir().unwrap();
    let other = InternalCa::open(elsewhere.path(), now()).unwrap();

    check_corrupt(b"", "holds no certificate");
    check_corrupt(b"\xff\xfe", "is not text");
    check_corrupt(certificate.as_bytes(), "holds no private key");
    check_corrupt(key.as_bytes(), "holds no certificate");
    check_corrupt(&whole.as_bytes()[..whole.len() - 40], "private key");
    check_corrupt(
        format!("{}{key}", other.root_pem()).as_bytes(),
        "do not belong together",
    );
    let pair = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
    let text = format!("{}{}", pair.cert.pem(), pair.signing_key.serialize_pem());
    check_corrupt(text.as_bytes(), "not a CA's");
}

#[test]
fn an_unreadable_place_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("ca/root.pem")).unwrap();
    let error = InternalCa::open(folder.path(), now()).unwrap_err();
    assert!(matches!(error, CaError::Read { .. }), "{error:?}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = InternalCa::open(&file, now()).unwrap_err();
    assert!(error.to_string().contains("file/ca/root.pem"), "{error}");
}

#[test]
fn a_key_that_others_may_read_is_worth_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = InternalCa::open(folder.path(), now())
        .unwrap()
        .path()
        .to_owned();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let ca = InternalCa::open(folder.path(), now()).unwrap();
    assert!(ca.warnings()[0].contains("mode 644"), "{:?}", ca.warnings());
}
