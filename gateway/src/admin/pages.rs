//! Which pages there are and what they say.

use std::{collections::HashMap, sync::Arc, time::Instant};

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::{Value, json};
use trellis_model::{config::Config, id::TargetGroupId};
use trellis_target_groups::Group;

use super::{accounts, config::redacted, log, targets};
use crate::{
    registry::{LiveFunction, Standing},
    telemetry::{Exposition, Points, Samples, Telemetry},
};

/// What the admin pages show, from whoever runs the gateway. Called seldom; may lock, must not wait for I/O.
pub trait Introspect: Send + Sync + 'static {
    /// May clients be sent here?
    fn readiness(&self) -> Readiness;
    /// Generation of the running configuration; none before the first.
    fn generation(&self) -> Option<u64>;
    /// The running configuration; none before the first.
    fn config(&self) -> Option<Arc<Config>>;
    /// What is wrong with the last change, a problem each, while an older configuration runs on; empty when the last change runs.
    fn rejected(&self) -> Arc<[String]>;
    /// Live state of the target groups, those that are draining after their removal included.
    fn groups(&self) -> Vec<Arc<Group>>;
    /// Where the discovery of targets stands, by group.
    fn standings(&self) -> HashMap<TargetGroupId, Standing>;
    /// Live state of the functions.
    fn functions(&self) -> Vec<Arc<LiveFunction>>;
}

/// May clients be sent here?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// A snapshot runs and everything it wants to listen on listens.
    Ready,
    /// Not yet, or not any more; why, one short phrase each.
    NotReady(Vec<String>),
}

/// The pages.
#[derive(Clone)]
pub struct Site {
    state: Arc<dyn Introspect>,
    telemetry: Arc<Telemetry>,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").finish_non_exhaustive()
    }
}

/// Metrics in Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Metrics as `OpenMetrics`.
const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
pub(super) const TEXT_TYPE: &str = "text/plain; charset=utf-8";
pub(super) const JSON_TYPE: &str = "application/json";

/// The page at `/`.
const INDEX: &str = "Trellis\n\n\
    /metrics  metrics in Prometheus' text format, or as OpenMetrics where Accept asks for it\n\
    /healthz  200 while the process lives\n\
    /readyz   200 when clients may be sent here, otherwise 503 with reasons\n\
    /config   the running configuration, without secrets, and why a later one was rejected, as JSON\n\
    /targets  every target and its status, as JSON\n\
    /log      what the log says, as JSON; PUT /log?filter=debug&seconds=600 changes it for a while\n\n\
    /healthz and /readyz answer in JSON with ?output=json.\n";

/// How a page that a person or a script may read is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Text,
    Json,
}

impl Site {
    /// Pages over `state` and `telemetry`.
    pub fn new(state: Arc<dyn Introspect>, telemetry: Arc<Telemetry>) -> Self {
        Self { state, telemetry }
    }

    /// The answer to a request. May take some milliseconds with many services.
    pub(super) fn answer(&self, request: &Parts) -> Response<Full<Bytes>> {
        if matches!(request.uri.path(), "/log" | "/logging") {
            return log::answer(request, &self.telemetry);
        }
        let (method, query) = (&request.method, request.uri.query());
        let output =
            if query.is_some_and(|query| query.split('&').any(|pair| pair == "output=json")) {
                Output::Json
            } else {
                Output::Text
            };
        let show: fn(&Self, Output) -> Response<Full<Bytes>> = match request.uri.path() {
            "/metrics" if wants_open_metrics(&request.headers) => |site, _| {
                let page = site.metrics(Exposition::OpenMetrics);
                self::page(StatusCode::OK, OPEN_METRICS_TYPE, page)
            },
            "/" => |_, _| page(StatusCode::OK, TEXT_TYPE, INDEX),
            "/metrics" => |site, _| {
                let page = site.metrics(Exposition::Prometheus);
                self::page(StatusCode::OK, METRICS_TYPE, page)
            },
            "/healthz" => |_, output| health(output, StatusCode::OK, "alive", &[]),
            "/readyz" => Self::readiness,
            "/config" => |site, _| site.config(),
            "/targets" => |site, _| site.targets(),
            _ => {
                return page(
                    StatusCode::NOT_FOUND,
                    TEXT_TYPE,
                    "no such page; / lists them\n",
                );
            }
        };
        if method == Method::GET || method == Method::HEAD {
            return show(self, output);
        }
        let mut answer = page(
            StatusCode::METHOD_NOT_ALLOWED,
            TEXT_TYPE,
            "pages are only read\n",
        );
        let allowed = HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(header::ALLOW, allowed);
        answer
    }

    fn metrics(&self, exposition: Exposition) -> String {
        self.telemetry
            .render_with(exposition, |samples| self.collect(samples))
    }

    /// The metrics that the page shows, for an export.
    pub fn points(&self) -> Vec<Points> {
        self.telemetry.points_with(|samples| self.collect(samples))
    }

    fn collect(&self, samples: &mut Samples) {
        targets::collect(&self.group_statuses(), samples);
        if let Some(config) = self.state.config() {
            accounts::collect(&config, samples);
        }
    }

    fn readiness(&self, output: Output) -> Response<Full<Bytes>> {
        match self.state.readiness() {
            Readiness::Ready => health(output, StatusCode::OK, "ready", &[]),
            Readiness::NotReady(reasons) => health(
                output,
                StatusCode::SERVICE_UNAVAILABLE,
                "not ready",
                &reasons,
            ),
        }
    }

    fn config(&self) -> Response<Full<Bytes>> {
        let Some(config) = self.state.config() else {
            return nothing_runs();
        };
        json_page(&json!({
            "generation": self.state.generation(),
            "rejected": &*self.state.rejected(),
            "config": redacted(&config),
        }))
    }

    fn targets(&self) -> Response<Full<Bytes>> {
        json_page(&json!({
            "generation": self.state.generation(),
            "targetGroups": self.group_statuses(),
        }))
    }

    fn group_statuses(&self) -> Vec<targets::GroupStatus> {
        let config = self.state.config();
        let named = config
            .as_ref()
            .map_or(&[][..], |config| &config.target_groups);
        let now = Instant::now();
        let mut statuses = targets::group_statuses(named, &self.state.groups(), now);
        targets::add_standings(&mut statuses, &self.state.standings(), now);
        statuses.extend(targets::function_statuses(&self.state.functions(), now));
        statuses
    }
}

fn health(
    output: Output,
    status: StatusCode,
    word: &str,
    reasons: &[String],
) -> Response<Full<Bytes>> {
    match output {
        Output::Json => page(
            status,
            JSON_TYPE,
            format!("{}\n", json!({"status": word, "reasons": reasons})),
        ),
        Output::Text => {
            let lines = reasons.iter().map(|reason| format!("{reason}\n"));
            page(
                status,
                TEXT_TYPE,
                format!("{word}\n{}", lines.collect::<String>()),
            )
        }
    }
}

/// Does the client want `OpenMetrics` rather than text? Spec: RFC 9110 §12.5.1.
fn wants_open_metrics(headers: &HeaderMap) -> bool {
    let (mut open, mut text) = (0, 0);
    let accepted = headers.get_all(header::ACCEPT).iter();
    let accepted = accepted.filter_map(|value| value.to_str().ok());
    for range in accepted.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let weight = weight.map_or(1000, thousandths);
        match kind {
            "application/openmetrics-text" => open = weight.max(open),
            // Wildcards take whatever there is, which is text.
            "text/plain" | "text/*" | "*/*" => text = weight.max(text),
            _ => {}
        }
    }
    open > text || open > 0 && open == text
}

/// A weight, `0.5`, in thousandths; what is none weighs nothing.
fn thousandths(weight: &str) -> u32 {
    match weight.parse::<f32>() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 1000"
        )]
        Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1000.0) as u32,
        _ => 0,
    }
}

fn nothing_runs() -> Response<Full<Bytes>> {
    page(
        StatusCode::SERVICE_UNAVAILABLE,
        TEXT_TYPE,
        "no configuration runs yet\n",
    )
}

fn json_page(value: &Value) -> Response<Full<Bytes>> {
    page(StatusCode::OK, JSON_TYPE, format!("{value:#}\n"))
}

pub(super) fn page(
    status: StatusCode,
    content_type: &'static str,
    text: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    answer
}
