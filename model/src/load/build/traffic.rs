//! How long requests may take, and when they are tried again.

use std::{sync::Arc, time::Duration};

use super::{Builder, gateway::given};
use crate::{
    config::{
        ConnectionPool, Places, ProtocolVersion, RetryEvents, RetryPolicy, Timeouts, Traffic,
    },
    document::{self, RetryEvent},
    load::path::At,
    ranges,
};

/// What a service or a forward action says about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) timeouts: Option<&'a document::Timeouts>,
    pub(super) retry_policy: Option<&'a document::RetryPolicy>,
    pub(super) hedging: Option<&'a document::Hedging>,
}

impl Written<'_> {
    fn is_silent(self) -> bool {
        self.timeouts.is_none() && self.retry_policy.is_none() && self.hedging.is_none()
    }
}

impl Builder<'_> {
    /// What `written` says, with the `outer` where it says nothing.
    pub(super) fn traffic(
        &mut self,
        at: &At<'_>,
        written: Written<'_>,
        outer: &Arc<Traffic>,
    ) -> Option<Arc<Traffic>> {
        if written.is_silent() {
            return Some(Arc::clone(outer));
        }
        let timeouts = match written.timeouts {
            Some(timeouts) => self.timeouts(&at.member("timeouts"), timeouts, outer.timeouts),
            None => Some(outer.timeouts),
        };
        let retry = match written.retry_policy {
            Some(policy) => self.retry_policy(&at.member("retryPolicy"), policy),
            None => Some(outer.retry.clone()),
        };
        let hedging = written.hedging.map(|hedging| {
            let at = at.member("hedging");
            let (at, range) = (at.member("afterMillis"), &ranges::HEDGE_DELAY);
            self.in_range::<u64>(&at, hedging.after_millis, range)
        });
        let traffic = Traffic {
            timeouts: timeouts?,
            retry: retry?,
            hedge_after: given(hedging)?
                .map(Duration::from_millis)
                .or(outer.hedge_after),
        };
        self.tell_vain_retries(at, &traffic);
        Some(self.alike.traffic.share(traffic))
    }

    fn timeouts(
        &mut self,
        at: &At<'_>,
        written: &document::Timeouts,
        outer: Timeouts,
    ) -> Option<Timeouts> {
        let mut limit = |member: &str, written: Option<i64>, outer: Option<Duration>| {
            let at = at.member(member);
            match written {
                None => Some(outer),
                Some(0) => Some(None),
                written => self
                    .number(&at, written, &ranges::MILLIS_OR_NONE, 0_u64)
                    .map(|millis| Some(Duration::from_millis(millis))),
            }
        };
        let request = limit("requestMillis", written.request_millis, outer.request);
        let per_try = limit("perTryMillis", written.per_try_millis, outer.per_try);
        let idle = limit("idleMillis", written.idle_millis, outer.idle);
        let stream = limit("streamMillis", written.stream_millis, outer.stream);
        Some(Timeouts {
            request: request?,
            per_try: per_try?,
            idle: idle?,
            stream: stream?,
        })
    }

    /// A retry policy: `Some(None)` when it retries nothing, `None` when it is wrong.
    #[expect(
        clippy::option_option,
        reason = "the outer layer is consumed at once by `?`"
    )]
    fn retry_policy(
        &mut self,
        at: &At<'_>,
        written: &document::RetryPolicy,
    ) -> Option<Option<RetryPolicy>> {
        let retries = Some(written.max_retries);
        let max_retries: Option<u32> =
            self.number(&at.member("maxRetries"), retries, &ranges::RETRIES, 0);
        if written.on.is_empty() && written.statuses.is_empty() && written.max_retries != 0 {
            self.error(at, "says not after what to try again")
                .hint("name events in `on`, such as `gateway-error` and `connection-error`");
            return None;
        }
        let statuses = self.retry_statuses(&at.member("statuses"), &written.statuses);
        let back_off = self.back_off(at, written.back_off.as_ref());
        let budget = written.budget.clone().unwrap_or_default();
        let in_budget = at.member("budget");
        let percent = in_budget.member("percent");
        let percent = self.number(&percent, budget.percent, &ranges::PERCENT, 20);
        let least = in_budget.member("minConcurrency");
        let range = &ranges::RETRY_CONCURRENCY;
        let least = self.number(&least, budget.min_concurrency, range, 10);
        let events = written.on.iter().map(|event| events(*event));
        let (back_off, max_back_off) = back_off?;
        let policy = RetryPolicy {
            max_retries: max_retries?,
            events: events.fold(RetryEvents::NONE, |all, event| all | event),
            statuses: statuses?,
            back_off,
            max_back_off,
            budget_percent: percent?,
            budget_min: least?,
        };
        Some((policy.max_retries > 0).then_some(policy))
    }

    fn retry_statuses(&mut self, at: &At<'_>, written: &[i64]) -> Option<Box<[u16]>> {
        if written.len() > ranges::RETRY_STATUSES {
            let (count, most) = (written.len(), ranges::RETRY_STATUSES);
            self.error(at, format!("{count} statuses are more than {most}"));
            return None;
        }
        let statuses: Vec<Option<u16>> = written
            .iter()
            .enumerate()
            .map(|(index, status)| self.in_range(&at.index(index), *status, &ranges::RETRY_STATUS))
            .collect();
        statuses.into_iter().collect()
    }

    fn back_off(
        &mut self,
        at: &At<'_>,
        written: Option<&document::BackOff>,
    ) -> Option<(Duration, Duration)> {
        let written = written.cloned().unwrap_or_default();
        let at = at.member("backOff");
        let (in_base, in_max) = (at.member("baseMillis"), at.member("maxMillis"));
        let base: Option<u64> = self.number(&in_base, written.base_millis, &ranges::BACK_OFF, 25);
        let most: Option<u64> = self.number(&in_max, written.max_millis, &ranges::BACK_OFF, 0);
        let (base, most) = (base?, most?);
        let most = if written.max_millis.is_none() {
            base.saturating_mul(10)
        } else {
            most
        };
        if most < base {
            self.error(&in_max, format!("{most} is less than the base, {base}"));
            return None;
        }
        Some((Duration::from_millis(base), Duration::from_millis(most)))
    }

    /// Source: App Mesh API reference: pools of HTTP listeners bound connections, those of HTTP/2 and gRPC listeners requests.
    pub(super) fn connection_pool(
        &mut self,
        at: &At<'_>,
        written: &document::ConnectionPool,
        version: ProtocolVersion,
    ) -> Option<ConnectionPool> {
        let over_http2 = version != ProtocolVersion::Http1;
        let places = self.places(at, written, over_http2);
        let streams = written.max_streams_per_connection;
        let in_streams = at.member("maxStreamsPerConnection");
        if streams.is_some() && !over_http2 {
            self.error(&in_streams, "connections of this group have no streams")
                .hint("only groups of versions `HTTP2` and `GRPC` have");
        }
        let defaults = ConnectionPool::default();
        let streams = self.number(&in_streams, streams, &ranges::STREAMS, defaults.streams);
        let in_alive = at.member("keepAliveSeconds");
        let default = defaults.keep_alive.as_secs();
        let alive = written.keep_alive_seconds;
        let alive = self.number(&in_alive, alive, &ranges::KEEP_ALIVE, default);
        Some(ConnectionPool {
            places: places?,
            streams: streams?,
            keep_alive: Duration::from_secs(alive?),
        })
    }

    /// How many requests a target may have: `Some(None)` for any number, `None` when that is wrong.
    #[expect(
        clippy::option_option,
        reason = "the outer layer is consumed at once by `?`"
    )]
    fn places(
        &mut self,
        at: &At<'_>,
        written: &document::ConnectionPool,
        over_http2: bool,
    ) -> Option<Option<Places>> {
        let connections = ("maxConnections", written.max_connections);
        let requests = ("maxRequests", written.max_requests);
        let (wanted, strange) = if over_http2 {
            (requests, connections)
        } else {
            (connections, requests)
        };
        if strange.1.is_some() {
            let (member, other) = (strange.0, wanted.0);
            self.error(&at.member(member), "does not fit the version of the group")
                .hint(format!("`{other}` is the limit of such targets"));
            return None;
        }
        let in_pending = at.member("maxPendingRequests");
        let pending = written.max_pending_requests;
        let waiting = self.number(&in_pending, pending, &ranges::PENDING, 1024);
        let Some(most) = wanted.1 else {
            if pending.is_some() {
                self.error(&in_pending, "nothing makes requests wait")
                    .hint(format!("add `{}`, or leave this out", wanted.0));
                return None;
            }
            return Some(None);
        };
        let most = self.in_range(&at.member(wanted.0), most, &ranges::POOL);
        Some(Some(Places {
            most: most?,
            pending: waiting?,
        }))
    }

    /// Attempts that the request has no time for are most likely a mistake.
    fn tell_vain_retries(&mut self, at: &At<'_>, traffic: &Traffic) {
        let Timeouts {
            request: Some(request),
            per_try: Some(per_try),
            ..
        } = traffic.timeouts
        else {
            return;
        };
        let Some(retry) = &traffic.retry else {
            return;
        };
        if per_try.saturating_mul(retry.max_retries) >= request {
            let (request, per_try) = (request.as_millis(), per_try.as_millis());
            self.warning(
                &at.member("timeouts"),
                format!(
                    "the request has {request} ms, too few for {} attempts of {per_try} ms",
                    retry.max_retries + 1
                ),
            )
            .hint("raise `requestMillis`, or lower `perTryMillis` or `maxRetries`");
        }
    }
}

fn events(event: RetryEvent) -> RetryEvents {
    match event {
        // Source: App Mesh user guide, "Routes": both include a target that does not answer.
        RetryEvent::ServerError => RetryEvents::SERVER_ERROR | RetryEvents::RESET,
        RetryEvent::GatewayError => RetryEvents::GATEWAY_ERROR | RetryEvents::RESET,
        RetryEvent::ClientError => RetryEvents::CLIENT_ERROR,
        RetryEvent::StreamError => RetryEvents::STREAM_ERROR,
        RetryEvent::ConnectionError => RetryEvents::CONNECTION_ERROR,
        RetryEvent::Reset => RetryEvents::RESET,
        RetryEvent::Cancelled => RetryEvents::CANCELLED,
        RetryEvent::DeadlineExceeded => RetryEvents::DEADLINE_EXCEEDED,
        RetryEvent::Internal => RetryEvents::INTERNAL,
        RetryEvent::ResourceExhausted => RetryEvents::RESOURCE_EXHAUSTED,
        RetryEvent::Unavailable => RetryEvents::UNAVAILABLE,
    }
}
