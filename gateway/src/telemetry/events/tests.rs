//! Every event writes its line and changes its metric, together and once.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::Mutex;
use tracing::{Subscriber, field::Field};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt as _},
};
use trellis_model::{
    config::{HttpEndpoint, LogDestination, LogStore, LogStoreKind},
    problem::{Place, Problem, Problems},
};
use trellis_target_groups::{Group, ReasonCode, StatusChange, TargetKey, TargetStatus, Use};

use super::*;
use crate::{
    discovery::DiscoveryError,
    probe::ProbeError,
    registry::{StatusEvent, tests::group},
    tls::HandshakeError,
};

/// The lines of a log: level, then message and fields in their order.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}{}", self.0);
                } else {
                    write!(self.0, " {}={value:?}", field.name()).unwrap();
                }
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0
            .lock()
            .push(format!("{} {}", event.metadata().level(), text.0));
    }
}

/// The metrics that differ from a fresh gateway's, without those of the process.
fn changed(telemetry: &Telemetry) -> Vec<String> {
    let lines = |page: String| -> BTreeSet<String> {
        let samples = page.lines().filter(|line| line.starts_with("gateway_"));
        samples.map(str::to_owned).collect()
    };
    let before = lines(Telemetry::new(SystemTime::UNIX_EPOCH).render());
    let after = lines(telemetry.render());
    after.difference(&before).cloned().collect()
}

/// Emits and compares the lines and the metrics that come of it.
#[track_caller]
fn check(event: &impl Event, lines: &[&str], metrics: &[&str]) {
    let log = Lines::default();
    let telemetry = Telemetry::new(SystemTime::UNIX_EPOCH);
    let subscriber = Registry::default().with(log.clone());
    tracing::subscriber::with_default(subscriber, || telemetry.emit(event));
    assert_eq!(*log.0.lock(), lines);
    assert_eq!(changed(&telemetry), metrics);
}

fn address() -> SocketAddr {
    "10.0.0.1:8080".parse().unwrap()
}

fn peer() -> SocketAddr {
    "10.0.9.9:4242".parse().unwrap()
}

/// An error with a cause: lines give both.
fn failure() -> Nested {
    Nested(io::Error::from_raw_os_error(98))
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen")]
struct Nested(#[source] io::Error);

#[test]
fn the_gateway_comes_and_goes() {
    check(
        &Started {
            version: "1.2.3",
            workers: 4,
        },
        &[r#"INFO started version="1.2.3" workers=4"#],
        &[],
    );
    check(
        &StopBegan {
            grace: Duration::from_secs(30),
        },
        &["INFO stopping: no new connections, running requests may finish grace=30s"],
        &[],
    );
    check(
        &Stopped {
            cut: 0,
            records: Ok(()),
        },
        &["INFO stopped"],
        &[],
    );
    check(
        &Stopped {
            cut: 3,
            records: Ok(()),
        },
        &["WARN stopped; connections were cut at the end of the grace period cut=3"],
        &[],
    );
}

#[test]
fn listeners_open_close_and_fail() {
    check(
        &ListenerOpened { address: address() },
        &["INFO listening address=10.0.0.1:8080"],
        &["gateway_listeners 1"],
    );
    check(
        &ListenerClosed { address: address() },
        &["INFO no longer listening address=10.0.0.1:8080"],
        &["gateway_listeners -1"],
    );
    check(&ListenerFailed, &[], &["gateway_listener_failures_total 1"]);
    check(
        &AcceptFailed {
            address: address(),
            error: &io::Error::from_raw_os_error(24),
            failures: Some(20),
        },
        &[
            "ERROR cannot accept connections address=10.0.0.1:8080 error=too many open files failures=20",
        ],
        &[r#"gateway_connections_refused_total{reason="accept_failed"} 1"#],
    );
    check(
        &AcceptFailed {
            address: address(),
            error: &io::Error::from_raw_os_error(24),
            failures: None,
        },
        &[],
        &[r#"gateway_connections_refused_total{reason="accept_failed"} 1"#],
    );
}

/// Whoever can open a connection can cause these at will: they must not fill the log.
#[test]
fn what_clients_cause_is_below_the_usual_level() {
    for (reason, label, why) in [
        (
            Refused::UnknownVpc,
            "unknown_vpc",
            "its source belongs to no VPC attached there",
        ),
        (
            Refused::TooMany,
            "too_many",
            "the limit of connections is reached",
        ),
        (
            Refused::TooManyOfVpc,
            "too_many_of_vpc",
            "the limit of connections of its VPC is reached",
        ),
        (
            Refused::TooManyOfClient,
            "too_many_of_client",
            "the limit of connections of one client is reached",
        ),
    ] {
        check(
            &ConnectionRefused {
                peer: peer(),
                local: address(),
                reason,
            },
            &[&format!(
                "DEBUG connection refused peer=10.0.9.9:4242 local=10.0.0.1:8080 why={why:?}"
            )],
            &[&format!(
                "gateway_connections_refused_total{{reason=\"{label}\"}} 1"
            )],
        );
    }
    let client: IpAddr = peer().ip();
    for outcome in DnsOutcome::ALL {
        let word = outcome.as_str();
        check(
            &DnsQuery {
                client,
                name: Some("a.test"),
                outcome,
            },
            &[&format!(
                "DEBUG DNS query client=10.0.9.9 name=\"a.test\" outcome={word:?}"
            )],
            &[&format!(
                "gateway_dns_queries_total{{outcome=\"{word}\"}} 1"
            )],
        );
    }
}

#[test]
fn handshakes_are_counted_by_what_ended_them_below_the_usual_level() {
    let handshakes =
        |outcome: &str| format!("gateway_tls_handshakes_total{{outcome=\"{outcome}\"}} 1");
    check(&Handshake::Ok, &[], &[&handshakes("ok")]);
    let broken = || io::Error::from(io::ErrorKind::ConnectionReset);
    let unwanted = rustls::Error::AlertReceived(rustls::AlertDescription::UnknownCA);
    let unknown = HandshakeError::UnrecognizedName {
        server_name: Some("a.test".into()),
    };
    for (error, outcome, text) in [
        (
            unknown,
            "unknown_name",
            "no certificate for server name `a.test`",
        ),
        (
            HandshakeError::Protocol(unwanted),
            "refused",
            "handshake refused: received fatal alert: UnknownCA",
        ),
        (
            HandshakeError::Connection(broken()),
            "lost",
            "connection lost during the handshake: connection reset",
        ),
    ] {
        check(
            &Handshake::Failed {
                peer: peer(),
                error: &error,
            },
            &[&format!(
                "DEBUG TLS handshake failed peer=10.0.9.9:4242 error={text}"
            )],
            &[&handshakes(outcome)],
        );
    }
    check(
        &Handshake::Timeout { peer: peer() },
        &["DEBUG TLS handshake took too long peer=10.0.9.9:4242"],
        &[&handshakes("timeout")],
    );
}

#[test]
fn configurations_are_applied_or_rejected() {
    let warnings: Problems = [Problem::warning(Place::default(), "odd")]
        .into_iter()
        .collect();
    check(
        &SnapshotApplied {
            generation: 3,
            services: 12,
            warnings: &warnings,
            took: Duration::from_millis(5),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1000),
        },
        &[
            "WARN configuration problem=warning: odd",
            "INFO configuration applied generation=3 services=12 took=5ms",
        ],
        &[
            "gateway_config_generation 3",
            "gateway_config_last_reload_success_timestamp_seconds 1000",
            "gateway_config_last_reload_successful 1",
            r#"gateway_config_reloads_total{outcome="applied"} 1"#,
        ],
    );
    let problems = ["one".to_owned(), "two".to_owned()];
    check(
        &SnapshotRejected {
            running: Some(3),
            problems: &problems,
        },
        &[
            "ERROR configuration problem=one",
            "ERROR configuration problem=two",
            "ERROR configuration rejected errors=2 keeps_running=3",
        ],
        &[
            "gateway_config_errors 2",
            r#"gateway_config_reloads_total{outcome="rejected"} 1"#,
        ],
    );
}

#[test]
fn a_rejected_configuration_is_seen_until_one_is_applied() {
    let telemetry = Telemetry::new(SystemTime::UNIX_EPOCH);
    let successful = || {
        let page = telemetry.render();
        let line = page
            .lines()
            .find(|line| line.starts_with("gateway_config_last_reload_successful "));
        line.unwrap().ends_with(" 1")
    };
    let none = Problems::default();
    let applied = SnapshotApplied {
        generation: 1,
        services: 0,
        warnings: &none,
        took: Duration::ZERO,
        at: SystemTime::UNIX_EPOCH,
    };
    telemetry.emit(&applied);
    assert!(successful());
    telemetry.emit(&SnapshotRejected {
        running: Some(1),
        problems: &[],
    });
    assert!(!successful());
    telemetry.emit(&applied);
    assert!(successful());
}

#[test]
fn a_target_that_fails_is_a_warning_and_other_changes_are_not() {
    let group = Group::new(&group("orders", [1]), Use::Used, Instant::now());
    let change = |before, after, reason| StatusChange {
        target: TargetKey::new("i-1", address()),
        before,
        after,
        reason,
    };
    let failed = change(
        Some(TargetStatus::Healthy),
        Some(TargetStatus::Unhealthy),
        Some(ReasonCode::HealthCheckFailed),
    );
    let cause = ProbeError::Timeout(Duration::from_secs(5));
    let event = StatusEvent {
        group: &group,
        change: &failed,
        cause: Some(&cause),
    };
    check(
        &TargetStatusChanged(&event),
        &[&format!(
            "WARN target status group=\"orders\" target=i-1 address=10.0.0.1:8080 before=\"HEALTHY\" status=\"UNHEALTHY\" reason=HealthCheckFailed cause={cause}"
        )],
        &[r#"gateway_target_status_changes_total{status="unhealthy"} 1"#],
    );
    let gone = change(Some(TargetStatus::Draining), None, None);
    let event = StatusEvent {
        group: &group,
        change: &gone,
        cause: None,
    };
    check(
        &TargetStatusChanged(&event),
        &[
            "INFO target status group=\"orders\" target=i-1 address=10.0.0.1:8080 before=\"DRAINING\" status=\"-\"",
        ],
        &[r#"gateway_target_status_changes_total{status="gone"} 1"#],
    );
}

#[test]
fn keys_of_identity_providers_are_read_or_not() {
    let url = "https://issuer.test/keys";
    check(
        &IdentityKeysLoaded { url, keys: 2 },
        &[r#"DEBUG keys of an identity provider read url="https://issuer.test/keys" keys=2"#],
        &[r#"gateway_identity_key_loads_total{outcome="loaded"} 1"#],
    );
    check(
        &IdentityKeysFailed {
            url,
            error: &crate::jwks::FetchError::Status(503),
        },
        &[
            r#"ERROR keys of an identity provider not read; those before stay in use url="https://issuer.test/keys" error=the answer has status 503"#,
        ],
        &[r#"gateway_identity_key_loads_total{outcome="failed"} 1"#],
    );
    check(
        &IdentityKeysMissed { url },
        &[
            r#"DEBUG keys of an identity provider read early: a token names another one url="https://issuer.test/keys""#,
        ],
        &["gateway_identity_key_early_loads_total 1"],
    );
}

#[test]
fn certificates_are_loaded_or_not_and_end() {
    let problem = || Problem::warning(Place::default(), "odd");
    let domain = "orders.test";
    check(
        &CertificateLoaded {
            domain,
            warnings: &Problems::from_iter([problem()]),
        },
        &[
            r#"INFO certificate loaded domain="orders.test""#,
            r#"WARN certificate domain="orders.test" problem=warning: odd"#,
        ],
        &[r#"gateway_certificate_loads_total{outcome="loaded"} 1"#],
    );
    check(
        &CertificateFailed {
            domain,
            problem: &problem(),
        },
        &[
            r#"ERROR certificate not loaded; the one before stays in use domain="orders.test" problem=warning: odd"#,
        ],
        &[r#"gateway_certificate_loads_total{outcome="failed"} 1"#],
    );
    check(
        &CertificateExpiring {
            domain,
            problem: &problem(),
        },
        &[r#"WARN certificate expires domain="orders.test" problem=warning: odd"#],
        &[],
    );
}

#[test]
fn calls_of_the_control_api_are_told_to_whoever_looks_closely() {
    let outcome = |error, reason: Option<&str>| trellis_control_plane::Outcome {
        operation: Some("AssumeRole"),
        error,
        caller: Some("arn:aws:iam::111122223333:user/alice".to_owned()),
        role: Some("arn:aws:iam::111122223333:role/reader".to_owned()),
        session: None,
        reason: reason.map(str::to_owned),
    };
    let answered = |outcome: trellis_control_plane::Outcome, log: &[&str], metrics: &[&str]| {
        check(
            &CallAnswered {
                id: "the-id",
                source: [10, 0, 0, 1].into(),
                outcome: &outcome,
                took: Duration::from_micros(250),
            },
            log,
            metrics,
        );
    };
    answered(
        outcome(None, None),
        &[
            r#"DEBUG control call id="the-id" source=10.0.0.1 operation="AssumeRole" caller="arn:aws:iam::111122223333:user/alice" role="arn:aws:iam::111122223333:role/reader" took_us=250"#,
        ],
        &[r#"gateway_control_calls_total{operation="AssumeRole",error="none"} 1"#],
    );
    answered(
        outcome(Some("AccessDenied"), Some("no trust policy allows it")),
        &[
            r#"DEBUG control call id="the-id" source=10.0.0.1 operation="AssumeRole" error="AccessDenied" caller="arn:aws:iam::111122223333:user/alice" role="arn:aws:iam::111122223333:role/reader" reason="no trust policy allows it" took_us=250"#,
        ],
        &[r#"gateway_control_calls_total{operation="AssumeRole",error="AccessDenied"} 1"#],
    );
}

#[test]
fn trouble_with_the_control_plane_s_store_is_somebody_s_to_act_on() {
    check(
        &StoreEntryUnreadable {
            what: "`service/svc-1` in the store cannot be read",
        },
        &[
            r#"ERROR part of the control plane's store was left out what="`service/svc-1` in the store cannot be read""#,
        ],
        &[r#"gateway_control_store_failures_total{part="entry"} 1"#],
    );
    let damaged = trellis_control_plane::store::StoreError::Damaged("half of it".to_owned());
    check(
        &StoreFailed { error: &damaged },
        &[
            "ERROR the control plane's store cannot be followed error=the store is damaged: half of it",
        ],
        &[r#"gateway_control_store_failures_total{part="store"} 1"#],
    );
}

#[test]
fn keys_of_session_tokens_are_followed_by_new_ones_or_not() {
    check(
        &SessionKeyRotated,
        &["INFO a new key seals session tokens"],
        &[r#"gateway_session_key_rotations_total{outcome="rotated"} 1"#],
    );
    check(
        &SessionKeyFailed {
            error: &std::io::ErrorKind::StorageFull.into(),
        },
        &[
            "ERROR a new key for session tokens cannot be kept in the data folder; the one before goes on error=no space is left",
        ],
        &[r#"gateway_session_key_rotations_total{outcome="failed"} 1"#],
    );
}

/// Their metrics are read from whoever counts them.
#[test]
fn trouble_of_records_and_of_dns_is_told() {
    check(
        &DnsFailed {
            address: address(),
            error: &failure(),
        },
        &["WARN DNS address=10.0.0.1:8080 error=cannot listen: the address is in use"],
        &[],
    );
    check(
        &RecordsDropped { records: 5 },
        &["ERROR access records dropped records=5"],
        &[],
    );
    let destination = LogDestination::File("/var/log/a.jsonl".into());
    check(
        &RecordDestinationFailed {
            destination: &destination,
            error: &io::Error::from_raw_os_error(28),
        },
        &[
            "ERROR access records cannot be written; they wait in memory destination=`/var/log/a.jsonl` error=no space is left",
        ],
        &[],
    );
    check(
        &RecordDestinationRecovered {
            destination: &destination,
        },
        &["INFO access records are written again destination=`/var/log/a.jsonl`"],
        &[],
    );
}

#[test]
fn trouble_of_spools_and_shippers_is_told() {
    let store = LogStore {
        name: "arn:aws:s3:::logs".into(),
        endpoint: HttpEndpoint {
            tls: false,
            host: "localhost".into(),
            port: 80,
            authority: "localhost".into(),
            path: "".into(),
            authorities: None,
        },
        kind: LogStoreKind::Otlp { bearer: None },
    };
    let (subscription, store, reason) = ("als-0", &store, "answer 503");
    check(
        &RecordShippingFailed {
            subscription,
            store,
            reason,
        },
        &[
            r#"ERROR access records cannot be shipped; they wait in the spool subscription="als-0" destination=arn:aws:s3:::logs reason="answer 503""#,
        ],
        &[],
    );
    check(
        &RecordShippingRecovered {
            subscription,
            store,
        },
        &[
            r#"INFO access records are shipped again subscription="als-0" destination=arn:aws:s3:::logs"#,
        ],
        &[],
    );
    check(
        &RecordsRefused {
            subscription,
            store,
            records: 2,
            reason,
        },
        &[
            r#"ERROR access records were refused; they are dead letters now subscription="als-0" destination=arn:aws:s3:::logs records=2 reason="answer 503""#,
        ],
        &[],
    );
    check(
        &RecordsDamaged {
            subscription,
            records: 3,
        },
        &[r#"ERROR access records in the spool are damaged subscription="als-0" records=3"#],
        &[],
    );
    check(
        &SpoolRepaired {
            subscription,
            bytes: 100,
        },
        &[r#"WARN the spool's last record was torn; it is cut off subscription="als-0" bytes=100"#],
        &[],
    );
    check(
        &SpoolFailed {
            subscription,
            error: &io::Error::from_raw_os_error(28),
        },
        &[r#"ERROR the spool is not safe on its disk subscription="als-0" error=no space is left"#],
        &[],
    );
}

#[test]
fn names_of_targets_are_told_when_something_changes() {
    let (group, hostname) = ("orders", "orders.test");
    let discovered = |is_news| TargetsDiscovered {
        group,
        hostname,
        targets: 2,
        is_news,
    };
    let answered = &[r#"gateway_target_discoveries_total{outcome="answered"} 1"#];
    check(
        &discovered(true),
        &[r#"INFO targets found by their name group="orders" hostname="orders.test" targets=2"#],
        answered,
    );
    check(
        &discovered(false),
        &[r#"DEBUG targets found by their name group="orders" hostname="orders.test" targets=2"#],
        answered,
    );
    let gone = |kept, is_news| TargetsGone {
        group,
        hostname,
        outcome: "no_name",
        kept,
        is_news,
    };
    let line = |text: &str, rest: &str| {
        format!(r#"{text} group="orders" hostname="orders.test" outcome="no_name"{rest}"#)
    };
    for (event, expected) in [
        (
            gone(3, true),
            line(
                "WARN the name of targets has no address; they stay until the next answer says so as well",
                " kept=3",
            ),
        ),
        (
            gone(0, true),
            line(
                "ERROR the name of targets has no address, so the group has no targets",
                "",
            ),
        ),
        (
            gone(0, false),
            line("DEBUG the name of targets has no address", " kept=0"),
        ),
    ] {
        let metric = r#"gateway_target_discoveries_total{outcome="no_name"} 1"#;
        check(&event, &[&expected], &[metric]);
    }
}

#[test]
fn names_without_an_answer_are_told_once() {
    let (group, hostname) = ("orders", "orders.test");
    let error = DiscoveryError::Unreachable(io::Error::from_raw_os_error(98));
    let failed = |is_first, targets| DiscoveryFailed {
        group,
        hostname,
        error: &error,
        is_first,
        targets,
    };
    let why = "error=the DNS server cannot be reached: the address is in use";
    for (event, expected) in [
        (
            failed(true, 3),
            format!(
                r#"WARN targets not found by their name; those before stay group="orders" hostname="orders.test" targets=3 {why}"#
            ),
        ),
        (
            failed(true, 0),
            format!(
                r#"ERROR targets not found by their name, so the group has none group="orders" hostname="orders.test" {why}"#
            ),
        ),
        (
            failed(false, 0),
            format!(
                r#"DEBUG targets not found by their name group="orders" hostname="orders.test" targets=0 {why}"#
            ),
        ),
    ] {
        let metric = r#"gateway_target_discoveries_total{outcome="unreachable"} 1"#;
        check(&event, &[&expected], &[metric]);
    }
}

#[test]
fn addresses_that_become_no_targets_are_told_once() {
    let (group, hostname) = ("orders", "orders.test");
    let refused = |is_first| AddressesRefused {
        group,
        hostname,
        outside: 2,
        example: Some([169, 254, 169, 254].into()),
        beyond: 5,
        is_first,
    };
    for (level, is_first) in [("WARN", true), ("DEBUG", false)] {
        let line = format!(
            r#"{level} not every address of a name becomes a target group="orders" hostname="orders.test" outside=2 example=169.254.169.254 beyond=5"#
        );
        check(
            &refused(is_first),
            &[&line],
            &[
                r#"gateway_target_addresses_refused_total{reason="outside"} 2"#,
                r#"gateway_target_addresses_refused_total{reason="too_many"} 5"#,
            ],
        );
    }
}

#[test]
fn changes_of_the_log_are_told() {
    let filter = "debug";
    let changed = |seconds| LogChanged { filter, seconds };
    for (event, line) in [
        (
            changed(Some(60)),
            r#"INFO log filter changed for a while filter="debug" seconds=60"#,
        ),
        (
            changed(None),
            r#"INFO log filter as at the start again filter="debug""#,
        ),
    ] {
        check(&event, &[line], &[]);
    }
    check(
        &LogChanged {
            filter,
            seconds: None,
        },
        &[r#"INFO log filter as at the start again filter="debug""#],
        &[],
    );
}

#[test]
fn exports_fail_and_recover() {
    check(
        &ExportFailed {
            signal: "traces",
            why: "the collector answered 503",
        },
        &[
            r#"WARN the collector does not take what it is sent signal="traces" why="the collector answered 503""#,
        ],
        &[],
    );
    check(
        &ExportRecovered { signal: "metrics" },
        &[r#"INFO the collector takes what it is sent again signal="metrics""#],
        &[],
    );
}

#[test]
fn no_event_is_left_out_here() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/telemetry/events");
    let files = std::fs::read_dir(folder).unwrap();
    let events: String = files
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let tests = include_str!("tests.rs");
    let names: Vec<&str> = events
        .lines()
        .filter_map(|line| {
            line.strip_prefix("impl Event for ")?
                .split([' ', '<'])
                .next()
        })
        .collect();
    assert!(names.len() >= 15, "{names:?}");
    for name in names {
        let shown = [" {", "(", "::", ","]
            .iter()
            .any(|after| tests.contains(&format!("&{name}{after}")))
            || tests.contains(&format!(" {name} {{"));
        assert!(shown, "no test of `{name}`");
    }
}
