//! Where metrics and traces are sent, and which requests are traced.

use std::time::Duration;

use super::{Builder, gateway::given};
use crate::{
    config::{HttpEndpoint, OtlpSettings, Secret, TelemetrySettings, TraceFormat, TraceSettings},
    document,
    load::path::At,
    ranges,
};

/// One of so many requests is traced, where nothing else is said.
const ONE_IN: u64 = 100;

impl Builder<'_> {
    /// `gateway.telemetry`.
    pub(super) fn telemetry(
        &mut self,
        at: &At<'_>,
        written: &document::Telemetry,
    ) -> Option<TelemetrySettings> {
        let otlp = written.otlp.as_ref();
        let otlp = otlp.map(|otlp| self.otlp(&at.member("otlp"), otlp));
        let traces = written.traces.as_ref();
        let traces = traces.map(|traces| self.traces(&at.member("traces"), traces));
        if written.traces.is_some() && written.otlp.is_none() {
            self.error(&at.member("traces"), "traces that are sent nowhere")
                .hint("`otlp` says where to");
        }
        Some(TelemetrySettings {
            otlp: given(otlp)?,
            traces: given(traces)?,
        })
    }

    fn otlp(&mut self, at: &At<'_>, written: &document::Otlp) -> Option<OtlpSettings> {
        let authorities = self.authorities(&at.member("caFile"), written.ca_file.as_deref());
        let at_endpoint = at.member("endpoint");
        let endpoint = self.endpoint(&at_endpoint, &written.endpoint, authorities);
        let queried = |endpoint: &HttpEndpoint| endpoint.path.contains('?');
        if endpoint.as_ref().is_some_and(queried) {
            self.error(&at_endpoint, "a collector's address has no query")
                .hint("`/v1/metrics` and `/v1/traces` are put behind it");
        }
        let endpoint = endpoint.filter(|endpoint| !queried(endpoint));
        let headers = self.export_headers(&at.member("headers"), written);
        let interval = self.seconds(
            &at.member("metricsIntervalSeconds"),
            written.metrics_interval_seconds,
            &ranges::METRICS_INTERVAL,
            60,
        );
        let timeout = self.seconds(
            &at.member("timeoutSeconds"),
            written.timeout_seconds,
            &ranges::EXPORT_TIMEOUT,
            10,
        );
        let endpoint = endpoint?;
        let path = endpoint.path.trim_end_matches('/').into();
        Some(OtlpSettings {
            endpoint: HttpEndpoint { path, ..endpoint },
            headers: headers?,
            metrics_interval: Some(interval?).filter(|interval| !interval.is_zero()),
            timeout: timeout?,
        })
    }

    /// Names and values that HTTP takes, and none that says what the exporter says itself.
    fn export_headers(
        &mut self,
        at: &At<'_>,
        written: &document::Otlp,
    ) -> Option<Vec<(Box<str>, Secret)>> {
        const OURS: [&str; 6] = [
            "host",
            "content-length",
            "content-type",
            "content-encoding",
            "transfer-encoding",
            "connection",
        ];
        let headers: Vec<_> = written
            .headers
            .iter()
            .map(|(name, source)| {
                let at = at.member(name);
                let value = self.secret(&at, source);
                if !is_field_name(name) {
                    self.error(&at, format!("`{name}` is not the name of a header field"));
                    return None;
                }
                if OURS.contains(&name.to_ascii_lowercase().as_str()) {
                    self.error(&at, format!("`{name}` is for the gateway to say"))
                        .hint("leave it out");
                    return None;
                }
                let value = value?;
                let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
                if !value.expose().bytes().all(printable) {
                    // The value is a secret, and not shown.
                    self.error(
                        &at,
                        "the value holds characters that no header field may have",
                    );
                    return None;
                }
                Some((name.to_ascii_lowercase().into(), value))
            })
            .collect();
        headers.into_iter().collect()
    }

    fn traces(&mut self, at: &At<'_>, written: &document::Traces) -> Option<TraceSettings> {
        let one_in = self.number(
            &at.member("sampleOneIn"),
            written.sample_one_in,
            &ranges::SAMPLE_ONE_IN,
            ONE_IN,
        );
        let at_slow = at.member("slowerThanMillis");
        let slow = written
            .slower_than_millis
            .map(|millis| self.in_range::<u64>(&at_slow, millis, &ranges::SLOW_MILLIS));
        let propagate = written.propagate.as_deref();
        let propagate = propagate.unwrap_or(&[document::TraceFormat::W3c]);
        Some(TraceSettings {
            follow_parent: written.parent != Some(document::TraceParent::Ignore),
            one_in: one_in?,
            errors: written.errors.unwrap_or(true),
            slower_than: given(slow)?.map(Duration::from_millis),
            propagate: propagate.iter().copied().map(Into::into).collect(),
        })
    }
}

impl From<document::TraceFormat> for TraceFormat {
    fn from(written: document::TraceFormat) -> Self {
        match written {
            document::TraceFormat::W3c => Self::W3c,
            document::TraceFormat::B3 => Self::B3,
            document::TraceFormat::B3Multi => Self::B3Multi,
            document::TraceFormat::Amazon => Self::Amazon,
        }
    }
}

/// Spec: RFC 9110 §5.6.2: a token.
fn is_field_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}
