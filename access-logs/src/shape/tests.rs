//! Selection, redaction, sampling and text formats, and what clients can do to them.

use std::{net::SocketAddr, time::UNIX_EPOCH};

use proptest::prelude::*;
use serde_json::Value;
use trellis_model::record::template::{Piece, Template};

use super::*;
use crate::record::{Additions, AuthDeniedReason, CandidateDecision, FailureReason, Protocol};

fn record() -> Record<'static> {
    let source: SocketAddr = "10.0.1.7:57086".parse().unwrap();
    let start = UNIX_EPOCH + std::time::Duration::from_micros(1_767_266_920_750_123);
    Record {
        service_arn: Some("arn:service"),
        method: Some(b"GET"),
        path: Some(b"/customers/ann/cards/4711"),
        protocol: Some(Protocol::Http11),
        host: Some(b"orders.test"),
        user_agent: Some(b"curl/8.5.0"),
        request_id: Some(b"id-1"),
        response_code: Some(200),
        bytes_received: 135,
        bytes_sent: 1247,
        duration: std::time::Duration::from_millis(23),
        trellis: Additions {
            generation: 7,
            ..Additions::default()
        },
        ..Record::new(start, source)
    }
}

fn write(shape: &LogShape, record: &Record<'_>) -> Option<String> {
    let mut out = b"before\n".to_vec();
    let written = Encoder::default().encode(record, &Shape::new(shape), &mut out);
    let line = String::from_utf8(out.split_off(7)).unwrap();
    assert_eq!(written, !line.is_empty());
    written.then(|| line.strip_suffix('\n').expect("a line").to_owned())
}

fn fields(names: &[&str]) -> FieldSet {
    names
        .iter()
        .map(|name| Field::named(name).unwrap())
        .collect()
}

#[track_caller]
fn check(shape: &LogShape, wanted: &str) {
    assert_eq!(write(shape, &record()).as_deref(), Some(wanted));
}

#[test]
fn selected_fields_stand_in_the_order_of_the_record() {
    let of = |names| LogShape {
        layout: LogLayout::Fields(fields(names)),
        ..LogShape::default()
    };
    check(
        &of(&["responseCode", "requestMethod"]),
        r#"{"requestMethod":"GET","responseCode":200}"#,
    );
    check(
        &of(&["trellis.generation", "trellis.rule", "requestId"]),
        r#"{"requestId":"id-1","trellis":{"generation":7}}"#,
    );
    // What a record has not is not there, and leaves no comma behind.
    check(
        &of(&["grpcResponseCode", "trellis.rule", "trellis.generation"]),
        r#"{"trellis":{"generation":7}}"#,
    );
    check(&of(&["trellis.rule"]), r#"{"trellis":{}}"#);
}

#[test]
fn hidden_values_are_not_shown_anywhere() {
    let hidden = |layout| LogShape {
        layout,
        hidden: fields(&["userAgent", "sourceIpPort", "hostHeader", "callerPrincipal"]),
        hidden_paths: Box::new(["/customers/*/cards/*".parse().unwrap()]),
        ..LogShape::default()
    };
    let shown = fields(&[
        "sourceIpPort",
        "requestPath",
        "userAgent",
        "hostHeader",
        "callerPrincipal",
    ]);
    check(
        &hidden(LogLayout::Fields(shown)),
        r#"{"sourceIpPort":"[redacted]","requestPath":"/customers/*/cards/*","userAgent":"[redacted]","hostHeader":"[redacted]","callerPrincipal":"-"}"#,
    );
    let text = "%REQ(X-FORWARDED-FOR)% %DOWNSTREAM_REMOTE_ADDRESS% %REQ(:PATH)% %REQ(USER-AGENT):4% %REQ(HOST)%";
    let text = LogLayout::Text(Template::line(text).unwrap());
    check(
        &hidden(text),
        "[redacted] [redacted] /customers/*/cards/* [redacted] [redacted]",
    );
    let everything = write(&hidden(LogLayout::Fields(FieldSet::ALL)), &record()).unwrap();
    for secret in ["curl", "10.0.1.7", "ann", "4711", "orders.test"] {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
}

#[test]
fn text_formats_show_values_as_envoy_does() {
    let line = |text: &str, wanted: &str| {
        let layout = LogLayout::Text(Template::line(text).unwrap());
        check(
            &LogShape {
                layout,
                ..LogShape::default()
            },
            wanted,
        );
    };
    line(
        trellis_model::record::template::DEFAULT,
        "[2026-01-01T11:28:40.750Z] \"GET /customers/ann/cards/4711 HTTP/1.1\" 200 - 135 1247 23 0 \"10.0.1.7\" \"curl/8.5.0\" \"id-1\" \"orders.test\" \"-\"",
    );
    line(
        "%START_TIME(%s.%6f %Y)% x",
        r"1767266920.750123\u00202026 x",
    );
    line(
        "%REQ(:PATH):10% %REQ(:SCHEME)% %UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "/customers http 0",
    );
    line(
        "%RECORD(trellis.rule)%|%RECORD(trellis.generation)%|100%%",
        "-|7|100%",
    );
    let members = [
        ("status", "%RESPONSE_CODE%"),
        ("a \"key\"", "\"%REQ(:METHOD)%%PROTOCOL%\""),
    ];
    let members = members.map(|(key, value)| (key.into(), Template::value(value).unwrap()));
    let layout = LogLayout::Members(members.into());
    check(
        &LogShape {
            layout,
            ..LogShape::default()
        },
        r#"{"status":"200","a \"key\"":"\"GETHTTP/1.1\""}"#,
    );
}

#[test]
fn flags_say_what_went_wrong() {
    let shape = LogShape {
        layout: LogLayout::Text(Template::line("%RESPONSE_FLAGS%").unwrap()),
        ..LogShape::default()
    };
    let flags: Vec<String> = FailureReason::ALL
        .into_iter()
        .map(|failure| {
            let record = Record {
                failure: Some(failure),
                ..record()
            };
            write(&shape, &record).unwrap()
        })
        .collect();
    assert_eq!(
        flags,
        ["UF", "UPE", "UT", "UC", "DC", "UAEX", "DPE", "DT", "-"]
    );
    let lost = Record {
        service_arn: None,
        response_code: Some(404),
        ..record()
    };
    assert_eq!(write(&shape, &lost).as_deref(), Some("NR"));
}

#[test]
fn sampling_keeps_its_share_and_everything_that_went_wrong() {
    let shape = LogShape {
        sampling: Sampling {
            success: 10,
            redirection: 1,
            client_error: 1_000_000,
        },
        ..LogShape::default()
    };
    let kept = |record: &Record<'_>| {
        let drawn = (1..=1000).map(|draw| Record {
            draw,
            ..record.clone()
        });
        drawn
            .filter(|record| write(&shape, record).is_some())
            .count()
    };
    assert_eq!(kept(&record()), 100);
    let first = Record {
        draw: 10,
        ..record()
    };
    let line: Value = serde_json::from_str(&write(&shape, &first).unwrap()).unwrap();
    assert_eq!(line["trellis"]["standsFor"], 10);
    let with = |change: &dyn Fn(&mut Record<'_>)| {
        let mut record = record();
        change(&mut record);
        kept(&record)
    };
    assert_eq!(with(&|record| record.response_code = Some(302)), 1000);
    assert_eq!(with(&|record| record.response_code = Some(404)), 0);
    assert_eq!(with(&|record| record.response_code = Some(500)), 1000);
    assert_eq!(with(&|record| record.response_code = None), 1000);
    assert_eq!(
        with(&|record| record.failure = Some(FailureReason::ClientProtocolError)),
        1000
    );
    assert_eq!(
        with(&|record| record.auth_denied = Some(AuthDeniedReason::Service)),
        1000
    );
    assert_eq!(with(&|record| record.grpc = Some(GrpcCode::Code(0))), 100);
    assert_eq!(with(&|record| record.grpc = Some(GrpcCode::Code(7))), 1000);
    assert_eq!(with(&|record| record.grpc = Some(GrpcCode::Missing)), 1000);
    let candidate = |denied| CandidateDecision {
        denied,
        decided_by: None,
    };
    let would = candidate(Some(AuthDeniedReason::Network));
    assert_eq!(with(&|record| record.trellis.candidate = Some(would)), 1000);
    assert_eq!(
        with(&|record| record.trellis.candidate = Some(candidate(None))),
        100
    );
}

/// Reads a line back by its template, as a reader would who knows nothing else: each value ends where the literal after it begins, and
/// is the inside of a JSON string.
fn split(template: &Template, line: &str) -> Vec<String> {
    let pieces = template.pieces();
    let mut values = Vec::new();
    let mut rest = line;
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Literal(literal) => rest = rest.strip_prefix(&**literal).expect("the literal"),
            Piece::Value(_) => {
                let end = match pieces.get(index + 1) {
                    Some(Piece::Literal(literal)) => rest.find(&**literal).expect("the literal"),
                    _ => rest.len(),
                };
                let (value, left) = rest.split_at(end);
                values.push(serde_json::from_str(&format!("\"{value}\"")).expect("a string"));
                rest = left;
            }
        }
    }
    assert_eq!(rest, "");
    values
}

proptest! {
    #[test]
    fn lines_of_text_can_be_split_back_whatever_clients_send(
        path in proptest::collection::vec(any::<u8>(), 0..200),
        agent in r#"[ -~\n\r\t"\\é\u{2028}]{0,200}"#,
        literals in proptest::collection::vec(r#"[-a-z"' ,;|.:\[\]\\é]{0,2}[-"' ,;|.:\[\]]"#, 3),
    ) {
        let [a, b, c] = &literals[..] else { unreachable!() };
        let text = format!("{a}%REQ(:PATH)%{b}%REQ(USER-AGENT)%{c}%REQ(HOST)%");
        let template = Template::line(&text).unwrap();
        let shape = LogShape {
            layout: LogLayout::Text(template.clone()),
            ..LogShape::default()
        };
        let record = Record { path: Some(&path), user_agent: Some(agent.as_bytes()), ..record() };
        let line = write(&shape, &record).unwrap();
        prop_assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
        let values = split(&template, &line);
        // JSON of the same record is the oracle.
        let json: Value = serde_json::from_str(&write(&LogShape::default(), &record).unwrap()).unwrap();
        let wanted = ["requestPath", "userAgent", "hostHeader"].map(|name| json[name].as_str().unwrap().to_owned());
        prop_assert_eq!(values, wanted);
    }

    #[test]
    fn members_are_one_object_whatever_clients_send(
        path in proptest::collection::vec(any::<u8>(), 0..300),
        key in r#"[ -~é"\\]{1,20}"#,
    ) {
        let members = [(key.as_str().into(), Template::value("\"\\%REQ(:PATH)%%RECORD(trellis.phases)%").unwrap())];
        let shape = LogShape { layout: LogLayout::Members(members.into()), ..LogShape::default() };
        let record = Record { path: Some(&path), ..record() };
        let line = write(&shape, &record).unwrap();
        let object: Value = serde_json::from_str(&line).unwrap();
        let json: Value = serde_json::from_str(&write(&LogShape::default(), &record).unwrap()).unwrap();
        let wanted = format!("\"\\{}-", json["requestPath"].as_str().unwrap());
        prop_assert_eq!(object[&key].as_str(), Some(wanted.as_str()));
    }
}

#[test]
fn the_longest_line_of_text_is_bounded() {
    use trellis_model::record::template::{MOST_OPERATORS, MOST_TEXTS};
    let texts = "%REQ(USER-AGENT)% ".repeat(MOST_TEXTS);
    let others = "%DURATION% ".repeat(MOST_OPERATORS - MOST_TEXTS);
    let shape = LogShape {
        layout: LogLayout::Text(Template::line(&format!("{texts}{others}")).unwrap()),
        ..LogShape::default()
    };
    let worst = vec![0; 100_000];
    let record = Record {
        user_agent: Some(&worst),
        duration: std::time::Duration::MAX,
        ..record()
    };
    let line = write(&shape, &record).unwrap();
    assert!(line.len() <= crate::json::MAX_LINE, "{} bytes", line.len());
}
