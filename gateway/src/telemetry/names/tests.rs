//! The list of metrics: what its names promise, and that its reader has the same list.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use super::{ALL, DURATION_BUCKETS, Kind};

#[test]
fn names_are_unique_and_end_as_their_kind_says() {
    let mut seen = BTreeSet::new();
    for metric in ALL {
        assert!(seen.insert(metric.name), "{} is there twice", metric.name);
        assert_eq!(
            metric.name.ends_with("_total"),
            metric.kind == Kind::Counter,
            "{}",
            metric.name
        );
        assert!(
            metric.name.starts_with("gateway_") || metric.name.starts_with("process_"),
            "{}",
            metric.name
        );
        assert!(metric.help.ends_with(['.', '?']), "{}", metric.name);
        let labels: BTreeSet<_> = metric.labels.iter().collect();
        assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
    }
}

/// `docs/metrics.md` is the list; `UPDATE_GOLDEN=1` rewrites it.
#[test]
fn the_page_of_metrics_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = page();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == page,
        "docs/metrics.md differs (UPDATE_GOLDEN=1 rewrites it):\n{page}"
    );
}

fn page() -> String {
    let mut page = "\
# Metrics

`http://<gateway.admin>/metrics` shows them in Prometheus' text format, version 0.0.4, or as OpenMetrics 1.0 where the `Accept` field
asks for `application/openmetrics-text`; the latter has traces beside buckets ([observability](observability.md)). This page is made
from [names.rs](../gateway/src/telemetry/names.rs); a test keeps the two the same.

Labels are bounded: words of ours, and names, ids, zones and accounts of the configuration; never a path, a host or a principal.
Metrics of a resource appear with its first request, and go with the configuration that no longer has it; should it come back, its
counters start again at zero. Requests that reached no service have `-` for both labels of the service.

| metric | kind | labels | meaning |
|---|---|---|---|
"
    .to_owned();
    for metric in ALL {
        let labels: Vec<_> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            metric.name,
            metric.kind.as_str(),
            labels.join(", "),
            metric.help
        )
        .unwrap();
    }
    let buckets: Vec<_> = DURATION_BUCKETS.iter().map(f64::to_string).collect();
    writeln!(
        page,
        "\nBuckets of durations, in seconds: {}.",
        buckets.join(", ")
    )
    .unwrap();
    page
}
