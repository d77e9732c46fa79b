//! Answers of targets, each accepted form with its refused twin.

use super::*;

/// `text` is a status and header lines; gives the fields that go on, or `None` when the answer is refused.
fn passed(text: &str, exchange: &mut Exchange) -> Option<Vec<String>> {
    let mut lines = text.lines();
    let status: u16 = lines.next().unwrap().parse().unwrap();
    let mut response = ResponseHeader::build(status, None).unwrap();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        response
            .append_header(name.to_owned(), value.to_owned())
            .unwrap();
    }
    prepare_response(&mut response, exchange).ok()?;
    let fields = response.headers.iter();
    let text = fields.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
    Some(
        text.filter(|line| !line.starts_with("x-amzn-requestid"))
            .collect(),
    )
}

#[track_caller]
fn passes(text: &str, fields: &[&str]) {
    let wanted = fields.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(passed(text, &mut Exchange::begin()), Some(wanted), "{text}");
}

#[track_caller]
fn refuses(text: &str) {
    assert_eq!(passed(text, &mut Exchange::begin()), None, "{text}");
}

#[test]
fn framing_is_plain_or_refused() {
    passes("200\ncontent-length: 5", &["content-length: 5"]);
    passes(
        "200\ntransfer-encoding: Chunked",
        &["transfer-encoding: Chunked"],
    );
    for fields in [
        "content-length: 5, 5",
        "content-length: 5\ncontent-length: 5",
        "content-length: +5",
        "content-length: 0x5",
        "content-length: 9223372036854775808",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: cow",
        "transfer-encoding: chunked\ntransfer-encoding: chunked",
        "content-length: 5\ntransfer-encoding: chunked",
    ] {
        refuses(&format!("200\n{fields}"));
    }
}

#[test]
fn answers_without_body_lose_its_framing() {
    passes("204\ncontent-length: 5\nx: y", &["x: y"]);
    passes("304\ncontent-length: 5", &["content-length: 5"]);
    refuses("103\ncontent-length: 5");
    refuses("103\ntransfer-encoding: chunked");
}

#[test]
fn what_is_for_this_hop_stops_here() {
    passes(
        "200\nconnection: close, x-private\nx-private: 1\nkeep-alive: timeout=5\nupgrade: h2c\nx: y",
        &["x: y"],
    );
    passes(
        "200\nconnection: content-length\ncontent-length: 5",
        &["content-length: 5"],
    );
}

#[test]
fn a_switch_of_protocol_is_believed_only_when_asked_for() {
    let switch = "101\nconnection: Upgrade\nupgrade: websocket";
    refuses(switch);
    let mut exchange = Exchange::begin();
    exchange.upgrade = true;
    assert_eq!(
        passed(switch, &mut exchange),
        Some(vec![
            "connection: Upgrade".to_owned(),
            "upgrade: websocket".to_owned()
        ])
    );
}

#[test]
fn informational_answers_are_counted() {
    let mut exchange = Exchange::begin();
    for _ in 0..INFORMATIONAL {
        assert!(passed("103\nlink: a", &mut exchange).is_some());
    }
    assert!(passed("103\nlink: a", &mut exchange).is_none());
}

#[test]
fn the_status_line_stays_the_target_s() {
    for reason in ["OK", "Fine By Me"] {
        let mut response = ResponseHeader::build(200, None).unwrap();
        response.set_reason_phrase(Some(reason)).unwrap();
        response.set_version(http::Version::HTTP_11);
        prepare_response(&mut response, &mut Exchange::begin()).unwrap();
        assert_eq!(response.get_reason_phrase(), Some(reason));
        assert_eq!(response.version, http::Version::HTTP_11);
        assert!(response.headers.contains_key(REQUEST_ID));
    }
}

#[test]
fn answers_of_http_1_0_go_on_as_1_1_and_are_never_chunked() {
    let old = |name: &'static str, value: &str| {
        let mut response = ResponseHeader::build(200, None).unwrap();
        response.set_version(Version::HTTP_10);
        response.append_header(name, value.to_owned()).unwrap();
        prepare_response(&mut response, &mut Exchange::begin()).map(|()| response.version)
    };
    assert_eq!(old("content-length", "5").unwrap(), Version::HTTP_11);
    assert!(old("transfer-encoding", "chunked").is_err());
}
