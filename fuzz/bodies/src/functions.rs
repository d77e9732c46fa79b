//! What functions give back.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};
use trellis_target_groups::function::{
    self, Answer,
    answer::{FIELD_BYTES, FIELDS},
};

/// Spec: RFC 9110 §7.6.1, and the length, which is the gateway's business.
const NEVER_PASSED: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A result: whatever it is, what becomes of it can be sent, says what a plain reader of JSON finds in it, and is read as the same answer
/// when it is written as a result again. All that is refused is the function's fault.
pub(crate) fn result(data: &[u8]) {
    let answer = match function::answer(data) {
        Ok(answer) => answer,
        Err(fault) => {
            assert_eq!(fault.status(), 502, "{fault}");
            return;
        }
    };
    check_sendable(&answer);
    // A plain reader wants all of it to be right, also what nobody asks for.
    if let Ok(value) = serde_json::from_slice(data) {
        check_found(&answer, &value);
    }
    check_again(&answer);
}

fn check_sendable(answer: &Answer) {
    assert!(
        answer.status.as_u16() >= 200 && answer.status.as_u16() < 600,
        "{answer:?}"
    );
    assert!(answer.headers.len() <= FIELDS, "{answer:?}");
    let sizes = answer.headers.iter();
    let sizes = sizes.map(|(name, value)| name.as_str().len() + value.len());
    assert!(sizes.sum::<usize>() <= FIELD_BYTES, "{answer:?}");
    for name in NEVER_PASSED {
        assert!(!answer.headers.contains_key(name), "{name}: {answer:?}");
    }
    for value in answer.headers.values() {
        let is_control = |byte: &u8| *byte != b'\t' && (*byte < b' ' || *byte == 0x7f);
        assert!(!value.as_bytes().iter().any(is_control), "{answer:?}");
    }
}

fn check_found(answer: &Answer, value: &Value) {
    assert_eq!(value["statusCode"], answer.status.as_u16());
    let body = value["body"].as_str().unwrap_or_default();
    if value["isBase64Encoded"] == true {
        let bare = STANDARD.encode(&answer.body);
        assert_eq!(bare.trim_end_matches('='), body.trim_end_matches('='));
    } else {
        assert_eq!(body.as_bytes(), answer.body);
    }
    let none = Map::new();
    let plain = value["headers"].as_object().unwrap_or(&none);
    let lists = value["multiValueHeaders"].as_object().unwrap_or(&none);
    let has = |map: &Map<String, Value>, wanted: &str| {
        map.keys().any(|name| name.eq_ignore_ascii_case(wanted))
    };
    for name in answer.headers.keys() {
        assert!(has(plain, name.as_str()) || has(lists, name.as_str()));
    }
    let counted = plain.iter().filter(|(name, _)| !has(lists, name));
    let counted: Vec<_> = counted.chain(lists).collect();
    let mut dropped = NEVER_PASSED.map(str::to_owned).to_vec();
    for (_, value) in counted.iter().filter(|(name, _)| is(name, "connection")) {
        for value in texts(value) {
            dropped.extend(
                value
                    .split(',')
                    .map(|name| name.trim().to_ascii_lowercase()),
            );
        }
    }
    for (name, value) in counted {
        for value in texts(value) {
            let passed = has_value(&answer.headers, name, value);
            let is_dropped = dropped.iter().any(|dropped| is(name, dropped));
            assert_ne!(passed, is_dropped, "{name}: {value}: {answer:?}");
        }
    }
}

fn is(name: &str, other: &str) -> bool {
    name.eq_ignore_ascii_case(other)
}

/// The texts of a member of `headers`: one, or a list of them.
fn texts(value: &Value) -> Vec<&str> {
    let list = value
        .as_array()
        .map_or(std::slice::from_ref(value), |list| list);
    list.iter().map(|text| text.as_str().unwrap()).collect()
}

fn has_value(headers: &HeaderMap, name: &str, value: &str) -> bool {
    let value = value.trim_matches([' ', '\t']).as_bytes();
    headers.get_all(name).iter().any(|found| found == value)
}

fn check_again(answer: &Answer) {
    let text = |value: &HeaderValue| String::from_utf8(value.as_bytes().to_vec()).unwrap();
    let mut lists = Map::new();
    for name in answer.headers.keys() {
        let values: Vec<String> = answer.headers.get_all(name).iter().map(text).collect();
        lists.insert(name.to_string(), json!(values));
    }
    let result = json!({
        "statusCode": answer.status.as_u16(),
        "headers": lists,
        "body": STANDARD.encode(&answer.body),
        "isBase64Encoded": true,
    });
    let again = function::answer(result.to_string().as_bytes());
    assert_eq!(again.as_ref(), Ok(answer));
}
