//! The metrics page: well formed, bounded, and true.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;
use trellis_access_logs::record::{AuthDeniedReason, FailureReason, Record};
use trellis_model::{id::ServiceId, name::Region};

use super::{
    Exposition, Telemetry,
    histogram::{BUCKETS, Histogram},
    names,
};
use crate::trace::TraceId;

fn telemetry() -> Arc<Telemetry> {
    Telemetry::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000))
}

fn service_id(name: &str) -> ServiceId {
    let region: Region = "us-west-2".parse().unwrap();
    ServiceId::derive(&"111122223333".parse().unwrap(), &region, &[name])
}

fn record() -> Record<'static> {
    let peer: SocketAddr = "10.0.0.1:1234".parse().unwrap();
    Record::new(SystemTime::UNIX_EPOCH, peer)
}

/// The samples of a page by metric and labels, as written.
///
/// Refuses what a scraper would: Prometheus' text format 0.0.4, "Comments, help text, and type information", wants `HELP` and
/// `TYPE` once per metric and before its samples, all samples of a metric together, and no series twice.
fn parse(page: &str) -> BTreeMap<String, String> {
    let mut samples = BTreeMap::new();
    let mut finished = BTreeSet::new();
    let mut current: Option<(String, String)> = None;
    let mut help = None;
    for line in page.lines().filter(|line| !line.is_empty()) {
        if let Some(text) = line.strip_prefix("# HELP ") {
            let (name, text) = text.split_once(' ').unwrap();
            assert!(!text.is_empty(), "{line}");
            if let Some((done, _)) = current.take() {
                assert!(finished.insert(done.clone()), "`{done}` is there twice");
            }
            help = Some(name.to_owned());
        } else if let Some(text) = line.strip_prefix("# TYPE ") {
            let (name, kind) = text.split_once(' ').unwrap();
            assert_eq!(help.take().as_deref(), Some(name), "{line}");
            current = Some((name.to_owned(), kind.to_owned()));
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let (family, kind) = current
                .as_ref()
                .unwrap_or_else(|| panic!("{line}: no type"));
            let suffix = name.strip_prefix(family.as_str());
            let known: &[&str] = match kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(
                suffix.is_some_and(|suffix| known.contains(&suffix)),
                "{line} under `{family}`"
            );
            assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
            assert!(
                samples
                    .insert(series.to_owned(), value.to_owned())
                    .is_none(),
                "{series} is there twice"
            );
        }
    }
    samples
}

/// The sum of a metric over all labels that contain these texts.
fn sum(samples: &BTreeMap<String, String>, name: &str, texts: &[&str]) -> u64 {
    let chosen = samples.iter().filter(|(series, _)| {
        series.split('{').next() == Some(name) && texts.iter().all(|text| series.contains(text))
    });
    chosen.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
}

#[test]
fn the_page_of_a_fresh_gateway_is_well_formed() {
    let samples = parse(&telemetry().render());
    assert_eq!(
        sum(&samples, "process_start_time_seconds", &[]),
        1_700_000_000
    );
    assert_eq!(sum(&samples, "gateway_connections", &[]), 0);
}

#[test]
fn a_service_that_nobody_calls_has_no_series() {
    let telemetry = telemetry();
    let service = telemetry.service("orders", service_id("orders"));
    assert!(!telemetry.render().contains("orders"));
    service.observe(&record(), None);
    assert!(telemetry.render().contains("service=\"orders\""));
}

#[test]
fn requests_are_counted_as_their_records_have_them() {
    let telemetry = telemetry();
    let service = telemetry.service("orders", service_id("orders"));
    for (code, failure, denied) in [
        (Some(200), None, None),
        (Some(204), None, None),
        (
            Some(403),
            Some(FailureReason::ClientAccessDenied),
            Some(AuthDeniedReason::Service),
        ),
        (Some(403), Some(FailureReason::ClientAccessDenied), None),
        (Some(504), Some(FailureReason::TargetDataTimeout), None),
        (None, Some(FailureReason::ClientConnectionClosed), None),
    ] {
        let mut record = record();
        record.response_code = code;
        record.failure = failure;
        record.auth_denied = denied;
        record.duration = Duration::from_millis(20);
        record.bytes_received = 100;
        record.bytes_sent = 1000;
        service.observe(&record, None);
    }
    telemetry.observe_unmatched(&record(), None);
    let samples = parse(&telemetry.render());
    let orders = "service=\"orders\"";
    for (name, label, expected) in [
        ("gateway_requests_total", "code=\"2xx\"", 2),
        ("gateway_requests_total", "code=\"4xx\"", 2),
        ("gateway_requests_total", "code=\"5xx\"", 1),
        ("gateway_requests_total", "code=\"none\"", 1),
        (
            "gateway_request_failures_total",
            "reason=\"ClientAccessDenied\"",
            2,
        ),
        (
            "gateway_request_failures_total",
            "reason=\"TargetDataTimeout\"",
            1,
        ),
        ("gateway_requests_denied_total", "layer=\"service\"", 1),
        ("gateway_requests_denied_total", "layer=\"signature\"", 1),
        ("gateway_received_bytes_total", "", 600),
        ("gateway_sent_bytes_total", "", 6000),
        ("gateway_request_duration_seconds_count", "", 6),
        ("gateway_request_duration_seconds_bucket", "le=\"0.01\"", 0),
        ("gateway_request_duration_seconds_bucket", "le=\"0.025\"", 6),
        ("gateway_request_duration_seconds_bucket", "le=\"+Inf\"", 6),
    ] {
        assert_eq!(
            sum(&samples, name, &[orders, label]),
            expected,
            "{name} {label}"
        );
    }
    assert_eq!(
        sum(
            &samples,
            "gateway_requests_total",
            &["service=\"-\"", "code=\"none\""]
        ),
        1
    );
}

#[test]
fn two_snapshots_of_one_service_count_on() {
    let telemetry = telemetry();
    for _ in 0..2 {
        telemetry
            .service("orders", service_id("orders"))
            .observe(&record(), None);
    }
    let samples = parse(&telemetry.render());
    assert_eq!(
        sum(&samples, "gateway_requests_total", &["service=\"orders\""]),
        2
    );
}

#[test]
fn gauges_of_what_runs_fall_again() {
    let telemetry = telemetry();
    let (request, connection) = (telemetry.request_began(), telemetry.connection_opened());
    let gauges = || {
        let samples = parse(&telemetry.render());
        let of = |name| sum(&samples, name, &[]);
        (
            of("gateway_requests_in_flight"),
            of("gateway_connections"),
            of("gateway_connections_accepted_total"),
        )
    };
    assert_eq!(gauges(), (1, 1, 1));
    drop((request, connection));
    assert_eq!(gauges(), (0, 0, 1));
}

#[test]
fn label_values_cannot_break_out_of_their_quotes() {
    let page = telemetry().render_with(Exposition::Prometheus, |samples| {
        samples.family(&names::BUILD_INFO, |family| {
            family.sample(&["a\"} 1\ngateway_evil 2\\"], 1.0);
        });
    });
    assert!(
        page.contains(r#"{version="a\"} 1\ngateway_evil 2\\"} 1"#),
        "{page}"
    );
    assert!(
        !page.lines().any(|line| line.starts_with("gateway_evil")),
        "{page}"
    );
}

#[test]
fn series_go_with_their_resources() {
    let telemetry = telemetry();
    let (orders, gone) = (service_id("orders"), service_id("gone"));
    let kept = telemetry.service("orders", orders);
    let removed = telemetry.service("gone", gone);
    for service in [&kept, &removed] {
        service.observe(&record(), None);
    }
    // The next configuration has only one of them, and a request under the last one still runs.
    let next = telemetry.service("orders", orders);
    drop(kept);
    telemetry.settle();
    assert!(telemetry.render().contains("service=\"gone\""));
    next.observe(&record(), None);
    drop(removed);
    telemetry.settle();
    let samples = parse(&telemetry.render());
    let count = |labels: &str| {
        let all = sum(&samples, "gateway_requests_total", &[labels]);
        let any = samples.keys().any(|series| series.contains(labels));
        (any, all)
    };
    assert_eq!(count("service=\"orders\""), (true, 2));
    assert_eq!(count("service=\"gone\""), (false, 0));
    // Should it come back, it starts again.
    telemetry.service("gone", gone).observe(&record(), None);
    let samples = parse(&telemetry.render());
    let again = sum(&samples, "gateway_requests_total", &["service=\"gone\""]);
    assert_eq!(again, 1);
}

#[test]
fn buckets_hold_what_is_at_most_their_bound() {
    let histogram = Histogram::default();
    let mut expected = [0; BUCKETS];
    for (index, bound) in names::DURATION_BUCKETS.into_iter().enumerate() {
        let bound = Duration::from_secs_f64(bound);
        histogram.observe(bound, None);
        expected[index] += 1;
        histogram.observe(bound + Duration::from_nanos(1), None);
        expected[index + 1] += 1;
    }
    histogram.observe(Duration::ZERO, None);
    expected[0] += 1;
    let counts = histogram.counts();
    assert_eq!(counts.buckets, expected);
    let sum: f64 = names::DURATION_BUCKETS.iter().sum();
    assert!((counts.sum - 2.0 * sum).abs() < 1e-6, "{}", counts.sum);
}

/// Spec: `OpenMetrics` 1.0: counters lose `_total` in their family's name, exemplars follow values, the page says where it ends.
#[test]
fn open_metrics_have_traces_beside_buckets() {
    let telemetry = telemetry();
    let service = telemetry.service("orders", service_id("orders"));
    let trace = TraceId::new([7; 16]).unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
    let mut record = record();
    record.duration = Duration::from_millis(20);
    service.observe(&record, Some((trace, at)));
    let open = telemetry.render_with(Exposition::OpenMetrics, |_| {});
    for part in [
        "# TYPE gateway_requests counter\n",
        "gateway_requests_total{service=\"orders\"",
        ",le=\"0.025\"} 1 # {trace_id=\"07070707070707070707070707070707\"} 0.02 1700000000.250\n",
        ",le=\"0.05\"} 1\n",
    ] {
        assert!(open.contains(part), "`{part}` is not in {open}");
    }
    assert!(open.ends_with("\n# EOF\n") && !open.contains("\n\n"));
    let plain = telemetry.render();
    assert!(plain.contains("# TYPE gateway_requests_total counter\n"));
    assert!(!plain.contains("trace_id") && !plain.contains("# EOF"));
}

/// Two texts of a client, the status of the answer and which failure it was.
type Drawn = (Vec<u8>, Vec<u8>, Option<u16>, usize);

/// Whatever a client can put into a request.
fn requests() -> impl Strategy<Value = Vec<Drawn>> {
    let text = || proptest::collection::vec(any::<u8>(), 0..20);
    let failure = 0..FailureReason::ALL.len();
    let request = (text(), text(), proptest::option::of(any::<u16>()), failure);
    proptest::collection::vec(request, 1..50)
}

proptest! {
    #[test]
    fn clients_cannot_make_series(requests in requests()) {
        let telemetry = telemetry();
        let service = telemetry.service("orders", service_id("orders"));
        // Everything that a request can touch, once.
        let mut known = record();
        for code in [100, 200, 300, 400, 500, 0] {
            known.response_code = Some(code);
            for failure in FailureReason::ALL {
                known.failure = Some(failure);
                for denied in [None, Some(AuthDeniedReason::Network), Some(AuthDeniedReason::Service), Some(AuthDeniedReason::Identity)] {
                    known.auth_denied = denied;
                    service.observe(&known, None);
                    telemetry.observe_unmatched(&known, None);
                }
            }
        }
        let bound: Vec<String> = parse(&telemetry.render()).into_keys().collect();
        for (host, path, code, failure) in &requests {
            let (host, path) = (host.as_slice(), path.as_slice());
            let mut record = record();
            (record.host, record.path, record.user_agent) = (Some(host), Some(path), Some(host));
            record.method = Some(host);
            record.request_id = Some(path);
            record.response_code = *code;
            record.failure = Some(FailureReason::ALL[*failure]);
            service.observe(&record, None);
            telemetry.observe_unmatched(&record, None);
        }
        let series: Vec<String> = parse(&telemetry.render()).into_keys().collect();
        prop_assert_eq!(series, bound);
    }
}
