//! Events against texts written by hand, results against a table, and both against whatever proptest thinks of.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};
use trellis_model::config::EventVersion::{self, V1, V2};

use super::*;

const NETWORK: &str =
    "arn:aws:vpc-lattice:eu-west-1:111122223333:servicenetwork/sn-0123456789abcdef0";
const SERVICE: &str = "arn:aws:vpc-lattice:eu-west-1:111122223333:service/svc-0123456789abcdef0";
const GROUP: &str = "arn:aws:vpc-lattice:eu-west-1:111122223333:targetgroup/tg-0123456789abcdef0";
const VPC: &str = "arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-0123456789abcdef0";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/role/session";

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    list.iter()
        .map(|(name, value)| {
            (
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )
        })
        .collect()
}

fn request<'a>(target: &'a str, headers: &'a HeaderMap, body: &'a [u8]) -> Event<'a> {
    Event {
        method: "POST",
        target: target.as_bytes(),
        headers,
        body,
        service_network_arn: NETWORK,
        service_arn: SERVICE,
        target_group_arn: GROUP,
        source_vpc_arn: VPC,
        region: "eu-west-1",
        caller: None,
        at: UNIX_EPOCH + Duration::from_micros(1_690_497_599_177_430),
        request_id: b"6ccfc913-b027-4fdc-be66-a07809329ee3",
    }
}

fn written(version: EventVersion, request: &Event<'_>) -> Value {
    let text = event(version, request, EVENT_BYTES).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The example of the specification, §5.6.
#[test]
fn v1_is_flat_joins_headers_and_takes_the_last_of_repeated_parameters() {
    let headers = headers(&[
        ("host", "svc.example"),
        ("accept", "a"),
        ("x-forwarded-for", "10.0.0.7"),
        ("accept", "b"),
    ]);
    let request = request("/orders?item=1&item=2", &headers, b"{\"k\":1}");
    assert_eq!(
        written(V1, &request),
        json!({
            "raw_path": "/orders?item=1&item=2",
            "method": "POST",
            "headers": {"host": "svc.example", "accept": "a, b", "x-forwarded-for": "10.0.0.7"},
            "query_string_parameters": {"item": "2"},
            "body": "eyJrIjoxfQ==",
            "is_base64_encoded": true,
        })
    );
}

#[test]
fn v1_has_all_its_members_even_when_they_say_nothing() {
    let headers = HeaderMap::new();
    assert_eq!(
        written(V1, &request("/", &headers, b"")),
        json!({
            "raw_path": "/",
            "method": "POST",
            "headers": {},
            "query_string_parameters": {},
            "body": "",
            "is_base64_encoded": false,
        })
    );
}

/// The example of the specification, §5.6.
#[test]
fn v2_tells_the_caller_and_keeps_lists_apart() {
    let headers = headers(&[
        ("accept", "a"),
        ("accept", "b"),
        ("host", "svc.example"),
        ("content-type", "Application/JSON; charset=utf-8"),
    ]);
    let mut request = request("/orders?item=1&item=2", &headers, b"{\"k\":1}");
    request.caller = Some(Caller {
        principal: SESSION,
        organization: Some("o-a1b2c3"),
        session: Some("session"),
        certificate: Certificate {
            issuer_ou: Some("unit"),
            dns: Some("a.test"),
            name_cn: Some("name"),
            uri: Some("spiffe://a"),
            subject_cn: Some("subject"),
        },
    });
    assert_eq!(
        written(V2, &request),
        json!({
            "version": "2.0",
            "path": "/orders?item=1&item=2",
            "method": "POST",
            "headers": {
                "accept": ["a", "b"],
                "host": ["svc.example"],
                "content-type": ["Application/JSON; charset=utf-8"],
            },
            "queryStringParameters": {"item": ["1", "2"]},
            "body": "{\"k\":1}",
            "requestContext": {
                "serviceNetworkArn": NETWORK,
                "serviceArn": SERVICE,
                "targetGroupArn": GROUP,
                "identity": {
                    "sourceVpcArn": VPC,
                    "type": "AWS_IAM",
                    "principal": SESSION,
                    "principalOrgID": "o-a1b2c3",
                    "sessionName": "session",
                    "x509IssuerOu": "unit",
                    "x509SanDns": "a.test",
                    "x509SanNameCn": "name",
                    "x509SanUri": "spiffe://a",
                    "x509SubjectCn": "subject",
                },
                "region": "eu-west-1",
                "timeEpoch": "1690497599177430",
            },
            "requestId": "6ccfc913-b027-4fdc-be66-a07809329ee3",
        })
    );
}

#[test]
fn v2_leaves_out_what_does_not_apply() {
    let headers = HeaderMap::new();
    let event = written(V2, &request("/orders", &headers, b""));
    assert_eq!(
        event["requestContext"]["identity"],
        json!({"sourceVpcArn": VPC})
    );
    for absent in ["body", "isBase64Encoded", "queryStringParameters"] {
        assert!(event.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn parameters_are_told_as_the_client_spelled_them() {
    for (target, wanted) in [
        ("/", json!({})),
        ("/?", json!({})),
        ("/?&&", json!({})),
        ("/?a", json!({"a": [""]})),
        ("/?a=", json!({"a": [""]})),
        ("/?=b", json!({"": ["b"]})),
        ("/?a=b=c", json!({"a": ["b=c"]})),
        ("/?a=%2B+b&A=1", json!({"a": ["%2B+b"], "A": ["1"]})),
        ("/?a=1?b=2", json!({"a": ["1?b=2"]})),
        ("/?b=2&a=1&b=1", json!({"a": ["1"], "b": ["2", "1"]})),
    ] {
        let headers = HeaderMap::new();
        let event = written(V2, &request(target, &headers, b""));
        let parameters = event.get("queryStringParameters").cloned();
        assert_eq!(parameters.unwrap_or(json!({})), wanted, "{target}");
    }
}

/// Source: specification, §5.6, "Base64 rule (requests)".
#[test]
fn four_families_of_content_are_text_and_all_else_is_base64() {
    let gzip = [("content-encoding", "gzip")];
    for (kind, text) in [
        ("text/plain", true),
        ("TEXT/csv; charset=latin1", true),
        ("application/json", true),
        ("application/json ;v=1", true),
        ("application/xml", true),
        ("application/javascript", true),
        ("application/jsonx", false),
        ("application/problem+json", false),
        ("application/x-www-form-urlencoded", false),
        ("application/octet-stream", false),
        ("textual/plain", false),
        ("text", false),
        ("", false),
    ] {
        for more in [&gzip[..], &[]] {
            let mut list = vec![("content-type", kind)];
            list.extend_from_slice(more);
            let headers = headers(&list);
            let event = written(V2, &request("/", &headers, b"abc"));
            let body = if text { "abc" } else { "YWJj" };
            assert_eq!(event["body"], body, "{kind}");
            let flag = event.get("isBase64Encoded");
            assert_eq!(flag, (!text).then_some(&json!(true)), "{kind}");
        }
    }
    // No type at all, and text that JSON cannot hold.
    let none = HeaderMap::new();
    assert_eq!(written(V1, &request("/", &none, b"abc"))["body"], "YWJj");
    let text = headers(&[("content-type", "text/plain")]);
    let event = written(V1, &request("/", &text, b"\xff"));
    assert_eq!(event["body"], "/w==");
    assert_eq!(event["is_base64_encoded"], true);
}

#[test]
fn bytes_that_are_no_utf8_are_told_as_latin1() {
    let mut headers = HeaderMap::new();
    headers.insert("x-name", HeaderValue::from_bytes(b"caf\xe9").unwrap());
    headers.append("x-name", HeaderValue::from_bytes("é".as_bytes()).unwrap());
    let event = written(V1, &request("/", &headers, b""));
    assert_eq!(event["headers"]["x-name"], "café, é");
}

#[test]
fn an_event_ends_at_its_limit() {
    let headers = HeaderMap::new();
    for version in [V1, V2] {
        let request = request("/", &headers, &[0; 3000]);
        let size = event(version, &request, EVENT_BYTES).unwrap().len();
        assert!(event(version, &request, size).is_ok());
        assert_eq!(event(version, &request, size - 1), Err(TooLarge));
        assert_eq!(event(version, &request, 0), Err(TooLarge));
    }
    let text = self::headers(&[("content-type", "text/plain")]);
    assert_eq!(least_length(&text, 4), 4);
    assert_eq!(least_length(&headers, 4), 8);
    // A body of control characters takes six bytes for each.
    let body = vec![1; EVENT_BYTES / 3];
    let request = request("/", &text, &body);
    assert_eq!(event(V1, &request, EVENT_BYTES), Err(TooLarge));
}

fn read(text: &str) -> Result<Answer, Fault> {
    answer(text.as_bytes())
}

fn shown(answer: &Answer) -> String {
    let fields = answer
        .headers
        .iter()
        .map(|(name, value)| format!(" {name}={}", String::from_utf8_lossy(value.as_bytes())));
    let body = String::from_utf8_lossy(&answer.body);
    format!(
        "{}{} {body}",
        answer.status.as_u16(),
        fields.collect::<String>()
    )
}

#[test]
fn results_are_answers() {
    for (result, wanted) in [
        (r#"{"statusCode":200}"#, "200 "),
        (r#" {"statusCode":200,"body":"hello"} "#, "200 hello"),
        (
            r#"{"isBase64Encoded":false,"statusCode":201,"statusDescription":"201 Created","headers":{"Content-Type":"text/plain"},"body":"a\"b"}"#,
            "201 content-type=text/plain a\"b",
        ),
        (
            r#"{"statusCode":599,"headers":null,"multiValueHeaders":null,"body":null,"isBase64Encoded":null}"#,
            "599 ",
        ),
        (
            r#"{"statusCode":200,"isBase64Encoded":true,"body":"aGk="}"#,
            "200 hi",
        ),
        (
            r#"{"statusCode":200,"isBase64Encoded":true,"body":"aGk"}"#,
            "200 hi",
        ),
        (r#"{"statusCode":200,"isBase64Encoded":true}"#, "200 "),
        (
            r#"{"statusCode":200,"headers":{"set-cookie":["a=1","b=2"]}}"#,
            "200 set-cookie=a=1 set-cookie=b=2 ",
        ),
        (
            r#"{"statusCode":200,"headers":{"Set-Cookie":"a=1","set-cookie":"b=2"}}"#,
            "200 set-cookie=a=1 set-cookie=b=2 ",
        ),
        (
            r#"{"statusCode":200,"headers":{"set-cookie":"b=2","x-a":"1"},"multiValueHeaders":{"Set-Cookie":["a=1","b=2"]}}"#,
            "200 x-a=1 set-cookie=a=1 set-cookie=b=2 ",
        ),
        (r#"{"statusCode":200,"headers":{"x-a":[]}}"#, "200 "),
        (
            r#"{"statusCode":200,"headers":{"x-a":"  padded\t"}}"#,
            "200 x-a=padded ",
        ),
        (r#"{"statusCode":200,"headers":{"x-a":"é"}}"#, "200 x-a=é "),
        (
            r#"{"statusCode":200,"headers":{"connection":"keep-alive, x-hop","X-Hop":"1","keep-alive":"5","te":"a","trailer":"b","transfer-encoding":"chunked","upgrade":"h2c","proxy-connection":"close","content-length":"1","x-stays":"1"},"body":"abc"}"#,
            "200 x-stays=1 abc",
        ),
        (
            r#"{"statusCode":200,"unknown":{"statusCode":[1,{"headers":7}]}}"#,
            "200 ",
        ),
    ] {
        let answer = read(result);
        assert_eq!(
            answer.as_ref().map(shown),
            Ok(wanted.to_owned()),
            "{result}"
        );
    }
}

const NONSENSE: &[(&str, Fault)] = &[
    ("", Fault::NotJson),
    ("nonsense", Fault::NotJson),
    ("{", Fault::NotJson),
    (r#"{"statusCode":200}}"#, Fault::NotJson),
    (r#"{"statusCode":200,"body":"#, Fault::NotJson),
    ("{\"statusCode\":200,\"body\":\"\u{1}\"}", Fault::NotJson),
    (r#"{"statusCode":200,"body":"\ud800"}"#, Fault::NotJson),
    ("null", Fault::NotAnObject),
    ("\"text\"", Fault::NotAnObject),
    ("200", Fault::NotAnObject),
    ("[]", Fault::NotAnObject),
    // What derived code would take for an object.
    (r#"[200,{"a":"b"},{},"body",false]"#, Fault::NotAnObject),
    ("{}", Fault::Shape),
    (r#"{"body":"hello"}"#, Fault::Shape),
    (r#"{"statusCode":null}"#, Fault::Shape),
    (r#"{"statusCode":"200"}"#, Fault::Shape),
    (r#"{"statusCode":200.0}"#, Fault::Shape),
    (r#"{"statusCode":-200}"#, Fault::Shape),
    (r#"{"statusCode":true}"#, Fault::Shape),
    (r#"{"statusCode":70000}"#, Fault::Shape),
    (r#"{"statusCode":200,"statusCode":500}"#, Fault::Shape),
    (r#"{"statusCode":200,"body":{"a":1}}"#, Fault::Shape),
    (r#"{"statusCode":200,"body":7}"#, Fault::Shape),
    (
        r#"{"statusCode":200,"isBase64Encoded":"true"}"#,
        Fault::Shape,
    ),
    (r#"{"statusCode":200,"headers":[]}"#, Fault::Shape),
    (r#"{"statusCode":200,"headers":["a","b"]}"#, Fault::Shape),
    (r#"{"statusCode":200,"headers":"a: b"}"#, Fault::Shape),
    (r#"{"statusCode":200,"headers":{"a":7}}"#, Fault::Shape),
    (r#"{"statusCode":200,"headers":{"a":null}}"#, Fault::Shape),
    (
        r#"{"statusCode":200,"headers":{"a":{"b":"c"}}}"#,
        Fault::Shape,
    ),
    (
        r#"{"statusCode":200,"headers":{"a":[["b"]]}}"#,
        Fault::Shape,
    ),
    (r#"{"statusCode":0}"#, Fault::StatusCode),
    (r#"{"statusCode":99}"#, Fault::StatusCode),
    (r#"{"statusCode":100}"#, Fault::StatusCode),
    (r#"{"statusCode":101}"#, Fault::StatusCode),
    (r#"{"statusCode":199}"#, Fault::StatusCode),
    (r#"{"statusCode":600}"#, Fault::StatusCode),
    (r#"{"statusCode":1000}"#, Fault::StatusCode),
    (r#"{"statusCode":200,"headers":{"":"a"}}"#, Fault::Header),
    (r#"{"statusCode":200,"headers":{"a b":"c"}}"#, Fault::Header),
    (
        r#"{"statusCode":200,"headers":{":status":"500"}}"#,
        Fault::Header,
    ),
    (
        r#"{"statusCode":200,"headers":{"a\r\nb":"c"}}"#,
        Fault::Header,
    ),
    (r#"{"statusCode":200,"headers":{"é":"c"}}"#, Fault::Header),
    (
        r#"{"statusCode":200,"headers":{"a":"b\r\nc: d"}}"#,
        Fault::Header,
    ),
    (
        r#"{"statusCode":200,"headers":{"a":"b\nc"}}"#,
        Fault::Header,
    ),
    (
        r#"{"statusCode":200,"headers":{"a":"b\u0000c"}}"#,
        Fault::Header,
    ),
    (
        r#"{"statusCode":200,"multiValueHeaders":{"a":["b","c\r"]}}"#,
        Fault::Header,
    ),
    (
        r#"{"statusCode":200,"isBase64Encoded":true,"body":"not base64!"}"#,
        Fault::Base64,
    ),
    (
        r#"{"statusCode":200,"isBase64Encoded":true,"body":"aGk=\n"}"#,
        Fault::Base64,
    ),
    (
        r#"{"statusCode":200,"isBase64Encoded":true,"body":"é"}"#,
        Fault::Base64,
    ),
];

#[test]
fn nonsense_is_a_fault_with_a_name() {
    let deep = "[".repeat(100_000);
    let ignored = format!(r#"{{"statusCode":200,"x":{deep}"#);
    let headers = format!(r#"{{"statusCode":200,"headers":{deep}"#);
    let deep = [(&*ignored, Fault::NotJson), (&*headers, Fault::Shape)];
    for (result, wanted) in NONSENSE.iter().copied().chain(deep) {
        let shown: String = result.chars().take(80).collect();
        assert_eq!(read(result), Err(wanted), "{shown}");
        assert_eq!(wanted.status(), 502);
    }
    assert_eq!(Fault::Throttled.status(), 503);
}

#[test]
fn headers_are_bounded_in_number_and_size() {
    let many = |count: usize| {
        let fields: Vec<String> = (0..count).map(|n| format!(r#""x-{n}":"v""#)).collect();
        format!(r#"{{"statusCode":200,"headers":{{{}}}}}"#, fields.join(","))
    };
    assert_eq!(read(&many(100)).unwrap().headers.len(), 100);
    assert_eq!(read(&many(101)), Err(Fault::TooManyHeaders));
    assert_eq!(read(&many(10_000)), Err(Fault::TooManyHeaders));
    let list = |count: usize| {
        let values = vec![r#""v""#; count].join(",");
        format!(r#"{{"statusCode":200,"headers":{{"x-a":[{values}]}}}}"#)
    };
    assert_eq!(read(&list(100)).unwrap().headers.len(), 100);
    assert_eq!(read(&list(101)), Err(Fault::TooManyHeaders));
    assert_eq!(read(&list(500_000)), Err(Fault::TooManyHeaders));
    let large = |size: usize| {
        let value = "v".repeat(size);
        format!(r#"{{"statusCode":200,"headers":{{"x-a":"{value}"}}}}"#)
    };
    assert!(read(&large(answer::FIELD_BYTES - 3)).is_ok());
    assert_eq!(
        read(&large(answer::FIELD_BYTES - 2)),
        Err(Fault::TooManyHeaders)
    );
    // Both lists count.
    let both = many(60).replace(
        "}}",
        &format!(
            r#"}},"multiValueHeaders":{{"y":[{}]}}}}"#,
            vec![r#""v""#; 60].join(",")
        ),
    );
    assert_eq!(read(&both), Err(Fault::TooManyHeaders));
}

#[test]
fn a_result_may_be_six_mebibytes_and_no_more() {
    let frame = r#"{"statusCode":200,"body":""}"#.len();
    let sized = |size: usize| {
        format!(
            r#"{{"statusCode":200,"body":"{}"}}"#,
            "a".repeat(size - frame)
        )
    };
    let body = read(&sized(RESULT_BYTES)).unwrap().body;
    assert_eq!(body.len(), RESULT_BYTES - frame);
    assert_eq!(read(&sized(RESULT_BYTES + 1)), Err(Fault::TooLarge));
}

fn any_headers() -> impl Strategy<Value = HeaderMap> {
    let name = "[a-z][a-z0-9-]{0,8}";
    let value = proptest::collection::vec(0x20u8..0x7f, 0..12);
    proptest::collection::vec((name, value), 0..12).prop_map(|list| {
        list.iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_bytes(name.as_bytes()).unwrap(),
                    HeaderValue::from_bytes(value).unwrap(),
                )
            })
            .collect()
    })
}

proptest! {
    /// What a function finds in an event is what the client sent.
    #[test]
    fn events_lose_nothing(
        headers in any_headers(),
        target in "/[ -~&&[^#]]{0,40}",
        body in proptest::collection::vec(any::<u8>(), 0..64),
        kind in prop_oneof![Just("text/plain"), Just("image/png")],
    ) {
        let mut headers = headers;
        headers.insert("content-type", HeaderValue::from_static(kind));
        let request = request(&target, &headers, &body);
        let (flat, full) = (written(V1, &request), written(V2, &request));
        prop_assert_eq!(&flat["raw_path"], &target);
        prop_assert_eq!(&full["path"], &target);
        for (event, flag) in [(&flat, "is_base64_encoded"), (&full, "isBase64Encoded")] {
            let text = event.get("body").map_or("", |body| body.as_str().unwrap());
            let decoded = if event.get(flag) == Some(&json!(true)) {
                STANDARD.decode(text).unwrap()
            } else {
                text.as_bytes().to_vec()
            };
            prop_assert_eq!(&decoded, &body);
        }
        for name in headers.keys() {
            let values: Vec<&str> = headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect();
            prop_assert_eq!(&full["headers"][name.as_str()], &json!(values));
            prop_assert_eq!(&flat["headers"][name.as_str()], &values.join(", "));
        }
        prop_assert_eq!(full["headers"].as_object().unwrap().len(), headers.keys_len());
    }

    /// An answer comes back as it was written, and nothing that is written makes the reader panic.
    #[test]
    fn answers_lose_nothing(
        status in 200u16..600,
        body in proptest::collection::vec(any::<u8>(), 0..64),
        value in "[!-~]{1,20}",
    ) {
        let result = json!({
            "statusCode": status,
            "headers": {"x-a": value},
            "body": STANDARD.encode(&body),
            "isBase64Encoded": true,
        });
        let answer = read(&result.to_string()).unwrap();
        prop_assert_eq!(answer.status.as_u16(), status);
        prop_assert_eq!(answer.headers["x-a"].as_bytes(), value.as_bytes());
        prop_assert_eq!(answer.body, body);
    }

    #[test]
    fn any_bytes_are_an_answer_or_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = answer(&bytes);
    }

    /// Results that are nearly right: one cut and one byte changed. Whatever is read can be sent.
    #[test]
    fn damaged_results_are_answers_or_faults(cut in 0usize..200, at in 0usize..200, byte in any::<u8>()) {
        let mut result = br#"{"statusCode":200,"headers":{"x-a":"b","set-cookie":["a","b"]},"multiValueHeaders":{"x-c":["d"]},"body":"aGVsbG8=","isBase64Encoded":true}"#.to_vec();
        if let Some(place) = result.get_mut(at) {
            *place = byte;
        }
        result.truncate(result.len().saturating_sub(cut % 40));
        if let Ok(answer) = answer(&result) {
            prop_assert!((200..600).contains(&answer.status.as_u16()));
            for (name, value) in &answer.headers {
                prop_assert!(!value.as_bytes().iter().any(|b| matches!(b, b'\r' | b'\n' | 0)), "{}", name);
            }
        }
    }
}

#[test]
fn invocations_are_bounded_and_end_when_dropped() {
    let invocations = Arc::new(Invocations::default());
    let first = invocations.begin(2).unwrap();
    let second = invocations.begin(2).unwrap();
    assert!(invocations.begin(2).is_none());
    assert_eq!(invocations.running(), 2);
    drop(first);
    let third = invocations.begin(2).unwrap();
    // A limit that was lowered meanwhile ends nothing that runs.
    assert!(invocations.begin(1).is_none());
    drop((second, third));
    assert_eq!(invocations.running(), 0);
}
