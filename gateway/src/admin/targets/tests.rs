//! Targets as the page and the metrics show them.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use trellis_model::config::TargetGroup;
use trellis_target_groups::{Group, ProbeOutcome, TargetKey, Use, Wanted};

use super::{GroupStatus, collect, group_statuses};
use crate::{
    registry::tests::{address, group as group_config},
    telemetry::{Exposition, Telemetry},
};

/// A group of these targets, the first ones of which have become healthy.
fn group(config: &TargetGroup, healthy: usize, now: Instant) -> Arc<Group> {
    let group = Group::new(config, Use::Used, now);
    let epoch = group.check_plan().unwrap().epoch;
    for target in config.targets.iter().take(healthy) {
        for _ in 0..3 {
            group.observe(&TargetKey::from(target), epoch, ProbeOutcome::Pass, now);
        }
    }
    Arc::new(group)
}

fn shown(groups: &[GroupStatus]) -> String {
    let lines = groups.iter().map(|group| {
        let targets = group.targets.iter().map(|target| {
            format!(
                " {} {} {:?} {}",
                target.id,
                target.status,
                target.reason_code,
                if target.receives_requests {
                    "open"
                } else {
                    "closed"
                }
            )
        });
        let targets: String = targets.collect();
        format!("{} {}{targets}\n", group.name, group.failing_open)
    });
    lines.collect()
}

#[test]
fn groups_come_in_the_order_of_the_configuration_and_removed_ones_last() {
    let now = Instant::now();
    let (first, second, gone) = (
        Arc::new(group_config("zulu", [1, 2])),
        Arc::new(group_config("alpha", [3])),
        group_config("gone", [4]),
    );
    let retired = group(&gone, 1, now);
    // A request is running, so the target stays while it drains.
    let _lease = retired.choose(&Wanted::any(0, Instant::now())).unwrap();
    retired.retire(now);
    let live = [retired, group(&second, 0, now), group(&first, 1, now)];
    let statuses = group_statuses(&[first, second], &live, now + Duration::from_secs(7));
    assert_eq!(
        shown(&statuses),
        "zulu false 10.0.0.1 HEALTHY None open 10.0.0.2 INITIAL Some(\"HealthCheckInProgress\") closed\n\
         alpha true 10.0.0.3 INITIAL Some(\"HealthCheckInProgress\") open\n\
         gone false 10.0.0.4 DRAINING Some(\"DeregistrationInProgress\") closed\n"
    );
    assert_eq!(statuses[0].targets[0].seconds_in_status, 7);
    assert_eq!(statuses[2].targets[0].in_flight, 1);
}

#[test]
fn a_configured_group_that_does_not_live_yet_is_left_out() {
    assert_eq!(
        group_statuses(&[Arc::new(group_config("new", [1]))], &[], Instant::now()),
        []
    );
}

#[test]
fn the_page_spells_members_as_the_api_does() {
    let now = Instant::now();
    let config = Arc::new(group_config("orders", [1]));
    let statuses = group_statuses(
        std::slice::from_ref(&config),
        &[group(&config, 0, now)],
        now,
    );
    let expected = serde_json::json!([{
        "id": config.id.to_string(),
        "name": "orders",
        "algorithm": "ROUND_ROBIN",
        "failingOpen": true,
        "ejections": 0,
        "targets": [{
            "id": address(1).ip().to_string(),
            "address": address(1).to_string(),
            "status": "INITIAL",
            "reasonCode": "HealthCheckInProgress",
            "ejected": false,
            "recentEjections": 0,
            "weight": 1,
            "receivesRequests": true,
            "inFlight": 0,
            "secondsInStatus": 0,
        }],
    }]);
    assert_eq!(serde_json::to_value(statuses).unwrap(), expected);
}

#[test]
fn metrics_count_every_status_of_every_group_and_only_those() {
    let now = Instant::now();
    let config = Arc::new(group_config("orders", [1, 2, 3]));
    let statuses = group_statuses(
        std::slice::from_ref(&config),
        &[group(&config, 2, now)],
        now,
    );
    let page = Telemetry::new(SystemTime::now()).render_with(Exposition::Prometheus, |samples| {
        collect(&statuses, samples);
    });
    let id = config.id.to_string();
    let mut lines: Vec<String> = page
        .lines()
        .filter(|line| line.contains(&id))
        .map(|line| line.replace(&id, "ID"))
        .collect();
    lines.sort();
    let count = |status: &str, number: u8| {
        format!(
            "gateway_targets{{target_group=\"orders\",target_group_id=\"ID\",status=\"{status}\"}} {number}"
        )
    };
    let expected = [
        "gateway_target_ejections_total{target_group=\"orders\",target_group_id=\"ID\"} 0"
            .to_owned(),
        "gateway_target_group_failing_open{target_group=\"orders\",target_group_id=\"ID\"} 0"
            .to_owned(),
        "gateway_target_requests_in_flight{target_group=\"orders\",target_group_id=\"ID\"} 0"
            .to_owned(),
        "gateway_targets_ejected{target_group=\"orders\",target_group_id=\"ID\"} 0".to_owned(),
        count("draining", 0),
        count("healthy", 2),
        count("initial", 1),
        count("unavailable", 0),
        count("unhealthy", 0),
        count("unused", 0),
    ];
    assert_eq!(lines, expected);
}
