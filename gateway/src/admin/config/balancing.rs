//! Balancing and outlier detection as JSON.

use serde_json::{Value, json};
use trellis_model::config::{Algorithm, Balancing, HashKey, OutlierDetection};

use crate::admin::targets::algorithm;

pub(super) fn balancing(balancing: &Balancing) -> Value {
    json!({
        "algorithm": algorithm(&balancing.algorithm),
        "hash": match &balancing.algorithm {
            Algorithm::Maglev(key) => hash(key),
            Algorithm::RoundRobin | Algorithm::LeastRequest | Algorithm::RandomTwoChoices => {
                Value::Null
            }
        },
        "stickiness": balancing.stickiness.as_ref().map(|stickiness| {
            json!({
                "cookieName": stickiness.cookie_name,
                "durationSeconds": stickiness.duration.map(|duration| duration.as_secs()),
            })
        }),
        "slowStartSeconds": balancing.slow_start.map(|window| window.as_secs()),
        "zonePreference": balancing.zone_preference.as_ref().map(|preference| {
            json!({"spillOverPercent": preference.spill_over})
        }),
        "panicThresholdPercent": balancing.panic_threshold,
    })
}

fn hash(key: &HashKey) -> Value {
    match key {
        HashKey::Header(name) => json!({"header": name}),
        HashKey::Cookie(name) => json!({"cookie": name}),
        HashKey::Source => json!({"source": true}),
        HashKey::Principal => json!({"principal": true}),
    }
}

pub(super) fn outlier_detection(detection: &OutlierDetection) -> Value {
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).ok();
    json!({
        "maxServerErrors": detection.max_server_errors,
        "maxConnectionFailures": detection.max_connection_failures,
        "intervalMillis": millis(detection.interval),
        "baseEjectionDurationMillis": millis(detection.base_ejection),
        "maxEjectionPercent": detection.max_ejection_percent,
    })
}
