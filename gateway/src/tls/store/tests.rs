use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{CertificateParams, KeyPair};
use trellis_model::{
    config::Config,
    load::{Inputs, Source, load},
    problem::Problems,
};

use super::{CertificateEvent, Certificates};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A folder with a configuration of one service, whose certificate the tests write.
struct House {
    folder: tempfile::TempDir,
    config: Config,
}

struct NoInputs;

impl Inputs for NoInputs {
    fn read(&self, _: &Path) -> Result<String, String> {
        Err("there is no such file".to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"
            account: "111122223333"
            region: us-west-2
            vpcs: [{name: shop, attachments: [{listen: ["127.0.0.1"]}]}]
            targetGroups: []
            services:
              - name: orders
                customDomainName: orders.shop.test
                certificate: {certificateFile: tls.crt, privateKeyFile: tls.key}
                listeners: [{name: https, protocol: HTTPS, port: 443, defaultAction: {fixedResponse: {statusCode: 404}}}]
        "#;
        let source = Source {
            path: folder.path().join("trellis.yaml"),
            text: Ok(text.to_owned()),
        };
        let config = load(&[source], &NoInputs).unwrap().config;
        Self { folder, config }
    }

    fn write(&self, file: &str, text: &str) {
        // Renamed into place, so that each write is a new file even within one tick of the clock.
        let draft = self.folder.path().join("draft");
        fs::write(&draft, text).unwrap();
        fs::rename(draft, self.folder.path().join(file)).unwrap();
    }

    fn put(&self, (certificate, key): &(String, String)) {
        self.write("tls.crt", certificate);
        self.write("tls.key", key);
    }

    fn load(&self, previous: &Certificates, now: SystemTime) -> (Certificates, Problems) {
        Certificates::load(&self.config, previous, now)
    }

    /// A loaded certificate and its set.
    fn loaded(&self) -> Certificates {
        self.put(&pair(&["orders.shop.test"], 0..90));
        let (certificates, problems) = self.load(&Certificates::default(), now());
        assert!(problems.is_empty(), "{problems}");
        certificates
    }

    fn first(&self, certificates: &Certificates) -> Vec<u8> {
        let kept = certificates.of(self.config.services[0].id).unwrap();
        kept.key().cert[0].to_vec()
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A certificate and key, valid for these days from now.
fn pair(names: &[&str], days: std::ops::Range<i32>) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    let day = |days: i32| now() + DAY * 1000 - DAY * u32::try_from(1000 - days).unwrap();
    params.not_before = day(days.start).into();
    params.not_after = day(days.end).into();
    let certificate = params.self_signed(&key).unwrap().pem();
    (certificate, key.serialize_pem())
}

/// What loading says about these files: every problem, with its place.
fn check_load(files: &(String, String), wanted: &[&str]) {
    let house = House::new();
    house.put(files);
    let (certificates, problems) = house.load(&Certificates::default(), now());
    let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.contains("services[0].certificate"), "{found}");
        assert!(found.contains(wanted), "{found}");
    }
    let kept = certificates.of(house.config.services[0].id).is_some();
    assert_eq!(kept, !problems.has_errors());
}

#[test]
fn a_fitting_pair_is_taken_and_everything_else_is_reported_with_its_place() {
    let good = pair(&["orders.shop.test"], 0..90);
    let other = pair(&["orders.shop.test"], 0..90);
    check_load(&good, &[]);
    check_load(&pair(&["*.shop.test"], -1..90), &[]);
    check_load(&pair(&["orders.shop.test"], 0..13), &["expires in 13 days"]);
    check_load(&pair(&["orders.shop.test"], -9..0), &["within a day"]);
    check_load(&pair(&["orders.shop.test"], -9..-1), &["has expired"]);
    check_load(&pair(&["orders.shop.test"], 1..90), &["not valid yet"]);
    check_load(
        &pair(&["pay.shop.test", "*.test"], 0..90),
        &["does not cover `orders.shop.test`\n    hint: it is for `pay.shop.test`, `*.test`"],
    );
    check_load(
        &(good.0.clone(), other.1),
        &["tls.crt` does not belong to the key"],
    );
    check_load(
        &(good.0.clone(), String::new()),
        &["tls.key` holds no private key"],
    );
    check_load(&(String::new(), good.1), &["tls.crt` holds no certificate"]);
}

#[test]
fn a_missing_file_is_named() {
    let house = House::new();
    let (_, problems) = house.load(&Certificates::default(), now());
    let text = problems.to_string();
    assert!(text.contains("tls.crt`: there is no such file"), "{text}");
    house.write("tls.crt", &pair(&["orders.shop.test"], 0..90).0);
    let (_, problems) = house.load(&Certificates::default(), now());
    let text = problems.to_string();
    assert!(text.contains("tls.key`: there is no such file"), "{text}");
}

#[test]
fn new_files_are_taken_into_use_by_those_who_hold_the_certificate() {
    let house = House::new();
    let certificates = house.loaded();
    let held = Arc::clone(certificates.of(house.config.services[0].id).unwrap());
    let before = held.key();
    assert_eq!(certificates.refresh(now()), []);

    house.put(&pair(&["orders.shop.test"], 0..60));
    let events = certificates.refresh(now());
    assert_eq!(
        events,
        [CertificateEvent::Replaced {
            domain: held.domain().clone(),
            warnings: vec![],
        }]
    );
    assert_ne!(before.cert, held.key().cert);
    assert_eq!(held.expires(), now() + 60 * DAY);
    assert_eq!(certificates.refresh(now()), []);
}

/// Broken new files: the old certificate stays, and the second look reports them, once.
fn check_refused(certificate: Option<&str>, key: Option<&str>, wanted: &str) {
    let house = House::new();
    let certificates = house.loaded();
    let before = house.first(&certificates);
    for (file, text) in [("tls.crt", certificate), ("tls.key", key)] {
        match text {
            Some(text) => house.write(file, text),
            None => fs::remove_file(house.folder.path().join(file)).unwrap(),
        }
    }
    assert_eq!(certificates.refresh(now()), [], "{wanted}");
    let events = certificates.refresh(now());
    let [CertificateEvent::Refused { problem, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert!(problem.to_string().contains(wanted), "{problem}");
    assert_eq!(certificates.refresh(now()), []);
    assert_eq!(house.first(&certificates), before);

    house.put(&pair(&["orders.shop.test"], 0..70));
    let events = certificates.refresh(now());
    assert!(
        matches!(events[..], [CertificateEvent::Replaced { .. }]),
        "{events:?}"
    );
}

#[test]
fn broken_new_files_leave_the_old_certificate_in_place() {
    let (good, other) = (
        pair(&["orders.shop.test"], 0..90),
        pair(&["orders.shop.test"], 0..90),
    );
    let foreign = pair(&["pay.shop.test"], 0..90);
    check_refused(Some(&good.0), Some(&other.1), "does not belong to the key");
    check_refused(Some(&foreign.0), Some(&foreign.1), "does not cover");
    check_refused(Some("garbage"), Some(&good.1), "holds no certificate");
    check_refused(None, Some(&good.1), "there is no such file");
    check_refused(Some(&good.0), None, "there is no such file");
    check_refused(None, None, "there is no such file");
}

#[test]
fn the_moment_between_two_writes_is_not_reported() {
    let house = House::new();
    let certificates = house.loaded();
    let new = pair(&["orders.shop.test"], 0..80);
    house.write("tls.crt", &new.0);
    assert_eq!(certificates.refresh(now()), []);
    house.write("tls.key", &new.1);
    let events = certificates.refresh(now());
    assert!(
        matches!(events[..], [CertificateEvent::Replaced { .. }]),
        "{events:?}"
    );
}

#[test]
fn files_put_back_as_they_were_are_no_event() {
    let house = House::new();
    let certificates = house.loaded();
    let path = house.folder.path().join("tls.key");
    let aside = house.folder.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    assert_eq!(certificates.refresh(now()), []);
    fs::rename(&aside, &path).unwrap();
    certificates.refresh(now());
    assert_eq!(certificates.refresh(now()), []);
}

#[test]
fn the_end_of_a_life_is_announced_once_when_near_and_once_when_past() {
    let house = House::new();
    let certificates = house.loaded();
    assert_eq!(certificates.refresh(now() + 70 * DAY), []);
    for (day, wanted) in [(77, "expires in 13 days"), (91, "has expired")] {
        let events = certificates.refresh(now() + day * DAY);
        let [CertificateEvent::Expiring { problem, .. }] = &events[..] else {
            panic!("{events:?}");
        };
        assert!(problem.to_string().contains(wanted), "{problem}");
        assert_eq!(certificates.refresh(now() + day * DAY), []);
    }
}

#[test]
fn a_reload_carries_the_live_certificate_on() {
    let house = House::new();
    let before = house.loaded();
    let id = house.config.services[0].id;
    let held = Arc::clone(before.of(id).unwrap());

    house.put(&pair(&["orders.shop.test"], 0..50));
    let (after, problems) = house.load(&before, now());
    assert!(problems.is_empty(), "{problems}");
    assert!(Arc::ptr_eq(&held, after.of(id).unwrap()));
    assert_eq!(held.expires(), now() + 50 * DAY);

    house.write("tls.crt", "garbage");
    let (_, problems) = house.load(&after, now());
    assert!(problems.has_errors());
    assert_eq!(held.expires(), now() + 50 * DAY);
}
