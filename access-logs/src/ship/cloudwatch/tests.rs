//! What CloudWatch Logs refuses.

use super::*;

#[track_caller]
fn check(info: &Value, refused: &[u64]) {
    let batch = Batch::of(&[(1, "a"), (2, "b"), (3, "c"), (4, "d")]);
    let items: Vec<_> = batch.items().collect();
    let found = rejected(&json!({"rejectedLogEventsInfo": info}), &items);
    assert_eq!(found.refused, refused);
    assert_eq!(found.reason.is_some(), !refused.is_empty());
}

#[test]
fn what_is_too_old_or_too_new_is_refused_and_nothing_else() {
    check(&Value::Null, &[]);
    check(&json!({}), &[]);
    check(&json!({"tooOldLogEventEndIndex": 1}), &[0]);
    check(&json!({"expiredLogEventEndIndex": 2}), &[0, 1]);
    check(
        &json!({"tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 2}),
        &[0, 1],
    );
    check(&json!({"tooNewLogEventStartIndex": 3}), &[3]);
    check(&json!({"tooNewLogEventStartIndex": 0}), &[0, 1, 2, 3]);
    check(
        &json!({"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 3}),
        &[0, 3],
    );
    check(&json!({"tooNewLogEventStartIndex": "3"}), &[]);
}
