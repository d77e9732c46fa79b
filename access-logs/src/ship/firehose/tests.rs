//! Which records of a batch are sent again.

use serde_json::json;

use super::*;

#[track_caller]
fn check(answer: &Value, wanted: Option<&[u64]>) {
    let batch = Batch::of(&[(1, "a"), (2, "b"), (3, "c")]);
    let found = failed(answer, &batch).ok().map(|delivered| delivered.again);
    assert_eq!(found.as_deref(), wanted);
}

#[test]
fn only_failed_records_are_sent_again() {
    let (good, bad) = (
        json!({"RecordId": "1"}),
        json!({"ErrorCode": "ServiceUnavailableException"}),
    );
    check(
        &json!({"FailedPutCount": 0, "RequestResponses": [good, good, good]}),
        Some(&[]),
    );
    check(
        &json!({"FailedPutCount": 1, "RequestResponses": [good, bad, good]}),
        Some(&[1]),
    );
    check(
        &json!({"FailedPutCount": 2, "RequestResponses": [bad, good, bad]}),
        Some(&[0, 2]),
    );
}

#[test]
fn an_answer_that_does_not_add_up_means_that_nothing_is_known() {
    check(
        &json!({"FailedPutCount": 1, "RequestResponses": [{"RecordId": "1"}]}),
        None,
    );
    check(&json!({"FailedPutCount": 1}), None);
    check(&Value::Null, None);
}
