//! What requests say about traces: each format, and what is no such format.

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::{Format, read};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Fields, a line each.
fn headers(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap();
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value.trim()).unwrap(),
        );
    }
    headers
}

/// `format trace parent sampled`, or nothing.
fn told(text: &str) -> Option<String> {
    let incoming = read(&headers(text))?;
    let or = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    Some(format!(
        "{:?} {} {} {}",
        incoming.format,
        or(incoming.trace.map(|id| id.to_string())),
        or(incoming.parent.map(|id| id.to_string())),
        or(incoming.sampled.map(|sampled| sampled.to_string())),
    ))
}

fn check(text: &str, wanted: &str) {
    assert_eq!(told(text).as_deref(), Some(wanted), "{text}");
}

fn check_nothing(texts: &[&str]) {
    for text in texts {
        assert_eq!(told(text), None, "{text}");
    }
}

/// Spec: W3C Trace Context, level 1, §3.2; the refused ones are those of its test suite, `test_traceparent_*`.
#[test]
fn w3c_trace_context() {
    let sampled = &format!("W3c {TRACE} 00f067aa0ba902b7 true");
    let unsampled = &format!("W3c {TRACE} 00f067aa0ba902b7 false");
    for (value, wanted) in [
        (format!("00-{TRACE}-00f067aa0ba902b7-01"), sampled),
        (format!("00-{TRACE}-00f067aa0ba902b7-00"), unsampled),
        // Flags of later levels say nothing about sampling.
        (format!("00-{TRACE}-00f067aa0ba902b7-fe"), unsampled),
        (format!("00-{TRACE}-00f067aa0ba902b7-ff"), sampled),
        (format!("cc-{TRACE}-00f067aa0ba902b7-01"), sampled),
        (
            format!("cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-holds"),
            sampled,
        ),
    ] {
        check(&format!("traceparent: {value}"), wanted);
    }
    for value in [
        "",
        "-",
        "00",
        "00-",
        &format!("00-{TRACE}-00f067aa0ba902b7"),
        &format!("00-{TRACE}-00f067aa0ba902b7-"),
        &format!("00-{TRACE}-00f067aa0ba902b7-0"),
        &format!("00-{TRACE}-00f067aa0ba902b7-011"),
        &format!("00-{TRACE}-00f067aa0ba902b7-01-"),
        &format!("00-{TRACE}-00f067aa0ba902b7-01.what"),
        &format!("cc-{TRACE}-00f067aa0ba902b7-01.what"),
        &format!("ff-{TRACE}-00f067aa0ba902b7-01"),
        &format!("0-{TRACE}-00f067aa0ba902b7-01"),
        &format!("000-{TRACE}-00f067aa0ba902b7-01"),
        &format!(".0-{TRACE}-00f067aa0ba902b7-01"),
        &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
        &format!("00-{TRACE}-0000000000000000-01"),
        &format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
        &format!("00-{TRACE}-00F067AA0BA902B7-01"),
        &format!("00-{TRACE}-00f067aa0ba902b7-0x"),
        &format!("00_{TRACE}_00f067aa0ba902b7_01"),
        &format!("00-{TRACE}0-0f067aa0ba902b7-01"),
        "00-.bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        check_nothing(&[&format!("traceparent: {value}")]);
    }
}

#[test]
fn b3_in_one_field() {
    for (value, wanted) in [
        (
            format!("{TRACE}-00f067aa0ba902b7"),
            format!("B3 {TRACE} 00f067aa0ba902b7 -"),
        ),
        (
            format!("{TRACE}-00f067aa0ba902b7-1"),
            format!("B3 {TRACE} 00f067aa0ba902b7 true"),
        ),
        (
            format!("{TRACE}-00f067aa0ba902b7-d"),
            format!("B3 {TRACE} 00f067aa0ba902b7 true"),
        ),
        (
            format!("{TRACE}-00f067aa0ba902b7-0-05e3ac9a4f6e3b90"),
            format!("B3 {TRACE} 00f067aa0ba902b7 false"),
        ),
        (
            "a3ce929d0e0e4736-00f067aa0ba902b7-1".to_owned(),
            "B3 0000000000000000a3ce929d0e0e4736 00f067aa0ba902b7 true".to_owned(),
        ),
        ("0".to_owned(), "B3 - - false".to_owned()),
        ("1".to_owned(), "B3 - - true".to_owned()),
    ] {
        check(&format!("b3: {value}"), &wanted);
    }
    for value in [
        "",
        "2",
        TRACE,
        &format!("{TRACE}-00f067aa0ba902b7-2"),
        &format!("{TRACE}-00f067aa0ba902b7-"),
        &format!("{TRACE}-00f067aa0ba902b7-1-05e3ac9a4f6e3b9"),
        &format!("{TRACE}-00f067aa0ba902b7-1-05e3ac9a4f6e3b90-1"),
        &format!("{}-00f067aa0ba902b7-1", TRACE.to_uppercase()),
        "0000000000000000-00f067aa0ba902b7-1",
        "4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-1",
    ] {
        check_nothing(&[&format!("b3: {value}")]);
    }
}

#[test]
fn b3_in_several_fields() {
    let ids = format!("x-b3-traceid: {TRACE}\nx-b3-spanid: 00f067aa0ba902b7\n");
    for (more, sampled) in [
        ("", "-"),
        ("x-b3-sampled: 1", "true"),
        ("x-b3-sampled: 0", "false"),
        ("x-b3-sampled: true", "true"),
        ("x-b3-sampled: perhaps", "-"),
        ("x-b3-sampled: 0\nx-b3-flags: 1", "true"),
        ("x-b3-flags: 0", "-"),
        ("x-b3-parentspanid: 05e3ac9a4f6e3b90", "-"),
    ] {
        let wanted = format!("B3Multi {TRACE} 00f067aa0ba902b7 {sampled}");
        check(&format!("{ids}{more}"), &wanted);
    }
    check("x-b3-sampled: 0", "B3Multi - - false");
    check_nothing(&[
        "x-b3-spanid: 00f067aa0ba902b7",
        "x-b3-flags: 0",
        "x-b3-sampled: yes",
        &format!("x-b3-traceid: {TRACE}\nx-b3-sampled: 1"),
        &format!("{ids}x-b3-traceid: {TRACE}"),
        "x-b3-traceid: short\nx-b3-spanid: 00f067aa0ba902b7",
    ]);
}

#[test]
fn trace_ids_of_load_balancers() {
    let root = "1-5759e988-bd862e3fe1be46a994272793";
    let trace = "5759e988bd862e3fe1be46a994272793";
    for (value, wanted) in [
        (format!("Root={root}"), format!("Amazon {trace} - -")),
        (
            format!("Root={root};Parent=53995c3f42cd8ad8;Sampled=1"),
            format!("Amazon {trace} 53995c3f42cd8ad8 true"),
        ),
        (
            format!("Self=1-67891234-12456789abcdef012345678; Sampled=0; Root={root};"),
            format!("Amazon {trace} - false"),
        ),
        (
            format!("Root={root};Sampled=?;Lineage=a87bd80c:0|68fd508a:5"),
            format!("Amazon {trace} - -"),
        ),
    ] {
        check(&format!("x-amzn-trace-id: {value}"), &wanted);
    }
    for value in [
        "",
        root,
        "Sampled=1",
        "Root=2-5759e988-bd862e3fe1be46a994272793",
        "Root=1-5759e988-bd862e3fe1be46a99427279",
        "Root=1-5759e988bd862e3fe1be46a994272793",
        "Root=1-5759E988-bd862e3fe1be46a994272793",
        "Root=1-00000000-000000000000000000000000",
        &format!("Root={root};Root={root}"),
        &format!("Root={root};Parent=1"),
        &format!("Root={root};Parent=0000000000000000"),
        &format!("Root={root};Sampled=2"),
        &format!("Root={root};junk"),
        &format!("Root={root};x={}", "y".repeat(512)),
    ] {
        check_nothing(&[&format!("x-amzn-trace-id: {value}")]);
    }
}

#[test]
fn the_first_format_that_can_be_read_wins() {
    let w3c = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01");
    let b3 = "b3: a3ce929d0e0e4736-00f067aa0ba902b7-1";
    let multi = "x-b3-traceid: b3ce929d0e0e4736\nx-b3-spanid: 00f067aa0ba902b7";
    let amazon = "x-amzn-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793";
    for (fields, format) in [
        (format!("{amazon}\n{multi}\n{b3}\n{w3c}"), Format::W3c),
        (format!("{amazon}\n{multi}\n{b3}"), Format::B3),
        (format!("{amazon}\n{multi}"), Format::B3Multi),
        (amazon.to_owned(), Format::Amazon),
        // What cannot be read counts as absent, and so does what is there twice.
        (format!("{amazon}\n{w3c}0"), Format::Amazon),
        (format!("{b3}\n{w3c}\n{w3c}"), Format::B3),
    ] {
        let incoming = read(&headers(&fields)).unwrap();
        assert_eq!(incoming.format, format, "{fields}");
    }
    check_nothing(&["host: a.test\naccept: */*\nx-amzn-requestid: 1", ""]);
}

proptest! {
    /// Whatever is read is an id that can be written, of a trace that exists.
    #[test]
    fn values_of_any_bytes_are_read_or_not(value in "[0-9a-fA-F;=RotParensmpld?-]{0,80}", which in 0..4_usize) {
        let name = ["traceparent", "b3", "x-b3-traceid", "x-amzn-trace-id"][which];
        let mut fields = HeaderMap::new();
        fields.insert(name, HeaderValue::from_str(&value).unwrap());
        fields.insert("x-b3-spanid", HeaderValue::from_static("00f067aa0ba902b7"));
        if let Some(incoming) = read(&fields) {
            for id in [incoming.trace.map(|id| id.to_string()), incoming.parent.map(|id| id.to_string())].into_iter().flatten() {
                prop_assert!(id.bytes().any(|byte| byte != b'0'));
            }
        }
    }
}
